package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/postrider/postrider/data"
)

// What may be wrong with a request before package data is asked.
var (
	errMalformed    = errors.New("body is not well-formed JSON")
	errInvalidBody  = errors.New("body is not what the route takes")
	errUnfit        = errors.New("message does not fit its gateway")
	errTooManyMade  = errors.New("routes make too many messages of the request")
	errParameter    = errors.New("bad query parameter")
	errKeyHeader    = errors.New("bad Idempotency-Key header")
	errEncoded      = errors.New("body is compressed")
	errNotForm      = errors.New("body is not a form")
	errUnauthorized = errors.New("no valid key")
	errForbidden    = errors.New("the key lacks a scope")
	errLockedOut    = errors.New("too many wrong keys")
	errNotHere      = errors.New("only for this machine")
	errProfiling    = errors.New("a profile is recorded")
	errWrongHost    = errors.New("request to another host")
	errCrossOrigin  = errors.New("request of another origin")
	errNotReady     = errors.New("not ready")
	errUnread       = errors.New("too much is read at once")
	errTesting      = errors.New("a test of a gateway is under way")
	errBackingUp    = errors.New("a backup is under way")
	errPanic        = errors.New("handler panicked")

	errMalformedForm  = errors.New("form is not well-formed")
	errBadDeclaration = errors.New("not the declaration of a gateway")
	errMisconfigured  = errors.New("mistakes in the configuration")
)

// problem is the body of a refusal (RFC 9457).
type problem struct {
	Type    string    `json:"type"`
	Title   string    `json:"title"`
	Status  int       `json:"status"`
	Detail  string    `json:"detail"`
	Errors  []finding `json:"errors,omitempty"`
	Total   int       `json:"errors_total,omitzero"` // of which Errors may be the first
	Reasons []string  `json:"reasons,omitempty"`
	// ResentAs is the message that a dead letter became before.
	ResentAs string `json:"resent_as,omitzero"`

	retry int // seconds for Retry-After; 0 means no such header
}

// finding is one thing that is wrong. Nothing in it was sent by the client.
type finding struct {
	Pointer   *string `json:"pointer,omitzero"`   // of a body: where, as a JSON pointer
	Parameter string  `json:"parameter,omitzero"` // of a query or path: which known parameter
	Key       string  `json:"key,omitzero"`       // of the configuration
	Code      string  `json:"code"`
	Detail    string  `json:"detail"`
	Offset    *int64  `json:"offset,omitzero"` // of malformed JSON: the byte where it shows
}

// rejection is an error that says where the request is wrong.
type rejection struct {
	kind     error
	findings []finding
	total    int      // 0 means that findings are all
	reasons  []string // of errNotReady
	resentAs data.ID  // of data.ErrResent
	retry    int      // seconds, of errLockedOut
}

func (r *rejection) Error() string { return r.kind.Error() }
func (r *rejection) Unwrap() error { return r.kind }

// problemTypes is what the type of every problem begins with. The types are
// names, there is nothing to fetch.
const problemTypes = "urn:postrider:problem:"

// problemOf returns what a client is told about err.
func problemOf(err error) problem {
	p := lookUp(err)
	p.Type = problemTypes + p.Type
	if r, ok := errors.AsType[*rejection](err); ok {
		p.Errors, p.Total, p.Reasons = r.findings, r.total, r.reasons
		if r.retry > 0 {
			p.retry = r.retry
		}
		if r.resentAs != 0 {
			p.ResentAs = r.resentAs.String()
		}
	}
	return p
}

// lookUp is the only place where an error becomes a status.
func lookUp(err error) problem {
	row := func(status int, slug, title, detail string, retry ...int) problem {
		p := problem{Type: slug, Title: title, Status: status, Detail: detail}
		if len(retry) > 0 {
			p.retry = retry[0]
		}
		return p
	}
	below, isBelow := errors.AsType[*fiber.Error](err)
	switch {
	// The request itself.
	case errors.Is(err, errMalformed):
		return row(400, "malformed-json", "Malformed JSON",
			"The body must be one well-formed JSON text in UTF-8, without duplicate names and with nothing after it.")
	case errors.Is(err, errParameter):
		return row(400, "bad-parameter", "Bad query parameter",
			"A query parameter is unknown, repeated, or has a value that it cannot have.")
	case errors.Is(err, data.ErrBadCursor):
		return row(400, "bad-cursor", "Bad cursor",
			"The value of after is not one that this server gave as next.")
	case errors.Is(err, errKeyHeader):
		return row(400, "bad-idempotency-key", "Bad Idempotency-Key",
			"Send at most one Idempotency-Key header, of 1 to 255 visible ASCII characters.")
	case errors.Is(err, errUnauthorized):
		return row(401, "unauthorized", "Unauthorized",
			"Send one header Authorization: Bearer <key> with a key that this server knows.")
	case errors.Is(err, errForbidden):
		return row(403, "forbidden", "Forbidden",
			"The key does not have the scope that this takes, or may not hand over messages for this gateway; GET /api/v1/whoami says what it may do.")
	case errors.Is(err, errCrossOrigin):
		return row(403, "cross-origin", "Cross-origin request",
			"Requests that a browser sends from another origin are refused.")
	case errors.Is(err, errNotHere):
		return row(403, "local-only", "Only from this machine",
			"This is answered only over a loopback address of the machine that the server runs on.")
	case errors.Is(err, errWrongHost):
		return row(421, "wrong-host", "Wrong host",
			"The request names a host that this server is not known as; add the name to http.hosts in its configuration.")
	case errors.Is(err, data.ErrNotFound):
		return row(404, "not-found", "Not found",
			"There is nothing of this id or name, or it is not kept any more.")
	case errors.Is(err, errEncoded):
		return row(415, "compressed-body", "Compressed body",
			"Send the body as it is, without a Content-Encoding.")
	case errors.Is(err, errNotForm):
		return row(415, "not-a-form", "Not a form",
			"Send the fields of the form as "+contentForm+".")
	case errors.Is(err, errMalformedForm):
		return row(400, "malformed-form", "Malformed form",
			"In a form two hexadecimal digits follow each percent sign.")
	case errors.Is(err, errInvalidBody):
		return row(422, "invalid-body", "Invalid body",
			"The JSON is well-formed but not what this route takes; errors lists what to change.")
	case errors.Is(err, errUnfit):
		return row(422, "unfit-message", "Message does not fit its gateway",
			"The gateway does not take this message; errors lists what it lacks, what is too long, and what cannot be sent there.")
	case errors.Is(err, data.ErrUnknownGateway):
		return row(422, "unknown-gateway", "Unknown gateway",
			"No gateway of this name is declared; GET /api/v1/gateways lists those that are.")
	case errors.Is(err, data.ErrKeyReused):
		return row(422, "idempotency-key-reused", "Idempotency-Key reused",
			"This Idempotency-Key was used for another request within the last 24 hours; use a new one for a new request.")
	case errors.Is(err, data.ErrTooLarge):
		return row(422, "too-large", "Too large for one commit",
			"The request and the messages that routes make of it do not fit into one commit; send fewer events at once.")
	case errors.Is(err, errTooManyMade):
		return row(422, "too-many-messages", "Too many messages",
			"Routes make more than "+strconv.Itoa(data.MaxRouted)+" messages of this request; send fewer events at once.")

	case errors.Is(err, errLockedOut):
		return row(429, "too-many-failures", "Too many wrong keys",
			"Too many wrong keys came from this address; no other is looked at now. Try again later.")

	// The state of a message.
	case errors.Is(err, data.ErrSending):
		return row(409, "being-sent", "Being sent",
			"An attempt is under way; try again when it has ended.")
	case errors.Is(err, data.ErrEnded):
		return row(409, "ended", "Already ended",
			"The message is in a final state.")
	case errors.Is(err, data.ErrNotDead):
		return row(409, "not-dead", "Not a dead letter",
			"Only messages that are failed, unknown or expired can be sent again.")
	case errors.Is(err, data.ErrResent):
		return row(409, "already-resent", "Already sent again",
			"The message was sent again before; resent_as is the message that it became.")
	case errors.Is(err, data.ErrConflict):
		return row(409, "conflict", "Conflict",
			"The message changed meanwhile; look at it and try again.")

	// The state of a gateway.
	case errors.Is(err, data.ErrUnusable):
		return row(409, "unusable-gateway", "Gateway cannot be used",
			"The declaration of the gateway cannot be used; GET /api/v1/gateways/{name} says why as problem.")

	case errors.Is(err, errBadDeclaration):
		return row(422, "bad-declaration", "Bad declaration",
			"This is not how a gateway can be declared; errors lists what to change. Nothing was stored.")
	case errors.Is(err, data.ErrDeclaredInFile):
		return row(409, "declared-in-file", "Declared in the configuration",
			"The configuration of the server declares this gateway, so it can only be changed there.")
	case errors.Is(err, data.ErrExists):
		return row(409, "gateway-exists", "Gateway exists",
			"There is a gateway of this name; PUT /api/v1/gateways/{name} replaces it.")
	case errors.Is(err, data.ErrRouted):
		return row(409, "gateway-in-use", "Gateway in use",
			"A route of the configuration names this gateway; take it out of there first.")
	case errors.Is(err, data.ErrTooMany):
		return row(409, "too-many-gateways", "Too many gateways",
			"At most "+strconv.Itoa(data.MaxDeclared)+" gateways may be declared over the API, which take at most "+strconv.Itoa(data.MaxDeclaredBytes>>20)+
				" MiB of memory, and this would be more; delete some first, or have them say less.")

	// The state of the server.
	case errors.Is(err, errMisconfigured):
		return row(422, "bad-configuration", "Mistakes in the configuration",
			"The configuration has mistakes, which errors lists by key; nothing changed.")
	case errors.Is(err, ErrReloading):
		return row(503, "reload-under-way", "Reload under way",
			"A reload of the configuration, or what one has to wait for, takes its time; nothing changed. Try again later.", 5)
	case errors.Is(err, ErrUnreadable):
		return row(503, "configuration-unreadable", "Configuration cannot be read",
			"The configuration was not read in time, or earlier readings of it have not ended; nothing changed. The log of the server says more.", 30)
	case errors.Is(err, errTesting):
		return row(429, "test-under-way", "Test under way",
			"One gateway is tested at a time, and that is going on; nothing was sent. Try again later.", 5)
	case errors.Is(err, errProfiling):
		return row(429, "profile-under-way", "Profile under way",
			"A profile or a trace is being recorded; one is at a time. Try again later.", 5)
	case errors.Is(err, errBackingUp):
		return row(429, "backup-under-way", "Backup under way",
			"One backup is made at a time, and that is going on. Try again later.", 30)
	case errors.Is(err, data.ErrBacklog):
		return row(429, "backlog-full", "Backlog full",
			"A gateway that the request is for, by itself or by a route, has as many unfinished messages as its max_queue allows; nothing was stored. Try again later.", 30)
	case errors.Is(err, data.ErrStopping):
		return row(503, "stopping", "Stopping",
			"The server is about to stop; nothing was stored. Try again.", 5)
	case errors.Is(err, data.ErrNoSpace):
		return row(503, "no-space", "No disk space",
			"The server has too little disk space left; nothing was stored. Try again later.", 30)
	case errors.Is(err, data.ErrOverloaded):
		return row(503, "overloaded", "Overloaded",
			"Too many requests wait for the disk; nothing was stored. Try again.", 1)
	case errors.Is(err, errUnread):
		return row(503, "too-many-readers", "Too many readers",
			"Too much is asked for at once, or not taken yet by those who asked for it. Try again.", 1)
	case errors.Is(err, data.ErrNoAnswer), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return row(503, "result-unknown", "Result unknown",
			"The store did not answer in time; whether anything was stored is unknown. Repeat the request to find out, with the same Idempotency-Key if it takes one, so that nothing is stored twice.", 5)
	case errors.Is(err, data.ErrStorage):
		return row(503, "storage-failed", "Storage failed",
			"The store failed; whether anything was stored is unknown. Repeat the request to find out, with the same Idempotency-Key if it takes one, so that nothing is stored twice.", 10)
	case errors.Is(err, errNotReady):
		return row(503, "not-ready", "Not ready",
			"The server does not take part now; reasons says why.", 5)

	// What Fiber and the server below it found out by themselves. Their texts
	// hold parts of the request, so only the status is taken.
	case isBelow:
		switch below.Code {
		case 404:
			return row(404, "no-such-path", "No such path", "There is nothing at this path; paths are case-sensitive and end as documented.")
		case 405:
			return row(405, "method-not-allowed", "Method not allowed", "The path does not know this method; the header Allow lists those it knows.")
		case 408:
			return row(408, "request-timeout", "Request timeout", "The request did not come in completely within the time allowed.")
		case 413:
			return row(413, "body-too-large", "Body too large", "The body is larger than this server takes; send less at once.")
		case 431:
			return row(431, "head-too-large", "Head too large", "The request line and the headers are larger than this server takes.")
		}
		return row(400, "malformed-request", "Malformed request", "The request is not well-formed HTTP/1.1.")
	}
	return row(500, "internal", "Internal error", "This is a fault of the server; its log says more. Whether anything was stored is unknown.")
}

// write makes the problem the answer to the request.
func (p problem) write(rc *fasthttp.RequestCtx) {
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte(`{}`) // fixed texts and numbers always marshal
	}
	rc.Response.ResetBody()
	rc.Response.SetBodyRaw(body)
	rc.SetStatusCode(p.Status)
	h := &rc.Response.Header
	h.SetContentType("application/problem+json")
	p.writeHeaders(h)
}

// writeHeaders sets what goes with the status, also when something else is the body.
func (p problem) writeHeaders(h *fasthttp.ResponseHeader) {
	if p.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retry))
	}
	switch {
	case p.Status == http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="postrider"`)
	case p.Type == problemTypes+"not-a-form":
		h.Set("Accept", contentForm)
	case p.Status == http.StatusUnsupportedMediaType:
		h.Set("Accept-Encoding", "identity")
	}
}
