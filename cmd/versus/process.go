package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// process is a child of ours: this program under another command. It has a group
// of its own, and ends when its standard input does, hence with us, however we end.
type process struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said *tail
}

// ready is the first line that a child writes, once it is.
type ready struct {
	URL   string `json:"url"`
	About string `json:"about"` // settings read back, if it knows them already
}

// spawn starts a child. It is asked to end with ctx, and killed if it does not.
func spawn(ctx context.Context, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := &process{cmd: cmd, said: &tail{}}
	cmd.Stderr = p.said
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	cmd.Cancel = p.in.Close
	cmd.WaitDelay = patience
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	return p, nil
}

// spawnReady starts a child and waits for its first line.
func spawnReady(ctx context.Context, args ...string) (*process, ready, error) {
	p, err := spawn(ctx, args...)
	if err != nil {
		return nil, ready{}, err
	}
	var r ready
	line, err := p.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		_ = p.stop()
		return nil, ready{}, fmt.Errorf("%s did not get ready: %w; it said\n%s", args[0], err, p.said)
	}
	return p, r, nil
}

// stop asks the child to end, and waits; nil is a child that never began.
func (p *process) stop() error {
	if p == nil {
		return nil
	}
	_ = p.in.Close()
	killed := time.AfterFunc(patience, func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
	defer killed.Stop()
	_, _ = io.Copy(io.Discard, p.out)
	if err := p.cmd.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s ended with %w; it said\n%s", p.cmd.Args[1], err, p.said)
	}
	return nil
}

// announce writes a child's first line.
func announce(out io.Writer, r ready) error { return json.NewEncoder(out).Encode(r) }

// ends returns a context that ends when standard input does.
func ends(ctx context.Context, in io.Reader) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel(errors.New("standard input has ended"))
	}()
	return ctx
}

// keep runs a command that does not know us and ends with it: a server.
func keep(ctx context.Context, in io.Reader, out, errs io.Writer, o keepOptions) error {
	ctx = ends(ctx, in)
	cmd := exec.CommandContext(ctx, o.line[0], o.line[1:]...)
	cmd.Dir = o.dir
	cmd.Stdout, cmd.Stderr = errs, errs
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if o.user != "" {
		var err error
		if cmd.SysProcAttr.Credential, err = credential(o.user); err != nil {
			return err
		}
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) } // PostgreSQL ends fast with it, others as with SIGTERM
	cmd.WaitDelay = patience / 2
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := announce(out, ready{}); err != nil {
		return err
	}
	err := cmd.Wait()
	if ctx.Err() != nil && (cmd.ProcessState.Success() || errors.Is(err, ctx.Err())) {
		return nil
	}
	return fmt.Errorf("%s ended by itself: %w", o.line[0], err)
}

// keepOptions say what to run.
type keepOptions struct {
	line []string
	dir  string
	user string // to run it as; "" is ours
}

// tail keeps the end of what a process says.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// mostTail is how much of it.
const mostTail = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-mostTail):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
