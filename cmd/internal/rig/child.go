package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Child is the program as a process.
type Child struct {
	URL     string        // of its API, once it is ready
	Ready   time.Duration // from the start to the first 200 of /readyz
	Started time.Time

	program *Program
	process *os.Process // the program, or the command that runs it
	meter   Meter
	log     *logTail
	ended   chan struct{}
	exit    *os.ProcessState // once ended is closed
}

// Launch starts the program and returns at once: it may fail to start, or be
// killed before it is ready. It ends with ctx at the latest.
func (p *Program) Launch(ctx context.Context) (*Child, error) {
	line := append(slices.Clone(p.Prefix), p.Binary, "serve", "--config", p.File())
	line = append(line, p.Args...)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir = p.Dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.Dir}, p.Environ...)
	// A group of its own ends as a whole, and by nobody's hand but ours.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = Patience
	c := &Child{Started: time.Now(), program: p, log: newLogTail(), ended: make(chan struct{})}
	var out io.Writer = c.log
	var file *os.File
	if p.Log != "" {
		var err error
		if file, err = os.OpenFile(p.Log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
			return nil, fmt.Errorf("keep the log: %w", err)
		}
		out = io.MultiWriter(c.log, file)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the program: %w", err)
	}
	c.process = cmd.Process
	go func() {
		_ = cmd.Wait() // the state says it all
		if file != nil {
			_ = file.Close()
		}
		c.exit = cmd.ProcessState
		close(c.ended)
	}()
	if len(p.Prefix) == 0 {
		go c.meter.Watch(ctx, c.process.Pid)
	}
	return c, nil
}

// Start starts the program and returns when it is ready.
func (p *Program) Start(ctx context.Context, limit time.Duration) (*Child, error) {
	c, err := p.Launch(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.AwaitReady(ctx, limit); err != nil {
		c.Kill()
		return nil, fmt.Errorf("%w; it said\n%s", err, c.Said())
	}
	return c, nil
}

// ErrEnded is a program that ended when it was to be ready. [Child.Code] is what
// it ended with.
var ErrEnded = errors.New("the program ended before it was ready")

// AwaitReady returns when the program answers and says that it is ready.
func (c *Child) AwaitReady(ctx context.Context, limit time.Duration) error {
	return Until(ctx, "the program is ready", limit, 5*time.Millisecond, func() (bool, error) {
		if c.Gone() {
			return false, ErrEnded
		}
		if !c.Listens() {
			return false, nil
		}
		if status, _, err := c.Ask(ctx, "GET", "/readyz", nil); err != nil || status != 200 {
			return false, nil
		}
		c.Ready = time.Since(c.Started)
		return true, nil
	})
}

// Listens reports whether the program has said where it listens, and notes the
// URL. It is for one goroutine at a time.
func (c *Child) Listens() bool {
	select {
	case c.URL = <-c.log.listening:
	default:
	}
	return c.URL != ""
}

// Key is the API key to present; "" for none.
func (c *Child) Key() string { return c.program.Key }

// Pid is the process of the program itself, also when another command runs it.
func (c *Child) Pid() (int, error) {
	pid := c.process.Pid
	if len(c.program.Prefix) == 0 {
		return pid, nil
	}
	binary, err := filepath.EvalSymlinks(c.program.Binary)
	if err != nil {
		return 0, err
	}
	for queue := []int{pid}; len(queue) > 0; queue = queue[1:] {
		if path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", queue[0])); err == nil && path == binary {
			return queue[0], nil
		}
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", queue[0])) // the pattern is a good one
		for _, list := range lists {
			b, _ := os.ReadFile(list) // of a thread that has ended
			for field := range strings.FieldsSeq(string(b)) {
				if child, err := strconv.Atoi(field); err == nil {
					queue = append(queue, child)
				}
			}
		}
	}
	return 0, fmt.Errorf("%s does not run the program, or not yet", c.program.Prefix[0])
}

// Ended is closed when the process has ended.
func (c *Child) Ended() <-chan struct{} { return c.ended }

// Gone reports whether the process has ended.
func (c *Child) Gone() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// Code waits for the end and returns the exit code, or -1 if a signal ended it.
func (c *Child) Code() int {
	<-c.ended
	return c.exit.ExitCode()
}

// Signalled waits for the end and returns the signal that ended the process, or 0.
func (c *Child) Signalled() syscall.Signal {
	<-c.ended
	if status, ok := c.exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal()
	}
	return 0
}

// CPU waits for the end and returns the time that the process worked. It says how
// far a start got, however busy the machine was.
func (c *Child) CPU() time.Duration {
	<-c.ended
	return c.exit.UserTime() + c.exit.SystemTime()
}

// Said is the end of what the process has written.
func (c *Child) Said() string { return c.log.String() }

// Signal sends a signal to the program.
func (c *Child) Signal(s syscall.Signal) error {
	if len(c.program.Prefix) == 0 {
		return c.process.Signal(s)
	}
	pid, err := c.Pid()
	if err != nil {
		return err
	}
	return syscall.Kill(pid, s)
}

// Kill ends the process as a crash does and waits until it is gone.
func (c *Child) Kill() {
	if err := c.Signal(syscall.SIGKILL); err != nil && !c.Gone() {
		_ = syscall.Kill(-c.process.Pid, syscall.SIGKILL) // what runs the program ends, and the program with it
	}
	<-c.ended
}

// StopsWithin is how long the program takes at most to end when it is asked to: it may
// drain for 25 s.
const StopsWithin = Patience + 10*time.Second

// AwaitEnd waits for a while until the process has ended, and reports whether it has. One
// that runs on is killed. When ctx is over that is the error, and nothing is known.
func (c *Child) AwaitEnd(ctx context.Context, limit time.Duration) (ended bool, err error) {
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-c.ended:
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case <-late.C:
		c.Kill()
		return false, nil
	}
}

// Stop asks the process to end, and waits. It must end well.
func (c *Child) Stop() error {
	if err := c.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the program: %w", err)
	}
	if ended, _ := c.AwaitEnd(context.Background(), StopsWithin); !ended {
		return fmt.Errorf("the program did not end by itself; it said\n%s", c.Said())
	}
	if !c.exit.Success() {
		return fmt.Errorf("the program ended with %v; it said\n%s", c.exit, c.Said())
	}
	return nil
}

// Halt stops the process as it stands, and returns when all of it does.
func (c *Child) Halt(ctx context.Context) error {
	if err := c.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("halt the program: %w", err)
	}
	return Until(ctx, "the program stands still", Patience, 100*time.Microsecond, func() (bool, error) {
		pid, err := c.Pid()
		if err != nil {
			return false, err
		}
		return halted(pid)
	})
}

// Proceed lets it go on.
func (c *Child) Proceed() error { return c.Signal(syscall.SIGCONT) }

// Memory is what the process has in memory now.
func (c *Child) Memory() (Memory, error) {
	pid, err := c.Pid()
	if err != nil {
		return Memory{}, err
	}
	return MemoryOf(pid)
}

// Peak is the most anonymous memory and descriptors since it was asked last. With
// a command around the program only the moment counts.
func (c *Child) Peak() (anonymous, descriptors int64, err error) {
	pid, err := c.Pid()
	if err != nil {
		return 0, 0, err
	}
	return c.meter.Peak(pid)
}
