package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// page is what disks lose at once.
const page = 4096

// storeFile is a file of a store.
type storeFile struct {
	name string // below the store
	size int64
	used int64 // up to the last byte that is not zero: files are made longer than they are needed
}

// kind is what a file is for: those of one kind could stand for each other.
func (f storeFile) kind() string {
	if ext := filepath.Ext(f.name); ext == ".sst" || ext == ".mem" || ext == ".vlog" {
		return ext
	}
	return filepath.Base(f.name)
}

// filesOf lists the files of a store, by name.
func filesOf(store string) (all []storeFile, err error) {
	err = filepath.WalkDir(store, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(store, path)
		if err != nil {
			return err
		}
		f := storeFile{name: name}
		f.size, err = eachPage(path, func(at int64, b []byte) error {
			if n := len(bytes.TrimRight(b, "\x00")); n > 0 {
				f.used = at + int64(n)
			}
			return nil
		})
		all = append(all, f)
		return err
	})
	return all, err
}

// eachPage reads a file and returns its size.
func eachPage(path string, visit func(at int64, b []byte) error) (size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // it was only read
	b := make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(f, b)
		if err := visit(size, b[:n]); err != nil {
			return size, err
		}
		size += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return size, nil
		}
		if err != nil {
			return size, err
		}
	}
}

// copyStore copies a store that nobody has open. Holes stay holes.
func copyStore(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		return copyFile(path, target)
	})
}

func copyFile(from, to string) (err error) {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	size, err := eachPage(from, func(at int64, b []byte) error {
		if len(bytes.TrimRight(b, "\x00")) == 0 {
			return nil
		}
		_, err := f.WriteAt(b, at)
		return err
	})
	return errors.Join(err, f.Truncate(size), f.Close())
}

// spoiling is one thing that happens to a file of a store.
type spoiling struct {
	how   string
	file  string
	other string // file to swap with, or path of the copy that is put back
	at    int64  // byte
	to    int64  // byte to swap the page with
	bit   int    // of the byte
}

// The ways in which files are spoiled.
const (
	truncated = "truncate"
	flipped   = "flip a bit"
	zeroed    = "zero a page"
	swapped   = "swap pages"
	exchanged = "swap files"
	deleted   = "delete"
	older     = "put back an older copy"
)

func (s spoiling) String() string {
	switch s.how {
	case truncated, zeroed:
		return fmt.Sprintf("%s of %s at %d", s.how, s.file, s.at)
	case flipped:
		return fmt.Sprintf("%s of %s: %d of byte %d", s.how, s.file, s.bit, s.at)
	case swapped:
		return fmt.Sprintf("%s of %s at %d and %d", s.how, s.file, s.at, s.to)
	case exchanged:
		return fmt.Sprintf("%s %s and %s", s.how, s.file, s.other)
	case older:
		return fmt.Sprintf("%s of %s, from %s", s.how, s.file, s.other)
	}
	return s.how + " " + s.file
}

// spoiler draws what happens to a store.
type spoiler struct {
	luck  *rand.Rand
	files []storeFile
	olds  []string // older copies of the store
}

// draw draws some spoilings at once.
func (s *spoiler) draw(n int) (all []spoiling) {
	for len(all) < n {
		one := s.one()
		// Two old files are an old store, if one of them is the note of how far it
		// should be: nothing tells it from one that was whole.
		if n > 1 && one.how == older && filepath.Base(one.file) == "acknowledged" {
			continue
		}
		all = append(all, one)
	}
	return all
}

// live draws one that leaves the length of a table: what a disk may do to a file
// that the program has mapped.
func (s *spoiler) live() (one spoiling, ok bool) {
	tables := slices.DeleteFunc(slices.Clone(s.files), func(f storeFile) bool { return f.kind() != ".sst" || f.used < 2 })
	if len(tables) == 0 {
		return one, false
	}
	return s.within([]string{flipped, zeroed}[s.luck.IntN(2)], tables[s.luck.IntN(len(tables))]), true
}

func (s *spoiler) one() spoiling {
	f := s.file()
	alike := slices.DeleteFunc(slices.Clone(s.files), func(o storeFile) bool { return o.kind() != f.kind() || o.name == f.name })
	switch how := []string{truncated, flipped, flipped, zeroed, swapped, exchanged, deleted, older}[s.luck.IntN(8)]; {
	case how == exchanged && len(alike) > 0:
		return spoiling{how: how, file: f.name, other: alike[s.luck.IntN(len(alike))].name}
	case how == older && len(s.olds) > 0:
		if one, ok := s.old(); ok {
			return one
		}
	case how == deleted:
		return spoiling{how: how, file: f.name}
	case f.used < 2: // nothing in it to change
		return spoiling{how: truncated, file: f.name}
	case how == swapped && f.used > 2*page:
		one := s.within(how, f)
		for one.to = one.at; one.to == one.at; {
			one.to = s.luck.Int64N(f.used/page) * page
		}
		return one
	case how == truncated || how == zeroed:
		return s.within(how, f)
	}
	return s.within(flipped, f)
}

// file draws one: each kind alike, but twice what holds the records.
func (s *spoiler) file() storeFile {
	kinds := map[string][]storeFile{}
	for _, f := range s.files {
		kinds[f.kind()] = append(kinds[f.kind()], f)
	}
	names := slices.Sorted(maps.Keys(kinds))
	for _, often := range []string{".sst", ".mem", ".sst", ".mem"} {
		if kinds[often] != nil {
			names = append(names, often)
		}
	}
	some := kinds[names[s.luck.IntN(len(names))]]
	return some[s.luck.IntN(len(some))]
}

// within draws a place in a file, mostly where something is.
func (s *spoiler) within(how string, f storeFile) spoiling {
	end := f.used
	if s.luck.IntN(8) == 0 {
		end = f.size
	}
	one := spoiling{how: how, file: f.name, at: s.luck.Int64N(end), bit: s.luck.IntN(8)}
	switch how {
	case zeroed:
		one.at -= one.at % page
	case swapped:
		one.at = s.luck.Int64N(f.used/page) * page
	}
	return one
}

// old draws a file of an older copy, which may be gone from the store.
func (s *spoiler) old() (one spoiling, ok bool) {
	from := s.olds[s.luck.IntN(len(s.olds))]
	files, err := filesOf(from)
	if err != nil || len(files) == 0 {
		return one, false
	}
	f := (&spoiler{luck: s.luck, files: files}).file()
	return spoiling{how: older, file: f.name, other: filepath.Join(from, f.name)}, true
}

// apply does it to a store. A file that another one has taken away stays away.
func (s spoiling) apply(store string) error {
	path := filepath.Join(store, s.file)
	switch s.how {
	case older:
		return copyFile(s.other, path)
	case deleted:
		return ifThere(os.Remove(path))
	case truncated:
		return ifThere(os.Truncate(path, s.at))
	case exchanged:
		other, aside := filepath.Join(store, s.other), path+".aside"
		if err := os.Rename(path, aside); err != nil {
			return ifThere(err)
		}
		return errors.Join(ifThere(os.Rename(other, path)), os.Rename(aside, other))
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return ifThere(err)
	}
	switch s.how {
	case flipped:
		b := make([]byte, 1)
		if _, err = f.ReadAt(b, s.at); err == nil {
			b[0] ^= 1 << s.bit
			_, err = f.WriteAt(b, s.at)
		}
	case zeroed:
		err = overwrite(f, make([]byte, page), s.at)
	case swapped:
		one, other := make([]byte, page), make([]byte, page)
		_, err = f.ReadAt(one, s.at)
		if _, otherErr := f.ReadAt(other, s.to); err == nil && otherErr == nil {
			err = errors.Join(overwrite(f, other, s.at), overwrite(f, one, s.to))
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil // another one has cut it off
	}
	return errors.Join(err, f.Close())
}

// overwrite writes what fits into a file.
func overwrite(f *os.File, b []byte, at int64) error {
	info, err := f.Stat()
	if err != nil || at >= info.Size() {
		return err
	}
	_, err = f.WriteAt(b[:min(int64(len(b)), info.Size()-at)], at)
	return err
}

func ifThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
