// Package presettest has a strict fake of the API of each preset, for tests: what
// a request must look like to the letter, taken from the API's documentation and
// not from the preset, and what the API answers, with what such an answer means.
package presettest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postrider/postrider/data"
)

// Fake stands in for the API of one preset. In its texts {message}, {title}, {to},
// {gateway}, {id} and {attempt} stand for those of the message that was sent. Alone
// {uuid} stands for its UUID, {*} for any text that is not empty, and in JSON {?title}
// for a title that is not there at all when it is empty.
type Fake struct {
	Preset   string
	Settings map[string]string // what the gateway gives; {server} is the address of the API
	URL      string            // what the gateway gives as url, if the preset has none
	Host     string            // the host of the API, if the gateway cannot choose it
	To       string            // whom the sample is for, as this API writes it

	Method string
	Path   string            // segments as they are meant, not as they are encoded
	Query  map[string]string // all there must be
	Header map[string]string // what must be there beside Content-Type, with its one value
	JSON   string            // the body; at most one of the three is set
	Form   map[string]string
	XML    string
	Verify func(Request, time.Time) error // what else the API checks, such as a signature

	Cases []Case
}

// Case is an answer of the API and what it means.
type Case struct {
	Name string
	Answer
	Outcome data.Outcome
	Hint    time.Duration // how long the API says to wait, at [Now]
}

// Heeds reports whether a hint is the one of the case. It may be rounded up to a
// second, since early is worse than late.
func (c Case) Heeds(hint time.Duration) bool {
	return hint >= c.Hint && hint < c.Hint+time.Second && (c.Hint > 0 || hint == 0)
}

// Answer is what the API answers.
type Answer struct {
	Status int
	Header map[string]string
	Body   string
}

// Request is one that was sent.
type Request struct {
	Method string
	URL    *url.URL // a server sees no scheme and host
	Header http.Header
	Body   []byte
}

// Sent is what a request was made of.
type Sent struct {
	ID      string
	UUID    string // that is derived for the message; "" for any
	Gateway string
	Message string
	Title   string
	To      string
	Attempt int
	Time    time.Time // of the attempt; zero means now
}

// Now is the time of the sample and of the answers that name one.
func Now() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC) }

// Sample is a message with all that could break a request, accepted a minute before
// [Now], and the second attempt at it. The golden requests are made of it.
func (f Fake) Sample() Sent {
	return Sent{
		ID:      data.FirstID(1).String(),
		UUID:    "32612f2a-74f7-5ab5-a7cb-fd5137d66a82",
		Gateway: "gateway_1",
		Message: "Disk \"sda1\" is 91% full & <hot>; a/b?c=d+e #1\nZweite Zeile: ü 👍",
		Title:   "Disk \"sda1\" & more",
		To:      f.To,
		Attempt: 2,
		Time:    Now(),
	}
}

// All returns the fakes of all presets, sorted by name.
func All() []Fake {
	fakes := slices.Concat(generic(), chat(), china(), push(), alerts(), sms(), mail())
	slices.SortFunc(fakes, func(a, b Fake) int { return cmp.Compare(a.Preset, b.Preset) })
	return fakes
}

// Gateway returns the declaration of a gateway that uses the preset for an API at
// the address server, such as http://127.0.0.1:5000, also where the preset names
// the host.
func (f Fake) Gateway(server string) map[string]any {
	settings := map[string]any{}
	for name, value := range f.Settings {
		settings[name] = strings.ReplaceAll(value, "{server}", server)
	}
	gateway := map[string]any{"preset": f.Preset, "settings": settings}
	if f.URL != "" {
		gateway["url"] = strings.ReplaceAll(f.URL, "{server}", server)
	}
	if f.Host != "" {
		gateway["url"] = server + f.Path
	}
	return gateway
}

// Check returns all in which a request is not what the API wants for s.
func (f Fake) Check(r Request, s Sent) error {
	var errs []error
	complain := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	e := newExpander(s)
	if r.Method != f.Method {
		complain("method is %s, want %s", r.Method, f.Method)
	}
	if f.Host != "" && r.URL.Host != "" && r.URL.Host != f.Host {
		complain("host is %s, want %s", r.URL.Host, f.Host)
	}
	if got, want := segments(r.URL.EscapedPath()), strings.Split(f.Path, "/"); !slices.EqualFunc(got, want, e.matches) {
		complain("path is %q, want %q", got, e.text(f.Path))
	}
	if err := e.values("query", r.URL.RawQuery, f.Query); err != nil {
		errs = append(errs, err)
	}
	for _, name := range []string{"Authorization", "X-Gotify-Key"} {
		if _, wanted := f.Header[name]; !wanted && r.Header[name] != nil {
			complain("header %s is there", name)
		}
	}
	for name, want := range f.Header {
		if got := r.Header[name]; len(got) != 1 || !e.matches(got[0], want) {
			complain("header %s is %q, want %q", name, got, e.text(want))
		}
	}
	if err := f.checkBody(r, e); err != nil {
		errs = append(errs, err)
	}
	if f.Verify != nil {
		now := s.Time
		if now.IsZero() {
			now = time.Now()
		}
		if err := f.Verify(r, now); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Handler serves the API. The message that a request is about is looked up by its
// header Postrider-Message-Id. A request that Check refuses is reported and
// answered with a 400; others get what answer returns.
func (f Fake) Handler(sent func(id string) Sent, answer func(Sent) Answer, report func(error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		s := sent(r.Header.Get("Postrider-Message-Id"))
		s.Attempt, _ = strconv.Atoi(r.Header.Get("Postrider-Attempt"))
		err = errors.Join(err, f.Check(Request{Method: r.Method, URL: r.URL, Header: r.Header, Body: body}, s))
		if err != nil {
			report(fmt.Errorf("%s: %w", f.Preset, err))
			http.Error(w, "not what this API takes", http.StatusBadRequest)
			return
		}
		a := answer(s)
		for name, value := range a.Header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(a.Status)
		_, _ = io.WriteString(w, a.Body)
	})
}

// The kinds of cases.

func delivered(name string, status int, body string) Case {
	return Case{Name: name, Answer: Answer{Status: status, Body: body}, Outcome: data.OutcomeDelivered}
}

func temporary(name string, status int, body string) Case {
	return Case{Name: name, Answer: Answer{Status: status, Body: body}, Outcome: data.OutcomeTemporary}
}

func permanent(name string, status int, body string) Case {
	return Case{Name: name, Answer: Answer{Status: status, Body: body}, Outcome: data.OutcomePermanent}
}

// throttled is an answer that says to wait; the headers are name, value and so on.
func throttled(name string, status int, body string, hint time.Duration, headers ...string) Case {
	a := Answer{Status: status, Body: body, Header: map[string]string{}}
	for i := 0; i+1 < len(headers); i += 2 {
		a.Header[headers[i]] = headers[i+1]
	}
	return Case{Name: name, Answer: a, Outcome: data.OutcomeThrottled, Hint: hint}
}

// unix is the Unix time of a moment so long after the second of [Now].
func unix(after time.Duration) string {
	return strconv.FormatInt(Now().Truncate(time.Second).Add(after).Unix(), 10)
}

// untilUnix is how long it is from [Now] to what unix returns.
func untilUnix(after time.Duration) time.Duration {
	return Now().Truncate(time.Second).Add(after).Sub(Now())
}
