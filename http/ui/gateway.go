package ui

import (
	"time"

	"github.com/postrider/postrider/data"
)

// Gateway is a gateway and what its lane has.
type Gateway struct {
	data.Gateway
	Declared  bool
	Origin    string // where it is declared: config or api; "" when that is not known
	Paused    bool
	Until     time.Time // until when it asked us to wait; zero when it did not
	Outage    bool      // no connection, and only probed
	Unreached int       // attempts in a row without a connection
	Counts    [data.States]uint64
	OldestAt  time.Time // when the message at the head of its queue was accepted; zero for none
	Last      data.Attempt
	Delivered []float64 // per step, oldest first; nil when that is not known
	Failed    []float64
}

// Open is how many messages have not ended.
func (g Gateway) Open() uint64 {
	return g.Counts[data.Queued] + g.Counts[data.Sending] + g.Counts[data.Waiting]
}

// Dead is how many dead letters there are.
func (g Gateway) Dead() uint64 {
	return g.Counts[data.Failed] + g.Counts[data.Unknown] + g.Counts[data.Expired]
}

// standing is what a gateway is up to, in a word or two and in a sentence.
type standing struct {
	Tone Tone
	Word string
	Text string
}

// standing says what the gateway is up to. What a person did counts before what
// the gateway did.
func (g Gateway) standing(now time.Time) standing {
	left := number(g.Open()) + " " + plural(g.Open(), "message waits", "messages wait")
	switch {
	case !g.Declared:
		return standing{Bad, "parked", "It is not declared any more: " + left + " until it is."}
	case g.Problem != "":
		return standing{Bad, "parked", "Its declaration cannot be used, so nothing is sent: " + left + " until it is mended."}
	case g.Paused:
		return standing{Bad, "paused", "A person paused it: " + left + " until somebody resumes it."}
	case g.Until.After(now):
		return standing{Wait, "asked to wait", "The gateway asked us to wait until " + clock(now, g.Until) + " UTC; then it goes on by itself."}
	case g.Outage:
		return standing{Bad, "no connection", "The last " + number(g.Unreached) + " attempts found no connection. We try to connect, a minute apart at most, and go on by ourselves."}
	case g.Counts[data.Sending] > 0 || g.Counts[data.Queued] > 0:
		return standing{Good, "delivering", "Messages are being sent."}
	case g.Counts[data.Waiting] > 0:
		return standing{Wait, "waiting for retry", "An attempt failed; " + left + " for the next one."}
	case g.Last.Number > 0 && g.Last.Outcome != data.OutcomeDelivered:
		return standing{Calm, "idle", "There is nothing to send. The newest attempt did not deliver."}
	}
	return standing{Calm, "idle", "There is nothing to send."}
}

func plural[T int | uint64](n T, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// Gateways is a page of the list of gateways.
type Gateways struct {
	Frame
	List []Gateway
	Next string // the address of the following page; "" at the end
	Step time.Duration
}

// GatewayPage shows one gateway.
type GatewayPage struct {
	Frame
	Gateway Gateway
	Step    time.Duration // of its history
	Trial   Trial
}

// Trial is a message to try a gateway with, and what came of it.
type Trial struct {
	Text, Recipient, Title string
	Params                 string // name=value lines
	Problems               []string
	Requests               []Request // that it would be sent as; nil unless that was asked for
	Results                []Result  // of sending it; nil unless that was asked for
	Unsent                 int       // parts behind one that was not delivered
}

// Request is a request as it may be shown.
type Request struct {
	Method, URL string
	Header      []Field
	Body        string
}

// Field is one header.
type Field struct{ Name, Value string }

// Result is what came of one request of a test.
type Result struct {
	data.Result
	Took time.Duration
}
