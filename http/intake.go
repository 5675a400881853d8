package httpapi

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
)

// maxKey is how long an idempotency key may be.
const maxKey = 255

// intake is what both intake routes do before they look at the body: it returns
// the body, which belongs to the connection, and the idempotency key.
func (s *Server) intake(c *fiber.Ctx) ([]byte, *data.IdempotencyKey, error) {
	if err := s.accepting(); err != nil {
		return nil, nil, err
	}
	body, err := plainBody(c)
	if err != nil {
		return nil, nil, err
	}
	key, err := idempotencyKey(c.Request().Header.PeekAll("Idempotency-Key"), c.Route().Path, body)
	return body, key, err
}

// accepting returns why nothing new is taken now.
func (s *Server) accepting() error {
	if err := s.opts.Accepting(); err != nil {
		return fmt.Errorf("take a request: %w", err)
	}
	return nil
}

// plainBody returns the body, which belongs to the connection. It is never
// decompressed: a small body can become a large one.
func plainBody(c *fiber.Ctx) ([]byte, error) {
	for _, coding := range c.Request().Header.PeekAll(fiber.HeaderContentEncoding) {
		if !bytes.EqualFold(coding, []byte("identity")) {
			return nil, errEncoded
		}
	}
	return c.BodyRaw(), nil
}

// idempotencyKey returns the hashes of the client's key and of what it asks
// for, nil when it gave no key.
func idempotencyKey(given [][]byte, route string, body []byte) (*data.IdempotencyKey, error) {
	if len(given) == 0 {
		return nil, nil //nolint:nilnil // no key is no error
	}
	if len(given) > 1 || len(given[0]) == 0 || len(given[0]) > maxKey {
		return nil, errKeyHeader
	}
	for _, b := range given[0] {
		if b <= ' ' || b > '~' {
			return nil, errKeyHeader
		}
	}
	key := &data.IdempotencyKey{Key: sha256.Sum256(given[0])}
	request := sha256.New()
	request.Write([]byte(route + "\n"))
	request.Write(body)
	request.Sum(key.Request[:0])
	return key, nil
}

// save has the records on disk when it returns nil. After an error it leaves
// them alone, since the store may still hold them.
func (s *Server) save(c *fiber.Ctx, records *data.Save) error {
	if err := s.opts.Saver.Save(s.patience.context(), records); err != nil {
		return fmt.Errorf("save %d events, %d messages: %w", len(records.Events), len(records.Messages), err)
	}
	if records.Repeated {
		markReplayed(c)
	}
	return nil
}

// markReplayed tells the client that it gets the answer to its first request.
func markReplayed(c *fiber.Ctx) { c.Set("Idempotent-Replayed", "true") }
