package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/http/dialect"
)

// callTimeout bounds each request of a command to a server.
const callTimeout = 30 * time.Second

// remote is the running server that a command talks to.
type remote struct {
	address string
	keyFile string
}

func (r *remote) flags(c *cobra.Command) {
	standard := config.Default().HTTP
	c.Flags().StringVar(&r.address, "server", ownAddress(standard, standard.Port), "address of the server")
	c.Flags().StringVar(&r.keyFile, "key-file", "", "file that holds the API key; without it POSTRIDER_KEY is used")
}

// poster posts to a path of the server.
func (r *remote) poster(path string) (*poster, error) {
	if scheme, _, ok := strings.Cut(strings.ToLower(r.address), "://"); !ok || scheme != "http" && scheme != "https" {
		return nil, usageError{errors.New("the address of the server must begin with http:// or https://")}
	}
	key, err := readKey(r.keyFile)
	if err != nil {
		return nil, err
	}
	return newPoster(strings.TrimSuffix(r.address, "/")+path, key), nil
}

func readKey(file string) (string, error) {
	if file == "" {
		return os.Getenv("POSTRIDER_KEY"), nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", usageError{fmt.Errorf("read the API key: %w", err)}
	}
	return string(bytes.TrimSpace(b)), nil
}

// call posts a body for a command and returns the answer when it is a 2xx. When
// nobody knows whether the server has it, the error says how to go on.
func (p *poster) call(ctx context.Context, body []byte, goOn string, more ...dialect.HeaderField) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(p.limit, callTimeout))
	defer cancel()
	status, answer, err := p.post(ctx, body, more...)
	switch {
	case errors.Is(err, errUnsendable):
		return nil, usageError{err}
	case errors.Is(err, errUnreached):
		return nil, fmt.Errorf("%w; is it running?", err)
	case err != nil:
		return nil, fmt.Errorf("%w; %s", err, goOn)
	case status/100 != 2:
		return nil, refused{status, summary(answer)}
	}
	return answer, nil
}

// refused is the answer of a server that did not do it.
type refused struct {
	status int
	says   string
}

func (r refused) Error() string {
	text := fmt.Sprintf("the server refused it with %d: %s", r.status, r.says)
	if r.status == http.StatusUnauthorized {
		text += "; give the API key with --key-file or in POSTRIDER_KEY"
	}
	return text
}

// errNotOurs: there is an answer, and it is not one that Postrider gives.
var errNotOurs = errors.New("what answered is not Postrider")
