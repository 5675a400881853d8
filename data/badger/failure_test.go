package badger

import (
	"errors"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/postrider/postrider/data"
)

// TestFailedCommit takes Badger away under the store.
func TestFailedCommit(t *testing.T) {
	o := optionsIn(t.TempDir(), newMachine())
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	save := func() error {
		return s.Apply(&data.Batch{Saves: []*data.Save{{Messages: []data.NewMessage{{Gateway: "gateway_1", Text: "a"}}}}})
	}
	if err := save(); err != nil {
		t.Fatal(err)
	}
	if err := s.closeBadger(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- save() }()
	select {
	case err := <-done:
		wantErr(t, "Apply", err, data.ErrStorage)
	case <-time.After(10 * time.Second):
		t.Fatal("Apply hangs")
	}
	select {
	case <-s.Failed():
	default:
		t.Error("Failed is not closed")
	}
	wantErr(t, "Err", s.Err(), data.ErrStorage)
	wantErr(t, "Accepting", s.Accepting(), data.ErrStorage)
	wantErr(t, "Apply after the failure", save(), data.ErrStorage)
	wantErr(t, "Apply of nothing after the failure", s.Apply(&data.Batch{}), data.ErrStorage)
	if err := s.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	k := newKeptWith(t, o)
	if n := len(k.every(data.MessageQuery{Limit: 10})); n != 1 {
		t.Errorf("after the restart there are %d messages; want 1", n)
	}
	k.verify()
}

// TestLoggedErrorIsAFailure takes what Badger says at error level for what it
// is: some failures are told in no other way.
func TestLoggedErrorIsAFailure(t *testing.T) {
	k := newKept(t)
	badgerLog{k.Store}.Warningf("only a warning")
	if err := k.Err(); err != nil {
		t.Errorf("after a warning Err() = %v", err)
	}
	const failed = "[Compactor: %d] LOG Compact FAILED with error: %+v: %+v"
	badgerLog{k.Store}.Warningf(failed, 0, errors.New("there is a non-empty level 2 above base level 3"), nil)
	if err := k.Err(); err != nil {
		t.Errorf("after a merge that came too late Err() = %v", err)
	}
	badgerLog{k.Store}.Errorf("flush: %s", "input/output error")
	badgerLog{k.Store}.Errorf("and again")
	wantErr(t, "Apply", k.Apply(&data.Batch{Saves: []*data.Save{{Events: []data.NewEvent{{}}}}}), data.ErrStorage)
}

// TestFailedMergeIsAFailure takes a failed merge of tables for what it is, though
// Badger only warns of it.
func TestFailedMergeIsAFailure(t *testing.T) {
	k := newKept(t)
	badgerLog{k.Store}.Warningf("[Compactor: %d] LOG Compact FAILED with error: %+v: %+v", 1, unix.EIO, nil)
	wantErr(t, "Apply", k.Apply(&data.Batch{Saves: []*data.Save{{Events: []data.NewEvent{{}}}}}), data.ErrStorage)
}

func TestFailedAcknowledgement(t *testing.T) {
	o := optionsIn(t.TempDir(), newMachine())
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	good := s.acked.f
	if s.acked.f, err = lock(t.TempDir()); err != nil { // any other file, closed
		t.Fatal(err)
	}
	if err := s.acked.f.Close(); err != nil {
		t.Fatal(err)
	}
	save := &data.Save{Events: []data.NewEvent{{Type: "a"}}}
	wantErr(t, "Apply", s.Apply(&data.Batch{Saves: []*data.Save{save}}), data.ErrStorage)
	s.acked.f = good
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	k := newKeptWith(t, o) // more than was acknowledged is no damage
	if n := len(k.everyEvent(data.EventQuery{Limit: 10})); n != 1 {
		t.Errorf("there are %d events; want 1", n)
	}
	k.verify()
}

// TestReadersBesideTheWriter reads everything while batches are applied: what is
// read must fit together at every moment.
func TestReadersBesideTheWriter(t *testing.T) {
	k := newKept(t)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for _, read := range []func() error{
		func() error { _, err := k.Lanes(); return err },
		func() error {
			_, err := k.Messages(data.MessageQuery{States: []data.State{data.Waiting}, Limit: 50})
			return err
		},
		func() error { _, err := k.Messages(data.MessageQuery{Gateway: "gateway_1", Limit: 50}); return err },
		func() error { _, err := k.Events(data.EventQuery{Limit: 50}); return err },
		func() error { _, _, err := k.MessagesBelow(0, 50); return err },
		func() error { _, _, err := k.EventsBelow(0, "", 50); return err },
		func() error { _, _, err := k.Made(6, 50); return err },
		func() error { _, _, err := k.Ready("gateway_1", 0, 50); return err },
		func() error { _, _, err := k.Waiting("gateway_0", data.Ref{}, 50); return err },
		func() error { _ = k.Now(); _ = k.Accepting(); _, err := k.Message(5); return ignoreNotFound(err) },
		func() error { _, err := k.Lane("gateway_1"); return ignoreNotFound(err) },
		k.Verify,
	} {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := read(); err != nil {
					t.Errorf("read beside the writer: %v", err)
					return
				}
			}
		})
	}
	for i := range 20 {
		g := []string{"gateway_0", "gateway_1"}[i%2]
		k.send(g, texts(5)...)
		k.record(data.NewEvent{Type: "a"})
		for n, granted := range k.begin(g, k.ready(g, 0, 4)...) {
			k.settle(g, granted.Message.ID, 1, []data.Result{delivered, refused}[n%2])
		}
	}
	close(stop)
	readers.Wait()
	k.verify()
}
