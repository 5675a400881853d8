package badger

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/postrider/postrider/data"
)

// census takes all records of a store, lanes before all others, and finds out whether
// they are what they say they are, and as many as they say of each other. It needs memory
// for lanes and attempts under way, and none for messages; which message is missing or
// out of place [Store.Verify] says, which does.
type census struct {
	lanes    map[uint32]*counted
	flying   map[data.ID]struct{}
	long     uint64 // messages whose text is a record of its own
	texts    uint64
	events   uint64
	messages [data.States]uint64
}

// counted is a lane.
type counted struct {
	lane   *lane // nil until its record came
	states [data.States]uint64
	placed [data.States]uint64 // of the queued ones also those that were taken since
}

func newCensus() *census {
	return &census{lanes: make(map[uint32]*counted), flying: make(map[data.ID]struct{})}
}

func (c *census) of(lane uint32) *counted {
	if c.lanes[lane] == nil {
		c.lanes[lane] = &counted{}
	}
	return c.lanes[lane]
}

// add counts a record.
func (c *census) add(key, value []byte) (err error) {
	switch key[0] {
	case prefixEvents:
		g, err := decodeEvents(key, value)
		c.events += uint64(g.count)
		return err
	case prefixMessage:
		return c.message(key, value)
	case prefixLane:
		return c.lane(key, value)
	case prefixRun, prefixWaiting, prefixDone:
		return c.placement(key, value)
	case prefixText:
		c.texts++
		_, err = unseal(key, value)
	case prefixResent:
		_, err = decodeResent(key, value)
	case prefixKey:
		_, err = decodeAnswered(key, value)
	case prefixDeclare:
		_, err = decodeDeclared(key, value)
	default:
		return damaged(key, "is of no kind that is known")
	}
	return err
}

// lane takes a lane's record, once or again: what state its messages are in depends on
// the attempts that are under way.
func (c *census) lane(key, value []byte) error {
	l, err := decodeLane(key, value)
	if err != nil {
		return err
	}
	c.of(l.number).lane = l
	for _, f := range l.flying {
		c.flying[f.ID] = struct{}{}
	}
	return nil
}

func (c *census) message(key, value []byte) error {
	m, err := decodeMessage(key, value)
	if err != nil {
		return err
	}
	state := m.State
	if int(state) >= data.States {
		return damaged(key, "is in no state that is known")
	}
	if _, ok := c.flying[m.ID]; ok {
		state = data.Sending
	}
	if m.long != inline {
		c.long++
	}
	c.of(m.lane).states[state]++
	c.messages[state]++
	return nil
}

func (c *census) placement(key, value []byte) error {
	if number, _, ok := parseWaitingKey(key); ok && key[0] == prefixWaiting {
		c.of(number).placed[data.Waiting]++
		_, err := decodeNumber(key, value)
		return err
	}
	ids, err := decodeIDs(key, value)
	if err != nil {
		return err
	}
	if number, state, _, ok := parseDoneKey(key); ok && key[0] == prefixDone && state.Final() {
		c.of(number).placed[state] += uint64(len(ids))
		return nil
	}
	number, _, ok := parseRunKey(key)
	if !ok || c.of(number).lane == nil {
		return damaged(key, "is no placement in a lane that is there")
	}
	for _, id := range ids {
		if id >= c.of(number).lane.ready {
			c.of(number).placed[data.Queued]++
		}
	}
	return nil
}

// check says what does not fit together.
func (c *census) check() error {
	var problems []error
	complain := func(format string, args ...any) {
		if len(problems) < 100 {
			problems = append(problems, fmt.Errorf(format+": %w", append(args, data.ErrDamaged)...))
		}
	}
	for _, number := range slices.Sorted(maps.Keys(c.lanes)) {
		l := c.lanes[number]
		if l.lane == nil {
			complain("lane %d is missing, there are messages in it", number)
			continue
		}
		if l.states != l.lane.counts {
			complain("lane %d counts %v, there are %v", number, l.lane.counts, l.states)
		}
		l.placed[data.Sending] = l.states[data.Sending] // is in the lane's record
		for state, placed := range l.placed {
			if want := l.states[state]; placed < want || placed > want && data.State(state) != data.Queued {
				complain("lane %d has %d messages that are %s and places for %d", number, want, data.State(state), placed)
			}
		}
	}
	if c.texts < c.long {
		complain("%d messages have a text of their own, there are %d", c.long, c.texts)
	}
	return errors.Join(problems...)
}
