package gateway

import (
	"math"
	"time"

	"github.com/postrider/postrider/data"
)

// slack is the share of a second that a rate may save up: enough for the lane to
// begin several attempts with one commit, too little for a receiver to call it a
// burst. In any stretch of time no more begin than its length times the rate,
// plus the larger of one and a twentieth of the rate.
const slack = 0.05

// bucket keeps attempts to a rate: each takes a token, and tokens come at the
// rate, up to a few. A lane that starts finds it as if every token had been
// taken when its newest attempt began, so no restart gives it more.
type bucket struct {
	rate   float64 // per second; 0 means no limit
	tokens float64
	at     data.StoreTime // when tokens was counted
}

func newBucket(rate float64, began data.StoreTime) bucket {
	return bucket{rate: rate, at: began}
}

// has returns how many tokens there are, and when there is the first if there is
// none.
func (b *bucket) has(now data.StoreTime) (n int, next data.StoreTime) {
	if b.rate == 0 {
		return math.MaxInt, data.Never
	}
	b.fill(now)
	if n = int(b.tokens + almost); n > 0 {
		return n, data.Never
	}
	wait := math.Ceil((1 - b.tokens) / b.rate * float64(time.Second))
	return 0, now.Add(time.Duration(min(wait, float64(time.Hour))))
}

// almost is what rounding may take from a token.
const almost = 1e-9

func (b *bucket) fill(now data.StoreTime) {
	came := now.Sub(b.at).Seconds() * b.rate
	b.tokens, b.at = min(b.tokens+came, max(1, b.rate*slack)), now
}

// take takes tokens that has counted.
func (b *bucket) take(n int) {
	if b.rate > 0 {
		b.tokens -= float64(n)
	}
}
