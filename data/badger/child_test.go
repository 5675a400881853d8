package badger

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/postrider/postrider/data"
)

// The test binary runs itself as another process: one that opens a store and
// says what it finds, or one that writes until it is killed.
const (
	childRole = "POSTRIDER_TEST_CHILD"
	childPath = "POSTRIDER_TEST_STORE"
)

func TestMain(m *testing.M) {
	switch os.Getenv(childRole) {
	case "open":
		fmt.Println(found(os.Getenv(childPath)))
	case "write":
		writeUntilKilled(os.Getenv(childPath))
	default:
		os.Exit(m.Run())
	}
}

// child prepares another process on a store.
func child(t testing.TB, role, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"="+role, childPath+"="+dir, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// openElsewhere opens a store in another process and returns what it found.
func openElsewhere(t testing.TB, dir string) string {
	t.Helper()
	cmd := child(t, "open", dir)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return fmt.Sprintf("ended with %v: %.600s", err, problems.String())
	}
	return strings.TrimSpace(out.String())
}

// found opens a store and says what it holds, or why it does not open.
func found(dir string) string {
	s, err := Open(optionsIn(dir, newMachine()))
	for _, known := range []error{data.ErrDamaged, data.ErrInUse, data.ErrNewerFormat, data.ErrNoSpace} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if err != nil {
		return "not opened: " + err.Error()
	}
	content, err := contentOf(s)
	if err := errors.Join(err, s.Verify(), s.Close()); err != nil {
		return "opened and wrong: " + err.Error()
	}
	return content
}

// contentOf is a hash over all that a store holds and shows.
func contentOf(s *Store) (string, error) {
	sum, count := sha256.New(), 0
	for q := (data.EventQuery{Limit: 1000}); ; {
		page, err := s.Events(q)
		if err != nil {
			return "", err
		}
		for _, e := range page.Events {
			fmt.Fprintf(sum, "%d %q %q\n", e.ID, e.Type, e.Payload)
			count++
		}
		if q.After = page.Next; !page.More {
			break
		}
	}
	for q := (data.MessageQuery{Limit: 1000}); ; {
		page, err := s.Messages(q)
		if err != nil {
			return "", err
		}
		for _, m := range page.Messages {
			fmt.Fprintf(sum, "%d %q %q %v %v\n", m.ID, m.Gateway, m.Text, m.State, m.Attempts)
			count++
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	return fmt.Sprintf("%d records %x", count, sum.Sum(nil)), nil
}
