package actors

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Restart is how failing children come back: after a delay that doubles with
// each failure, with jitter so that many do not come back at once. A child that
// has been well for Calm starts over at the first delay.
type Restart struct {
	First time.Duration // delay after the first failure
	Most  time.Duration // the delay grows no longer than this
	Calm  time.Duration // failures further back than this do not count
	// Limit is how many failures within Calm are one too many; 0 means that the
	// child is never given up on.
	Limit int
	// Fatal names children that must not come back at all.
	Fatal map[string]bool
	// GiveUp is told of a child that will not be restarted. It must end the process.
	GiveUp func(child string, reason any)
	// Restarted is told of each restart to come. It must be quick.
	Restarted func(child string)
	Logger    *slog.Logger
}

// HandleFailure decides about one failed child. Until it is restarted its
// mailbox is suspended and keeps what arrives.
func (r *Restart) HandleFailure(system *actor.ActorSystem, s actor.Supervisor, child *actor.PID, stats *actor.RestartStatistics, reason, _ any) {
	name := nameOf(child)
	// The statistics grow until they are reset.
	if recent := stats.NumberOfFailures(r.Calm); recent == 0 || recent > maxCounted {
		stats.Reset()
		for range min(recent, maxCounted) {
			stats.Fail()
		}
	}
	stats.Fail()
	failures := stats.NumberOfFailures(r.Calm)
	if r.Fatal[name] || r.Limit > 0 && failures >= r.Limit {
		r.Logger.Error("actor failed and is given up: the process ends", "actor", name, "failures", failures, "reason", reason)
		r.GiveUp(name, reason)
		return
	}
	wait := r.delay(failures, rand.Float64())
	r.Logger.Error("actor failed: will be restarted", "actor", name, "failures", failures, "in", wait.Round(time.Millisecond), "reason", reason)
	r.Restarted(name)
	failed, _ := system.ProcessRegistry.GetLocal(child.Id)
	time.AfterFunc(wait, func() {
		// Its parent may have been restarted since, and another have the name.
		if now, ok := system.ProcessRegistry.GetLocal(child.Id); ok && now == failed {
			s.RestartChildren(child)
		}
	})
}

// maxCounted is how many failures are kept of a child: by then its delay has
// long stopped growing.
const maxCounted = 64

// delay is how long to wait after so many failures; luck is within [0, 1). The
// jitter takes up to a quarter off.
func (r *Restart) delay(failures int, luck float64) time.Duration {
	d := r.Most
	if shift := failures - 1; shift < 30 {
		d = min(r.First<<shift, r.Most)
	}
	return d - time.Duration(luck*float64(d/4))
}
