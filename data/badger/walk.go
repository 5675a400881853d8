package badger

import (
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// Badger passes what was deleted in silence, millions of keys, unless it is asked for
// every version of a key. So whoever has to stay within a bound where much may have been
// deleted walks, and counts that like all else.

// walk goes through the records of a kind from an id on and hands each to visit: nil for
// one that was deleted.
func walk(txn *badger.Txn, prefix byte, from data.ID, visit func(id data.ID, item *badger.Item) error) error {
	it := newWalker(txn, prefix, false)
	defer it.Close()
	var prior data.ID
	for it.Seek(appendID([]byte{prefix}, from)); it.Valid(); it.Next() {
		item := it.Item()
		id, ok := parseIDKey(item.Key())
		if !ok {
			return damaged(item.Key(), "has a malformed key")
		}
		if id == prior {
			continue // an older version: the newest comes first
		}
		prior = id
		if item.IsDeletedOrExpired() {
			item = nil
		}
		if err := visit(id, item); err != nil {
			return unlessEnough(err)
		}
	}
	return nil
}

// walkBack is walk from an id down. There the newest version of a key comes last, so each
// record is handed over when the next one has been met.
func walkBack(txn *badger.Txn, prefix byte, from data.ID, visit func(id data.ID, item *badger.Item) error) error {
	it := newWalker(txn, prefix, true)
	defer it.Close()
	var met data.ID
	deleted := false
	handOver := func() error {
		if deleted {
			return visit(met, nil)
		}
		item, err := txn.Get(appendID([]byte{prefix}, met))
		if err != nil {
			return fmt.Errorf("read record %c of %s: %w", prefix, met, err)
		}
		return visit(met, item)
	}
	for it.Seek(appendID([]byte{prefix}, from)); it.Valid(); it.Next() {
		item := it.Item()
		id, ok := parseIDKey(item.Key())
		if !ok {
			return damaged(item.Key(), "has a malformed key")
		}
		if id != met && met != 0 {
			if err := handOver(); err != nil {
				return unlessEnough(err)
			}
		}
		met, deleted = id, item.IsDeletedOrExpired()
	}
	if met == 0 {
		return nil
	}
	return unlessEnough(handOver())
}

func newWalker(txn *badger.Txn, prefix byte, back bool) *badger.Iterator {
	o := badger.DefaultIteratorOptions
	o.Prefix = []byte{prefix}
	o.PrefetchValues = false
	o.AllVersions = true
	o.Reverse = back
	return txn.NewIterator(o)
}
