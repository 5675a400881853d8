package main

import "context"

// openFloor is the floor: the front alone, which does not even read the body.
func openFloor(context.Context, site, string) (*back, error) {
	return &back{durability: func(context.Context) (string, error) { return "none: nothing is stored", nil }}, nil
}
