package httpapi

import "github.com/gofiber/fiber/v2"

// route is a line of the table of contents. Package doc says what each one answers.
type route struct {
	method, path string
	needs        Scope
	handle       fiber.Handler
}

// table lists all routes, and what a caller needs for each.
func (s *Server) table() []route {
	list := func(handle fiber.Handler) fiber.Handler { return s.inTurn(s.lists, handle) }
	save := func(handle fiber.Handler) fiber.Handler { return s.inTurn(s.saves, handle) }
	all := append(s.pageTable(), []route{
		{"POST", "/event", ScopeEventWrite, save(s.postEvent)},
		{"POST", "/send_message", ScopeMessageWrite, save(s.postMessage)},

		{"GET", "/api/v1/events", ScopeRead, list(s.listEvents)},
		{"GET", tailRoute, ScopeRead, s.tailEvents},
		{"GET", "/api/v1/events/:id", ScopeRead, s.showEvent},
		{"GET", "/api/v1/messages", ScopeRead, list(s.listMessages)},
		{"GET", "/api/v1/messages/:id", ScopeRead, s.showMessage},
		{"POST", "/api/v1/messages/:id/cancel", ScopeOperate, s.cancelMessage},
		{"POST", "/api/v1/messages/:id/resend", ScopeOperate, s.resendMessage},
		{"POST", "/api/v1/messages/resend", ScopeOperate, s.resendMessages},
		{"GET", "/api/v1/gateways", ScopeRead, list(s.listGateways)},
		{"GET", "/api/v1/gateways/:name", ScopeRead, s.showGateway},
		{"POST", "/api/v1/gateways/:name/pause", ScopeOperate, s.pauseGateway(true)},
		{"POST", "/api/v1/gateways/:name/resume", ScopeOperate, s.pauseGateway(false)},
		{"POST", renderRoute, ScopeRead, list(s.renderMessage)},
		{"POST", testRoute, ScopeOperate, s.testGateway},
		{"GET", "/api/v1/routes", ScopeRead, list(s.listRoutes)},
		{"GET", "/api/v1/summary", ScopeRead, list(s.showSummary)},

		{"GET", loginRoute, needsNothing, s.showLogin},
		{"POST", loginRoute, needsNothing, s.login},
		{"POST", logoutRoute, needsNothing, s.logout},
		{"GET", "/api/v1/whoami", needsKey, s.whoami},

		{"GET", "/debug/pprof/", ScopeAdmin, s.listProfiles},
		{"GET", profileRoute, ScopeAdmin, s.showProfile},

		{"GET", "/api/v1/backup", ScopeAdmin, s.getBackup},
		{"GET", "/openapi.yaml", needsNothing, s.showContract},
		{"GET", "/healthz", needsNothing, s.showHealth},
		{"GET", "/readyz", needsNothing, s.showReady},
	}...)
	if s.opts.Declarer != nil {
		all = append(all,
			route{"POST", "/api/v1/gateways", ScopeAdmin, save(s.createGateway)},
			route{"PUT", "/api/v1/gateways/:name", ScopeAdmin, save(s.putGateway)},
			route{"DELETE", "/api/v1/gateways/:name", ScopeAdmin, save(s.deleteGateway)},
		)
	}
	if s.opts.Reloader != nil {
		all = append(all, route{"POST", "/api/v1/reload", ScopeOperate, s.reload})
	}
	if s.opts.Config != nil {
		all = append(all, route{"GET", "/api/v1/config", ScopeOperate, list(s.showConfig)})
	}
	if s.opts.Metrics != nil {
		all = append(all, route{"GET", "/metrics", ScopeRead, s.showMetrics()})
	}
	if s.opts.Demo {
		for _, name := range demoGateways() {
			all = append(all, route{"POST", "/" + name, needsNothing, s.demoGateway(name)})
		}
	}
	return all
}

// routes registers the table. HEAD works wherever GET does.
func (s *Server) routes() {
	s.app.Use(s.handle)
	for _, r := range s.table() {
		handle := s.allowed(r.needs, r.handle)
		if r.method == fiber.MethodGet {
			s.app.Get(r.path, handle)
			continue
		}
		s.app.Add(r.method, r.path, handle)
	}
}
