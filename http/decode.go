package httpapi

import (
	"bytes"

	"github.com/go-json-experiment/json"

	"github.com/postrider/postrider/data"
)

// eventBody is an event on the wire. A nil field was missing or null.
type eventBody struct {
	Type    *string `json:"event_type"`
	Payload *string `json:"event_payload"`
}

func (b *eventBody) complete() bool { return b.Type != nil && b.Payload != nil }

func (b *eventBody) event() data.NewEvent {
	return data.NewEvent{Type: *b.Type, Payload: *b.Payload}
}

// decodeEvents reads one event, or an array of 1 to [data.MaxEvents]. The
// strings it returns are copies. What it refuses is read a second time, to say
// everything that is wrong with it.
func decodeEvents(body []byte) (events []data.NewEvent, array bool, err error) {
	if bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) {
		var in []eventBody
		if err := decode(body, &in); err == nil && len(in) > 0 && len(in) <= data.MaxEvents {
			events = make([]data.NewEvent, 0, len(in))
			for i := range in {
				if !in[i].complete() {
					break
				}
				events = append(events, in[i].event())
			}
			if len(events) == len(in) {
				return events, true, nil
			}
		}
		return nil, false, inspect(body, eventShape())
	}
	var in eventBody
	if err := decode(body, &in); err != nil || !in.complete() {
		return nil, false, inspect(body, eventShape())
	}
	return []data.NewEvent{in.event()}, false, nil
}

// messageBody is a message on the wire. A nil field was missing or null.
type messageBody struct {
	Text    *string `json:"message"`
	Gateway *string `json:"gateway"`
}

// decodeMessage reads one message for a gateway that declared knows.
func decodeMessage(body []byte, declared func(name string) bool) (data.NewMessage, error) {
	var in messageBody
	if err := decode(body, &in); err != nil || in.Text == nil || in.Gateway == nil || !declared(*in.Gateway) {
		return data.NewMessage{}, inspect(body, messageShape(declared))
	}
	return data.NewMessage{Gateway: *in.Gateway, Text: *in.Text}, nil
}

// decode is strict: names count as they are written, unknown and duplicate ones
// are errors, and so are text that is not Unicode and anything after the value.
func decode(body []byte, v any) error {
	return json.Unmarshal(body, v, json.RejectUnknownMembers(true))
}
