package badger

import (
	"encoding/binary"

	"github.com/postrider/postrider/data"
)

// The first byte of a key says what it is; numbers follow in big-endian, so that
// the order of the keys is the order of the things. The layout:
//
//	1 id(8)                            the text of a message, if long; never changes
//	2 id(8)                            a message: its state, and its text if short
//	3 last(8)                          the events of one commit, under their last id
//	c slot(4)                          commit marker, a ring
//	s id(8)                            which message a dead letter was sent again as
//	l lane(4)                          a lane
//	r lane(4) last(8)                  placement: a run of queued messages, under its last id
//	w lane(4) due(8) id(8)             placement: a waiting message
//	d lane(4) state(1) time(8)         placement: the messages that ended so in one commit
//	i key(32)                          an idempotency key
//	g name                             how a gateway is declared, in the order of names
//	z                                  padding, see fillMemtable
//
// Keyed by their last id, events and runs are found by one forward seek from
// any id inside them.
//
// What grows by its end and is large comes first, the largest before the others. A
// table of new records holds the newest of one kind and then those of the next kind
// that has any, and overlaps all that is older of that one: a merge of it writes that
// anew. Before the first there is nothing, so a load of messages alone, or of events
// alone, moves no old ones.
const (
	prefixText    = '1'
	prefixMessage = '2'
	prefixEvents  = '3'
	prefixMarker  = 'c'
	prefixResent  = 's'
	prefixLane    = 'l'
	prefixRun     = 'r'
	prefixWaiting = 'w'
	prefixDone    = 'd'
	prefixKey     = 'i'
	prefixDeclare = 'g'
	prefixPadding = 'z'
)

func markerKey(slot uint32) []byte {
	return binary.BigEndian.AppendUint32(key(prefixMarker, 4), slot)
}

func eventsKey(last data.ID) []byte { return appendID(key(prefixEvents, 8), last) }

func messageKey(id data.ID) []byte { return appendID(key(prefixMessage, 8), id) }

func textKey(id data.ID) []byte { return appendID(key(prefixText, 8), id) }

func resentKey(id data.ID) []byte { return appendID(key(prefixResent, 8), id) }

func laneKey(lane uint32) []byte {
	return binary.BigEndian.AppendUint32(key(prefixLane, 4), lane)
}

// runPrefix is shared by all runs of a lane, and so on for the other queues.
func runPrefix(lane uint32) []byte {
	return binary.BigEndian.AppendUint32(key(prefixRun, 12), lane)
}

func runKey(lane uint32, last data.ID) []byte { return appendID(runPrefix(lane), last) }

func waitingPrefix(lane uint32) []byte {
	return binary.BigEndian.AppendUint32(key(prefixWaiting, 20), lane)
}

func waitingKey(lane uint32, p place) []byte {
	return appendID(appendTime(waitingPrefix(lane), p.due), p.id)
}

func donePrefix(lane uint32, s data.State) []byte {
	return append(binary.BigEndian.AppendUint32(key(prefixDone, 13), lane), byte(s))
}

func doneKey(lane uint32, s data.State, at data.StoreTime) []byte {
	return appendTime(donePrefix(lane, s), at)
}

func idempotencyKey(k [32]byte) []byte { return append(key(prefixKey, 32), k[:]...) }

func declareKey(gateway string) []byte {
	return append(key(prefixDeclare, len(gateway)), gateway...)
}

// parseMarkerKey and its like below take apart what the functions above build.
// They are only given keys that came from an iterator with the right prefix;
// the lengths are checked because a damaged table can hold anything.
func parseMarkerKey(k []byte) (slot uint32, ok bool) {
	if len(k) != 5 || k[0] != prefixMarker {
		return 0, false
	}
	return binary.BigEndian.Uint32(k[1:]), true
}

func parseLaneKey(k []byte) (lane uint32, ok bool) {
	if len(k) != 5 || k[0] != prefixLane {
		return 0, false
	}
	return binary.BigEndian.Uint32(k[1:]), true
}

// parseIDKey reads the id of an events, message, text or resent key.
func parseIDKey(k []byte) (data.ID, bool) {
	if len(k) != 9 {
		return 0, false
	}
	return data.ID(binary.BigEndian.Uint64(k[1:])), true
}

func parseRunKey(k []byte) (lane uint32, last data.ID, ok bool) {
	if len(k) != 13 || k[0] != prefixRun {
		return 0, 0, false
	}
	return binary.BigEndian.Uint32(k[1:]), data.ID(binary.BigEndian.Uint64(k[5:])), true
}

func parseWaitingKey(k []byte) (lane uint32, p place, ok bool) {
	if len(k) != 21 || k[0] != prefixWaiting {
		return 0, place{}, false
	}
	return binary.BigEndian.Uint32(k[1:]), place{parseTime(k[5:]), data.ID(binary.BigEndian.Uint64(k[13:]))}, true
}

func parseDoneKey(k []byte) (lane uint32, s data.State, at data.StoreTime, ok bool) {
	if len(k) != 14 || k[0] != prefixDone {
		return 0, 0, 0, false
	}
	return binary.BigEndian.Uint32(k[1:]), data.State(k[5]), parseTime(k[6:]), true
}

func parseDeclareKey(k []byte) (gateway string, ok bool) {
	if len(k) < 2 || len(k) > 1+data.MaxGatewayName || k[0] != prefixDeclare {
		return "", false
	}
	return string(k[1:]), true
}

func key(prefix byte, size int) []byte {
	k := make([]byte, 1, 1+size)
	k[0] = prefix
	return k
}

func appendID(k []byte, id data.ID) []byte { return binary.BigEndian.AppendUint64(k, uint64(id)) }

// behind returns the id that follows, for a scan that goes on behind one. There
// is nothing behind the greatest, which is never given.
func behind(id data.ID) data.ID { return max(id, id+1) }

// Store times are never negative, so their unsigned form keeps the order.
func appendTime(k []byte, t data.StoreTime) []byte {
	return binary.BigEndian.AppendUint64(k, uint64(t))
}

func parseTime(k []byte) data.StoreTime { return data.StoreTime(binary.BigEndian.Uint64(k)) }
