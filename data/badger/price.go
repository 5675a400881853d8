package badger

import (
	"github.com/postrider/postrider/data"
)

// Upper bounds of what is written, to size a transaction before it is made: one
// never runs into Badger's own limit.
const (
	entryBytes     = 48  // an entry beyond its value: the key and what Badger adds
	messageBytes   = 64  // a message without content, expiry and attempts, and its id in a run
	attemptBytes   = 64  // an attempt that ended, without what was answered
	answerBytes    = 8   // what was answered, beyond its text
	inFlightBytes  = 80  // an attempt under way
	laneBytes      = 384 // a lane without its name and attempts under way, and its run
	eventBytes     = 16  // an event without type and payload
	keyBytes       = 64  // an idempotency key
	resentBytes    = 32  // what a dead letter was sent again as, in both their records
	declareBytes   = 16  // how a gateway is declared, without the declaration
	markerBytes    = 176
	maxID          = 10 // an id in a run or a group
	maxEventsValue = 256 << 10
)

// cost bounds what operations add to a transaction.
type cost struct{ entries, bytes int }

func (c cost) plus(d cost) cost { return cost{c.entries + d.entries, c.bytes + d.bytes} }

func (c cost) within(limit cost) bool { return c.entries <= limit.entries && c.bytes <= limit.bytes }

// limit leaves a part of what Badger takes for what the bounds forget.
func (s *Store) limit() cost {
	count, size := int(s.db.MaxBatchCount()), int(s.db.MaxBatchSize())
	return cost{entries: count - count/32, bytes: size - size/32}
}

// take adds what an operation may write, if there is room for it.
func (t *transaction) take(c cost) bool {
	sum := t.cost.plus(c)
	if !sum.within(t.s.limit()) {
		return false
	}
	t.cost = sum
	return true
}

// lanePrice is what writing a lane costs, for its first operation.
func (t *transaction) lanePrice(gateway string) cost {
	if _, ok := t.priced[gateway]; ok {
		return cost{}
	}
	t.priced[gateway] = struct{}{}
	c := cost{entries: 2, bytes: 2*entryBytes + laneBytes + len(gateway)}
	if l := t.s.lane(gateway); l != nil {
		c.bytes += inFlightBytes * len(l.flying)
	}
	return c
}

func (t *transaction) savePrice(o *data.Save) cost {
	c := cost{entries: 1, bytes: entryBytes + keyBytes}
	for _, e := range o.Events {
		c.bytes += len(e.Type) + len(e.Payload) + eventBytes
	}
	values := 1 + 2*c.bytes/maxEventsValue
	c = c.plus(cost{entries: values, bytes: values * entryBytes})
	for i := range o.Messages {
		m := &o.Messages[i]
		size := newSize(m)
		c = c.plus(t.lanePrice(m.Gateway)).plus(cost{entries: 1, bytes: entryBytes + messageBytes + size})
		if size > inlineText {
			c = c.plus(cost{entries: 1, bytes: entryBytes})
		}
		if m.ExpiresIn > 0 {
			c.bytes += expiryBytes
		}
	}
	return c
}

// resendPrice covers what the content and expiry of a dead letter add to a transaction when
// it is sent again.
func resendPrice(content int) cost {
	c := cost{entries: 2, bytes: 2*entryBytes + messageBytes + resentBytes + content}
	if content > inlineText {
		c = c.plus(cost{entries: 1, bytes: entryBytes})
	}
	return c
}

// prunePrice covers n messages that go, each with its text and what it was sent
// again as, or the run that named it, and what is left of their group. Those that
// stay are in a new group.
func prunePrice(n, group int) cost {
	return cost{entries: 3*n + 2, bytes: (3*n+2)*entryBytes + 2*group + maxID}
}

// declarePrice covers a declaration.
func declarePrice(o *data.Declare) cost {
	return cost{entries: 1, bytes: entryBytes + declareBytes + len(o.Gateway) + len(o.Declaration)}
}

// answerPrice bounds what an answer adds to its attempt.
func answerPrice(answer string) int {
	if answer == "" {
		return 0
	}
	return answerBytes + min(len(answer), data.MaxAnswer)
}

// maxAttempts is how many attempts a message can have.
const maxAttempts = 100

// claimPrice covers an attempt that begins. Where the policy allows none, the
// message may be given up instead and is then written again.
func claimPrice(c data.Claim) cost {
	price := cost{entries: 1, bytes: entryBytes + inFlightBytes}
	if c.Ref.Number > c.Policy.MaxAttempts {
		price = price.plus(cost{entries: 1, bytes: entryBytes + messageBytes + inlineText + expiryBytes + maxAttempts*attemptBytes + data.MaxAnswers*(answerBytes+data.MaxAnswer)})
	}
	return price
}
