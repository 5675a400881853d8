package data

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
)

//go:embed events.json
var samples []byte

// Samples returns the standard events of the propagator. They are raw on
// purpose: one of them is no valid event, so that a refusal can be seen.
func Samples() []json.RawMessage {
	events, err := ParseSamples(samples)
	if err != nil {
		panic(err) // the embedded file is checked by a test
	}
	return events
}

// ParseSamples reads a JSON array of entries, whatever these are: the consumer
// judges them, not the propagator. An empty array is an error.
func ParseSamples(b []byte) ([]json.RawMessage, error) {
	var events []json.RawMessage
	if err := json.Unmarshal(b, &events); err != nil {
		return nil, fmt.Errorf("read a JSON array of events: %w", err)
	}
	if len(events) == 0 {
		return nil, errors.New("read a JSON array of events: it is empty")
	}
	return events, nil
}
