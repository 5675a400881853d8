package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 10

// idleTimeout is less than the five seconds after which common servers close a
// connection that nobody uses: the propagator's default interval is the same
// five, and what meets a connection being closed is lost.
const idleTimeout = 4 * time.Second

// poster posts JSON to a Postrider, ours or another: the propagator's events and
// the messages of the send command.
type poster struct {
	client *http.Client
	url    string
	key    string // API key; "" for none
}

func newPoster(url, key string) *poster {
	transport := &http.Transport{DisableCompression: true, MaxResponseHeaderBytes: maxAnswer, IdleConnTimeout: idleTimeout}
	return &poster{url: url, key: key, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// post sends one body and returns the answer. The error says why there was none,
// in words for people and without the URL, which can be a secret.
func (p *poster) post(ctx context.Context, body []byte, headers ...string) (status int, answer []byte, err error) {
	// A plain reader: with a body that can be rewound the transport would send
	// the request again by itself.
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, io.NopCloser(bytes.NewReader(body)))
	if err != nil {
		return 0, nil, errors.New("the address is not a URL")
	}
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "postrider/"+version)
	if p.key != "" {
		r.Header.Set("Authorization", "Bearer "+p.key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := p.client.Do(r)
	if err != nil {
		return 0, nil, withoutURL(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return 0, nil, withoutURL(err)
	}
	return response.StatusCode, answer, nil
}

// withoutURL unwraps the error of net/http that quotes the URL.
func withoutURL(err error) error {
	var quoting interface{ Unwrap() error }
	for errors.As(err, &quoting) && strings.Contains(err.Error(), "://") {
		err = quoting.Unwrap()
	}
	return err
}

// maxSummary bounds the line that an answer becomes, in bytes.
const maxSummary = 1 << 10

// summary says in one line what an answer means to people: the ids that were
// given, or what was refused and where. Whoever answered may be anybody, so the
// line is bounded and has nothing in it that a terminal would obey.
func summary(answer []byte) string {
	line := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, meaning(answer))
	if len(line) > maxSummary {
		line = strings.ToValidUTF8(line[:maxSummary], "") + "…"
	}
	return line
}

func meaning(answer []byte) string {
	var a struct {
		ID     string   `json:"id"`
		IDs    []string `json:"ids"`
		Title  string   `json:"title"`
		Detail string   `json:"detail"`
		Errors []struct {
			Pointer string `json:"pointer"`
			Detail  string `json:"detail"`
		} `json:"errors"`
	}
	err := json.Unmarshal(answer, &a, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	switch {
	case err != nil:
		return "(not an answer of Postrider)"
	case a.ID != "":
		return a.ID
	case len(a.IDs) > 0:
		return strings.Join(a.IDs, " ")
	}
	parts := []string{a.Title}
	for _, e := range a.Errors {
		parts = append(parts, fmt.Sprintf("%s: %s", e.Pointer, e.Detail))
	}
	if len(a.Errors) == 0 && a.Detail != "" {
		parts = append(parts, a.Detail)
	}
	return strings.Join(parts, "; ")
}
