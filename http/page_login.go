package httpapi

import (
	"html/template"
	"net/http"

	"github.com/gofiber/fiber/v2"
)

// loginView is what the page to log in at shows.
type loginView struct {
	Next    string  // where to go afterwards, a path of ours
	Problem problem // why the last try was refused; no status means that there was none
}

var loginTemplate = template.Must(template.New("login").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Postrider</title>
{{with .Problem.Title}}<p role="alert">{{.}}: {{$.Problem.Detail}}</p>{{end}}
<form method="post" action="/login">
<input type="hidden" name="next" value="{{.Next}}">
<label>API key <input type="password" name="key" autocomplete="current-password" required autofocus></label>
<button>Log in</button>
</form></html>
`))

// loginPage answers with the page to log in at.
func loginPage(c *fiber.Ctx, v loginView) error {
	status := http.StatusOK
	h := &c.Response().Header
	if v.Problem.Status != 0 {
		status = v.Problem.Status
		v.Problem.writeHeaders(h)
	}
	h.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	h.SetContentType("text/html; charset=utf-8")
	c.Status(status)
	return loginTemplate.Execute(c.Response().BodyWriter(), v)
}
