package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// options are the flags that the commands share.
type options struct {
	binary   string
	parent   string
	markdown string
	load     string
	rounds   int
	span     time.Duration
	conns    []int
	workers  int
	pool     int
	only     []string
	slow     map[string]string
	flags    []string
	environ  []string
	profiles string // directory for profiles of our program; "" for none
}

// declare declares the flags of every command.
func (o *options) declare(f *pflag.FlagSet) {
	f.StringVar(&o.binary, "binary", "", "program to measure; without it one is built")
	f.StringVar(&o.parent, "dir", os.TempDir(), "directory to make stores in; they are removed at the end")
	f.StringVar(&o.markdown, "markdown", "", "document whose table of this command is made anew, or file to make")
	f.IntSliceVar(&o.conns, "connections", []int{64, 256, 1024}, "connections of closed loops")
	f.IntVar(&o.workers, "workers", 256, "attempts under way at a time, of every contestant")
	f.StringArrayVar(&o.flags, "flag", nil, "flag to start our program with, such as --storage.memtable=32MiB")
	f.StringArrayVar(&o.environ, "env", nil, "environment variable to start our program with, such as GOMAXPROCS=3")
	o.load, o.rounds, o.span, o.pool = "own", 1, time.Second, 64
}

// declareRounds declares the flags of commands that measure round by round.
func (o *options) declareRounds(f *pflag.FlagSet, rounds int, span time.Duration) {
	f.StringVar(&o.load, "load", "auto", "what makes the load of single events: own, wrk, or auto (wrk if there is one)")
	f.IntVar(&o.rounds, "rounds", rounds, "how often each contestant has its turn")
	f.DurationVar(&o.span, "for", span, "how long each measurement takes")
	f.StringVar(&o.profiles, "profiles", "", "directory to write CPU profiles of our program to, one for each measurement")
}

// declarePeers declares the flags of commands that compare with others.
func (o *options) declarePeers(f *pflag.FlagSet) {
	f.IntVar(&o.pool, "pool", 64, "connections of peers to their servers")
	f.StringSliceVar(&o.only, "only", nil, "contestants to compare; all without it")
	f.StringToStringVar(&o.slow, "slow", nil, "slow contestants down on purpose: NAME=2ms")
}

// check refuses what nothing can be measured with.
func (o *options) check() error {
	var errs []error
	if o.rounds < 1 || o.span <= 0 || o.workers < 1 || o.pool < 1 || len(o.conns) == 0 || slices.Min(o.conns) < 1 {
		errs = append(errs, errors.New("--rounds, --for, --workers, --pool, --connections: expected more than 0"))
	}
	if !slices.Contains([]string{"auto", "own", "wrk"}, o.load) {
		errs = append(errs, errors.New("--load: expected auto, own or wrk"))
	}
	for name, delay := range o.slow {
		if _, err := time.ParseDuration(delay); err != nil {
			errs = append(errs, fmt.Errorf("--slow: %w", err))
		}
		if _, err := find(name); err != nil {
			errs = append(errs, fmt.Errorf("--slow: %w", err))
		}
	}
	for _, name := range o.only {
		if _, err := find(name); err != nil {
			errs = append(errs, fmt.Errorf("--only: %w", err))
		}
	}
	return errors.Join(errs...)
}

// lab is where a run takes place.
type lab struct {
	options

	dir     string
	version string // of our program
	flush   time.Duration
	wrk     *wrk // nil for none
	report  *report
	memory  int64 // the most that our program had, anonymous
	turns   int
	log     io.Writer
}

// open makes a directory and finds what is to be measured.
func (o options) open(ctx context.Context, log io.Writer) (l *lab, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := rig.Descriptors(uint64(2*slices.Max(o.conns) + 1000)); err != nil {
		return nil, err
	}
	l = &lab{options: o, report: &report{}, log: log}
	if l.parent, err = filepath.Abs(l.parent); err != nil {
		return nil, err
	}
	if l.dir, err = os.MkdirTemp(l.parent, "versus-"); err != nil {
		return nil, err
	}
	dir := l.dir
	defer func() {
		if err != nil { // then there is no l any more
			_ = os.RemoveAll(dir)
		}
	}()
	// A database server runs as somebody else, and has to get at its own directory.
	if err := os.Chmod(l.dir, 0o711); err != nil {
		return nil, err
	}
	if err := rig.SpaceFor(l.dir, 4<<30); err != nil {
		return nil, err
	}
	if err := l.program(ctx); err != nil {
		return nil, err
	}
	if l.flush, err = flushTime(l.dir); err != nil {
		return nil, err
	}
	if l.load != "own" {
		l.wrk = findWrk(l.dir)
	}
	if l.load == "wrk" && l.wrk == nil {
		return nil, errors.New("there is no wrk here")
	}
	l.report.heading = machine(l.dir, l.flush)
	return l, nil
}

// loader names what makes the load of single events.
func (l *lab) loader() string {
	if l.wrk == nil {
		return "our own closed loop"
	}
	return "wrk with two threads"
}

// program finds the program, or builds it, and asks for its version.
func (l *lab) program(ctx context.Context) (err error) {
	if l.binary == "" {
		var tags string
		if l.profiles != "" {
			tags = profileTag
		}
		if l.binary, err = build(ctx, l.dir, tags); err != nil {
			return err
		}
	}
	if l.binary, l.version, err = rig.Find(ctx, l.binary); err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(l.binary)
	if err != nil {
		return fmt.Errorf("read what %s was built from: %w; expected postrider itself after --binary, as make build makes it", l.binary, err)
	}
	l.version = join(l.version, info.GoVersion)
	if l.profiles != "" {
		if err := errors.Join(profilable(info), os.MkdirAll(l.profiles, 0o755)); err != nil {
			return err
		}
		l.note("PROFILED: not for comparison")
	}
	const below = "github.com/valyala/fasthttp"
	for _, m := range info.Deps {
		if m.Path == below && !strings.HasSuffix(moduleVersion(below), " "+m.Version) {
			l.note("NOT ALIKE: the program has %s %s, fronts have %s", below, m.Version, moduleVersion(below))
		}
	}
	return nil
}

// build builds the program as the Makefile does, from the module beside which this
// one lies, so that it has its own dependencies and not ours.
func build(ctx context.Context, dir, tags string) (binary string, err error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/postrider/postrider").Output()
	if err != nil {
		return "", fmt.Errorf("find the program's module: %w; start this in cmd/versus, or name a program with --binary", err)
	}
	source := strings.TrimSpace(string(root))
	flags := "-s -w -X main.version=" + firstLine(ctx, "git", "-C", source, "describe", "--tags", "--always", "--dirty")
	binary = filepath.Join(dir, "postrider")
	cmd := exec.CommandContext(ctx, "go", "build", "-C", source, "-trimpath", "-tags", tags, "-ldflags", flags, "-o", binary, "./cmd/postrider")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return binary, nil
}

// close removes what was made.
func (l *lab) close() error { return os.RemoveAll(l.dir) }

// say tells people how far it is.
func (l *lab) say(format string, args ...any) {
	_, _ = fmt.Fprintf(l.log, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...)) // nobody else would hear of the error
}

// note adds a line to the report, once.
func (l *lab) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(l.report.notes, text) {
		l.report.notes = append(l.report.notes, text)
		l.say("%s", text)
	}
}

// finish prints the report, and puts it into the document.
func (l *lab) finish(out io.Writer, name string) error {
	if l.memory > 0 {
		l.report.expect(goal{what: "peak anonymous RSS of " + ourName, bound: 400, most: true, unit: " MiB", values: []float64{mebibytes(l.memory)}})
	}
	if len(l.report.series) == 0 {
		return errors.New("nothing was measured")
	}
	if err := l.report.print(out); err != nil || l.markdown == "" {
		return err
	}
	document, err := os.ReadFile(l.markdown)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	text, err := placed(string(document), name, l.report.markdown())
	if err != nil {
		return fmt.Errorf("%s: %w", l.markdown, err)
	}
	return os.WriteFile(l.markdown, []byte(text), 0o644)
}

// turn is a contestant that runs, alone, and the driver that is its client.
type turn struct {
	*lab

	entry  entry
	round  int
	url    string
	driver *client
	dir    string
	contestant
}

// client calls the driver.
type client struct {
	process *process
	calls   *rpc.Client
}

// call has the driver do something.
func (c *client) call(ctx context.Context, method string, args, reply any) error {
	call := c.calls.Go("Driver."+method, args, reply, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		return call.Error
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// pipe is the driver's standard input and output as one.
type pipe struct {
	io.Reader
	io.WriteCloser
}

func startDriver(ctx context.Context) (*client, error) {
	p, err := spawn(ctx, "driver")
	if err != nil {
		return nil, err
	}
	return &client{p, rpc.NewClient(pipe{p.out, p.in})}, nil
}

// stop ends the driver.
func (c *client) stop() error {
	_ = c.calls.Close() // ends its standard input
	return c.process.stop()
}

// take runs a contestant, has it measured and ends it. Nothing else runs meanwhile.
func (l *lab) take(ctx context.Context, e entry, round int, delivers bool, measure func(context.Context, *turn) error) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.turns++
	t := &turn{lab: l, entry: e, round: round, contestant: e.make(), dir: filepath.Join(l.dir, fmt.Sprint("turn-", l.turns))}
	if err := os.Mkdir(t.dir, 0o711); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(t.dir)) }()
	defer settle()
	if t.driver, err = startDriver(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.driver.stop()) }()
	defer func() { err = errors.Join(err, t.stop()) }()
	at := site{dir: t.dir, workers: l.workers, pool: l.pool, program: l.binary, flags: l.flags, environ: l.environ}
	if l.profiles != "" {
		at.environ = append(slices.Clone(at.environ), "PROFILES_SOCKET="+t.profilesSocket())
	}
	if delivers {
		if err := t.driver.call(ctx, "Sink", 0, &at.sink); err != nil {
			return err
		}
	}
	delay, _ := time.ParseDuration(l.slow[e.name]) // it was checked
	if at.sink, err = slowedBy(ctx, at.sink, delay); err != nil {
		return err
	}
	if t.url, err = t.start(ctx, at); err != nil {
		return err
	}
	if t.url, err = slowedBy(ctx, t.url, delay); err != nil {
		return err
	}
	if err := t.describe(ctx, delay); err != nil {
		return err
	}
	if err := measure(ctx, t); err != nil {
		return err
	}
	return t.weigh()
}

// slowedBy is the URL as it is if there is no delay.
func slowedBy(ctx context.Context, url string, delay time.Duration) (string, error) {
	if url == "" || delay == 0 {
		return url, nil
	}
	return slowed(ctx, url, delay)
}

// describe reads back the settings that matter.
func (t *turn) describe(ctx context.Context, delay time.Duration) error {
	durability, err := t.durability(ctx)
	if err != nil {
		return fmt.Errorf("read back the settings: %w", err)
	}
	s := setting{contestant: t.entry.name, about: t.entry.about, version: t.version, durability: durability}
	if t.entry.version != nil {
		s.version = t.entry.version(ctx)
	}
	if delay > 0 {
		s.about += fmt.Sprintf("; SLOWED BY %v", delay)
	}
	if extra := append(slices.Clone(t.environ), t.flags...); t.entry.name == ourName && len(extra) > 0 {
		s.about += ", with " + strings.Join(extra, " ")
	}
	t.report.describe(s)
	return nil
}

// weigh notes the memory of our program.
func (t *turn) weigh() error {
	p, ok := t.contestant.(interface{ memory() (int64, error) })
	if !ok {
		return nil
	}
	n, err := p.memory()
	t.memory = max(t.memory, n)
	return err
}
