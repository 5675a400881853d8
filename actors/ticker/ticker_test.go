package ticker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func TestPace(t *testing.T) {
	p := pace{interval: 5 * time.Second}
	for i, c := range []struct {
		done   bool // the event under way ends first
		missed int
		send   bool
	}{
		{false, 0, true}, {true, 0, true}, {false, 0, false}, {false, 0, false}, {true, 2, true}, {true, 0, true},
	} {
		if c.done {
			if got := p.done(); got != c.missed {
				t.Errorf("step %d: done() = %d; want %d", i, got, c.missed)
			}
		}
		if send, wait := p.tick(); send != c.send || wait != p.interval {
			t.Errorf("step %d: tick() = %t, %v; want %t, %v", i, send, wait, c.send, p.interval)
		}
	}
}

// bench is a ticker whose endpoint is faked, in a synctest bubble.
type bench struct {
	t       *testing.T
	start   time.Time
	options Options
	system  *actor.ActorSystem
	pid     *actor.PID
	log     bytes.Buffer

	mu       sync.Mutex
	posts    []string // when, and what
	statuses []int
	cut      int // posts that were cancelled
}

func newBench(t *testing.T, takes time.Duration, answer Answer, err error) *bench {
	b := &bench{t: t, start: time.Now()}
	drawn := 0
	b.options = Options{
		Interval: 5 * time.Second,
		Timeout:  3 * time.Second,
		Events:   []json.RawMessage{json.RawMessage("0"), json.RawMessage("1"), json.RawMessage("2")},
		Draw: func(n int) int {
			drawn++
			return drawn % n
		},
		Post: func(ctx context.Context, event json.RawMessage) (Answer, error) {
			b.mu.Lock()
			b.posts = append(b.posts, fmt.Sprint(time.Since(b.start), " ", string(event)))
			b.mu.Unlock()
			select {
			case <-time.After(takes):
				return answer, err
			case <-ctx.Done():
				b.mu.Lock()
				defer b.mu.Unlock()
				b.cut++
				return Answer{}, ctx.Err()
			}
		},
		Logger: slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})),
		Sent: func(status int) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.statuses = append(b.statuses, status)
		},
	}
	return b
}

func (b *bench) run() {
	b.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}))
	b.pid = b.system.Root.Spawn(Props(b.options))
	synctest.Wait()
}

func (b *bench) stop() {
	if err := b.system.Root.StopFuture(b.pid).Wait(); err != nil {
		b.t.Errorf("stop: %v", err)
	}
	b.system.Shutdown()
	time.Sleep(2 * time.Second) // the dead letters' throttle
}

func (b *bench) wantPosts(want ...string) {
	b.t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.posts, want) {
		b.t.Errorf("after %v: posts = %q; want %q", time.Since(b.start), b.posts, want)
	}
}

func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, time.Second, Answer{Status: 201}, nil)
		b.run()
		defer b.stop()
		b.wantPosts("0s 1")
		time.Sleep(5*time.Second - 1)
		b.wantPosts("0s 1")
		time.Sleep(time.Nanosecond)
		b.wantPosts("0s 1", "5s 2")
		time.Sleep(10 * time.Second)
		b.wantPosts("0s 1", "5s 2", "10s 0", "15s 1")
	})
}

// A post that takes longer than the interval is not overlapped; the ticks it
// takes are missed, and the log says so.
func TestNoOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 12*time.Second, Answer{Status: 201}, nil)
		b.options.Timeout = time.Minute
		b.run()
		time.Sleep(16 * time.Second)
		b.wantPosts("0s 1", "15s 2")
		b.stop()
		synctest.Wait()
		if !strings.Contains(b.log.String(), "missed=2") {
			t.Errorf("log = %s; want missed=2", &b.log)
		}
	})
}

func TestLogLines(t *testing.T) {
	for _, c := range []struct {
		about  string
		takes  time.Duration
		answer Answer
		err    error
		want   string
		status int
	}{
		{"accepted", 0, Answer{Status: 201, Text: "id 7"}, nil, `level=INFO msg="event accepted" status=201 answer="id 7"`, 201},
		{"refused", 0, Answer{Status: 422, Text: "bad type"}, nil, `level=WARN msg="event refused" status=422 answer="bad type"`, 422},
		{"no connection", 0, Answer{}, errors.New("refused"), `level=WARN msg="event not sent" err=refused`, 0},
		{"no answer", time.Hour, Answer{}, nil, `level=WARN msg="event not sent: no answer in time" timeout=3s`, 0},
	} {
		t.Run(c.about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, c.takes, c.answer, c.err)
				b.run()
				time.Sleep(4 * time.Second)
				b.stop()
				synctest.Wait()
				if got := strings.TrimSpace(b.log.String()); got != c.want {
					t.Errorf("log = %s\nwant %s", got, c.want)
				}
				if !slices.Equal(b.statuses, []int{c.status}) {
					t.Errorf("sent was told %v; want %d", b.statuses, c.status)
				}
			})
		})
	}
}

func TestPanicInPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 0, Answer{Status: 201}, nil)
		post, panicked := b.options.Post, false
		b.options.Post = func(ctx context.Context, event json.RawMessage) (Answer, error) {
			if !panicked {
				panicked = true
				panic("provoked")
			}
			return post(ctx, event)
		}
		b.run()
		time.Sleep(5 * time.Second)
		b.wantPosts("5s 2")
		b.stop()
		synctest.Wait()
		if !strings.Contains(b.log.String(), "provoked") {
			t.Errorf("log = %s; want the panic", &b.log)
		}
	})
}

// A panic in the actor restarts it; the old timer does not tick on.
func TestPanicInDraw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 0, Answer{Status: 201}, nil)
		draws := 0
		b.options.Draw = func(int) int {
			if draws++; draws == 2 {
				panic("provoked")
			}
			return 0
		}
		b.run()
		defer b.stop()
		time.Sleep(12 * time.Second)
		b.wantPosts("0s 0", "5s 0", "10s 0") // the one at 5 s by the restarted ticker
	})
}

func TestStopCancelsThePost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, time.Hour, Answer{}, nil)
		b.run()
		time.Sleep(time.Second)
		b.stop()
		synctest.Wait()
		if b.cut != 1 {
			t.Errorf("%d posts were cancelled; want 1", b.cut)
		}
		time.Sleep(time.Minute)
		b.wantPosts("0s 1")
	})
}
