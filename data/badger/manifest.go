package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
)

// A change of the manifest is written and then flushed. When the flush fails,
// Badger deletes the tables that were made for the change and keeps what they were
// made of, a log or other tables; but the change is in the file, or may be. That
// last change is then taken back: it is so if every table that it made is missing,
// and no other one.
//
// Nothing can get lost unnoticed by that. Badger deletes what tables were made of
// only after the flush. So if one is missing for another reason, either a table
// that it was made of is missing too, and the store is damaged; or it was made of
// a log that is gone, and with it the markers of its commits, which are among the
// newest.

// readManifest reads the manifest, without a last change that was not flushed.
func readManifest(dir string, o badger.Options) (badger.Manifest, error) {
	path := filepath.Join(dir, badger.ManifestFilename)
	m, end, err := replayManifest(path, o)
	if err != nil {
		return m, err
	}
	whole, err := hasTables(dir, m)
	if whole || err != nil {
		return m, err // or a table is read, which says which
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return m, err
	}
	last := lastChange(b)
	if last == 0 || end != int64(len(b)) {
		return m, nil
	}
	trial := path + ".before"
	before, err := replayWithout(trial, b[:last], o)
	if err := errors.Join(err, os.Remove(trial)); err != nil {
		return m, err
	}
	whole, err = hasTables(dir, before)
	if !whole || err != nil {
		return m, err
	}
	// Badger deletes all tables of such a change. A manifest that was written anew is
	// one change with all tables in it, and one of them may be missing.
	for id := range m.Tables {
		if _, known := before.Tables[id]; known {
			continue
		}
		if there, err := exists(table.NewFilename(id, dir)); there || err != nil {
			return m, err
		}
	}
	o.Logger.Warningf("the last change of the manifest could not be flushed and is taken back: of %d tables %d are left", len(m.Tables), len(before.Tables))
	if err := writeDurably(path, b[:last]); err != nil {
		return m, fmt.Errorf("take back a change that was not flushed: %w", err)
	}
	return before, nil
}

func replayManifest(path string, o badger.Options) (m badger.Manifest, end int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return m, 0, err
	}
	m, end, err = badger.ReplayManifestFile(f, schema, o)
	return m, end, errors.Join(err, f.Close())
}

func replayWithout(trial string, content []byte, o badger.Options) (m badger.Manifest, err error) {
	if err := os.WriteFile(trial, content, 0o600); err != nil {
		return m, err
	}
	m, _, err = replayManifest(trial, o)
	return m, err
}

// hasTables reports whether there is a file for each table of a manifest.
func hasTables(dir string, m badger.Manifest) (bool, error) {
	for id := range m.Tables {
		if there, err := exists(table.NewFilename(id, dir)); !there || err != nil {
			return false, err
		}
	}
	return true, nil
}

// manifestHead is how long the head of a manifest is. Changes follow, each with
// its length and its checksum before it.
const manifestHead = 8

// lastChange returns where the last change begins, or 0 if there is none.
func lastChange(b []byte) (last int) {
	for at := manifestHead; at+8 <= len(b); {
		size := int(binary.BigEndian.Uint32(b[at:]))
		if size > len(b)-at-8 {
			break
		}
		last, at = at, at+8+size
	}
	return last
}
