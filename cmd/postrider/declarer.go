package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
	httpapi "github.com/postrider/postrider/http"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

// declarer declares gateways over the API, for httpapi.Options. What is in the store
// and what is in force follow each other: of one gateway one change goes on at a time,
// and it goes on also when nobody waits for it any more.
type declarer struct {
	declared *inForce
	made     *made
	// keep has a declaration in the store, or forgets it where that is nil. When it
	// returns nil that is on disk.
	keep    func(ctx context.Context, gateway string, declaration []byte) error
	changed func(gateway string) // has its lane get its definition anew
	log     *slog.Logger

	// changes is entered while a gateway changes, and shut while the configuration
	// does: what one was checked against is so until it is done.
	changes gate
	mu      sync.Mutex
	busy    map[string]chan struct{} // closed when the change of a gateway is done
}

// begin waits until nobody else changes a gateway, nor the configuration, and keeps
// others from it until end.
func (d *declarer) begin(ctx context.Context, name string) error {
	if err := d.reserve(ctx, name); err != nil {
		return err
	}
	if d.changes.enter(ctx) != nil {
		d.release(name)
		return httpapi.ErrReloading
	}
	return nil
}

func (d *declarer) end(name string) {
	d.changes.leave()
	d.release(name)
}

// reserve waits until nobody else changes a gateway.
func (d *declarer) reserve(ctx context.Context, name string) error {
	for {
		d.mu.Lock()
		other := d.busy[name]
		if other == nil {
			if d.busy == nil {
				d.busy = make(map[string]chan struct{})
			}
			d.busy[name] = make(chan struct{})
			d.mu.Unlock()
			return nil
		}
		d.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return fmt.Errorf("%w: another change of the gateway is not done", data.ErrOverloaded)
		}
	}
}

func (d *declarer) release(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.busy[name])
	delete(d.busy, name)
}

// store keeps or forgets a declaration, tells then what came of it, and ends the
// change. It returns when that is so or ctx ends: the store goes on in any case, so
// that what is in force is what is on disk.
func (d *declarer) store(ctx context.Context, name string, declaration []byte, then func(error)) error {
	done := make(chan error, 1)
	go func() {
		err := d.keep(context.WithoutCancel(ctx), name, declaration)
		then(err)
		d.end(name)
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", data.ErrNoAnswer, context.Cause(ctx))
	}
}

// Declare has a gateway declared as a JSON object says.
func (d *declarer) Declare(ctx context.Context, name string, declaration []byte, anew bool) (created bool, faults []httpapi.Fault, err error) {
	if err := d.begin(ctx, name); err != nil {
		return false, nil, err
	}
	change, faults, err := d.prepare(name, string(declaration), anew)
	if change == nil {
		d.end(name)
		return false, faults, err
	}
	created = change.before == nil
	err = d.store(ctx, name, declaration, func(err error) {
		if err != nil {
			d.made.giveUp(change.next, change.before)
			return
		}
		d.made.put(change.next)
		d.changed(name)
		d.log.Info("a gateway is declared over the API", "gateway", name, "created", created)
	})
	return created, nil, err
}

// change is one that may be stored.
type change struct {
	next   madeEntry
	before *madeEntry // nil for none
}

// prepare checks a declaration and makes room for it. It returns nil when there is
// nothing to store: with faults, an error, or since it is there already.
func (d *declarer) prepare(name, declaration string, anew bool) (*change, []httpapi.Fault, error) {
	s := d.declared.Load()
	if _, ok := s.gateways.entries[name]; ok {
		return nil, nil, data.ErrDeclaredInFile
	}
	c := &change{}
	if before, ok := d.made.get(name); ok {
		if anew {
			return nil, nil, data.ErrExists
		}
		c.before = &before
		if before.declaration == declaration && before.dialect != nil {
			return nil, nil, nil
		}
	}
	var wrong config.Mistakes
	if c.next, wrong = d.made.compile(name, declaration, s.delivery(), nil); len(wrong) == 0 {
		wrong = forbidden(name, c.next.dialect, s.delivery().APINetworks)
	}
	if len(wrong) > 0 {
		return nil, faultsOf(name, declaration, wrong), nil
	}
	if !d.made.reserve(c.next, c.before) {
		return nil, nil, data.ErrTooMany
	}
	return c, nil, nil
}

// Undeclare ends the declaration of a gateway. What is left to send to it is parked.
func (d *declarer) Undeclare(ctx context.Context, name string) error {
	if err := d.begin(ctx, name); err != nil {
		return err
	}
	if err := d.mayEnd(name); err != nil {
		d.end(name)
		return err
	}
	return d.store(ctx, name, nil, func(err error) {
		if err != nil {
			return
		}
		d.made.remove(name)
		d.changed(name)
		d.log.Info("a gateway is not declared over the API any more", "gateway", name)
	})
}

func (d *declarer) mayEnd(name string) error {
	s := d.declared.Load()
	if _, ok := s.gateways.entries[name]; ok {
		return data.ErrDeclaredInFile
	}
	if _, ok := d.made.get(name); !ok {
		return data.ErrNotFound
	}
	if s.routed(name) {
		return data.ErrRouted
	}
	return nil
}

// forbidden says which addresses that stand in a declaration it may not have. Names
// show what they come to when they are dialled.
func forbidden(name string, d *dialect.Dialect, allowed egress.Networks) (wrong config.Mistakes) {
	const problem = "leads to an address that is not public; delivery.api_networks has those that gateways declared over the API may have beside"
	if _, host := d.Endpoint(); !allowed.PermitsHost(host) {
		wrong = append(wrong, config.Mistake{Path: below(name, "url"), Problem: problem})
	}
	if g := d.Grant(); g != nil {
		if u, err := url.Parse(g.Request().URL); err != nil || !allowed.PermitsHost(u.Host) {
			wrong = append(wrong, config.Mistake{Path: below(name, "auth.oauth2.token_url"), Problem: problem})
		}
	}
	return wrong
}

// faultsOf says for a client what is wrong with its declaration, in the order of the
// mistakes. Of the client's it has names, where they are needed to find the place, and
// no value.
func faultsOf(name, declaration string, mistakes config.Mistakes) []httpapi.Fault {
	at := config.Pointers([]byte(declaration))
	faults := make([]httpapi.Fault, len(mistakes))
	for i, m := range mistakes {
		f := httpapi.Fault{Code: httpapi.CodeInvalid, Detail: sentence(m.Problem)}
		if i < maxPointed {
			f.Pointer = at(strings.TrimPrefix(strings.TrimPrefix(m.Path, "gateways."+name), "."))
		}
		switch {
		case m.Problem == config.UnknownKey:
			// It may be anything: the object that has it is named, and not the key.
			f.Code, f.Detail = httpapi.CodeUnknownField, "The object has a key that there is not; names are case-sensitive."
			f.Pointer = f.Pointer[:max(0, strings.LastIndexByte(f.Pointer, '/'))]
		case strings.HasPrefix(m.Problem, "is missing"):
			f.Code = httpapi.CodeRequired
		}
		faults[i] = f
	}
	return faults
}

// maxPointed is more than a client is told of: pointers take time to find.
const maxPointed = 200

// sentence makes one of what the configuration says is wrong.
func sentence(problem string) string {
	first, size := utf8.DecodeRuneInString(problem)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(problem[size:], ".") + "."
}
