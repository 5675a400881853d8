package badger

import "github.com/postrider/postrider/data"

// maxFresh bounds what is kept of messages that were just accepted: at most as many
// times inlineText, since longer texts are not kept.
const maxFresh = 2048

// fresh keeps the newest messages until an attempt at them begins, which is soon
// where a gateway is quick, so that their records need not be read for it. What is
// there is as it is stored. It is the writer's.
type fresh struct {
	messages map[data.ID]*message
	ring     [maxFresh]data.ID // the last that were put there
	next     int               // in ring
}

func newFresh() fresh { return fresh{messages: make(map[data.ID]*message)} }

// put keeps a message in the place of the oldest.
func (f *fresh) put(m *message) {
	if m.long != inline {
		return
	}
	delete(f.messages, f.ring[f.next])
	f.ring[f.next] = m.ID
	f.next = (f.next + 1) % maxFresh
	f.messages[m.ID] = m
}

// take returns a message, or nil, and keeps it no longer: whoever has it may change it.
func (f *fresh) take(id data.ID) *message {
	m := f.messages[id]
	delete(f.messages, id)
	return m
}
