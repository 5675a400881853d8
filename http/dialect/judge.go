package dialect

import (
	"time"

	"github.com/postrider/postrider/data"
)

// Success says which answers mean that the gateway took the message. It needs
// both a status and, where there are rules, a body that each of them holds of.
type Success struct {
	Status []StatusRange // 200 to 299; nil means all of these
	Body   []Rule
}

// Permanent says after which answers no attempt would go better.
type Permanent struct {
	Status []StatusRange // 300 to 599
	Body   []Rule        // one that holds is enough, whatever the status
}

// Answer is what a gateway answered: its headers are complete, its body need
// not be.
type Answer struct {
	Status  int
	Header  map[string][]string // names in canonical form
	Body    []byte              // the beginning of the body, as far as it was read
	Cut     bool                // there was more, or there should have been
	Secrets []string            // of the request, beside those of the declaration; never shown
}

// judging is how answers are read. Its zero value is how they are read where a
// declaration says nothing about that.
type judging struct {
	success struct {
		statuses []StatusRange
		rules    []rule
	}
	permanent struct {
		statuses []StatusRange
		rules    []rule
	}
	throttle throttle
	reads    bool // a body may count
	keep     bool // the beginning of the body is kept
}

// judging compiles how answers are read, to nil where nothing is said about that.
func (c *compiler) judging(d Declaration) *judging {
	j := &judging{keep: d.KeepAnswer}
	j.success.statuses = c.statuses("success.status", d.Success.Status, 200, 299)
	j.success.rules = c.rules("success.body", d.Success.Body)
	j.permanent.statuses = c.statuses("permanent.status", d.Permanent.Status, 300, 599)
	j.permanent.rules = c.rules("permanent.body", d.Permanent.Body)
	j.throttle = c.throttle(d.Throttle)
	j.reads = len(j.success.rules)+len(j.permanent.rules)+len(j.throttle.rules) > 0 || j.throttle.inBody
	if d.Success.Status != nil && len(d.Success.Status) == 0 {
		c.complain("success.status", "is empty, so no answer would be a success")
	}
	if !d.KeepAnswer && d.Success.empty() && d.Permanent.empty() && d.Throttle.empty() {
		return nil
	}
	return j
}

func (s Success) empty() bool   { return s.Status == nil && s.Body == nil }
func (p Permanent) empty() bool { return len(p.Status) == 0 && len(p.Body) == 0 }
func (t Throttle) empty() bool {
	return t.Status == nil && len(t.Body) == 0 && t.Wait == nil && t.Fixed == 0
}

// Judge reads an answer. now is the wall clock, for hints that are points in
// time. This is the order in which an answer is read; the first that fits counts:
//
//  1. A status that no final answer has, outside of 200 to 599, is malformed, and
//     the outcome temporary.
//  2. What the declaration calls permanent is that whatever else the answer says: by
//     its status, or by a rule that holds of its body. With OAuth 2 a 401 is not
//     permanent by its status, since it may only mean that the token has ended.
//  3. What asks to wait, by its status or by a rule that holds of its body, is
//     throttled when it says how long, in one of the places for that, or the
//     declaration does. The longest of these waits counts. One that does not say how
//     long is temporary, also with a 2xx.
//  4. A 2xx that is one of the statuses of success is a delivery when there are no
//     rules about bodies, or each of those for success holds. It is temporary when
//     one does not, or when there are rules and the body was cut or is encoded.
//  5. All else is temporary: also redirects, which are never followed.
//
// A rule about JSON does not hold of a body that is not JSON. So a success that
// wants one is none, and one that wants none is not undone by it.
//
// What is kept of the answer is kept whatever the outcome.
func (d *Dialect) Judge(a Answer, now time.Time) data.Result {
	if d.judging == nil && a.Status >= 200 && a.Status <= 299 {
		return data.Result{Outcome: data.OutcomeDelivered, Status: a.Status} // as most of them are
	}
	r := d.judge(&a, now)
	r.Status = a.Status
	return r
}

func (d *Dialect) judge(a *Answer, now time.Time) data.Result {
	j := d.judging
	if j == nil {
		return (&judging{}).judge(a, &reading{}, now, d.Grant() != nil)
	}
	var b reading
	if j.reads {
		b = a.reading()
	}
	r := j.judge(a, &b, now, d.Grant() != nil)
	if j.keep {
		r.Answer = d.kept(a)
	}
	return r
}

func (j *judging) judge(a *Answer, b *reading, now time.Time, tokens bool) data.Result {
	if a.Status < 200 || a.Status > 599 {
		return data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseMalformed}
	}
	switch {
	case j.ends(a.Status, tokens):
		return data.Result{Outcome: data.OutcomePermanent, Cause: data.CauseStatus}
	case anyHolds(j.permanent.rules, b):
		return data.Result{Outcome: data.OutcomePermanent, Cause: data.CauseRejected}
	}
	byBody := anyHolds(j.throttle.rules, b)
	if byBody || j.throttle.has(a.Status) {
		if hint, ok := j.throttle.hint(a, b, now); ok {
			return data.Result{Outcome: data.OutcomeThrottled, Cause: data.CauseThrottled, Hint: hint}
		}
	}
	switch {
	case byBody:
		return data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseThrottled}
	case !j.successful(a.Status):
		return data.Result{Outcome: data.OutcomeTemporary, Cause: data.CauseStatus}
	}
	if cause := j.objection(b); cause != data.CauseNone {
		return data.Result{Outcome: data.OutcomeTemporary, Cause: cause}
	}
	return data.Result{Outcome: data.OutcomeDelivered}
}

// ends reports whether a status is permanent.
func (j *judging) ends(status int, tokens bool) bool {
	if tokens && status == 401 {
		return false
	}
	return among(j.permanent.statuses, status)
}

// successful reports whether a status is one of success.
func (j *judging) successful(status int) bool {
	if j.success.statuses == nil {
		return status >= 200 && status <= 299
	}
	return among(j.success.statuses, status)
}

// objection says why a body is not one of success.
func (j *judging) objection(b *reading) data.Cause {
	if len(j.success.rules)+len(j.permanent.rules)+len(j.throttle.rules) > 0 && !b.whole {
		return data.CauseBody
	}
	for i := range j.success.rules {
		rule := &j.success.rules[i]
		if rule.holds(b) {
			continue
		}
		if _, is := b.document(); rule.needsJSON() && !is {
			return data.CauseBody
		}
		return data.CauseRejected
	}
	return data.CauseNone
}

// NeedsBody reports whether an answer with this status cannot be judged without
// its whole body.
func (d *Dialect) NeedsBody(status int) bool {
	j := d.judging
	switch {
	case j == nil:
		return false
	case len(j.permanent.rules)+len(j.throttle.rules) > 0:
		return true
	case j.throttle.inBody && j.throttle.has(status):
		return true
	}
	return len(j.success.rules) > 0 && j.successful(status)
}
