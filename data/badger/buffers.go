package badger

import (
	"reflect"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/ristretto/v2/z"
)

// Badger makes tables in buffers that grow, and keeps eight sets of them for later
// ones, never less than what the largest table needed that a set was used for: after
// a minute of heavy writing some 300 MiB, of which most tables use a hundredth. Each
// set that it lays by is therefore taken from it again, for the collector to have.
//
// There is no option for it, so the channel that it keeps them in is read; a test says
// if an upgrade takes it away, and then more memory is used and nothing else is wrong.

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

// freeBuffers takes what Badger lays by until the store is closed.
func (s *Store) freeBuffers() {
	kept := laidBy(s.db)
	for {
		select {
		case <-s.stop:
			return
		case set, ok := <-kept:
			if !ok {
				return
			}
			set.Release()
		}
	}
}
