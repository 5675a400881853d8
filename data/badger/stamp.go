package badger

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/postrider/postrider/data"
)

// schema is the version of the layout: keys, records, and what they mean. Format 1
// had the keys in another order; no release wrote it, so nothing takes it on.
const schema = 2

// known says whether this program can read a format; what names what has it.
func known(what string, format int) error {
	switch {
	case format > schema:
		return fmt.Errorf("%s has format %d, this program knows up to %d: %w", what, format, schema, data.ErrNewerFormat)
	case format < 1:
		return fmt.Errorf("%s has format %d, there is none: %w", what, format, data.ErrDamaged)
	case format < schema:
		return fmt.Errorf("%s has format %d, this program knows %d: %w", what, format, schema, data.ErrOlderFormat)
	}
	return nil
}

// stamp is fixed when a store is created. It stands in a file beside Badger's,
// because it must be known before Badger may be opened: with a smaller memtable
// than a store was left with, Badger cannot start on it.
type stamp struct {
	Schema   int    `json:"schema"`
	Memtable int64  `json:"memtable_bytes"`
	Ring     uint32 `json:"commit_ring"`
	// Since is the first commit whose marker must be there. It rises when an
	// operator accepts that earlier ones were lost.
	Since uint64 `json:"complete_since"`
	// Epoch is the least one in which ids are given. It rises at the same time.
	Epoch uint16 `json:"epoch"`
}

// stampFile is the file of a stamp: its bytes as they are, and their checksum.
type stampFile struct {
	Store json.RawMessage `json:"store"`
	Sum   uint32          `json:"crc32c"`
}

// The ring of commit markers must be longer than what the memtables can hold:
// what a damaged memtable log loses is the end of that log, and later logs, with
// later commits, may still be there. There are at most memtables of them at a
// time, and a commit takes at least minCommit bytes in one: a marker and the
// record of an event without type and payload, with their skip-list nodes.
const (
	numMemtables = 2
	memtables    = numMemtables + 2 // queued, the one being flushed, the one being written
	minCommit    = 128
)

func newStamp(memtable int64) stamp {
	return stamp{Schema: schema, Memtable: memtable, Ring: uint32(memtables * memtable / minCommit), Since: 1}
}

func readStamp(path string) (stamp, error) {
	var s stamp
	b, err := os.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("read %s: %w", path, err)
	}
	var f stampFile
	if err := json.Unmarshal(b, &f); err != nil {
		return s, fmt.Errorf("read %s: %w: %w", path, err, data.ErrDamaged)
	}
	if crc32.Checksum(f.Store, castagnoli) != f.Sum {
		return s, fmt.Errorf("read %s: it has a wrong checksum: %w", path, data.ErrDamaged)
	}
	if err := json.Unmarshal(f.Store, &s); err != nil {
		return s, fmt.Errorf("read %s: %w: %w", path, err, data.ErrDamaged)
	}
	if err := known(path, s.Schema); err != nil {
		return s, err
	}
	if s.Memtable < MinMemtable || s.Memtable > MaxMemtable || s.Ring == 0 || s.Since == 0 {
		return s, fmt.Errorf("read %s: a value is out of range: %w", path, data.ErrDamaged)
	}
	return s, nil
}

func (s stamp) write(path string) error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	b, err = json.Marshal(stampFile{Store: b, Sum: crc32.Checksum(b, castagnoli)})
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return writeDurably(path, append(b, '\n'))
}

// writeDurably replaces a file so that after any crash either the old or the
// new content is there.
func writeDurably(path string, content []byte) (err error) {
	temporary := path + ".new"
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// makeDir makes a directory that is still there after a power cut: so must be
// the entry of each directory above it that was made along with it.
func makeDir(path string) error {
	made, err := missing(path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	for _, dir := range made {
		if err := syncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	return nil
}

// missing lists a directory and those above it that are not there, the deepest first.
func missing(path string) (dirs []string, err error) {
	for at := filepath.Clean(path); ; at = filepath.Dir(at) {
		there, err := exists(at)
		if err != nil || there {
			return dirs, err
		}
		dirs = append(dirs, at)
	}
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("flush directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("flush directory %s: %w", path, err)
	}
	return nil
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
