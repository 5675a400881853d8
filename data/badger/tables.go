package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/table"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/postrider/postrider/data"
)

// checkFiles looks at Badger's files before Badger does: a damaged table makes
// it panic in a goroutine of its own, and it does not start on a log that a crash
// left empty. A table is: blocks, index, size of the index, checksum of the
// index, size of that checksum; a block ends with its checksum and its size.
// It returns the manifest, an empty one if the store is new.
func checkFiles(dir string, o badger.Options) (manifest badger.Manifest, err error) {
	if err := dropEmptyLogs(dir); err != nil {
		return manifest, err
	}
	manifest, err = readManifest(dir, o)
	if errors.Is(err, fs.ErrNotExist) {
		return badger.Manifest{}, orphans(dir)
	}
	if err != nil {
		return manifest, fmt.Errorf("check tables: %w", err)
	}
	var buf []byte
	for id := range manifest.Tables {
		if buf, err = checkTable(table.NewFilename(id, dir), buf); err != nil {
			return manifest, fmt.Errorf("check tables: %w", err)
		}
	}
	return manifest, nil
}

// orphans reports files that only a manifest can make sense of. Badger would take
// the store for a new one and delete them.
func orphans(dir string) error {
	for _, pattern := range []string{"*.sst", "*.mem"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return fmt.Errorf("look for tables: %w", err)
		}
		if len(files) > 0 {
			return fmt.Errorf("%s is missing: %w", filepath.Join(dir, badger.ManifestFilename), data.ErrDamaged)
		}
	}
	return nil
}

// dropEmptyLogs removes logs that have no byte. A crash leaves one between making
// the file and giving it its size. If it was longer once, the commits in it will
// be missed.
func dropEmptyLogs(dir string) error {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list logs: %w", err)
	}
	for _, file := range files {
		path := filepath.Join(dir, file.Name())
		if ext := filepath.Ext(path); ext != ".mem" && ext != ".vlog" {
			continue
		}
		info, err := file.Info()
		if err == nil && info.Size() == 0 {
			err = os.Remove(path)
		}
		if err != nil {
			return fmt.Errorf("drop an empty log: %w", err)
		}
	}
	return nil
}

// gaveUp is why reading what was damaged ended in a panic, in words for people: what
// the runtime has to say is not.
func gaveUp(cause any) string {
	if _, ok := cause.(runtime.Error); ok {
		return "what is in it makes no sense"
	}
	return fmt.Sprint(cause)
}

// checkTable compares every checksum of a table. It reads into buf, which it
// returns for the next one: a table is smaller than a few memtables.
func checkTable(path string, buf []byte) (_ []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("table %s: %s: %w", path, gaveUp(r), data.ErrDamaged)
		}
	}()
	buf, err = readInto(path, buf)
	if err != nil {
		return buf, err
	}
	bad := fmt.Errorf("table %s has a wrong checksum: %w", path, data.ErrDamaged)
	rest, sum, ok := cutChecksum(buf)
	if !ok || len(rest) < 4 {
		return buf, bad
	}
	rest, size := rest[:len(rest)-4], binary.BigEndian.Uint32(rest[len(rest)-4:])
	if size == 0 || uint64(size) > uint64(len(rest)) { // of zeros the checksum of nothing is right
		return buf, bad
	}
	index := rest[len(rest)-int(size):]
	if crc32.Checksum(index, castagnoli) != sum {
		return buf, bad
	}
	root := fb.GetRootAsTableIndex(index, 0)
	for i := range root.OffsetsLength() {
		var b fb.BlockOffset
		if !root.Offsets(&b, i) || uint64(b.Offset())+uint64(b.Len()) > uint64(len(rest)) {
			return buf, bad
		}
		block, sum, ok := cutChecksum(rest[b.Offset() : b.Offset()+b.Len()])
		if !ok || crc32.Checksum(block, castagnoli) != sum {
			return buf, bad
		}
	}
	return buf, nil
}

// cutChecksum cuts a checksum and its size from the end.
func cutChecksum(b []byte) (rest []byte, sum uint32, ok bool) {
	if len(b) < 4 {
		return nil, 0, false
	}
	rest, size := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if uint64(size) > uint64(len(rest)) {
		return nil, 0, false
	}
	rest, fields := rest[:len(rest)-int(size)], rest[len(rest)-int(size):]
	// Field 1, left out when it is zero, is the algorithm: zero is CRC-32C.
	err := eachFieldOf(nil, fields, func(tag protowire.Number, n uint64, _ []byte) error {
		switch {
		case tag == 1 && n == 0:
		case tag == 2 && n <= math.MaxUint32:
			sum = uint32(n)
		default:
			return data.ErrDamaged
		}
		return nil
	})
	return rest, sum, err == nil
}

func readInto(path string, buf []byte) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return buf, err
	}
	info, err := f.Stat()
	if err != nil {
		return buf, errors.Join(err, f.Close())
	}
	if size := int(info.Size()); cap(buf) < size {
		buf = make([]byte, size)
	} else {
		buf = buf[:size]
	}
	_, err = f.ReadAt(buf, 0)
	return buf, errors.Join(err, f.Close())
}
