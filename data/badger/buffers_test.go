package badger

import "testing"

// TestBuffersAreFreed looks into Badger, which keeps the buffers of tables.
func TestBuffersAreFreed(t *testing.T) {
	k := newKept(t)
	kept := laidBy(k.db)
	if cap(kept) == 0 {
		t.Fatal("Badger does not keep buffers where it did")
	}
	k.forget()
	if err := k.merge(); err != nil {
		t.Fatal(err)
	}
	if n := len(kept); n > 1 {
		t.Errorf("after a merge %d sets of buffers are kept; want them freed", n)
	}
}
