package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
)

// made is the gateways that are declared over the API, compiled. They are apart from
// those of the configuration, so that one more costs the same however many there are.
// Any goroutine may read it; it is changed by the declarer and, while that one
// waits, by a reload.
type made struct {
	preset config.Preset // one call at a time
	fixed  sync.Mutex    // guards preset

	mu      sync.RWMutex
	entries map[string]madeEntry
	weight  int      // of them, and of what is about to be
	coming  int      // entries that are about to be, as far as they are new
	names   []string // sorted; nil after a change, until somebody asks
}

// madeEntry is a gateway with what it was declared as.
type madeEntry struct {
	entry
	declaration string
}

// weight is about how many bytes of memory it takes beyond what every gateway does.
func (e madeEntry) weight() int {
	if e.dialect == nil {
		return len(e.declaration)
	}
	return len(e.declaration) + e.dialect.Weight()
}

func newMade() *made {
	return &made{preset: presets(), entries: make(map[string]madeEntry)}
}

// get returns a gateway, whether or not the configuration hides it.
func (m *made) get(name string) (madeEntry, bool) {
	if m == nil {
		return madeEntry{}, false
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	e, ok := m.entries[name]
	return e, ok
}

func (m *made) entry(name string) (entry, bool) {
	e, ok := m.get(name)
	return e.entry, ok
}

func (m *made) len() int {
	n, _ := m.size()
	return n
}

// size returns how many there are, and how much they weigh.
func (m *made) size() (n, weight int) {
	if m == nil {
		return 0, 0
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.entries), m.weight
}

// gateways lists all of them by name.
func (m *made) gateways() []data.Gateway {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.names == nil {
		m.names = slices.Sorted(maps.Keys(m.entries))
	}
	all := make([]data.Gateway, len(m.names))
	for i, name := range m.names {
		all[i] = m.entries[name].shown
	}
	return all
}

// reserve makes room for a gateway in place of another one, nil for none, until put or
// giveUp. It is false when there is none.
func (m *made) reserve(next madeEntry, before *madeEntry) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	more := next.weight()
	if before != nil {
		more -= before.weight()
	} else if len(m.entries)+m.coming >= data.MaxDeclared {
		return false
	}
	if more > 0 && m.weight+more > data.MaxDeclaredBytes {
		return false
	}
	m.weight += more
	if before == nil {
		m.coming++
	}
	return true
}

// giveUp takes back what was reserved.
func (m *made) giveUp(next madeEntry, before *madeEntry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.weight -= next.weight()
	if before != nil {
		m.weight += before.weight()
	} else {
		m.coming--
	}
}

// put takes in a gateway for which there is room.
func (m *made) put(e madeEntry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.entries[e.shown.Name]; !known {
		m.coming--
	}
	m.entries[e.shown.Name], m.names = e, nil
}

func (m *made) remove(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.weight -= m.entries[name].weight()
	delete(m.entries, name)
	m.names = nil
}

// load takes in what the store has. It is for the start: nothing is refused.
func (m *made) load(d data.Declared, delivery config.Delivery) config.Mistakes {
	e, wrong := m.compile(d.Gateway, string(d.Declaration), delivery, nil)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries[d.Gateway], m.names = e, nil
	m.weight += e.weight()
	return wrong
}

// renewal is the gateways of made compiled for what is to hold for every gateway,
// beside those that are in force.
type renewal struct {
	delivery config.Delivery
	entries  map[string]renewed
}

type renewed struct {
	madeEntry
	before madeEntry // what it was made of
	wrong  config.Mistakes
}

func newRenewal(delivery config.Delivery) *renewal {
	return &renewal{delivery: delivery, entries: make(map[string]renewed)}
}

// catchUp compiles of the gateways that there are now those that r does not have as
// they are, until ctx ends. Called again it is quick, unless much changed meanwhile.
func (m *made) catchUp(ctx context.Context, r *renewal) error {
	m.mu.RLock()
	now := maps.Clone(m.entries)
	m.mu.RUnlock()
	maps.DeleteFunc(r.entries, func(name string, _ renewed) bool { _, ok := now[name]; return !ok })
	for name, e := range now {
		if done, ok := r.entries[name]; ok && done.before.dialect == e.dialect && done.before.declaration == e.declaration {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		next, wrong := m.compile(name, e.declaration, r.delivery, e.dialect)
		r.entries[name] = renewed{next, e, wrong}
	}
	return nil
}

// renew puts in force what was compiled anew, of all gateways that there are. None is
// about to be.
func (m *made) renew(r *renewal) (all config.Mistakes) {
	entries, weight := make(map[string]madeEntry, len(r.entries)), 0
	for _, name := range slices.Sorted(maps.Keys(r.entries)) {
		entries[name] = r.entries[name].madeEntry
		weight += entries[name].weight()
		all = append(all, r.entries[name].wrong...)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries, m.weight = entries, weight
	return all
}

// declaration reads how a gateway is declared.
func (m *made) declaration(name string, delivery config.Delivery) (config.ResolvedGateway, dialect.Declaration, error) {
	e, ok := m.get(name)
	if !ok {
		return config.ResolvedGateway{}, dialect.Declaration{}, data.ErrNotFound
	}
	return m.read(name, e.declaration, delivery)
}

func (m *made) read(name, declaration string, delivery config.Delivery) (config.ResolvedGateway, dialect.Declaration, error) {
	own, err := delivery.ReadGateway([]byte(declaration), func(name string, gateway map[string]any) (map[string]any, []string, bool) {
		m.fixed.Lock()
		defer m.fixed.Unlock()
		return m.preset(name, gateway)
	})
	g := delivery.Resolve(name, own)
	d := declare(g, "")
	d.Guarded = true
	return g, d, err
}

// compile makes a gateway of its declaration. One that cannot be used has its problem
// with it, and the mistakes say the same below gateways.NAME.
func (m *made) compile(name, declaration string, delivery config.Delivery, known *dialect.Dialect) (madeEntry, config.Mistakes) {
	g, d, err := m.read(name, declaration, delivery)
	if err == nil {
		e, wrong := newEntry(g, d, known)
		return madeEntry{e, declaration}, wrong
	}
	wrong, ok := errors.AsType[config.Mistakes](err)
	if !ok {
		wrong = config.Mistakes{{Problem: "cannot be read"}} // a bug, and no value gets into a text
	}
	unread := data.Gateway{Name: name, Origin: data.OriginAPI, Problem: strings.TrimPrefix(wrong.Error(), ": ")}
	for i, w := range wrong {
		wrong[i].Path = below(name, w.Path)
	}
	return madeEntry{entry{shown: unread}, declaration}, wrong
}

// below puts the key path of a gateway before a path in its declaration.
func below(name, path string) string {
	switch {
	case path == "":
		return "gateways." + name
	case path[0] == '[':
		return "gateways." + name + path
	}
	return "gateways." + name + "." + path
}
