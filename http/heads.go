package httpapi

import (
	"errors"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// maxHeads is how many heads are kept: with them 16 forms of that kind can come in at
// once, and no browser sends any; a proxy between may.
const maxHeads = 16

// heads keeps the heads of the latest requests of browsers whose bodies come in chunks.
// The server below forgets the head of a request with such a body when it is too large,
// and in the head it stands how to answer, and whom.
type heads struct {
	mu   sync.Mutex
	kept [maxHeads]keptHead
	next int // the place that is taken next; the oldest head gives way
}

type keptHead struct {
	of   *fasthttp.RequestHeader // whose requests follow each other; nil where there is none
	head *fasthttp.RequestHeader
}

// received is called with each head that came in, before its body is read.
func (k *heads) received(h *fasthttp.RequestHeader) (unchanged fasthttp.RequestConfig) {
	if h.ContentLength() != -1 {
		return unchanged // its head is not forgotten
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.take(h)
	if strings.Contains(string(h.Peek(fiber.HeaderAccept)), textHTML) {
		head := new(fasthttp.RequestHeader)
		h.CopyTo(head)
		k.kept[k.next] = keptHead{of: h, head: head}
		k.next = (k.next + 1) % maxHeads
	}
	return unchanged
}

// restore gives a request that was not taken since its body is too large its head back,
// when it is one that was forgotten and kept.
func (k *heads) restore(h *fasthttp.RequestHeader, err error) {
	if !errors.Is(err, fasthttp.ErrBodyTooLarge) || len(h.RawHeaders()) > 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if head := k.take(h); head != nil {
		head.CopyTo(h)
	}
}

// take returns the head that is kept for h, if there is one, and keeps it no longer.
func (k *heads) take(h *fasthttp.RequestHeader) *fasthttp.RequestHeader {
	for i, kept := range k.kept {
		if kept.of == h {
			k.kept[i] = keptHead{}
			return kept.head
		}
	}
	return nil
}
