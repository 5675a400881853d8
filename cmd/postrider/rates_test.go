package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

// settled is a batch with attempts of a gateway that ended so.
func settled(gateway string, states ...data.State) *data.Batch {
	b := &data.Batch{}
	for _, state := range states {
		b.Settles = append(b.Settles, &data.Settle{Gateway: gateway, Next: data.Next{State: state}})
	}
	return b
}

// TestRatesCountWhatWasCommitted counts one batch with everything in it.
func TestRatesCountWhatWasCommitted(t *testing.T) {
	three := make([]data.NewEvent, 3)
	two := make([]data.NewMessage, 2)
	b := settled("gateway_1", data.Delivered, data.Waiting, data.Failed, data.Unknown, data.Expired)
	b.Settles = append(b.Settles, &data.Settle{Gateway: "gateway_1", Next: data.Next{State: data.Delivered}, Err: data.ErrConflict})
	b.Saves = []*data.Save{
		{Events: three, Messages: two},
		{Messages: two[:1]},
		{Events: three, Messages: two, Repeated: true},
		{Events: three, Messages: two, Err: data.ErrBacklog},
	}
	b.Resends = []*data.Resend{
		{Resent: []data.Resent{{}, {Err: data.ErrResent}}},
		{Resent: []data.Resent{{}}, Err: data.ErrTooLarge},
	}
	b.Begins = []*data.Begin{{Gateway: "gateway_1", GivenUp: []data.ID{1}, Overdue: []data.Ended{{ID: 2, State: data.Expired}}}}
	r := newRates()
	r.count(b, time.Second)
	_, h := r.overall(3 * time.Second)
	last := rateSteps - 1
	got := [4]uint32{h.Events[last], h.Messages[last], h.Delivered[last], h.Failed[last]}
	if want := [4]uint32{3, 4, 1, 5}; got != want {
		t.Errorf("events, messages, delivered, failed are %v, want %v", got, want)
	}
	lane, ok := r.of("gateway_1", 15*time.Second)
	if !ok || lane.Delivered[laneSteps-1] != 1 || lane.Failed[laneSteps-1] != 5 {
		t.Errorf("of the gateway %v delivered and %v failed are known (%v), want 1 and 5", lane.Delivered, lane.Failed, ok)
	}
}

// TestRing looks at every step of a short life, with pauses shorter and longer than
// the ring.
func TestRing(t *testing.T) {
	r := newRing(4)
	for _, c := range []struct {
		step int64
		n    int
		want []uint32 // what is over by then
	}{
		{0, 1, []uint32{0, 0, 0, 0}},
		{0, 2, []uint32{0, 0, 0, 0}},
		{1, 5, []uint32{0, 0, 0, 3}},
		{3, 7, []uint32{0, 3, 5, 0}},
		{2, 1, []uint32{0, 3, 5, 1}}, // late, as who commits may be
		{6, 0, []uint32{1, 7, 0, 0}},
		{7, 1, []uint32{7, 0, 0, 0}},
		{100, 2, []uint32{0, 0, 0, 0}},
		{1, 9, []uint32{0, 0, 0, 0}}, // too late
		{101, 0, []uint32{0, 0, 0, 2}},
	} {
		r.add(c.step, c.n)
		if got := r.past(c.step); !slices.Equal(got, c.want) {
			t.Errorf("past(%d) = %v after %d more; want %v", c.step, got, c.n, c.want)
		}
	}
}

func TestRatesAreOfTheLastTenSeconds(t *testing.T) {
	r := newRates()
	r.count(settled("g", slices.Repeat([]data.State{data.Delivered}, 100)...), 5*time.Second)
	for _, c := range []struct {
		at   time.Duration
		want float64
	}{{5 * time.Second, 0}, {6 * time.Second, 10}, {15*time.Second + 999*time.Millisecond, 10}, {16 * time.Second, 0}} {
		if got, _ := r.overall(c.at); got.Delivered != c.want {
			t.Errorf("at %v %v are delivered per second, want %v", c.at, got.Delivered, c.want)
		}
	}
}

// TestRatesOfGatewaysAreBounded has more gateways than are kept.
func TestRatesOfGatewaysAreBounded(t *testing.T) {
	r := newRates()
	for i := range maxLaneRates {
		r.count(settled(fmt.Sprint(i), data.Delivered), time.Second)
	}
	known := func(gateway string, at time.Duration) bool {
		_, ok := r.of(gateway, at)
		return ok
	}
	r.count(settled("new", data.Delivered), time.Second)
	if known("new", time.Second) || !known("0", time.Second) {
		t.Error("a gateway beyond the limit is counted, or one within it is not")
	}
	later := (laneSteps + 2) * laneStep
	r.count(settled("0", data.Delivered), later-laneStep)
	r.count(settled("new", data.Delivered), later)
	if !known("new", later) || !known("0", later) {
		t.Error("gateways at rest make no room for a new one, or one that is not at rest does")
	}
	if n := len(r.lanes); n != 2 {
		t.Errorf("%d gateways are kept, want 2", n)
	}
	if h, _ := r.overall(2 * rateStep); h.Delivered == 0 {
		t.Error("what is beyond the limit does not count for all")
	}
}
