package openapi

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
)

// Stock is what a request may name, by the names of parameters, properties and headers
// and by those of the schemas ID and GatewayName, where these are meant. What answers say
// is learned: ids, names, and where a page goes on. Any number of goroutines may use it.
type Stock struct {
	mu      sync.Mutex
	given   map[string][]any
	learned map[string][]string
}

// learnable is how many values of a name are remembered, and how long an answer is
// looked through for them.
const (
	learnable   = 64
	learnedFrom = 16 << 10
)

// NewStock returns a stock. What is given is there for good; a value that is the empty
// string, of a header, has it left out.
func NewStock(given map[string][]any) *Stock {
	return &Stock{given: given, learned: make(map[string][]string)}
}

// pick returns a value for the first of the names for which there is one.
func (s *Stock) pick(r *rand.Rand, names ...string) (any, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		given, learned := s.given[name], s.learned[name]
		switch {
		case len(learned) > 0 && (len(given) == 0 || r.IntN(2) == 0):
			return learned[r.IntN(len(learned))], true
		case len(given) > 0:
			return given[r.IntN(len(given))], true
		}
	}
	return nil, false
}

// Learn remembers what an answer names.
func (s *Stock) Learn(got Answer) {
	if got.Status/100 != 2 || len(got.Body) > learnedFrom || !strings.HasPrefix(got.Body, "{") {
		return
	}
	var value any
	if json.Unmarshal([]byte(got.Body), &value) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look("", value)
}

// learnedAs says what the fields of answers are.
func learnedAs(field string) string {
	switch field {
	case "id", "ids", "event", "resend_of", "resent_as":
		return "ID"
	case "next":
		return "after"
	case "gateway", "name":
		return "GatewayName"
	}
	return ""
}

func (s *Stock) look(field string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			s.look(name, inner)
		}
	case []any:
		for _, inner := range v {
			s.look(field, inner)
		}
	case string:
		if as := learnedAs(field); as != "" && !slices.Contains(s.learned[as], v) {
			s.learned[as] = append(s.learned[as], v)
			if len(s.learned[as]) > learnable {
				s.learned[as] = s.learned[as][1:]
			}
		}
	}
}
