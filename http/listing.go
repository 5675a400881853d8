package httpapi

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"
)

// pageBytes is how long a page is when it takes no further entry. Escapes make up
// to six bytes of one that is stored, so what is shown is measured and not what
// is read.
const pageBytes = 1 << 20

// listing writes a page while it is read, entry by entry, so that it can say when
// it is full.
type listing struct {
	body  []byte
	empty int // the length of body before the first entry
	err   error
}

// newListing begins a page whose entries are called name.
func newListing(name string) *listing {
	body := []byte(`{"` + name + `":[`)
	return &listing{body: body, empty: len(body)}
}

// add writes an entry and reports whether the page is full.
func (l *listing) add(entry any) (full bool) {
	text, err := json.Marshal(entry, asStored())
	if err != nil {
		l.err = fmt.Errorf("write an entry: %w", err)
		return true
	}
	if len(l.body) > l.empty {
		l.body = append(l.body, ',')
	}
	l.body = append(l.body, text...)
	return len(l.body) >= pageBytes
}

// answer ends the page, which goes on behind next; "" means that it is the last.
func (l *listing) answer(c *fiber.Ctx, next string) error {
	if l.err != nil {
		return l.err
	}
	l.body = append(l.body, `],"next":`...)
	if next == "" {
		l.body = append(l.body, `null}`...)
	} else {
		quoted, err := jsontext.AppendQuote(l.body, next)
		if err != nil {
			return fmt.Errorf("write a cursor: %w", err)
		}
		l.body = append(quoted, '}')
	}
	answerJSON(c, l.body)
	return nil
}
