package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
	httpapi "github.com/postrider/postrider/http"
)

// shelf is where a declarer under test keeps declarations.
type shelf struct {
	takes time.Duration

	mu      sync.Mutex
	err     error
	kept    map[string]string
	changed []string
}

func (s *shelf) keep(ctx context.Context, gateway string, declaration []byte) error {
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.kept[gateway] = string(declaration)
	}
	if s.err == nil && declaration == nil {
		delete(s.kept, gateway)
	}
	return s.err
}

func newDeclarer(t *testing.T, s *shelf, cfg *config.Config) *declarer {
	t.Helper()
	s.kept = make(map[string]string)
	now, err := checkAll(cfg, "http://b.example", nil, false)
	if err != nil {
		t.Fatal(err)
	}
	now.made = newMade()
	f := &inForce{}
	f.Store(now)
	return &declarer{declared: f, made: now.made, keep: s.keep, log: slog.New(slog.DiscardHandler), changed: func(gateway string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed = append(s.changed, gateway)
	}}
}

const somewhere = `{"url":"https://example.org/"}`

// Who does not wait for the store finds out that it was done after all: what is in
// force is what is kept.
func TestDeclareGoesOnWithoutItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{takes: 20 * time.Second}
		d := newDeclarer(t, s, config.Default())
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, _, err := d.Declare(ctx, "a", []byte(somewhere), true); !errors.Is(err, data.ErrNoAnswer) {
			t.Errorf("Declare() = %v; want %v", err, data.ErrNoAnswer)
		}
		if _, ok := d.declared.Gateway("a"); ok {
			t.Error("it is in force before it is kept")
		}
		// The next change of it waits for its turn, others do not.
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := d.Undeclare(short, "a"); !errors.Is(err, data.ErrOverloaded) {
			t.Errorf("Undeclare() = %v; want %v", err, data.ErrOverloaded)
		}
		if err := d.Undeclare(t.Context(), "b"); !errors.Is(err, data.ErrNotFound) {
			t.Errorf("Undeclare() = %v; want %v", err, data.ErrNotFound)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if _, ok := d.declared.Gateway("a"); !ok || s.kept["a"] != somewhere || fmt.Sprint(s.changed) != "[a]" {
			t.Errorf("in force: %v, kept: %v, told: %v", ok, s.kept, s.changed)
		}
		if err := d.Undeclare(t.Context(), "a"); err != nil || len(s.kept) > 0 {
			t.Errorf("Undeclare() = %v; kept is %v", err, s.kept)
		}
	})
}

// Many changes of one gateway are one after the other, and a change of the
// configuration has none beside it.
func TestDeclareInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{takes: time.Second}
		d := newDeclarer(t, s, config.Default())
		began := time.Now()
		var all sync.WaitGroup
		for i := range 10 {
			for _, name := range []string{"a", "b"} {
				all.Go(func() {
					if _, faults, err := d.Declare(t.Context(), name, fmt.Appendf(nil, `{"url":"https://example.org/%d"}`, i), false); err != nil || len(faults) > 0 {
						t.Errorf("Declare() = %v, %v", faults, err)
					}
				})
			}
		}
		time.Sleep(500 * time.Millisecond)
		now, cancel := context.WithCancel(t.Context())
		cancel()
		if d.changes.shut(now) == nil { // as a reload does, and waits for it
			t.Error("the configuration could change while gateways do")
			d.changes.open()
		}
		all.Wait()
		if d.changes.shut(now) != nil {
			t.Error("the configuration cannot change although no gateway does")
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("10 changes of each took %v; want 10s", took)
		}
		for name, kept := range s.kept {
			if e, _ := d.made.get(name); e.declaration != kept {
				t.Errorf("%s is in force as %s and kept as %s", name, e.declaration, kept)
			}
		}
	})
}

// Who declares a gateway does not wait for a change of the configuration for longer than
// he has, and leaves nothing in the way of the next one.
func TestDeclareBesideAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{takes: time.Second}
		d := newDeclarer(t, s, config.Default())
		if err := d.changes.shut(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, _, err := d.Declare(ctx, "a", []byte(somewhere), true)
		if again := d.Undeclare(ctx, "a"); !errors.Is(err, httpapi.ErrReloading) || !errors.Is(again, httpapi.ErrReloading) {
			t.Errorf("Declare() = %v, Undeclare() = %v; want %v", err, again, httpapi.ErrReloading)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("both gave up after %v; want 10s", took)
		}
		done := make(chan error)
		go func() {
			_, _, err := d.Declare(t.Context(), "a", []byte(somewhere), true)
			done <- err
		}()
		synctest.Wait()
		d.changes.open()
		if err := <-done; err != nil {
			t.Errorf("Declare() = %v once the configuration is changed", err)
		}
	})
}

// A change of the configuration waits for those of gateways, has its turn before those
// that come later, and gives up when its time is over.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		enter := func() {
			if err := g.enter(t.Context()); err != nil {
				t.Error(err)
			}
		}
		enter()
		enter()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := g.shut(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("shut() = %v with two inside; want it to give up", err)
		}
		enter() // it is open again
		var order []string
		go func() {
			if err := g.shut(t.Context()); err != nil {
				t.Error(err)
			}
			order = append(order, "alone")
			time.Sleep(time.Second)
			g.open()
		}()
		synctest.Wait()
		go func() {
			enter()
			order = append(order, "later")
		}()
		for range 3 {
			synctest.Wait()
			if len(order) > 0 {
				t.Errorf("%v went on while others were inside", order)
			}
			g.leave()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if fmt.Sprint(order) != "[alone later]" {
			t.Errorf("they had their turns as %v; want [alone later]", order)
		}
	})
}

func TestDeclareThatIsNotKept(t *testing.T) {
	s := &shelf{err: data.ErrNoSpace}
	d := newDeclarer(t, s, config.Default())
	if _, _, err := d.Declare(t.Context(), "a", []byte(somewhere), true); !errors.Is(err, data.ErrNoSpace) {
		t.Errorf("Declare() = %v; want %v", err, data.ErrNoSpace)
	}
	if _, ok := d.declared.Gateway("a"); ok || d.made.weight != 0 || d.made.coming != 0 || len(s.changed) > 0 {
		t.Errorf("in force: %v, a weight of %d, %d coming, told: %v", ok, d.made.weight, d.made.coming, s.changed)
	}
	s.err = nil
	if created, _, err := d.Declare(t.Context(), "a", []byte(somewhere), true); !created || err != nil {
		t.Errorf("Declare() = %v, %v", created, err)
	}
	// The same again is nothing to keep.
	s.err = data.ErrStorage
	if created, _, err := d.Declare(t.Context(), "a", []byte(somewhere), false); created || err != nil {
		t.Errorf("Declare() = %v, %v; want no change", created, err)
	}
	if err := d.Undeclare(t.Context(), "a"); !errors.Is(err, data.ErrStorage) {
		t.Errorf("Undeclare() = %v", err)
	}
	if _, ok := d.declared.Gateway("a"); !ok || d.made.weight < len(somewhere) || d.made.weight != d.made.entries["a"].weight() {
		t.Errorf("in force: %v, a weight of %d; want it as it was", ok, d.made.weight)
	}
}

func TestThereAreNotTooMany(t *testing.T) {
	s := &shelf{}
	d := newDeclarer(t, s, config.Default())
	for i := range data.MaxDeclared {
		d.made.entries[fmt.Sprint(i)] = madeEntry{}
	}
	declare := func(name string, want error) {
		t.Helper()
		if _, faults, err := d.Declare(t.Context(), name, []byte(somewhere), false); !errors.Is(err, want) || len(faults) > 0 {
			t.Errorf("Declare(%s) = %v, %v; want %v", name, faults, err, want)
		}
	}
	declare("one-more", data.ErrTooMany)
	declare("7", nil)
	if err := d.Undeclare(t.Context(), "7"); err != nil {
		t.Fatal(err)
	}
	declare("one-more", nil)
	declare("another", data.ErrTooMany)
	d.made.entries, d.made.weight = map[string]madeEntry{"large": {declaration: strings.Repeat("x", data.MaxDeclaredBytes)}}, data.MaxDeclaredBytes
	declare("small", data.ErrTooMany)
	declare("large", nil)
	declare("small", nil)
	if want := 2 * d.made.entries["small"].weight(); d.made.weight != want || d.made.coming != 0 {
		t.Errorf("a weight of %d is counted, %d are coming; want %d, 0", d.made.weight, d.made.coming, want)
	}
	// What counts is what it comes to, not how long it is.
	short := fmt.Sprintf(`{"url":"https://example.org/","settings":{"a":"%s"},"body":{"json":[%s""]}}`, strings.Repeat("x", 4<<10), strings.Repeat(`"{{settings.a}}",`, 1000))
	d.made.weight = data.MaxDeclaredBytes - 1<<20
	if _, _, err := d.Declare(t.Context(), "short", []byte(short), true); !errors.Is(err, data.ErrTooMany) {
		t.Errorf("Declare() of %d bytes that come to 4 MiB = %v; want %v", len(short), err, data.ErrTooMany)
	}
}

func TestFaultsOfDeclarations(t *testing.T) {
	d := newDeclarer(t, &shelf{}, config.Default())
	for _, c := range []struct{ declaration, pointer, code, detail string }{
		{`{"url":"https://h/","canary":{"a":1}}`, "", "unknown_field", "has a key that there is not"},
		{`{"url":"https://h/","auth":{"canary":1}}`, "/auth", "unknown_field", "has a key that there is not"},
		{`{}`, "/url", "required", "Is missing: a gateway that is declared over the API has one of its own."},
		{`{"url":"https://h/","rate":"canary"}`, "/rate", "invalid", "Expected a number."},
		{`{"url":"https://h/{{canary}}"}`, "/url", "invalid", ""},
		{`{"url":"https://h/","body":{"json":{"a.b":["{{canary}}"]}}}`, "/body/json/a.b/0", "invalid", ""},
		{`{"url":"https://h/","query":{"a.b":"{{canary}}"}}`, "/query/a.b", "invalid", ""},
		{`{"url":"https://h/","length":{"limit":1,"unit":"canary"}}`, "/length/unit", "invalid", ""},
		{`{"preset":"canary","url":"https://h/"}`, "/preset", "invalid", "Is not the name of a preset"},
		{`{"preset":"telegram","settings":{"token":"12:34"}}`, "/settings/chat_id", "required", "Is missing, preset telegram needs it"},
		{`{"url":"http://127.0.0.1/"}`, "/url", "invalid", "Leads to an address that is not public; delivery.api_networks has"},
		{`{"url":"http://[::1]:80/"}`, "/url", "invalid", "Leads to an address that is not public"},
		{`{"url":"http://{{settings.at}}/","settings":{"at":"10.0.0.1:80"}}`, "/url", "invalid", "Leads to an address that is not public"},
		{`{"url":"https://h/","auth":{"oauth2":{"token_url":"http://169.254.169.254/","client_id":"a","client_secret":"b"}}}`, "/auth/oauth2/token_url", "invalid", "Leads to an address that is not public"},
	} {
		_, faults, err := d.Declare(t.Context(), "a", []byte(c.declaration), true)
		if err != nil || len(faults) != 1 || faults[0].Pointer != c.pointer || faults[0].Code != c.code || !strings.Contains(faults[0].Detail, c.detail) {
			t.Errorf("Declare(%s) = %+v, %v; want %s at %s: %s", c.declaration, faults, err, c.code, c.pointer, c.detail)
		}
		if strings.Contains(fmt.Sprint(faults), "canary") {
			t.Errorf("Declare(%s) tells a value: %+v", c.declaration, faults)
		}
	}
	if d.made.len() != 0 {
		t.Errorf("%d gateways are declared", d.made.len())
	}
}
