package rig

import (
	"fmt"
	"slices"
	"time"
)

// Visit is a request as its gateway saw it. One whose end was not seen has a zero
// End, and does not count beyond its start.
type Visit struct{ At, End time.Time }

// Crowds lists where more came to a gateway at once, or within a second, than its
// limits allow; 0 is no limit.
func Crowds(visits []Visit, concurrency int, rate float64) (found []string) {
	visits = slices.Clone(visits)
	slices.SortFunc(visits, func(a, b Visit) int { return a.At.Compare(b.At) })
	if concurrency > 0 {
		if most := together(visits); most > concurrency {
			found = append(found, fmt.Sprintf("%d requests were under way at once, %d is the limit", most, concurrency))
		}
	}
	if rate == 0 {
		return found
	}
	// The lane may save up a twentieth of a second, or one attempt. What is on the
	// way when time stands still arrives together, which is as many as may be
	// under way.
	const window = time.Second
	allowed := rate*window.Seconds() + max(1, rate/20) + float64(concurrency)
	from := 0
	for to := range visits {
		for visits[to].At.Sub(visits[from].At) >= window {
			from++
		}
		if n := to - from + 1; float64(n) > allowed {
			return append(found, fmt.Sprintf("%d requests came within %v, %.0f are the limit", n, window, allowed))
		}
	}
	return found
}

// together is how many requests were under way at once, at most.
func together(visits []Visit) (most int) {
	var ends []time.Time
	for _, v := range visits {
		ends = slices.DeleteFunc(ends, func(end time.Time) bool { return !end.After(v.At) })
		if ends = append(ends, v.End); len(ends) > most {
			most = len(ends)
		}
	}
	return most
}
