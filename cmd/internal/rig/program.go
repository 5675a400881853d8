// Package rig drives the program as it is shipped: as a child process with a
// configuration on disk and a store of its own, on loopback. It is what the
// commands share that measure the program and that break it; which figures and
// which promises they look at is for them.
//
//	program.go   a configuration and a directory, on which one child after the other runs
//	child.go     the program as a process: start, readiness, signals, exit code
//	log.go       what it says
//	api.go       how it is asked
//	process.go   what the system knows about a process and a directory; waiting
//	gateways.go  outside APIs and ports on loopback
//	crowd.go     what came to a gateway at once
//	require.go   what a machine must have
//	format.go    numbers for people
package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Section is a part of a configuration file.
type Section = map[string]any

// Patience bounds what takes no time unless something is broken.
const Patience = 30 * time.Second

// Find returns the absolute path of a built program, and its version.
func Find(ctx context.Context, binary string) (path, version string, err error) {
	if path, err = filepath.Abs(binary); err != nil {
		return "", "", fmt.Errorf("find the program: %w", err)
	}
	out, err := exec.CommandContext(ctx, path, "version").Output()
	if err != nil {
		return "", "", fmt.Errorf("ask %s for its version: %w; build it with make build, or name another one with --binary", path, err)
	}
	version, _, _ = strings.Cut(string(out), "\n") // what it was built from is below
	return path, strings.TrimSpace(version), nil
}

// Program is how children are started. One child after the other may run on it,
// or several at once, of which the store admits one.
type Program struct {
	Binary  string   // its path
	Dir     string   // of the configuration; the working directory of children
	Environ []string // beyond PATH and HOME
	Args    []string // beyond serve and the configuration
	Prefix  []string // a command that runs the program, such as strace and its arguments
	Key     string   // API key to present; "" for none
	Log     string   // file that all children's output is appended to; "" for none
	// Heard is told each answer of the API, from any goroutine; it may be nil.
	Heard func(path string, a Answer)

	store string
}

// NewProgram writes a configuration into a directory, which it makes. The store
// will be there too, unless the configuration names a path for it. The child
// takes any free port.
func NewProgram(binary, dir string, configuration Section) (*Program, error) {
	p := &Program{Binary: binary, Dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return p, p.Configure(configuration)
}

// Configure writes another configuration, for children to come or one that is
// told to read it again.
func (p *Program) Configure(configuration Section) error {
	within := func(name string) Section {
		s, _ := configuration[name].(Section)
		if s == nil {
			s = Section{}
		}
		configuration[name] = s
		return s
	}
	storage := within("storage")
	if storage["path"] == nil {
		storage["path"] = filepath.Join(p.Dir, "store")
	}
	p.store = fmt.Sprint(storage["path"])
	within("http")["port"] = 0
	b, err := yaml.Marshal(configuration)
	if err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return os.WriteFile(p.File(), b, 0o600)
}

// File is the path of the configuration.
func (p *Program) File() string { return filepath.Join(p.Dir, "postrider.yaml") }

// Store is the path of the store.
func (p *Program) Store() string { return p.store }
