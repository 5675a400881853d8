package httpapi

import (
	"bytes"
	"sync"

	"github.com/gofiber/fiber/v2"
)

const (
	// smallAnswer is what the buffer of a connection takes anyway. No more is
	// held for it, so it is not counted.
	smallAnswer = 4 << 10
	// maxUnwritten is how many bytes of answers may wait for their readers.
	maxUnwritten = 32 << 20
)

// unwritten counts the bytes of answers that are made and not written yet, over
// all connections. Each is in memory as long as its reader likes, the write
// timeout at most, and there may be as many as connections.
type unwritten struct {
	mu   sync.Mutex
	held int
	most int
}

// hold counts an answer until it is written or its connection is gone. A question
// that comes when too much waits already is refused. What was done is told in any
// case: nobody should take it for not done.
func (u *unwritten) hold(c *fiber.Ctx) error {
	r := c.Response()
	if r.IsBodyStream() {
		return nil // is made while it is written
	}
	body := r.Body()
	if len(body) <= smallAnswer {
		return nil
	}
	question := c.Method() == fiber.MethodGet || c.Method() == fiber.MethodHead || c.Route().Path == renderRoute || c.Route().Path == renderPage
	if !u.take(cap(body), question) {
		return errUnread
	}
	r.SwapBody(nil) // else the buffer would be used again before it is written
	r.SetBodyStream(&heldBody{Reader: bytes.NewReader(body), size: cap(body), of: u}, len(body))
	return nil
}

// take counts n bytes in. What is refusable has to fit, unless it is alone.
func (u *unwritten) take(n int, refusable bool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if refusable && u.held > 0 && u.held+n > u.most {
		return false
	}
	u.held += n
	return true
}

func (u *unwritten) release(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.held -= n
}

// heldBody is the body of a counted answer. The server below writes it in one
// piece, by WriteTo, and closes it when it is written, when it cannot be, and
// when nobody wants it, as with HEAD.
type heldBody struct {
	*bytes.Reader
	size int // what is counted; 0 once closed
	of   *unwritten
}

// Close takes the body out of the count.
func (b *heldBody) Close() error {
	b.of.release(b.size)
	b.size = 0
	return nil
}
