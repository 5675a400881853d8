package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"sync/atomic"

	"github.com/postrider/postrider/data"
)

// ackedFile remembers outside of Badger how far the store has acknowledged. It
// is written after each commit and before anybody is answered, without a flush
// of its own: after a crash of the process it is exact, after a power cut at
// most a second behind, and never ahead of what the store was made to flush. A
// store that opens with less has lost something.
type ackedFile struct {
	f       *os.File
	written atomic.Uint64
	flushed uint64 // only sync touches it
}

const ackedSize = 8 + crc32.Size

// createAcked makes the file durable with nothing acknowledged.
func createAcked(path string) error {
	return writeDurably(path, encodeAcked(0))
}

// openAcked opens the file and returns the last acknowledged commit.
func openAcked(path string) (*ackedFile, uint64, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("open %s: the file is missing: %w", path, data.ErrDamaged)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open %s: %w", path, err)
	}
	var b [ackedSize + 1]byte
	n, _ := f.ReadAt(b[:], 0)
	commit := binary.BigEndian.Uint64(b[:])
	if n != ackedSize || [ackedSize]byte(b[:ackedSize]) != [ackedSize]byte(encodeAcked(commit)) {
		return nil, 0, fmt.Errorf("read %s: %w", path, errors.Join(data.ErrDamaged, f.Close()))
	}
	a := &ackedFile{f: f, flushed: commit}
	a.written.Store(commit)
	return a, commit, nil
}

func encodeAcked(commit uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, commit)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func (a *ackedFile) write(commit uint64) error {
	if _, err := a.f.WriteAt(encodeAcked(commit), 0); err != nil {
		return fmt.Errorf("note commit %d as acknowledged: %w", commit, err)
	}
	a.written.Store(commit)
	return nil
}

// sync flushes what was written since the last call. One goroutine calls it.
func (a *ackedFile) sync() error {
	written := a.written.Load()
	if written == a.flushed {
		return nil
	}
	if err := a.f.Sync(); err != nil {
		return fmt.Errorf("flush the acknowledged commit: %w", err)
	}
	a.flushed = written
	return nil
}

func (a *ackedFile) close() error { return errors.Join(a.sync(), a.f.Close()) }
