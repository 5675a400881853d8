package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/postrider/postrider/data"
)

// generatedPerOperation is how many requests each operation gets.
const generatedPerOperation = 2000

// generator makes requests of the document: most of them nearly right.
type generator struct {
	*rand.Rand
	doc *document
}

// words are values that somebody might send anywhere.
func words() []string {
	return []string{
		"", "x", "0", "1", "-1", "7", "1000", "1001", "99999999999999999999", "1.5", "true", "null", "gateway_1", "gateway_99", "nobody", "queued",
		"dead", "failed", "refused", "m1", "m99", "../..", "%00", "<script>", "a b", "\x00\x01\x7f", "\xff\xfe", "ä\u202e\U0001F600", "10m", "800h",
		"2026-03-04T12:00:00Z", "2026-13-40T99:00:00Z", data.FirstID(1).String(), (data.FirstID(1) + 1).String(), (data.FirstID(1) + 2).String(),
		"000g00000000", strings.Repeat("z", 300), strings.Repeat("é", 5000), "{{message}}", `"`, `\`, "\r\nX-Evil: 1",
	}
}

func pick[T any](g generator, of []T) T { return of[g.IntN(len(of))] }

// value makes something that a schema takes, or nearly so.
func (g generator) value(schema map[string]any, depth int) any {
	if to, ok := schema["$ref"].(string); ok {
		schema, _ = g.doc.object(strings.TrimPrefix(to, "#/"))
	}
	if g.IntN(12) == 0 || depth > 4 {
		return pick(g, []any{nil, true, 1.5, -1, "", pick(g, words()), []any{}, []any{nil}, map[string]any{}, map[string]any{"a": map[string]any{}}})
	}
	if of, ok := schema["oneOf"].([]any); ok {
		return g.value(pick(g, of).(map[string]any), depth)
	}
	if of, ok := schema["enum"].([]any); ok {
		return pick(g, of)
	}
	if pattern, _ := schema["pattern"].(string); strings.HasPrefix(pattern, "^[a-z0-9_-]") && g.IntN(4) > 0 {
		return pick(g, []string{"gateway_1", "gateway_99", "broken", "nobody"})
	}
	switch schema["type"] {
	case "object":
		return g.thing(schema, depth)
	case "array":
		list := make([]any, g.IntN(4))
		for i := range list {
			list[i] = g.value(schema["items"].(map[string]any), depth+1)
		}
		return list
	case "integer":
		return g.IntN(1100) - 50
	case "boolean":
		return g.IntN(2) == 0
	}
	return strings.ToValidUTF8(pick(g, words()), "?")
}

func (g generator) thing(schema map[string]any, depth int) any {
	made := make(map[string]any)
	properties, _ := schema["properties"].(map[string]any)
	for name, of := range properties {
		required, _ := schema["required"].([]any)
		if g.IntN(10) < 3 || slices.Contains(required, any(name)) && g.IntN(10) > 0 {
			made[name] = g.value(of.(map[string]any), depth+1)
		}
	}
	if more, ok := schema["additionalProperties"].(map[string]any); ok {
		for range g.IntN(4) {
			made[strings.ToValidUTF8(pick(g, words()), "?")] = g.value(more, depth+1)
		}
	}
	if g.IntN(15) == 0 {
		made[pick(g, []string{"x", "Message", "EVENT_TYPE", "__proto__", ""})] = 1
	}
	return made
}

// body makes a body, sometimes one that is no JSON.
func (g generator) body(pointer string) []byte {
	schema, _ := g.doc.object(pointer + "/requestBody/content/application~1json/schema")
	if schema == nil || g.IntN(20) == 0 {
		return []byte(pick(g, words()))
	}
	body, err := json.Marshal(g.value(schema, 0))
	if err != nil {
		panic(err)
	}
	switch g.IntN(25) {
	case 0:
		return body[:g.IntN(len(body)+1)]
	case 1:
		return append(body, body...)
	case 2:
		body[g.IntN(len(body))] ^= byte(1 << g.IntN(8))
	}
	return body
}

// fill puts the request of an operation together.
func (g generator) fill(r *fasthttp.Request, method, template, pointer string) {
	path := template
	for strings.Contains(path, "{") {
		from, to := strings.Index(path, "{"), strings.Index(path, "}")
		word := inURL(pick(g, words()))
		if g.IntN(2) == 0 {
			word = map[bool]string{true: pick(g, []string{"gateway_1", "gateway_99", "broken"}), false: (data.FirstID(1) + data.ID(g.IntN(8))).String()}[path[from:to] == "{name"]
		}
		path = path[:from] + word + path[to+1:]
	}
	r.Header.SetMethod(strings.ToUpper(method))
	if g.IntN(30) == 0 {
		r.Header.SetMethod(pick(g, []string{"HEAD", "PUT", "DELETE", "BREW", "OPTIONS", "GET", "POST"}))
	}
	parameters, _ := g.doc.at(pointer + "/parameters")
	list, _ := parameters.([]any)
	var query []string
	for i := range list {
		parameter, _ := g.doc.object(fmt.Sprint(strings.TrimPrefix(list[i].(map[string]any)["$ref"].(string), "#/")))
		name := parameter["name"].(string)
		switch parameter["in"] {
		case "query":
			for g.IntN(3) == 0 {
				query = append(query, name+"="+inURL(pick(g, words())))
			}
		case "header":
			if g.IntN(3) == 0 {
				r.Header.Set(name, pick(g, words()))
			}
		}
	}
	if g.IntN(15) == 0 {
		query = append(query, inURL(pick(g, words()))+"="+inURL(pick(g, words())))
	}
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	r.SetRequestURI(path)
	r.Header.SetHost("h")
	for name, values := range map[string][]string{
		"Authorization":    {"Bearer admin", "Bearer admin", "Bearer admin", "Bearer admin", "Bearer admin", "Bearer read", "Bearer operate", "Bearer x", ""},
		"Content-Encoding": {"", "", "", "", "", "", "identity", "gzip"},
		"Origin":           {"", "", "", "", "", "", "", "", "http://h", "http://evil", "null"},
		"Content-Type":     {"", "application/json", "multipart/form-data; boundary=x", "text/plain"},
		"X-Request-Id":     {"", "mine", "a b"},
	} {
		if value := pick(g, values); value != "" {
			r.Header.Set(name, value)
		}
	}
	if method == "post" || method == "put" {
		r.SetBody(g.body(pointer))
	}
}

// inURL writes a word so that it gets into a URL as it is.
func inURL(word string) string {
	var b strings.Builder
	for _, c := range []byte(word) {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// serveGenerated sends a request past the socket and reads the answer.
func serveGenerated(s *Server, r *fasthttp.Request) reply {
	var rc fasthttp.RequestCtx
	rc.Init(r, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, nil) // profiles are for this machine
	s.serve(&rc)
	got := reply{status: rc.Response.StatusCode(), header: http.Header{}}
	for name, value := range rc.Response.Header.All() {
		got.header.Add(string(name), string(value))
	}
	if kind := string(rc.Response.Header.ContentType()); kind == "text/event-stream" || kind == "application/octet-stream" {
		_ = rc.Response.CloseBodyStream() // it has no end, or writes itself
		return got
	}
	got.body = string(rc.Response.Body())
	_ = rc.Response.CloseBodyStream()
	if rc.IsHead() {
		got.body = ""
	}
	return got
}

// generatedServer has some of everything.
func generatedServer(t *testing.T) *Server {
	store := withContent()
	store.render = func(data.NewMessage) ([]Rendered, []Fault, error) {
		return []Rendered{{Method: "POST", URL: "https://example.org", Body: []byte("\xff")}}, nil, nil
	}
	store.test = quickTest
	store.messages = append(store.messages, data.Message{ID: data.FirstID(1) + 2, Gateway: "gateway_99", State: data.Failed, AcceptedAt: noon})
	store.history = map[string]History{"gateway_1": {Step: 1, Delivered: []uint32{1}, Failed: []uint32{2}}}
	return newServer(t, store, oneKeyEach, declared, func(o *Options) {
		o.Demo, o.Metrics, o.Now = true, metrics("up 1\n"), forgetting()
		o.Fit = func(m data.NewMessage) ([]data.NewMessage, []Fault) {
			if m.Title == "x" {
				return nil, []Fault{{Pointer: "/title", Code: "unfit", Detail: "It does not fit."}}
			}
			return nil, nil
		}
	})
}

// TestGeneratedRequests sends every operation many requests. None may fail for a
// reason of ours, and every answer is as documented.
func TestGeneratedRequests(t *testing.T) {
	doc := openDocument(t)
	for template, item := range doc.root["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			t.Run(method+" "+template, func(t *testing.T) {
				t.Parallel()
				server := generatedServer(t)
				g := generator{rand.New(rand.NewPCG(7, uint64(len(template)))), doc}
				pointer := "/paths/" + escapeStep(template) + "/" + method
				statuses := make(map[int]int)
				for range generatedPerOperation {
					var r fasthttp.Request
					g.fill(&r, method, template, pointer)
					sent := string(r.Header.Method()) + " " + string(r.RequestURI())
					verb, path := string(r.Header.Method()), string(r.URI().PathOriginal())
					got := serveGenerated(server, &r)
					statuses[got.status]++
					if got.status >= 500 {
						t.Fatalf("%s %s = %d %s", sent, short(string(r.Body())), got.status, got.body)
					}
					if err := doc.check(verb, path, got); err != nil {
						t.Fatalf("%s %s = %d %s is not as documented: %v", sent, short(string(r.Body())), got.status, short(got.body), err)
					}
				}
				if statuses[200]+statuses[201]+statuses[204] == 0 && !strings.Contains(template, "{profile}") {
					t.Errorf("no request was right: %v", statuses)
				}
			})
		}
	}
}

// quickTest is a gateway that takes everything.
func quickTest(context.Context, data.NewMessage) ([]Tried, int, []Fault, error) {
	return []Tried{{Result: data.Result{Outcome: data.OutcomeDelivered, Status: 200}}}, 1, nil, nil
}
