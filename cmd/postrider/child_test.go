package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	if message := os.Getenv(failAt); message != "" {
		os.Exit(failingPersister(os.Args[1], message))
	}
	// What the person who runs the tests has set is not for them.
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "POSTRIDER_") {
			_ = os.Unsetenv(name)
		}
	}
	code := m.Run()
	if built.directory != "" {
		_ = os.RemoveAll(built.directory)
	}
	os.Exit(code)
}

// built is the program as it is shipped, made by the first test that needs it.
var built struct {
	once      sync.Once
	directory string
	err       error
}

// What the built program says of itself.
const (
	builtVersion = "v0.0.0-test"
	builtCommit  = "0123456789abcdef"
)

// binary returns the path of the built program.
func binary(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.directory, built.err = os.MkdirTemp("", "postrider-test-"); built.err != nil { //nolint:usetesting // it outlives the test that makes it
			return
		}
		build := exec.Command("go", "build", "-ldflags", "-s -w -X main.version="+builtVersion+" -X main.commit="+builtCommit, "-o", built.directory, ".")
		if out, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal("build the program:", built.err)
	}
	return filepath.Join(built.directory, "postrider")
}

// child is the program as a process of its own.
type child struct {
	process *os.Process
	out     *logBuffer
	log     *logBuffer
	ended   chan struct{}
	code    int // -1 when a signal ended it
}

// startChild starts a process, which is killed with the test at the latest. It
// gets this environment and nothing of ours but what every program needs.
func startChild(t *testing.T, path string, args []string, environ ...string) *child {
	t.Helper()
	c := &child{out: new(logBuffer), log: new(logBuffer), ended: make(chan struct{})}
	cmd := exec.Command(path, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, environ...)
	cmd.Dir = t.TempDir()
	cmd.Stdout, cmd.Stderr = c.out, c.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.process = cmd.Process
	go func() {
		defer close(c.ended)
		_ = cmd.Wait() // the exit code says it all
		c.code = cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		_ = c.process.Kill() // it may have ended
		receive(t, "the end of the process", c.ended)
	})
	return c
}

// listening returns the address of a process that serves.
func (c *child) listening(t *testing.T) string {
	t.Helper()
	var lines []line
	eventually(t, "the process listens", func() bool {
		lines = c.log.lines("listening")
		if len(lines) == 0 && c.gone() {
			t.Fatalf("the process ended with %d and said\n%s", c.code, c.log.tail())
		}
		return len(lines) > 0
	})
	url, _ := lines[0]["url"].(string)
	return url
}

func (c *child) gone() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// wait returns the exit code of a process that ends by itself.
func (c *child) wait(t *testing.T) int {
	t.Helper()
	receive(t, "the end of the process", c.ended)
	return c.code
}

// end asks the process to end and returns its exit code.
func (c *child) end(t *testing.T) int {
	t.Helper()
	c.signal(t, syscall.SIGTERM)
	return c.wait(t)
}

// kill ends a process that must not have ended by itself.
func (c *child) kill(t *testing.T) {
	t.Helper()
	_ = c.process.Kill() // what it ended by says more
	if code := c.wait(t); code != -1 {
		t.Fatalf("the process ended with %d before it was killed; it said\n%s", code, c.log.tail())
	}
}

func (c *child) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := c.process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// runChild runs the built program to its end and returns what it came to.
func runChild(t *testing.T, args []string, environ ...string) (code int, out, errs string) {
	t.Helper()
	c := startChild(t, binary(t), args, environ...)
	code = c.wait(t)
	return code, c.out.String(), c.log.String()
}
