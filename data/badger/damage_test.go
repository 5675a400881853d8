package badger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postrider/postrider/data"
)

// copyStore copies a store, also one that is open: the copy is then what a kill
// would have left. Holes stay holes.
func copyStore(t testing.TB, from string) string {
	t.Helper()
	manifest := filepath.Join(from, "badger", "MANIFEST")
	for range 100 {
		before, err := os.ReadFile(manifest)
		if err != nil {
			t.Fatal(err)
		}
		to := t.TempDir()
		err = copyTree(from, to)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		after, readErr := os.ReadFile(manifest)
		if readErr != nil {
			t.Fatal(readErr)
		}
		if err == nil && bytes.Equal(before, after) {
			return to
		}
		// Badger made a table of a log meanwhile: no kill leaves such a mixture.
	}
	t.Fatal("the store never rests")
	return ""
}

func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
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

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	page := make([]byte, 64<<10)
	var size int64
	for {
		n, err := io.ReadFull(in, page)
		if strings.Trim(string(page[:n]), "\x00") != "" {
			if _, err := out.WriteAt(page[:n], size); err != nil {
				return err
			}
		}
		size += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return out.Truncate(size)
		}
		if err != nil {
			return err
		}
	}
}

// filled returns a store of a table and a log, with messages in every state.
func filled(t testing.TB) *kept {
	k := newKept(t)
	zoo(k)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 24 {
		if i == 12 {
			k.reopen()
		}
		o := &data.Save{Key: &data.IdempotencyKey{Key: [32]byte{byte(i)}}}
		for range 20 {
			b := make([]byte, 2<<10)
			for j := range b {
				b[j] = byte(random.Uint32())
			}
			o.Events = append(o.Events, data.NewEvent{Type: "noise", Payload: string(b)})
		}
		o.Messages = []data.NewMessage{{Gateway: "gateway_1", Text: "between", Event: 3}}
		k.save(o)
	}
	return k
}

func TestDamage(t *testing.T) {
	source := copyStore(t, filled(t).options.Path)
	whole := openElsewhere(t, copyStore(t, source))
	if !strings.HasPrefix(whole, "594 records") {
		t.Fatalf("the store as it is: %s", whole)
	}
	damageEach(t, source, whole)
}

func damageEach(t *testing.T, source, whole string) {
	var files []string
	for _, pattern := range []string{"*", "badger/*"} {
		found, err := filepath.Glob(filepath.Join(source, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			continue
		}
		name := strings.TrimPrefix(file, source)
		for what, damage := range damages(filepath.Base(name), info.Size()) {
			t.Run(fmt.Sprintf("%s/%s", what, filepath.Base(name)), func(t *testing.T) {
				t.Parallel()
				dir := copyStore(t, source)
				if err := damage(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
				got := openElsewhere(t, dir)
				if got != whole && got != data.ErrDamaged.Error() {
					t.Errorf("%s; want it whole or refused", got)
				}
				if got == whole {
					return
				}
				if again := openElsewhere(t, dir); again != got {
					t.Errorf("first %s, then %s; want a refusal to last", got, again)
				}
			})
		}
	}
}

// damages are ways to damage a file: fewer for those that hold nothing of ours.
func damages(name string, size int64) map[string]func(path string) error {
	random := rand.New(rand.NewPCG(3, uint64(size)))
	change := func(path string, at, n int64, f func(b []byte)) error {
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer file.Close()
		b := make([]byte, min(n, size-at))
		if _, err := file.ReadAt(b, at); err != nil {
			return err
		}
		f(b)
		_, err = file.WriteAt(b, at)
		return err
	}
	cut := func(n int64) func(path string) error {
		return func(path string) error { return os.Truncate(path, n) }
	}
	all := map[string]func(path string) error{
		"delete":        os.Remove,
		"cut to 0":      cut(0),
		"cut to 10":     cut(min(10, size)),
		"cut to half":   cut(size / 2),
		"cut by a byte": cut(max(0, size-1)),
	}
	if strings.EqualFold(name, "lock") || size == 0 {
		return map[string]func(path string) error{"delete": os.Remove}
	}
	flips := 3
	if strings.HasSuffix(name, ".vlog") || name == "DISCARD" {
		flips = 1
	}
	for i := range flips {
		// At the front, where the records of a log are, at the end, and anywhere.
		at := random.Int64N(size)
		switch i {
		case 0:
			at = random.Int64N(min(size, 1<<20))
		case 1:
			at = max(0, size-1-random.Int64N(60))
		}
		bit := byte(1) << random.IntN(8)
		all[fmt.Sprintf("flip a bit at %d", at)] = func(path string) error {
			return change(path, at, 1, func(b []byte) {
				for j := range b {
					b[j] ^= bit
				}
			})
		}
	}
	at := random.Int64N(min(size, 4<<20))
	all[fmt.Sprintf("zero a page at %d", at)] = func(path string) error {
		return change(path, at, 4096, func(b []byte) { clear(b) })
	}
	return all
}
