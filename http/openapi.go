package httpapi

import (
	_ "embed"

	"github.com/gofiber/fiber/v2"
)

// contract describes all routes. Tests hold every answer against it.
//
//go:embed openapi.yaml
var contract []byte

func (s *Server) showContract(c *fiber.Ctx) error {
	c.Response().Header.SetContentType("application/yaml")
	c.Response().SetBodyRaw(contract)
	return nil
}
