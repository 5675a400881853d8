package data

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"time"
)

// ID names an event or a message. It is an epoch and a sequence number in one:
// ids sort in the order of acceptance and no id is given twice in the life of a
// store, even after a backup was restored, because the epoch rises then. The
// zero ID names nothing. Its text form is opaque to users.
type ID uint64

// seqBits leaves 16 bits for the epoch: 65,535 restores, and at 100,000
// records a second 89 years within one epoch.
const seqBits = 48

// encoding keeps the order of the numbers in the order of the texts.
var encoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// FirstID returns the first id of an epoch.
func FirstID(epoch uint16) ID { return ID(epoch)<<seqBits | 1 }

// A restored store does not begin its epoch at the first id, but at one that the time
// of the restore gives: the same backup may be restored again, into the same epoch,
// and then what was given after the first time must not be given once more.
const (
	restoredSince = 1_767_225_600_000 // 2026-01-01 in Unix milliseconds
	// restoredPace is how many ids there are for each millisecond, more than a store
	// gives. With it half the sequence lasts for 69 years.
	restoredPace = 64
)

// RestoredID returns the first id of a store that is restored into an epoch.
func RestoredID(epoch uint16, now time.Time) ID {
	passed := max(0, now.UnixMilli()-restoredSince)
	return FirstID(epoch) + min(ID(passed)*restoredPace, 1<<(seqBits-1))
}

// Epoch returns the epoch the id was given in.
func (id ID) Epoch() uint16 { return uint16(id >> seqBits) }

// String returns the text form, 13 characters of [0-9a-v].
func (id ID) String() string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(id))
	return encoding.EncodeToString(b[:])
}

// MarshalText writes the text form.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the text form.
func (id *ID) UnmarshalText(b []byte) error {
	parsed, err := ParseID(string(b))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// ParseID reads the text form of an id. Text that no id has, such as one with
// stray low bits, is refused with [ErrNotFound], since it names nothing.
func ParseID(s string) (ID, error) {
	b, err := encoding.DecodeString(s)
	if err != nil || len(b) != 8 {
		return 0, fmt.Errorf("parse id: %w", ErrNotFound)
	}
	id := ID(binary.BigEndian.Uint64(b))
	if id == 0 || id.String() != s {
		return 0, fmt.Errorf("parse id: %w", ErrNotFound)
	}
	return id, nil
}
