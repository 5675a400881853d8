package dialect

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// StatusRange is the HTTP statuses from First to Last, both among them.
type StatusRange struct{ First, Last int }

// Statuses returns each status as a range of its own.
func Statuses(each ...int) []StatusRange {
	ranges := make([]StatusRange, len(each))
	for i, status := range each {
		ranges[i] = StatusRange{status, status}
	}
	return ranges
}

// ParseStatusRange reads "200" and "200-299".
func ParseStatusRange(text string) (r StatusRange, ok bool) {
	first, last, several := strings.Cut(text, "-")
	if r.First, ok = threeDigits(first); !ok || !several {
		return StatusRange{r.First, r.First}, ok
	}
	r.Last, ok = threeDigits(last)
	return r, ok && r.First <= r.Last
}

func threeDigits(text string) (n int, ok bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && len(text) == 3 && digits(text)
}

// among reports whether one of the ranges has the status.
func among(ranges []StatusRange, status int) bool {
	return slices.ContainsFunc(ranges, func(r StatusRange) bool { return r.First <= status && status <= r.Last })
}

// maxStatuses bounds a list of statuses.
const maxStatuses = 100

// statuses checks a list of statuses that may be from least to most. What is not
// given stays nil.
func (c *compiler) statuses(path string, ranges []StatusRange, least, most int) []StatusRange {
	if len(ranges) > maxStatuses {
		c.complain(path, "has more than %d statuses", maxStatuses)
		return nil
	}
	for i, r := range ranges {
		if r.First < least || r.Last > most || r.First > r.Last {
			c.complain(fmt.Sprintf("%s[%d]", path, i), "must be an HTTP status, %d to %d, or a range of them", least, most)
		}
	}
	return slices.Clone(ranges)
}
