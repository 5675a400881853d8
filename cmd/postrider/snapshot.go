package main

import (
	"sync/atomic"

	"github.com/postrider/postrider/actors/gateway"
	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
	httpapi "github.com/postrider/postrider/http"
	"github.com/postrider/postrider/http/egress"
)

// snapshot is what one reading of the configuration declares, compiled. It does
// not change.
type snapshot struct {
	gateways *catalog
	routes   []route
}

// inForce holds the snapshot that counts now. A reload puts another one in its
// place, gateways and routes in one step; whoever reads more than once for the
// same purpose does so from one Load. Nothing keeps an old snapshot alive but
// those who still work with it.
type inForce struct {
	atomic.Pointer[snapshot]
	misfit misfit // set before there are requests
}

// Gateway returns a declared gateway as it may be shown.
func (f *inForce) Gateway(name string) (data.Gateway, bool) { return f.Load().gateways.Gateway(name) }

// Gateways lists the declared gateways by name.
func (f *inForce) Gateways() []data.Gateway { return f.Load().gateways.Gateways() }

// fit makes of a message what its gateway takes, for httpapi.Options.
func (f *inForce) fit(m data.NewMessage) ([]data.NewMessage, []httpapi.Fault) {
	return f.Load().gateways.fit(m)
}

// route returns the routes that count for one request, for httpapi.Options.
func (f *inForce) route() func(data.NewEvent) ([]data.NewMessage, error) {
	s := f.Load()
	return func(e data.NewEvent) ([]data.NewMessage, error) { return s.route(e, f.misfit) }
}

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
	return &started
}

// define returns how lanes serve a gateway, for actors.Options.
func (f *inForce) define(client *egress.Client) func(name string) (gateway.Definition, bool) {
	return func(name string) (gateway.Definition, bool) { return f.Load().gateways.define(name, client) }
}
