package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Mistake is one thing wrong in the configuration.
type Mistake struct {
	// Path is the key (http.port, routes[0].gateway), or the environment
	// variable or file that is wrong as a whole.
	Path string
	// Problem says what is expected there, never what was found.
	Problem string
}

// UnknownKey is the Problem of a key that there is not.
const UnknownKey = "is not a known key"

// Mistakes is the error Load and Validate return: everything that is wrong,
// sorted by path.
type Mistakes []Mistake

// Error returns one line per mistake.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, one := range m {
		lines[i] = one.Path + ": " + one.Problem
	}
	return strings.Join(lines, "\n")
}

// problem is an error with a text fit for a Mistake.
type problem string

func (p problem) Error() string { return string(p) }

// report collects mistakes. A key that could not be read has no value to judge,
// so require stays silent about rejected keys and everything below them.
type report struct {
	mistakes Mistakes
	rejected map[string]bool // these paths
	above    map[string]bool // and every path that leads to one of them
	plain    bool            // texts are taken as they are, not from elsewhere
}

// reject records that the value at path is missing or cannot be read.
func (r *report) reject(path, format string, args ...any) {
	if r.rejected == nil {
		r.rejected, r.above = map[string]bool{}, map[string]bool{}
	}
	r.mistakes = append(r.mistakes, Mistake{path, fmt.Sprintf(format, args...)})
	r.rejected[path] = true
	for parent := range parents(path) {
		r.above[parent] = true
	}
}

// require records a broken rule about a value that could be read.
func (r *report) require(ok bool, path, format string, args ...any) {
	if ok || r.unread(path) {
		return
	}
	r.mistakes = append(r.mistakes, Mistake{path, fmt.Sprintf(format, args...)})
}

// unread reports whether path or something above it was rejected.
func (r *report) unread(path string) bool {
	if r.rejected[path] {
		return true
	}
	for parent := range parents(path) {
		if r.rejected[parent] {
			return true
		}
	}
	return false
}

// doubtful reports whether path, or something above or below it, was rejected.
func (r *report) doubtful(path string) bool {
	return r.above[path] || r.unread(path)
}

func (r *report) err() error {
	if len(r.mistakes) == 0 {
		return nil
	}
	slices.SortFunc(r.mistakes, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Problem, b.Problem))
	})
	return slices.Compact(r.mistakes)
}

// parents yields the paths that lead to path, the longest first.
func parents(path string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := len(path) - 1; i > 0; i-- {
			if path[i] != '.' && path[i] != '[' {
				continue
			}
			if !yield(path[:i]) {
				return
			}
		}
	}
}

// join appends a key to a path. A key that would blur the path is quoted, and
// an overlong one cut.
func join(path, key string) string {
	const longest = 64
	odd := func(r rune) bool { return !unicode.IsPrint(r) || strings.ContainsRune(` .:[]"'`, r) }
	if key == "" || len(key) > longest || strings.ContainsFunc(key, odd) {
		key = strconv.Quote(key[:min(len(key), longest)])
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func index(path string, i int) string {
	return path + "[" + strconv.Itoa(i) + "]"
}
