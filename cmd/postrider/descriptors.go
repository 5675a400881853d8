package main

import (
	"syscall"

	httpapi "github.com/postrider/postrider/http"
)

// spareDescriptors are for a small store, the propagator and what is open for a
// moment.
const spareDescriptors = 256

// growth is how many times as large as now the store may become before the limit
// is looked at again, at the next start.
const growth = 2

// checkDescriptors warns when the system lets the process open less than it may
// need: attempts and requests would fail where they should wait for their turn.
// The runtime has raised the limit as far as it may by now.
func (p *process) checkDescriptors() {
	needed := uint64(p.cfg.Delivery.MaxInFlight + httpapi.DefaultConnections + spareDescriptors + growth*p.store.Tables())
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur >= needed {
		return
	}
	p.log.Warn("the process may open fewer files than it may need: raise the limit to what is needed (ulimit -n, LimitNOFILE), or lower delivery.max_in_flight",
		"limit", limit.Cur, "needed", needed)
}
