package httpapi

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// answerOf reads what tests look at in an answer of any kind.
type answerOf struct {
	ID     string   `json:"id"`
	IDs    []string `json:"ids"`
	Type   string   `json:"type"`
	Next   *string  `json:"next"`
	Events []struct {
		ID string `json:"id"`
	} `json:"events"`
	Messages []struct {
		ID string `json:"id"`
	} `json:"messages"`
	Errors []struct {
		Pointer string `json:"pointer"`
		Code    string `json:"code"`
	} `json:"errors"`
}

func parse(tb testing.TB, body string) answerOf {
	tb.Helper()
	var a answerOf
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		tb.Fatalf("answer %q: %v", body, err)
	}
	return a
}

func pageOf(tb testing.TB, body string) (ids []string, next *string) {
	tb.Helper()
	a := parse(tb, body)
	for _, e := range a.Events {
		ids = append(ids, e.ID)
	}
	for _, m := range a.Messages {
		ids = append(ids, m.ID)
	}
	return ids, a.Next
}

// TestStrictDecoding sends every odd input to every intake route, as the object
// and as the second of an array. In the inputs A and B stand for the fields.
func TestStrictDecoding(t *testing.T) {
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	cases := []struct {
		name, input string
		after       string // what follows the whole document
		status      int
		code        string
		at          string // pointer of the first finding, below the object
	}{
		{name: "good", input: `{"A":"x","B":"gateway_1"}`},
		{name: "good, other order", input: `{"B":"gateway_1","A":"x"}`},
		{name: "unknown field", input: `{"A":"x","B":"gateway_1","more":1}`, status: 422, code: "unknown_field"},
		{name: "duplicate field", input: `{"A":"x","B":"gateway_1","A":"x"}`, status: 400, code: "duplicate_key"},
		{name: "duplicate unknown field", input: `{"A":"x","B":"gateway_1","c":1,"c":2}`, status: 400, code: "duplicate_key"},
		{name: "case variant beside", input: `{"A":"x","B":"gateway_1","^A":"y"}`, status: 422, code: "unknown_field"},
		{name: "case variant instead", input: `{"^A":"x","B":"gateway_1"}`, status: 422, code: "unknown_field"},
		{name: "null field", input: `{"A":null,"B":"gateway_1"}`, status: 422, code: "null", at: "/A"},
		{name: "missing field", input: `{"B":"gateway_1"}`, status: 422, code: "required", at: "/A"},
		{name: "other missing field", input: `{"A":"x"}`, status: 422, code: "required", at: "/B"},
		{name: "empty object", input: `{}`, status: 422, code: "required", at: "/A"},
		{name: "null", input: `null`, status: 422, code: "null"},
		{name: "number", input: `12`, status: 422, code: "type"},
		{name: "string", input: `"x"`, status: 422, code: "type"},
		{name: "boolean", input: `true`, status: 422, code: "type"},
		{name: "array in the place", input: `[[]]`, status: 422, code: "type"},
		{name: "number field", input: `{"A":1,"B":"gateway_1"}`, status: 422, code: "type", at: "/A"},
		{name: "boolean field", input: `{"A":"x","B":false}`, status: 422, code: "type", at: "/B"},
		{name: "object field", input: `{"A":{"A":"x"},"B":"gateway_1"}`, status: 422, code: "type", at: "/A"},
		{name: "array field", input: `{"A":["x"],"B":"gateway_1"}`, status: 422, code: "type", at: "/A"},
		{name: "trailing value", input: `{"A":"x","B":"gateway_1"}`, after: ` {}`, status: 400, code: "trailing_data"},
		{name: "trailing bracket", input: `{"A":"x","B":"gateway_1"}`, after: `]`, status: 400, code: "trailing_data"},
		{name: "trailing NUL", input: `{"A":"x","B":"gateway_1"}`, after: "\x00", status: 400, code: "trailing_data"},
		{name: "invalid UTF-8", input: "{\"A\":\"\xff\",\"B\":\"gateway_1\"}", status: 400, code: "syntax"},
		{name: "overlong UTF-8", input: "{\"A\":\"\xc0\xaf\",\"B\":\"gateway_1\"}", status: 400, code: "syntax"},
		{name: "invalid UTF-8 in a name", input: "{\"A\":\"x\",\"B\":\"gateway_1\",\"\xff\":1}", status: 400, code: "syntax"},
		{name: "lone surrogate", input: `{"A":"\ud800","B":"gateway_1"}`, status: 400, code: "syntax"},
		{name: "surrogates in the wrong order", input: `{"A":"\udc00\ud800","B":"gateway_1"}`, status: 400, code: "syntax"},
		{name: "raw NUL", input: "{\"A\":\"\x00\",\"B\":\"gateway_1\"}", status: 400, code: "syntax"},
		{name: "raw line end", input: "{\"A\":\"\n\",\"B\":\"gateway_1\"}", status: 400, code: "syntax"},
		{name: "bad escape", input: `{"A":"\x41","B":"gateway_1"}`, status: 400, code: "syntax"},
		{name: "single quotes", input: `{'A':'x','B':'gateway_1'}`, status: 400, code: "syntax"},
		{name: "comment", input: `{"A":"x",/**/"B":"gateway_1"}`, status: 400, code: "syntax"},
		{name: "comma at the end", input: `{"A":"x","B":"gateway_1",}`, status: 400, code: "syntax"},
		{name: "no comma", input: `{"A":"x" "B":"gateway_1"}`, status: 400, code: "syntax"},
		{name: "not a number", input: `{"A":NaN,"B":"gateway_1"}`, status: 400, code: "syntax"},
		{name: "wrong and then broken", input: `{"A":1,"B":2,}`, status: 400, code: "syntax"},
		{name: "deep field", input: `{"A":` + deep + `,"B":"gateway_1"}`, status: 400, code: "syntax"},
		{name: "deep unknown field", input: `{"A":"x","B":"gateway_1","c":` + deep + `}`, status: 400, code: "syntax"},
		{name: "nested but not deep", input: `{"A":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `,"B":"gateway_1"}`, status: 422, code: "type", at: "/A"},
	}
	places := []struct {
		name, route, a, b, before, after, at string
		good                                 int
	}{
		{name: "event", route: "/event", a: "event_type", b: "event_payload", good: 201},
		{name: "array", route: "/event", a: "event_type", b: "event_payload", before: `[{"event_type":"","event_payload":""},`, after: "]", at: "/1", good: 201},
		{name: "message", route: "/send_message", a: "message", b: "gateway", good: 200},
	}
	for _, c := range cases {
		for _, p := range places {
			t.Run(c.name+"/"+p.name, func(t *testing.T) {
				store := newStore()
				names := strings.NewReplacer(`"A"`, `"`+p.a+`"`, `"B"`, `"`+p.b+`"`, `"^A"`, `"`+strings.ToUpper(p.a)+`"`)
				at := strings.NewReplacer("/A", "/"+p.a, "/B", "/"+p.b).Replace(c.at)
				input := c.input
				if c.name == "array in the place" && p.before == "" && p.route == "/event" {
					at = "/0" // it is an array with an array in it
				}
				got := do(t, newServer(t, store), "POST", p.route, p.before+names.Replace(input)+p.after+c.after)
				if c.status == 0 {
					if got.status != p.good || store.saved() != 1 {
						t.Fatalf("status %d, %d saves; want %d, 1: %s", got.status, store.saved(), p.good, got.body)
					}
					return
				}
				if got.status != c.status || store.saved() != 0 {
					t.Fatalf("status %d, %d saves; want %d, none: %s", got.status, store.saved(), c.status, got.body)
				}
				a := parse(t, got.body)
				if len(a.Errors) == 0 || a.Errors[0].Code != c.code {
					t.Fatalf("errors %v, want code %s first", a.Errors, c.code)
				}
				if c.status == 422 && a.Errors[0].Pointer != p.at+at {
					t.Errorf("pointer %q, want %q", a.Errors[0].Pointer, p.at+at)
				}
			})
		}
	}
}
