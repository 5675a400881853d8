package ui

import (
	"time"

	"github.com/postrider/postrider/data"
)

// Overview answers whether anything is stuck, why, and what to press.
type Overview struct {
	Frame
	Totals    [data.States]uint64
	Rates     Rates
	History   History
	Attention []Attention // worst first
	Backlogs  []Gateway   // those with most waiting, most first
	Gateways  int         // that there are
	Store     Store
	Reloads   bool // whether the configuration can be read again from here
	Started   time.Time
	Applied   time.Time
	Refused   time.Time
	Mistakes  int
	Restart   []string
}

// Rates is how often things happen in a second.
type Rates struct{ Events, Messages, Delivered, Failed float64 }

// Store is how the disk is doing.
type Store struct {
	Accepting bool
	Reasons   []string
	Free      uint64
	Size      uint64
}

// Reason is why a gateway needs attention.
type Reason string

// The reasons.
const (
	ReasonPaused    Reason = "paused"
	ReasonThrottled Reason = "throttled"
	ReasonOutage    Reason = "outage"
	ReasonParked    Reason = "parked"
	ReasonDead      Reason = "dead"
)

// Attention is a gateway that does not deliver, or that has dead letters.
type Attention struct {
	Gateway
	Reason Reason
}

// word names the reason.
func (a Attention) word() string {
	switch a.Reason {
	case ReasonThrottled:
		return "asked to wait"
	case ReasonOutage:
		return "no connection"
	case ReasonDead:
		return "dead letters"
	}
	return string(a.Reason)
}

func (a Attention) tone() Tone {
	if a.Reason == ReasonThrottled {
		return Wait
	}
	return Bad
}

// text says what is the matter.
func (a Attention) text(now time.Time) string {
	switch a.Reason {
	case ReasonPaused:
		return "A person paused it. Nothing is sent until somebody resumes it."
	case ReasonThrottled:
		if a.Until.IsZero() {
			return "The gateway asked us to wait. It goes on by itself."
		}
		return "The gateway asked us to wait until " + clock(now, a.Until) + " UTC (" + relative(now, a.Until) + "). It goes on by itself."
	case ReasonOutage:
		return "No connection can be made. We keep trying to connect, and go on by ourselves."
	case ReasonParked:
		if !a.Declared {
			return "It is not declared any more. Its messages wait until it is."
		}
		return "Its declaration cannot be used. Its messages wait until that is mended."
	case ReasonDead:
		if !a.Declared {
			return "Messages ended without being delivered. It is not declared any more; once it is they can be sent again."
		}
		return "Messages ended without being delivered. They can be sent again."
	}
	return ""
}

// stuck counts what waits for a person.
func (v Overview) stuck() (n int) {
	for _, a := range v.Attention {
		if a.tone() == Bad {
			n++
		}
	}
	return n
}

// Verdict says in a line how things are.
func (v Overview) Verdict() string {
	switch stuck := v.stuck(); {
	case !v.Store.Accepting:
		return "Nothing new is accepted"
	case stuck > 0:
		return number(stuck) + " " + plural(stuck, "gateway needs", "gateways need") + " a person"
	case len(v.Attention) > 0:
		return "Nothing needs you; " + number(len(v.Attention)) + " " + plural(len(v.Attention), "gateway waits", "gateways wait")
	}
	return "Nothing is stuck"
}

// VerdictTone is the tone of the verdict.
func (v Overview) VerdictTone() Tone {
	switch {
	case !v.Store.Accepting, v.stuck() > 0:
		return Bad
	case len(v.Attention) > 0:
		return Wait
	}
	return Good
}
