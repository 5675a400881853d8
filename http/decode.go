package httpapi

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

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

// messageBody is a message on the wire. A nil field was missing or null. Optional
// ones have kinds of their own, which take no null.
type messageBody struct {
	Text      *string `json:"message"`
	Gateway   *string `json:"gateway"`
	To        text    `json:"to"`
	Title     text    `json:"title"`
	Params    params  `json:"params"`
	ExpiresIn expiry  `json:"expires_in"`
}

// errNotSo refuses a body, of which inspect then says what is wrong.
var errNotSo = errors.New("not what the field takes")

// text is a string and not null.
type text string

func (t *text) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	token, err := d.ReadToken()
	if err == nil && token.Kind() != '"' {
		err = errNotSo
	}
	if err == nil {
		*t = text(token.String())
	}
	return err
}

// params is a flat map of strings.
type params map[string]string

func (p *params) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if token, err := d.ReadToken(); err != nil || token.Kind() != '{' {
		return cmp.Or(err, errNotSo)
	}
	for d.PeekKind() != '}' {
		token, err := d.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		var value text
		if err := value.UnmarshalJSONFrom(d); err != nil {
			return err
		}
		if !mayNameParam(name) || len(*p) == data.MaxParams {
			return errNotSo
		}
		if *p == nil {
			*p = make(params)
		}
		(*p)[name] = string(value)
	}
	_, err := d.ReadToken()
	return err
}

func mayNameParam(name string) bool { return name != "" && len(name) <= data.MaxParamName }

// expiry is how long a message is wanted.
type expiry time.Duration

func (e *expiry) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	var t text
	if err := t.UnmarshalJSONFrom(d); err != nil {
		return err
	}
	after, ok := parseExpiry(string(t))
	if !ok {
		return errNotSo
	}
	*e = expiry(after)
	return nil
}

func parseExpiry(text string) (time.Duration, bool) {
	after, err := time.ParseDuration(text)
	return after, err == nil && after > 0 && after <= data.MaxExpiry
}

// decodeMessage reads one message for a gateway that declared knows. It asks for
// the gateway once: the next answer may be another one. With
// [data.ErrUnknownGateway] it returns the message too, nothing else being wrong.
func decodeMessage(body []byte, declared func(name string) (data.Gateway, bool)) (data.NewMessage, error) {
	var in messageBody
	err := decode(body, &in)
	if err != nil || in.Text == nil || in.Gateway == nil {
		return data.NewMessage{}, inspect(body, messageShape(func(name string) bool {
			_, ok := declared(name)
			return ok
		}))
	}
	gateway, ok := declared(*in.Gateway)
	if !ok {
		err = inspect(body, messageShape(func(string) bool { return false }))
	}
	return data.NewMessage{
		Gateway: *in.Gateway, Text: *in.Text, To: string(in.To), Title: string(in.Title), Params: in.Params,
		ExpiresIn: time.Duration(in.ExpiresIn), MaxQueue: gateway.MaxQueue,
	}, err
}

// trialBody is a message that a gateway is tried with. A nil field was missing or
// null.
type trialBody struct {
	Text   *string `json:"message"`
	To     text    `json:"to"`
	Title  text    `json:"title"`
	Params params  `json:"params"`
}

// decodeTrial reads a message that gateway is tried with.
func decodeTrial(body []byte, gateway string) (data.NewMessage, error) {
	var in trialBody
	if err := decode(body, &in); err != nil || in.Text == nil {
		return data.NewMessage{}, inspect(body, trialShape())
	}
	return data.NewMessage{
		Gateway: gateway, Text: *in.Text, To: string(in.To), Title: string(in.Title), Params: in.Params,
	}, nil
}

// resendBody says which dead letters to send again. A nil field was missing.
type resendBody struct {
	Gateway *string `json:"gateway"`
	State   *string `json:"state"`
	Cause   *string `json:"cause"`
	After   *string `json:"after"`
	Limit   *int    `json:"limit"`
	DryRun  bool    `json:"dry_run"`
}

// decodeResend reads which dead letters to send again: all of them that nothing
// in the body leaves out. It looks at every body closely, since null, which is
// nothing to the decoder, must not come to mean all.
func decodeResend(body []byte) (q data.MessageQuery, dry bool, err error) {
	if err := examine(body, resendShape()); err != nil {
		return data.MessageQuery{}, false, err
	}
	var in resendBody
	if err := decode(body, &in); err != nil {
		return data.MessageQuery{}, false, fmt.Errorf("read a body that was found good: %w", err)
	}
	q = data.MessageQuery{States: data.DeadStates(), Unsent: true, Limit: data.MaxResend}
	if in.Gateway != nil {
		q.Gateway = *in.Gateway
	}
	if in.State != nil && *in.State != stateDead {
		state, _ := data.ParseState(*in.State)
		q.States = []data.State{state}
	}
	if in.Cause != nil {
		q.Cause = data.Cause(*in.Cause)
	}
	if in.After != nil {
		q.After = *in.After
	}
	if in.Limit != nil {
		q.Limit = *in.Limit
	}
	return q, in.DryRun, nil
}

// decode is strict: names count as they are written, unknown and duplicate ones
// are errors, and so are text that is not Unicode and anything after the value.
func decode(body []byte, v any) error {
	return json.Unmarshal(body, v, json.RejectUnknownMembers(true))
}
