package ui

import (
	"strings"

	"github.com/postrider/postrider/data"
)

// Tone is how urgent something is: it chooses the colour, and never says anything
// that the words beside it do not.
type Tone string

// The tones.
const (
	Calm Tone = "calm" // nothing to do, nothing going on
	Good Tone = "good" // goes well
	Wait Tone = "wait" // takes its time, by itself
	Bad  Tone = "bad"  // waits for a person
)

// stateTone is the tone of a message's state.
func stateTone(s data.State) Tone {
	switch s {
	case data.Delivered:
		return Good
	case data.Sending, data.Waiting:
		return Wait
	case data.Failed, data.Unknown, data.Expired:
		return Bad
	}
	return Calm
}

// stateWords says what a state means.
func stateWords(s data.State) string {
	switch s {
	case data.Queued:
		return "accepted, and waits for its first attempt"
	case data.Sending:
		return "an attempt is under way"
	case data.Waiting:
		return "an attempt failed; the next one comes later"
	case data.Delivered:
		return "the gateway took it"
	case data.Failed:
		return "the attempts are used up, or the gateway refused it for good"
	case data.Unknown:
		return "the last attempt was cut off; the gateway may have it"
	case data.Expired:
		return "it was not wanted any more before it got through"
	case data.Cancelled:
		return "a person took it back"
	}
	return ""
}

func outcomeTone(o data.Outcome) Tone {
	switch o {
	case data.OutcomeDelivered:
		return Good
	case data.OutcomePermanent, data.OutcomeUnknown:
		return Bad
	case data.OutcomeTemporary, data.OutcomeThrottled:
		return Wait
	}
	return Calm
}

// outcomeWords names what an attempt came to.
func outcomeWords(o data.Outcome) string {
	switch o {
	case 0:
		return "under way"
	case data.OutcomeDelivered:
		return "delivered"
	case data.OutcomeTemporary:
		return "failed"
	case data.OutcomeThrottled:
		return "asked to wait"
	case data.OutcomePermanent:
		return "refused for good"
	case data.OutcomeUnknown:
		return "cut off"
	}
	return o.String()
}

// causeWords says why an attempt did not deliver.
func causeWords(c data.Cause) string {
	switch c {
	case data.CauseStatus:
		return "its status was no success"
	case data.CauseThrottled:
		return "the gateway asked to wait"
	case data.CauseRefused:
		return "nobody listens at the address"
	case data.CauseUnreached:
		return "no connection could be made"
	case data.CauseDNS:
		return "the name has no address"
	case data.CauseTLS:
		return "the secure connection could not be made"
	case data.CauseTimeout:
		return "no complete answer in time"
	case data.CauseReset:
		return "the connection broke before the answer was complete"
	case data.CauseMalformed:
		return "the answer is not HTTP, or too large"
	case data.CauseRejected:
		return "the body of the answer says no"
	case data.CauseBody:
		return "the body of the answer was cut off or cannot be read"
	case data.CauseToken:
		return "no access token could be had"
	case data.CauseForbidden:
		return "the address is not one that may be sent to"
	case data.CauseRendering:
		return "the message could not be put into the form of the gateway"
	case data.CauseCutOff:
		return "the process ended while it was under way"
	case data.CauseNoAnswerBy:
		return "its sender was lost while it was under way"
	}
	return string(c)
}

// outcomeLine says what an attempt came to in one line.
func outcomeLine(r data.Result) string {
	text := outcomeWords(r.Outcome)
	if why := causeWords(r.Cause); why != "" && r.Cause != data.CauseThrottled {
		text += ": " + why
	}
	return text
}

// The words of a sentence, its first letter large.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
