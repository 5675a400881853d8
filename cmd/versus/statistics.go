package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// spread is the median of some values, and how far apart they are.
type spread struct{ median, least, most float64 }

// spreadOf returns the spread of values; of none it is zero.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

// none is the value of a round in which nothing was measured.
func none() float64 { return math.NaN() }

// ratios divides round by round: what one round had to do with the machine is in
// both. A round that one of them lacks counts for neither.
func ratios(of, over []float64) (quotients []float64) {
	for i := range min(len(of), len(over)) {
		if !math.IsNaN(of[i]) && !math.IsNaN(over[i]) && over[i] > 0 {
			quotients = append(quotients, of[i]/over[i])
		}
	}
	return quotients
}

// had leaves out the rounds in which nothing was measured.
func had(values []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(values), math.IsNaN)
}

// number writes a figure with the digits that count.
func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "-"
	case a >= 100:
		return rig.Count(int64(math.Round(v)))
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// width writes the least and the most.
func (s spread) width() string { return number(s.least) + " .. " + number(s.most) }
