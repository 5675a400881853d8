package gateway

import (
	"container/list"
	"sync"
	"time"

	"github.com/postrider/postrider/data"
)

// promptness is how soon an answer has to come for its lane to count as prompt.
const promptness = time.Second

// isPrompt reports whether an attempt got an answer, of whatever kind, soon.
func isPrompt(r data.Result, took time.Duration) bool { return r.Status != 0 && took <= promptness }

// Slots share what may be under way over all lanes, so that descriptors stay
// bounded and gateways that hang cannot take what the healthy ones need.
//
// Half of the slots are kept for prompt lanes, whose newest attempt got an answer
// soon. The other lanes share the rest in turn: each may have one, and more only
// while half of the rest is free, so that a lane that needs its first finds one.
// Among those, every second slot is for a lane that missed a prompt answer only
// once, or of which nothing is known yet: thousands that hang must not delay a
// gateway that is new, or had one bad moment. The rest of them is served at a pace.
// Prompt lanes may use all that nobody else has; a slot that becomes free goes in
// turn to one of them and to one of the others.
//
// Slots are used by many lanes at once, each through its [Share].
type Slots struct {
	limit int

	mu      sync.Mutex
	used    int       // by all
	rest    int       // of these, by lanes that are not prompt
	prompt  list.List // of *Share: prompt lanes that wait
	hopeful list.List // others that wait for their only slot, with one miss
	first   list.List // others that wait for their only slot, with more misses
	more    list.List // others that wait for a further one
	others  bool      // the turn: whether the next free slot is for the others
	missed  bool      // the turn among these: whether it is for those with more misses
	pace    pace      // of what is handed to first and more
}

// NewSlots returns slots for so many attempts at a time, at least two.
func NewSlots(limit int) *Slots {
	limit = max(limit, 2)
	return &Slots{limit: limit, pace: newPace(limit / 2)}
}

// Share is the access of one incarnation of a lane to the slots. A slot is taken
// before an attempt is recorded. Then its request starts and ends, or the slot is
// given back.
type Share struct {
	slots *Slots
	wake  func() // told, from any goroutine, that the lane may take what it waited for

	// What follows is guarded by slots.mu.
	misses  int // attempts in a row without a prompt answer; 1 when nothing is known
	held    int // slots in all
	granted int // of these, handed to it while it waited
	taken   int // of these, for attempts that have not started
	queue   *list.List
	place   *list.Element // in queue; nil while it does not wait
	left    bool          // what it had not started was given back
}

// Join makes the share of a lane. wake must only pass on.
func (s *Slots) Join(wake func()) *Share { return &Share{slots: s, wake: wake, misses: 1} }

// Take takes slots for up to want attempts and returns how many it got. When it
// got fewer, the lane waits in turn and is woken once it may take more. With a
// want of 0 it waits no longer.
func (h *Share) Take(want int) (got int) {
	h.change(func() {
		got = min(h.granted, want)
		h.put(h.granted - got)
		h.granted = 0
		for got < want && !h.slots.queued(h) && h.slots.allows(h) {
			h.add(1)
			got++
		}
		h.taken += got
		if got == want {
			h.dequeue()
		} else if !h.left {
			h.enqueue()
		}
	})
	return got
}

// TakeIdle takes a slot that nobody waits for, if the lane is prompt and there is one.
func (h *Share) TakeIdle() (ok bool) {
	h.change(func() {
		if ok = !h.left && h.prompt() && !h.slots.queued(h) && h.slots.allows(h); ok {
			h.add(1)
			h.taken++
		}
	})
	return ok
}

// Give gives back slots that were taken and not started.
func (h *Share) Give(n int) {
	h.change(func() {
		if !h.left {
			h.taken -= n
			h.put(n)
		}
	})
}

// Start says that a request leaves for which a slot was taken.
func (h *Share) Start() { h.change(func() { h.taken-- }) }

// End says that a request that started so long ago has ended.
func (h *Share) End(took time.Duration) {
	h.change(func() {
		if s := h.slots; !h.prompt() {
			s.pace.ended(took)
			s.pace.sooner(s.pulse)
		}
		h.put(1)
	})
}

// Leave gives back what has not started, and ends the waiting.
func (h *Share) Leave() {
	h.change(func() {
		h.left = true
		h.dequeue()
		h.put(h.granted + h.taken)
		h.granted, h.taken = 0, 0
	})
}

// Prompt says whether the lane's newest attempt got an answer soon.
func (h *Share) Prompt(prompt bool) {
	h.change(func() {
		held := h.held
		h.put(held)
		h.misses++
		if prompt {
			h.misses = 0
		}
		h.add(held)
	})
}

// change runs what changes the slots, and hands out what became free.
func (h *Share) change(do func()) {
	s := h.slots
	s.mu.Lock()
	do()
	if h.place != nil {
		h.enqueue() // perhaps into another queue
	}
	woken := s.hand()
	s.mu.Unlock()
	wakeAll(woken)
}

// pulse hands out what its time has come for.
func (s *Slots) pulse() {
	s.mu.Lock()
	s.pace.pulsed()
	woken := s.hand()
	s.mu.Unlock()
	wakeAll(woken)
}

// queued reports whether a lane has to wait in turn, since others do.
func (s *Slots) queued(h *Share) bool {
	switch h.queueFor() {
	case &s.prompt:
		return s.prompt.Len() > 0
	case &s.hopeful:
		return s.hopeful.Len() > 0
	case &s.first:
		return s.hopeful.Len()+s.first.Len() > 0
	}
	return s.hopeful.Len()+s.first.Len()+s.more.Len() > 0
}

// allows reports whether a lane may have one more slot now.
func (s *Slots) allows(h *Share) bool {
	switch {
	case s.used >= s.limit:
		return false
	case h.prompt():
		return true
	case h.held == 0:
		return s.rest < s.limit/2
	}
	return s.rest < s.limit/4
}

// hand gives what is free to those who wait, and returns whom to wake.
func (s *Slots) hand() (woken []*Share) {
	for {
		h := s.next()
		if h == nil {
			return woken
		}
		s.others = h.prompt()
		if !h.prompt() {
			s.missed = h.misses == 1
		}
		if s.isPaced(h.queue) {
			s.pace.take(1)
		}
		h.dequeue()
		h.add(1)
		h.granted = 1
		woken = append(woken, h)
	}
}

// next returns who gets the next free slot, nil for nobody.
func (s *Slots) next() *Share {
	order := [...]*list.List{&s.prompt, &s.hopeful, &s.first, &s.more}
	if s.missed {
		order[1], order[2] = order[2], order[1]
	}
	if s.others {
		order[0], order[1], order[2], order[3] = order[1], order[2], order[3], order[0]
	}
	for _, queue := range order {
		e := queue.Front()
		if e == nil || !s.allows(e.Value.(*Share)) {
			continue
		}
		if !s.isPaced(queue) || s.pace.ready(s.pulse) {
			return e.Value.(*Share)
		}
	}
	return nil
}

// isPaced reports whether what is handed to a queue goes at a pace.
func (s *Slots) isPaced(queue *list.List) bool { return queue == &s.first || queue == &s.more }

func (h *Share) prompt() bool { return h.misses == 0 }

func (h *Share) add(n int) {
	h.held += n
	h.slots.used += n
	if !h.prompt() {
		h.slots.rest += n
	}
}

func (h *Share) put(n int) { h.add(-n) }

// queueFor returns where the lane has to wait.
func (h *Share) queueFor() *list.List {
	switch {
	case h.prompt():
		return &h.slots.prompt
	case h.held > 0:
		return &h.slots.more
	case h.misses == 1:
		return &h.slots.hopeful
	}
	return &h.slots.first
}

// enqueue puts the lane at the end of its queue, unless it is in that one already.
func (h *Share) enqueue() {
	queue := h.queueFor()
	if h.place != nil && h.queue == queue {
		return
	}
	h.dequeue()
	h.queue, h.place = queue, queue.PushBack(h)
}

func (h *Share) dequeue() {
	if h.place != nil {
		h.queue.Remove(h.place)
		h.queue, h.place = nil, nil
	}
}

func wakeAll(shares []*Share) {
	for _, h := range shares {
		h.wake()
	}
}
