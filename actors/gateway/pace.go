package gateway

import (
	"time"

	"github.com/postrider/postrider/data"
)

// pace spreads over time what is handed to lanes that are not prompt while others
// of their kind wait. Gateways that hang make their attempts end together, when
// their time is over; were all these slots handed on at once, the next ones would
// begin and end together too, for ever, and everybody would wait for those commits.
//
// A slot is kept for some time, on average, so no more can be handed out than there
// are slots in each such time. The pace is a quarter above that: it takes nothing
// from lanes whose attempts are spread already, spreads the others within a few
// turns, and is none where attempts take no time, as with a gateway that refuses.
type pace struct {
	bucket
	slots int           // that there are to hand out
	kept  time.Duration // how long one is kept, on average over the last so many
}

// surplus is how much faster slots are handed out than they can come back. With
// none, a moment in which nobody wants one would be lost for good.
const surplus = 1.25

func newPace(slots int) pace { return pace{slots: max(slots, 1)} }

// ended takes how long a slot was kept that came back at time now.
func (p *pace) ended(now data.StoreTime, kept time.Duration) {
	p.fill(now)
	p.kept += (kept - p.kept) / time.Duration(p.slots)
	p.rate = 0
	if p.kept > 0 {
		p.rate = surplus * float64(p.slots) / p.kept.Seconds()
	}
}
