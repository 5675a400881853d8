package data

import "time"

// Origin is where a gateway is declared.
type Origin string

// The origins, a closed list.
const (
	OriginConfig Origin = "config" // in the configuration of the process
	OriginAPI    Origin = "api"    // over the API, and kept in the store
)

// What may be declared over the API: all of it is in memory, compiled.
const (
	MaxDeclared      = 100_000
	MaxDeclaredBytes = 64 << 20 // of declarations, and of what they are made to
)

// Gateway is a declared gateway as it may be shown: its limits, and what of its
// dialect is no secret.
type Gateway struct {
	Name        string
	Origin      Origin
	Policy      Policy
	Timeout     time.Duration // of one attempt, from dialling to the last byte of the answer
	Concurrency int           // attempts under way at once
	Rate        float64       // attempts that begin per second; 0 means no limit
	MaxQueue    int           // messages with an attempt to come; 0 means no limit
	HoldAfter   int           // attempts in a row without a connection until it is held; 0 means never
	Permanent   []int         // statuses that end a message at once

	Preset  string // the dialect that it started from; "" for none
	Method  string
	URL     string   // with its secret parts masked
	Body    string   // the kind of body: json, form, xml, text or none
	Auth    string   // how requests show who sends them: bearer and the like; "" for not at all
	Needs   []string // the fields that no message may lack
	Problem string   // why the declaration cannot be used; "" when it can
}
