package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// secrets are canaries: they stand in the configuration, gateways must get them,
// and nobody may see them anywhere else.
type secrets struct {
	url    string // in the query of every gateway's URL
	header string // in a header, from the environment
	token  string // in a header, from a file
	key    string // of the API
	path   string // of the file
	text   string // what every text of the load begins with; it is kept out of the log only

	mu    sync.Mutex
	shown []string // where one was seen
}

const (
	headerVariable = "TORTURE_HEADER"
	keyVariable    = "TORTURE_KEY"
)

// newSecrets makes the secrets of a round and writes the file.
func newSecrets(r *round) (*secrets, error) {
	name := func(of string) string { return fmt.Sprintf("canary-%s-%016x", of, r.seed) }
	s := &secrets{url: name("url"), header: name("header"), token: name("token"), key: name("key"), path: filepath.Join(r.dir, "token"), text: marker(r)}
	return s, os.WriteFile(s.path, []byte(s.token), 0o600)
}

// environ is what the program finds them in.
func (s *secrets) environ() []string {
	return []string{headerVariable + "=" + s.header, keyVariable + "=" + s.key}
}

func (s *secrets) all() []string { return []string{s.url, s.header, s.token, s.key} }

// heard looks for them in an answer of the API.
func (s *secrets) heard(path string, a rig.Answer) {
	s.look("the answer to "+path, a.Body)
	for name, values := range a.Header {
		s.look("the header "+name+" of "+path, []byte(strings.Join(values, " ")))
	}
}

// logged looks for them, and for what clients sent, in what the program logged:
// a body may be a secret too.
func (s *secrets) logged(log []byte) {
	const where = "the log"
	s.look(where, log)
	s.find(where, log, s.text)
}

// look notes where one is seen.
func (s *secrets) look(where string, text []byte) { s.find(where, text, s.all()...) }

// find notes where one of some is seen, each place once.
func (s *secrets) find(where string, text []byte, some ...string) {
	for _, secret := range some {
		if !bytes.Contains(text, []byte(secret)) {
			continue
		}
		where, _, _ = strings.Cut(where, "?")
		what := secret + " is shown in " + where
		s.mu.Lock()
		if !slices.Contains(s.shown, what) {
			s.shown = append(s.shown, what)
		}
		s.mu.Unlock()
	}
}

// seen is where they were shown.
func (s *secrets) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.shown)
}
