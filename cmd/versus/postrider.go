package main

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// postrider is the program, as it is shipped.
type postrider struct {
	program *rig.Program
	child   *rig.Child
}

func (p *postrider) start(ctx context.Context, at site) (url string, err error) {
	p.program, err = rig.NewProgram(at.program, at.dir, configuration(cmp.Or(at.sink, nobody), at.workers, nil))
	if err != nil {
		return "", err
	}
	p.program.Args, p.program.Environ = at.flags, at.environ
	return p.run(ctx, at.delivers())
}

// nobody is the URL of a gateway whose lane is paused and never asks for it.
const nobody = "http://127.0.0.1:9/nobody"

// configuration is the default but for the gateway, and what more there is.
func configuration(sink string, workers int, more rig.Section) rig.Section {
	gateways := rig.Section{gatewayName: rig.Section{"url": sink, "concurrency": workers}}
	c := rig.Section{}
	maps.Copy(c, more)
	if others, ok := c["gateways"].(rig.Section); ok {
		maps.Copy(gateways, others)
	}
	c["gateways"] = gateways
	return c
}

// run starts the program on its store.
func (p *postrider) run(ctx context.Context, delivers bool) (url string, err error) {
	if p.child, err = p.program.Start(ctx, 2*rig.Patience); err != nil {
		return "", err
	}
	if !delivers {
		err = p.pause(ctx, gatewayName)
	}
	return p.child.URL, err
}

// pause keeps a gateway from being sent to.
func (p *postrider) pause(ctx context.Context, gateway string) error {
	status, answer, err := p.child.Ask(ctx, http.MethodPost, "/api/v1/gateways/"+gateway+"/pause", nil)
	if err == nil && status/100 != 2 {
		err = errors.New("the gateway cannot be paused: " + string(answer))
	}
	return err
}

func (p *postrider) durability(context.Context) (string, error) {
	return "msync per commit, before the answer; an attempt is on disk before it is sent", nil
}

func (p *postrider) open(ctx context.Context) (int64, error) { return p.child.Open(ctx) }

// memory is the most anonymous memory since it was asked last.
func (p *postrider) memory() (int64, error) {
	anonymous, _, err := p.child.Peak()
	return anonymous, err
}

func (p *postrider) stop() error {
	if p.child == nil || p.child.Gone() {
		return nil
	}
	return p.child.Stop()
}
