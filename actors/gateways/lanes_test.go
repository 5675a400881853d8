package gateways

import "testing"

func TestLanes(t *testing.T) {
	const name = "gateway_1"
	for _, c := range []struct {
		about    string
		lane     *lane // nil when none runs
		draining bool
		do       func(*lanes) action
		want     action
	}{
		{"first message", nil, false, func(l *lanes) action { return l.accepted(name) }, start},
		{"first message while draining", nil, true, func(l *lanes) action { return l.accepted(name) }, nothing},
		{"more messages", &lane{}, false, func(l *lanes) action { return l.accepted(name) }, tell},
		{"more messages while stopping", &lane{stopping: true}, false, func(l *lanes) action { return l.accepted(name) }, nothing},
		{"more messages while draining", &lane{}, true, func(l *lanes) action { return l.accepted(name) }, nothing},
		{"idle", &lane{wakes: 3}, false, func(l *lanes) action { return l.idle(name, 3) }, stop},
		{"idle with a wake on its way", &lane{wakes: 3}, false, func(l *lanes) action { return l.idle(name, 2) }, tell},
		{"idle after a restart", &lane{wakes: 3}, false, func(l *lanes) action { return l.idle(name, 0) }, tell},
		{"idle while draining", &lane{}, true, func(l *lanes) action { return l.idle(name, 0) }, nothing},
		{"idle though it was stopped", &lane{stopping: true}, false, func(l *lanes) action { return l.idle(name, 0) }, stop},
		{"idle and unknown", nil, false, func(l *lanes) action { return l.idle(name, 0) }, nothing},
		{"gone", &lane{stopping: true}, false, func(l *lanes) action { return l.gone(name) }, nothing},
		{"gone with messages since", &lane{stopping: true, again: true}, false, func(l *lanes) action { return l.gone(name) }, start},
		{"gone while draining", &lane{stopping: true, again: true}, true, func(l *lanes) action { return l.gone(name) }, nothing},
		{"gone and unknown", nil, false, func(l *lanes) action { return l.gone(name) }, nothing},
		{"attempts under way", nil, true, func(l *lanes) action { return l.unsettled(name) }, start},
		{"attempts under way in a lane", &lane{}, true, func(l *lanes) action { return l.unsettled(name) }, nothing},
	} {
		t.Run(c.about, func(t *testing.T) {
			l := &lanes{running: make(map[string]*lane), draining: c.draining}
			if c.lane != nil {
				l.running[name] = c.lane
			}
			if got := c.do(l); got != c.want {
				t.Errorf("got action %d; want %d", got, c.want)
			}
		})
	}
}

// Every message leads to a lane that reads the store after it was accepted.
func TestLanesWakeCounts(t *testing.T) {
	l := &lanes{running: map[string]*lane{"g": {}}}
	l.accepted("g")
	l.accepted("g")
	if got := l.running["g"].wakes; got != 2 {
		t.Errorf("wakes = %d; want 2", got)
	}
	if got := l.idle("g", 2); got != stop {
		t.Errorf("idle = %d; want stop", got)
	}
	l.accepted("g")
	if got := l.gone("g"); got != start {
		t.Errorf("gone = %d; want start", got)
	}
	if len(l.running) > 0 {
		t.Errorf("running = %v; want none", l.running)
	}
}

func TestLanesDrained(t *testing.T) {
	for _, c := range []struct {
		about string
		lanes lanes
		want  bool
	}{
		{"not draining", lanes{}, false},
		{"none", lanes{draining: true}, true},
		{"one under way", lanes{draining: true, running: map[string]*lane{"a": {drained: true}, "b": {}}}, false},
		{"all said so", lanes{draining: true, running: map[string]*lane{"a": {drained: true}}}, true},
		{"one stops, which only an idle one does", lanes{draining: true, running: map[string]*lane{"a": {stopping: true}}}, true},
	} {
		if got := c.lanes.drained(); got != c.want {
			t.Errorf("%s: drained() = %t; want %t", c.about, got, c.want)
		}
	}
}
