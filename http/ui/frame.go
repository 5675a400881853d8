package ui

import "time"

// Policy is the Content-Security-Policy of every page: what is not from our own
// origin is not loaded, and what stands in a page is not run.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// Section is a part of the dashboard, as the navigation has it.
type Section string

// The sections. A page outside of them has none.
const (
	SectionOverview Section = "overview"
	SectionGateways Section = "gateways"
	SectionMessages Section = "messages"
	SectionEvents   Section = "events"
	SectionConfig   Section = "config"
)

// Frame is what every page has around what it shows.
type Frame struct {
	Title   string
	Section Section
	Version string    // of the program; "" is not shown
	Now     time.Time // that ages are told by

	Known   bool   // whether the person was let in; else there is no navigation
	Who     string // the name of the key; "" where there are no keys
	Session bool   // whether the person logged in, and can log out
	Content bool   // whether what messages and events say may be seen
	Operate bool   // whether the person may act
	Said    Said   // what the form that led here did
}

// navLink is a link of the navigation.
type navLink struct {
	Path, Name string
	Current    bool
}

// framed is a page: all embed a Frame.
type framed interface{ section() Section }

func (f Frame) section() Section { return f.Section }

func navigate(page framed, to Section, path, name string) navLink {
	return navLink{Path: path, Name: name, Current: page.section() == to}
}

// Said is what a form did, for the page that it leads to.
type Said string

// What forms did.
const (
	SaidPaused    Said = "paused"
	SaidResumed   Said = "resumed"
	SaidCancelled Said = "cancelled"
	SaidResent    Said = "resent"
	SaidReloaded  Said = "reloaded"
)

// Text says it in a sentence, "" for what nothing did.
func (s Said) Text() string {
	switch s {
	case SaidPaused:
		return "Paused. Nothing is sent there until somebody resumes it, also after a restart."
	case SaidResumed:
		return "Resumed. What waits is sent again."
	case SaidCancelled:
		return "Cancelled. The message will not be sent."
	case SaidResent:
		return "Sent again, as this new message."
	case SaidReloaded:
		return "The configuration was read again and is in force."
	}
	return ""
}
