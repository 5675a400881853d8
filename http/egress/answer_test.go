package egress_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

// ruled is a declaration that needs a body for every outcome.
func ruled(url string) dialect.Declaration {
	var yes any = true
	return dialect.Declaration{
		URL: url, KeepAnswer: true, Settings: map[string]dialect.Setting{"key": {Value: "s3cret", Secret: true}},
		Success:   dialect.Success{Body: []dialect.Rule{{JSON: new("/ok"), Is: &yes}}},
		Permanent: dialect.Permanent{Body: []dialect.Rule{{Contains: new("never")}}},
		Throttle:  dialect.Throttle{Body: []dialect.Rule{{JSON: new("/wait"), Exists: new(true)}}, Wait: []dialect.Wait{{Body: new("/wait")}}},
	}
}

func TestDeliverJudgesBodies(t *testing.T) {
	reply := func(status int, body string) string {
		return "HTTP/1.1 " + strconv.Itoa(status) + " X\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
	}
	hold := func(text string) func(*conn) { return func(c *conn) { c.send(text); c.hold() } }
	end := func(text string) func(*conn) { return func(c *conn) { c.send(text) } }
	pad := func(n int) string { return `{"ok": true, "pad": "` + strings.Repeat("x", n-23) + `"}` }
	const good = `{"ok": true}`
	result := func(outcome data.Outcome, cause data.Cause, status int, answer string) data.Result {
		return data.Result{Outcome: outcome, Cause: cause, Status: status, Answer: answer}
	}
	throttled := result(data.OutcomeThrottled, data.CauseThrottled, 200, `{"ok": true, "wait": 90}`)
	throttled.Hint = 90 * time.Second
	tests := map[string]struct {
		then    func(*conn)
		timeout time.Duration
		want    data.Result
	}{
		"success":               {hold(reply(200, good)), long, result(data.OutcomeDelivered, "", 200, good)},
		"error in a 200":        {hold(reply(200, `{"ok": false, "key": "s3cret"}`)), long, result(data.OutcomeTemporary, data.CauseRejected, 200, `{"ok": false, "key": "***"}`)},
		"final, in a 200":       {hold(reply(200, `never`)), long, result(data.OutcomePermanent, data.CauseRejected, 200, "never")},
		"final, in a 500":       {hold(reply(500, `never`)), long, result(data.OutcomePermanent, data.CauseRejected, 500, "never")},
		"a wait, in a 200":      {hold(reply(200, `{"ok": true, "wait": 90}`)), long, throttled},
		"no body":               {hold("HTTP/1.1 204 X\r\n\r\n"), long, result(data.OutcomeTemporary, data.CauseBody, 204, "")},
		"ended by close":        {end("HTTP/1.1 200 X\r\n\r\n" + good), long, result(data.OutcomeDelivered, "", 200, good)},
		"cut by close":          {end("HTTP/1.1 200 X\r\n\r\n" + good[:8]), long, result(data.OutcomeTemporary, data.CauseBody, 200, good[:8])},
		"cut":                   {end("HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n" + good), long, result(data.OutcomeTemporary, data.CauseBody, 200, good)},
		"chunked":               {hold("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n" + good + "\r\n0\r\n\r\n"), long, result(data.OutcomeDelivered, "", 200, good)},
		"chunks cut":            {end("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n" + good + "\r\n"), long, result(data.OutcomeTemporary, data.CauseBody, 200, good)},
		"the end never comes":   {hold("HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n" + good), short, result(data.OutcomeTemporary, data.CauseBody, 200, good)},
		"a failure, cut":        {end("HTTP/1.1 500 X\r\nContent-Length: 100\r\n\r\nnever"), long, result(data.OutcomeTemporary, data.CauseStatus, 500, "never")},
		"compressed":            {hold("HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\n" + reply(200, good)[len("HTTP/1.1 200 X\r\n"):]), long, result(data.OutcomeTemporary, data.CauseBody, 200, "")},
		"a secret that was cut": {end("HTTP/1.1 500 X\r\nContent-Length: 100\r\n\r\ns3cr"), long, result(data.OutcomeTemporary, data.CauseStatus, 500, "***")},
		"as long as may be":     {hold(reply(200, pad(egress.MaxBody))), long, result(data.OutcomeDelivered, "", 200, pad(egress.MaxBody)[:data.MaxAnswer])},
		"too long":              {hold(reply(200, pad(egress.MaxBody+1))), long, result(data.OutcomeTemporary, data.CauseBody, 200, pad(egress.MaxBody)[:data.MaxAnswer])},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := serve(t, answers(tt.then))
			c := newClient(t, egress.Options{})
			if got := deliver(t.Context(), t, c, ruled(g.url), "test", tt.timeout); got != tt.want {
				t.Errorf("Deliver() = %.999v; want %.999v", got, tt.want)
			}
			c.Close()
			g.awaitClosed(t)
		})
	}
}

// A body that a rule needs may take as long as the attempt; one that no rule needs
// may not, also when it is kept.
func TestDeliverWaitsForBodiesThatAreNeeded(t *testing.T) {
	slow := answers(func(c *conn) {
		c.send("HTTP/1.1 200 X\r\nContent-Length: 12\r\n\r\n{\"ok\"")
		<-time.After(4 * wait)
		c.send(": true")
		<-time.After(4 * wait)
		c.send("}")
		c.hold()
	})
	for _, needed := range []bool{false, true} {
		g := serve(t, slow)
		decl := ruled(g.url)
		if !needed {
			decl.Success, decl.Permanent.Body, decl.Throttle = dialect.Success{}, nil, dialect.Throttle{}
		}
		want := delivered(200)
		want.Answer = map[bool]string{true: `{"ok": true}`, false: `{"ok"`}[needed]
		if got := deliver(t.Context(), t, newClient(t, egress.Options{}), decl, "test", long); got != want {
			t.Errorf("needed %v: Deliver() = %+v; want %+v", needed, got, want)
		}
	}
}

// When the process ends while a body comes in that counts, nobody knows what the
// gateway has.
func TestDeliverCutOffInABodyThatIsNeeded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g := serve(t, answers(func(c *conn) {
		c.send("HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n{\"ok\"")
		c.hold()
	}))
	timer := time.AfterFunc(short, cancel)
	defer timer.Stop()
	got := deliver(ctx, t, newClient(t, egress.Options{}), ruled(g.url), "test", long)
	got.Answer = ""
	if want := (data.Result{Outcome: data.OutcomeUnknown, Cause: data.CauseCutOff, Status: 200}); got != want {
		t.Errorf("Deliver() = %+v; want %+v", got, want)
	}
}

// A connection serves the next message also when the answers before were long and
// read for their rules.
func TestDeliverReusesConnectionsAfterBodies(t *testing.T) {
	body := `{"ok": true, "pad": "` + strings.Repeat("x", egress.MaxBody-100) + `"}`
	g := serve(t, func(_ *fakeGateway, c *conn, _ int) {
		for c.request() != nil && c.send("HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body) {
			continue
		}
	})
	c := newClient(t, egress.Options{})
	for range 3 {
		if got := deliver(t.Context(), t, c, ruled(g.url), "test", long); got.Outcome != data.OutcomeDelivered {
			t.Fatalf("Deliver() = %+v", got)
		}
	}
	if n := g.conns.Load(); n != 1 {
		t.Errorf("3 messages took %d connections; want 1", n)
	}
}
