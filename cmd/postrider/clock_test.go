package main

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data/badger"
)

// movedClock is the machine's clock with the wall clock put elsewhere, and in a
// boot of its own.
type movedClock struct {
	machine badger.Clock

	mu   sync.Mutex
	wall time.Duration // added to the wall clock
	boot string
	up   time.Duration // added to the boot clock
}

func newMovedClock() *movedClock { return &movedClock{machine: badger.SystemClock(), boot: "boot-1"} }

func (c *movedClock) Boot() ([]byte, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, since := c.machine.Boot()
	return []byte(c.boot), since + c.up
}

func (c *movedClock) Wall() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.machine.Wall().Add(c.wall)
}

// step moves the wall clock.
func (c *movedClock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall += d
}

// reboot is another boot, whose clock shows so much more.
func (c *movedClock) reboot(up time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.boot, c.up = c.boot+"'", c.up+up
}

const decade = 10 * 365 * 24 * time.Hour

// Steps of the wall clock, while the program runs and while it does not, make no
// attempt early and strand no message; and a machine that started anew makes it
// wait a full interval, whatever its clocks show.
func TestClockSteps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step   time.Duration
		reboot bool
		up     time.Duration
	}{
		"a second on":              {step: time.Second},
		"a second back":            {step: -time.Second},
		"an hour on":               {step: time.Hour},
		"an hour back":             {step: -time.Hour},
		"ten years on":             {step: decade},
		"ten years back":           {step: -decade},
		"other boot":               {reboot: true, up: -time.Minute},
		"other boot, longer ago":   {reboot: true, up: decade},
		"other boot, an hour back": {step: -time.Hour, reboot: true, up: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := newMovedClock()
			// It takes a message at the fourth attempt, and the clock steps at each one
			// before: there, as far to the other side, and back.
			chat := newGateway(t, func(r *http.Request) int {
				switch r.Header.Get("Postrider-Attempt") {
				case "1":
					clock.step(c.step)
				case "2":
					clock.step(-2 * c.step)
				case "3":
					clock.step(c.step)
				default:
					return http.StatusOK
				}
				return http.StatusServiceUnavailable
			})
			cfg := settings(t)
			cfg.Delivery.Interval = 500 * time.Millisecond
			cfg.Delivery.MaxAttempts = 4
			cfg.Gateways = map[string]config.Gateway{"chat": at(chat.url)}

			p := startWith(t, cfg, runOptions{clock: clock})
			id := post(t, p.url+"/send_message", messageFor("chat", "x"))
			eventually(t, "three attempts have failed", func() bool {
				m := p.message(t, id)
				return len(m.Attempts) == 3 && m.State == "waiting"
			})
			if err := p.stop(t); err != nil {
				t.Fatal(err)
			}
			clock.step(c.step)
			if c.reboot {
				clock.reboot(c.up)
			}
			restarted := time.Now()
			p = startWith(t, cfg, runOptions{clock: clock})
			p.await(t, id, "delivered")

			seen := chat.seen()
			if len(seen) != 4 {
				t.Fatalf("%d requests came, want 4", len(seen))
			}
			for i := 1; i < len(seen); i++ {
				if pause := seen[i].at.Sub(seen[i-1].answered); pause < cfg.Delivery.Interval {
					t.Errorf("attempt %s came %v after attempt %s, want %v", seen[i].attempt, pause, seen[i-1].attempt, cfg.Delivery.Interval)
				}
			}
			if wait := seen[3].at.Sub(restarted); c.reboot && wait < cfg.Delivery.Interval {
				t.Errorf("the attempt after the start came %v after it, want %v: nobody knows how long the machine was off", wait, cfg.Delivery.Interval)
			}
		})
	}
}
