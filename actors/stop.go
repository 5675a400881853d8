package actors

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/postrider/postrider/actors/gateways"
)

// Drain begins no more attempts and waits for those under way, until ctx ends;
// then they are cut off, and settled as unknown, or as withdrawn where nothing has
// left yet. When the process must end anyway it does not wait.
func (t *Tree) Drain(ctx context.Context) {
	t.stop(t.ticker, t.system.Root.Stop)
	if t.lanes == nil {
		return
	}
	t.draining.Store(true)
	t.system.Root.Send(t.lanes, gateways.Drain{})
	select {
	case <-t.drained:
		return
	case <-t.broken:
		return
	case <-ctx.Done():
	}
	t.options.Logger.Warn("attempts under way are cut off: those whose requests have left count as used, their outcome is unknown")
	t.cutOff()
	select {
	case <-t.drained:
	case <-t.broken:
	case <-time.After(stopLimit):
		t.options.Logger.Error("attempts under way did not end: the next start settles them")
	}
}

// stopLimit bounds each step of stopping after its work is done.
const stopLimit = 5 * time.Second

// Stop stops the tree, those that make work for the persister before it, which
// answers everybody first. When it returns true, the tree does nothing in the
// store any more and has not failed.
func (t *Tree) Stop() bool {
	if t.Persister != nil {
		t.Persister.Stop()
	}
	root := t.system.Root
	last := root.Poison
	if t.hasFailed() {
		last = root.Stop // its mailbox may be suspended for ever
	}
	clean := t.stop(t.ticker, root.Stop)
	clean = t.stop(t.lanes, root.Stop) && clean
	clean = t.stop(t.persister, last) && clean
	clean = t.stop(t.top, root.Stop) && clean
	t.cutOff()
	if !t.reads.close(stopLimit) {
		t.options.Logger.Error("the store is still being read", "limit", stopLimit)
		clean = false
	}
	t.system.Shutdown()
	return clean && !t.hasFailed()
}

func (t *Tree) hasFailed() bool {
	select {
	case <-t.broken:
		return true
	default:
		return false
	}
}

// stop ends an actor and waits for that. Only the persister's mailbox matters, so
// that one is poisoned; others are stopped at once, also while they wait to be
// restarted. Watching from a future is the only way to wait with a limit of one's
// own.
func (t *Tree) stop(pid *actor.PID, end func(*actor.PID)) bool {
	if pid == nil {
		return true
	}
	process, ok := t.system.ProcessRegistry.GetLocal(pid.Id)
	if !ok {
		return true
	}
	gone := actor.NewFuture(t.system, stopLimit)
	process.SendSystemMessage(pid, &actor.Watch{Watcher: gone.PID()})
	end(pid)
	if err := gone.Wait(); err != nil {
		t.options.Logger.Error("actor did not stop in time", "actor", nameOf(pid), "limit", stopLimit)
		return false
	}
	return true
}
