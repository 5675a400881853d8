package main

import (
	"fmt"
	"math"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/postrider/postrider/config"
)

// What gateways that are declared over the API take is within what the limit has for
// them, also where little is said and much comes of it.
func TestMemoryOfDeclarations(t *testing.T) {
	repeated := func(n int, text string) string { return strings.TrimSuffix(strings.Repeat(text+",", n), ",") }
	for name, c := range map[string]struct {
		n    int
		of   string // %d is its number
		most int    // bytes for each; 0 for what the limit has
	}{
		"a URL":    {1000, `{"url":"https://example.org/hooks/%d"}`, 1500},
		"telegram": {1000, `{"preset":"telegram","settings":{"token":"12:%d","chat_id":"1"}}`, 3000},
		"of its own": {1000, `{"url":"https://example.org/%d","headers":{"X-Key":"secret"},"success":{"status":[200]},"rate":10,
			"body":{"json":{"text":"{{message}}","to":"{{to}}","nested":{"a":[1,2,3],"b":"{{title}}"}}}}`, 3000},
		"a text":    {20, `{"url":"https://example.org/%d","body":{"text":"` + strings.Repeat("x", 60<<10) + `"}}`, 0},
		"templates": {20, `{"url":"https://example.org/%d","body":{"json":[` + repeated(5000, `"{{?to}}"`) + `]}}`, 0},
		"settings":  {20, `{"url":"https://example.org/%d","settings":{"a":"` + strings.Repeat("é", 2000) + `"},"body":{"json":[` + repeated(100, `"{{settings.a}}"`) + `]}}`, 0},
	} {
		// What earlier tests left may be given back meanwhile, and seem to be less taken.
		for try := 1; ; try++ {
			n, grown, weight := takenByDeclared(t, c.n, c.of)
			room := needs{gateways: n, weight: weight}.limit() - memoryOfAll
			t.Logf("%s: %d take %d B each, and have %d; they weigh %d", name, n, grown/int64(n), room/int64(n), weight/n)
			if n != c.n || grown > room || c.most > 0 && grown/int64(n) > int64(c.most) {
				t.Errorf("%s: %d take %d bytes, and the limit has %d for them", name, n, grown, room)
			}
			if weight <= int(grown) {
				break
			}
			if try == 5 {
				t.Errorf("%s: they weigh %d, and take %d", name, weight, grown)
				break
			}
		}
	}
}

// takenByDeclared compiles gateways, and says how many bytes they take and weigh.
func takenByDeclared(t *testing.T, most int, of string) (n int, grown int64, weight int) {
	t.Helper()
	m, delivery := newMade(), config.Default().Delivery
	before := live()
	for i := range most {
		name := fmt.Sprintf("gateway_%d", i)
		e, wrong := m.compile(name, fmt.Sprintf(of, i), delivery, nil)
		if len(wrong) > 0 {
			t.Fatal(wrong)
		}
		if m.reserve(e, nil) {
			m.put(e)
		}
	}
	grown = live() - before
	n, weight = m.size()
	runtime.KeepAlive(m)
	return n, grown, weight
}

// live returns the bytes that are in use, once what earlier tests left is gone: pools and
// finalizers need some collections.
func live() int64 {
	var m runtime.MemStats
	for before := uint64(math.MaxUint64); ; before = m.HeapAlloc {
		runtime.GC()
		runtime.ReadMemStats(&m)
		if m.HeapAlloc+64<<10 > before {
			return int64(m.HeapAlloc)
		}
	}
}

// The limit of memory knows what is declared over the API.
func TestMemoryLimitFollowsDeclarations(t *testing.T) {
	t.Parallel()
	p := start(t, settings(t), nil)
	limit := func() int64 {
		m := &p.process.memory
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.set
	}
	before := limit()
	body := `{"url":"https://example.org/","settings":{"a":"` + strings.Repeat("x", 60<<10) + `"},"body":{"json":[` +
		strings.Repeat(`"{{settings.a}}",`, 20) + `""]}}`
	n := memoryStep/memoryOfByte/(20*60<<10) + 1
	for i := range n {
		p.declares(t, "long_"+strings.Repeat("x", i), body, http.StatusCreated)
	}
	if grown := limit() - before; grown < memoryStep {
		t.Errorf("the limit grew by %d bytes for %d gateways, want %d at least", grown, n, memoryStep)
	}
	for i := range n {
		p.undeclares(t, "long_"+strings.Repeat("x", i), http.StatusNoContent)
	}
	if grown := limit() - before; grown >= memoryStep {
		t.Errorf("the limit is %d bytes higher once they are gone", grown)
	}
}

// It is not set for each gateway.
func TestMemoryLimitMovesInSteps(t *testing.T) {
	l := &memoryLimit{set: 1 << 60} // as it is for nobody
	t.Setenv("GOMEMLIMIT", "off")
	l.follow(needs{memtable: 16 << 20})
	was := l.set
	if want := int64(272 << 20); was != want {
		t.Errorf("the limit is %d, want %d", was, want)
	}
	l.follow(needs{memtable: 16 << 20, gateways: memoryStep/memoryOfGateway - 1})
	if l.set != was {
		t.Errorf("the limit is set anew for %d bytes", l.set-was)
	}
	l.follow(needs{memtable: 16 << 20, gateways: memoryStep / memoryOfGateway})
	if l.set != was+memoryStep {
		t.Errorf("the limit is %d, want %d", l.set, was+memoryStep)
	}
}
