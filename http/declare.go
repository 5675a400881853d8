package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/data"
)

// Declarer declares gateways while the process runs, beside those of its
// configuration. What it did is on disk when it returns. Besides those of the store
// its errors are [data.ErrDeclaredInFile], [ErrReloading] when ctx ended before a reload
// did, and where they say so the ones below.
type Declarer interface {
	// Declare has a gateway declared as a JSON object says, or says as faults what is
	// wrong with that. With anew it is [data.ErrExists] where there is one; else that
	// one is replaced, and created is false. It may be [data.ErrTooMany].
	Declare(ctx context.Context, name string, declaration []byte, anew bool) (created bool, faults []Fault, err error)
	// Undeclare ends that. It is [data.ErrNotFound] where there is no such gateway, and
	// [data.ErrRouted] where a route names it.
	Undeclare(ctx context.Context, name string) error
}

// The codes of faults of a declaration, beside those of bodies, a closed list.
const (
	CodeInvalid      = codeInvalid
	CodeRequired     = codeRequired
	CodeUnknownField = codeUnknownField
)

// newGateway is a declaration with the name of its gateway.
type newGateway struct {
	Name jsontext.Value `json:"name"`
	Rest jsontext.Value `json:",embed"`
}

// name returns the name that a gateway is to have.
func (g newGateway) name() (name string, err error) {
	code, detail := "", wantName
	switch g.Name.Kind() {
	case '"':
		if err := json.Unmarshal(g.Name, &name); err != nil || !MayName(name) {
			code = codeInvalid
		}
	case 'n':
		code = codeNull
	case 0:
		code, detail = codeRequired, "The field is missing."
	default:
		code = codeType
	}
	if code == "" {
		return name, nil
	}
	return "", &rejection{kind: errBadDeclaration, findings: []finding{{Pointer: new("/name"), Code: code, Detail: detail}}}
}

// createGateway declares a gateway that there is not yet.
func (s *Server) createGateway(c *fiber.Ctx) error {
	if err := s.accepting(); err != nil {
		return err
	}
	body, err := plainBody(c)
	if err != nil {
		return err
	}
	if err := wellFormed(body); err != nil {
		return err
	}
	var in newGateway
	if err := json.Unmarshal(body, &in); err != nil {
		return fmt.Errorf("read a body that was found well-formed: %w", err)
	}
	name, err := in.name()
	if err != nil {
		return err
	}
	if len(in.Rest) == 0 {
		in.Rest = jsontext.Value("{}")
	}
	if _, err := s.declare(name, in.Rest, true); err != nil {
		return err
	}
	return s.answerDeclared(c, name, true)
}

// putGateway declares a gateway, whether there is one or not.
func (s *Server) putGateway(c *fiber.Ctx) error {
	name := strings.Clone(c.Params("name"))
	if !MayName(name) {
		return &rejection{kind: errBadDeclaration, findings: []finding{{Parameter: "name", Code: codeInvalid, Detail: wantName}}}
	}
	if err := s.accepting(); err != nil {
		return err
	}
	body, err := plainBody(c)
	if err != nil {
		return err
	}
	if err := wellFormed(body); err != nil {
		return err
	}
	created, err := s.declare(name, jsontext.Value(body), false)
	if err != nil {
		return err
	}
	return s.answerDeclared(c, name, created)
}

// deleteGateway ends the declaration of a gateway. It works while nothing new is taken.
func (s *Server) deleteGateway(c *fiber.Ctx) error {
	name := strings.Clone(c.Params("name"))
	if !MayName(name) {
		return data.ErrNotFound
	}
	if err := s.opts.Declarer.Undeclare(s.patience.context(), name); err != nil {
		return fmt.Errorf("undeclare a gateway: %w", err)
	}
	c.Status(fiber.StatusNoContent)
	return nil
}

// declare hands over a declaration in the form in which it is kept: without what
// means nothing between the values. The body is the connection's, so it is copied.
func (s *Server) declare(name string, declaration jsontext.Value, anew bool) (created bool, err error) {
	declaration = bytes.Clone(declaration)
	if err := declaration.Compact(); err != nil {
		return false, fmt.Errorf("write a declaration that was found well-formed: %w", err)
	}
	created, faults, err := s.opts.Declarer.Declare(s.patience.context(), name, declaration, anew)
	switch {
	case err != nil:
		return false, fmt.Errorf("declare a gateway: %w", err)
	case len(faults) > 0:
		return false, faulty(errBadDeclaration, faults)
	}
	return created, nil
}

// answerDeclared shows a gateway as it is now.
func (s *Server) answerDeclared(c *fiber.Ctx, name string, created bool) error {
	gateway, err := s.gateway(name)
	if err != nil {
		return err
	}
	if created {
		c.Status(fiber.StatusCreated)
		c.Set(fiber.HeaderLocation, "/api/v1/gateways/"+name)
	}
	return s.answerGateway(c, gateway)
}

// wellFormed refuses what is not one JSON object in the strict sense.
func wellFormed(body []byte) error {
	in := inspector{dec: jsontext.NewDecoder(bytes.NewBuffer(body))}
	kind := in.dec.PeekKind()
	if err := in.whole(); err != nil {
		return in.malformed(err)
	}
	if kind != '{' {
		return &rejection{kind: errBadDeclaration, findings: []finding{{
			Pointer: new(""), Code: codeType, Detail: "The value must be an object with the keys of a gateway.",
		}}}
	}
	return nil
}
