package badger

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

// expiring sends one message that expires after a time.
func (k *kept) expiring(gateway string, after time.Duration) data.ID {
	k.t.Helper()
	o := &data.Save{Messages: []data.NewMessage{{Gateway: gateway, Text: "code 123", ExpiresIn: after}}}
	k.save(o)
	return o.First
}

// expired claims what a lane has and returns what was overdue.
func (k *kept) expired(gateway string) []data.Ended {
	k.t.Helper()
	return k.claim(gateway, append(k.ready(gateway, 0, 100), k.waiting(gateway, data.Ref{}, 100)...)...).Overdue
}

func TestQueuedMessageExpires(t *testing.T) {
	k := newKept(t)
	id, other := k.expiring("gateway_1", time.Hour), k.send("gateway_1", "for ever")
	k.pause("gateway_1", true)
	k.machine().pass(time.Hour + time.Second)
	if got := k.expired("gateway_1"); len(got) != 0 {
		t.Errorf("a paused lane ends %v", got)
	}
	if m := k.message(id); m.State != data.Queued || m.ExpiresAt.After(k.machine().Wall()) {
		t.Errorf("behind a paused lane it is %+v; want it queued, and its end in the past", m)
	}
	k.pause("gateway_1", false)
	want := []data.Ended{{ID: id, State: data.Expired}}
	if got := k.expired("gateway_1"); !slices.Equal(got, want) {
		t.Errorf("overdue is %v; want %v", got, want)
	}
	k.state(id, data.Expired)
	k.state(other, data.Sending)
	if c := k.lane("gateway_1").Counts; c[data.Expired] != 1 || c[data.Queued] != 0 || c[data.Sending] != 1 {
		t.Errorf("the lane counts %v", c)
	}
	if n := k.keysUnder(prefixRun); n != 0 {
		t.Errorf("%d runs are left", n)
	}
	k.verify()
	k.reopen()
	k.state(id, data.Expired)
}

// TestExpiresToTheMoment begins an attempt just before the end, and none at it.
func TestExpiresToTheMoment(t *testing.T) {
	for _, c := range []struct {
		left time.Duration
		want data.State
	}{{time.Millisecond, data.Sending}, {0, data.Expired}} {
		k := newKept(t)
		id := k.expiring("gateway_1", time.Hour)
		k.passTo(k.message(id).Expires.Add(-c.left))
		k.expired("gateway_1")
		k.state(id, c.want)
	}
}

func TestWaitingMessageExpires(t *testing.T) {
	for name, c := range map[string]struct {
		after  time.Duration
		result data.Result
		want   data.State
	}{
		"before its next attempt":               {time.Minute, refused, data.Expired},
		"after it":                              {2 * time.Minute, refused, data.Waiting},
		"before the hint is over":               {5 * time.Minute, throttled(7 * time.Minute), data.Expired},
		"before its next attempt, and cut off":  {time.Minute, data.Result{Outcome: data.OutcomeUnknown}, data.Unknown},
		"before its next attempt, not after it": {time.Minute, permanent, data.Failed},
		"withdrawn in time":                     {time.Minute, withdrawn, data.Waiting},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKept(t)
			id := k.expiring("gateway_1", c.after)
			o := k.try("gateway_1", id, c.result)
			if o.Err != nil || o.Next.State != c.want {
				t.Errorf("settle = %+v; want %s", o, c.want)
			}
			k.state(id, c.want)
			k.verify()
		})
	}
}

// TestWaitingMessageExpiresWhenItIsDue lets a lane come late to what waits.
func TestWaitingMessageExpiresWhenItIsDue(t *testing.T) {
	k := newKept(t)
	id := k.expiring("gateway_1", 2*time.Minute)
	k.try("gateway_1", id, refused)
	k.machine().pass(3 * time.Minute)
	if got := k.expired("gateway_1"); len(got) != 1 || got[0].State != data.Expired {
		t.Errorf("overdue is %v", got)
	}
	if n := k.keysUnder(prefixWaiting); n != 0 {
		t.Errorf("%d still wait", n)
	}
	m := k.message(id)
	if m.State != data.Expired || len(m.Attempts) != 1 {
		t.Errorf("it is %+v", m)
	}
	k.verify()
}

// TestClockStepsDoNotExpire steps the clock that people read.
func TestClockStepsDoNotExpire(t *testing.T) {
	for _, years := range []int{-10, 10} {
		k := newKept(t)
		id := k.expiring("gateway_1", time.Hour)
		k.machine().wall = k.machine().wall.AddDate(years, 0, 0)
		k.reopen()
		k.machine().pass(59 * time.Minute)
		at := k.message(id).ExpiresAt
		if left := at.Sub(k.machine().Wall()); left < 50*time.Second || left > 70*time.Second {
			t.Errorf("%d years on it says %v; want a minute from now", years, left)
		}
		if got := k.expired("gateway_1"); len(got) != 0 {
			t.Errorf("%d years on overdue is %v", years, got)
		}
	}
}

// TestExpiryAfterAReboot counts the time that the machine was off by the wall clock,
// also after a further start, and only for what was there.
func TestExpiryAfterAReboot(t *testing.T) {
	for _, off := range []time.Duration{30 * time.Minute, 2 * time.Hour, -2 * time.Hour} {
		t.Run(fmt.Sprint(off), func(t *testing.T) {
			k := newKept(t)
			before := k.expiring("gateway_1", time.Hour)
			k.close()
			k.machine().reboot("boot-2")
			k.machine().wall = k.machine().wall.Add(off)
			k.open()
			after := k.expiring("gateway_1", time.Hour)
			k.reopen()
			k.machine().wall = k.machine().wall.Add(-time.Hour) // a step counts for nothing new
			k.machine().wall = k.machine().wall.Add(time.Hour)
			got := k.expired("gateway_1")
			if over := len(got) == 1 && got[0].ID == before; over != (off > time.Hour) || len(got) > 1 {
				t.Errorf("overdue is %v", got)
			}
			k.state(after, data.Sending)
			k.verify()
		})
	}
}

// TestGrantSaysWhichEndCounts has an attempt go by the wall clock where that counts.
func TestGrantSaysWhichEndCounts(t *testing.T) {
	k := newKept(t)
	before := k.expiring("gateway_1", time.Hour)
	k.close()
	k.machine().reboot("boot-2")
	k.machine().wall = k.machine().wall.Add(50 * time.Minute)
	k.open()
	after := k.expiring("gateway_1", time.Hour)
	for _, g := range k.claim("gateway_1", k.ready("gateway_1", 0, 100)...).Granted {
		want := map[data.ID]time.Duration{before: 10 * time.Minute, after: time.Hour}[g.Message.ID]
		if left := g.Message.Expires.Sub(g.Began); left < want-time.Minute || left > want {
			t.Errorf("message %s may be sent for %v; want %v", g.Message.ID, left, want)
		}
		if o := k.settle("gateway_1", g.Message.ID, 1, withdrawn); o.Next.State != data.Waiting {
			t.Errorf("withdrawn it is %s", o.Next.State)
		}
	}
	k.machine().pass(11 * time.Minute)
	if got := k.expired("gateway_1"); len(got) != 1 || got[0].ID != before {
		t.Errorf("overdue is %v; want the one of before", got)
	}
	k.verify()
}

func TestContentIsKept(t *testing.T) {
	k := newKept(t)
	var all []data.NewMessage
	for _, n := range []int{0, 1, 400, inlineText, 5000} {
		word := strings.Repeat("é", n/2)
		params := map[string]string{"order": word, "": "", "é\x00": "\x00"}
		all = append(all,
			data.NewMessage{Gateway: "gateway_1", Text: word, To: "+1", Title: "t", Params: params},
			data.NewMessage{Gateway: "gateway_1", Title: word}, data.NewMessage{Gateway: "gateway_1", To: word},
			data.NewMessage{Gateway: "gateway_1", Params: map[string]string{word: word}})
	}
	o := &data.Save{Messages: slices.Clone(all)}
	k.save(o)
	check := func(when string, got data.Message, want data.NewMessage) {
		t.Helper()
		if got.Text != want.Text || got.To != want.To || got.Title != want.Title || !maps.Equal(got.Params, want.Params) {
			t.Errorf("%s it is %+v; want %+v", when, got, want)
		}
	}
	for i, want := range all {
		check("stored", k.message(o.First+data.ID(i)), want)
	}
	for i, m := range k.every(data.MessageQuery{Limit: 100}) {
		check("listed", m, all[i])
	}
	k.reopen()
	granted := k.begin("gateway_1", k.ready("gateway_1", 0, 100)...)
	var failed []data.ID
	b := &data.Batch{}
	for i, g := range granted {
		check("granted", g.Message, all[i])
		b.Settles = append(b.Settles, &data.Settle{Gateway: "gateway_1", ID: g.Message.ID, Number: 1, Ended: k.Now(), Result: permanent})
		failed = append(failed, g.Message.ID)
	}
	if len(granted) != len(all) {
		t.Fatalf("%d were granted", len(granted))
	}
	k.apply(b)
	for i, r := range k.resend(failed...).Resent {
		check("settled", k.message(failed[i]), all[i])
		check("sent again", k.message(r.New), all[i])
		check("cancelled", k.cancel(r.New).Message, all[i])
	}
	k.verify()
	k.options.AcceptLoss = true
	k.reopen()
	k.options.AcceptLoss = false
	for i := range all {
		check("after a rebuild", k.message(failed[i]), all[i])
	}
	k.verify()
	k.machine().pass(day.Dead + time.Hour)
	k.pruneAll(day, 1000)
	if n := k.keysUnder(prefixText); n != 0 {
		t.Errorf("%d texts are left", n)
	}
}

// TestResendOfWhatExpires keeps the end of a dead letter that is still wanted.
func TestResendOfWhatExpires(t *testing.T) {
	k := newKept(t)
	failed := k.expiring("gateway_1", time.Hour)
	k.try("gateway_1", failed, permanent)
	expired := k.expiring("gateway_1", time.Minute)
	k.machine().pass(10 * time.Minute)
	k.expired("gateway_1")
	k.state(expired, data.Expired)
	r := k.resend(failed, expired).Resent
	if m, want := k.message(r[0].New), k.message(failed).Expires; m.Expires != want || m.ExpiresAt.IsZero() {
		t.Errorf("sent again it expires at %d, %v; want %d as before", m.Expires, m.ExpiresAt, want)
	}
	if m := k.message(r[1].New); m.Expires != 0 || !m.ExpiresAt.IsZero() {
		t.Errorf("what had expired expires again: %+v", m)
	}
	k.verify()
}

// TestPartsAreCounted answers a repeat with as many ids as the first request got.
func TestPartsAreCounted(t *testing.T) {
	k := newKept(t)
	parts := data.Save{Messages: []data.NewMessage{{Gateway: "g", Text: "(1/2)"}, {Gateway: "g", Text: "(2/2)"}}}
	first, same := withKey(1, 1, parts), withKey(1, 1, data.Save{Messages: parts.Messages[:1]})
	k.apply(&data.Batch{Saves: []*data.Save{first, same}})
	k.reopen()
	later := withKey(1, 1, data.Save{Messages: parts.Messages[:1]})
	k.apply(&data.Batch{Saves: []*data.Save{later}})
	for _, o := range []*data.Save{first, same, later} {
		if o.Err != nil || o.First != first.First || o.Count != 2 {
			t.Errorf("the answer is %+v; want two ids", o)
		}
	}
	if _, count, found, err := k.Answered(*first.Key); count != 2 || !found || err != nil {
		t.Errorf("Answered = %d, %v, %v; want 2", count, found, err)
	}
}

// TestManyExpireAtOnce ends more than one transaction can, claimed in one Begin.
func TestManyExpireAtOnce(t *testing.T) {
	const n = 4000
	k := newKept(t)
	m := data.NewMessage{Gateway: "gateway_1", Text: strings.Repeat("x", 500), ExpiresIn: time.Minute}
	for range 4 {
		k.save(&data.Save{Messages: slices.Repeat([]data.NewMessage{m}, n/4)})
	}
	k.machine().pass(time.Hour)
	commit := k.newest.commit
	b := k.claim("gateway_1", k.ready("gateway_1", 0, n)...)
	if len(b.Overdue) != n || len(b.Granted)+len(b.Standing) != 0 {
		t.Errorf("%d are overdue, %d granted, %d stand; want all overdue", len(b.Overdue), len(b.Granted), len(b.Standing))
	}
	if k.newest.commit < commit+2 {
		t.Errorf("it takes %d commits; the test wants several", k.newest.commit-commit)
	}
	if c := k.lane("gateway_1").Counts; c[data.Expired] != n || c[data.Queued] != 0 {
		t.Errorf("the lane counts %v", c)
	}
	k.verify()
}
