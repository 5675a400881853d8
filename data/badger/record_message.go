package badger

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/postrider/postrider/data"
)

// inlineText is the length up to which a text is kept in the message's record.
// A longer one has a record of its own, which settling does not write again.
const inlineText = 1024

// message is the stored form of a data.Message. An attempt under way is not in
// it but in its lane's record, so that beginning attempts costs one record for
// all of a lane; in memory, State says Sending all the same. Nor is ResentAs,
// which has a small record of its own: a commit that sends a thousand dead letters
// again need not write each of them twice.
type message struct {
	data.Message
	lane uint32
	long bool // the text is in a record of its own and may not be loaded
}

// stateBytes bounds what the text and the attempts add to the record.
func (m *message) stateBytes() int {
	size := min(len(m.Text), inlineText)
	for _, a := range m.Attempts {
		size += attemptBytes + answerPrice(a.Answer)
	}
	return size
}

func (m *message) encode(key []byte) []byte {
	b := newRecord(48 + len(m.Text) + 48*len(m.Attempts))
	b = appendUint(b, 1, uint64(m.lane))
	b = appendUint(b, 2, uint64(m.State))
	b = appendUint(b, 3, uint64(m.AcceptedAt.UnixMilli()))
	b = appendUint(b, 4, uint64(m.Event))
	b = appendUint(b, 5, uint64(m.Due))
	b = appendBool(b, 7, m.long)
	if !m.long {
		b = appendBytes(b, 6, []byte(m.Text))
	}
	for _, a := range m.Attempts {
		b = appendAttempt(b, 8, a)
	}
	b = appendUint(b, 9, uint64(m.ResendOf))
	return seal(key, b)
}

func decodeMessage(key, value []byte) (m *message, err error) {
	id, ok := parseIDKey(key)
	if !ok {
		return nil, damaged(key, "has a malformed key")
	}
	m = &message{Message: data.Message{ID: id}}
	err = eachField(key, value, func(tag protowire.Number, n uint64, b []byte) error {
		switch tag {
		case 1:
			m.lane = uint32(n)
		case 2:
			m.State = data.State(n)
		case 3:
			m.AcceptedAt = wall(n)
		case 4:
			m.Event = data.ID(n)
		case 5:
			m.Due = data.StoreTime(n)
		case 6:
			m.Text = string(b)
		case 7:
			m.long = n != 0
		case 8:
			a, err := decodeAttempt(key, b)
			m.Attempts = append(m.Attempts, a)
			return err
		case 9:
			m.ResendOf = data.ID(n)
		}
		return nil
	})
	if err == nil && (m.State == 0 || int(m.State) >= data.States) {
		return nil, damaged(key, "has no state that we know")
	}
	return m, err
}

// encodeResent is the value under a dead letter's resentKey.
func encodeResent(key []byte, as data.ID) []byte {
	return seal(key, appendUint(newRecord(12), 1, uint64(as)))
}

func decodeResent(key, value []byte) (as data.ID, err error) {
	err = eachField(key, value, func(tag protowire.Number, n uint64, _ []byte) error {
		if tag == 1 {
			as = data.ID(n)
		}
		return nil
	})
	return as, err
}

func appendAttempt(b []byte, tag protowire.Number, a data.Attempt) []byte {
	var buf [96]byte
	f := buf[:0]
	f = appendUint(f, 1, uint64(a.Number))
	f = appendUint(f, 2, uint64(a.Began))
	f = appendUint(f, 3, uint64(a.Ended))
	f = appendUint(f, 4, uint64(a.BeganAt.UnixMilli()))
	f = appendUint(f, 5, uint64(a.Outcome))
	if a.Cause != data.CauseNone {
		f = appendBytes(f, 6, []byte(a.Cause))
	}
	f = appendUint(f, 7, uint64(a.Status))
	f = appendUint(f, 8, uint64(a.Hint))
	if a.Answer != "" {
		f = appendBytes(f, 9, []byte(a.Answer))
	}
	return appendBytes(b, tag, f)
}

func decodeAttempt(key, fields []byte) (a data.Attempt, err error) {
	err = eachFieldOf(key, fields, func(tag protowire.Number, n uint64, b []byte) error {
		switch tag {
		case 1:
			a.Number = int(n)
		case 2:
			a.Began = data.StoreTime(n)
		case 3:
			a.Ended = data.StoreTime(n)
		case 4:
			a.BeganAt = wall(n)
		case 5:
			a.Outcome = data.Outcome(n)
		case 6:
			a.Cause = data.Cause(b)
		case 7:
			a.Status = int(n)
		case 8:
			a.Hint = time.Duration(n)
		case 9:
			a.Answer = string(b)
		}
		return nil
	})
	return a, err
}
