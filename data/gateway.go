package data

import "time"

// Gateway is a declared gateway as it may be shown: its limits, and what of its
// dialect is no secret.
type Gateway struct {
	Name        string
	Policy      Policy
	Timeout     time.Duration // of one attempt, from dialling to the last byte of the answer
	Concurrency int           // attempts under way at once
	MaxQueue    int           // messages with an attempt to come; 0 means no limit

	Method  string
	URL     string // with its secret parts masked
	Body    string // the kind of body: json, form or text
	Problem string // why the declaration cannot be used; "" when it can
}
