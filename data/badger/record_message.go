package badger

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/postrider/postrider/data"
)

// inlineText is the length up to which the content of a message, its text with its
// title, recipient and parameters, is kept in the message's record. A longer one
// has a record of its own, all of it, which settling does not write again.
const inlineText = 1024

// message is the stored form of a data.Message. An attempt under way is not in
// it but in its lane's record, so that beginning attempts costs one record for
// all of a lane; in memory, State says Sending all the same. Nor is ResentAs,
// which has a small record of its own: a commit that sends a thousand dead letters
// again need not write each of them twice.
type message struct {
	data.Message
	lane uint32
	long longContent
}

// longContent says whether the content of a message is in a record of its own, and
// how; it may not be loaded then.
type longContent uint8

const (
	inline longContent = iota
	longText
	longFields // fields as in the record of a message
)

// What a message adds to its record beyond the letters of its content.
const (
	fieldBytes  = 5  // a field of its content
	paramBytes  = 12 // a parameter
	expiryBytes = 20
)

// contentSize bounds what content takes. A text alone takes its length, the rest is
// in messageBytes.
func contentSize(text, to, title string, params map[string]string) int {
	n := len(text)
	if to != "" {
		n += len(to) + fieldBytes
	}
	if title != "" {
		n += len(title) + fieldBytes
	}
	for name, value := range params {
		n += len(name) + len(value) + paramBytes
	}
	return n
}

func newSize(n *data.NewMessage) int { return contentSize(n.Text, n.To, n.Title, n.Params) }

func (m *message) contentSize() int { return contentSize(m.Text, m.To, m.Title, m.Params) }

// where says where content of a size is kept.
func (m *message) where(size int) longContent {
	switch {
	case size <= inlineText:
		return inline
	case m.To == "" && m.Title == "" && len(m.Params) == 0:
		return longText
	}
	return longFields
}

// stateBytes bounds what content, expiry and attempts add to the record.
func (m *message) stateBytes() int {
	size := min(m.contentSize(), inlineText) + expiryBytes
	for _, a := range m.Attempts {
		size += attemptBytes + answerPrice(a.Answer)
	}
	return size
}

// unload forgets content that has a record of its own.
func (m *message) unload() {
	if m.long != inline {
		m.Text, m.To, m.Title, m.Params = "", "", "", nil
	}
}

// appendContent writes the content as fields.
func (m *message) appendContent(b []byte) []byte {
	b = appendBytes(b, 6, []byte(m.Text))
	if m.To != "" {
		b = appendBytes(b, 10, []byte(m.To))
	}
	if m.Title != "" {
		b = appendBytes(b, 11, []byte(m.Title))
	}
	if len(m.Params) == 0 {
		return b
	}
	for _, name := range slices.Sorted(maps.Keys(m.Params)) {
		param := appendBytes(appendBytes(nil, 1, []byte(name)), 2, []byte(m.Params[name]))
		b = appendBytes(b, 12, param)
	}
	return b
}

// readContent takes one field that appendContent wrote.
func (m *message) readContent(key []byte, tag protowire.Number, b []byte) error {
	switch tag {
	case 6:
		m.Text = string(b)
	case 10:
		m.To = string(b)
	case 11:
		m.Title = string(b)
	case 12:
		var name, value string
		err := eachFieldOf(key, b, func(tag protowire.Number, _ uint64, b []byte) error {
			switch tag {
			case 1:
				name = string(b)
			case 2:
				value = string(b)
			}
			return nil
		})
		if m.Params == nil {
			m.Params = make(map[string]string)
		}
		m.Params[name] = value
		return err
	}
	return nil
}

// encodeContent is the value under the textKey of a message with long content.
func (m *message) encodeContent(key []byte, size int) []byte {
	b := newRecord(size + fieldBytes)
	if m.long == longText {
		return seal(key, append(b, m.Text...))
	}
	return seal(key, m.appendContent(b))
}

func (m *message) decodeContent(key, value []byte) error {
	if m.long == longFields {
		return eachField(key, value, func(tag protowire.Number, _ uint64, b []byte) error {
			return m.readContent(key, tag, b)
		})
	}
	fields, err := unseal(key, value)
	m.Text = string(fields)
	return err
}

func (m *message) encode(key []byte) []byte {
	size := 48 + len(m.Text) + 48*len(m.Attempts)
	if m.long == inline {
		size += m.contentSize() - len(m.Text)
	}
	b := newRecord(size)
	b = appendUint(b, 1, uint64(m.lane))
	b = appendUint(b, 2, uint64(m.State))
	b = appendUint(b, 3, uint64(m.AcceptedAt.UnixMilli()))
	b = appendUint(b, 4, uint64(m.Event))
	b = appendUint(b, 5, uint64(m.Due))
	b = appendUint(b, 7, uint64(m.long))
	if m.long == inline {
		b = m.appendContent(b)
	}
	for _, a := range m.Attempts {
		b = appendAttempt(b, 8, a)
	}
	b = appendUint(b, 9, uint64(m.ResendOf))
	if m.Expires != 0 {
		b = appendUint(b, 13, uint64(m.Expires))
		b = appendUint(b, 14, uint64(m.ExpiresAt.UnixMilli()))
	}
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
		case 6, 10, 11, 12:
			return m.readContent(key, tag, b)
		case 7:
			m.long = longContent(n)
		case 8:
			a, err := decodeAttempt(key, b)
			m.Attempts = append(m.Attempts, a)
			return err
		case 9:
			m.ResendOf = data.ID(n)
		case 13:
			m.Expires = data.StoreTime(n)
		case 14:
			m.ExpiresAt = wall(n)
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
