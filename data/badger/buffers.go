package badger

import (
	"reflect"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/ristretto/v2/z"
)

// Badger makes tables in sets of buffers that grow, and lays by eight sets for later
// ones. It makes a new set twice as large as the table is expected to get, which
// is 256 MiB where young tables are merged with each other; and a set that was used for
// a large table stays large. After a minute of heavy writing some 300 MiB lived, of
// which most tables use a hundredth. So what is laid by is always full of small sets,
// which grow to what is needed: Badger takes those, and lets go of the ones that it
// has used, since it has no place for them.
//
// There is no option for it, so the channel that it keeps them in is written to; a test
// says if an upgrade takes it away, and then more memory is used and nothing else is
// wrong.

// smallSet is how many bytes a set has at first; each buffer more is twice as large as
// the one before.
const smallSet = 64 << 10

// laidBy returns the channel, or nil.
func laidBy(db *badger.DB) chan *z.Allocator {
	pool := reflect.ValueOf(db).Elem().FieldByName("allocPool")
	if !pool.IsValid() || pool.Kind() != reflect.Pointer || pool.IsNil() {
		return nil
	}
	kept := pool.Elem().FieldByName("allocCh")
	if !kept.IsValid() || kept.Type() != reflect.TypeFor[chan *z.Allocator]() {
		return nil
	}
	// What is not exported can be read where it is, though not as a value.
	return *(*chan *z.Allocator)(kept.Addr().UnsafePointer())
}

// laying keeps what Badger lays by full.
type laying struct {
	stop chan struct{}
	once sync.Once
	done sync.WaitGroup
}

func lay(db *badger.DB) *laying {
	l := &laying{stop: make(chan struct{})}
	kept := laidBy(db)
	l.done.Go(func() {
		for {
			select {
			case <-l.stop:
				return
			case kept <- z.NewAllocator(smallSet, "TableBuilder"):
			}
		}
	})
	return l
}

// end comes before Badger is closed, which closes the channel.
func (l *laying) end() {
	l.once.Do(func() { close(l.stop) })
	l.done.Wait()
}
