package ui

import "time"

// Config shows the configuration in force.
type Config struct {
	Frame
	YAML         string // with secrets masked; "" when there is nothing to show
	Cut          bool   // whether that is only the beginning
	Routes       []Route
	More         int       // routes that are not shown
	AppliedAt    time.Time // when it was put in force
	RefusedAt    time.Time // when a later one was refused; zero when none was
	NeedsRestart []string  // keys whose new values wait for a restart
	Mistakes     []Mistake // of the reading that this page answers
	MistakeCount int       // of the reading that was refused
	Reloads      bool      // whether it can be read again from here
}

// Route is a route in words.
type Route struct {
	Match    []Field
	Gateways []string
	Message  string
}

// Mistake is a mistake in a configuration.
type Mistake struct{ Key, Text string }

// Login asks for a key.
type Login struct {
	Frame
	Next   string // where to go on
	Refuse string // why the last try was refused; "" for a first one
}

// Problem says why there is nothing to see, and what to do about it.
type Problem struct {
	Frame
	Status  int
	Heading string
	Text    string
	Details []string
	Request string // the name that the log has for it
}
