package badger

import (
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

// stopped leaves a message waiting for its next attempt, due in a minute, with a
// commit at the very end.
func stopped(t *testing.T) (k *kept, id data.ID, due data.StoreTime) {
	t.Helper()
	k = newKept(t)
	id = k.send("gateway_1", "a")
	o := k.try("gateway_1", id, refused)
	k.close()
	return k, id, o.Next.Due
}

func TestStoreTimeOverARestart(t *testing.T) {
	tests := map[string]struct {
		change func(m *machine)
		passed time.Duration // by the store's clock
		doubt  bool
	}{
		"same boot":                   {func(m *machine) { m.pass(30 * time.Second) }, 30 * time.Second, false},
		"same boot, long":             {func(m *machine) { m.pass(1000 * time.Hour) }, 1000 * time.Hour, false},
		"other boot":                  {func(m *machine) { m.reboot("boot-2") }, 0, true},
		"other boot, later boot time": {func(m *machine) { m.pass(time.Hour); m.boot = "boot-2" }, 0, true},
		"boot clock back":             {func(m *machine) { m.up -= time.Nanosecond }, 0, true},
		"boot not known any more":     {func(m *machine) { m.boot = "" }, 0, true},
		"wall clock forward":          {func(m *machine) { m.wall = m.wall.AddDate(10, 0, 0) }, 0, false},
		"wall clock back":             {func(m *machine) { m.wall = m.wall.AddDate(-10, 0, 0) }, 0, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, id, due := stopped(t)
			before := k.machine().up
			ended := due.Add(-time.Minute)
			test.change(k.machine())
			k.open()
			opened, doubt := k.Resumed()
			// Commits tick on by a nanosecond each, the clock stands still meanwhile.
			if passed := opened.Sub(ended); doubt != test.doubt || passed < test.passed || passed > test.passed+10 {
				t.Errorf("from boot time %v on, %v passed, doubt %v; want %v, %v", before, passed, doubt, test.passed, test.doubt)
			}
			neverEarly(t, k, id, max(due, opened))
			k.verify()
		})
	}
}

// neverEarly walks up to the due time, and in doubt to a full interval after the
// start, and checks that the attempt is granted then and not before.
func neverEarly(t *testing.T, k *kept, id data.ID, due data.StoreTime) {
	t.Helper()
	opened, doubt := k.Resumed()
	if doubt {
		due = max(due, opened.Add(time.Minute))
	}
	ref := data.Ref{ID: id, Number: 2, Due: k.message(id).Due}
	for _, wall := range []int{10, -20, 10} {
		// A little before, since every commit is a nanosecond later than the last.
		if left := due.Sub(k.Now()) - 100; left > 0 {
			k.machine().pass(left / 2)
			k.machine().wall = k.machine().wall.AddDate(wall, 0, 0)
			if granted := k.begin("gateway_1", ref); len(granted) != 0 {
				t.Fatalf("an attempt began at %d, it is due at %d", granted[0].Began, due)
			}
		}
	}
	k.machine().pass(max(0, due.Sub(k.Now())))
	granted := k.begin("gateway_1", ref)
	if len(granted) != 1 || granted[0].Began < due {
		t.Errorf("at %d, due at %d, granted is %+v", k.Now(), due, granted)
	}
}

// TestStoreTimeNeverGoesBack keeps the time while the boot clock jumps.
func TestStoreTimeNeverGoesBack(t *testing.T) {
	k := newKept(t)
	last := k.Now()
	for i, step := range []time.Duration{time.Second, -time.Minute, -time.Hour, time.Second, 2 * time.Hour, -time.Nanosecond} {
		k.machine().pass(step)
		if now := k.Now(); now < last {
			t.Errorf("after step %d of %v the time went from %d back to %d", i, step, last, now)
		} else {
			last = now
		}
		k.record(data.NewEvent{})
		if i == 2 {
			k.reopen()
			if opened, _ := k.Resumed(); opened < last {
				t.Errorf("opened at %d; want at least %d", opened, last)
			}
		}
	}
}

func TestTicksAreDistinct(t *testing.T) {
	s, _ := resume(newMachine(), marker{})
	last := data.StoreTime(-1)
	for range 100 {
		now := s.tick()
		if now <= last {
			t.Fatalf("tick() = %d after %d", now, last)
		}
		last = now
	}
}

func TestSystemClock(t *testing.T) {
	c := SystemClock()
	_, before := c.Boot()
	_, after := c.Boot()
	if after < before {
		t.Errorf("the boot clock went from %v to %v", before, after)
	}
	if d := time.Since(c.Wall()); d < 0 || d > time.Minute {
		t.Errorf("the wall clock is off by %v", d)
	}
}

func TestDueOnTheWallClock(t *testing.T) {
	k := newKept(t)
	id := k.send("gateway_1", "a")
	k.try("gateway_1", id, refused)
	for _, step := range []int{0, 10, -20} {
		k.machine().wall = k.machine().wall.AddDate(step, 0, 0)
		want := k.machine().Wall().Add(time.Minute)
		if got := k.message(id).DueAt; got.Sub(want).Abs() > time.Microsecond {
			t.Errorf("%d years later the message is due at %v; want %v", step, got, want)
		}
	}
}

// TestDoubtHoldsBackWhatIsNearlyDue starts on another boot seconds before a
// message is due by the record: how old that record is nobody knows.
func TestDoubtHoldsBackWhatIsNearlyDue(t *testing.T) {
	k := newKept(t)
	id := k.send("gateway_1", "a")
	due := k.try("gateway_1", id, refused).Next.Due
	k.machine().pass(50 * time.Second)
	k.record(data.NewEvent{Type: "the time is stored"})
	k.close()
	k.machine().reboot("boot-2")
	k.open()
	opened, _ := k.Resumed()
	ref := data.Ref{ID: id, Number: 2, Due: due}
	k.machine().pass(due.Sub(k.Now()))
	if granted := k.begin("gateway_1", ref); len(granted) != 0 {
		t.Errorf("an attempt began %v after the start; want a full minute", k.Now().Sub(opened))
	}
	k.machine().pass(opened.Add(time.Minute).Sub(k.Now()))
	if granted := k.begin("gateway_1", ref); len(granted) != 1 {
		t.Error("no attempt began a minute after the start")
	}
}
