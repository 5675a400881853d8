package httpapi

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

func manyParams(n int) string {
	entries := make([]string, n)
	for i := range entries {
		entries[i] = fmt.Sprintf(`"p%d":"v"`, i)
	}
	return "{" + strings.Join(entries, ",") + "}"
}

func TestMessageFields(t *testing.T) {
	store := newStore()
	server := newServer(t, store)
	got := do(t, server, "POST", "/send_message",
		`{"to":"+1\u0000é","params":{"order":"7","":""},"expires_in":"1h30m","message":"m","gateway":"gateway_1","title":"{{t}}"}`)
	if got.status != 422 { // a name is empty
		t.Errorf("status %d, want 422: %s", got.status, got.body)
	}
	longest := strings.Repeat("n", data.MaxParamName)
	got = do(t, server, "POST", "/send_message",
		`{"to":"+1\u0000é","params":{"order":"7","`+longest+`":""},"expires_in":"1h30m","message":"m","gateway":"gateway_1","title":"{{t}}"}`)
	if got.status != 200 {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	m := store.saves[0].Messages[0]
	if m.To != "+1\x00é" || m.Title != "{{t}}" || m.ExpiresIn != 90*time.Minute || !maps.Equal(m.Params, map[string]string{"order": "7", longest: ""}) {
		t.Errorf("saved is %+v", m)
	}
	shown := do(t, server, "GET", "/api/v1/messages/"+parse(t, got.body).ID, "").body
	for _, want := range []string{`"to":"+1\u0000é"`, `"title":"{{t}}"`, `"params":{"` + longest + `":"","order":"7"}`, `"expires_at":"2026-03-04T13:30:00.005Z"`} {
		if !strings.Contains(shown, want) {
			t.Errorf("shown is %s; want %s in it", shown, want)
		}
	}
	if list := do(t, server, "GET", "/api/v1/messages", "").body; !strings.Contains(list, `"title":"{{t}}"`) {
		t.Errorf("listed is %s", list)
	}
	plain := do(t, server, "POST", "/send_message", `{"message":"m","gateway":"gateway_1","to":"","title":"","params":{}}`)
	if m := store.saves[1].Messages[0]; plain.status != 200 || m.Params != nil || m.ExpiresIn != 0 {
		t.Errorf("empty fields give %d, %+v", plain.status, m)
	}
	shown = do(t, server, "GET", "/api/v1/messages/"+parse(t, plain.body).ID, "").body
	for _, not := range []string{`"to"`, `"title"`, `"params"`, `"expires_at"`} {
		if strings.Contains(shown, not) {
			t.Errorf("shown is %s; want no %s", shown, not)
		}
	}
	if got := do(t, server, "POST", "/send_message", `{"message":"m","gateway":"gateway_1","params":`+manyParams(data.MaxParams)+`}`); got.status != 200 {
		t.Errorf("%d params give %d: %s", data.MaxParams, got.status, got.body)
	}
}

func TestMessageFieldsAreStrict(t *testing.T) {
	for _, c := range []struct{ field, pointer, code string }{
		{`"to":null`, "/to", "null"},
		{`"to":1`, "/to", "type"},
		{`"title":null`, "/title", "null"},
		{`"title":["t"]`, "/title", "type"},
		{`"params":null`, "/params", "null"},
		{`"params":"a=b"`, "/params", "type"},
		{`"params":[]`, "/params", "type"},
		{`"params":{"secret":null}`, "/params", "null"},
		{`"params":{"secret":1}`, "/params", "type"},
		{`"params":{"secret":{"b":"c"}}`, "/params", "type"},
		{`"params":{"":"x"}`, "/params", "invalid"},
		{`"params":{"secret` + strings.Repeat("n", data.MaxParamName) + `":"x"}`, "/params", "invalid"},
		{`"params":` + manyParams(data.MaxParams+1), "/params", "too_many"},
		{`"expires_in":null`, "/expires_in", "null"},
		{`"expires_in":60`, "/expires_in", "type"},
		{`"expires_in":""`, "/expires_in", "invalid"},
		{`"expires_in":"60"`, "/expires_in", "invalid"},
		{`"expires_in":"0s"`, "/expires_in", "invalid"},
		{`"expires_in":"-1s"`, "/expires_in", "invalid"},
		{`"expires_in":"720h0m1s"`, "/expires_in", "invalid"},
		{`"expires_in":"secret"`, "/expires_in", "invalid"},
		{`"To":"x"`, "", "unknown_field"},
		{`"expires_at":"x"`, "", "unknown_field"},
	} {
		store := newStore()
		got := do(t, newServer(t, store), "POST", "/send_message", `{"message":"m","gateway":"gateway_1",`+c.field+`}`)
		a := parse(t, got.body)
		if got.status != 422 || len(a.Errors) != 1 || a.Errors[0].Pointer != c.pointer || a.Errors[0].Code != c.code || store.saved() != 0 {
			t.Errorf("%s gives %d %s; want 422, %s at %q", c.field, got.status, got.body, c.code, c.pointer)
		}
		if strings.Contains(got.body, "secret") {
			t.Errorf("%s is repeated: %s", c.field, got.body)
		}
	}
	got := do(t, newServer(t, newStore()), "POST", "/send_message", `{"params":{"a":"b","a":"c"},"message":"m","gateway":"gateway_1"}`)
	if got.status != 400 || parse(t, got.body).Errors[0].Code != "duplicate_key" {
		t.Errorf("a name given twice gives %d %s", got.status, got.body)
	}
	got = do(t, newServer(t, newStore()), "POST", "/send_message", `{"to":1,"params":{"a":1,"b":null,"":""},"expires_in":"x","gateway":"none","more":1}`)
	if a := parse(t, got.body); got.status != 422 || len(a.Errors) != 8 {
		t.Errorf("all at once gives %d %s; want 8 errors", got.status, got.body)
	}
}

// splitting is Options.Fit of a gateway that takes three letters at a time, and
// wants a title.
func splitting(m data.NewMessage) ([]data.NewMessage, []Fault) {
	switch {
	case m.Title == "":
		return nil, []Fault{{Pointer: "/title", Code: "required", Detail: "This gateway needs the field."}}
	case len(m.Text) > 9:
		return nil, []Fault{{Pointer: "/message", Code: "too_long", Detail: "It is."}, {Pointer: "/params/order", Code: "unfit", Detail: "It is."}}
	case len(m.Text) <= 3:
		return nil, nil
	}
	var parts []data.NewMessage
	for text := m.Text; text != ""; text = text[min(3, len(text)):] {
		m.Text = text[:min(3, len(text))]
		parts = append(parts, m)
	}
	return parts, nil
}

func TestMessagesAreFitted(t *testing.T) {
	store := newStore()
	server := newServer(t, store, func(o *Options) { o.Fit = splitting })
	post := func(text string, headers ...string) reply {
		return do(t, server, "POST", "/send_message", `{"message":"`+text+`","title":"t","gateway":"gateway_1"}`, headers...)
	}
	if got := post("abc"); got.status != 200 || strings.Contains(got.body, "ids") || len(store.messages) != 1 {
		t.Errorf("what fits gives %d %s, %d messages", got.status, got.body, len(store.messages))
	}
	first := post("abcdefgh", "Idempotency-Key: k")
	ids := []string{store.messages[1].ID.String(), store.messages[2].ID.String(), store.messages[3].ID.String()}
	want := fmt.Sprintf(`{"id":%q,"ids":[%q,%q,%q],"gateway":"gateway_1","state":"queued"}`, ids[0], ids[0], ids[1], ids[2])
	if first.status != 200 || first.body != want || len(store.saves[1].Messages) != 3 {
		t.Errorf("three parts give %d %s; want %s", first.status, first.body, want)
	}
	if got := first.header.Get("Location"); got != "/api/v1/messages/"+ids[0] {
		t.Errorf("Location is %q", got)
	}
	got := post("abcdefghijk")
	if a := parse(t, got.body); got.status != 422 || !strings.HasSuffix(a.Type, ":unfit-message") || len(a.Errors) != 2 || a.Errors[1].Pointer != "/params/order" || a.Errors[1].Code != "unfit" {
		t.Errorf("what does not fit gives %d %s", got.status, got.body)
	}
	got = do(t, server, "POST", "/send_message", `{"message":"a","gateway":"gateway_1"}`)
	if a := parse(t, got.body); got.status != 422 || a.Errors[0].Code != "required" || a.Errors[0].Pointer != "/title" {
		t.Errorf("without a title it is %d %s", got.status, got.body)
	}
	if store.saved() != 2 {
		t.Errorf("%d saves, want 2", store.saved())
	}
	// Declared in another way since, the gateway gives the first answer all the same.
	refusing := func(data.NewMessage) ([]data.NewMessage, []Fault) { return nil, []Fault{{Code: "too_long"}} }
	for name, fit := range map[string]func(data.NewMessage) ([]data.NewMessage, []Fault){"whole": nil, "refused": refusing} {
		server = newServer(t, store, func(o *Options) { o.Fit = fit })
		if again := post("abcdefgh", "Idempotency-Key: k"); again.status != 200 || again.body != first.body {
			t.Errorf("%s, the repeat is %d %s; want %s", name, again.status, again.body, first.body)
		}
	}
	server = newServer(t, store, func(o *Options) { o.Fit = refusing })
	if got := post("abcdefgh", "Idempotency-Key: l"); got.status != 422 {
		t.Errorf("what is no repeat gives %d %s", got.status, got.body)
	}
}
