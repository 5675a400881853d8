package badger

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// declare keeps a text as a declaration; "" forgets it.
func declare(gateway, text string) *data.Declare {
	o := &data.Declare{Gateway: gateway}
	if text != "" {
		o.Declaration = []byte(text)
	}
	return o
}

func TestDeclarationsAreKept(t *testing.T) {
	k := newKept(t)
	k.apply(&data.Batch{Declares: []*data.Declare{declare("b", "1"), declare("a", "2"), declare("b", "3"), declare("c", "4"), declare("c", ""), declare("d", "")}})
	k.apply(&data.Batch{Declares: []*data.Declare{declare("a-b", `{"x":"\u0000"}`)}})
	want := map[string]string{"a": "2", "b": "3", "a-b": `{"x":"\u0000"}`}
	for range 2 {
		if got := k.everyDeclared(); !maps.Equal(got, want) {
			t.Errorf("declared is %v; want %v", got, want)
		}
		k.verify()
		// As after kill -9: what was answered is on disk.
		dir := copyStore(t, k.options.Path)
		k.close()
		k.options.Path = dir
		k.open()
	}
	k.apply(&data.Batch{Declares: []*data.Declare{declare("a", "")}})
	k.reopen()
	if delete(want, "a"); !maps.Equal(k.everyDeclared(), want) {
		t.Errorf("declared is %v; want %v", k.everyDeclared(), want)
	}
	if lanes, err := k.Lanes(); len(lanes) > 0 || err != nil {
		t.Errorf("there are lanes %v, %v", lanes, err)
	}
}

func TestDeclarationsThatAreRefused(t *testing.T) {
	k := newKept(t)
	long := strings.Repeat("g", data.MaxGatewayName)
	ok, name, empty, large := declare(long, "x"), declare(long+"g", "x"), declare("", "x"), declare("large", strings.Repeat("x", valueThreshold))
	k.apply(&data.Batch{Declares: []*data.Declare{name, ok, empty, large}})
	for _, o := range []*data.Declare{name, empty, large} {
		wantErr(t, "declare", o.Err, data.ErrTooLarge)
	}
	if got := k.everyDeclared(); len(got) != 1 || got[long] != "x" || ok.Err != nil {
		t.Errorf("declared is %v, %v", got, ok.Err)
	}
	// Without space nothing is kept, and what is may be forgotten.
	k.low.Store(true)
	more, less := declare("more", "x"), declare(long, "")
	b := &data.Batch{Declares: []*data.Declare{more, less}}
	if err := k.newWriter().apply(b); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "declare without space", more.Err, data.ErrNoSpace)
	if got := k.everyDeclared(); len(got) > 0 || less.Err != nil {
		t.Errorf("declared is %v, %v; want nothing", got, less.Err)
	}
}

// What does not fit into one transaction takes several.
func TestManyDeclarations(t *testing.T) {
	k := newKept(t)
	b := &data.Batch{}
	want := make(map[string]string)
	for i := range 200 {
		o := declare(fmt.Sprint("gateway_", i), strings.Repeat("x", 40_000))
		want[o.Gateway] = string(o.Declaration)
		b.Declares = append(b.Declares, o)
	}
	k.apply(b)
	k.reopen()
	if !maps.Equal(k.everyDeclared(), want) {
		t.Error("not all are kept")
	}
}

// Queues are made anew after a loss; declarations are not part of them.
func TestDeclarationsOutliveALoss(t *testing.T) {
	k := newKept(t)
	zoo(k)
	k.apply(&data.Batch{Declares: []*data.Declare{declare("a", "1")}})
	k.close()
	k.options.AcceptLoss = true
	k.open()
	if got := k.everyDeclared(); got["a"] != "1" {
		t.Errorf("declared is %v", got)
	}
	k.verify()
}

func TestDamagedDeclarationIsReported(t *testing.T) {
	k := newKept(t)
	k.apply(&data.Batch{Declares: []*data.Declare{declare("a", "1")}})
	if err := k.change(func(txn *badger.Txn) error { return txn.Set(declareKey("a"), []byte("wrong")) }); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "Declared", k.Declared(func(data.Declared) error { return nil }), data.ErrDamaged)
	wantErr(t, "Verify", k.Verify(), data.ErrDamaged)
	stop := errors.New("stop")
	k.apply(&data.Batch{Declares: []*data.Declare{declare("a", "2"), declare("b", "3")}})
	seen := 0
	wantErr(t, "Declared", k.Declared(func(data.Declared) error { seen++; return stop }), stop)
	if seen != 1 {
		t.Errorf("visited %d; want 1", seen)
	}
}
