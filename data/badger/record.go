package badger

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/postrider/postrider/data"
)

// Every value is: a version byte, a CRC-32C over key, version and fields, then
// the fields. A field is a tagged value in the protocol-buffers wire format, so
// a reader passes over fields it does not know and later versions can add some
// without a new version byte. The checksum covers the key: a value that turns
// up under another key is as wrong as a flipped bit.
const (
	recordVersion = 1
	sealSize      = 1 + crc32.Size
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// newRecord starts a value: room for the seal, then size bytes of fields.
func newRecord(size int) []byte {
	return append(make([]byte, 0, sealSize+size), recordVersion, 0, 0, 0, 0)
}

// seal completes a value that newRecord started.
func seal(key, value []byte) []byte {
	binary.BigEndian.PutUint32(value[1:], checksum(key, value))
	return value
}

// unseal returns the fields of a value, or [data.ErrDamaged].
func unseal(key, value []byte) ([]byte, error) {
	switch {
	case len(value) < sealSize:
		return nil, damaged(key, "is too short")
	case binary.BigEndian.Uint32(value[1:]) != checksum(key, value):
		return nil, damaged(key, "has a wrong checksum")
	case value[0] != recordVersion:
		return nil, fmt.Errorf("record %x has version %d: %w", key, value[0], data.ErrNewerFormat)
	}
	return value[sealSize:], nil
}

func checksum(key, value []byte) uint32 {
	sum := crc32.Update(0, castagnoli, key)
	sum = crc32.Update(sum, castagnoli, value[:1])
	return crc32.Update(sum, castagnoli, value[sealSize:])
}

func damaged(key []byte, what string) error {
	return fmt.Errorf("record %x %s: %w", key, what, data.ErrDamaged)
}

// appendUint leaves a zero out: an absent field reads as zero.
func appendUint(b []byte, tag protowire.Number, n uint64) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, tag, protowire.VarintType), n)
}

func appendBool(b []byte, tag protowire.Number, v bool) []byte {
	return appendUint(b, tag, protowire.EncodeBool(v))
}

func appendBytes(b []byte, tag protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, tag, protowire.BytesType), v)
}

// eachField unseals a value and visits its fields: a number in n, all else in b.
func eachField(key, value []byte, visit func(tag protowire.Number, n uint64, b []byte) error) error {
	fields, err := unseal(key, value)
	if err != nil {
		return err
	}
	return eachFieldOf(key, fields, visit)
}

func eachFieldOf(key, fields []byte, visit func(tag protowire.Number, n uint64, b []byte) error) error {
	for len(fields) > 0 {
		tag, kind, size := protowire.ConsumeTag(fields)
		if size < 0 {
			return damaged(key, "has a malformed field")
		}
		fields = fields[size:]
		var n uint64
		var b []byte
		switch kind {
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(fields)
		case protowire.BytesType:
			b, size = protowire.ConsumeBytes(fields)
		default:
			size = protowire.ConsumeFieldValue(tag, kind, fields)
		}
		if size < 0 {
			return damaged(key, "has a malformed field")
		}
		if err := visit(tag, n, b); err != nil {
			return err
		}
		fields = fields[size:]
	}
	return nil
}

func wall(ms uint64) time.Time { return time.UnixMilli(int64(ms)).UTC() }
