package gateway

import (
	"testing"

	"github.com/postrider/postrider/data"
)

// What arrives is put behind what the window has where it follows that, and has the
// queue read where it does not.
func TestScheduleArrivals(t *testing.T) {
	for name, test := range map[string]struct {
		filled  []data.Ref
		arrive  [][]data.Ref
		want    int // in the window
		reading bool
	}{
		"the first of all":      {nil, [][]data.Ref{arrived(1, 2)}, 2, false},
		"what follows":          {arrived(1, 2), [][]data.Ref{arrived(3, 2), arrived(5, 1)}, 5, false},
		"after a gap":           {arrived(1, 2), [][]data.Ref{arrived(4, 2)}, 2, true},
		"what is there already": {arrived(1, 3), [][]data.Ref{arrived(2, 2)}, 3, true},
		"nobody knows what":     {arrived(1, 2), [][]data.Ref{nil}, 2, true},
		"behind one that waits": {arrived(1, 2), [][]data.Ref{nil, arrived(3, 2)}, 2, true},
		"too many":              {arrived(1, 2), [][]data.Ref{arrived(3, leastWindow-1)}, 2, true},
		"as many as there may":  {arrived(1, 2), [][]data.Ref{arrived(3, leastWindow-2)}, leastWindow, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := filled(1, 0, test.filled, nil)
			for _, refs := range test.arrive {
				s.accepted(refs)
			}
			l, reads := s.wants(0)
			if len(s.ready) != test.want || s.readyMore != test.reading || reads && l.waiting {
				t.Errorf("%d are in the window, to be read: %v; want %d, %v", len(s.ready), s.readyMore, test.want, test.reading)
			}
			for i, r := range s.ready {
				if r.ID != data.ID(i+1) {
					t.Fatalf("the window is %v at %d", r.ID, i)
				}
			}
		})
	}
}
