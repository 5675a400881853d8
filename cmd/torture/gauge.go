package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// sample is what the program took at one moment, and had to do.
type sample struct {
	at   time.Duration // since the round began
	life int           // of the program, from 0
	age  time.Duration // of that life
	all  [quantities]int64
}

// What is measured.
const (
	anonymousMemory = iota // bytes that no file is behind
	heapInUse
	goroutineCount
	openDescriptors
	diskTaken    // allocated
	openMessages // messages that have not ended
	quantities
)

// quantity is how one of them is judged. The slopes are differences of medians, of
// the last quarter of a time and of its second one, so that neither the beginning
// nor a burst counts.
type quantity struct {
	name string
	// perRun limits the slope over the whole round, perLife the median of the slopes
	// of the program's lives; 0 is no limit. most is never to be reached.
	perRun, perLife, most int64
	size                  bool // in bytes
}

// judged is all quantities with their limits. What a queue or the disk holds rises
// in a life while it catches up on what the kill before has left, or while tables
// are being made, so only the round counts for those.
func judged() [quantities]quantity {
	const mib = rig.Mebibyte
	return [quantities]quantity{
		// Under this load between 80 and 160 MiB, by how many tables are in the making.
		// The program's own soft limit is 272 MiB, a few gateways included.
		anonymousMemory: {"anonymous memory", 24 * mib, 32 * mib, 320 * mib, true},
		// Up to twice what is in use, by when the garbage was collected.
		heapInUse: {"heap", 16 * mib, 24 * mib, 256 * mib, true},
		// One for each connection and each attempt under way, of which there are a few
		// dozen: one that leaks with every hundredth message is over it in a life.
		goroutineCount: {"goroutines", 60, 60, 2000, false},
		// As many, and one for each table of 2 MiB.
		openDescriptors: {"descriptors", 80, 80, 2000, false},
		// What is kept is some 40 MiB and five memtables at most; what was deleted
		// doubles that before it is merged, and a merge takes as much again. Idempotency
		// keys, which are kept for a day, come to 6 MiB in an hour.
		diskTaken: {"disk", 96 * mib, 0, 640 * mib, true},
		// Less than two seconds of the load more in an hour; and what comes within a minute.
		openMessages: {"messages not ended", 600, 0, 18_000, false},
	}
}

// gauge measures the program each second, over all its lives.
type gauge struct {
	began   time.Time
	store   string
	samples []sample
	file    *os.File
}

func newGauge(s *system) (*gauge, error) {
	f, err := os.OpenFile(s.round.dir+"/samples.csv", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keep the samples: %w", err)
	}
	return &gauge{began: s.began, store: s.program.Store(), file: f}, nil
}

// measure samples until ctx ends. current is the program with the number of its
// life, or nil while it is down.
func (g *gauge) measure(ctx context.Context, current func() (*rig.Child, int)) error {
	w := csv.NewWriter(g.file)
	row := []string{"seconds", "life"}
	for _, q := range judged() {
		row = append(row, q.name)
	}
	_ = w.Write(row) // Error reports
	for rig.Wait(ctx, time.Second) == nil {
		c, life := current()
		if c == nil {
			continue
		}
		one, err := g.look(ctx, c)
		if err != nil {
			continue // it was killed
		}
		one.life = life
		g.samples = append(g.samples, one)
		row = append(row[:0], fmt.Sprintf("%.1f", one.at.Seconds()), strconv.Itoa(life))
		for _, n := range one.all {
			row = append(row, strconv.FormatInt(n, 10))
		}
		_ = w.Write(row)
		w.Flush()
	}
	return errors.Join(w.Error(), g.file.Close())
}

func (g *gauge) look(ctx context.Context, c *rig.Child) (s sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s.at, s.age = time.Since(g.began), time.Since(c.Started)
	memory, err := c.Memory()
	if err != nil {
		return s, err
	}
	pid, err := c.Pid()
	if err != nil {
		return s, err
	}
	if s.all[openDescriptors], err = rig.DescriptorsOf(pid); err != nil {
		return s, err
	}
	usage, err := rig.UsageOf(g.store)
	if err != nil {
		return s, err
	}
	a, err := c.Do(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return s, err
	}
	said := metrics(a.Body)
	s.all[anonymousMemory], s.all[diskTaken] = memory.Anonymous, usage.Allocated
	s.all[heapInUse], s.all[goroutineCount] = said["go_memstats_heap_inuse_bytes"], said["go_goroutines"]
	for _, state := range []string{"queued", "sending", "waiting"} {
		s.all[openMessages] += said[`postrider_messages{state="`+state+`"}`]
	}
	if said["go_goroutines"] == 0 {
		return s, fmt.Errorf("GET /metrics = %d %.200s", a.Status, a.Body)
	}
	return s, nil
}

// metrics reads what Prometheus would: numbers by their names with labels.
func metrics(text []byte) map[string]int64 {
	all := map[string]int64{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		i := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || i < 0 {
			continue
		}
		if n, err := strconv.ParseFloat(line[i+1:], 64); err == nil {
			all[line[:i]] = int64(n)
		}
	}
	return all
}

// slope is the median of the last quarter less that of the second one.
func slope(values []int64) int64 {
	n := len(values)
	return median(values[n-n/4:]) - median(values[n/4:n/2])
}

func median(values []int64) int64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}

const (
	// leastLife is how many samples of a life say something about its slope, when the
	// first seconds, in which it catches up, are left out.
	leastLife = 40
	catchUp   = 10 * time.Second
	// leastRun is how many samples a round must have for the slope over all of it.
	leastRun = 240
)

// judge compares the samples with the limits, and tells them to the table.
func (g *gauge) judge(complain complainer, say func(format string, args ...any)) {
	for i, q := range judged() {
		write := func(n int64) string {
			if q.size {
				return rig.Size(n)
			}
			return rig.Count(n)
		}
		var run, slopes []int64
		var lives [][]int64
		for _, s := range g.samples {
			run = append(run, s.all[i])
			for len(lives) <= s.life {
				lives = append(lives, nil)
			}
			if s.age > catchUp {
				lives[s.life] = append(lives[s.life], s.all[i])
			}
		}
		for _, l := range lives {
			if len(l) >= leastLife {
				slopes = append(slopes, slope(l))
			}
		}
		if len(run) == 0 {
			complain("%s: not measured", q.name)
			continue
		}
		most, ofRun, ofLife := slices.Max(run), slope(run), median(slopes)
		say("%s: median %s, most %s, slope %s, %s in a life", q.name, write(median(run)), write(most), write(ofRun), write(ofLife))
		if len(run) >= leastRun && q.perRun > 0 && ofRun > q.perRun {
			complain("%s rose by %s from the second quarter to the last one, at most %s is allowed", q.name, write(ofRun), write(q.perRun))
		}
		if len(slopes) > 0 && q.perLife > 0 && ofLife > q.perLife {
			complain("%s rose by %s from the second quarter of a life to its last one, at most %s is allowed", q.name, write(ofLife), write(q.perLife))
		}
		if most > q.most {
			complain("%s was %s, at most %s is allowed", q.name, write(most), write(q.most))
		}
	}
}
