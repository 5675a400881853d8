package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"
)

// section is a part of a configuration file.
type section = map[string]any

// patience bounds what takes no time unless something is broken.
const patience = 30 * time.Second

// program is how children are started: a configuration on disk and a store. One
// child after the other may run on it.
type program struct {
	lab     *lab
	dir     string
	environ []string
}

// program writes a configuration. Its name is that of the directory, in which
// the store will be too.
func (l *lab) program(name string, configuration section) (*program, error) {
	p := &program{lab: l, dir: filepath.Join(l.dir, name)}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return nil, err
	}
	storage, _ := configuration["storage"].(section)
	if storage == nil {
		storage = section{}
	}
	storage["path"] = p.store()
	configuration["storage"] = storage
	if configuration["http"] == nil {
		configuration["http"] = section{}
	}
	configuration["http"].(section)["port"] = 0
	b, err := yaml.Marshal(configuration)
	if err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	return p, os.WriteFile(p.file(), b, 0o600)
}

func (p *program) file() string  { return filepath.Join(p.dir, "postrider.yaml") }
func (p *program) store() string { return filepath.Join(p.dir, "store") }

// child is the program as a process.
type child struct {
	url     string        // of its API
	ready   time.Duration // from the start to the first 200 of /readyz
	started time.Time
	process *os.Process
	meter   meter
	log     *logTail
	ended   chan struct{}
	exit    *os.ProcessState // once ended is closed
}

// start starts the program and returns when it is ready. It ends with ctx at
// the latest.
func (p *program) start(ctx context.Context, limit time.Duration) (*child, error) {
	cmd := exec.CommandContext(ctx, p.lab.binary, "serve", "--config", p.file())
	cmd.Dir = p.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir}, p.environ...)
	c := &child{started: time.Now(), log: newLogTail(), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = c.log, c.log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the program: %w", err)
	}
	c.process = cmd.Process
	go func() {
		_ = cmd.Wait() // the state says it all
		c.exit = cmd.ProcessState
		close(c.ended)
	}()
	go c.meter.watch(ctx, c.process.Pid)
	if err := c.awaitReady(ctx, limit); err != nil {
		c.kill()
		return nil, fmt.Errorf("%w; it said\n%s", err, c.log)
	}
	return c, nil
}

func (c *child) awaitReady(ctx context.Context, limit time.Duration) error {
	return until(ctx, "the program is ready", limit, 5*time.Millisecond, func() (bool, error) {
		if c.gone() {
			return false, errors.New("the program ended before it was ready")
		}
		select {
		case c.url = <-c.log.listening:
		default:
		}
		if c.url == "" {
			return false, nil
		}
		if status, _, err := c.ask(ctx, "GET", "/readyz", nil); err != nil || status != 200 {
			return false, nil
		}
		c.ready = time.Since(c.started)
		return true, nil
	})
}

// gone reports whether the process has ended.
func (c *child) gone() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// kill ends the process as a crash does and waits until it is gone.
func (c *child) kill() {
	_ = c.process.Kill() // it may be gone already
	<-c.ended
}

// stop asks the process to end, and waits.
func (c *child) stop() error {
	if err := c.process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the program: %w", err)
	}
	select {
	case <-c.ended:
	case <-time.After(patience + 10*time.Second): // it may drain for 25 s
		c.kill()
		return fmt.Errorf("the program did not end by itself; it said\n%s", c.log)
	}
	if !c.exit.Success() {
		return fmt.Errorf("the program ended with %v; it said\n%s", c.exit, c.log)
	}
	return nil
}

// halt stops the process as it stands, and returns when all of it does.
func (c *child) halt(ctx context.Context) error {
	if err := c.process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("halt the program: %w", err)
	}
	return until(ctx, "the program stands still", patience, 100*time.Microsecond, func() (bool, error) {
		return halted(c.process.Pid)
	})
}

// proceed lets it go on.
func (c *child) proceed() error { return c.process.Signal(syscall.SIGCONT) }

// memory is what the process has in memory now.
func (c *child) memory() (memory, error) { return memoryOf(c.process.Pid) }

// peak is the most anonymous memory and descriptors since it was asked last.
func (c *child) peak() (anonymous, descriptors int64, err error) { return c.meter.peak(c.process.Pid) }

// logTail keeps the end of what a process says and looks for the address that it
// listens on.
type logTail struct {
	listening chan string

	mu   sync.Mutex
	line []byte // the last one, not complete
	tail []byte
	told bool
}

// maxTail is how much is kept, and how long a line may be to be read.
const maxTail = 8 << 10

func newLogTail() *logTail { return &logTail{listening: make(chan string, 1)} }

func (l *logTail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = append(l.tail, p...)
	l.tail = l.tail[max(0, len(l.tail)-maxTail):]
	if l.told {
		return len(p), nil
	}
	l.line = append(l.line, p...)
	for {
		line, rest, complete := bytes.Cut(l.line, []byte("\n"))
		if !complete {
			return len(p), nil
		}
		var said struct{ Msg, URL string }
		if json.Unmarshal(line, &said) == nil && said.Msg == "listening" {
			l.told = true
			l.listening <- said.URL
			return len(p), nil
		}
		l.line = rest
	}
}

func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.tail)
}
