package main

import (
	"fmt"
	"slices"
	"strings"
)

// everything is the choice that a round makes none.
const everything = "all"

// choice is a flag that is one of some words, or all.
type choice struct {
	of     []string
	chosen string
}

func (c *choice) String() string {
	if c.chosen == "" {
		return everything
	}
	return c.chosen
}

// Set takes what stands on the command line.
func (c *choice) Set(word string) error {
	if word != everything && !slices.Contains(c.of, word) {
		return fmt.Errorf("expected %s or %s", strings.Join(c.of, ", "), everything)
	}
	c.chosen = word
	return nil
}

// Type is what the help calls the value.
func (*choice) Type() string { return "name" }

// includes reports whether a word was chosen, by itself or with all.
func (c *choice) includes(word string) bool { return c.String() == everything || c.chosen == word }

// forRound is the word that a round of a number has: all take turns.
func (c *choice) forRound(number int) string {
	if c.String() != everything {
		return c.chosen
	}
	return c.of[number%len(c.of)]
}
