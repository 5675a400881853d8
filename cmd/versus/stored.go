package main

import (
	"context"
	"fmt"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// stored is our program with a store that outlives its turn, or that is set up in
// another way than by default.
type stored struct {
	postrider

	dir  string
	more rig.Section // of its configuration
}

// onStore is our program on a store, under the name that the table has for it.
func onStore(name, about, dir string, more rig.Section) entry {
	return entry{name: name, about: about, make: func() contestant { return &stored{dir: dir, more: more} }}
}

func (s *stored) start(ctx context.Context, at site) (url string, err error) {
	if s.program, err = rig.NewProgram(at.program, s.dir, configuration(at.sink, at.workers, s.more)); err != nil {
		return "", err
	}
	s.program.Args, s.program.Environ = at.flags, at.environ
	return s.run(ctx, true)
}

// open counts what is for the sink. What waits for another gateway is meant to.
func (s *stored) open(ctx context.Context) (int64, error) {
	lanes, err := s.child.Lanes(ctx)
	if err != nil {
		return 0, err
	}
	for _, l := range lanes {
		if l.Name == gatewayName {
			return l.Open(), nil
		}
	}
	return 0, fmt.Errorf("there is no gateway %s", gatewayName)
}
