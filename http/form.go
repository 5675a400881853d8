package httpapi

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

const (
	// maxForm is how many bytes a form of the dashboard may have.
	maxForm = 64 << 10
	// contentForm is how forms of ours are sent.
	contentForm = "application/x-www-form-urlencoded"
)

// form reads what a form of ours sent, of at most so many bytes. What is sent in
// another way is refused, and not taken for a form without fields.
func form(c *fiber.Ctx, most int) (*fasthttp.Args, error) {
	body, err := plainBody(c)
	if err != nil {
		return nil, err
	}
	if len(body) > most {
		return nil, fiber.ErrRequestEntityTooLarge
	}
	kind, _, _ := bytes.Cut(c.Request().Header.ContentType(), []byte(";"))
	if len(body) > 0 && !bytes.EqualFold(bytes.TrimSpace(kind), []byte(contentForm)) {
		return nil, errNotForm
	}
	if !wellEscaped(body) {
		return nil, errMalformedForm
	}
	fields := new(fasthttp.Args)
	fields.ParseBytes(body)
	return fields, nil
}

// wellEscaped reports whether two hexadecimal digits follow each percent sign.
func wellEscaped(text []byte) bool {
	for {
		_, rest, found := bytes.Cut(text, []byte("%"))
		if !found {
			return true
		}
		if len(rest) < 2 || !isHex(rest[0]) || !isHex(rest[1]) {
			return false
		}
		text = rest[2:]
	}
}

func isHex(b byte) bool {
	return b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'f'
}

// value returns a field of a form, with lines that end as they do elsewhere.
func value(sent *fasthttp.Args, name string) string {
	text := strings.ReplaceAll(string(sent.Peek(name)), "\r\n", "\n")
	if !utf8.ValidString(text) {
		return strings.ToValidUTF8(text, "\uFFFD")
	}
	return text
}
