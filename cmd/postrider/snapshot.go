package main

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/postrider/postrider/actors/gateway"
	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
	httpapi "github.com/postrider/postrider/http"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

// snapshot is what one reading of the configuration declares, compiled, and beside
// that the gateways that are declared over the API. But for these it does not change.
type snapshot struct {
	gateways *catalog
	routes   []route
	made     *made // nil for none
}

// entry returns a declared gateway. The configuration comes first.
func (s *snapshot) entry(name string) (entry, bool) {
	if e, ok := s.gateways.entries[name]; ok {
		return e, true
	}
	return s.made.entry(name)
}

// declaration returns what a declared gateway was compiled of.
func (s *snapshot) declaration(name string) (dialect.Declaration, error) {
	if _, ok := s.gateways.entries[name]; ok {
		return s.gateways.declaration(name), nil
	}
	_, d, err := s.made.declaration(name, s.delivery())
	if err != nil {
		return dialect.Declaration{}, fmt.Errorf("read a declaration that was read before: %w", err)
	}
	return d, nil
}

// delivery is what holds for every gateway that does not say otherwise.
func (s *snapshot) delivery() config.Delivery { return s.gateways.cfg.Delivery }

// all lists the declared gateways by name.
func (s *snapshot) all() []data.Gateway {
	made := s.made.gateways()
	if len(made) == 0 {
		return s.gateways.Gateways()
	}
	all := make([]data.Gateway, 0, len(s.gateways.names)+len(made))
	all = append(all, s.gateways.Gateways()...)
	for _, g := range made {
		if _, hidden := s.gateways.entries[g.Name]; !hidden {
			all = append(all, g)
		}
	}
	slices.SortFunc(all, func(a, b data.Gateway) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// hidden lists the gateways that are declared over the API and in the configuration
// too, which wins.
func (s *snapshot) hidden() (names []string) {
	for _, name := range s.gateways.names {
		if _, ok := s.made.entry(name); ok {
			names = append(names, name)
		}
	}
	return names
}

// inForce holds the snapshot that counts now. A reload puts another one in its
// place, gateways and routes in one step; whoever reads more than once for the
// same purpose does so from one Load. Nothing keeps an old snapshot alive but
// those who still work with it.
type inForce struct {
	atomic.Pointer[snapshot]
	misfit func(misfits) // set before there are requests
}

// Gateway returns a declared gateway as it may be shown.
func (f *inForce) Gateway(name string) (data.Gateway, bool) {
	e, ok := f.Load().entry(name)
	return e.shown, ok
}

// Gateways lists the declared gateways by name.
func (f *inForce) Gateways() []data.Gateway { return f.Load().all() }

// isMade reports whether a gateway is declared over the API.
func (f *inForce) isMade(name string) bool {
	_, ok := f.Load().made.get(name)
	return ok
}

// fit makes of a message what its gateway takes, for httpapi.Options.
func (f *inForce) fit(m data.NewMessage) ([]data.NewMessage, []httpapi.Fault) {
	e, _ := f.Load().entry(m.Gateway)
	return e.fit(m)
}

// route returns the routes that count for one request, for httpapi.Options.
func (f *inForce) route() httpapi.Router { return &routing{snapshot: f.Load(), tell: f.misfit} }

// shownRoutes returns the routes as they may be shown, for httpapi.Options.
func (f *inForce) shownRoutes() []httpapi.Route {
	declared := f.Load().gateways.cfg.Routes
	routes := make([]httpapi.Route, len(declared))
	for i, r := range declared {
		routes[i] = httpapi.Route{
			EventType: r.Match.EventType, PayloadContains: r.Match.PayloadContains, Payload: r.Match.Payload,
			Gateways: r.Targets(), Message: r.Message, To: r.To, Title: r.Title, Params: r.Params,
		}
	}
	return routes
}

// config returns the configuration in force: the one that the process started with,
// and of the newest reading what that can change.
func (f *inForce) config(started config.Config) *config.Config {
	newest := f.Load().gateways.cfg
	most := started.Delivery.MaxInFlight
	started.Gateways, started.Routes, started.Delivery = newest.Gateways, newest.Routes, newest.Delivery
	started.Delivery.MaxInFlight = most
	started.HTTP.Keys, started.HTTP.Hosts, started.HTTP.AllowAnonymous = newest.HTTP.Keys, newest.HTTP.Hosts, newest.HTTP.AllowAnonymous
	return &started
}

// define returns how lanes serve a gateway, for actors.Options.
func (f *inForce) define(client *egress.Client) func(name string) (gateway.Definition, bool) {
	return func(name string) (gateway.Definition, bool) {
		e, _ := f.Load().entry(name)
		return e.define(client)
	}
}
