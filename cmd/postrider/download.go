package main

import (
	"context"
	"errors"
	"io"
	"time"
)

// idleLimit is how long a server that sends an answer of any length may send nothing.
const idleLimit = time.Minute

// download asks for what has no length that is known before.
func (r *remote) download(ctx context.Context, path string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	d := &downloading{ctx: ctx, cancel: cancel, idle: time.AfterFunc(idleLimit, func() { cancel(errIdle) })}
	body, err := r.stream(ctx, errand{path: path, kind: "application/octet-stream"})
	if err != nil {
		d.stop()
		return nil, err
	}
	d.ReadCloser = body
	return d, nil
}

var errIdle = errors.New("the server sends nothing any more")

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

func (d *downloading) stop() {
	d.idle.Stop()
	d.cancel(nil)
}

// Close ends the request.
func (d *downloading) Close() error {
	d.stop()
	return d.ReadCloser.Close()
}
