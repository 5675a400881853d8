package badger

import (
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

func (k *kept) wantOldest(gateway string, want time.Time) {
	k.t.Helper()
	got, err := k.Oldest(gateway)
	if err != nil || !got.Equal(want) {
		k.t.Errorf("Oldest(%q) = %v, %v; want %v", gateway, got, err, want)
	}
}

// TestOldest follows the oldest message of a lane through its life.
func TestOldest(t *testing.T) {
	k := newKept(t)
	k.wantOldest("gateway_1", time.Time{})
	accepted := func(id data.ID) time.Time { return k.message(id).AcceptedAt }
	pass := func() { k.machine().pass(time.Second) }

	first := k.send("gateway_1", "a")
	pass()
	second := k.send("gateway_1", "b")
	pass()
	third := k.send("gateway_1", "c")
	pass()
	other := k.send("gateway_2", "d")
	k.wantOldest("gateway_1", accepted(first))
	k.wantOldest("gateway_2", accepted(other))

	k.begin("gateway_1", k.ready("gateway_1", 0, 1)...)
	k.wantOldest("gateway_1", accepted(first)) // under way
	if got := k.lane("gateway_1").First; got != first {
		t.Errorf("First of the lane is %v with %v under way", got, first)
	}
	k.settle("gateway_1", first, 1, unreached)
	k.wantOldest("gateway_1", accepted(first)) // waiting
	k.cancel(second)
	k.machine().pass(time.Hour)
	k.begin("gateway_1", k.waiting("gateway_1", data.Ref{}, 1)...)
	k.settle("gateway_1", first, 2, delivered)
	k.wantOldest("gateway_1", accepted(third)) // past the one that was taken back
	k.begin("gateway_1", k.ready("gateway_1", 0, 2)...)
	k.settle("gateway_1", third, 1, delivered)
	k.wantOldest("gateway_1", time.Time{})
	if got := k.lane("gateway_1").First; got != 0 {
		t.Errorf("First of a lane with nothing to send is %v", got)
	}
}

func TestNewest(t *testing.T) {
	k := newKept(t)
	if got := k.Newest(); got != 0 {
		t.Errorf("Newest() = %v in a new store, want 0", got)
	}
	want := k.record(data.NewEvent{}, data.NewEvent{}) + 1
	if got := k.Newest(); got != want {
		t.Errorf("Newest() = %v, want %v", got, want)
	}
	k.reopen()
	if got := k.Newest(); got != want {
		t.Errorf("Newest() = %v after a restart, want %v", got, want)
	}
}

func TestSpace(t *testing.T) {
	k := newKept(t)
	left, used, err := k.Space()
	if err != nil || left <= 0 || used <= 0 || used > 64<<20 {
		t.Errorf("Space() = %d, %d, %v; want some of both", left, used, err)
	}
}
