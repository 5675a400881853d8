package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// idleLimit is how long a server that sends an answer of any length may send nothing.
const idleLimit = time.Minute

// download asks for what has no length that is known before. It goes by the standard
// library's client, since the one that carries messages keeps answers in memory: one
// request, no redirects, no proxy.
func (r *remote) download(ctx context.Context, path string) (io.ReadCloser, error) {
	address, key, err := r.reach(path)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		cancel(nil)
		return nil, usageError{errUnsendable}
	}
	ask.Header.Set("User-Agent", "postrider/"+version)
	if key != "" {
		ask.Header.Set("Authorization", "Bearer "+key)
	}
	client := http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: callTimeout}).DialContext,
			TLSHandshakeTimeout:    callTimeout,
			ResponseHeaderTimeout:  callTimeout,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true,
			DisableKeepAlives:      true,
		},
	}
	answer, err := client.Do(ask)
	if err != nil {
		err = unreached(ctx, err)
		cancel(nil)
		return nil, err
	}
	d := &downloading{ReadCloser: answer.Body, cancel: cancel, ctx: ctx}
	d.idle = time.AfterFunc(idleLimit, func() { cancel(errIdle) })
	if answer.StatusCode != http.StatusOK {
		says, _ := io.ReadAll(io.LimitReader(d, 64<<10)) // what is cut off says less
		return nil, errors.Join(refused{answer.StatusCode, summary(says)}, d.Close())
	}
	return d, nil
}

var errIdle = errors.New("the server sends nothing any more")

// unreached says why there is no answer, without the URL, which can be a secret.
func unreached(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if _, dialling := errors.AsType[*net.OpError](err); dialling {
		return fmt.Errorf("%w; is it running?", errUnreached)
	}
	return fmt.Errorf("no answer: %w", err)
}

// downloading is the body of an answer that ends when nothing comes for too long.
type downloading struct {
	io.ReadCloser
	ctx    context.Context //nolint:containedctx // of the request
	cancel context.CancelCauseFunc
	idle   *time.Timer
}

func (d *downloading) Read(b []byte) (int, error) {
	n, err := d.ReadCloser.Read(b)
	if n > 0 {
		d.idle.Reset(idleLimit)
	}
	if err != nil && !errors.Is(err, io.EOF) && d.ctx.Err() != nil {
		err = context.Cause(d.ctx)
	}
	return n, err
}

// Close ends the request.
func (d *downloading) Close() error {
	d.idle.Stop()
	d.cancel(nil)
	return d.ReadCloser.Close()
}
