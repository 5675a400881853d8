package dialect

import (
	"slices"
	"strings"
	"time"

	"github.com/postrider/postrider/data"
)

// Input is what a request is made of: one attempt at one message. Its fields
// for the message are the same in each attempt.
type Input struct {
	ID         data.ID
	Gateway    string
	To         string
	Title      string
	Text       string
	Params     map[string]string
	AcceptedAt time.Time // when the message was accepted; it sets apart the uuids of messages with the same id
	Attempt    int       // from 1
	Now        time.Time // the wall time of the attempt
}

// Request is what goes to a gateway. It may hold secrets and is not for logs.
type Request struct {
	Method string
	URL    string
	Header []HeaderField // names in canonical form, none twice
	Body   []byte        // nil for a request that has none
}

// HeaderField is one header of a [Request].
type HeaderField struct{ Name, Value string }

// Render makes the request for one attempt. It is complete but for what the
// sender says of itself and, where there is a [Dialect.Grant], its Authorization. The
// error is [ErrUnfit] or [ErrTooLong], names the place, and quotes no value.
func (d *Dialect) Render(in Input) (Request, error) {
	r, err := d.compose(&in)
	if err == nil && d.auth != nil {
		d.auth.seal(&r, &in)
	}
	return r, err
}

// compose makes a request without what is made of all of it.
func (d *Dialect) compose(in *Input) (Request, error) {
	var fixed [nameCount + 4]string
	values, err := d.fill(fixed[:0], in)
	if err != nil {
		return Request{}, err
	}
	own := 2
	if d.auth != nil {
		own += 3
	}
	r := Request{Method: d.about.Method, Header: make([]HeaderField, 0, len(d.headers)+own)}
	if r.URL, err = d.target.render(values); err != nil {
		return Request{}, &renderError{"url", err}
	}
	size := len(r.URL)
	for i := range d.headers {
		h := &d.headers[i]
		if !h.when.in(values) {
			continue
		}
		value, err := render(h.value, values)
		if err == nil && padded(value) {
			err = blamePadding(h.value, value)
		}
		if size += len(value); err == nil && size > maxOutput {
			err = ErrTooLong
		}
		if err != nil {
			return Request{}, &renderError{"headers." + h.name, err}
		}
		r.Header = append(r.Header, HeaderField{h.name, value})
	}
	r.Header = append(r.Header, HeaderField{HeaderMessageID, values[nameID]}, HeaderField{HeaderAttempt, values[nameAttempt]})
	if d.kind() == KindNone {
		return r, nil
	}
	// A body that needs more than this much at once may grow into it.
	r.Body = make([]byte, 0, min(int(d.fixed)+int(d.uses)*(len(in.Text)+16), 64<<10))
	r.Body, err = appendParts(r.Body, d.body, values, d.charset)
	if err == nil && size+len(r.Body) > maxOutput {
		err = ErrTooLong
	}
	if err != nil {
		return Request{}, &renderError{"body", err}
	}
	return r, nil
}

// blamePadding makes ErrUnfit an error about the value among parts that begins
// or ends what they rendered to with a space.
func blamePadding(parts []part, rendered string) error {
	if strings.HasPrefix(rendered, " ") {
		return blame(parts)
	}
	last := slices.Clone(parts)
	slices.Reverse(last)
	return blame(last)
}

// renderError says where in the declaration a value did not fit.
type renderError struct {
	path string
	err  error
}

func (e *renderError) Error() string { return "render " + e.path + ": " + e.err.Error() }

func (e *renderError) Unwrap() error { return e.err }
