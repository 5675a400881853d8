package badger

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/postrider/postrider/data"
)

// declare keeps a declaration or forgets one. To forget takes no space to speak of,
// so it is done also while nothing new is taken.
func (w *writer) declare(o *data.Declare) error {
	switch {
	case o.Declaration != nil && w.s.low.Load():
		o.Err = data.ErrNoSpace
		return nil
	case len(o.Gateway) == 0 || len(o.Gateway) > data.MaxGatewayName, len(o.Declaration)+1024 > valueThreshold:
		o.Err = data.ErrTooLarge
		return nil
	}
	if err := w.must(func(*transaction) cost { return declarePrice(o) }); err != nil {
		return err
	}
	k := declareKey(o.Gateway)
	if o.Declaration == nil {
		return w.t.delete(k)
	}
	return w.t.set(k, encodeDeclared(k, o.Declaration))
}

// Declared visits all declarations that are kept, by name. An error ends the visit.
func (s *Store) Declared(visit func(data.Declared) error) error {
	err := s.scan([]byte{prefixDeclare}, nil, func(k, v []byte) error {
		d, err := decodeDeclared(k, v)
		if err != nil {
			return err
		}
		return visit(d)
	})
	if err != nil {
		return fmt.Errorf("read declarations: %w", err)
	}
	return nil
}

func encodeDeclared(key, declaration []byte) []byte {
	return seal(key, appendBytes(newRecord(len(declaration)+8), 1, declaration))
}

func decodeDeclared(key, value []byte) (d data.Declared, err error) {
	var ok bool
	if d.Gateway, ok = parseDeclareKey(key); !ok {
		return d, damaged(key, "is no declaration")
	}
	err = eachField(key, value, func(tag protowire.Number, _ uint64, b []byte) error {
		if tag == 1 {
			d.Declaration = bytes.Clone(b)
		}
		return nil
	})
	return d, err
}
