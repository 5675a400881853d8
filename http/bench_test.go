package httpapi

import (
	"context"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/postrider/postrider/data"
)

// oneBody is an event of 350 bytes, the size of a usual notification.
var oneBody = `{"event_type":"user_joined","event_payload":"` + strings.Repeat("p", 350-len(`{"event_type":"user_joined","event_payload":""}`)) + `"}`

func BenchmarkDecodeEvent(b *testing.B) {
	body := []byte(oneBody)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := decodeEvents(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeEvents1000(b *testing.B) {
	body := []byte("[" + strings.Repeat(oneBody+",", 999) + oneBody + "]")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := decodeEvents(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeMessage(b *testing.B) {
	body := []byte(`{"gateway":"gateway_1","message":"` + strings.Repeat("m", 200) + `"}`)
	declared := func(name string) (data.Gateway, bool) { return data.Gateway{Name: name}, true }
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeMessage(body, declared); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRefuseEvent(b *testing.B) {
	body := []byte(`{"event_type":123,"event_payload":{}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := decodeEvents(body); err == nil {
			b.Fatal("accepted")
		}
	}
}

// discarding stores nothing, so that a benchmark measures this package.
type discarding struct{}

func (discarding) Save(_ context.Context, s *data.Save) error {
	s.First = data.FirstID(1)
	return nil
}

func benchmarkPost(b *testing.B, path, body string, headers ...string) {
	server := newServer(b, newStore(), func(o *Options) { o.Saver = discarding{} })
	var rc fasthttp.RequestCtx
	rc.Request.Header.SetMethod("POST")
	rc.Request.SetRequestURI(path)
	rc.Request.Header.SetHost("127.0.0.1:5000")
	rc.Request.SetBodyString(body)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		rc.Request.Header.Set(name, value)
	}
	b.ReportAllocs()
	for b.Loop() {
		rc.Response.Reset()
		server.serve(&rc)
		if rc.Response.StatusCode()/100 != 2 {
			b.Fatalf("status %d: %s", rc.Response.StatusCode(), rc.Response.Body())
		}
	}
}

func BenchmarkPostEvent(b *testing.B)    { benchmarkPost(b, "/event", oneBody) }
func BenchmarkPostEventKey(b *testing.B) { benchmarkPost(b, "/event", oneBody, "Idempotency-Key: k") }

func BenchmarkPostMessage(b *testing.B) {
	benchmarkPost(b, "/send_message", `{"message":"hello world","gateway":"gateway_1"}`)
}
