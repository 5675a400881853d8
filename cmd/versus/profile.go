package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// profileTag is the build tag of a program that shows its profiles.
const profileTag = "profile"

// profilesSocket is where our program shows its profiles in a turn.
func (t *turn) profilesSocket() string { return filepath.Join(t.dir, "profiles.sock") }

// profilable refuses a program that shows no profiles.
func profilable(info *buildinfo.BuildInfo) error {
	for _, s := range info.Settings {
		if s.Key == "-tags" && s.Value == profileTag {
			return nil
		}
	}
	return errors.New("--profiles: the program was not built with -tags " + profileTag + "; leave --binary out")
}

// profiled measures, and takes a CPU profile of our program meanwhile if profiles
// are wanted. That costs some speed: such a run is not for the tables.
func (t *turn) profiled(ctx context.Context, measure string, run func() error) error {
	ours := []string{ourName, fullName, emptyName}
	if t.profiles == "" || !slices.Contains(ours, t.entry.name) {
		return run()
	}
	taken := make(chan error, 1)
	go func() { taken <- t.takeProfile(ctx, measure) }()
	return errors.Join(run(), <-taken)
}

// takeProfile writes a profile into a file that is named after who and what is measured.
func (t *turn) takeProfile(ctx context.Context, measure string) error {
	over := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", t.profilesSocket())
	}}}
	seconds := max(1, int(t.span.Round(time.Second)/time.Second))
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://program/debug/pprof/profile?seconds=%d", seconds), nil)
	if err != nil {
		return err
	}
	answer, err := over.Do(r)
	if err != nil {
		return fmt.Errorf("take a profile: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	name := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(t.entry.name+" "+measure), "-"), "-")
	f, err := os.Create(filepath.Join(t.profiles, fmt.Sprintf("%s-%d.pprof", name, t.round+1)))
	if err != nil {
		return err
	}
	_, err = io.Copy(f, answer.Body)
	return errors.Join(err, f.Close())
}
