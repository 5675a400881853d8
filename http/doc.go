// Package httpapi is the HTTP side of Postrider: it reads requests, judges them
// strictly, hands what they ask for to the funcs and small interfaces of its
// [Options], and answers. It owns no records and knows neither actors nor the
// store; whatever leaves a handler is a copy of what the connection holds.
//
// # Routes
//
//	POST /event                          201 {"id"} + Location, or 201 {"ids"} for an array of 1..1000
//	POST /send_message                   200 {"id","gateway","state":"queued"} + Location; "ids" too when it was split
//	GET  /api/v1/events                  200 {"events","next"}; event_type, limit, after
//	GET  /api/v1/events/{id}             200
//	GET  /api/v1/events/tail             200 text/event-stream of events as they come; event_type, after
//	GET  /api/v1/messages                200 {"messages","next"}; gateway, state, cause, since, until, limit, after
//	GET  /api/v1/messages/{id}           200 with every attempt, and its answer where that is kept
//	POST /api/v1/messages/{id}/cancel    200 the message; 409 while it is being sent or has ended
//	POST /api/v1/messages/{id}/resend    201 {"id"} of the new message + Location; 409 for what is no dead letter
//	POST /api/v1/messages/resend         200 {"resent","skipped","next"}, or {"matching","next"} of a dry run
//	GET  /api/v1/gateways                200 {"gateways","next"}; limit, after
//	GET  /api/v1/gateways/{name}         200 definition, counts per state, hold, newest attempt
//	POST /api/v1/gateways                201 the gateway + Location; 409 where there is one
//	PUT  /api/v1/gateways/{name}         200 the gateway, or 201 + Location where there was none
//	DELETE /api/v1/gateways/{name}       204; 409 while a route names it
//	POST /api/v1/gateways/{name}/pause   200 the gateway; no attempt begins until it is resumed
//	POST /api/v1/gateways/{name}/resume  200 the gateway
//	POST /api/v1/gateways/{name}/render  200 {"requests"} that a message would be sent as, secrets masked
//	POST /api/v1/gateways/{name}/test    200 {"results","unsent"} of sending it once; 429 while another is tested
//	GET  /api/v1/whoami                  200 {"name","scopes","gateways","version"} of the caller
//	GET  /                               200 the dashboard: whether anything is stuck
//	GET  /gateways, /gateways/{name}     200 pages; after
//	GET  /messages, /messages/{id}       200 pages; gateway, state, cause, since, until, after, before
//	GET  /messages/resend                200 a page that asks before all that match are sent again
//	GET  /events, /events/{id}           200 pages; event_type, before
//	GET  /config                         200 a page
//	POST /gateways/{name}/pause, resume  303 to a page, as are all forms of the dashboard but the next two
//	POST /gateways/{name}/render, test   200 the page of the gateway with what came of it
//	POST /messages/{id}/cancel, resend   303
//	POST /messages/resend                303 of at most 1000, to a page that leads on
//	POST /config/reload                  303, or 200 the page with what is wrong
//	GET  /assets/{asset}                 200 what pages load, to be kept
//	GET  /login                          200 a page to log in at; next is where to go then
//	POST /login                          303 with a cookie, for a form of key and next; 401 or 429 the page
//	POST /logout                         303 to /login, the session is over
//	GET  /api/v1/routes                  200 {"routes"}, in the order in which they count
//	GET  /api/v1/config                  200 the configuration in force as YAML, secrets masked
//	GET  /api/v1/summary                 200 rates, counts, space, and which gateways need somebody
//	GET  /debug/pprof/                   200 the names of profiles; only from a loopback address
//	GET  /debug/pprof/{profile}          200 the profile; seconds of profile and trace, debug=1 of the others
//	POST /api/v1/reload                  200 {"added","changed","removed","gateways","routes","needs_restart"}
//	GET  /api/v1/routes                  200 {"routes"}, in the order in which they count
//	GET  /api/v1/config                  200 the configuration in force as YAML, secrets masked
//	GET  /api/v1/summary                 200 rates, counts, space, and which gateways need somebody
//	GET  /openapi.yaml                   200 all of this as an OpenAPI 3.1 document
//	GET  /api/v1/backup                  200 a backup as application/octet-stream; 429 while another is made
//	GET  /healthz                        200 while the process answers
//	GET  /readyz                         200 {"status","config"}, or 503 with reasons; draining is one
//	GET  /metrics                        200 what [Options].Metrics writes
//	POST /gateway_1, /gateway_2          200, with [Options].Demo only
//
// HEAD works wherever GET does. Paths are compared as they are, with case and
// final slash.
//
// # Content
//
// What events and messages say is for those who have the scope read:content:
// event_payload; of messages message, to, title and params; of attempts answer. For
// anybody else these fields are left out of every answer.
//
// # Messages
//
// Beside message and gateway, /send_message takes to and title, strings, params, an
// object of at most 100 strings with names of 1 to 64 bytes, and expires_in, a
// duration such as 10m, longer than 0s and at most 720h. What a gateway needs of
// these its declaration says: a message that lacks something (required), or has what
// is too_long or unfit for it, is refused with unfit-message. A gateway may also take
// a long message as several: then id is the first of ids, all stored in one commit,
// each with a life of its own. A repeat with the same Idempotency-Key gets all ids of
// the first answer, however the gateway is declared by then.
//
// No attempt at a message with an end begins from then on, and none that has begun and
// waits for a token or a connection is sent: it is expired, a dead letter, when
// its next attempt would begin later, or when it would be the turn of an attempt.
// Until then it is shown as what it is, such as queued behind a paused gateway, with
// expires_at in the past, and counts for the backlog. expires_at is given by the clock
// of this moment while the message is on its way. Sending a dead letter again keeps an
// end that is still to come and drops one that is over.
//
// What a route makes of an event and its gateway does not take is left out, logged
// and counted; the event is accepted all the same.
//
// # Pages
//
// Lists are in the order of acceptance, newest last. While there may be more,
// next is the value of after for the following page, also when a page came out
// short, or empty, because a filter had to look far or much was deleted; at the
// end it is null. A page also ends with the entry that makes it a megabyte of
// JSON, as a list of gateways does that is asked for without a limit. Whoever wants to go on from the end later keeps the id of the
// last event as after: an event's id is its cursor. A next of all messages is none
// of those of a gateway or state, nor the other way round. An empty parameter
// counts as not given.
//
// since and until are times as in RFC 3339, and bound accepted_at: since is within, until
// is not. They do not find a place, they filter: what is long before since is passed over
// page by page.
//
// # Tail
//
// A tail tells each event as a server-sent event: its id, event: event, and as data
// what a list has of it. It begins behind after, or behind the header Last-Event-ID,
// which a browser sends when it comes back; without both, with what comes from now
// on. What was stored is told within 200 ms. First of all, and every 15 s without an
// event, it says where to go on: a comment, and an id without data, that of no event
// (thirteen zeros) before the first. It ends with the session or, at a reload, with the
// keys that its client was let in by. There are 64
// tails at most; one whose reader takes nothing for the write timeout is cut off, and
// the end of the server ends all. It needs HTTP/1.1.
//
// # Dead letters
//
// The state dead stands for failed, unknown and expired. Sending one of those
// again makes a new message; resend_of and resent_as name one in the other, and
// none is sent again twice. For many the body says which, an object of gateway,
// state, cause, after, limit and dry_run, all optional: {} means all. One request
// sends at most limit of them, 1000 unless it is less, in one commit; the caller
// goes on with next as after. Broken off, it can start anew. Skipped are those
// whose gateway is not declared, and those that another request was faster with.
// With dry_run they are only counted, as far as one request goes: 100,000 or two
// seconds; then next says where to go on, and the caller adds up.
//
// # Gateways
//
// A gateway that is not declared is shown as long as there are messages of it,
// or it is paused: declared is false, and problem says so. hold is null or says
// why nothing is sent: throttled, until the time that the gateway asked for, or
// outage, until a connection can be made. oldest_at is when the message was accepted
// that is first in line: the oldest of the first one that is queued, the next one that
// is due and those under way. One gateway by itself also has its history: how many of
// its messages were delivered and how many became dead letters, in each of the last 60
// steps of 10 s; where there are too many gateways it is left out.
//
// # Summary
//
// The rates are means of the last 10 s, history counts 150 steps of 2 s; the step that
// is not over is in neither. attention names at most 50 gateways with one reason each,
// the worst first: parked, outage, throttled, paused, dead. What it takes a while to
// find out, which is all that is counted over gateways, may be a second old.
//
// origin says where a gateway is declared, config or api, and is empty where it is not.
//
// # Declaring gateways
//
// The body is the declaration of a gateway as in the configuration, and for POST the
// name beside it. Secrets stand in it as they are, and are shown to nobody. What is
// answered is on disk. Mistakes are a bad-declaration, with pointers that have the
// client's names where the place needs them: those of headers, settings and the like,
// and never a value. PUT may be repeated; after a 503 that says the result is unknown
// it finds out. What the configuration declares is declared-in-file for all three.
//
// # Reloading
//
// reload reads the configuration again and puts it in force, or finds mistakes, a
// bad-configuration that lists them by key, and changes nothing. One goes on at a time;
// who asks meanwhile waits. Gateways that are declared over the API stay. It takes no
// body. To everybody /readyz says as config when the configuration that is in force was
// applied, and as refused_at when the newest reload was refused, null if it was not;
// what was wrong only the one who asked is told, and the log.
//
// # Dry run
//
// What render and test take is a message as for /send_message, without gateway and
// expires_in, and with the same refusals. Neither stores anything, knows of
// idempotency keys, or asks whether the gateway is paused or held.
//
// render shows the requests of a first attempt that began now: one, or one for each
// part that the gateway takes the message in. The id in them is no message's, and
// Host, User-Agent and Content-Length, which every request has, are left out. The body
// is text; where it is not UTF-8, body_replaced is true and U+FFFD stands for what is
// not. Of OAuth 2 only the place of the token is shown. render counts as reading.
//
// test sends them, one after the other and each once, within the timeout of the gateway
// and a minute for all. After one that is not delivered, and after the minute, no other
// is sent: unsent counts those, and is left out when there are none. outcome, cause,
// status and hint_ms are those of an attempt; answer is the beginning of what was
// answered, 1 KiB at most, secrets masked. When the server stops, a test is cut off, and
// withdrawn when nothing of it has left.
//
// # Backup
//
// A backup is all that was acknowledged before the request, as it was at one moment, in
// a form of our own that tells by itself whether it is whole: what is cut off, as by an
// error in the middle or the end of the server, has no end, as an answer and as a backup.
// It takes as long as it takes; but when a client that is waited for takes less than 3 MiB
// within the write timeout its connection is closed. It is given up when the disk gets
// nearly full, since it keeps what is deleted; until there is space again a new one is
// refused. One is made at a time. HEAD makes none.
//
// # Refusals
//
// Every refusal is application/problem+json (RFC 9457) with fixed texts; the
// table from error to status is in problem.go and nowhere else.
//
//	400  malformed JSON, form or request, bad parameter or cursor, bad Idempotency-Key
//	401  no key, or not one of ours
//	403  a browser sent it from another site; the key lacks the scope, or may not send to the
//	     gateway; a profile is asked for from elsewhere
//	404  no such path, event, message or gateway
//	405  the path does not know the method; Allow says which it knows
//	408  the request did not come in time
//	409  the message is being sent, has ended, is no dead letter, or was sent again already; the
//	     declaration of the gateway cannot be used; the gateway exists, stands in the
//	     configuration or is named by a route; there are too many, or they take too much memory
//	413  the body is larger than allowed
//	415  the body is compressed, or no form where a page takes one
//	421  the request names a host that is none of ours
//	422  well-formed JSON that is not what the route takes; unknown gateway; key used for another request;
//	     mistakes in the configuration
//	429  the backlog of a gateway is full, a test or a backup is under way, or too many wrong keys came
//	     from there; Retry-After
//	431  the head of the request is too large
//	500  a bug; the log has it
//	503  stopping, no space, overloaded by writes, too many readers, the store did not answer, a
//	     reload is under way, or the configuration cannot be read; Retry-After
//
// A list of errors names each place by JSON pointer or parameter, and a code:
// required, null, type, unknown_field, empty_array, too_many, unknown_gateway;
// syntax, duplicate_key, trailing_data, empty_body; invalid, repeated,
// unknown_parameter; too_long, unfit; configuration, with a key. Nothing that a client sent is repeated to it: an unknown
// field is reported at the object that holds it, and so is an entry of params,
// unless the gateway's declaration names it; for declarations see above. The list ends after 100
// entries, errors_total counts them all.
//
// A request whose head is not written in the one way that everybody reads alike
// (bare line feeds, folded lines, spaces in names, a # in the target) is a malformed request: what
// servers and proxies read differently is what requests are smuggled with.
//
// There are too many readers when lists wait too long for their turn, and when
// 32 MiB of answers are made and not taken yet by those who asked for them. Then
// what a GET asks for is refused if it is longer than 4 KiB, until some of it is
// written or its connection is gone. What was done is told all the same.
//
// Requests that save take turns too, a thousand at a time; one that waits for too
// long finds the process overloaded.
//
// What is refused before all of it was read ends its connection: no more is written, and
// what still comes is dropped, for 5 s and 16 MiB at most. A client that reads only when
// it has sent everything would lose the answer otherwise.
//
// When the server ends, a request that is half there has a second to come in; then it
// is refused as all others are that come too late.
//
// Connections beyond the limit are refused by the server below us with a plain
// 503, before there is a request that could be answered.
//
// # Idempotency
//
// With an Idempotency-Key header (1 to 255 visible ASCII characters) a request
// may be repeated: the same bytes on the same route give the first answer, with
// the header Idempotent-Replayed, and store nothing, also when the gateway is not
// declared any more. After a 503 that says the result is unknown this is the way
// to find out.
//
// # Dashboard
//
// A browser is one that accepts text/html. Without a session it is sent to /login (303) and from there back; what is
// refused it gets as a page, outside of /api/. Forms have to come from a page of ours as everything that a browser sends;
// only a link may lead to a page from elsewhere.
//
// # Access
//
// A request has to name a host that is ours: loopback, the address that it came in at,
// or one of [Options].Hosts; /healthz and /readyz are answered under any name. Else a
// page under a name of its own, which its owner lets lead here, would be no other
// origin to the browser.
//
// With keys every request needs "Authorization: Bearer <key>", but for /healthz,
// /readyz, /openapi.yaml, /login, /logout and the demonstration gateways. What a browser sends from
// another origin is refused whatever the method.
//
// A key that is not ours costs the address that it came from one of ten tries, of
// which one comes back each six seconds. When none is left, keys from there are not
// looked at (429), but for the one that was right from there last.
//
// A browser sends its key once, to /login, and has a session for twelve hours in a
// cookie that no script can read and no other site can send along. The cookie lets in
// as the key does, as long as there is that key; what is no GET or HEAD also has to
// show, by Origin or Sec-Fetch-Site, that a page of ours sent it. An origin is ours when
// it names the host and, with TLS of our own, https. An Authorization
// header counts instead of the cookie, also a wrong one.
package httpapi
