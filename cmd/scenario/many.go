package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// many is a hundred thousand gateways with one message each. A configuration
// file is for ten thousand, so the tree runs in a process of this program, which
// defines the gateways itself (many_tree.go).
type many struct {
	gateways int
	linger   time.Duration
	rest     time.Duration
	limit    time.Duration
}

func (s *many) flags(f *pflag.FlagSet) {
	f.IntVar(&s.gateways, "gateways", 100_000, "gateways, each with one message")
	f.DurationVar(&s.linger, "linger", 2*time.Second, "how long an idle lane stays")
	// Badger lets go of a buffer in which it made tables every two seconds of quiet,
	// of some ten.
	f.DurationVar(&s.rest, "rest", 40*time.Second, "how long to be quiet before the memory is looked at")
	f.DurationVar(&s.limit, "limit", 10*time.Minute, "how long it may take")
}

// manyPerGateway is what a gateway without work may cost.
const manyPerGateway = 1000

func (s *many) run(ctx context.Context, l *lab) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.limit, fmt.Errorf("not within %v", s.limit))
	defer cancel()
	if err := rig.Descriptors(manyInFlight + 2000); err != nil {
		return err
	}
	seen := newRoll(s.gateways)
	url, err := rig.Serve(ctx, seen)
	if err != nil {
		return err
	}
	phases, peak, err := s.tree(ctx, l, url)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("many, %s gateways with one message each, ", rig.Count(s.gateways))
	reached := seen.present()
	l.report.goal(what+"delivered", rig.Count(s.gateways), rig.Count(reached), reached == s.gateways)
	l.report.note(what+"requests beyond one", rig.Count(int(seen.requests.Load())-reached-min(s.gateways, manyWarm)))
	l.report.note(what+"from the first accepted to the last delivered", rig.Span(phases[phaseDelivered].Since-phases[phaseWarm].Since))
	l.report.note(what+"peak anonymous RSS", rig.Size(peak))
	// Lanes that are gone leave what the store and the manager know of them, which is
	// measured below. The pages that the runtime keeps for it are more: what is left
	// lies among what is gone.
	l.report.note(what+"anonymous RSS before", rig.Size(phases[phaseWarm].Anonymous))
	l.report.note(what+"anonymous RSS when the lanes have stopped", rig.Size(phases[phaseStopped].Anonymous))
	for _, cost := range []struct {
		of       string
		from, to string
	}{
		{"declared", phaseOpened, phaseDeclared},
		{"once used", phaseWarm, phaseStopped},
	} {
		each := (phases[cost.to].Heap - phases[cost.from].Heap) / int64(s.gateways)
		l.report.goal("many, heap per gateway without work, "+cost.of, fmt.Sprintf("< %d B", manyPerGateway), fmt.Sprintf("%d B", each), each < manyPerGateway)
	}
	return nil
}

// tree runs the process with the tree and returns what it says of each phase,
// and the peak of its anonymous memory.
func (s *many) tree(ctx context.Context, l *lab, url string) (map[string]phase, int64, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, 0, err
	}
	cmd := exec.CommandContext(ctx, self, manyTree,
		"--store", l.dir, "--url", url, "--gateways", strconv.Itoa(s.gateways), "--linger", s.linger.String(), "--rest", s.rest.String())
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, 0, err
	}
	if err := cmd.Start(); err != nil {
		return nil, 0, fmt.Errorf("start the tree: %w", err)
	}
	var m rig.Meter
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go m.Watch(watching, cmd.Process.Pid)
	phases := map[string]phase{}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var p phase
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			continue // the end says what is wrong
		}
		phases[p.Name] = p
		l.say("%s: heap %s, anonymous RSS %s", p.Name, rig.Size(p.Heap), rig.Size(p.Anonymous))
	}
	if err := cmd.Wait(); err != nil || len(phases) != manyPhases {
		return nil, 0, fmt.Errorf("the tree ended after %d of %d phases: %w; it said\n%s", len(phases), manyPhases, errors.Join(err, context.Cause(ctx)), said.String())
	}
	peak, _, _ := m.Peak(cmd.Process.Pid) // it cannot be looked at once more
	return phases, peak, nil
}

// roll is a server of many gateways, /0 and up, that notes which were reached.
type roll struct {
	requests atomic.Int64
	mu       sync.Mutex
	reached  []bool
}

func newRoll(gateways int) *roll { return &roll{reached: make([]bool, gateways)} }

func (r *roll) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.requests.Add(1)
	if i, err := strconv.Atoi(strings.TrimPrefix(request.URL.Path, "/")); err == nil && i < len(r.reached) {
		r.mu.Lock()
		r.reached[i] = true
		r.mu.Unlock()
	}
	w.WriteHeader(http.StatusOK)
}

func (r *roll) present() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, yes := range r.reached {
		if yes {
			n++
		}
	}
	return n
}
