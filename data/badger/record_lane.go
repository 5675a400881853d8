package badger

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/postrider/postrider/data"
)

// lane is the stored form of a data.Lane, and what the writer keeps of it in
// memory. The heads are lower bounds: nothing that still waits lies before them.
type lane struct {
	number  uint32
	gateway string
	counts  [data.States]uint64
	ready   data.ID // no queued message has a smaller id
	head    place   // no waiting message has a place before it
	flying  []data.InFlight
	last    data.Attempt
	began   data.StoreTime // when the newest attempt began
	held    data.StoreTime // no attempt before this
	paused  bool
	// unreached is how many attempts in a row ended without a connection.
	unreached int
	// oldest is, by state, a time before which no message ended that is still kept;
	// 0 where none is.
	oldest [data.States]data.StoreTime
	change *change // of the transaction in the making; not stored
	newest data.ID // the last in its queue, taken or not; 0 until one came since the start; not stored
}

// place is where a message stands in the waiting queue of its lane.
type place struct {
	due data.StoreTime
	id  data.ID
}

func (p place) before(q place) bool { return p.due < q.due || p.due == q.due && p.id < q.id }

// oldestTag and a final state make the tag of a lane's oldest, from 12 on.
const oldestTag = 12 - protowire.Number(data.Delivered)

func (l *lane) encode(key []byte) []byte {
	b := newRecord(64 + len(l.gateway) + 40*len(l.flying))
	b = appendBytes(b, 1, []byte(l.gateway))
	var buf [data.States * 10]byte
	counts := buf[:0]
	for _, n := range l.counts {
		counts = protowire.AppendVarint(counts, n)
	}
	b = appendBytes(b, 2, counts)
	b = appendUint(b, 3, uint64(l.ready))
	b = appendUint(b, 4, uint64(l.head.due))
	b = appendUint(b, 5, uint64(l.head.id))
	var before data.InFlight
	for _, f := range l.flying {
		b = appendInFlight(b, 6, f, before)
		before = f
	}
	if l.last.Number > 0 {
		b = appendAttempt(b, 7, l.last)
	}
	b = appendUint(b, 8, uint64(l.began))
	b = appendUint(b, 9, uint64(l.held))
	b = appendBool(b, 10, l.paused)
	b = appendUint(b, 11, uint64(l.unreached))
	for state, at := range l.oldest {
		b = appendUint(b, oldestTag+protowire.Number(state), uint64(at))
	}
	return seal(key, b)
}

func decodeLane(key, value []byte) (l *lane, err error) {
	number, ok := parseLaneKey(key)
	if !ok {
		return nil, damaged(key, "has a malformed key")
	}
	l = &lane{number: number}
	err = eachField(key, value, func(tag protowire.Number, n uint64, b []byte) (err error) {
		switch tag {
		case 1:
			l.gateway = string(b)
		case 2:
			for i := 0; i < data.States && len(b) > 0; i++ {
				n, size := protowire.ConsumeVarint(b)
				if size < 0 {
					return damaged(key, "has malformed counts")
				}
				l.counts[i], b = n, b[size:]
			}
		case 3:
			l.ready = data.ID(n)
		case 4:
			l.head.due = data.StoreTime(n)
		case 5:
			l.head.id = data.ID(n)
		case 6:
			var before data.InFlight
			if n := len(l.flying); n > 0 {
				before = l.flying[n-1]
			}
			var f data.InFlight
			f, err = decodeInFlight(key, b, before)
			l.flying = append(l.flying, f)
		case 7:
			l.last, err = decodeAttempt(key, b)
		case 8:
			l.began = data.StoreTime(n)
		case 9:
			l.held = data.StoreTime(n)
		case 10:
			l.paused = n != 0
		case 11:
			l.unreached = int(n)
		default:
			if state := int(tag - oldestTag); state < data.States && data.State(state).Final() {
				l.oldest[state] = data.StoreTime(n)
			}
		}
		return err
	})
	return l, err
}

// appendInFlight writes an attempt under way. What it has in common with the one
// before it, which is most where a lane has many, is written once: the record is
// written with every commit that touches the lane.
func appendInFlight(b []byte, tag protowire.Number, a, before data.InFlight) []byte {
	var buf [96]byte
	f := buf[:0]
	f = appendUint(f, 1, uint64(a.ID))
	f = appendUint(f, 2, uint64(a.Number))
	if a.Began == before.Began && a.BeganAt.Equal(before.BeganAt) {
		f = appendBool(f, 10, true)
	} else {
		f = appendUint(f, 3, uint64(a.Began))
		f = appendUint(f, 4, uint64(a.BeganAt.UnixMilli()))
	}
	if a.Policy == before.Policy && a.Timeout == before.Timeout {
		f = appendBool(f, 9, true)
		return appendBytes(b, tag, f)
	}
	f = appendUint(f, 5, uint64(a.Policy.MaxAttempts))
	f = appendUint(f, 6, uint64(a.Policy.Interval))
	f = appendUint(f, 7, uint64(a.Policy.MaxHint))
	f = appendUint(f, 8, uint64(a.Timeout))
	return appendBytes(b, tag, f)
}

func decodeInFlight(key, fields []byte, before data.InFlight) (a data.InFlight, err error) {
	err = eachFieldOf(key, fields, func(tag protowire.Number, n uint64, _ []byte) error {
		switch tag {
		case 1:
			a.ID = data.ID(n)
		case 2:
			a.Number = int(n)
		case 3:
			a.Began = data.StoreTime(n)
		case 4:
			a.BeganAt = wall(n)
		case 5:
			a.Policy.MaxAttempts = int(n)
		case 6:
			a.Policy.Interval = time.Duration(n)
		case 7:
			a.Policy.MaxHint = time.Duration(n)
		case 8:
			a.Timeout = time.Duration(n)
		case 9:
			a.Policy, a.Timeout = before.Policy, before.Timeout
		case 10:
			a.Began, a.BeganAt = before.Began, before.BeganAt
		}
		return nil
	})
	return a, err
}

// encodeNumber is the value of a waiting message's placement: the number of the
// attempt to come, so that a lane need not read the message before it is due.
func encodeNumber(key []byte, number int) []byte {
	return seal(key, appendUint(newRecord(4), 1, uint64(number)))
}

func decodeNumber(key, value []byte) (number int, err error) {
	err = eachField(key, value, func(tag protowire.Number, n uint64, _ []byte) error {
		if tag == 1 {
			number = int(n)
		}
		return nil
	})
	return number, err
}

// encodeIDs writes a run of ids, each as its distance from the one before.
// Neighbours in a run mostly differ by one, so an id costs about one byte.
func encodeIDs(key []byte, ids []data.ID) []byte {
	b := newRecord(16 + 2*len(ids))
	packed := make([]byte, 0, 10+2*len(ids))
	var previous data.ID
	for _, id := range ids {
		packed = protowire.AppendVarint(packed, protowire.EncodeZigZag(int64(id-previous)))
		previous = id
	}
	return seal(key, appendBytes(b, 1, packed))
}

func decodeIDs(key, value []byte) (ids []data.ID, err error) {
	err = eachField(key, value, func(tag protowire.Number, _ uint64, b []byte) error {
		if tag != 1 {
			return nil
		}
		ids = make([]data.ID, 0, len(b))
		var previous data.ID
		for len(b) > 0 {
			n, size := protowire.ConsumeVarint(b)
			if size < 0 {
				return damaged(key, "has a malformed id")
			}
			previous += data.ID(protowire.DecodeZigZag(n))
			ids, b = append(ids, previous), b[size:]
		}
		return nil
	})
	return ids, err
}
