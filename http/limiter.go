package httpapi

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxFailures is how many wrong keys an address may send in a row.
	maxFailures = 10
	// failureBack is how long it takes until it may send one more.
	failureBack = 6 * time.Second
	// maxAddresses bounds how many addresses are remembered.
	maxAddresses = 10_000
)

// failures counts the wrong keys of each address, so that keys cannot be guessed
// at speed. It remembers the key that was right last, too: who has that one is let
// in whatever others behind the same address do.
type failures struct {
	mu     sync.Mutex
	known  map[netip.Prefix]*list.Element // of *guesser
	recent *list.List                     // the newest first
	most   int
}

// guesser is one address.
type guesser struct {
	from  netip.Prefix
	left  float64 // failures that it has left, as of at
	at    time.Time
	right keySum // the key that was right last
	had   bool   // whether there was one
	told  bool   // that it is locked out; until all is forgotten
}

func newFailures() *failures {
	return &failures{known: make(map[netip.Prefix]*list.Element), recent: list.New(), most: maxAddresses}
}

// verdict is what came of a key.
type verdict struct {
	caller *caller       // nil when it was refused
	wait   time.Duration // when it was not even looked at: for how long that goes on
	locked bool          // whether the address was locked out by this one
}

// judge looks a key up, unless the address has sent too many wrong ones. It all
// happens in one go: requests that come at once get no more tries than others.
func (f *failures) judge(from netip.Prefix, sum keySum, now time.Time, find func(keySum) *caller) verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	var g *guesser
	if found, ok := f.known[from]; ok {
		g = found.Value.(*guesser)
		f.recent.MoveToFront(found)
		g.refill(now)
		if known := g.had && g.right == sum; !known && g.left < 1 {
			return verdict{wait: time.Duration((1 - g.left) * float64(failureBack))}
		}
	} else {
		g = f.add(from, now)
	}
	if who := find(sum); who != nil {
		g.right, g.had = sum, true
		return verdict{caller: who}
	}
	if g.had && g.right == sum {
		g.had = false // it was taken away meanwhile
	}
	g.left = max(g.left-1, 0)
	locked := g.left < 1 && !g.told
	g.told = g.told || locked
	return verdict{locked: locked}
}

// add remembers an address, in place of the one that was not seen for longest.
func (f *failures) add(from netip.Prefix, now time.Time) *guesser {
	if f.recent.Len() >= f.most {
		oldest := f.recent.Back()
		delete(f.known, oldest.Value.(*guesser).from)
		f.recent.Remove(oldest)
	}
	g := &guesser{from: from, left: maxFailures, at: now}
	f.known[from] = f.recent.PushFront(g)
	return g
}

func (g *guesser) refill(now time.Time) {
	if passed := now.Sub(g.at); passed > 0 {
		g.left = min(g.left+float64(passed)/float64(failureBack), maxFailures)
		g.at = now
	}
	if g.left == maxFailures {
		g.told = false
	}
}

// addressOf returns whom a connection is from: one IPv4 address, or the network of
// an IPv6 one, since whoever has one of those has all of them. Headers that proxies
// write say nothing here, as clients can write them as well.
func addressOf(remote net.Addr) netip.Prefix {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	network, _ := addr.Prefix(bits) // fails only for what is no address
	return network
}
