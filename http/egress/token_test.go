package egress

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// at is a time after start.
func at(d time.Duration) time.Time { return start.Add(d) }

// wantLook compares what a state says at a time.
func wantLook(t *testing.T, what string, s *tokenState, after time.Duration, value string, fetch bool) {
	t.Helper()
	if v, f := s.look(at(after)); v != value || f != fetch {
		t.Errorf("%s, look(%v) = %q, %v; want %q, %v", what, after, v, f, value, fetch)
	}
}

func TestTokenLives(t *testing.T) {
	const us = time.Microsecond
	tests := map[string]struct {
		life        time.Duration
		renew, ends time.Duration
	}{
		"an hour":  {time.Hour, 59 * time.Minute, time.Hour - 15*time.Second},
		"a minute": {time.Minute, 48 * time.Second, 57 * time.Second},
		"a second": {time.Second, 800 * time.Millisecond, 950 * time.Millisecond},
		"nothing":  {time.Nanosecond, 800 * time.Millisecond, 950 * time.Millisecond},
		"not said": {0, 4 * time.Minute, 5*time.Minute - 15*time.Second},
		"a month":  {720 * time.Hour, 720*time.Hour - time.Minute, 720*time.Hour - 15*time.Second},
	}
	for name, tt := range tests {
		var s tokenState
		wantLook(t, name, &s, 0, "", true)
		s.got(dialect.Token{Value: "t1", Life: tt.life}, at(0), at(us))
		wantLook(t, name, &s, us, "t1", false)
		wantLook(t, name, &s, tt.renew-us, "t1", false)
		wantLook(t, name, &s, tt.renew, "t1", true)
		wantLook(t, name, &s, tt.ends-us, "t1", true)
		wantLook(t, name, &s, tt.ends, "", true)
	}
}

func TestTokenFails(t *testing.T) {
	for wait, pause := range map[time.Duration]time.Duration{0: fetchPause, time.Second: fetchPause, time.Minute: time.Minute, time.Hour: mostPause} {
		var s tokenState
		s.failed(wait, at(0))
		wantLook(t, "failed", &s, pause-1, "", false)
		wantLook(t, "failed", &s, pause, "", true)
		s.got(dialect.Token{Value: "t1", Life: time.Hour}, at(pause), at(pause))
		wantLook(t, "failed, then got", &s, pause, "t1", false)
		// One that cannot be renewed is used to its end.
		renew := pause + 59*time.Minute
		s.failed(wait, at(renew))
		wantLook(t, "not renewed", &s, renew, "t1", false)
		wantLook(t, "not renewed", &s, renew+fetchPause, "t1", pause == fetchPause)
		wantLook(t, "not renewed", &s, renew+mostPause, "", true)
	}
}

func TestTokenRefused(t *testing.T) {
	token := func(value string) dialect.Token { return dialect.Token{Value: value, Life: time.Hour} }
	var s tokenState
	s.refuse("t0")
	s.got(token("t1"), at(0), at(0))
	s.refuse("t0")
	wantLook(t, "another was refused", &s, 1, "t1", false)
	s.refuse("t1")
	wantLook(t, "the first was refused", &s, 1, "", true)
	s.refuse("t1")
	s.got(token("t2"), at(1), at(2))
	s.refuse("t1")
	wantLook(t, "a late refusal of the first", &s, 3, "t2", false)
	s.refuse("t2")
	wantLook(t, "the second was refused too", &s, 3, "t2", false)
	wantLook(t, "the second was refused too", &s, fetchPause+1, "t2", false)
	wantLook(t, "the second was refused too", &s, fetchPause+2, "", true)
	s.failed(0, at(fetchPause+2))
	wantLook(t, "no third", &s, fetchPause+3, "", false)
	wantLook(t, "no third", &s, 2*fetchPause+2, "", true)
	s.got(token("t4"), at(time.Minute), at(time.Minute))
	wantLook(t, "the fourth", &s, time.Minute, "t4", false)
	s.refuse("t4")
	wantLook(t, "the fourth was refused much later", &s, time.Minute+fetchPause, "", true)
}

// endpoint is a token endpoint without a network: it answers what it is told, after
// a second.
type tokenEndpoint struct {
	mu    sync.Mutex
	begun []time.Duration // since it was made
	most  int             // under way at once
	now   int
	broke bool
	made  time.Time
}

func (e *tokenEndpoint) fetch(ctx context.Context) (dialect.Token, time.Duration, bool) {
	e.mu.Lock()
	e.begun = append(e.begun, time.Since(e.made))
	number, broke := len(e.begun), e.broke
	e.now++
	e.most = max(e.most, e.now)
	e.mu.Unlock()
	defer func() { e.mu.Lock(); e.now--; e.mu.Unlock() }()
	select {
	case <-ctx.Done():
		return dialect.Token{}, 0, false
	case <-time.After(time.Second):
	}
	return dialect.Token{Value: "t" + strconv.Itoa(number), Life: time.Minute}, 0, !broke
}

// All attempts wait for one fetch, within their own time limits.
func TestOneFetchForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &tokenEndpoint{made: time.Now()}
		s := &source{fetch: e.fetch}
		var running sync.WaitGroup
		for range 50 {
			running.Go(func() {
				if token, cause := s.get(t.Context(), t.Context(), time.Now().Add(2*time.Second)); token != "t1" || cause != data.CauseNone {
					t.Errorf("get() = %q, %q; want t1", token, cause)
				}
			})
			running.Go(func() {
				began := time.Now()
				if token, cause := s.get(t.Context(), t.Context(), began.Add(time.Second/2)); cause != data.CauseToken || time.Since(began) != time.Second/2 {
					t.Errorf("get() within half a second = %q, %q after %v; want %q", token, cause, time.Since(began), data.CauseToken)
				}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/4)
		defer cancel()
		if token, cause := s.get(ctx, t.Context(), time.Now().Add(time.Minute)); cause != data.CauseCutOff {
			t.Errorf("get() that was cut off = %q, %q; want %q", token, cause, data.CauseCutOff)
		}
		running.Wait()
		if len(e.begun) != 1 {
			t.Errorf("%d fetches; want 1", len(e.begun))
		}
	})
}

// While there are no tokens attempts fail, at a pace, and the endpoint is left in
// peace; the first that comes after serves all.
func TestFetchesBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &tokenEndpoint{made: time.Now(), broke: true}
		s := &source{fetch: e.fetch}
		ended := 0
		for time.Since(e.made) < 30*time.Second {
			if token, cause := s.get(t.Context(), t.Context(), time.Now().Add(10*time.Second)); cause != data.CauseToken {
				t.Fatalf("get() = %q, %q; want %q", token, cause, data.CauseToken)
			}
			ended++
		}
		for i, begun := range e.begun {
			if want := time.Duration(i) * (time.Second + fetchPause); begun != want {
				t.Errorf("fetch %d began after %v; want %v", i+1, begun, want)
			}
		}
		if ended != len(e.begun) {
			t.Errorf("%d attempts failed with %d fetches; want as many", ended, len(e.begun))
		}
		// One whose time ends before the pause does fails at once.
		began := time.Now()
		if _, cause := s.get(t.Context(), t.Context(), began.Add(time.Second)); cause != data.CauseToken || time.Since(began) != 0 {
			t.Errorf("get() in the pause = %q after %v; want %q at once", cause, time.Since(began), data.CauseToken)
		}
		e.broke = false
		if token, cause := s.get(t.Context(), t.Context(), began.Add(10*time.Second)); cause != data.CauseNone {
			t.Errorf("get() = %q, %q; want a token", token, cause)
		}
	})
}

// A token is renewed before its end, and nobody waits for that.
func TestTokenIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &tokenEndpoint{made: time.Now()}
		s := &source{fetch: e.fetch}
		slow := 0
		for time.Since(e.made) < 10*time.Minute {
			began := time.Now()
			if token, cause := s.get(t.Context(), t.Context(), began.Add(time.Minute)); cause != data.CauseNone {
				t.Fatalf("get() = %q, %q", token, cause)
			}
			if time.Since(began) > 0 {
				slow++
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := len(e.begun); n < 12 || n > 13 || slow != 1 || e.most != 1 {
			t.Errorf("%d fetches, %d at once, %d attempts waited; want 12 or 13, 1, 1", n, e.most, slow)
		}
	})
}

// With the client ends what it fetches.
func TestFetchEndsWithTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &tokenEndpoint{made: time.Now()}
		s := &source{fetch: e.fetch}
		life, end := context.WithTimeout(t.Context(), time.Second/2)
		defer end()
		if token, cause := s.get(t.Context(), life, time.Now().Add(time.Minute)); cause != data.CauseToken || time.Since(e.made) != time.Second/2 {
			t.Errorf("get() = %q, %q after %v", token, cause, time.Since(e.made))
		}
	})
}

// A fetch that does not end is given up, and does not hold up the next one for ever.
func TestFetchIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := &source{fetch: func(ctx context.Context) (dialect.Token, time.Duration, bool) {
			<-ctx.Done()
			return dialect.Token{}, 0, false
		}}
		if token, cause := s.get(t.Context(), t.Context(), began.Add(time.Hour)); cause != data.CauseToken || time.Since(began) != fetchTimeout {
			t.Errorf("get() = %q, %q after %v; want %q after %v", token, cause, time.Since(began), data.CauseToken, fetchTimeout)
		}
	})
}

func TestRecentIsBounded(t *testing.T) {
	made := 0
	r := newRecent[int, *int](3)
	get := func(key int) *int { return r.get(key, func() *int { made++; return new(made) }) }
	if first := get(1); get(1) != first || made != 1 {
		t.Errorf("a value was made %d times", made)
	}
	for key := range 10 {
		get(key)
	}
	if len(r.kept) != 3 || *get(9) != made {
		t.Errorf("%d values are kept, of %d", len(r.kept), made)
	}
}
