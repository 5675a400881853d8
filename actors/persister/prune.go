package persister

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/postrider/postrider/data"
)

// How pruning is paced: a step is small enough to share a commit with others
// unnoticed, and rests follow it so that all steps together take no more than a
// fifth of the writer's time.
const (
	pruneStep  = 256 // records
	pruneRests = 4   // times as long as the step took
	leastRest  = time.Millisecond
	mostRest   = time.Minute
)

// pruneIn sets the timer of the next step. Others go on meanwhile.
func (a *Actor) pruneIn(ctx actor.Context, wait time.Duration) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	a.timer = time.AfterFunc(wait, func() { root.Send(self, pruneDue{incarnation: a}) })
}

// onPruneDue takes a step into the next group.
func (a *Actor) onPruneDue(ctx actor.Context, m pruneDue) {
	if m.incarnation != a {
		return
	}
	a.join(ctx, func() { a.group.batch.Prune = &data.Prune{Keep: a.options.Retention, Limit: pruneStep} })
}

// pruned goes on after a step whose group took that long.
func (a *Actor) pruned(ctx actor.Context, took time.Duration) {
	o := a.group.batch.Prune
	if o.Deleted > 0 && a.options.Pruned != nil {
		a.options.Pruned(o.Deleted)
	}
	if !a.group.shared() {
		o.Took = took
	}
	a.pruneIn(ctx, rest(o, a.options.Store.Now()))
}

// rest is how long to wait after a step: as long as the pace asks for, and as long as
// nothing ends.
func rest(o *data.Prune, now data.StoreTime) time.Duration {
	return max(leastRest, pruneRests*o.Took, min(o.Next.Sub(now), mostRest))
}
