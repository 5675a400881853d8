package badger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/postrider/postrider/data"
)

// backup backs a store up.
func (k *kept) backup() []byte {
	k.t.Helper()
	var b bytes.Buffer
	if err := k.Backup(k.t.Context(), &b, nil); err != nil {
		k.t.Fatal(err)
	}
	return b.Bytes()
}

func restoreOptions(t testing.TB, c Clock) Options {
	return optionsIn(filepath.Join(t.TempDir(), "restored"), c)
}

// restored makes a store of a backup and opens it, on the same machine.
func (k *kept) restored(backup []byte) (*kept, Restored) {
	k.t.Helper()
	o := restoreOptions(k.t, k.options.Clock)
	done, err := Restore(k.t.Context(), o, bytes.NewReader(backup), nil)
	if err != nil {
		k.t.Fatal(err)
	}
	return newKeptWith(k.t, o), done
}

// sample is a store with records of every kind.
func sample(t testing.TB) *kept {
	t.Helper()
	k := newKept(t)
	k.record(data.NewEvent{Type: "a", Payload: "1"}, data.NewEvent{Type: "b", Payload: "2"})
	k.save(&data.Save{
		Messages: []data.NewMessage{{Gateway: "gateway_1", Text: "once"}},
		Key:      &data.IdempotencyKey{Key: [32]byte{1}, Request: [32]byte{2}},
	})
	ids := k.send("gateway_1", "queued", "waiting", "delivered", "failed", "sending", string(bytes.Repeat([]byte("long "), 1000)))
	for _, r := range []struct {
		at     data.ID
		result data.Result
	}{{0, refused}, {1, refused}, {2, delivered}, {3, permanent}} {
		k.try("gateway_1", ids+r.at, r.result)
	}
	k.apply(&data.Batch{Resends: []*data.Resend{{IDs: []data.ID{ids + 3}}}})
	k.begin("gateway_1", data.Ref{ID: ids + 4, Number: 1})
	k.apply(&data.Batch{Pauses: []*data.Pause{{Gateway: "gateway_10", Paused: true}}, Declares: []*data.Declare{declare("made", "{}")}})
	return k
}

func TestBackupIsRestored(t *testing.T) {
	k := sample(t)
	backup := k.backup()
	r, done := k.restored(backup)
	r.verify()
	if done.Events != 2 || done.Messages[data.Sending] != 1 || done.Messages[data.Failed] != 1 || done.Commit != k.newest.commit {
		t.Errorf("restored is %+v", done)
	}
	if e := r.everyEvent(data.EventQuery{Limit: 10}); len(e) != 2 || e[1].Payload != "2" {
		t.Errorf("events are %+v", e)
	}
	before, after := k.every(data.MessageQuery{Limit: 100}), r.every(data.MessageQuery{Limit: 100})
	if len(before) != len(after) {
		t.Fatalf("%d messages are restored; want %d", len(after), len(before))
	}
	opened, doubt := r.Resumed()
	for i, m := range after {
		w := before[i]
		if w.State == data.Sending {
			if m.State != data.Waiting || m.Due != opened.Add(time.Minute) {
				t.Errorf("what was under way is %+v", m)
			}
			continue
		}
		m.DueAt, w.DueAt = time.Time{}, time.Time{}
		if fmt.Sprintf("%+v", m) != fmt.Sprintf("%+v", w) {
			t.Errorf("restored is\n%+v; want\n%+v", m, w)
		}
	}
	if !doubt || !r.lane("gateway_10").Paused {
		t.Errorf("doubt is %v, the lane %+v", doubt, r.lane("gateway_10"))
	}
	if declared := r.everyDeclared(); len(declared) != 1 || declared["made"] != "{}" {
		t.Errorf("declared is %v", declared)
	}
	again := &data.Save{Messages: []data.NewMessage{{Gateway: "gateway_1", Text: "once"}}, Key: &data.IdempotencyKey{Key: [32]byte{1}, Request: [32]byte{2}}}
	r.save(again)
	if !again.Repeated {
		t.Error("an idempotency key is not known any more")
	}
	if id := r.send("gateway_1", "new"); id.Epoch() != 1 {
		t.Errorf("a new id is of epoch %d; want 1", id.Epoch())
	}
	r.reopen()
	r.verify()
	info, err := CheckBackup(bytes.NewReader(backup), nil)
	if err != nil || info != done.Backup || info.Bytes != int64(len(backup)) {
		t.Errorf("CheckBackup() = %+v, %v; want %+v", info, err, done.Backup)
	}
}

func TestBackupOfAnEmptyStore(t *testing.T) {
	k := newKept(t)
	r, done := k.restored(k.backup())
	if done.Entries != 0 {
		t.Errorf("restored is %+v", done)
	}
	r.send("gateway_1", "a")
	r.reopen()
	r.verify()
}

// A backup can be restored more than once. What the first store gives out then, the
// second one does not.
func TestRestoredTwice(t *testing.T) {
	k := sample(t)
	backup := k.backup()
	first, _ := k.restored(backup)
	id := first.send("gateway_1", texts(500)...)
	k.machine().pass(time.Minute)
	second, _ := k.restored(backup)
	if other := second.send("gateway_1", "b"); other <= id+500 {
		t.Errorf("id %s was given, after %s", other, id)
	}
}

// As after a reboot, nothing that waited is due before a full interval, also when the
// process starts again within that.
func TestRestoredIsNeverEarly(t *testing.T) {
	for _, restarts := range []int{0, 1, 2} {
		t.Run(fmt.Sprint(restarts, " restarts"), func(t *testing.T) {
			t.Parallel()
			k := newKept(t)
			id := k.send("gateway_1", "a")
			k.try("gateway_1", id, refused)
			k.machine().pass(50 * time.Second)
			k.record(data.NewEvent{Type: "a"})
			r, _ := k.restored(k.backup())
			opened, _ := r.Resumed()
			for range restarts {
				r.machine().pass(5 * time.Second)
				r.record(data.NewEvent{Type: "a"})
				r.reopen()
			}
			ref := data.Ref{ID: id, Number: 2, Due: r.message(id).Due}
			left := opened.Add(time.Minute).Sub(r.Now())
			r.machine().pass(left - time.Second)
			if granted := r.begin("gateway_1", ref); len(granted) != 0 {
				t.Errorf("an attempt began %v before its time", time.Second)
			}
			r.machine().pass(time.Second)
			if granted := r.begin("gateway_1", ref); len(granted) != 1 {
				t.Error("an attempt that is due does not begin")
			}
		})
	}
}

// A message that expires does so by the wall clock too, as after a reboot.
func TestRestoredExpires(t *testing.T) {
	k := newKept(t)
	o := &data.Save{Messages: []data.NewMessage{{Gateway: "gateway_1", Text: "a", ExpiresIn: time.Hour}}}
	k.save(o)
	backup := k.backup()
	k.machine().pass(2 * time.Hour)
	k.machine().reboot("another")
	r, _ := k.restored(backup)
	begun := r.claim("gateway_1", data.Ref{ID: o.First, Number: 1})
	if len(begun.Granted) != 0 || len(begun.Overdue) != 1 {
		t.Errorf("an hour after its end a message is granted: %+v", begun)
	}
}

func TestRestoreTouchesNothingThatIsThere(t *testing.T) {
	k := sample(t)
	backup := k.backup()
	restore := func(path string) error {
		_, err := Restore(t.Context(), optionsIn(path, k.options.Clock), bytes.NewReader(backup), nil)
		return err
	}
	if err := restore(k.options.Path); !errors.Is(err, data.ErrInUse) || errors.Is(err, data.ErrOccupied) {
		t.Errorf("restore into a store in use = %v; want %v and nothing else", err, data.ErrInUse)
	}
	k.close()
	wantErr(t, "restore into a store", restore(k.options.Path), data.ErrOccupied)
	k.open()
	k.verify()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "notes"), []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "restore beside a file", restore(dir), data.ErrOccupied)
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("after that there are %v, %v", files, err)
	}
}

// What ends before there is a store leaves nothing that was not there before.
func TestRestoreThatFailsLeavesNothing(t *testing.T) {
	k := sample(t)
	backup := k.backup()
	cut := backup[:len(backup)-1]
	restore := func(path string, backup []byte) error {
		_, err := Restore(t.Context(), optionsIn(path, k.options.Clock), bytes.NewReader(backup), nil)
		return err
	}
	names := func(dir string) string {
		t.Helper()
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, f := range files {
			all = append(all, f.Name())
		}
		return strings.Join(all, " ")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "restore at a file", restore(file, backup), data.ErrNoDirectory)
	wantErr(t, "restore below a file", restore(filepath.Join(file, "a", "b"), backup), data.ErrNoDirectory)
	wantErr(t, "restore of a part, into what is not there", restore(filepath.Join(dir, "a", "b"), cut), data.ErrBadBackup)
	if got := names(dir); got != "file" {
		t.Errorf("after that there are %s, want the file alone", got)
	}
	wantErr(t, "restore of a part, into what is empty", restore(t.TempDir(), cut), data.ErrBadBackup)
	volume := t.TempDir()
	if err := os.Mkdir(filepath.Join(volume, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "restore of a part, into a volume", restore(volume, cut), data.ErrBadBackup)
	if got := names(volume); got != "lost+found" {
		t.Errorf("after that there are %s, want lost+found alone", got)
	}
	if err := os.WriteFile(filepath.Join(volume, "lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "restore of a part, into what was locked once", restore(volume, cut), data.ErrBadBackup)
	if got := names(volume); got != "lock lost+found" {
		t.Errorf("after that there are %s, want what there was", got)
	}
	if err := restore(volume, backup); err != nil {
		t.Errorf("restore after all = %v", err)
	}
}

// A lock that was removed is nobody's.
func TestLockThatIsRemoved(t *testing.T) {
	dir := t.TempDir()
	first, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = first.Close() })
	path := filepath.Join(dir, "lock")
	if there, err := itself(first, path); !there || err != nil {
		t.Errorf("itself() = %v, %v; want true", there, err)
	}
	if _, err := lock(dir); !errors.Is(err, data.ErrInUse) {
		t.Errorf("lock() = %v; want %v", err, data.ErrInUse)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if there, err := itself(first, path); there || err != nil {
		t.Errorf("itself() of what was removed = %v, %v; want false", there, err)
	}
	second, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = second.Close() })
	if there, err := itself(first, path); there || err != nil {
		t.Errorf("itself() of one in whose place another is = %v, %v; want false", there, err)
	}
}

// Into an empty directory, such as a new volume.
func TestRestoreIntoAnEmptyDirectory(t *testing.T) {
	k := sample(t)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), optionsIn(dir, k.options.Clock), bytes.NewReader(k.backup()), nil); err != nil {
		t.Fatal(err)
	}
	newKeptWith(t, optionsIn(dir, k.options.Clock)).verify()
}

// A restore that is cut off at any point leaves nothing that opens as a store, and the
// next one gets through.
func TestRestoreCutOff(t *testing.T) {
	k := sample(t)
	backup := k.backup()
	for moved := range len(storeFiles()) + 1 {
		o := restoreOptions(t, k.options.Clock)
		if _, err := Restore(t.Context(), o, bytes.NewReader(backup), nil); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(o.Path, restoring)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range storeFiles()[moved:] {
			if err := os.Rename(filepath.Join(o.Path, name), filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		for _, accept := range []bool{false, true} {
			o.AcceptLoss = accept
			s, err := Open(o)
			wantErr(t, fmt.Sprint("open with ", moved, " in place"), err, data.ErrUnrestored)
			if s != nil {
				t.Fatal(s.Close())
			}
		}
		o.AcceptLoss = false
		if _, err := Restore(t.Context(), o, bytes.NewReader(backup), nil); err != nil {
			t.Fatal(err)
		}
		newKeptWith(t, o).verify()
	}
}

// restoresNot wants a backup to be refused, by a check and by a restore, with no store
// left.
func restoresNot(t *testing.T, what string, backup []byte, want error) {
	t.Helper()
	_, err := CheckBackup(bytes.NewReader(backup), nil)
	wantErr(t, "check of "+what, err, want)
	o := restoreOptions(t, newMachine())
	_, err = Restore(t.Context(), o, bytes.NewReader(backup), nil)
	wantErr(t, "restore of "+what, err, want)
	if files, _ := filepath.Glob(filepath.Join(o.Path, "*")); len(files) > 1 {
		t.Errorf("restore of %s left %v", what, files)
	}
}

// frames lists where the frames of a backup begin, and its end.
func frames(backup []byte) (at []int) {
	for i := len(backupMagic) + 2; i < len(backup); {
		at = append(at, i)
		b := backup[i+5:]
		i += frameHead + int(b[0])<<24 + int(b[1])<<16 + int(b[2])<<8 + int(b[3]) + 4
	}
	return append(at, len(backup))
}

func TestBackupCutOffIsTold(t *testing.T) {
	k := sample(t)
	for range 40 {
		k.send("gateway_2", texts(500)...)
	}
	backup := k.backup()
	at := frames(backup)
	if len(at) < 5 {
		t.Fatalf("the backup has %d frames", len(at)-1)
	}
	ends := []int{0, 1, len(backupMagic) - 1, len(backupMagic), len(backupMagic) + 1, len(backupMagic) + 2}
	for i, from := range at[:len(at)-1] {
		ends = append(ends, from, from+1, from+frameHead-1, from+frameHead, from+frameHead+1, at[i+1]-4, at[i+1]-1)
	}
	for _, end := range ends {
		restoresNot(t, fmt.Sprintf("%d of %d bytes", end, len(backup)), backup[:end], data.ErrBadBackup)
	}
	restoresNot(t, "a backup with a byte behind it", append(bytes.Clone(backup), 0), data.ErrBadBackup)
	// All frames are whole here, and one of them is missing, or two are swapped.
	without := append(bytes.Clone(backup[:at[1]]), backup[at[2]:]...)
	restoresNot(t, "a backup without a frame", without, data.ErrBadBackup)
	swapped := append(bytes.Clone(backup[:at[1]]), backup[at[2]:at[3]]...)
	swapped = append(append(swapped, backup[at[1]:at[2]]...), backup[at[3]:]...)
	restoresNot(t, "a backup with frames swapped", swapped, data.ErrBadBackup)
}

func TestBackupChangedIsTold(t *testing.T) {
	k := sample(t)
	for range 40 {
		k.send("gateway_2", texts(500)...)
	}
	backup := k.backup()
	at := frames(backup)
	random := rand.New(rand.NewPCG(1, 2))
	places := []int{0, len(backupMagic) - 1}
	for i, from := range at[:len(at)-1] {
		for j := range frameHead {
			places = append(places, from+j)
		}
		for range 5 {
			places = append(places, from+frameHead+random.IntN(at[i+1]-from-frameHead))
		}
		places = append(places, at[i+1]-1)
	}
	for _, place := range places {
		changed := bytes.Clone(backup)
		changed[place] ^= 1 << random.IntN(8)
		restoresNot(t, fmt.Sprintf("a backup with byte %d of %d changed", place, len(backup)), changed, data.ErrBadBackup)
	}
	newer := bytes.Clone(backup)
	newer[len(backupMagic)+1]++
	restoresNot(t, "a backup of a newer format", newer, data.ErrNewerFormat)
}

// Whoever makes a backup of a store that has lost a record is told.
func TestBackupOfADamagedStore(t *testing.T) {
	k := sample(t)
	id := k.send("gateway_3", "a")
	if err := k.change(func(txn *badger.Txn) error { return txn.Delete(messageKey(id)) }); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "backup", k.Backup(t.Context(), new(bytes.Buffer), nil), data.ErrDamaged)
}

func TestRestoreKeepsSpace(t *testing.T) {
	k := sample(t)
	o := restoreOptions(t, k.options.Clock)
	o.MinFree = 1 << 60
	_, err := Restore(t.Context(), o, bytes.NewReader(k.backup()), nil)
	wantErr(t, "restore", err, data.ErrNoSpace)
}

func TestBackupAndRestoreAreCancelled(t *testing.T) {
	k := sample(t)
	backup := k.backup()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantErr(t, "backup", k.Backup(ctx, new(bytes.Buffer), nil), context.Canceled)
	o := restoreOptions(t, k.options.Clock)
	_, err := Restore(ctx, o, bytes.NewReader(backup), nil)
	wantErr(t, "restore", err, context.Canceled)
	ctx, cancel = context.WithCancel(t.Context())
	told := 0
	_, err = Restore(ctx, o, bytes.NewReader(backup), func(Backup) { told++; cancel() })
	wantErr(t, "restore cancelled on the way", err, context.Canceled)
	if told != 1 {
		t.Errorf("when it is cancelled it goes on for %d frames", told-1)
	}
	if k.versions.read[k.versions.current()] != 0 {
		t.Error("a version is kept for a backup that is over")
	}
}

// gate is a writer that has something done before it takes the first records.
type gate struct {
	bytes.Buffer
	meanwhile func()
}

func (g *gate) Write(b []byte) (int, error) {
	if g.Len() > 1000 && g.meanwhile != nil {
		g.meanwhile()
		g.meanwhile = nil
	}
	return g.Buffer.Write(b)
}

// Whatever is committed, pruned and merged away while a backup is made, it is of the
// moment at which it began.
func TestBackupIsOfOneMoment(t *testing.T) {
	k := sample(t)
	ids := k.send("gateway_2", texts(3000)...)
	for range 30 {
		k.send("gateway_2", string(bytes.Repeat([]byte("long "), 2000)))
	}
	want, _ := k.restored(k.backup())
	out := &gate{meanwhile: func() {
		for i := range data.ID(1000) {
			k.cancel(ids + i)
		}
		k.record(data.NewEvent{Type: "later"})
		k.send("gateway_2", "later")
		k.send("gateway_4", "later")
		k.machine().pass(1000 * time.Hour)
		keep := data.Retention{Events: time.Hour, Delivered: time.Hour, Dead: time.Hour}
		k.apply(&data.Batch{Prune: &data.Prune{Keep: keep, Limit: 10_000}})
		if err := k.merge(); err != nil {
			t.Fatal(err)
		}
	}}
	if err := k.Backup(t.Context(), out, nil); err != nil {
		t.Fatal(err)
	}
	if out.meanwhile != nil {
		t.Fatal("nothing happened meanwhile")
	}
	got, _ := k.restored(out.Bytes())
	got.verify()
	shown := func(k *kept) string {
		all := k.every(data.MessageQuery{Limit: 1000})
		for i := range all {
			all[i].DueAt = time.Time{} // by the clock of this moment
		}
		return fmt.Sprintf("%+v", all)
	}
	if shown(got) != shown(want) {
		t.Error("the messages are those of another moment")
	}
	every := data.EventQuery{Limit: 1000}
	if g, w := fmt.Sprint(got.everyEvent(every)), fmt.Sprint(want.everyEvent(every)); g != w {
		t.Errorf("the events are %s; want %s", g, w)
	}
	if _, err := got.Lane("gateway_4"); !errors.Is(err, data.ErrNotFound) {
		t.Error("a lane is there that was made later")
	}
}

// While another goroutine commits, the backup has all commits up to one, and none
// behind that.
func TestBackupWhileCommitsGoOn(t *testing.T) {
	k := newKept(t)
	k.send("gateway_1", texts(2000)...)
	before := k.newest.commit
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			o := &data.Save{Messages: []data.NewMessage{{Gateway: fmt.Sprint("gateway_", i%7), Text: fmt.Sprint(i)}}}
			if err := k.Apply(&data.Batch{Saves: []*data.Save{o}}); err != nil || o.Err != nil {
				t.Errorf("Apply: %v, %v", err, o.Err)
				return
			}
		}
	}()
	for range 10 {
		version, acknowledged := k.versions.enter()
		k.versions.leave(version)
		backup := k.backup()
		info, err := CheckBackup(bytes.NewReader(backup), nil)
		if err != nil || info.Commit < acknowledged {
			t.Fatalf("the backup is %+v, %v; commit %d was acknowledged before", info, err, acknowledged)
		}
		o := restoreOptions(t, k.options.Clock)
		done, err := Restore(t.Context(), o, bytes.NewReader(backup), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := done.Messages[data.Queued]; got != 2000+info.Commit-before {
			t.Errorf("%d messages are in commit %d; want %d", got, info.Commit, 2000+info.Commit-before)
		}
	}
	close(stop)
	<-stopped
}
