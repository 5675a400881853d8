package badger

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"testing"

	"github.com/postrider/postrider/data"
)

func FuzzKeys(f *testing.F) {
	f.Add(uint32(1), int64(0), uint64(1), byte(1), uint32(10), int64(1), uint64(2), byte(2))
	f.Add(uint32(1), int64(5), uint64(9), byte(4), uint32(1), int64(5), uint64(10), byte(4))
	f.Add(uint32(math.MaxUint32), int64(math.MaxInt64), uint64(math.MaxUint64), byte(8), uint32(0), int64(0), uint64(0), byte(0))
	f.Fuzz(func(t *testing.T, lane1 uint32, time1 int64, id1 uint64, state1 byte, lane2 uint32, time2 int64, id2 uint64, state2 byte) {
		// Store times are never negative.
		p := place{data.StoreTime(time1 & math.MaxInt64), data.ID(id1)}
		q := place{data.StoreTime(time2 & math.MaxInt64), data.ID(id2)}
		roundTrips(t, lane1, p, data.State(state1))
		ids, lanes, dues := cmp.Compare(id1, id2), cmp.Compare(lane1, lane2), cmp.Compare(p.due, q.due)
		for _, pair := range []struct {
			name string
			a, b []byte
			want int
		}{
			{"markerKey", markerKey(lane1), markerKey(lane2), lanes},
			{"eventsKey", eventsKey(p.id), eventsKey(q.id), ids},
			{"messageKey", messageKey(p.id), messageKey(q.id), ids},
			{"textKey", textKey(p.id), textKey(q.id), ids},
			{"resentKey", resentKey(p.id), resentKey(q.id), ids},
			{"laneKey", laneKey(lane1), laneKey(lane2), lanes},
			{"runKey", runKey(lane1, p.id), runKey(lane2, q.id), cmp.Or(lanes, ids)},
			{"waitingKey", waitingKey(lane1, p), waitingKey(lane2, q), cmp.Or(lanes, dues, ids)},
			{
				"doneKey", doneKey(lane1, data.State(state1), p.due), doneKey(lane2, data.State(state2), q.due),
				cmp.Or(lanes, cmp.Compare(state1, state2), dues),
			},
		} {
			if got := bytes.Compare(pair.a, pair.b); got != pair.want {
				t.Errorf("%s: %x compares to %x as %d; want %d", pair.name, pair.a, pair.b, got, pair.want)
			}
		}
		if lane1 != lane2 && bytes.HasPrefix(runKey(lane2, q.id), runPrefix(lane1)) {
			t.Errorf("the runs of lane %d begin like those of lane %d", lane2, lane1)
		}
		if p.before(q) != (cmp.Or(dues, ids) < 0) {
			t.Errorf("%v.before(%v) = %v", p, q, p.before(q))
		}
	})
}

func roundTrips(t *testing.T, lane uint32, p place, s data.State) {
	t.Helper()
	if slot, ok := parseMarkerKey(markerKey(lane)); !ok || slot != lane {
		t.Errorf("parseMarkerKey = %d, %v; want %d", slot, ok, lane)
	}
	if n, ok := parseLaneKey(laneKey(lane)); !ok || n != lane {
		t.Errorf("parseLaneKey = %d, %v; want %d", n, ok, lane)
	}
	for _, k := range [][]byte{eventsKey(p.id), messageKey(p.id), textKey(p.id), resentKey(p.id)} {
		if id, ok := parseIDKey(k); !ok || id != p.id {
			t.Errorf("parseIDKey(%x) = %d, %v; want %d", k, id, ok, p.id)
		}
	}
	if n, last, ok := parseRunKey(runKey(lane, p.id)); !ok || n != lane || last != p.id {
		t.Errorf("parseRunKey = %d, %d, %v; want %d, %d", n, last, ok, lane, p.id)
	}
	if n, q, ok := parseWaitingKey(waitingKey(lane, p)); !ok || n != lane || q != p {
		t.Errorf("parseWaitingKey = %d, %v, %v; want %d, %v", n, q, ok, lane, p)
	}
	if n, state, at, ok := parseDoneKey(doneKey(lane, s, p.due)); !ok || n != lane || state != s || at != p.due {
		t.Errorf("parseDoneKey = %d, %d, %d, %v; want %d, %d, %d", n, state, at, ok, lane, s, p.due)
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add(runKey(1, 2))
	f.Add(waitingKey(1, place{2, 3}))
	f.Add(doneKey(1, data.Failed, 2))
	f.Add(declareKey("gateway_1"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, k []byte) {
		if slot, ok := parseMarkerKey(k); ok && !bytes.Equal(markerKey(slot), k) {
			t.Errorf("%x is taken for the marker key %x", k, markerKey(slot))
		}
		if n, ok := parseLaneKey(k); ok && !bytes.Equal(laneKey(n), k) {
			t.Errorf("%x is taken for the lane key %x", k, laneKey(n))
		}
		if n, last, ok := parseRunKey(k); ok && !bytes.Equal(runKey(n, last), k) {
			t.Errorf("%x is taken for the run key %x", k, runKey(n, last))
		}
		if n, p, ok := parseWaitingKey(k); ok && !bytes.Equal(waitingKey(n, p), k) {
			t.Errorf("%x is taken for the waiting key %x", k, waitingKey(n, p))
		}
		if name, ok := parseDeclareKey(k); ok && !bytes.Equal(declareKey(name), k) {
			t.Errorf("%x is taken for the declare key %x", k, declareKey(name))
		}
		if n, s, at, ok := parseDoneKey(k); ok && !bytes.Equal(doneKey(n, s, at), k) {
			t.Errorf("%x is taken for the done key %x", k, doneKey(n, s, at))
		}
	})
}

func TestBehind(t *testing.T) {
	for id, want := range map[data.ID]data.ID{0: 1, 7: 8, math.MaxUint64 - 1: math.MaxUint64, math.MaxUint64: math.MaxUint64} {
		if got := behind(id); got != want {
			t.Errorf("behind(%d) = %d; want %d", id, got, want)
		}
	}
}

// What is large and grows by its end stands before what every commit writes: a merge
// of new records would write all old ones of it anew otherwise.
func TestOrderOfKinds(t *testing.T) {
	t.Parallel()
	rest := slices.Min([]byte{prefixMarker, prefixResent, prefixLane, prefixRun, prefixWaiting, prefixDone, prefixKey, prefixDeclare, prefixPadding})
	if got := []byte{prefixText, prefixMessage, prefixEvents, rest}; !slices.IsSorted(got) {
		t.Errorf("texts, messages, events and the first of the rest are %q, want them in this order", got)
	}
}
