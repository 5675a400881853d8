package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// shape is a request that proxies and servers are known to read differently, with
// another one hidden in it or behind it.
type shape struct {
	name     string
	raw      string
	statuses []int // of the answers; after a refusal the connection ends
	stored   bool  // whether its event is taken
}

// shapes writes all of them around an event. The lines go into each head.
func shapes(event, hidden, lines string) []shape {
	post := "POST /event HTTP/1.1\r\nHost: localhost\r\n" + lines
	get := "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
	length := fmt.Sprintf("Content-Length: %d\r\n", len(event))
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(event), event)
	const coding = "Transfer-Encoding: chunked\r\n"
	sound := post + length + "\r\n" + event
	taken := func(name, raw string) shape { return shape{name, raw, []int{201}, true} }
	refused := func(name, raw string) shape { return shape{name, raw + hidden, []int{400}, false} }
	swallowed := func(name, raw string, status int) shape { return shape{name, raw, []int{status}, false} }
	behind := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(hidden), hidden)
	return []shape{
		taken("sound", sound),
		taken("chunked", post+coding+"\r\n"+chunked),
		taken("length and chunked", post+fmt.Sprintf("Content-Length: %d\r\n", len(chunked)+len(hidden))+coding+"\r\n"+chunked+hidden),
		taken("chunked and length", post+coding+"Content-Length: 4\r\n\r\n"+chunked+hidden),
		{"two in a row", sound + get + "\r\n", []int{201, 200}, true},
		{"body that is waited for", post + "Expect: 100-continue\r\n" + length + "\r\n" + event, []int{100, 201}, true},
		refused("two lengths", post+length+fmt.Sprintf("Content-Length: %d\r\n\r\n", len(event)+len(hidden))+event),
		refused("list of lengths", post+fmt.Sprintf("Content-Length: %d, %d\r\n\r\n", len(event), len(event))+event),
		refused("negative length", post+"Content-Length: -1\r\n\r\n"+event),
		refused("length with a sign", post+fmt.Sprintf("Content-Length: +%d\r\n\r\n", len(event))+event),
		refused("length in hex", post+fmt.Sprintf("Content-Length: 0x%x\r\n\r\n", len(event))+event),
		refused("length that overflows", post+"Content-Length: 99999999999999999999\r\n\r\n"+event),
		refused("line end in a chunk extension", post+coding+"\r\n"+fmt.Sprintf("%x;\n%s\r\n0\r\n\r\n", len(event), event)),
		refused("chunk length that overflows", post+coding+"\r\nfffffffffffffffff\r\n"+event),
		refused("chunk longer than it says", post+coding+"\r\n"+fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(event)-1, event)),
		refused("unknown coding", post+"Transfer-Encoding: xchunked\r\n\r\n"+chunked),
		refused("chunked twice", post+coding+coding+"\r\n"+chunked),
		refused("chunked and identity", post+"Transfer-Encoding: chunked, identity\r\n\r\n"+chunked),
		refused("HTTP/1.0 with chunks", strings.Replace(post, "1.1", "1.0", 1)+coding+"\r\n"+chunked),
		refused("bare line feeds", strings.ReplaceAll(post+length+"\r\n", "\r", "")+event),
		refused("bare line feed in the head", post+"X-Odd: a\n"+length+"\r\n"+event),
		refused("bare line feed ends the head", post+"X-Odd: a\r\n\n"),
		refused("bare carriage return", post+"X-Odd: a\rX-Odder: b\r\n"+length+"\r\n"+event),
		refused("folded header", post+"X-Odd: a\r\n b\r\n"+length+"\r\n"+event),
		refused("folded first header", strings.Replace(post, "Host", " Host", 1)+length+"\r\n"+event),
		refused("NUL in a header", post+"X-Odd: a\x00b\r\n"+length+"\r\n"+event),
		refused("space in a header name", post+"X Odd: a\r\n"+length+"\r\n"+event),
		refused("space before the colon", post+fmt.Sprintf("Content-Length : %d\r\n\r\n", len(event))+event),
		refused("header without a colon", post+"X-Odd\r\n"+length+"\r\n"+event),
		refused("no host", strings.Replace(post, "Host: localhost\r\n", "", 1)+length+"\r\n"+event),
		refused("two hosts", post+"Host: other\r\n"+length+"\r\n"+event),
		refused("other version", strings.Replace(post, "1.1", "3.0", 1)+length+"\r\n"+event),
		refused("no HTTP", "smuggled\r\n\r\n"),
		swallowed("body of a GET", get+behind, 200),
		swallowed("chunked body of a GET", get+coding+"\r\n"+fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden), 200),
		swallowed("body of an unknown method", "BREW /event HTTP/1.1\r\nHost: localhost\r\n"+lines+behind, 405),
		swallowed("body of another origin", post+"Origin: http://evil\r\n"+behind, 403),
		swallowed("compressed body", post+"Content-Encoding: gzip\r\n"+behind, 415),
		swallowed("target with a host", "GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
		swallowed("target with another host", "GET http://evil/healthz HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil\r\n\r\n", 403),
	}
}

// smuggling sends every shape: as it is, behind a sound request, and in pieces. A
// request that is hidden in one must never be served, which would show in the
// answers and in what is stored.
func (s *siege) smuggling(ctx context.Context) error {
	luck := s.round.source(3)
	guest := s.load.extra()
	probe := &wire{key: s.child.Key()}
	lines := ""
	if probe.key != "" {
		lines = "Authorization: Bearer " + probe.key + "\r\n"
	}
	body := quoted(map[string]string{"event_type": plainType, "event_payload": marker(s.round) + " smuggled"})
	hidden := string(probe.head("POST", eventPath, len(body))) + string(body)
	for i := range shapes("", hidden, lines) {
		for _, way := range []string{"as it is", "behind another request", "in pieces"} {
			r := guest.event("shape")
			one := shapes(string(r.body), hidden, lines)[i]
			r.Replies = []reply{{Problem: nothingStored}}
			raw, want := one.raw, one.statuses
			if way == "behind another request" {
				raw, want = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"+raw, append([]int{200}, want...)
			}
			pieces := []string{raw}
			if way == "in pieces" {
				pieces = cutUp(raw, luck)
			}
			answers, err := s.exchange(ctx, pieces)
			if err != nil {
				return err
			}
			s.judgeShape(one.name+", "+way, want, answers)
			if one.stored {
				for _, a := range answers {
					if a.Status == 201 {
						r.Replies[0] = guest.read(r, a)
					}
				}
			}
			s.round.count("raw shapes", 1)
		}
	}
	return nil
}

// nothingStored is what a request counts as that must not be stored.
const nothingStored = "urn:postrider:problem:stopping"

// cutUp cuts text at places of chance.
func cutUp(text string, luck *rand.Rand) (pieces []string) {
	for len(text) > 0 {
		n := min(1+luck.IntN(40), len(text))
		pieces = append(pieces, text[:n])
		text = text[n:]
	}
	return pieces
}

// exchange writes, ends its side of the connection, and reads all answers.
func (s *siege) exchange(ctx context.Context, pieces []string) (all []rig.Answer, err error) {
	w, err := dialWire(ctx, s.child)
	if err != nil {
		return nil, err
	}
	defer w.drop()
	for _, piece := range pieces {
		if _, err := w.Write([]byte(piece)); err != nil {
			break // the program has heard enough
		}
	}
	_ = w.Conn.(*net.TCPConn).CloseWrite() // the same
	for {
		a, err := w.answer()
		if err != nil {
			return all, nil
		}
		all = append(all, a)
	}
}

func (s *siege) judgeShape(name string, want []int, answers []rig.Answer) {
	var got []int
	for _, a := range answers {
		got = append(got, a.Status)
		if bytes.Contains(a.Body, []byte("smuggled")) {
			s.round.violate("%s: the answer repeats what was sent: %.200s", name, a.Body)
		}
		if a.Status >= 400 && a.Header.Get("Content-Type") != "application/problem+json" {
			s.round.violate("%s: %d of type %q", name, a.Status, a.Header.Get("Content-Type"))
		}
	}
	// A program that ends the connection while more comes may take its answer with it.
	cutShort := len(got) < len(want) && slices.Equal(got, want[:len(got)]) && want[len(want)-1] == 400
	if cutShort {
		s.round.count("refusals lost with their connection", 1)
	}
	if !slices.Equal(got, want) && !cutShort {
		s.round.violate("%s: answers %v, want %v", name, got, want)
	}
}
