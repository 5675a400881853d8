package egress_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
	"github.com/postrider/postrider/http/egress"
)

// provider is a gateway and the endpoint for its tokens, as strict as the
// specifications let them be.
type provider struct {
	*httptest.Server
	t       *testing.T
	style   dialect.Style
	fetches atomic.Int32
	sent    atomic.Int32                                        // messages that came with a good token
	revoked atomic.Int32                                        // tokens up to this number
	answer  func(w http.ResponseWriter, number int) (done bool) // of the token endpoint
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{t: t}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("POST /in", p.in)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) declaration() dialect.Declaration {
	return dialect.Declaration{URL: p.URL + "/in", KeepAnswer: true, Auth: dialect.Auth{OAuth2: &dialect.OAuth2{
		TokenURL: p.URL + "/token", ClientID: "me+you", ClientSecret: "s3cret/&", Style: p.style, Scopes: []string{"send", "read"}, Audience: "gateway",
	}}}
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	number := int(p.fetches.Add(1))
	id, secret, basic := r.BasicAuth()
	want := url.Values{"grant_type": {"client_credentials"}, "scope": {"send read"}, "audience": {"gateway"}}
	if p.style == dialect.StyleBody {
		want.Set("client_id", "me+you")
		want.Set("client_secret", "s3cret/&")
	} else if !basic || id != "me%2Byou" || secret != "s3cret%2F%26" {
		p.t.Errorf("the client says that it is %q, %q, %v", id, secret, basic)
	}
	if err := r.ParseForm(); err != nil || r.PostForm.Encode() != want.Encode() {
		p.t.Errorf("the form is %v, %v; want %v", r.PostForm, err, want)
	}
	if r.Header.Get("Postrider-Message-Id") != "" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.Header.Get("Accept") != "application/json" {
		p.t.Errorf("the headers are %v", r.Header)
	}
	if p.answer != nil && p.answer(w, number) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "token-" + strconv.Itoa(number), "token_type": "Bearer", "expires_in": 3600})
}

func (p *provider) in(w http.ResponseWriter, r *http.Request) {
	given := r.Header.Values("Authorization")
	if len(given) != 1 {
		p.t.Errorf("a message came with the authorization %q", given)
		return
	}
	number, err := strconv.Atoi(strings.TrimPrefix(given[0], "Bearer token-"))
	if err != nil || int32(number) <= p.revoked.Load() {
		http.Error(w, "no such token: "+given[0], http.StatusUnauthorized)
		return
	}
	p.sent.Add(1)
	_, _ = w.Write([]byte("taken with " + given[0]))
}

func TestDeliverWithToken(t *testing.T) {
	for _, style := range []dialect.Style{"", dialect.StyleBasic, dialect.StyleBody} {
		p := newProvider(t)
		p.style = style
		c := newClient(t, egress.Options{})
		want := delivered(200)
		want.Answer = "taken with Bearer ***"
		for range 3 {
			if got := deliver(t.Context(), t, c, p.declaration(), "test", long); got != want {
				t.Errorf("Deliver() = %+v; want %+v", got, want)
			}
		}
		if p.fetches.Load() != 1 || p.sent.Load() != 3 {
			t.Errorf("3 messages took %d tokens, %d came", p.fetches.Load(), p.sent.Load())
		}
		// Another gateway with the same credentials has the same token.
		other := p.declaration()
		other.URL += "?other=1"
		deliver(t.Context(), t, c, other, "test", long)
		if n := p.fetches.Load(); n != 1 {
			t.Errorf("a second gateway fetched %d tokens", n-1)
		}
		c.Close()
	}
}

// A hundred attempts that begin at once wait for one token.
func TestDeliverFetchesOneTokenForAll(t *testing.T) {
	p := newProvider(t)
	begun := make(chan struct{})
	p.answer = func(http.ResponseWriter, int) bool { <-begun; return false }
	c := newClient(t, egress.Options{})
	var running sync.WaitGroup
	for range 100 {
		running.Go(func() {
			if got := deliver(t.Context(), t, c, p.declaration(), "test", long); got.Outcome != data.OutcomeDelivered {
				t.Errorf("Deliver() = %+v", got)
			}
		})
	}
	impatient := deliver(t.Context(), t, c, p.declaration(), "test", short)
	if want := temporary(data.CauseToken, 0); impatient != want {
		t.Errorf("Deliver() that does not wait = %+v; want %+v", impatient, want)
	}
	close(begun)
	running.Wait()
	if p.fetches.Load() != 1 || p.sent.Load() != 100 {
		t.Errorf("100 messages took %d tokens, %d came", p.fetches.Load(), p.sent.Load())
	}
}

// A 401 drops the token: this attempt has failed, the next one has a new one. It is
// the same where a 401 is declared to be permanent.
func TestDeliverAfterTokenWasRevoked(t *testing.T) {
	p := newProvider(t)
	c := newClient(t, egress.Options{})
	decl := p.declaration()
	decl.Permanent.Status = dialect.Statuses(401)
	for _, revoked := range []int32{0, 1} {
		p.revoked.Store(revoked)
		if revoked > 0 {
			want := temporary(data.CauseStatus, 401)
			want.Answer = "no such token: Bearer ***\n"
			if got := deliver(t.Context(), t, c, decl, "test", long); got != want {
				t.Errorf("Deliver() with token %d = %+v; want %+v", revoked, got, want)
			}
		}
		if got := deliver(t.Context(), t, c, decl, "test", long); got.Outcome != data.OutcomeDelivered {
			t.Errorf("Deliver() with token %d = %+v", revoked+1, got)
		}
	}
	if n := p.fetches.Load(); n != 2 {
		t.Errorf("%d tokens were fetched; want 2", n)
	}
	// A gateway that takes no token whatever costs no fetch with each attempt: the
	// second token was refused right after the first.
	p.revoked.Store(1000)
	for range 20 {
		if got := deliver(t.Context(), t, c, decl, "test", long); got.Status != 401 {
			t.Errorf("Deliver() = %+v; want a 401", got)
		}
	}
	if n := p.fetches.Load(); n != 2 {
		t.Errorf("%d tokens were fetched; want 2", n)
	}
}

func TestDeliverWithoutToken(t *testing.T) {
	say := func(status int, body string) func(http.ResponseWriter, int) bool {
		return func(w http.ResponseWriter, _ int) bool {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	const token = `{"access_token": "token-1", "token_type": "Bearer"}`
	tests := map[string]func(http.ResponseWriter, int) bool{
		"refused":    say(401, `{"error": "invalid_client", "you said": "s3cret/&"}`),
		"broken":     say(500, token),
		"not JSON":   say(200, "access_token=token-1"),
		"no token":   say(200, "{}"),
		"other kind": say(200, `{"access_token": "token-1", "token_type": "mac"}`),
		"too long":   say(200, token+strings.Repeat(" ", egress.MaxBody)),
		"elsewhere": func(w http.ResponseWriter, _ int) bool {
			w.Header().Set("Location", "/token")
			w.WriteHeader(http.StatusTemporaryRedirect)
			return true
		},
		"cut": func(w http.ResponseWriter, _ int) bool {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(token))
			return true
		},
		"gone": func(http.ResponseWriter, int) bool { panic(http.ErrAbortHandler) },
	}
	for name, answer := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t)
			p.answer = answer
			c := newClient(t, egress.Options{})
			// The second one meets the pause, which is longer than it may take.
			for range 2 {
				if got, want := deliver(t.Context(), t, c, p.declaration(), "test", time.Second), temporary(data.CauseToken, 0); got != want {
					t.Errorf("Deliver() = %+v; want %+v", got, want)
				}
			}
			if got := c.Probe(t.Context(), declared(t, p.declaration()), time.Second); got != data.CauseToken {
				t.Errorf("Probe() = %q; want %q", got, data.CauseToken)
			}
			if p.fetches.Load() != 1 || p.sent.Load() != 0 {
				t.Errorf("%d fetches, %d messages came; want 1 and 0", p.fetches.Load(), p.sent.Load())
			}
		})
	}
}

func declared(t *testing.T, decl dialect.Declaration) *dialect.Dialect {
	t.Helper()
	d, err := dialect.Compile(decl)
	if err != nil {
		t.Fatalf("Compile() = %v", err)
	}
	return d
}

// What is said of addresses counts for the token endpoint too.
func TestTokenEndpointIsGuarded(t *testing.T) {
	p, gateway := newProvider(t), newProvider(t)
	decl := gateway.declaration()
	decl.Auth.OAuth2.TokenURL = p.URL + "/token"
	forbidden := strings.TrimPrefix(p.URL, "http://")
	c := newClient(t, egress.Options{Control: func(_, address string, _ syscall.RawConn) error {
		if address == forbidden {
			return egress.ErrForbidden
		}
		return nil
	}})
	if got, want := deliver(t.Context(), t, c, decl, "test", long), temporary(data.CauseToken, 0); got != want {
		t.Errorf("Deliver() = %+v; want %+v", got, want)
	}
	if n := p.fetches.Load() + gateway.sent.Load(); n != 0 {
		t.Errorf("%d requests came; want none", n)
	}
}

// An attempt that is cut off while it waits leaves the fetch to others.
func TestDeliverCutOffWaitingForToken(t *testing.T) {
	p := newProvider(t)
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	p.answer = func(http.ResponseWriter, int) bool { cancel(); <-release; return false }
	c := newClient(t, egress.Options{})
	if got := deliver(ctx, t, c, p.declaration(), "test", long); got != withdrawn {
		t.Errorf("Deliver() = %+v; want %+v", got, withdrawn)
	}
	close(release)
	if got := deliver(t.Context(), t, c, p.declaration(), "test", long); got.Outcome != data.OutcomeDelivered || p.fetches.Load() != 1 {
		t.Errorf("Deliver() = %+v with %d fetches; want it delivered with 1", got, p.fetches.Load())
	}
}

// A probe has the token fetched, so that the end of an outage of the token endpoint
// is found out without spending attempts.
func TestProbeFetchesToken(t *testing.T) {
	p := newProvider(t)
	c := newClient(t, egress.Options{})
	if got := c.Probe(t.Context(), declared(t, p.declaration()), long); got != data.CauseNone || p.fetches.Load() != 1 || p.sent.Load() != 0 {
		t.Errorf("Probe() = %q with %d fetches and %d messages; want none, 1, 0", got, p.fetches.Load(), p.sent.Load())
	}
}

// Fetches need connections too, beside those that attempts may have.
func TestTokenNeedsRoom(t *testing.T) {
	p := newProvider(t)
	c := newClient(t, egress.Options{MaxConns: 1})
	for range 3 {
		if got := deliver(t.Context(), t, c, p.declaration(), "test", long); got.Outcome != data.OutcomeDelivered {
			t.Errorf("Deliver() = %+v", got)
		}
	}
}
