package gateway

import (
	"time"

	"github.com/postrider/postrider/data"
)

// pace spreads over time what is handed to lanes that missed prompt answers, while
// others of their kind wait. Gateways that hang make their attempts end together,
// when their time is over; were all these slots handed on at once, the next ones
// would begin and end together too, for ever, and everybody would wait for those
// commits.
//
// A slot is kept for some time, on average, so no more can be handed out than there
// are slots in each such time. The pace is a quarter above that: it takes nothing
// from lanes whose attempts are spread already, and spreads the others within a few
// turns. It follows the attempts: where they take next to no time, as with a gateway
// that refuses, so does a turn.
//
// It has a clock of its own, since it counts from nothing that is stored.
type pace struct {
	bucket
	slots int           // that there are to hand out
	kept  time.Duration // how long one is kept, on average over the last so many

	now    func() data.StoreTime
	alarm  func(time.Duration, func())
	pulses data.StoreTime // when an alarm is set to hand out more; Never when none is
}

const (
	// surplus is how much faster slots are handed out than they can come back. With
	// none, a moment in which nobody wants one would be lost for good.
	surplus = 1.25
	// mostKept is the longest that a slot counts as kept. A turn of that length is
	// spread enough, and a standstill of the process is not to slow down anybody for
	// as long as it took.
	mostKept = 10 * time.Second
	// leastPulse is the least time from one handing out to the next: what is handed
	// out together shares a commit. In it the bucket must not run over ([slack]).
	leastPulse = 10 * time.Millisecond
)

func newPace(slots int) pace {
	begin := time.Now()
	return pace{
		slots:  slots,
		now:    func() data.StoreTime { return data.StoreTime(time.Since(begin)) },
		alarm:  func(d time.Duration, f func()) { time.AfterFunc(d, f) },
		pulses: data.Never,
	}
}

// ended takes how long a slot was kept that came back.
func (p *pace) ended(kept time.Duration) {
	p.fill(p.now())
	if p.rate == 0 {
		p.tokens = 1 // nobody had to wait until now
	}
	p.kept += (min(kept, mostKept) - p.kept) / time.Duration(p.slots)
	p.rate = 0
	if p.kept > 0 {
		p.rate = surplus * float64(p.slots) / p.kept.Seconds()
	}
}

// ready reports whether one may be handed out. If not, pulse is called when it may.
func (p *pace) ready(pulse func()) bool {
	if p.pulses != data.Never {
		return false // they wait for that
	}
	now := p.now()
	n, next := p.has(now)
	if n == 0 {
		p.set(now, next, pulse)
	}
	return n > 0
}

// sooner has an alarm that is set come earlier if it may, since the pace has changed.
func (p *pace) sooner(pulse func()) {
	if p.pulses == data.Never {
		return
	}
	now := p.now()
	n, next := p.has(now)
	if n > 0 {
		next = now
	}
	if next.Add(leastPulse) < p.pulses {
		p.set(now, next, pulse)
	}
}

// set sets an alarm. An older one still comes and finds nothing to do.
func (p *pace) set(now, next data.StoreTime, pulse func()) {
	wait := max(next.Sub(now), leastPulse)
	p.pulses = now.Add(wait)
	p.alarm(wait, pulse)
}

// pulsed says that an alarm has come.
func (p *pace) pulsed() {
	if p.now() >= p.pulses {
		p.pulses = data.Never
	}
}
