package badger

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/postrider/postrider/data"
)

func TestAttemptsCutOff(t *testing.T) {
	for _, reboot := range []bool{false, true} {
		t.Run(fmt.Sprintf("reboot %v", reboot), func(t *testing.T) {
			k := newKept(t)
			first := k.send("gateway_1", "first attempt", "last attempt", "queued")
			for range 2 {
				k.try("gateway_1", first+1, refused)
				k.machine().pass(time.Hour)
			}
			k.begin("gateway_1", k.ready("gateway_1", 0, 1)...)
			m := k.message(first + 1)
			k.begin("gateway_1", data.Ref{ID: first + 1, Number: 3, Due: m.Due})
			k.options.Path = copyStore(t, k.options.Path) // as a kill leaves it
			k.close()
			k.machine().pass(10 * time.Minute)
			if reboot {
				k.machine().reboot("boot-2")
			}
			k.open()
			opened, doubt := k.Resumed()
			if doubt != reboot {
				t.Errorf("doubt is %v; want %v", doubt, reboot)
			}
			m = k.message(first)
			a := m.Attempts[0]
			if m.State != data.Waiting || m.Due != opened.Add(time.Minute) || a.Outcome != data.OutcomeUnknown || a.Cause != data.CauseCutOff || a.Ended != opened {
				t.Errorf("the first attempt cut off at %d left %+v", opened, m)
			}
			m = k.message(first + 1)
			if m.State != data.Unknown || len(m.Attempts) != 3 || m.Attempts[2].Outcome != data.OutcomeUnknown {
				t.Errorf("the last attempt cut off left %+v", m)
			}
			k.state(first+2, data.Queued)
			if o := k.settle("gateway_1", first, 1, delivered); o.Err == nil {
				t.Error("a late settle was taken after the restart")
			}
			want := [data.States]uint64{data.Queued: 1, data.Waiting: 1, data.Unknown: 1}
			if got := k.lane("gateway_1").Counts; got != want {
				t.Errorf("counts are %v; want %v", got, want)
			}
			k.verify()
		})
	}
}

func TestStoreInUse(t *testing.T) {
	k := newKept(t)
	if _, err := Open(k.options); err == nil {
		t.Fatal("a store was opened twice")
	} else {
		wantErr(t, "Open in the same process", err, data.ErrInUse)
	}
	if got := openElsewhere(t, k.options.Path); got != data.ErrInUse.Error() {
		t.Errorf("in another process: %s; want %v", got, data.ErrInUse)
	}
	k.send("gateway_1", "still fine")
	k.reopen()
	k.verify()
}

func TestNoSpace(t *testing.T) {
	o := optionsIn(t.TempDir(), newMachine())
	o.MinFree = 1 << 60
	_, err := Open(o)
	wantErr(t, "Open", err, data.ErrNoSpace)
	if used, err := exists(filepath.Join(o.Path, "badger")); used || err != nil {
		t.Errorf("files were made on a full disk, %v", err)
	}
	o.MinFree = 0
	k := newKeptWith(t, o)
	id := k.send("gateway_1", "before")
	k.low.Store(true)
	k.looked = time.Now().Add(time.Hour) // so that it is not looked at again
	wantErr(t, "Accepting", k.Accepting(), data.ErrNoSpace)
	save := &data.Save{Events: []data.NewEvent{{}}}
	k.apply(&data.Batch{Saves: []*data.Save{save}})
	wantErr(t, "save", save.Err, data.ErrNoSpace)
	k.try("gateway_1", id, delivered)
	k.state(id, data.Delivered)
	k.checkSpace()
	if err := k.Accepting(); err != nil {
		t.Errorf("with space again: Accepting() = %v", err)
	}
}

// What is new is taken again only with more free than made it be refused: merging tables
// moves that to and fro.
func TestSpaceToGoOn(t *testing.T) {
	const least = 8 << 20
	s := &Store{options: optionsIn(t.TempDir(), newMachine())}
	s.options.MinFree = least
	for _, c := range []struct {
		left int64
		want error
	}{
		{least, nil},
		{least - 1, data.ErrNoSpace},
		{least, data.ErrNoSpace},
		{least + least/resumeShare - 1, data.ErrNoSpace},
		{least + least/resumeShare, nil},
		{least, nil},
	} {
		if s.noteSpace(c.left); !errors.Is(s.Accepting(), c.want) {
			t.Errorf("with %d bytes free Accepting() = %v; want %v", c.left, s.Accepting(), c.want)
		}
	}
}

// Free space is looked at without anybody's asking.
func TestSpaceIsWatched(t *testing.T) {
	t.Parallel()
	k := newKept(t)
	k.low.Store(true)
	late := time.After(20 * time.Second)
	for k.Accepting() != nil {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-late:
			t.Fatal("nobody finds out that there is space again")
		}
	}
}

func TestOptionsThatAreWrong(t *testing.T) {
	good := optionsIn(t.TempDir(), newMachine())
	for name, change := range map[string]func(o *Options){
		"no path":   func(o *Options) { o.Path = "" },
		"too small": func(o *Options) { o.Memtable = MinMemtable - 1 },
		"too large": func(o *Options) { o.Memtable = MaxMemtable + 1 },
		"no clock":  func(o *Options) { o.Clock = nil },
		"no logger": func(o *Options) { o.Logger = nil },
	} {
		o := good
		change(&o)
		if s, err := Open(o); err == nil {
			t.Errorf("%s: opened", name)
			_ = s.Close()
		}
	}
}

func TestMemtableIsFixedAtCreation(t *testing.T) {
	o := optionsIn(t.TempDir(), newMachine())
	o.Memtable = 12 << 20
	k := newKeptWith(t, o)
	k.options.Memtable = MinMemtable
	k.reopen()
	if got := k.db.Opts().MemTableSize; got != 12<<20 {
		t.Errorf("opened with a memtable of %d bytes; want %d", got, 12<<20)
	}
}

func TestStamp(t *testing.T) {
	write := func(t *testing.T, dir string, change func(s map[string]any)) {
		path := filepath.Join(dir, "store.json")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var f stampFile
		var s map[string]any
		if err := json.Unmarshal(b, &f); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(f.Store, &s); err != nil {
			t.Fatal(err)
		}
		change(s)
		if f.Store, err = json.Marshal(s); err != nil {
			t.Fatal(err)
		}
		f.Sum = crc32.Checksum(f.Store, castagnoli)
		if b, err = json.Marshal(f); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		change func(s map[string]any)
		want   error
	}{
		"as it is":         {func(map[string]any) {}, nil},
		"a field to come":  {func(s map[string]any) { s["later"] = true }, nil},
		"newer format":     {func(s map[string]any) { s["schema"] = schema + 1; delete(s, "commit_ring") }, data.ErrNewerFormat},
		"older format":     {func(s map[string]any) { s["schema"] = schema - 1; delete(s, "commit_ring") }, data.ErrOlderFormat},
		"no format":        {func(s map[string]any) { delete(s, "schema") }, data.ErrDamaged},
		"no ring":          {func(s map[string]any) { s["commit_ring"] = 0 }, data.ErrDamaged},
		"memtable too big": {func(s map[string]any) { s["memtable_bytes"] = MaxMemtable * 2 }, data.ErrDamaged},
		"a wrong type":     {func(s map[string]any) { s["epoch"] = "x" }, data.ErrDamaged},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			k := newKept(t)
			k.send("gateway_1", "a")
			k.close()
			write(t, k.options.Path, test.change)
			s, err := Open(k.options)
			wantErr(t, "Open", err, test.want)
			if err == nil {
				k.Store = s
			}
		})
	}
}

// TestCreationCutOff starts a store that a crash left at every step of making it.
func TestCreationCutOff(t *testing.T) {
	for name, leave := range map[string]func(dir string) error{
		"nothing": func(string) error { return nil },
		"a lock":  func(dir string) error { return os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600) },
		"half a number": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "acknowledged.new"), []byte("x"), 0o600)
		},
		"a broken number": func(dir string) error { return os.WriteFile(filepath.Join(dir, "acknowledged"), []byte("x"), 0o600) },
		"the number":      func(dir string) error { return createAcked(filepath.Join(dir, "acknowledged")) },
		"half a stamp":    func(dir string) error { return os.WriteFile(filepath.Join(dir, "store.json.new"), []byte("{"), 0o600) },
		"number and stamp": func(dir string) error {
			return createBeside(dir)
		},
		"an empty folder": func(dir string) error {
			if err := createBeside(dir); err != nil {
				return err
			}
			return os.Mkdir(filepath.Join(dir, "badger"), 0o700)
		},
		"an empty log": func(dir string) error {
			if err := createBeside(dir); err != nil {
				return err
			}
			if err := os.Mkdir(filepath.Join(dir, "badger"), 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "badger", "00001.mem"), nil, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := optionsIn(t.TempDir(), newMachine())
			if err := leave(o.Path); err != nil {
				t.Fatal(err)
			}
			k := newKeptWith(t, o)
			id := k.send("gateway_1", "a")
			k.reopen()
			k.state(id, data.Queued)
			k.verify()
		})
	}
}

func createBeside(dir string) error {
	if err := createAcked(filepath.Join(dir, "acknowledged")); err != nil {
		return err
	}
	return newStamp(MinMemtable).write(filepath.Join(dir, "store.json"))
}

// TestEmptyLogOfARotation opens a store that was killed right after the file of
// its next memtable was made.
func TestEmptyLogOfARotation(t *testing.T) {
	k := newKept(t)
	id := k.send("gateway_1", "a")
	dir := copyStore(t, k.options.Path)
	if err := os.WriteFile(filepath.Join(dir, "badger", "00099.mem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	again := newKeptWith(t, optionsIn(dir, newMachine()))
	again.state(id, data.Queued)
	again.verify()
}

func TestErrorsOfTheMachineAreNoDamage(t *testing.T) {
	for _, known := range machineErrors {
		wrapped := fmt.Errorf("while opening memtable err: open 00001.mem: %v", known) //nolint:errorlint // as Badger does
		if err := classify(wrapped); errors.Is(err, data.ErrDamaged) {
			t.Errorf("classify(%v) = %v; want no damage", wrapped, err)
		}
	}
	wantErr(t, "classify of a missing file", classify(os.ErrNotExist), data.ErrDamaged)
}
