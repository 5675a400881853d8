// What keeps the pages fresh. Each says all that it has to without this.
"use strict";
(() => {
  const every = 2000, slow = 10000;

  const number = (n) => Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, ",");
  const rate = (n) => (n <= 0 ? "0" : n < 0.1 ? "<0.1" : n < 10 ? n.toFixed(1) : number(n));
  const size = (n) => {
    if (n < 1024) return n + " B";
    const units = ["KiB", "MiB", "GiB", "TiB"];
    let at = 0;
    for (n /= 1024; n >= 1024 && at < units.length - 1; at++) n /= 1024;
    return (n < 10 ? n.toFixed(1) : n.toFixed(0)) + " " + units[at];
  };
  const say = (node, text) => { if (node && node.textContent !== text) node.textContent = text; };

  // loop does something again and again, one at a time, and not while nobody looks.
  const loop = (pause, act) => {
    const turn = async () => {
      if (!document.hidden) {
        try { await act(); } catch { /* the next turn tries again */ }
      }
      setTimeout(turn, pause);
    };
    setTimeout(turn, pause);
  };

  // The chart: the same way as the server draws it.
  const ceiling = (most) => {
    if (most <= 1) return 1;
    const power = 10 ** Math.floor(Math.log10(most));
    return ([1, 2, 5].find((step) => most <= step * power) || 10) * power;
  };
  const draw = (figure, history) => {
    const width = 600, height = 160, seconds = history.step_ms / 1000;
    const lines = [...figure.querySelectorAll("[data-series]")];
    const most = Math.max(0, ...lines.flatMap((line) => history[line.dataset.series] || []));
    const top = ceiling(most / seconds);
    for (const line of lines) {
      const values = history[line.dataset.series] || [];
      const across = width / Math.max(1, values.length - 1);
      line.setAttribute("points", values.map((v, i) =>
        (i * across).toFixed(1) + "," + ((1 - Math.min(1, v / (top * seconds))) * height).toFixed(1)).join(" "));
    }
    say(figure.querySelector("[data-chart-top]"), rate(top));
    say(figure.querySelector("[data-chart-half]"), rate(top / 2));
  };

  const summary = async () => {
    const answer = await fetch("/api/v1/summary", { headers: { Accept: "application/json" } });
    if (answer.status === 401) return location.reload(); // which leads to the login
    if (!answer.ok) return;
    const now = await answer.json();
    for (const node of document.querySelectorAll("[data-rate]")) say(node, rate(now.rates[node.dataset.rate]));
    for (const node of document.querySelectorAll("[data-count]")) {
      const n = now.counts[node.dataset.count] || 0;
      say(node, number(n));
      node.parentElement.classList.toggle("none", n === 0);
    }
    for (const node of document.querySelectorAll("[data-bytes]")) say(node, size(now.store[node.dataset.bytes + "_bytes"]));
    const figure = document.querySelector("[data-chart]");
    if (figure) draw(figure, now.history);
    const matter = JSON.stringify((now.attention || []).map((a) => [a.gateway, a.reason, a.open > 0, a.dead > 0])) + now.store.accepting;
    if (summary.matter !== undefined && summary.matter !== matter) await refresh();
    summary.matter = matter;
  };

  // refresh takes the parts of a page that change from a new copy of it.
  const refresh = async () => {
    const answer = await fetch(location.pathname + location.search, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    if (answer.redirected) return location.reload();
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const old of document.querySelectorAll("[data-live]")) {
      const now = fresh.getElementById(old.id);
      if (!now || old.innerHTML === now.innerHTML || old.querySelector("details[open]")) continue;
      const selected = getSelection();
      if (selected && !selected.isCollapsed && old.contains(selected.anchorNode)) continue;
      const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
      old.replaceChildren(...now.childNodes);
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
      if (old.hasAttribute("data-live-fast") && !now.hasAttribute("data-live-fast")) old.removeAttribute("data-live-fast");
    }
    for (const old of document.querySelectorAll("[data-live-text]")) {
      const now = fresh.querySelector('[data-live-text="' + old.dataset.liveText + '"]');
      if (!now) continue;
      say(old, now.textContent);
      old.parentElement.className = now.parentElement.className;
    }
    const clock = document.querySelector("[data-now]"), now = fresh.querySelector("[data-now]");
    if (clock && now) say(clock, now.textContent);
  };

  // The tail of the events.
  const follow = (section) => {
    const button = section.querySelector("[data-tail-switch]"), state = section.querySelector("[data-tail-state]");
    const table = section.querySelector("table"), rows = table.tBodies[0], columns = table.tHead.rows[0].cells.length;
    const most = 100;
    let source = null, seen = 0;
    const cell = (row, label, text) => {
      const td = row.insertCell();
      td.dataset.label = label;
      const bdi = document.createElement("bdi");
      bdi.className = "line";
      bdi.textContent = visible(text).slice(0, 160);
      td.append(bdi);
    };
    const show = (message) => {
      const event = JSON.parse(message.data);
      const row = rows.insertRow(0), head = document.createElement("th"), link = document.createElement("a");
      head.scope = "row";
      link.className = "id";
      link.href = "/events/" + encodeURIComponent(event.id);
      link.textContent = event.id;
      head.append(link);
      row.append(head);
      cell(row, "Type", event.event_type);
      cell(row, "Received", event.received_at.slice(11, 19));
      if (columns > 3) cell(row, "Payload", event.event_payload || "");
      while (rows.rows.length > most) rows.deleteRow(-1);
      table.hidden = false;
      seen++;
    };
    const stop = (text) => {
      source?.close();
      source = null;
      button.textContent = "Follow new events";
      button.setAttribute("aria-pressed", "false");
      say(state, text);
    };
    const start = () => {
      source = new EventSource(section.dataset.tail);
      button.textContent = "Stop";
      button.setAttribute("aria-pressed", "true");
      say(state, "Connecting…");
      source.addEventListener("open", () => say(state, "Following. New events appear here."));
      source.addEventListener("event", show);
      source.addEventListener("error", () => {
        if (source && source.readyState === EventSource.CLOSED) stop("The server does not let us follow now. Try again later.");
        else say(state, "The connection broke; trying again…");
      });
    };
    button.addEventListener("click", () => (source ? stop("Not following. " + number(seen) + " seen.") : start()));
    section.hidden = false;
  };
  // visible writes what cannot be seen, or would change how the rest is read, as the server
  // does, which puts in here what that is.
  const hidden = /HIDDEN/gu;
  const visible = (text) => text.replace(/[\t\r\n]/g, " ").replace(hidden, (c) =>
    "U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0"));

  // Many dead letters are sent again in steps: each form is the next one.
  const resend = async () => {
    let stopped = false;
    addEventListener("click", (e) => { if (e.target.closest("[data-stop]")) stopped = true; });
    for (let form; !stopped && (form = document.querySelector("form[data-loop]"));) {
      form.querySelector("button").disabled = true;
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "text/html" } });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const now = fresh.getElementById("resending"), old = document.getElementById("resending");
      if (stopped) return;
      if (!now) { form.querySelector("button").disabled = false; return; }
      old.replaceChildren(...now.childNodes);
      history.replaceState(null, "", answer.url);
    }
  };

  // A button does its work once, however often it is pressed. Sending again goes on by
  // itself only from a press: the page with how far it got may have been opened by anybody.
  addEventListener("submit", (e) => {
    if (e.target.method !== "post") return;
    if (e.target.matches("form[data-loop]")) { e.preventDefault(); resend(); return; }
    const button = e.submitter;
    if (button) setTimeout(() => { button.disabled = true; }, 0);
  });
  addEventListener("pageshow", (e) => { if (e.persisted) location.reload(); });

  if (document.querySelector("[data-chart]")) loop(every, summary);
  if (document.querySelector("[data-live]")) loop(document.querySelector("[data-live-fast]") ? every : slow / 2, refresh);
  for (const section of document.querySelectorAll("[data-tail]")) follow(section);
})();
