package data

import "time"

// MaxEvents is how many events one request may carry (the contract of /event).
const MaxEvents = 1000

// MaxRouted is how many messages the routes may make of one request. Beyond
// it the request is refused, since its events and messages are one commit.
const MaxRouted = 10_000

// Event is a fact that a client posted and the store keeps.
type Event struct {
	ID         ID
	Type       string
	Payload    string
	ReceivedAt time.Time // wall clock, for people
}

// EventQuery selects events in the order of their ids.
type EventQuery struct {
	Type  string // only events of this very type; "" means all
	After ID     // only events after this one; 0 means from the first
	Limit int    // at most this many
	// Enough is told each event of the page, in order; true ends the page behind
	// it. nil means that only the other bounds end one.
	Enough func(Event) bool
}

// EventPage answers an [EventQuery]. A filter looks at a bounded stretch of the
// log, so a page may be short, even empty, while More is true.
type EventPage struct {
	Events []Event
	Next   ID   // ask for the following page with After set to it
	More   bool // whether there may be events after Next
}
