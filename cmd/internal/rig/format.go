package rig

import (
	"fmt"
	"time"
)

// Count writes a number with separators: 1,000,000.
func Count[N int | int64 | uint64](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Mebibyte is 1,048,576 bytes.
const Mebibyte = 1 << 20

// Size writes a number of bytes: 12.3 MiB.
func Size(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/Mebibyte) }

// Span writes a duration with as many digits as are of use.
func Span(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}
