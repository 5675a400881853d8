package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/postrider/postrider/cmd/internal/rig"
	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/data/badger"
)

// Backups under load are of one moment each, and another program goes on from them.
func TestRestore(t *testing.T) {
	t.Parallel()
	e := tortured(t, "restore", "--rounds", "2", "--parallel", "2", "--backups", "1")
	if e.Rounds != 2 || len(e.Failures) != 0 || e.Errors != 0 {
		t.Errorf("the journal says %+v, want 2 clean rounds", e)
	}
	for _, what := range []string{"backups", "restores that went on", "arrivals after a restore"} {
		if e.Counts[what] == 0 {
			t.Errorf("%s: none, so nothing was tried", what)
		}
	}
}

// soundCopy is a backup of an original that went on: of two messages, one had an attempt
// under way; a third one and an event came later.
func soundCopy() (*copied, *account, backupTaken) {
	original := &account{
		Events: []rig.Event{{ID: "01", Type: plainType, Payload: "a"}, {ID: "05", Type: plainType, Payload: "b"}},
		Messages: []rig.Message{
			{ID: "02", Gateway: well, Text: "x"}, {ID: "03", Gateway: failing, Text: "y"}, {ID: "04", Gateway: well, Text: "z"},
		},
		Lives: map[string][]lived{"02": {{10, 11}}, "03": {{12, 13}, {19, 25}, {40, 41}}, "04": {{30, 31}}},
		Requests: [][]*request{{
			{Replies: []reply{{IDs: []string{"01"}, Sent: 1, Ended: 2}}},
			{Replies: []reply{{IDs: []string{"02"}, Sent: 3, Ended: 4}}},
			{Replies: []reply{{IDs: []string{"04"}, Sent: 90, Ended: 91}}},
		}},
	}
	c := &copied{
		records: map[string]record{"01": {plainType, "a"}, "02": {well, "x"}, "03": {failing, "y"}},
		attempts: map[string][]data.Attempt{
			"02": {{Number: 1, Began: 10, Ended: 11}},
			"03": {{Number: 1, Began: 12, Ended: 13}, {Number: 2, Began: 19, Ended: 20, Result: data.Result{Cause: data.CauseCutOff}}},
		},
		last: "03",
	}
	return c, original, backupTaken{began: 5, ended: 80, info: badger.Backup{Time: 20}}
}

// For each check there is a backup with which it finds fault.
func TestCopyViolations(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]struct {
		spoil func(c *copied, original *account, t *backupTaken)
		says  string // "" for nothing
	}{
		"sound":        {func(*copied, *account, *backupTaken) {}, ""},
		"withdrawn":    {func(_ *copied, o *account, _ *backupTaken) { o.Lives["03"] = []lived{{12, 13}, {40, 41}} }, ""},
		"a gap":        {func(c *copied, _ *account, _ *backupTaken) { delete(c.records, "02") }, "02 is not in the backup as it is stored"},
		"another text": {func(c *copied, _ *account, _ *backupTaken) { c.records["02"] = record{well, "w"} }, "02 is not in the backup as it is stored"},
		"from nowhere": {func(c *copied, _ *account, _ *backupTaken) { c.records["00"] = record{} }, "00 is in the backup, and never was"},
		"lost":         {func(_ *copied, _ *account, t *backupTaken) { t.began = 92 }, "04 was acknowledged before the backup began"},
		"too new": {func(c *copied, _ *account, _ *backupTaken) {
			c.records["04"], c.last = record{well, "z"}, "04"
		}, "04 was sent when the backup had ended"},
		"attempt lost": {func(c *copied, _ *account, _ *backupTaken) { c.attempts["02"] = nil }, "of another moment"},
		"attempt of then": {func(c *copied, _ *account, _ *backupTaken) {
			c.attempts["03"] = append(c.attempts["03"], data.Attempt{Number: 3, Began: 40, Ended: 41})
		}, "of another moment"},
		"other end": {func(c *copied, _ *account, _ *backupTaken) { c.attempts["02"][0].Ended++ }, "of another moment"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, original, backup := soundCopy()
			one.spoil(c, original, &backup)
			var found []string
			c.compare(original, backup, func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) })
			if all := strings.Join(found, "\n"); one.says == "" && all != "" || !strings.Contains(all, one.says) {
				t.Errorf("compare() finds %q; want %q", all, one.says)
			}
		})
	}
}
