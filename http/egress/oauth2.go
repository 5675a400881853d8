package egress

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
)

// fetchTimeout bounds one request for a token. It is not the time limit of an
// attempt: those that wait may give up, and the next ones still get the token.
const fetchTimeout = 10 * time.Second

// maxSources is how many sources of tokens are kept. One that is made anew has
// forgotten its token, nothing else.
const maxSources = 10_000

// sourceKey is the same for all that get the same tokens in the same way.
type sourceKey struct {
	grant, identity [32]byte
	guarded         bool
}

// source has the access token of all that would get the same one. It fetches one at
// a time, and each attempt that needs it waits.
type source struct {
	fetch func(context.Context) (t dialect.Token, wait time.Duration, ok bool)

	mu      sync.Mutex
	state   tokenState
	pending *fetching // nil when nothing is under way
}

// fetching is a request for a token.
type fetching struct {
	done  chan struct{}
	token string // "" for none; written before done is closed
}

// source returns where the token of a dialect comes from, nil when it has none.
func (c *Client) source(d *dialect.Dialect) *source {
	g := d.Grant()
	if g == nil {
		return nil
	}
	key, as := sourceKey{grant: g.Sum(), guarded: d.Guarded()}, d.Identity()
	if as != nil {
		key.identity = as.Sum()
	}
	return c.sources.get(key, func() *source {
		return &source{fetch: func(ctx context.Context) (dialect.Token, time.Duration, bool) {
			deadline, _ := ctx.Deadline()
			a, cause := c.do(ctx, g.Request(), terms{deadline: deadline, judge: everyBody{}, as: as, guarded: key.guarded})
			if cause != data.CauseNone {
				return dialect.Token{}, 0, false
			}
			return g.Read(a, time.Now())
		}}
	})
}

// everyBody is a judge that needs the body of every answer.
type everyBody struct{}

func (everyBody) NeedsBody(int) bool { return true }

// get returns a token. The cause is [data.CauseToken] when there is none to be had
// before the deadline, and [data.CauseCutOff] when ctx ended first. What is fetched
// is fetched for others too, so it goes on in life.
func (s *source) get(ctx, life context.Context, deadline time.Time) (string, data.Cause) {
	for {
		token, pending, pause := s.look(life)
		if token != "" {
			return token, data.CauseNone
		}
		left := time.Until(deadline)
		var done chan struct{}
		if pending != nil {
			done, pause = pending.done, left
		} else if pause >= left {
			return "", data.CauseToken
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return "", data.CauseCutOff
		case <-done:
			timer.Stop()
			if pending.token == "" {
				return "", data.CauseToken
			}
			return pending.token, data.CauseNone
		case <-timer.C:
			if pending != nil {
				return "", data.CauseToken
			}
		}
	}
}

// look returns the token to use, or the request for one that is under way, or else
// how long the endpoint is left alone.
func (s *source) look(life context.Context) (token string, pending *fetching, pause time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	token, fetch := s.state.look(now)
	if fetch && s.pending == nil {
		s.pending = &fetching{done: make(chan struct{})}
		go s.run(life, s.pending, now)
	}
	return token, s.pending, s.state.next.Sub(now)
}

func (s *source) run(life context.Context, f *fetching, asked time.Time) {
	ctx, cancel := context.WithTimeout(life, fetchTimeout)
	defer cancel()
	t, wait, ok := s.fetch(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok {
		f.token = t.Value
		s.state.got(t, asked, time.Now())
	} else {
		s.state.failed(wait, time.Now())
	}
	s.pending = nil
	close(f.done)
}

// heard is told the status that a request with a token was answered with. It may be
// that the token had ended (RFC 6750, 3.1).
func (s *source) heard(token string, status int) {
	if status != http.StatusUnauthorized {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.refuse(token)
}
