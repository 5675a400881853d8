package badger

import "testing"

// TestBuffersStaySmall looks into Badger, which keeps the buffers of tables.
func TestBuffersStaySmall(t *testing.T) {
	k := newKept(t)
	kept := laidBy(k.db)
	if cap(kept) == 0 {
		t.Fatal("Badger does not keep buffers where it did")
	}
	// A set that Badger has used may slip in before a new one does, now and then.
	for range 4 * cap(kept) {
		if set := <-kept; set.Allocated() > smallSet {
			t.Errorf("a set of %d bytes is laid by; want %d", set.Allocated(), smallSet)
		}
	}
}
