package dialect

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/postrider/postrider/data"
)

// Message is what a client submits, as far as a dialect looks at it.
type Message struct {
	To     string
	Title  string
	Text   string
	Params map[string]string
}

// Fault is one reason why a message cannot go to a gateway. It quotes nothing
// of the message.
type Fault struct {
	Pointer string // a JSON pointer into what was submitted: /message, /to, /params/order; "" for all of it
	Code    string // one of those below
	Detail  string // a sentence about it
}

// The codes of faults.
const (
	FaultRequired = "required" // the gateway needs the field, and it is missing or empty
	FaultTooLong  = "too_long" // it is longer than the gateway takes
	FaultUnfit    = "unfit"    // it has something that cannot be sent there, in the place it has there
)

// needs compiles the fields that no message may lack.
func (c *compiler) needs(fields []string) []int {
	c.bound("needs", len(fields), maxParams)
	var needs []int
	for i, field := range fields {
		path := fmt.Sprintf("needs[%d]", i)
		value, ok := c.messageField(path, field)
		if ok && slices.Contains(needs, value) {
			c.complain(path, "is given twice")
		}
		needs = append(needs, value)
	}
	return needs
}

// messageField returns the value of a field that clients submit.
func (c *compiler) messageField(path, field string) (value int, ok bool) {
	switch field {
	case names[nameMessage]:
		return nameMessage, true
	case names[nameTo]:
		return nameTo, true
	case names[nameTitle]:
		return nameTitle, true
	}
	name, found := strings.CutPrefix(field, prefixParams)
	if !found {
		c.complain(path, "must be message, to, title or params.NAME")
		return 0, false
	}
	p, mistake, hint := c.param(name)
	if mistake != "" {
		c.complain(path, "%s, %s", mistake, hint)
	}
	return p.value, mistake == ""
}

// Check returns what keeps the message from its gateway, nil for nothing.
func (d *Dialect) Check(m Message) []Fault {
	_, faults := d.Fit(m)
	return faults
}

// Fit makes of a message what is sent to the gateway: most often itself, else
// with fields cut off or as several, in order. It is for those who accept
// messages: what it returns without faults can be rendered.
func (d *Dialect) Fit(m Message) ([]Message, []Fault) {
	w := cmp.Or(d.wants, &wants{})
	faults := d.missing(m, w.needs)
	for _, l := range w.lengths {
		v := d.field(m, l.value)
		if l.over == Split || l.unit.of(v) <= l.limit {
			continue
		}
		if l.over == Truncate {
			m = d.with(m, l.value, l.truncate(v, d.ellipsis()))
		} else {
			faults = append(faults, l.fault(d.pointer(l.value)))
		}
	}
	fitted, fault := d.split(m, w.lengths)
	if fault != nil {
		faults = append(faults, *fault)
	}
	for _, m := range fitted {
		if unfit := d.unfit(m, faults); len(unfit) > 0 {
			faults = append(faults, unfit...)
			break
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return fitted, nil
}

// split returns the parts of a message, which most often is one.
func (d *Dialect) split(m Message, lengths []length) (fitted []Message, fault *Fault) {
	for _, l := range lengths {
		if l.over != Split || l.unit.of(m.Text) <= l.limit {
			continue
		}
		texts, ok := l.split(m.Text)
		if !ok {
			return []Message{m}, new(l.fault(d.pointer(l.value)))
		}
		for _, text := range texts {
			m.Text = text
			fitted = append(fitted, m)
		}
		return fitted, nil
	}
	return []Message{m}, nil
}

func (d *Dialect) missing(m Message, needs []int) (faults []Fault) {
	for _, value := range needs {
		if d.field(m, value) == "" {
			faults = append(faults, Fault{d.pointer(value), FaultRequired, "This gateway needs the field."})
		}
	}
	return faults
}

func (l length) fault(pointer string) Fault {
	detail := fmt.Sprintf("This gateway takes at most %d %s.", l.limit, l.unit)
	if l.over == Split {
		detail = fmt.Sprintf("This gateway takes at most %d %s at once, and a message is sent in %d parts at most.", l.limit, l.unit, MaxParts)
	}
	return Fault{pointer, FaultTooLong, detail}
}

// unfit renders the message to find what does not fit its place, beyond the
// faults that are known. Each value that does not is replaced by one that does,
// so that the next one shows.
func (d *Dialect) unfit(m Message, known []Fault) (faults []Fault) {
	for range nameCount + len(d.params()) {
		r, err := d.compose(&Input{
			ID: data.FirstID(1), Gateway: "sample", Attempt: 1, Now: sampleTime(), To: m.To, Title: m.Title, Text: m.Text, Params: m.Params,
		})
		if err == nil {
			if most := d.mostBody(); len(known)+len(faults) == 0 && len(r.Body) > most {
				detail := fmt.Sprintf("This gateway takes a body of at most %d bytes, and the message makes a longer one.", most)
				return []Fault{{Code: FaultTooLong, Detail: detail}}
			}
			return faults
		}
		value := nameMessage
		fault := Fault{Code: FaultTooLong, Detail: "The request that this makes is too long."}
		if errors.Is(err, ErrUnfit) {
			fault = Fault{Code: FaultUnfit, Detail: "This has something that cannot be sent to this gateway, or is empty where that cannot be."}
			value = nameCount + len(d.params())
			if about, ok := errors.AsType[*misfit](err); ok {
				value = about.value
			}
		}
		if fault.Pointer = d.pointer(value); fault.Pointer == "" {
			return append(faults, fault)
		}
		same := func(f Fault) bool { return f.Pointer == fault.Pointer }
		if slices.ContainsFunc(faults, same) {
			return faults
		}
		if !slices.ContainsFunc(known, same) {
			faults = append(faults, fault)
		}
		m = d.with(m, value, "x")
	}
	return faults
}

// mostBody is how many bytes a body may have.
func (d *Dialect) mostBody() int {
	if d.wants == nil || d.wants.body == 0 {
		return maxOutput
	}
	return d.wants.body
}

// field returns a value that was submitted.
func (d *Dialect) field(m Message, value int) string {
	switch value {
	case nameMessage:
		return m.Text
	case nameTo:
		return m.To
	case nameTitle:
		return m.Title
	}
	return m.Params[d.params()[value-nameCount]]
}

// with returns m with another text in one field.
func (d *Dialect) with(m Message, value int, text string) Message {
	switch value {
	case nameMessage:
		m.Text = text
	case nameTo:
		m.To = text
	case nameTitle:
		m.Title = text
	default:
		if m.Params = maps.Clone(m.Params); m.Params == nil {
			m.Params = make(map[string]string)
		}
		m.Params[d.params()[value-nameCount]] = text
	}
	return m
}

// pointer says where a value was submitted, "" when it was not.
func (d *Dialect) pointer(value int) string {
	switch {
	case value == nameMessage, value == nameTo, value == nameTitle:
		return "/" + names[value]
	case value >= nameCount && value < nameCount+len(d.params()):
		return "/params/" + d.params()[value-nameCount]
	}
	return ""
}

// ellipsis shows that something was cut off.
func (d *Dialect) ellipsis() string {
	if _, err := d.charset.append(nil, "…"); err != nil {
		return "..."
	}
	return "…"
}
