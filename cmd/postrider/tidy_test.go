package main

import "testing"

func TestTidierIsDue(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	var tidied tidier
	for _, step := range []struct {
		what         string
		cycles, held uint64
		want         bool
	}{
		{"at the start there is little", 3, 20 * mib, false},
		{"a flood, collections go on", 9, 200 * mib, false},
		{"calm", 9, 200 * mib, true},
		{"calm, and it is tidied up", 10, 60 * mib, false},
		{"calm, and nothing new", 10, 60*mib + tidyFrom - 1, false},
		{"calm, and something new", 10, 60*mib + tidyFrom, true},
		{"busy", 14, 300 * mib, false},
	} {
		got := tidied.due(step.cycles, step.held)
		if got != step.want {
			t.Errorf("%s: due(%d, %d MiB) = %v, want %v", step.what, step.cycles, step.held/mib, got, step.want)
		}
		if got {
			tidied.done(step.cycles+1, 60*mib)
		}
	}
}

// What the numbers are read from is there in this version of Go.
func TestHeapIsRead(t *testing.T) {
	t.Parallel()
	if _, held := heap(); held < 1<<20 {
		t.Errorf("the heap has %d bytes", held)
	}
}
