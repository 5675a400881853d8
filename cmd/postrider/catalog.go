package main

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/postrider/postrider/actors/gateway"
	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
	httpapi "github.com/postrider/postrider/http"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

// catalog is the declared gateways, compiled. It does not change, so any
// goroutine may read it.
type catalog struct {
	names   []string // sorted
	entries map[string]entry
	// What the declarations are made of, which are not kept themselves.
	cfg  *config.Config
	base string
}

type entry struct {
	shown   data.Gateway
	dialect *dialect.Dialect // nil when the declaration cannot be used
}

// newCatalog compiles every gateway. A declaration that cannot be used stops
// that gateway and nothing else: it is in the catalog with its problem, and the
// mistakes say the same with key paths. base is the address of this process, for
// gateways without a URL. From the catalog before it, nil for none, it takes over
// the dialects that come to the same, with whatever they have learnt.
func newCatalog(cfg *config.Config, base string, before *catalog) (*catalog, config.Mistakes) {
	c := &catalog{
		names:   slices.Sorted(maps.Keys(cfg.Gateways)),
		entries: make(map[string]entry, len(cfg.Gateways)),
		cfg:     cfg,
		base:    base,
	}
	var mistakes config.Mistakes
	for _, name := range c.names {
		g, _ := cfg.Gateway(name)
		declaration := declare(g, base)
		e := entry{shown: shown(g, declaration)}
		wrong := settingMistakes("gateways."+name, g.Declared, declaration)
		// Where a setting is missing, all that it stands in would be wrong too.
		if len(wrong) == 0 {
			if err := e.compile(declaration, before); err != nil {
				wrong = complaints("gateways."+name, err)
			}
		}
		if len(wrong) > 0 {
			e.shown.Problem = strings.ReplaceAll(wrong.Error(), "gateways."+name+".", "")
			mistakes = append(mistakes, wrong...)
		}
		c.entries[name] = e
	}
	return c, mistakes
}

// shown is what may be shown of a gateway.
func shown(g config.ResolvedGateway, d dialect.Declaration) data.Gateway {
	about := d.Describe()
	return data.Gateway{
		Name:        g.Name,
		Policy:      data.Policy{MaxAttempts: g.MaxAttempts, Interval: g.Interval, MaxHint: g.MaxHint},
		Timeout:     g.Timeout,
		Concurrency: g.Concurrency,
		Rate:        g.Rate,
		MaxQueue:    g.MaxQueue,
		HoldAfter:   g.HoldAfter,
		Permanent:   eachStatus(g.Declared.Permanent.Status),
		Preset:      g.Declared.Preset,
		Method:      about.Method,
		URL:         about.URL,
		Body:        about.Body,
		Auth:        about.Auth,
		Needs:       g.Declared.Needs,
	}
}

func (e *entry) compile(d dialect.Declaration, before *catalog) (err error) {
	if e.dialect, err = dialect.Compile(d); err != nil || before == nil {
		return err
	}
	if old := before.entries[e.shown.Name]; reflect.DeepEqual(old.dialect, e.dialect) {
		e.dialect = old.dialect
	}
	return nil
}

// complaints puts the key path of a gateway before what is wrong with it.
func complaints(path string, err error) config.Mistakes {
	var all config.Mistakes
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range several.Unwrap() {
			all = append(all, complaints(path, err)...)
		}
		return all
	}
	if one, ok := errors.AsType[*dialect.Complaint](err); ok {
		return config.Mistakes{{Path: path + "." + one.Path, Problem: one.Text}}
	}
	return config.Mistakes{{Path: path, Problem: err.Error()}}
}

// Gateway returns a declared gateway as it may be shown.
func (c *catalog) Gateway(name string) (data.Gateway, bool) {
	e, ok := c.entries[name]
	return e.shown, ok
}

// Gateways lists the declared gateways by name.
func (c *catalog) Gateways() []data.Gateway {
	all := make([]data.Gateway, len(c.names))
	for i, name := range c.names {
		all[i] = c.entries[name].shown
	}
	return all
}

// declaration returns what a declared gateway was compiled of.
func (c *catalog) declaration(name string) dialect.Declaration {
	g, _ := c.cfg.Gateway(name)
	return declare(g, c.base)
}

// since counts what differs from the catalog before this one.
func (c *catalog) since(before *catalog) (added, changed, removed int) {
	kept := 0
	for name, e := range c.entries {
		old, ok := before.entries[name]
		switch {
		case !ok:
			added++
			continue
		case e.dialect != old.dialect || !reflect.DeepEqual(e.shown, old.shown):
			changed++
		}
		kept++
	}
	return added, changed, len(before.entries) - kept
}

// fit makes of a message what is stored for its gateway: itself, for which it
// returns nil, or what its dialect makes of it, or why that does not take it. A
// gateway without a dialect takes all: its messages wait until it has one.
func (c *catalog) fit(n data.NewMessage) (parts []data.NewMessage, faults []httpapi.Fault) {
	d := c.entries[n.Gateway].dialect
	if d == nil {
		return nil, nil
	}
	made, misfits := d.Fit(dialect.Message{To: n.To, Title: n.Title, Text: n.Text, Params: n.Params})
	for _, f := range misfits {
		faults = append(faults, httpapi.Fault(f))
	}
	if len(made) == 1 && made[0].Text == n.Text && made[0].Title == n.Title && made[0].To == n.To && maps.Equal(made[0].Params, n.Params) {
		return nil, faults
	}
	for _, m := range made {
		part := n // its gateway and limits
		part.To, part.Title, part.Text, part.Params = m.To, m.Title, m.Text, m.Params
		parts = append(parts, part)
	}
	return parts, faults
}

// define returns how a lane serves a gateway. What it returns holds nothing of
// the catalog but that gateway.
func (c *catalog) define(name string, client *egress.Client) (gateway.Definition, bool) {
	e, ok := c.entries[name]
	if !ok || e.dialect == nil {
		return gateway.Definition{}, false
	}
	return gateway.Definition{
		Name:        name,
		Policy:      e.shown.Policy,
		Timeout:     e.shown.Timeout,
		Concurrency: e.shown.Concurrency,
		Rate:        e.shown.Rate,
		HoldAfter:   e.shown.HoldAfter,
		Deliver: func(ctx context.Context, m data.Message, number int) data.Result {
			return client.Deliver(ctx, e.dialect, m, number, e.shown.Timeout)
		},
		Probe: func(ctx context.Context) data.Cause {
			return client.Probe(ctx, e.dialect, e.shown.Timeout)
		},
	}, true
}

// ownAddress is the URL at which this process reaches itself.
func ownAddress(h config.HTTP, port int) string {
	host, scheme := h.Host, "http"
	if h.TLS.On() {
		scheme = "https"
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.To4() == nil {
			host = "::1"
		}
	}
	// The zone of an address has to be written in another way in a URL.
	return (&url.URL{Scheme: scheme, Host: net.JoinHostPort(host, strconv.Itoa(port))}).String()
}
