package data

import (
	"math"
	"time"
)

// StoreTime is a point on the store's own clock, in nanoseconds since the store
// was created. It never runs backwards and never faster than real time: over a
// restart in the same boot of the machine it goes on with the boot clock, over
// anything else it goes on from where it was last recorded. A duration counted
// in it has therefore really passed, whatever the wall clock did.
type StoreTime int64

// Never is later than every time that comes.
const Never StoreTime = math.MaxInt64

// Add returns t+d, at most [Never].
func (t StoreTime) Add(d time.Duration) StoreTime {
	if d > 0 && t > Never-StoreTime(d) {
		return Never
	}
	return t + StoreTime(d)
}

// Sub returns t-u.
func (t StoreTime) Sub(u StoreTime) time.Duration { return time.Duration(t - u) }
