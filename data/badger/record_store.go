package badger

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/postrider/postrider/data"
)

// marker is written with every commit. The newest one is the state of the
// store as a whole.
type marker struct {
	commit   uint64         // numbered from 1 without gaps
	time     data.StoreTime // of the commit
	boot     []byte         // which boot of which machine, see clock
	bootTime time.Duration  // time of that boot's clock
	next     data.ID        // the next id to give
	wall     time.Time      // for people
	events   data.ID        // there is no event with a smaller id
	garbage  int64          // bytes deleted since the last merge, about
	doubtful data.ID        // what has a smaller id was there when the store was last opened in doubt
	doubted  data.StoreTime // when that was; 0 for never
}

func (m marker) encode(key []byte) []byte {
	b := newRecord(64)
	b = appendUint(b, 1, m.commit)
	b = appendUint(b, 2, uint64(m.time))
	b = appendBytes(b, 3, m.boot)
	b = appendUint(b, 4, uint64(m.bootTime))
	b = appendUint(b, 5, uint64(m.next))
	b = appendUint(b, 6, uint64(m.wall.UnixMilli()))
	b = appendUint(b, 7, uint64(m.events))
	b = appendUint(b, 8, uint64(m.garbage))
	b = appendUint(b, 9, uint64(m.doubtful))
	b = appendUint(b, 10, uint64(m.doubted))
	return seal(key, b)
}

// decodeMarker returns a marker whose boot is only valid as long as the value.
func decodeMarker(key, value []byte) (m marker, err error) {
	err = eachField(key, value, func(tag protowire.Number, n uint64, b []byte) error {
		switch tag {
		case 1:
			m.commit = n
		case 2:
			m.time = data.StoreTime(n)
		case 3:
			m.boot = b
		case 4:
			m.bootTime = time.Duration(n)
		case 5:
			m.next = data.ID(n)
		case 6:
			m.wall = wall(n)
		case 7:
			m.events = data.ID(n)
		case 8:
			m.garbage = int64(n)
		case 9:
			m.doubtful = data.ID(n)
		case 10:
			m.doubted = data.StoreTime(n)
		}
		return nil
	})
	return m, err
}

// answered is what an idempotency key leads to.
type answered struct {
	first   data.ID
	count   int // of messages in a row, where there were no events; 0 stands for one
	request [32]byte
}

func (a answered) messages() int { return max(a.count, 1) }

func (a answered) encode(key []byte) []byte {
	b := appendUint(newRecord(48), 1, uint64(a.first))
	if a.count > 1 {
		b = appendUint(b, 3, uint64(a.count))
	}
	return seal(key, appendBytes(b, 2, a.request[:]))
}

func decodeAnswered(key, value []byte) (a answered, err error) {
	err = eachField(key, value, func(tag protowire.Number, n uint64, b []byte) error {
		switch tag {
		case 1:
			a.first = data.ID(n)
		case 2:
			copy(a.request[:], b)
		case 3:
			a.count = int(n)
		}
		return nil
	})
	return a, err
}
