package main

import (
	"maps"
	"slices"

	"github.com/postrider/postrider/data"
	httpapi "github.com/postrider/postrider/http"
)

// routing makes the messages of one request, all by the same routes.
type routing struct {
	snapshot *snapshot
	tell     func(misfits)
	left     map[string]misfits // by gateway
}

// misfits are messages of one request that routes made and their gateway does not take.
type misfits struct {
	gateway string
	count   int
	fault   httpapi.Fault // of the first
}

// Route returns the messages that an event becomes.
func (r *routing) Route(e data.NewEvent) ([]data.NewMessage, error) {
	return r.snapshot.route(e, r.leave)
}

func (r *routing) leave(gateway string, faults []httpapi.Fault) {
	m, known := r.left[gateway]
	if !known {
		m = misfits{gateway: gateway, fault: faults[0]}
	}
	m.count++
	if r.left == nil {
		r.left = map[string]misfits{}
	}
	r.left[gateway] = m
}

// Stored says what was left out, gateway by gateway.
func (r *routing) Stored() {
	for _, gateway := range slices.Sorted(maps.Keys(r.left)) {
		r.tell(r.left[gateway])
	}
}
