package main

import (
	"testing"
	"time"
)

func TestProcessors(t *testing.T) {
	t.Parallel()
	all, idle, err := parseSystem("cpu  100 20 30 400 50 6 7 8 9 10\ncpu0 1 2 3\n")
	if err != nil || all != 6210*time.Millisecond || idle != 4500*time.Millisecond {
		t.Errorf("parseSystem() = %v, %v, %v; want 6.21s, 4.5s", all, idle, err)
	}
	if _, _, err := parseSystem("intr 1 2 3"); err == nil {
		t.Error("parseSystem() of another line = nil, want an error")
	}
	worked, err := parseProcess("12 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20")
	if err != nil || worked != 2*time.Second {
		t.Errorf("parseProcess() = %v, %v; want 2s", worked, err)
	}
	if _, err := parseProcess("12 (a) S 1"); err == nil {
		t.Error("parseProcess() of half a line = nil, want an error")
	}
	before := processors{10 * time.Second, 5 * time.Second, time.Second}
	after := processors{20 * time.Second, 8 * time.Second, 3 * time.Second}
	if got := after.others(before); got != 0.5 { // 7 s busy, of which 2 s ours
		t.Errorf("others() = %v, want 0.5", got)
	}
	if got := before.others(before); got != 0 {
		t.Errorf("others() = %v in no time, want 0", got)
	}
}
