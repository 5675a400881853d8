package badger

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/postrider/postrider/data"
)

// eventGroup is the events of one commit, or a part of them, with ids that
// follow each other up to last.
type eventGroup struct {
	first    data.ID
	time     data.StoreTime // of the commit
	received time.Time      // the same for people
	count    int
	packed   []byte // type and payload of each, length-prefixed
}

// appendEvent packs one more event.
func appendEvent(packed []byte, e data.NewEvent) []byte {
	packed = protowire.AppendString(packed, e.Type)
	return protowire.AppendString(packed, e.Payload)
}

// packedSize is how many bytes appendEvent appends.
func packedSize(e data.NewEvent) int {
	return protowire.SizeBytes(len(e.Type)) + protowire.SizeBytes(len(e.Payload))
}

// encodeEvents makes the record of a group of events, whose packed size is known. It
// is made in one piece: most of what is written of an event is its payload.
func (g eventGroup) encodeEvents(key []byte, events []data.NewEvent, size int) []byte {
	b := newRecord(40 + size)
	b = appendUint(b, 1, uint64(len(events)))
	b = appendUint(b, 2, uint64(g.received.UnixMilli()))
	b = appendUint(b, 4, uint64(g.time))
	b = protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.BytesType), uint64(size))
	for _, e := range events {
		b = appendEvent(b, e)
	}
	return seal(key, b)
}

// decodeEvents returns the group without its events; each walks over these.
func decodeEvents(key, value []byte) (g eventGroup, err error) {
	last, ok := parseIDKey(key)
	if !ok {
		return g, damaged(key, "has a malformed key")
	}
	err = eachField(key, value, func(tag protowire.Number, n uint64, b []byte) error {
		switch tag {
		case 1:
			g.count = int(n)
		case 2:
			g.received = wall(n)
		case 3:
			g.packed = b
		case 4:
			g.time = data.StoreTime(n)
		}
		return nil
	})
	g.first = last - data.ID(g.count) + 1
	return g, err
}

// each calls visit with the events from the given id on until it returns false.
func (g eventGroup) each(from data.ID, visit func(id data.ID, kind, payload []byte) bool) error {
	b := g.packed
	for i := range g.count {
		kind, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return damaged(eventsKey(g.first), "ends within an event")
		}
		payload, m := protowire.ConsumeBytes(b[n:])
		if m < 0 {
			return damaged(eventsKey(g.first), "ends within an event")
		}
		b = b[n+m:]
		if id := g.first + data.ID(i); id >= from && !visit(id, kind, payload) {
			return nil
		}
	}
	return nil
}
