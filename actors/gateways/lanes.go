package gateways

import "github.com/asynkron/protoactor-go/actor"

// lanes knows which lanes run, and decides when one is started and stopped. A
// lane that was told of new messages while it is being stopped is started again
// when it is gone: its name is free only then, and its queue is in the store.
type lanes struct {
	running  map[string]*lane
	draining bool
}

// lane is a running lane.
type lane struct {
	pid      *actor.PID
	wakes    uint64 // how often it was told of new messages
	stopping bool
	again    bool // messages came while it was stopping
	drained  bool
}

// action is what to do about a lane.
type action int

const (
	nothing action = iota
	start          // there is none: start it
	tell           // it runs: tell it of new messages
	stop           // it has nothing to do: stop it
)

// accepted says what to do when there are messages for a gateway.
func (l *lanes) accepted(gateway string) action {
	r := l.running[gateway]
	switch {
	case l.draining:
		return nothing
	case r == nil:
		return start
	case r.stopping:
		r.again = true
		return nothing
	}
	r.wakes++
	return tell
}

// idle says what to do when a lane has nothing to do, having been told of new
// messages so many times: a newer word may be on its way to it.
func (l *lanes) idle(gateway string, wakes uint64) action {
	r := l.running[gateway]
	switch {
	case r == nil || l.draining:
		return nothing
	case r.stopping:
		return stop // it was told and is there: its stop failed
	case r.wakes != wakes:
		return tell
	}
	r.stopping = true
	return stop
}

// gone says what to do when a lane has ended.
func (l *lanes) gone(gateway string) action {
	r := l.running[gateway]
	delete(l.running, gateway)
	if r != nil && r.again && !l.draining {
		return start
	}
	return nothing
}

// unsettled says what to do when a gateway has attempts under way while the lanes
// are drained: somebody has to settle them.
func (l *lanes) unsettled(gateway string) action {
	if l.running[gateway] != nil {
		return nothing
	}
	return start
}

// drained reports whether no lane begins anything, and every one has settled what
// was under way.
func (l *lanes) drained() bool {
	if !l.draining {
		return false
	}
	for _, r := range l.running {
		if !r.drained && !r.stopping {
			return false
		}
	}
	return true
}
