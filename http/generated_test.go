package httpapi

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"slices"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/openapi"
)

// generatedPerOperation is how many requests each operation gets.
const generatedPerOperation = 2000

// serveGenerated sends a request past the socket and reads the answer.
func serveGenerated(s *Server, r *fasthttp.Request) reply {
	var rc fasthttp.RequestCtx
	rc.Init(r, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, nil) // profiles are for this machine
	s.serve(&rc)
	got := reply{status: rc.Response.StatusCode(), header: http.Header{}}
	for name, value := range rc.Response.Header.All() {
		got.header.Add(string(name), string(value))
	}
	if got.status == http.StatusNoContent {
		got.header.Del("Content-Type") // which is not written then
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
	store.gateways = append(slices.Clone(store.gateways), data.Gateway{Name: "made", Origin: data.OriginAPI, Method: "POST", URL: "https://example.org/***", Body: "json"})
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

// generatedStock is what that one has. No profile over time is asked for: it takes
// its time.
func generatedStock() *openapi.Stock {
	stock := map[string][]any{
		"GatewayName":   {"gateway_1", "gateway_99", "broken", "made", "nobody"},
		"profile":       {"heap", "allocs", "goroutine", "block", "mutex", "threadcreate"},
		"Host":          {"h"},
		"Origin":        {"", "", "", "", "", "", "", "", "http://h", "http://evil", "null"},
		"Authorization": {"Bearer admin", "Bearer admin", "Bearer admin", "Bearer admin", "Bearer admin", "Bearer read", "Bearer operate", "Bearer x", ""},
	}
	for i := range data.ID(8) {
		stock["ID"] = append(stock["ID"], (data.FirstID(1) + i).String())
	}
	return openapi.NewStock(stock)
}

// TestGeneratedRequests sends every operation many requests. None may fail for a
// reason of ours, and every answer is as documented.
func TestGeneratedRequests(t *testing.T) {
	doc := openDocument(t)
	for i, o := range doc.Operations() {
		t.Run(o.Method+" "+o.Path, func(t *testing.T) {
			t.Parallel()
			server, stock := generatedServer(t), generatedStock()
			g := openapi.NewGenerator(doc, stock, uint64(i))
			statuses := make(map[int]int)
			for range generatedPerOperation {
				var r fasthttp.Request
				g.Fill(&r, o)
				verb, target := string(r.Header.Method()), string(r.Header.RequestURI())
				path, _, _ := bytes.Cut(r.Header.RequestURI(), []byte("?"))
				got := serveGenerated(server, &r)
				if verb == o.Method {
					statuses[got.status]++
				}
				if got.status >= 500 {
					t.Fatalf("%s %s %s = %d %s", verb, target, short(string(r.Body())), got.status, got.body)
				}
				if err := doc.Check(verb, string(path), got.checked()); err != nil {
					t.Fatalf("%s %s %s = %d %s is not as documented: %v", verb, target, short(string(r.Body())), got.status, short(got.body), err)
				}
				stock.Learn(got.checked())
			}
			if statuses[200]+statuses[201]+statuses[204] == 0 {
				t.Errorf("no request was right: %v", statuses)
			}
		})
	}
}

// quickTest is a gateway that takes everything.
func quickTest(context.Context, data.NewMessage) ([]Tried, int, []Fault, error) {
	return []Tried{{Result: data.Result{Outcome: data.OutcomeDelivered, Status: 200}}}, 1, nil, nil
}
