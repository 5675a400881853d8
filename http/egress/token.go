package egress

import (
	"time"

	"github.com/postrider/postrider/http/dialect"
)

const (
	// fetchPause is how long a token endpoint is left alone that gave no token, or
	// whose new token the gateway did not take either.
	fetchPause = 5 * time.Second
	// mostPause bounds how long it is left alone when it asks for that.
	mostPause = 5 * time.Minute

	// unsaidLife is how long a token is used that does not say how long it may be.
	unsaidLife = 5 * time.Minute
	// leastLife is how long any token is used, so that one that ends at once is not
	// asked for with each attempt.
	leastLife = time.Second
	// mostMargin is the longest time before its end that a token is renewed.
	mostMargin = time.Minute
)

// tokenState decides when an access token is used and when the next one is fetched.
// It knows no clock and no network. Its zero value has no token and wants one.
type tokenState struct {
	value   string    // "" for none
	renew   time.Time // from then on the next one is wanted, while this one is used
	ends    time.Time // from then on this one is not used
	refused bool      // the gateway did not take it
	next    time.Time // nothing is fetched before
}

// look returns the token to use now, "" for none, and whether to fetch one now.
//
// A token that was refused is replaced at once. When the next one is refused soon
// after, the gateway has another reason, and that one is used until the pause is over:
// neither is the endpoint asked with each attempt, nor do messages wait that the
// gateway may take.
func (s *tokenState) look(now time.Time) (value string, fetch bool) {
	rested := !now.Before(s.next)
	switch {
	case s.value == "", !now.Before(s.ends), s.refused && rested:
		return "", rested
	case s.refused:
		return s.value, false
	}
	return s.value, rested && !now.Before(s.renew)
}

// got takes a token that was asked for at a time, and came now.
func (s *tokenState) got(t dialect.Token, asked, now time.Time) {
	life := t.Life
	if life == 0 {
		life = unsaidLife
	}
	life = max(life, leastLife)
	margin := min(life/5, mostMargin)
	replaced := s.refused
	*s = tokenState{value: t.Value, renew: asked.Add(life - margin), ends: asked.Add(life - margin/4)}
	if replaced {
		s.next = now.Add(fetchPause)
	}
}

// failed is called when there came no token, and wait is how long the endpoint asked
// to be left alone.
func (s *tokenState) failed(wait time.Duration, now time.Time) {
	if s.refused {
		s.value = ""
	}
	s.next = now.Add(max(fetchPause, min(wait, mostPause)))
}

// refuse is called when the gateway did not take a token.
func (s *tokenState) refuse(value string) {
	s.refused = s.refused || value == s.value
}
