package httpapi

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/postrider/postrider/data"
)

const contentJSON = "application/json"

// asStored shows what is stored even when it is not Unicode.
func asStored() json.Options {
	return json.JoinOptions(jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
}

// answer writes v as JSON.
func answer(c *fiber.Ctx, v any) error {
	body, err := json.Marshal(v, asStored())
	if err != nil {
		return fmt.Errorf("write an answer: %w", err)
	}
	answerJSON(c, body)
	return nil
}

// answerJSON answers with body, which is not changed any more.
func answerJSON(c *fiber.Ctx, body []byte) {
	c.Response().Header.SetContentType(contentJSON)
	c.Response().SetBodyRaw(body)
}

// The answers of the intake routes are put together by hand, into the buffer of
// the connection: ids and names of gateways need no escaping.

func answerID(c *fiber.Ctx, id string) {
	r := c.Response()
	r.Header.SetContentType(contentJSON)
	r.AppendBodyString(`{"id":"`)
	r.AppendBodyString(id)
	r.AppendBodyString(`"}`)
}

func answerIDs(c *fiber.Ctx, first data.ID, n int) {
	r := c.Response()
	r.Header.SetContentType(contentJSON)
	r.AppendBodyString(`{`)
	appendIDs(r, first, n)
	r.AppendBodyString(`}`)
}

func appendIDs(r *fasthttp.Response, first data.ID, n int) {
	r.AppendBodyString(`"ids":[`)
	for i := range n {
		if i > 0 {
			r.AppendBodyString(`,`)
		}
		r.AppendBodyString(`"`)
		r.AppendBodyString((first + data.ID(i)).String())
		r.AppendBodyString(`"`)
	}
	r.AppendBodyString(`]`)
}

// answerQueued names the message, and with it all that it became when it was split.
func answerQueued(c *fiber.Ctx, id string, first data.ID, n int, gateway string) {
	r := c.Response()
	r.Header.SetContentType(contentJSON)
	r.AppendBodyString(`{"id":"`)
	r.AppendBodyString(id)
	r.AppendBodyString(`",`)
	if n > 1 {
		appendIDs(r, first, n)
		r.AppendBodyString(`,`)
	}
	r.AppendBodyString(`"gateway":"`)
	r.AppendBodyString(gateway)
	r.AppendBodyString(`","state":"queued"}`)
}
