package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/postrider/postrider/data"
	httpapi "github.com/postrider/postrider/http"
)

// nowhere stands for the store and the gateways. It gives every record an id
// and forgets it.
type nowhere struct {
	httpapi.Reader
	httpapi.Trier
	httpapi.Overview
}

func (nowhere) Save(_ context.Context, s *data.Save) error {
	s.First = data.FirstID(1)
	return nil
}

func (nowhere) Cancel(context.Context, data.ID) (data.Message, error) {
	return data.Message{}, data.ErrNotFound
}

func (nowhere) Resend(_ context.Context, ids []data.ID) ([]data.Resent, error) {
	return make([]data.Resent, len(ids)), nil
}

func (nowhere) Pause(context.Context, string, bool) error { return nil }

func (nowhere) Backup(context.Context, io.Writer, func(entries, bytes int64)) error { return nil }
func (nowhere) MayBackUp() error                                                    { return nil }

func (nowhere) Gateway(name string) (data.Gateway, bool) {
	return data.Gateway{Name: name}, name == "gateway_1"
}

func (nowhere) Gateways() []data.Gateway { return []data.Gateway{{Name: "gateway_1"}} }

// Example starts a server and sends it an event, a message, and a mistake.
func Example() {
	server, err := httpapi.New(httpapi.Options{
		Saver: nowhere{}, Canceller: nowhere{}, Resender: nowhere{}, Pauser: nowhere{}, Reader: nowhere{}, Gateways: nowhere{}, Trier: nowhere{},
		Overview: nowhere{}, Backuper: nowhere{},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() { _ = server.Serve(ln) }()

	post := func(path, body string) {
		answer, err := http.Post("http://"+ln.Addr().String()+path, "application/json", strings.NewReader(body))
		if err != nil {
			fmt.Println(err)
			return
		}
		text, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		fmt.Println(answer.StatusCode, string(text))
	}
	post("/event", `{"event_type": "message", "event_payload": "hello"}`)
	post("/event", `[{"event_type": "a", "event_payload": "1"}, {"event_type": "a", "event_payload": "2"}]`)
	post("/send_message", `{"message": "hello world", "gateway": "gateway_1"}`)
	post("/send_message", `{"message": "hello world", "gateway": "gateway_7"}`)

	http.DefaultClient.CloseIdleConnections()
	if err := server.Shutdown(context.Background()); err != nil {
		fmt.Println(err)
	}

	// Output:
	// 201 {"id":"000g000000002"}
	// 201 {"ids":["000g000000002","000g000000004"]}
	// 200 {"id":"000g000000002","gateway":"gateway_1","state":"queued"}
	// 422 {"type":"urn:postrider:problem:unknown-gateway","title":"Unknown gateway","status":422,"detail":"No gateway of this name is declared; GET /api/v1/gateways lists those that are.","errors":[{"pointer":"/gateway","code":"unknown_gateway","detail":"No gateway of this name is declared."}]}
}
