package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"github.com/postrider/postrider/http/ui"
)

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
	all := []route{
		{"POST", "/event", ScopeEventWrite, save(s.postEvent)},
		{"POST", "/send_message", ScopeMessageWrite, save(s.postMessage)},

		{"GET", "/api/v1/events", ScopeRead, list(s.listEvents)},
		{"GET", "/api/v1/events/tail", ScopeRead, s.tailEvents},
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
		{"GET", "/api/v1/summary", ScopeRead, list(s.showSummary)},

		{"GET", "/", ScopeRead, list(s.showOverviewPage)},
		{"GET", gatewaysPage, ScopeRead, list(s.showGatewaysPage)},
		{"GET", gatewaysPage + "/:name", ScopeRead, s.showGatewayPage},
		{"POST", gatewaysPage + "/:name/pause", ScopeOperate, s.pausePage(true)},
		{"POST", gatewaysPage + "/:name/resume", ScopeOperate, s.pausePage(false)},
		{"POST", renderPage, ScopeRead, list(s.renderPage)},
		{"POST", gatewaysPage + "/:name/test", ScopeOperate, s.testPage},
		{"GET", messagesPage, ScopeRead, list(s.showMessagesPage)},
		{"GET", resendPath, ScopeOperate, list(s.showResendPage)},
		{"POST", resendPath, ScopeOperate, s.resendPage},
		{"GET", messagesPage + "/:id", ScopeRead, s.showMessagePage},
		{"POST", messagesPage + "/:id/cancel", ScopeOperate, s.cancelPage},
		{"POST", messagesPage + "/:id/resend", ScopeOperate, s.resendMessagePage},
		{"GET", eventsPage, ScopeRead, list(s.showEventsPage)},
		{"GET", eventsPage + "/:id", ScopeRead, list(s.showEventPage)},
		{"GET", configPage, ScopeRead, list(s.showConfigPage)},
		{"GET", ui.AssetPath + ":name", needsNothing, s.showAsset},

		{"GET", loginRoute, needsNothing, s.showLogin},
		{"POST", loginRoute, needsNothing, s.login},
		{"POST", "/logout", needsNothing, s.logout},
		{"GET", "/api/v1/whoami", needsKey, s.whoami},

		{"GET", "/debug/pprof/", ScopeAdmin, s.listProfiles},
		{"GET", profileRoute, ScopeAdmin, s.showProfile},

		{"GET", "/healthz", needsNothing, s.showHealth},
		{"GET", "/readyz", needsNothing, s.showReady},
	}
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
