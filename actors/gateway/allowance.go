package gateway

import (
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/postrider/postrider/data"
)

// Allowances say for which lanes the store may begin first attempts by itself, in the
// commits that accept their messages, and how many. Without them every attempt costs
// a commit of its own before its request may leave.
//
// A lane allows what it would begin itself if it had a message, and has the last word:
// what began and may not leave any more when the lane hears of it is withdrawn. The
// lanes and the persister use them at once.
type Allowances struct {
	mu    sync.Mutex
	lanes map[string]*allowance
}

// NewAllowances returns allowances of no lanes.
func NewAllowances() *Allowances { return &Allowances{lanes: make(map[string]*allowance)} }

// Take takes an allowance of a lane, with a slot for the attempt; nil when there is
// none. Whoever takes one begins an attempt, and tells the lane of it with [Wake].
func (s *Allowances) Take(gateway string) *data.Allowance {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.lanes[gateway]
	if a == nil || a.left == 0 || !a.share.TakeIdle() {
		return nil
	}
	a.left--
	a.away++
	return a.terms
}

// allowance is what one incarnation of a lane allows. It counts the attempts that began
// under it as away until the lane has heard of them.
type allowance struct {
	all     *Allowances
	gateway string
	share   *Share

	// What follows is guarded by all.mu.
	terms *data.Allowance // handed out, so not changed any more
	left  int
	away  int
}

// join makes the allowance of an incarnation, of nothing as yet. It stands instead of
// that of the one before.
func (s *Allowances) join(gateway string, by *Actor, share *Share) *allowance {
	a := &allowance{all: s, gateway: gateway, share: share, terms: &data.Allowance{By: by}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes[gateway] = a
	return a
}

// set has no more than most attempts be away, those included that are already, and
// returns how many that are. Later ones begin under a policy and a timeout.
func (a *allowance) set(most int, p data.Policy, timeout time.Duration) (away int) {
	a.all.mu.Lock()
	defer a.all.mu.Unlock()
	if a.terms.Policy != p || a.terms.Timeout != timeout {
		a.terms = &data.Allowance{Policy: p, Timeout: timeout, By: a.terms.By}
	}
	a.left = max(most-a.away, 0)
	return a.away
}

// came says that the lane has heard of an attempt, and returns how many are away still.
func (a *allowance) came() (away int) {
	a.all.mu.Lock()
	defer a.all.mu.Unlock()
	a.away--
	return a.away
}

// leave allows nothing any more.
func (a *allowance) leave() {
	a.all.mu.Lock()
	defer a.all.mu.Unlock()
	a.left = 0
	if a.all.lanes[a.gateway] == a {
		delete(a.all.lanes, a.gateway)
	}
}

// allow lets the store begin what there is room for besides. A lane that may be stopped
// allows nothing: nobody would be there to send it.
func (a *Actor) allow(now data.StoreTime) {
	most := 0
	if a.ready && !a.leaving {
		most = a.schedule.spare(now)
	}
	a.schedule.away = a.allowance.set(most, a.definition.Policy, a.definition.Timeout)
}

// disallow has the store begin nothing. What has begun is known then to be away.
func (a *Actor) disallow() {
	a.schedule.away = a.allowance.set(0, a.definition.Policy, a.definition.Timeout)
}

// onBegunAtOnce sends what the store began for this incarnation, and returns how to
// settle what is not sent.
func (a *Actor) onBegunAtOnce(ctx actor.Context, begun []data.Begun) (settles []*data.Settle) {
	now, wall := a.options.Now(), time.Now()
	for _, b := range begun {
		by := b.Allowance.By.(*Actor)
		if by == a {
			a.schedule.away = a.allowance.came()
		}
		if o := a.dispatch(ctx, now, wall, b.Granted, by); o != nil {
			settles = append(settles, o)
		}
	}
	return settles
}

// ended looks at how a message was handled. A lane that fails has to wait for its
// restart: nothing is to begin until then.
func (a *Actor) ended(failed bool) {
	if failed && a.allowance != nil {
		a.allowance.leave()
	}
}
