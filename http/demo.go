package httpapi

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
)

// demoGateways lists the gateways that this process can play itself. They take
// everything, so that a first try of the program has somebody to deliver to.
func demoGateways() []string { return []string{"gateway_1", "gateway_2"} }

// maxShown is how much of a body a demonstration gateway logs, in bytes.
const maxShown = 1 << 10

func (s *Server) demoGateway(name string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		message := ""
		if id, err := data.ParseID(c.Get("Postrider-Message-Id")); err == nil {
			message = id.String()
		}
		s.opts.Logger.Info("demonstration gateway received", "gateway", name, "message", message, "body", oneLine(c.BodyRaw()))
		return answer(c, healthAnswer{Status: "ok"})
	}
}

// oneLine makes a text that a person can read of a body that anybody may have
// sent.
func oneLine(body []byte) string {
	n := min(len(body), maxShown)
	for n < len(body) && n > maxShown-utf8.UTFMax && !utf8.RuneStart(body[n]) {
		n--
	}
	line := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(body[:n]), "\uFFFD"))
	if n < len(body) {
		line += "…"
	}
	return line
}
