package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
	"github.com/postrider/postrider/http/ui"
)

// poster posts the propagator's events to a Postrider, ours or another. It goes by
// the client that carries messages, which bounds whatever the other side does.
type poster struct {
	client  *egress.Client
	url     string
	headers []dialect.HeaderField
}

// newPoster posts to address. A user and password in it become a header, unless
// there is an API key.
func newPoster(address, key string) *poster {
	p := &poster{client: egress.New(egress.Options{Version: version}), url: address}
	p.headers = []dialect.HeaderField{{Name: "Content-Type", Value: "application/json"}}
	switch u, err := url.Parse(address); {
	case key != "":
		p.headers = append(p.headers, dialect.HeaderField{Name: "Authorization", Value: "Bearer " + key})
	case err == nil && u.User != nil:
		password, _ := u.User.Password()
		basic := base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password))
		p.headers = append(p.headers, dialect.HeaderField{Name: "Authorization", Value: "Basic " + basic})
	}
	return p
}

// Why a post has no answer, in words for people and without the URL, which can
// be a secret.
var (
	errUnsendable = errors.New("the address is not a URL, or a header cannot be sent")
	errUnreached  = errors.New("the server was not reached, nothing was sent")
	errNoAnswer   = errors.New("no complete answer, whether the server has it is not known")
)

// post sends one body, which ctx bounds in time, and returns the answer.
func (p *poster) post(ctx context.Context, body []byte, more ...dialect.HeaderField) (status int, answer []byte, err error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0, nil, errors.New("a post has no time limit") // a bug
	}
	r := dialect.Request{Method: http.MethodPost, URL: p.url, Header: slices.Concat(p.headers, more), Body: body}
	a, cause := p.client.Do(ctx, r, time.Until(deadline))
	switch cause {
	case data.CauseNone:
		return a.Status, a.Body, nil
	case data.CauseRendering:
		return 0, nil, errUnsendable
	case data.CauseRefused, data.CauseDNS, data.CauseUnreached, data.CauseTLS:
		return 0, nil, fmt.Errorf("%w (%s)", errUnreached, cause)
	case data.CauseTimeout:
		return 0, nil, fmt.Errorf("%w: %w", errNoAnswer, context.DeadlineExceeded)
	case data.CauseCutOff:
		return 0, nil, fmt.Errorf("%w: %w", errNoAnswer, context.Cause(ctx))
	}
	return 0, nil, fmt.Errorf("%w (%s)", errNoAnswer, cause)
}

// maxSummary bounds the line that an answer becomes, in bytes.
const maxSummary = 1 << 10

// summary says in one line what an answer means to people: the ids that were
// given, or what was refused and where. Whoever answered may be anybody, so the
// line is bounded and has nothing in it that a terminal would obey.
func summary(answer []byte) string { return printable(meaning(answer)) }

// printable makes a bounded line of what somebody said, see summary.
func printable(said string) string {
	line := strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || !ui.Visible(r) {
			return ' '
		}
		return r
	}, said)
	if len(line) > maxSummary {
		line = strings.ToValidUTF8(line[:maxSummary], "") + "…"
	}
	return line
}

// notOurs stands for an answer that no Postrider gives.
const notOurs = "(not an answer of Postrider)"

func meaning(answer []byte) string {
	var a struct {
		ID     string   `json:"id"`
		IDs    []string `json:"ids"`
		Title  string   `json:"title"`
		Detail string   `json:"detail"`
		As     string   `json:"resent_as"`
		Why    []string `json:"reasons"`
		Errors []struct {
			Pointer   string `json:"pointer"`
			Parameter string `json:"parameter"`
			Key       string `json:"key"`
			Detail    string `json:"detail"`
		} `json:"errors"`
	}
	err := json.Unmarshal(answer, &a, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	switch {
	case err != nil:
		return notOurs
	case len(a.IDs) > 0: // also of a message that was split
		return strings.Join(a.IDs, " ")
	case a.ID != "":
		return a.ID
	case a.As != "":
		return a.Title + " as " + a.As
	case len(a.Why) > 0: // they say all that the title does
		return strings.Join(a.Why, "; ")
	case a.Title == "" && a.Detail == "" && len(a.Errors) == 0:
		return notOurs
	}
	parts := []string{a.Title}
	for _, e := range a.Errors {
		parts = append(parts, strings.TrimPrefix(cmp.Or(e.Pointer, e.Parameter, e.Key)+": "+strings.TrimSuffix(e.Detail, "."), ": "))
	}
	if len(a.Errors) == 0 && a.Detail != "" {
		parts = append(parts, a.Detail)
	}
	return strings.Join(parts, "; ")
}
