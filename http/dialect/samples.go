package dialect

import (
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/postrider/postrider/data"
)

// samples are messages that a declaration is tried with. The first is plain and
// must be rendered; of the others it may be that they do not fit.
var samples = []string{"hello", "", `"quoted" \ 'text'`, "two\r\nlines", "a\x00b", "{{message}}", "👍", "a/b?c=d&e#f%2e", ".."}

// try renders the samples, so that a declaration that cannot work is known when
// it is read and not when a message is due.
func (c *compiler) try(d *Dialect) {
	for i, text := range samples {
		r, err := d.Render(d.sample(text))
		if err != nil {
			if where := new(renderError); (i == 0 || !errors.Is(err, ErrUnfit)) && errors.As(err, &where) {
				c.complain(where.path, "does not render a sample: %s", where.err)
				return
			}
			continue
		}
		u, err := url.Parse(r.URL)
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
			c.complain("url", "does not render to a URL")
			return
		}
		if d.kind() == KindJSON && !json.Valid(r.Body) {
			c.complain("body.json", "does not render to JSON")
			return
		}
	}
}

// sampleTime is as long as other times in whatever form.
func sampleTime() time.Time { return time.Unix(1_700_000_000, 0) }

// sample is an input that has the same text everywhere.
func (d *Dialect) sample(text string) Input {
	in := Input{
		ID: data.FirstID(1), Gateway: "sample", Attempt: 1, Now: sampleTime(),
		To: text, Title: text, Text: text, Params: make(map[string]string, len(d.params())),
	}
	for _, name := range d.params() {
		in.Params[name] = text
	}
	return in
}
