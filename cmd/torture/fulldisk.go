package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// fullDisk fills the file system of a store, which is ext4 in a file, in two ways.
//
// By load: intake must be refused before the reserve (storage.min_free) is
// touched, and everything that was taken be carried out from the reserve. When a
// foreign file goes, intake must come back by itself.
//
// By a foreign file that takes all there is at once, under load: the program may
// die of that, with 1 or by SIGBUS, which nobody survives who writes to a file in
// memory for which there is no room. While the disk is full it must refuse to
// start, with 5; when there is room again it must start and have lost nothing.
type fullDisk struct {
	fill string

	volumes volumes
}

// What fills the disk.
const (
	byLoad    = "load"
	byForeign = "foreign"
	byBoth    = "both" // in turn
)

func (m *fullDisk) flags(f *pflag.FlagSet) {
	f.StringVar(&m.fill, "fill", byBoth, "what fills the disk: load, foreign (a foreign file, at once), or both in turn")
}

func (m *fullDisk) require() error {
	if !slices.Contains([]string{byLoad, byForeign, byBoth}, m.fill) {
		return fmt.Errorf("--fill %s: expected load, foreign or both", m.fill)
	}
	return tryVolumes()
}

func (m *fullDisk) round(ctx context.Context, r *round) error {
	v, err := m.volumes.next(ctx, r, "full-disk")
	if err != nil {
		return err
	}
	p := draw(r.rand)
	p.Memtable = 8 // so the reserve is 128 MiB
	d := &disk{round: r, volume: v, reserve: 16 * 8 << 20}
	if m.fill == byForeign || m.fill == byBoth && r.number%2 == 1 {
		return d.filledAtOnce(ctx, p)
	}
	return d.filledByLoad(ctx, p)
}

// disk is a round on a disk that fills up.
type disk struct {
	round   *round
	volume  *volume
	system  *system
	reserve int64 // that the program keeps, bytes
}

// filledByLoad lets clients fill what a foreign file leaves: some tens of MiB, and
// in one round of twenty, which takes a minute or more, nearly all.
func (d *disk) filledByLoad(ctx context.Context, p plan) error {
	leave := d.reserve + 24<<20 + d.round.rand.Int64N(24<<20)
	p.Long, p.Largest, p.Arrays, p.Requests = 0.5, 50_000, 0, 100_000
	if d.round.number%20 == 18 {
		d.round.count("whole disks filled", 1)
		leave = volumeSize - 128<<20
		p.Long, p.Largest, p.Events, p.Debug = 1, 250_000, 0.9, false
	}
	// Whenever intake stops, what failed lately waits for another attempt.
	p.Pause, p.Attempts, p.Interval, p.HoldAfter = 5*time.Millisecond, 3, time.Second, 0
	p.Budget[failing], p.Budget[breaking] = math.MaxInt, math.MaxInt
	if err := d.volume.occupy(leave); err != nil {
		return err
	}
	c, err := d.begin(ctx, p)
	if err != nil {
		return err
	}
	err = d.loaded(ctx, c)
	if err != nil && ctx.Err() == nil && !errors.Is(err, errBroken) && ended(c) {
		d.round.violate("the program ended with %d when its disk filled up; it said\n%s", c.Code(), c.Said())
		return errBroken
	}
	if err != nil {
		return err
	}
	return d.system.finish(ctx, c)
}

// ended reports whether a program has ended, which may follow soon after it does
// not answer any more.
func ended(c *rig.Child) bool {
	select {
	case <-c.Ended():
		return true
	case <-time.After(time.Second):
		return false
	}
}

// loaded has clients fill the disk of a program, and takes the foreign file away
// when all that was taken is carried out.
func (d *disk) loaded(ctx context.Context, c *rig.Child) error {
	watch := d.watch(ctx)
	loading, stop := context.WithCancel(ctx)
	defer stop()
	wait := d.system.working(loading, c)
	err := rig.Until(ctx, "intake is refused", 6*time.Minute, 5*time.Millisecond, func() (bool, error) { return d.refusing(ctx, c) })
	if err == nil { // clients go on, and what is freed by merging tables is theirs
		err = d.system.rest(ctx, 200*time.Millisecond, time.Second)
	}
	stop()
	seen, watchErr := watch()
	if err := errors.Join(err, watchErr, wait()); err != nil {
		return err
	}
	from, ok := firstRefusal(d.system.load.requests())
	if !ok {
		return errors.New("no client was refused for want of space")
	}
	d.judge(seen, from)
	open, err := c.Open(ctx)
	if err != nil {
		return err
	}
	if err := d.carryOn(ctx, c); err != nil {
		return err
	}
	to := time.Since(d.system.began)
	if err := d.volume.vacate(); err != nil {
		return err
	}
	if err := d.delivered(from, to, open); err != nil {
		return err
	}
	err = rig.Until(ctx, "intake is back", 5*time.Second, 5*time.Millisecond, func() (bool, error) {
		refusing, err := d.refusing(ctx, c)
		return !refusing, err
	})
	if err != nil && ctx.Err() == nil {
		d.round.violate("there is space again: %v; the program said\n%s", err, c.Said())
		return errBroken
	}
	return d.resume(ctx, c)
}

// begin starts the program on a new store.
func (d *disk) begin(ctx context.Context, p plan) (c *rig.Child, err error) {
	if d.system, err = newSystem(ctx, d.round, p, d.volume.hold); err != nil {
		return nil, err
	}
	return d.system.start(ctx)
}

// refusing reports whether the program says that it takes nothing since there is
// no space. It must say so in one way or be ready.
func (d *disk) refusing(ctx context.Context, c *rig.Child) (bool, error) {
	a, err := c.Do(ctx, http.MethodGet, "/readyz", nil)
	if err != nil {
		return false, err
	}
	return a.Status == http.StatusServiceUnavailable && strings.Contains(string(a.Body), noSpace), nil
}

// noSpace is how the program calls it.
const noSpace = "not enough disk space"

// carryOn waits until all that was taken has ended, with no space but the reserve.
func (d *disk) carryOn(ctx context.Context, c *rig.Child) error {
	if err := d.volume.occupy(d.reserve - 2*rig.Mebibyte); err != nil { // if merging freed some
		return err
	}
	open, err := c.Open(ctx)
	if err != nil {
		return err
	}
	before := len(d.system.gateways.all())
	if err := awaitEnds(ctx, c, d.system.plan); err != nil {
		return err
	}
	left, err := c.Open(ctx)
	if err != nil {
		return err
	}
	d.round.count("messages open when intake stopped", int(open))
	d.round.count("arrivals from the reserve", len(d.system.gateways.all())-before)
	if left > 0 {
		d.round.violate("%d of %d messages were not carried out while the disk was full", left, open)
	}
	free, err := d.volume.free()
	if err != nil {
		return err
	}
	refusing, err := d.refusing(ctx, c)
	if err == nil && !refusing && free < d.reserve {
		d.round.violate("intake is not refused while %s are free", rig.Size(free))
	}
	return err
}

// firstRefusal is when a client was first told that there is no space.
func firstRefusal(all [][]*request) (at time.Duration, ok bool) {
	for _, requests := range all {
		for _, one := range requests {
			for _, a := range one.Replies {
				if strings.HasSuffix(a.Problem, ":no-space") && (!ok || a.Ended < at) {
					at, ok = a.Ended, true
				}
			}
		}
	}
	return at, ok
}

// delivered looks for deliveries that began and ended while intake was refused.
// Without any open message there could be none, and nothing was tried.
func (d *disk) delivered(from, to time.Duration, open int64) error {
	n := deliveries(d.system.gateways.all(), from, to)
	d.round.count("deliveries while intake was refused", n)
	switch {
	case n > 0:
		return nil
	case open == 0:
		return errors.New("no message was open when intake stopped")
	}
	d.round.violate("of %d messages that were open when intake stopped none was delivered until there was space again", open)
	return nil
}

// deliveries counts those that began and ended between two times.
func deliveries(all []arrival, from, to time.Duration) (n int) {
	for _, one := range all {
		if one.Status/100 == 2 && one.At > from && one.End > one.At && one.End < to {
			n++
		}
	}
	return n
}

// resume has the clients send again, to the same process, which must take it. A
// busy machine may not get far in one go.
func (d *disk) resume(ctx context.Context, c *rig.Child) error {
	began := time.Since(d.system.began)
	for range 20 {
		loading, stop := context.WithTimeout(ctx, 300*time.Millisecond)
		err := d.system.working(loading, c)()
		stop()
		if err != nil {
			return err
		}
		if taken := d.takenSince(began); taken > 0 {
			d.round.count("requests acknowledged after it", taken)
			return nil
		}
	}
	d.round.violate("nothing was taken though there is space again")
	return nil
}

// takenSince counts the requests that were sent first after a time and acknowledged.
func (d *disk) takenSince(began time.Duration) (n int) {
	for _, requests := range d.system.load.requests() {
		for _, one := range requests {
			if one.ids() != nil && one.Replies[0].Sent >= began {
				n++
			}
		}
	}
	return n
}

// filledAtOnce has a foreign file take all that is left, under load.
func (d *disk) filledAtOnce(ctx context.Context, p plan) error {
	if d.round.rand.IntN(2) == 0 { // then it needs new pages all the time
		p.Long, p.Largest = 0.5, 10_000+d.round.rand.IntN(15_000)
	}
	c, err := d.begin(ctx, p)
	if err != nil {
		return err
	}
	loading, stop := context.WithCancel(ctx)
	defer stop()
	wait := d.system.working(loading, c)
	err = errors.Join(d.system.rest(ctx, 100*time.Millisecond, 2*time.Second), d.volume.occupy(0))
	if err == nil {
		err = d.survive(ctx, c)
	}
	stop()
	d.system.end(c)
	if err := errors.Join(err, wait()); err != nil {
		return err
	}
	if err := d.refuseStart(ctx); err != nil {
		return err
	}
	if err := d.volume.vacate(); err != nil {
		return err
	}
	if c, err = d.system.start(ctx); err != nil {
		return err
	}
	return d.system.finish(ctx, c)
}

// survive gives the program a while to die. One that lives must say why it takes
// nothing.
func (d *disk) survive(ctx context.Context, c *rig.Child) error {
	select {
	case <-c.Ended():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(3 * time.Second):
	}
	d.round.count("programs that lived on", 1)
	a, err := c.Do(ctx, http.MethodGet, "/readyz", nil)
	switch {
	case err != nil:
		if c.Gone() {
			return nil
		}
		d.round.violate("the disk is full and /readyz has no answer: %v", err)
	case a.Status != http.StatusServiceUnavailable:
		d.round.violate("the disk is full and /readyz = %d %s", a.Status, a.Body)
	}
	return nil
}

// refuseStart starts the program, which must say that there is no space, and end.
func (d *disk) refuseStart(ctx context.Context) error {
	c, err := d.system.launch(ctx)
	if err != nil {
		return err
	}
	if err := d.system.expect(ctx, c, 5); err != nil {
		return err
	}
	d.round.count("starts refused", 1)
	if said := c.Said(); !strings.Contains(said, noSpace) || !strings.Contains(said, "free some space") {
		d.round.violate("on a full disk a start did not say so, but\n%s", said)
	}
	return nil
}

// level is the free space at a time since the round began.
type level struct {
	at   time.Duration
	free int64
}

// looking is how often the free space is read.
const looking = 5 * time.Millisecond

// watch notes the free space until the func that it returns is called. The error
// says that it could not be read, so that nothing can be said about it.
func (d *disk) watch(ctx context.Context) (stop func() ([]level, error)) {
	watching, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	var seen []level
	var failed error
	go func() {
		defer close(done)
		for failed == nil {
			free, err := d.volume.free()
			if failed = err; err == nil {
				seen = append(seen, level{time.Since(d.system.began), free})
			}
			if rig.Wait(watching, looking) != nil {
				return
			}
		}
	}()
	return func() ([]level, error) {
		cancel()
		<-done
		return seen, failed
	}
}

// What may be left of the reserve at the least.
const (
	// leftByIntake is that until intake is first refused. The program makes files
	// longer than they are needed, by 16 MiB at once for a memtable of 8 MiB; a second
	// one, and a table that is being made, may come between two looks at the space.
	leftByIntake = 3. / 4
	// leftByAll is that until space returns. What was taken is carried out meanwhile, and
	// tables are merged, which takes their room a second time until the old ones go.
	leftByAll = 1. / 2
)

// lowest is the least free space that was seen up to a time.
func lowest(seen []level, until time.Duration, reserve int64) int64 {
	for _, l := range seen {
		if l.at <= until {
			reserve = min(reserve, l.free)
		}
	}
	return reserve
}

// judge looks at what the free space was and what was taken meanwhile; intake was
// first refused at a time.
func (d *disk) judge(seen []level, refused time.Duration) {
	intake, all := lowest(seen, refused, d.reserve), lowest(seen, math.MaxInt64, d.reserve)
	d.round.say("of %s of the reserve were left %s when intake was refused, and at the lowest %s", rig.Size(d.reserve), rig.Size(intake), rig.Size(all))
	d.round.peak("most of the reserve that intake took, KiB", (d.reserve-intake)>>10)
	d.round.peak("most of the reserve that was taken, KiB", (d.reserve-all)>>10)
	if float64(intake) < leftByIntake*float64(d.reserve) || float64(all) < leftByAll*float64(d.reserve) {
		d.round.violate("of %s of the reserve were left %s when intake was refused, and at the lowest %s", rig.Size(d.reserve), rig.Size(intake), rig.Size(all))
	}
	for c, requests := range d.system.load.requests() {
		for _, one := range requests {
			for _, a := range one.Replies {
				if a.IDs != nil && tooLow(seen, d.reserve, a) {
					d.round.violate("client %d: %s sent at %v was taken at %v, when the reserve had been touched", c, one.Path, a.Sent, a.Ended)
				}
				if a.IDs != nil {
					break // what comes after is a repeat
				}
			}
		}
	}
}

// reaction is how long the program may take to see that space is low: it looks
// every 50 ms under load, and we see it a little later.
const reaction = 100 * time.Millisecond

// tooLow reports whether free space had been below the reserve long enough before
// a request was sent, and was so until it was answered. A time in which nobody
// looked says nothing.
func tooLow(seen []level, reserve int64, a reply) bool {
	from := a.Sent - reaction
	i, _ := slices.BinarySearchFunc(seen, from, func(l level, at time.Duration) int { return int(l.at - at) })
	for i = max(0, i-1); i < len(seen); i++ {
		l := seen[i]
		if l.free >= reserve {
			return false
		}
		if i+1 == len(seen) || seen[i+1].at-l.at > 10*looking {
			return l.at >= a.Ended
		}
		if l.at >= a.Ended {
			return seen[0].at <= from
		}
	}
	return false
}
