package gateway

import (
	"time"

	"github.com/postrider/postrider/data"
)

// How far apart the probes of a gateway are that cannot be reached: the distance
// doubles.
const (
	firstProbe = time.Second
	mostProbe  = time.Minute
)

// outage stops spending attempts on a gateway to which there is no connection,
// if that is wanted: after so many attempts in a row it only probes, until a
// connection can be made. The first attempt after that decides anew.
type outage struct {
	after     int // attempts in a row; 0 means never
	unreached int
	probing   bool
	next      data.StoreTime // when to probe
	distance  time.Duration  // of the probe after that
}

// holds reports whether no attempt may begin.
func (o *outage) holds() bool { return o.after > 0 && o.unreached >= o.after }

// ended takes the result of an attempt and reports whether it closed the gateway.
func (o *outage) ended(now data.StoreTime, r data.Result) (closed bool) {
	before := o.holds()
	o.unreached = r.Unreached(o.unreached)
	if before || !o.holds() {
		return false
	}
	o.distance = firstProbe
	o.next = now.Add(o.distance)
	return true
}

// probe reports whether to probe now, which must be answered with probed, or else
// when.
func (o *outage) probe(now data.StoreTime) (due bool, wake data.StoreTime) {
	switch {
	case o.probing:
		return false, data.Never
	case now < o.next:
		return false, o.next
	}
	return true, data.Never
}

// probed takes the answer to a probe and reports whether it opened the gateway.
func (o *outage) probed(now data.StoreTime, reached bool) (opened bool) {
	o.probing = false
	if !o.holds() {
		return false
	}
	if reached {
		o.unreached = o.after - 1
		return true
	}
	o.distance = min(max(2*o.distance, firstProbe), mostProbe)
	o.next = now.Add(o.distance)
	return false
}
