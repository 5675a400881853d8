package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes. It is written as a bare number of bytes or with a
// unit: 256KiB, 10MB.
type Size int64

// Binary units of Size.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	TiB Size = 1 << 40
)

type sizeUnit struct {
	name  string
	bytes Size
}

// sizeUnits returns the units from the largest to the smallest, so that String
// finds the shortest exact form first.
func sizeUnits() []sizeUnit {
	return []sizeUnit{
		{"TiB", TiB},
		{"TB", 1e12},
		{"GiB", GiB},
		{"GB", 1e9},
		{"MiB", MiB},
		{"MB", 1e6},
		{"KiB", KiB},
		{"KB", 1e3},
		{"B", 1},
	}
}

// ParseSize reads a size such as "256KiB", "10MB" or "1048576"; case does not matter.
func ParseSize(s string) (Size, error) {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	unit := strings.TrimSpace(s[len(digits):])
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return 0, errNotSize
	}
	if unit == "" {
		return Size(n), nil
	}
	for _, u := range sizeUnits() {
		if !strings.EqualFold(unit, u.name) {
			continue
		}
		if Size(n) > math.MaxInt64/u.bytes {
			return 0, errNotSize
		}
		return Size(n) * u.bytes, nil
	}
	return 0, errNotSize
}

const errNotSize = problem(`expected a size such as "256KiB" or "10MB", or a number of bytes`)

// String returns the shortest exact form, which ParseSize reads back.
func (s Size) String() string {
	if s == 0 {
		return "0"
	}
	for _, u := range sizeUnits() {
		if s%u.bytes == 0 {
			return fmt.Sprintf("%d%s", int64(s/u.bytes), u.name)
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText writes the form of String.
func (s Size) MarshalText() ([]byte, error) {
	return []byte(s.String()), nil
}
