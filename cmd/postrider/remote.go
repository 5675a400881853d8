package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/postrider/postrider/config"
)

const (
	// callTimeout bounds each request of a command to a server.
	callTimeout = 30 * time.Second
	// maxAnswer bounds an answer that a command takes as a whole. A page has a
	// megabyte and what its last entry is longer.
	maxAnswer = 16 << 20
)

// remote is the running server that a command talks to.
type remote struct {
	address string
	keyFile string
	trust   trust
	direct  bool         // it is sent no key, and not by a proxy
	base    string       // address without a slash at its end, once there is a client
	client  *http.Client // made with the first request
}

func (r *remote) flags(c *cobra.Command) {
	standard := config.Default().HTTP
	c.Flags().StringVar(&r.address, "server", ownAddress(standard, standard.Port), "address of the server")
	c.Flags().StringVar(&r.keyFile, "key-file", "", "file that holds the API key; without it POSTRIDER_KEY is used")
	r.trust.flags(c)
}

// serverAddress is an address of a server that paths can be put behind.
func serverAddress(address string) (string, error) {
	if scheme, _, ok := strings.Cut(strings.ToLower(address), "://"); !ok || scheme != "http" && scheme != "https" {
		return "", usageError{errors.New("the address of the server must begin with http:// or https://")}
	}
	return strings.TrimSuffix(address, "/"), nil
}

// errand is what a command asks of a server.
type errand struct {
	method string // "" means GET
	path   string // of the API, escaped
	query  url.Values
	body   []byte // JSON; nil for none
	header http.Header
	limit  time.Duration // 0 means callTimeout
	// status and kind are what an answer of ours has, where another 2xx would pass for
	// one; 0 and "" are anything.
	status int
	kind   string
	// goOn says what to do when nobody knows whether the server has it.
	goOn string
}

// call returns the answer to a when it is a 2xx.
func (r *remote) call(ctx context.Context, a errand) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(a.limit, callTimeout))
	defer cancel()
	body, err := r.stream(ctx, a)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, a.unanswered(ctx, err)
	case len(answer) > maxAnswer:
		return nil, errors.New("the answer is too long for this command; ask the API itself")
	}
	return answer, nil
}

// stream returns the answer to a, to be read and closed, when it is a 2xx. ctx
// bounds all of it.
func (r *remote) stream(ctx context.Context, a errand) (io.ReadCloser, error) {
	if err := r.connect(); err != nil {
		return nil, err
	}
	request, err := r.request(ctx, a)
	if err != nil {
		return nil, err
	}
	response, err := r.client.Do(request)
	if err != nil {
		return nil, a.unanswered(ctx, err)
	}
	if a.answers(response) {
		return response.Body, nil
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode/100 == 2 {
		return nil, errNotOurs
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxSummary<<4))
	if err != nil {
		return nil, a.unanswered(ctx, err)
	}
	return nil, refused{response.StatusCode, summary(answer)}
}

// answers reports whether what came is an answer to a that says yes.
func (a errand) answers(response *http.Response) bool {
	kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	return response.StatusCode/100 == 2 &&
		(a.status == 0 || a.status == response.StatusCode) && (a.kind == "" || a.kind == kind)
}

// connect makes the client. It follows no redirect, since only the server that
// was named is to have the key, and sends nothing twice by itself.
func (r *remote) connect() error {
	if r.client != nil {
		return nil
	}
	address, err := serverAddress(r.address)
	if err != nil {
		return err
	}
	r.base = address
	secured, err := r.trust.config()
	if err != nil {
		return err
	}
	transport := &http.Transport{
		Proxy:              http.ProxyFromEnvironment,
		DialContext:        (&net.Dialer{Timeout: callTimeout / 2}).DialContext,
		DisableCompression: true,
		TLSClientConfig:    secured,
	}
	if r.direct {
		transport.Proxy = nil
	}
	r.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return nil
}

func (r *remote) request(ctx context.Context, a errand) (*http.Request, error) {
	address := r.base + a.path
	if len(a.query) > 0 {
		address += "?" + a.query.Encode()
	}
	var body io.Reader
	if a.body != nil {
		body = bytes.NewReader(a.body)
	}
	request, err := http.NewRequestWithContext(ctx, cmp.Or(a.method, http.MethodGet), address, body)
	if err != nil {
		return nil, usageError{errors.New("the address of the server is not a URL")}
	}
	request.GetBody = nil         // what cannot be rewound is not sent again
	key, err := aside(ctx, r.key) // it may be a pipe
	if err != nil {
		return nil, err
	}
	maps.Copy(request.Header, a.header)
	request.Header.Set("User-Agent", "postrider/"+version)
	if a.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	return request, nil
}

// key returns the API key, "" for none.
func (r *remote) key() (string, error) {
	switch {
	case r.direct:
		return "", nil
	case r.keyFile == "":
		return os.Getenv("POSTRIDER_KEY"), nil
	}
	b, err := os.ReadFile(r.keyFile)
	if err != nil {
		return "", usageError{fmt.Errorf("read the API key: %w", err)}
	}
	return string(bytes.TrimSpace(b)), nil
}

// unanswered says why there is no answer, without the address, which can hold a
// password.
func (a errand) unanswered(ctx context.Context, err error) error {
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err
	}
	dialled, notDialled := errors.AsType[*net.OpError](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case errors.Is(err, errOtherCertificate):
		return fmt.Errorf("the server was not reached, its certificate is not trusted: %w", err)
	case untrusted:
		return fmt.Errorf("the server was not reached, its certificate is not trusted: %w; --ca-file names whom to trust", err)
	case notDialled && dialled.Op == "dial":
		return fmt.Errorf("the server was not reached, nothing was sent (%w); is it running?", dialled.Err)
	case errors.Is(err, http.ErrSchemeMismatch):
		return errors.New("the server was not reached, it does not speak TLS; then its address begins with http://")
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = errors.New("it took too long")
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		err = errors.New("the connection ended before it; if the server speaks TLS, its address begins with https://")
	case strings.HasPrefix(err.Error(), "net/http: HTTP/1.x transport connection broken"):
		err = errNotOurs
	case strings.Contains(err.Error(), "invalid header"):
		return usageError{errors.New("the API key, or another header, cannot be sent: it has a character that headers do not have")}
	}
	if a.goOn == "" {
		return fmt.Errorf("no complete answer: %w", err)
	}
	return fmt.Errorf("no complete answer, whether the server has it is not known: %w; %s", err, a.goOn)
}

// refused is the answer of a server that did not do it.
type refused struct {
	status int
	says   string
}

func (r refused) Error() string {
	text := fmt.Sprintf("the server refused it with %d: %s", r.status, r.says)
	if r.status == http.StatusUnauthorized {
		text += "; give the API key with --key-file or in POSTRIDER_KEY"
	}
	return text
}

// errNotOurs: there is an answer, and it is not one that Postrider gives.
var errNotOurs = errors.New("what answered is not Postrider")

// view is a command that shows what a server answers: to people, or as it is.
type view struct {
	server remote
	json   bool
}

func (v *view) flags(c *cobra.Command) {
	answerFlag(c, &v.json)
	v.server.flags(c)
}

// answerFlag is that of all commands that can print an answer as it is.
func answerFlag(c *cobra.Command, asJSON *bool) {
	c.Flags().BoolVar(asJSON, "json", false, "print the answer of the server, as JSON")
}

// show asks a server and prints its answer: as it is, or what text prints of it,
// which has it in into by then.
func (v *view) show(c *cobra.Command, what errand, into any, text func(io.Writer) error) error {
	answer, err := v.server.call(c.Context(), what)
	if err != nil {
		return err
	}
	if err := readAnswer(answer, into); err != nil {
		return err
	}
	if !v.json {
		return text(c.OutOrStdout())
	}
	// What cannot be shown to people is no answer of ours.
	if err := text(io.Discard); err != nil {
		return err
	}
	return printJSON(c.OutOrStdout(), answer)
}
