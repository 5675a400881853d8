package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// behaviour is a way in which a gateway misbehaves, and what an attempt must come
// to that meets it. One of the funcs says what it does; what it does to
// connections it does before it knows the message, so a gateway that recovers
// does it on its first connections instead of on a message's first attempts.
type behaviour struct {
	name string
	want []result // any of these

	connect     func(*visit)                    // to a new connection
	certificate func(*certificates) *tls.Config // with what it presents
	closed      bool                            // by not being there
	head        func(*visit)                    // to the head of a request
	answer      func(*visit)                    // to a request that it has read

	secure bool          // with TLS
	first  bool          // what answer does, it does on its first connections
	long   bool          // messages are too long to be sent in one piece
	single bool          // one request at a time, each some time after the answer to the last
	hint   time.Duration // that the program must heed
	must   string        // happen besides
}

// result is what an attempt comes to.
type result struct {
	Outcome, Cause string
	Status         int
}

// Times of the mode. The timeout is long enough that a busy machine does not make
// every answer late.
const (
	timeLimit  = 3 * time.Second        // timeout of an attempt
	shortPause = 250 * time.Millisecond // interval
	hintCap    = 600 * time.Millisecond // longest hint that counts
	pace       = 50 * time.Millisecond  // between attempts, where one is made at a time
	closedFor  = 2 * time.Second        // how long a port is closed that opens
	longest    = 20 * time.Second       // of a connection that nothing happens on
)

var (
	delivered   = []result{{Outcome: "delivered", Status: 200}}
	timedOut    = []result{{Outcome: "temporary", Cause: "timeout"}}
	wasReset    = []result{{Outcome: "temporary", Cause: "reset"}}
	untrusted   = []result{{Outcome: "temporary", Cause: "tls"}}
	unreachable = []result{{Outcome: "temporary", Cause: "unreachable"}}
	throttled   = []result{{Outcome: "throttled", Cause: "throttled", Status: 429}}
)

func refused(status int) []result {
	return []result{{Outcome: "temporary", Cause: "status", Status: status}}
}

func malformed(status int) []result {
	return []result{{Outcome: "temporary", Cause: "malformed", Status: status}}
}

// behaviours are all of them.
func behaviours() (all []behaviour) {
	for _, some := range [][]behaviour{slowness(), breaks(), floods(), lengths(), interims(), redirects(), statuses(), hints(), reuse(), secrecy(), syntax()} {
		all = append(all, some...)
	}
	return all
}

// raw sends an answer as it stands, with a status that its head says; 0 is for one
// that is none.
func raw(status int, text string) func(*visit) {
	return func(v *visit) { v.goesOn = v.say(status, text) }
}

// then sends something and does something after.
func then(status int, text string, do func(*visit)) func(*visit) {
	return func(v *visit) {
		v.say(status, text)
		v.rest(20 * time.Millisecond)
		do(v)
	}
}

const fine = "HTTP/1.1 200 OK\r\n"

func slowness() []behaviour {
	return []behaviour{
		{name: "latency within the timeout", want: delivered, answer: func(v *visit) {
			v.rest(v.timeout/4 + v.some(v.timeout/4))
			v.well()
		}},
		{name: "latency beyond the timeout", want: timedOut, answer: func(v *visit) {
			v.says(0)
			v.rest(2 * v.timeout)
			v.write(fine + "Content-Length: 0\r\n\r\n")
		}},
		{name: "head drips in within the timeout", want: delivered, answer: func(v *visit) {
			if v.drip("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r", v.timeout/2) {
				v.goesOn = v.say(200, "\n")
			}
		}},
		{name: "head drips in, its last byte beyond the timeout", want: timedOut, answer: func(v *visit) {
			v.says(0)
			v.drip("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r", v.timeout/2)
			v.rest(2 * v.timeout)
			v.write("\n")
		}},
		{name: "head drips in for ever", want: timedOut, answer: func(v *visit) {
			v.says(0)
			v.write(fine)
			v.drip(strings.Repeat("X: y\r\n", 100), 3*v.timeout)
		}},
		{name: "body drips in", want: delivered, answer: func(v *visit) {
			v.say(200, fine+"Content-Length: 1000\r\n\r\n")
			v.drip(strings.Repeat("x", 100), 2*v.timeout)
		}},
		{name: "body of a refusal drips in", want: refused(500), answer: func(v *visit) {
			v.say(500, "HTTP/1.1 500 No\r\nContent-Length: 1000\r\n\r\n")
			v.drip(strings.Repeat("x", 100), 2*v.timeout)
		}},
		{name: "silence, request read", want: timedOut, answer: (*visit).hang},
		{name: "silence, nothing read", want: timedOut, connect: func(v *visit) { v.rest(2 * v.timeout) }},
		{name: "silence, nothing read, long", long: true, want: timedOut, connect: func(v *visit) { v.rest(2 * v.timeout) }},
	}
}

func breaks() []behaviour {
	return []behaviour{
		{name: "refused", closed: true, want: []result{{Outcome: "temporary", Cause: "refused"}}},
		{name: "reset after accept", want: append(unreachable, wasReset...), connect: (*visit).reset},
		{name: "reset after the request's head", long: true, want: wasReset, head: (*visit).reset},
		{name: "reset within the request's body", long: true, want: wasReset, head: func(v *visit) {
			_, _ = v.request.Body.Read(make([]byte, 1000))
			v.reset()
		}},
		{name: "reset after the request", want: wasReset, answer: (*visit).reset},
		{name: "reset within the status line", want: wasReset, answer: then(0, "HTTP/1.1 20", (*visit).reset)},
		{name: "reset after the status line", want: wasReset, answer: then(0, fine, (*visit).reset)},
		{name: "reset within the headers", want: wasReset, answer: then(0, fine+"Content-Length: 0\r\nX-", (*visit).reset)},
		{name: "reset before the headers' end", want: wasReset, answer: then(0, fine+"Content-Length: 0\r\n", (*visit).reset)},
		{name: "reset within the last line end", want: wasReset, answer: then(0, fine+"Content-Length: 0\r\n\r", (*visit).reset)},
		{name: "reset within the body", want: delivered, answer: then(200, fine+"Content-Length: 100\r\n\r\nbody", (*visit).reset)},
		{name: "reset within the body of a refusal", want: refused(502), answer: then(502, "HTTP/1.1 502 No\r\nContent-Length: 100\r\n\r\nbody", (*visit).reset)},
		{name: "cut after accept", want: wasReset, connect: (*visit).fin},
		{name: "cut after the request", want: wasReset, answer: (*visit).fin},
		{name: "cut in the status line", want: wasReset, answer: then(0, "HTTP/1.1 2", (*visit).fin)},
		{name: "cut after the status line", want: wasReset, answer: then(0, fine, (*visit).fin)},
		{name: "cut in the headers", want: wasReset, answer: then(0, fine+"Content-Len", (*visit).fin)},
		{name: "cut before the headers' end", want: wasReset, answer: then(0, fine+"Content-Length: 0\r\n", (*visit).fin)},
		{name: "cut in the last line end", want: wasReset, answer: then(0, fine+"Content-Length: 0\r\n\r", (*visit).fin)},
		{name: "cut in the body, with a length", want: delivered, answer: then(200, fine+"Content-Length: 100\r\n\r\nbody", (*visit).fin)},
		{name: "cut in the body, chunked", want: delivered, answer: then(200, fine+"Transfer-Encoding: chunked\r\n\r\n10\r\nbody", (*visit).fin)},
		{name: "cut before the last chunk", want: delivered, answer: then(200, fine+"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n", (*visit).fin)},
		{name: "cut in the body of a refusal", want: refused(500), answer: then(500, "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n", (*visit).fin)},
	}
}

// bomb is 16 MiB of zeros in some 16 KiB. Making it takes a while, so that is done
// before anybody waits for it.
var bomb = sync.OnceValue(func() string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	zeros := make([]byte, rig.Mebibyte)
	for range 16 {
		_, _ = w.Write(zeros) // a buffer takes it
	}
	_ = w.Close()
	return b.String()
})

func floods() []behaviour {
	const most = 10 * rig.Mebibyte
	block := strings.Repeat("x", 16<<10)
	endless := func(status int, head, part string) func(*visit) {
		return func(v *visit) {
			v.say(status, head)
			v.flood(part, most)
			v.await()
		}
	}
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(block), block)
	return []behaviour{
		{name: "endless body", want: delivered, answer: endless(200, fine+"\r\n", block)},
		{name: "endless body, chunked", want: delivered, answer: endless(200, fine+"Transfer-Encoding: chunked\r\n\r\n", chunk)},
		{name: "endless body of empty lines", want: delivered, answer: endless(200, fine+"Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\n\n\r\n", 1000))},
		{name: "endless body of a refusal", want: refused(500), answer: endless(500, "HTTP/1.1 500 No\r\n\r\n", block)},
		{name: "endless chunk extension", want: delivered, answer: endless(200, fine+"Transfer-Encoding: chunked\r\n\r\n1;", block)},
		{name: "endless trailer", want: delivered, answer: endless(200, fine+"Transfer-Encoding: chunked\r\n\r\n0\r\n", strings.Repeat("X: y\r\n", 1000))},
		{name: "10 MB status line", want: malformed(0), answer: endless(0, "HTTP/1.1 200 ", block)},
		{name: "10 MB header", want: malformed(0), answer: endless(0, fine+"X: ", block)},
		{name: "10 MB headers", want: malformed(0), answer: endless(0, fine, strings.Repeat("X: y\r\n", 1000))},
		{name: "10 MB folded header", want: malformed(0), answer: endless(0, fine+"X: y\r\n", strings.Repeat(" y\r\n", 1000))},
		{name: "10 MB without a line", want: malformed(0), answer: endless(0, "", block)},
		{name: "gzip bomb", want: delivered, answer: func(v *visit) {
			v.say(200, fine+"Content-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n")
			v.flood(bomb(), most)
			v.await()
		}},
		{name: "gzip bomb with a length", want: refused(500), answer: func(v *visit) {
			v.goesOn = v.say(500, fmt.Sprintf("HTTP/1.1 500 No\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(bomb()), bomb()))
		}},
		{name: "gzip bomb as a transfer coding", want: malformed(0), answer: func(v *visit) {
			v.say(0, fine+"Transfer-Encoding: gzip, chunked\r\n\r\n")
			v.flood(fmt.Sprintf("%x\r\n%s\r\n", len(bomb()), bomb()), most)
			v.await()
		}},
	}
}

// secondRequest is one on a connection that waited for it.
const secondRequest = "a second request on a connection"

// resetLate is a connection that was to be reset while nothing went on, by a gateway
// that had no turn in time: a request may have met it.
const resetLate = "a reset that came late"

// forged is an answer to a request that was not sent yet.
const forged = fine + "Content-Length: 2\r\n\r\nok"

func lengths() []behaviour {
	answer := func(length string) string { return fine + "Content-Length: " + length + "\r\n\r\nbody" }
	return []behaviour{
		{name: "length too long, then silence", want: delivered, answer: then(200, answer("5"), (*visit).await)},
		{name: "length too long, then the end", want: delivered, answer: then(200, answer("5"), (*visit).fin)},
		{name: "length too short", want: delivered, answer: raw(200, answer("3"))},
		{name: "length too short, a forged answer after it", single: true, want: refused(500), answer: poison("HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"+forged, "", 0)},
		{name: "length misspelt, a forged answer after it", single: true, want: refused(500), answer: poison("HTTP/1.1 500 No\r\nContent-Length : 2\r\n\r\nno"+forged, "", 0)},
		{name: "length is huge", want: delivered, answer: then(200, answer("9223372036854775807"), (*visit).await)},
		{name: "length is beyond all numbers", want: malformed(0), answer: raw(0, answer("9223372036854775808"))},
		{name: "length is negative", want: malformed(0), answer: raw(0, answer("-1"))},
		{name: "length has a sign", want: malformed(0), answer: raw(0, answer("+4"))},
		{name: "length is no number", want: malformed(0), answer: raw(0, answer("four"))},
		{name: "length is hexadecimal", want: malformed(0), answer: raw(0, answer("0x4"))},
		{name: "two lengths", want: malformed(0), answer: raw(0, answer("4\r\nContent-Length: 5"))},
		{name: "two lengths alike", want: delivered, answer: raw(200, answer("4\r\nContent-Length: 4"))},
		{name: "two lengths in one", want: malformed(0), answer: raw(0, answer("4, 5"))},
		{name: "length and chunks", want: delivered, answer: raw(200, fine+"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n")},
		{name: "length and chunks, a forged answer between", single: true, want: refused(500), answer: poison("HTTP/1.1 500 No\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+forged, "", 0)},
		{name: "unknown transfer coding", want: malformed(0), answer: raw(0, fine+"Transfer-Encoding: identity\r\nContent-Length: 4\r\n\r\nbody")},
		{name: "chunk size is no number", want: delivered, answer: raw(200, fine+"Transfer-Encoding: chunked\r\n\r\nzz\r\nbody\r\n")},
		{name: "chunk size is beyond all numbers", want: delivered, answer: raw(200, fine+"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nbody\r\n")},
		{name: "chunk size is negative", want: delivered, answer: raw(200, fine+"Transfer-Encoding: chunked\r\n\r\n-4\r\nbody\r\n")},
	}
}

func interims() []behaviour {
	return []behaviour{
		{name: "flood of 100", want: malformed(0), answer: func(v *visit) {
			v.says(0)
			v.flood(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1000), rig.Mebibyte)
			v.await()
		}},
		{name: "flood of 103 with headers", want: malformed(0), answer: func(v *visit) {
			v.says(0)
			v.flood("HTTP/1.1 103 Early Hints\r\n"+strings.Repeat("Link: </x>\r\n", 500)+"\r\n", rig.Mebibyte)
			v.await()
		}},
		{name: "100 drips in for ever", want: timedOut, answer: func(v *visit) {
			v.says(0)
			for range 100 {
				v.rest(v.timeout / 50)
				if !v.write("HTTP/1.1 100 Continue\r\n\r\n") {
					return
				}
			}
		}},
		{name: "some interim answers before", want: delivered, answer: raw(200, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 What\r\nX: y\r\n\r\n"+forged)},
		{name: "interim answer and no other", want: wasReset, answer: then(0, "HTTP/1.1 100 Continue\r\n\r\n", (*visit).fin)},
		{name: "101 and another protocol", want: malformed(101), answer: then(101, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"+forged, (*visit).await)},
		{name: "101 and silence", want: malformed(101), answer: then(101, "HTTP/1.1 101 Switching Protocols\r\n\r\n", (*visit).await)},
	}
}

func redirects() (all []behaviour) {
	for _, status := range []int{300, 301, 302, 303, 305, 307, 308} {
		to := func(where func(*visit) string) func(*visit) {
			return func(v *visit) {
				v.goesOn = v.say(status, fmt.Sprintf("HTTP/1.1 %d Over there\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", status, where(v)))
			}
		}
		all = append(all,
			behaviour{name: fmt.Sprintf("%d to itself", status), want: refused(status), answer: to(func(v *visit) string { return v.url + v.request.RequestURI })},
			behaviour{name: fmt.Sprintf("%d inward", status), want: refused(status), answer: to(func(v *visit) string { return v.canary + v.request.RequestURI })},
		)
	}
	elsewhere := func(format string) func(*visit) {
		return func(v *visit) { v.goesOn = v.say(200, fmt.Sprintf(format, v.canary)) }
	}
	return append(all,
		behaviour{name: "200 with a location", want: delivered, answer: elsewhere(fine + "Location: %s/x\r\nContent-Length: 0\r\n\r\n")},
		behaviour{name: "200 with a refresh", want: delivered, answer: elsewhere(fine + "Refresh: 0; url=%s/x\r\nContent-Length: 0\r\n\r\n")},
		behaviour{name: "interim answer with a location", want: delivered, answer: elsewhere("HTTP/1.1 103 Early Hints\r\nLocation: %[1]s/x\r\nLink: <%[1]s/y>; rel=preload\r\n\r\n" + forged)},
	)
}

func statuses() []behaviour {
	line := func(text string) string { return text + "\r\nContent-Length: 0\r\n\r\n" }
	return []behaviour{
		{name: "status 000", want: malformed(0), answer: raw(0, line("HTTP/1.1 000 Nothing"))},
		{name: "status 099", want: malformed(99), answer: raw(99, line("HTTP/1.1 099 Nothing"))},
		{name: "status 999", want: malformed(999), answer: raw(999, line("HTTP/1.1 999 All"))},
		{name: "status 600", want: malformed(600), answer: raw(600, line("HTTP/1.1 600 More"))},
		{name: "status 20", want: malformed(0), answer: raw(0, line("HTTP/1.1 20 OK"))},
		{name: "status 2000", want: malformed(0), answer: raw(0, line("HTTP/1.1 2000 OK"))},
		{name: "status -20", want: malformed(0), answer: raw(0, line("HTTP/1.1 -20 OK"))},
		{name: "status is a word", want: malformed(0), answer: raw(0, line("HTTP/1.1 two OK"))},
		{name: "status without a reason", want: delivered, answer: raw(200, line("HTTP/1.1 200"))},
		{name: "status of version 1.0", want: delivered, answer: raw(200, line("HTTP/1.0 200 OK"))},
		{name: "status of no version", want: malformed(0), answer: raw(0, line("HTTP 200 OK"))},
		{name: "status of another protocol", want: malformed(0), answer: raw(0, line("ICY 200 OK"))},
		{name: "status of version 2.0", want: delivered, answer: raw(200, line("HTTP/2.0 200 OK"))},
		{name: "HTTP/2 in answer", want: wasReset, answer: then(0, "\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64\x00\x04\x00\x10\x00\x00\x00\x06\x00\x00\x40\x00", (*visit).fin)},
		{name: "HTTP/0.9 in answer", want: malformed(0), answer: then(0, "<html>200 OK</html>\r\n", (*visit).fin)},
		{name: "204 with a body", want: []result{{Outcome: "delivered", Status: 204}}, answer: raw(204, "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nbody")},
		{name: "204 with a forged answer", single: true, want: []result{{Outcome: "delivered", Status: 204}}, answer: poison("", "HTTP/1.1 204 No Content\r\n\r\n"+forged, 204)},
		{name: "304", want: refused(304), answer: raw(304, "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n")},
		{name: "407", want: refused(407), answer: raw(407, line("HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=x"))},
		{name: "401", want: refused(401), answer: raw(401, line("HTTP/1.1 401 Who are you\r\nWWW-Authenticate: Basic realm=x"))},
	}
}

func hints() []behaviour {
	says := func(values ...func() string) func(*visit) {
		return func(v *visit) {
			fields := []string{"HTTP/1.1 429 Later", "Content-Length: 0"}
			for _, value := range values {
				fields = append(fields, "Retry-After: "+value())
			}
			v.goesOn = v.say(429, strings.Join(fields, "\r\n")+"\r\n\r\n")
		}
	}
	word := func(w string) func() string { return func() string { return w } }
	in := func(d time.Duration, layout string) func() string {
		return func() string { return time.Now().Add(d).UTC().Format(layout) }
	}
	const rfc850 = "Monday, 02-Jan-06 15:04:05 GMT"
	return []behaviour{
		{name: "Retry-After seconds", hint: hintCap, want: throttled, answer: says(word("1"))},
		{name: "Retry-After fraction", hint: hintCap, want: throttled, answer: says(word("0.7"))},
		{name: "Retry-After zero", want: throttled, answer: says(word("0"))},
		{name: "Retry-After date", hint: hintCap, want: throttled, answer: says(in(3*time.Second, http.TimeFormat))},
		{name: "Retry-After old date", hint: hintCap, want: throttled, answer: says(in(3*time.Second, rfc850))},
		{name: "Retry-After past", want: throttled, answer: says(in(-time.Hour, http.TimeFormat))},
		{name: "Retry-After far date", hint: hintCap, want: throttled, answer: says(word("Fri, 31 Dec 9999 23:59:59 GMT"))},
		{name: "Retry-After huge", hint: hintCap, want: throttled, answer: says(word(strings.Repeat("9", 1000)))},
		{name: "Retry-After several", hint: hintCap, want: throttled, answer: says(word("0"), word("soon"), word("1"), word("-1"))},
		{name: "Retry-After negative", want: refused(429), answer: says(word("-5"))},
		{name: "Retry-After garbage", want: refused(429), answer: says(word("soon, \xff"))},
		{name: "Retry-After with a control character", want: malformed(0), answer: raw(0, "HTTP/1.1 429 Later\r\nRetry-After: 1\x01\r\nContent-Length: 0\r\n\r\n")},
		{name: "Retry-After empty", want: refused(429), answer: says(word(""))},
		{name: "Retry-After exponent", want: refused(429), answer: says(word("1e3"))},
		{name: "Retry-After no such date", want: refused(429), answer: says(word("Fri, 31 Feb 2040 25:61:61 GMT"))},
		{name: "Retry-After of a 503", hint: hintCap, want: []result{{Outcome: "throttled", Cause: "throttled", Status: 503}}, answer: raw(503, "HTTP/1.1 503 Later\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n")},
		{name: "Retry-After of a 500", want: refused(500), answer: raw(500, "HTTP/1.1 500 No\r\nRetry-After: 1000\r\nContent-Length: 0\r\n\r\n")},
		{name: "Retry-After of a 200", want: delivered, answer: raw(200, fine+"Retry-After: 1000\r\nContent-Length: 0\r\n\r\n")},
	}
}

// poison answers, and sends what nobody asked for when the connection is idle, or at
// once. Whatever comes on the connection after that is not answered any more: a
// message that is delivered by it was delivered by nobody.
func poison(answer, unasked string, after time.Duration) func(*visit) {
	return func(v *visit) {
		status := 500
		if answer == "" {
			status = 204
		}
		v.say(status, answer)
		v.rest(after)
		v.write(unasked)
		if v.next() {
			v.read()
			v.says(0)
			v.rest(v.timeout / 2)
		}
	}
}

// goOn reads the body of a request that was answered, and goes on.
func goOn(v *visit) { v.goesOn = v.read() }

// ignore reads no more, and does not close the connection soon.
func ignore(v *visit) { v.rest(v.timeout / 2) }

func reuse() []behaviour {
	no := "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"
	maybe := append(wasReset, delivered...)
	return []behaviour{
		{name: "closed when idle", single: true, want: refused(500), answer: func(v *visit) {
			v.say(500, no)
			v.fin()
		}},
		{name: "reset when idle", single: true, want: refused(500), answer: func(v *visit) {
			v.say(500, no)
			answered := time.Now()
			v.rest(5 * time.Millisecond)
			v.reset()
			if time.Since(answered) > pace/2 {
				v.happened(resetLate)
			}
		}},
		{name: "closed when the next request comes", first: true, want: maybe, answer: func(v *visit) {
			v.say(200, forged)
			if v.next() {
				v.happened(secondRequest)
				v.reset()
			}
		}, must: secondRequest},
		{name: "closed around the next request", first: true, want: maybe, answer: func(v *visit) {
			v.say(200, forged)
			v.rest(v.some(3 * time.Millisecond))
			_ = v.conn.Close()
		}},
		{name: "keeps a connection that it said to close", want: refused(500), answer: raw(500, "HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")},
		{name: "forged answer with the answer", single: true, want: refused(500), answer: poison(no+forged, "", 0)},
		{name: "forged answer when idle", single: true, want: refused(500), answer: poison(no, forged, 2*time.Millisecond)},
		{name: "forged answer when idle, secure", secure: true, single: true, want: refused(500), answer: poison(no, forged, 2*time.Millisecond)},
		{name: "half a forged answer when idle", single: true, want: refused(500), answer: poison(no, "HTTP/1.1 200 O", 2*time.Millisecond)},
		{name: "empty lines when idle", single: true, want: refused(500), answer: poison(no, "\r\n\r\n", 2*time.Millisecond)},
		{name: "408 when idle", single: true, want: refused(500), answer: poison(no, "HTTP/1.1 408 Slow\r\nConnection: close\r\n\r\n", 2*time.Millisecond)},
		{name: "answer before the request", want: delivered, connect: func(v *visit) {
			v.write(forged)
			v.in = bufio.NewReader(v.conn)
			if v.next() && v.read() {
				v.says(200)
				v.goesOn = true
			}
		}},
		{name: "answer before the body", long: true, want: delivered, head: then(200, fine+"Content-Length: 0\r\n\r\n", goOn)},
		{name: "refusal before the body", long: true, want: refused(413), head: then(413, "HTTP/1.1 413 Much\r\nContent-Length: 0\r\n\r\n", goOn)},
		{name: "answer instead of the body", long: true, want: delivered, head: then(200, fine+"Connection: close\r\nContent-Length: 0\r\n\r\n", ignore)},
		{name: "refusal instead of the body", long: true, want: refused(413), head: then(413, "HTTP/1.1 413 Much\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", ignore)},
	}
}

func secrecy() []behaviour {
	return []behaviour{
		{name: "certificate expired", want: untrusted, certificate: func(c *certificates) *tls.Config { return c.expired }},
		{name: "certificate not yet valid", want: untrusted, certificate: func(c *certificates) *tls.Config { return c.early }},
		{name: "certificate of another host", want: untrusted, certificate: func(c *certificates) *tls.Config { return c.elsewhere }},
		{name: "certificate of a stranger", want: untrusted, certificate: func(c *certificates) *tls.Config { return c.stranger }},
		{name: "TLS of old", want: untrusted, certificate: func(c *certificates) *tls.Config { return c.old }},
		{name: "TLS handshake hangs", secure: true, want: unreachable, connect: (*visit).await},
		{name: "TLS handshake is garbage", secure: true, want: untrusted, connect: func(v *visit) {
			v.write("SSH-2.0-OpenSSH_9.9\r\n")
			v.await()
		}},
		{name: "TLS handshake answered in plain", secure: true, want: untrusted, connect: func(v *visit) {
			v.write(forged)
			v.await()
		}},
		{name: "TLS handshake reset", secure: true, want: untrusted, connect: func(v *visit) {
			_, _ = v.conn.Read(make([]byte, 1))
			v.reset()
		}},
		{name: "TLS handshake cut", secure: true, want: untrusted, connect: (*visit).fin},
		{name: "TLS cut in the head", secure: true, want: wasReset, answer: then(0, fine+"Content-", func(v *visit) { _ = v.raw.Close() })},
		{name: "TLS cut in the body", secure: true, want: delivered, answer: then(200, fine+"Content-Length: 100\r\n\r\nbody", func(v *visit) { _ = v.raw.Close() })},
		{name: "TLS reset in the head", secure: true, want: wasReset, answer: then(0, fine+"Content-", (*visit).reset)},
		{name: "TLS garbage in the head", secure: true, want: malformed(0), answer: func(v *visit) {
			v.write(fine)
			v.says(0)
			_, _ = v.raw.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
			v.await()
		}},
	}
}

func syntax() []behaviour {
	header := func(line string) string { return fine + line + "\r\nContent-Length: 2\r\n\r\nok" }
	return []behaviour{
		{name: "bare LF", want: delivered, answer: raw(200, "HTTP/1.1 200 OK\nContent-Length: 2\n\nok")},
		{name: "bare CR", want: wasReset, answer: then(0, "HTTP/1.1 200 OK\rContent-Length: 2\r\rok", (*visit).fin)},
		{name: "obs-fold", want: delivered, answer: raw(200, header("X: a\r\n b\r\n\tc"))},
		{name: "obs-fold at the beginning", want: malformed(0), answer: raw(0, header(" X: a"))},
		{name: "header name with a space", want: delivered, answer: raw(200, header("X Y: a"))},
		{name: "space before the colon", want: delivered, answer: raw(200, header("X : a"))},
		{name: "header without a name", want: malformed(0), answer: raw(0, header(": a"))},
		{name: "header without a colon", want: malformed(0), answer: raw(0, header("X"))},
		{name: "NUL in a header name", want: malformed(0), answer: raw(0, header("X\x00Y: a"))},
		{name: "NUL in a header", want: malformed(0), answer: raw(0, header("X: a\x00b"))},
		{name: "NUL in the status line", want: delivered, answer: raw(200, "HTTP/1.1 200 O\x00K\r\nContent-Length: 2\r\n\r\nok")},
		{name: "empty line before the answer", want: malformed(0), answer: raw(0, "\r\n"+forged)},
		{name: "UTF-8 in a header", want: delivered, answer: raw(200, header("X: é漢👍"))},
	}
}
