package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every control fits the program as it is now.
func TestControlsFollowTheProgram(t *testing.T) {
	t.Parallel()
	for _, c := range controls() {
		files, err := c.alter("../..", t.TempDir())
		if err != nil {
			t.Errorf("control %s: %v", c.name, err)
		}
		for was, is := range files {
			before, _ := os.ReadFile(was)
			after, err := os.ReadFile(is)
			if err != nil || bytes.Equal(before, after) {
				t.Errorf("control %s does not change %s (%v)", c.name, was, err)
			}
		}
		if len(c.trials) == 0 || len(c.shows) == 0 {
			t.Errorf("control %s says in no mode what it shows", c.name)
		}
	}
}

// Every mode has a control that it must find out, with options that it has.
func TestControlsOfEachMode(t *testing.T) {
	t.Parallel()
	of := map[string][]string{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range controls() {
		for _, p := range c.trials {
			of[p.mode] = append(of[p.mode], c.name)
			p.rounds, p.parallel = 1, 1
			if l, err := p.run(ctx, options{only: -1, out: io.Discard, log: io.Discard}); l.skipped == nil && !errors.Is(err, context.Canceled) {
				t.Errorf("control %s, %s %s: %v", c.name, p.mode, p.options, err)
			}
		}
	}
	for _, m := range modes() {
		if len(of[m.name]) == 0 {
			t.Errorf("no control is for %s", m.name)
		}
	}
}

// A control whose text is not there, or there twice, is not built.
func TestControlsThatDoNotFit(t *testing.T) {
	t.Parallel()
	source := t.TempDir()
	for text, says := range map[string]string{"": "0 times", "a line\n": "", "a line\na line\n": "2 times"} {
		if err := os.WriteFile(filepath.Join(source, "file.go"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := culprit{name: "test", changes: []change{{"file.go", "a line", "another"}}}
		_, err := c.alter(source, t.TempDir())
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("alter() of %q = %v, want %q", text, err, says)
		}
	}
}

// A control is the other way round: broken as it was made to is well.
func TestControlVerdict(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rounds [][]string // what was found in them
		err    string     // "" for none
	}{
		"red":            {[][]string{{"late", "message 1 is lost"}}, ""},
		"red by and by":  {[][]string{{"late"}, {"unknown"}, {"message 1 is gone"}}, ""},
		"green":          {[][]string{nil}, "stayed green in 1 rounds"},
		"another red":    {[][]string{{"unknown"}}, "another promise"},
		"red by half":    {[][]string{{"late"}, {"late"}}, "another promise"},
		"lost two times": {[][]string{{"lost"}, {"gone"}}, "another promise"},
	} {
		c := culprit{name: "test", shows: []symptom{{"lost", "gone"}, {"late"}}}
		s := &session{breaks: &c, options: options{out: t.Output(), log: t.Output()}}
		for _, found := range test.rounds {
			s.tally.add(&round{}, found, nil)
			s.red = c.red(found)
		}
		err := s.finish()
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: finish() = %v, want %q", name, err, test.err)
		}
		if err == nil && (!strings.Contains(s.red, "message 1 is ") || !strings.Contains(s.red, "; late")) {
			t.Errorf("%s: it is red by %q", name, s.red)
		}
	}
}

// A control is built and found out through the command line.
func TestControl(t *testing.T) {
	t.Parallel()
	binary(t) // or it is skipped
	var out bytes.Buffer
	err := execute(t.Context(), []string{
		"kill", "--control", "early", "--source", "../..", "--rounds", "10", "--latest", "1500ms", "--dir", t.TempDir(),
	}, &out, t.Output())
	if err != nil || !strings.Contains(out.String(), "CONTROL early") || !strings.Contains(out.String(), "the control is red") {
		t.Errorf("torture --control early: %v; it said\n%s", err, out.String())
	}
	if err := execute(t.Context(), []string{"kill", "--control", "nothing"}, &out, t.Output()); err == nil || !strings.Contains(err.Error(), "no-sync") {
		t.Errorf("torture --control nothing: %v, want the names that there are", err)
	}
}
