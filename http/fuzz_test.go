package httpapi

import (
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/postrider/postrider/data"
)

func seed(f *testing.F) {
	for _, body := range []string{
		`{"event_type":"a","event_payload":"b"}`, `[{"event_type":"a","event_payload":"b"},{"event_payload":"","event_type":"\u0000"}]`,
		`{"message":"hello world","gateway":"gateway_1"}`, `{"message":"m","gateway":"nobody"}`, `{"gateway":null,"Message":1}`,
		`{"event_type":123,"event_payload":{}}`, `[]`, `[[]]`, `null`, ``, `{"event_type":"\ud800","event_payload":"b"}`,
		"{\"event_type\":\"\xff\",\"event_payload\":\"b\"}", `{"event_type":"a","event_payload":"b"}x`, `{"a":1,"a":1}`, `{"event_type":1,}`,
		strings.Repeat("[", 50), "\ufeff{}", `[1,null,{"":{}}]`,
	} {
		f.Add([]byte(body))
	}
}

// refused checks the properties of every refusal: the status says whether the
// body was JSON, and nothing of the body is repeated.
func refused(t *testing.T, body []byte, err error) {
	t.Helper()
	p := problemOf(err)
	want := 422
	if !jsontext.Value(body).IsValid() {
		want = 400
	}
	if p.Status != want {
		t.Fatalf("%q is refused with %d (%v), want %d", body, p.Status, err, want)
	}
	if len(p.Errors) == 0 || len(p.Errors) > maxFindings {
		t.Fatalf("%q is refused with %d findings", body, len(p.Errors))
	}
	pointers := regexp.MustCompile(`^(/[0-9]+)?(/event_type|/event_payload|/message|/gateway|/state|/cause|/after|/limit|/dry_run|/to|/title|/params|/expires_in)?$`)
	for _, f := range p.Errors {
		if f.Pointer != nil && !pointers.MatchString(*f.Pointer) {
			t.Fatalf("%q is refused at %q", body, *f.Pointer)
		}
	}
}

func FuzzDecodeEvents(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		events, array, err := decodeEvents(body)
		if err != nil {
			refused(t, body, err)
			return
		}
		if len(events) < 1 || len(events) > data.MaxEvents || !array && len(events) != 1 {
			t.Fatalf("%q gave %d events, array %t", body, len(events), array)
		}
		var out []map[string]string
		for _, e := range events {
			out = append(out, map[string]string{"event_type": e.Type, "event_payload": e.Payload})
		}
		again, err := json.Marshal(out)
		if err != nil {
			t.Fatalf("encode %q: %v", events, err)
		}
		decoded, array, err := decodeEvents(again)
		if err != nil || !array || len(decoded) != len(events) {
			t.Fatalf("%q, encoded again as %q, gave %q, %v", body, again, decoded, err)
		}
		for i := range events {
			if decoded[i] != events[i] {
				t.Fatalf("%q, encoded again, gave %q; first it was %q", body, decoded[i], events[i])
			}
		}
	})
}

func FuzzDecodeMessage(f *testing.F) {
	seed(f)
	f.Add([]byte(`{"message":"m","gateway":"g","to":"","title":"t","params":{"a":"b","c":""},"expires_in":"1h"}`))
	f.Add([]byte(`{"message":"m","gateway":"g","to":null,"params":{"a":1,"b":null,"":""},"expires_in":"-1h"}`))
	declared := func(name string) (data.Gateway, bool) {
		return data.Gateway{Name: name, MaxQueue: len(name)}, name != "nobody"
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		message, err := decodeMessage(body, declared)
		if err != nil {
			refused(t, body, err)
			if errors.Is(err, data.ErrUnknownGateway) && !strings.Contains(string(body), "nobody") && !strings.Contains(string(body), `\`) {
				t.Fatalf("%q is refused for its gateway", body)
			}
			return
		}
		fields := map[string]any{"message": message.Text, "gateway": message.Gateway, "to": message.To, "title": message.Title}
		if message.Params != nil {
			fields["params"] = message.Params
		}
		if message.ExpiresIn != 0 {
			fields["expires_in"] = message.ExpiresIn.String()
		}
		again, err := json.Marshal(fields)
		if err != nil {
			t.Fatalf("encode %+v: %v", message, err)
		}
		if decoded, err := decodeMessage(again, declared); err != nil || !reflect.DeepEqual(decoded, message) {
			t.Fatalf("%q, encoded again as %q, gave %+v, %v", body, again, decoded, err)
		}
	})
}

// FuzzDecodeResend: what is taken asks for dead letters that were not sent
// again, one page of them, and for all only where the body says nothing else.
func FuzzDecodeResend(f *testing.F) {
	seed(f)
	for _, body := range []string{
		`{}`, `{"gateway":"gateway_1","state":"failed","cause":"refused","after":"","limit":1000,"dry_run":true}`,
		`{"gateway":null}`, `{"state":"dead","limit":1}`, `{"limit":1e2}`, `{"limit":0,"gateway":"","state":"queued","cause":"x"}`,
		`{"limit":99999999999999999999,"dry_run":"true"}`, `{"limit":-0.5,"dry_run":false}`, `{"after":1}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q, dry, err := decodeResend(body)
		if err != nil {
			refused(t, body, err)
			return
		}
		var in map[string]any
		if err := json.Unmarshal(body, &in); err != nil {
			t.Fatalf("%q is taken: %v", body, err)
		}
		_, named := in["gateway"]
		_, caused := in["cause"]
		stated := in["state"] != nil && in["state"] != "dead"
		if named != (q.Gateway != "") || caused != (q.Cause != "") || stated != (len(q.States) == 1) || dry != (in["dry_run"] == true) {
			t.Fatalf("%q asks for %+v, dry run %t", body, q, dry)
		}
		if !q.Unsent || q.Limit < 1 || q.Limit > data.MaxResend || len(q.States) == 0 {
			t.Fatalf("%q asks for %+v", body, q)
		}
		for _, state := range q.States {
			if !state.Dead() {
				t.Fatalf("%q asks for messages that are %v", body, state)
			}
		}
	})
}

func FuzzOneLine(f *testing.F) {
	f.Add([]byte("two\r\nlines"))
	f.Add([]byte(strings.Repeat("\xff", 2000)))
	f.Fuzz(func(t *testing.T, body []byte) {
		line := oneLine(body)
		if strings.ContainsAny(line, "\r\n\x00\x1b\u2028") {
			t.Fatalf("%q is shown as %q", body, line)
		}
		if len(line) > 3*maxShown+len("…") {
			t.Fatalf("%d bytes are shown as %d", len(body), len(line))
		}
	})
}
