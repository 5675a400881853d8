package gateways

import "github.com/postrider/postrider/data"

// Accepted says which messages came to the queues of gateways, in the store. The
// persister causes it after each commit that has some.
type Accepted struct{ Arrived []data.Arrival }

// Paused says that a lane was paused, or is so no longer, after that is in the
// store. The persister causes it.
type Paused struct {
	Gateway string
	Paused  bool
}

// Redefine says that definitions have changed: Options.Define is asked anew for
// every lane that runs and for every gateway whose messages are parked, or for one
// gateway alone.
type Redefine struct{ Gateway string } // "" for all

// Drain asks for no more attempts to begin, and for Options.Drained to be called
// when all that were under way are settled. The supervisor sends it when the
// process is to end.
type Drain struct{}

// resumed is sent to self with the gateways that have messages left to send, and
// those of them that have attempts under way.
type resumed struct {
	incarnation *Actor
	waiting     []string
	sending     []string
	paused      int // gateways with messages left that a person paused
	err         error
}

// resumeDue is sent to self when the store could not be read.
type resumeDue struct{ incarnation *Actor }
