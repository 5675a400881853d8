package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// badBody is a request that must be refused, and why.
type badBody struct {
	path  string
	lines []string // of the head, beyond what each request has
	body  string
	want  int // status of the refusal
	what  string
}

// forge makes bad requests of good ones. It knows the contract and computes what
// each must be answered; what it makes is never good.
type forge struct {
	luck   *rand.Rand
	canary string // in all that it sends: nobody may see it again
}

const resendPath = "/api/v1/messages/resend"

// member is a member of a JSON object, as it is written.
type member struct{ name, value string }

// layout is how an object is written, which may be wrong.
type layout struct{ before, open, colon, comma, last, end, after string }

func sound() layout { return layout{open: "{", colon: ":", comma: ",", end: "}"} }

func (l layout) write(members []member) string {
	var b strings.Builder
	b.WriteString(l.before + l.open)
	for i, m := range members {
		if i > 0 {
			b.WriteString(l.comma)
		}
		b.WriteString(m.name + l.colon + m.value)
	}
	b.WriteString(l.last + l.end + l.after)
	return b.String()
}

// next makes one.
func (f *forge) next() badBody {
	b := badBody{path: f.of(eventPath, eventPath, messagePath, resendPath)}
	switch n := f.luck.IntN(100); {
	case n < 45:
		b.body, b.what = f.misshapen(b.path)
		b.want = http.StatusUnprocessableEntity
	case n < 85:
		b.body, b.what = f.malformed(b.path)
		b.want = http.StatusBadRequest
	case n < 90: // malformed counts before misshapen
		body, what := f.misshapen(b.path)
		b.body, b.what = f.spoil(body)
		b.what += " of " + what
		b.want = http.StatusBadRequest
	case n < 95:
		f.encoded(&b)
	case n < 97:
		f.foreign(&b)
	default:
		f.misnamed(&b)
	}
	return b
}

// good is an object that the path takes.
func (f *forge) good(path string) []member {
	switch path {
	case eventPath:
		return f.shuffled(member{`"event_type"`, f.text()}, member{`"event_payload"`, f.text()})
	case messagePath:
		return f.shuffled(member{`"message"`, f.text()}, member{`"gateway"`, quote(well)})
	}
	all := f.shuffled(member{`"gateway"`, quote(well)}, member{`"state"`, f.of(`"failed"`, `"dead"`, `"unknown"`)},
		member{`"limit"`, strconv.Itoa(1 + f.luck.IntN(1000))}, member{`"dry_run"`, f.of("true", "false")})
	return all[:1+f.luck.IntN(len(all))]
}

// document writes an object as the path takes it; an event may be in an array.
func (f *forge) document(path, object string) string {
	if path != eventPath || f.luck.IntN(3) > 0 {
		return object
	}
	all := make([]string, 1+f.luck.IntN(4))
	for i := range all {
		all[i] = sound().write(f.good(path))
	}
	all[f.luck.IntN(len(all))] = object
	return "[" + strings.Join(all, ",") + "]"
}

// misshapen is well-formed JSON that the path does not take.
func (f *forge) misshapen(path string) (body, what string) {
	members := f.good(path)
	at := f.luck.IntN(len(members))
	object := func() string { return f.document(path, sound().write(members)) }
	switch f.luck.IntN(7) {
	case 0:
		members[at].value, what = f.wrong(members[at].name)
		return object(), what
	case 1:
		if path == resendPath { // where all is optional
			break
		}
		members = slices.Delete(members, at, at+1)
		return object(), "member missing"
	case 2:
		members = slices.Insert(members, at, member{f.strange(), f.any()})
		return object(), "unknown member"
	case 3:
		members[at].name = otherCase(members[at].name, f.luck)
		return object(), "other case"
	case 4:
		return f.noObject(path)
	case 5:
		if path == eventPath {
			return f.array(), "array"
		}
		return "[" + sound().write(members) + "]", "array where none is taken"
	}
	return f.invalid(path)
}

// wrong is a value of a kind that a member does not have.
func (f *forge) wrong(name string) (value, what string) {
	switch name {
	case `"limit"`:
		return f.of("0", "-1", "-0", "1001", "1.5", "1e2", "1e999", "99999999999999999999", `"5"`, "null", "[]"), "wrong limit"
	case `"dry_run"`:
		return f.of("0", "1", "null", `"true"`, "{}", quote(f.canary)), "no boolean"
	}
	return f.of("0", "-1.5e-7", "1e999999", strings.Repeat("7", 1+f.luck.IntN(400)), "true", "false", "null", "[]", "{}",
		"["+quote(f.canary)+"]", "{"+quote(f.canary)+":0}", f.nested(1+f.luck.IntN(200))), "no string"
}

// nested is an array in an array in an array.
func (f *forge) nested(depth int) string {
	if f.luck.IntN(500) == 0 {
		depth = 9000 // the most that a decoder takes is 10,000
	}
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

// any is any value.
func (f *forge) any() string {
	return f.of("0", "null", "true", f.text(), "[]", "{}", f.nested(3), "["+f.text()+",{"+quote(f.canary)+":1e9}]")
}

// strange is the name of a member that nothing has.
func (f *forge) strange() string {
	return f.of(quote(f.canary), `""`, `"event_type "`, `"event-type"`, `"messages"`, `"gateway\u0000"`, `"id"`, `"__proto__"`, `"\ud83d\ude00"`)
}

// noObject is a document that is none.
func (f *forge) noObject(path string) (body, what string) {
	if path == eventPath && f.luck.IntN(2) == 0 {
		return f.of("[]", "[[]]", "[null]", "["+f.text()+"]", "["+sound().write(f.good(path))+",0]", "[["+sound().write(f.good(path))+"]]"), "array of no objects"
	}
	return f.of("null", "0", "-12.5E+3", "true", f.text(), f.nested(3)), "no object"
}

// array is one in which something is wrong, or too much.
func (f *forge) array() string {
	n := 2 + f.luck.IntN(20)
	if f.luck.IntN(200) == 0 {
		n = 1001
		one := sound().write([]member{{`"event_type"`, quote("t")}, {`"event_payload"`, quote(f.canary)}})
		return "[" + one + strings.Repeat(","+one, n-1) + "]"
	}
	all := make([]string, n)
	for i := range all {
		all[i] = sound().write(f.good(eventPath))
	}
	all[f.luck.IntN(n)] = f.of("{}", "null", "[]", quote(f.canary), `{"event_type":`+quote(f.canary)+`}`)
	return "[" + strings.Join(all, ",") + "]"
}

// invalid is a document with a value of the right kind that the path does not take.
func (f *forge) invalid(path string) (body, what string) {
	members := f.good(path)
	switch path {
	case messagePath:
		for i := range members {
			if members[i].name == `"gateway"` {
				members[i].value = f.of(quote(f.canary), `""`, `"WELL"`, `"well "`, `"well\u0000"`, `"../well"`, `"gateway_99"`)
			}
		}
		return sound().write(members), "unknown gateway"
	case resendPath:
		bad := member{`"state"`, f.of(`"delivered"`, `"queued"`, `"Dead"`, `""`, quote(f.canary))}
		if f.luck.IntN(2) == 0 {
			bad = member{`"cause"`, f.of(`"because"`, quote(f.canary))}
		}
		members = slices.DeleteFunc(members, func(m member) bool { return m.name == bad.name })
		return sound().write(slices.Insert(members, f.luck.IntN(len(members)+1), bad)), "unknown value"
	}
	members[f.luck.IntN(len(members))].value = "null"
	return f.document(path, sound().write(members)), "null"
}

// malformed is no JSON, or JSON that says two things.
func (f *forge) malformed(path string) (body, what string) {
	members := f.good(path)
	at := f.luck.IntN(len(members))
	object := func() string { return f.document(path, sound().write(members)) }
	switch f.luck.IntN(6) {
	case 0:
		again := members[at]
		if f.luck.IntN(2) == 0 { // the same name in other letters
			again.name = fmt.Sprintf(`"\u%04x%s`, again.name[1], again.name[2:])
		}
		members = append(members, again)
		return object(), "member twice"
	case 1:
		members = append(members, member{f.strange(), f.of(`{"a":1,"a":2}`, `[{"a":{},"\u0061":0}]`)})
		return object(), "member twice, below"
	case 2:
		members[at].value = f.of("NaN", "Infinity", "-Infinity", "True", "nul", "undefined", "01", "+1", ".5", "1.", "1e", "1e+", "0x10", "--1", "'a'", "`a`", "")
		return object(), "no value"
	case 3:
		return f.document(path, f.badLayout().write(members)), "layout"
	case 4:
		if f.luck.IntN(100) == 0 {
			const depth = 10_001
			deep := depth + f.luck.IntN(4*depth)
			members[at].value = strings.Repeat("[", deep) + strings.Repeat("]", deep)
			return object(), "too deep"
		}
	}
	return f.spoil(object())
}

// badLayout is one with which nothing is JSON.
func (f *forge) badLayout() layout {
	l := sound()
	switch f.luck.IntN(7) {
	case 0:
		l.colon = f.of("=", "", "::", ";", " ")
	case 1:
		l.last = f.of(",", ",,", ";", `"`)
	case 2:
		l.end = f.of("]", ")", "", "}}", "},")
	case 3:
		l.open = f.of("{{", "(", "{,", "{:")
	case 4:
		l.before = f.of("\ufeff", "//"+f.canary+"\n", "/**/", "\x00", f.canary, "+")
	case 5:
		l.after = f.of(",", "}", "]", "\x00", f.canary)
	default:
		l.open = "{" + f.of("/* */", "'a':0,", "a:0,", "\v")
	}
	return l
}

// spoil makes a document malformed.
func (f *forge) spoil(document string) (body, what string) {
	opened := strings.IndexByte(document, '"') + 1 // a text begins
	if c := strings.Index(document, f.canary); c > 0 && f.luck.IntN(2) == 0 {
		opened = c
	}
	switch f.luck.IntN(4) {
	case 0:
		return document[:f.short(document)], "cut short"
	case 1:
		return document + f.of(" 0", "{}", ",", "]", "\x00", "null", quote(f.canary), "\n"+document, f.canary, "\ufeff"), "more behind it"
	case 2:
		if opened > 0 {
			bad := f.of("\xff", "\xc0\x80", "\xed\xa0\x80", "\xe2\x82", "\xf5\x80\x80\x80", "\xf0\x9f\x98")
			return document[:opened] + bad + document[opened:], "no UTF-8"
		}
	case 3:
		if opened > 0 {
			bad := f.of(`\ud800`, `\udc00`, `\ud800\ud800`, `\udc00\ud800`, `\x41`, `\u12G4`, `\u`, `\'`, "\n", "\t", "\x00", "\x1f", `\ud800\n`)
			return document[:opened] + bad + document[opened:], "no text"
		}
	}
	return document + " " + document, "twice"
}

// short is where to cut a document so that it is none. A number may be cut and be
// one.
func (f *forge) short(document string) int {
	if strings.ContainsAny(document[:1], `{["`) {
		return f.luck.IntN(len(document))
	}
	return 0
}

// encoded makes a request whose body is said to be compressed. Nobody looks at it.
func (f *forge) encoded(b *badBody) {
	b.body = f.document(b.path, sound().write(f.good(b.path)))
	b.want, b.what = http.StatusUnsupportedMediaType, "compressed"
	b.lines = []string{"Content-Encoding: " + f.of("gzip", "deflate", "br", "zstd", "compress", "GZIP", "identity, gzip", "x-"+f.canary)}
	if f.luck.IntN(4) == 0 {
		b.lines = append([]string{"Content-Encoding: identity"}, b.lines...)
	}
	if f.luck.IntN(4) == 0 {
		b.body = "\x1f\x8b\x08\x00" + f.canary
	}
}

// foreign makes a request that a browser sends for somebody else.
func (f *forge) foreign(b *badBody) {
	b.body = f.document(b.path, sound().write(f.good(b.path)))
	b.want, b.what = http.StatusForbidden, "other origin"
	b.lines = []string{"Origin: " + f.of("null", "http://evil", "http://"+f.canary, "https://localhost.evil:5000")}
}

// misnamed makes a request with a key that is none, or a cursor.
func (f *forge) misnamed(b *badBody) {
	b.want = http.StatusBadRequest
	if b.path == resendPath {
		b.body, b.what = `{"after":`+f.of(quote(f.canary), `"0"`, `"-1"`)+`,"dry_run":`+f.of("true", "false")+"}", "bad cursor"
		return
	}
	b.body, b.what = f.document(b.path, sound().write(f.good(b.path))), "bad key"
	switch f.luck.IntN(3) {
	case 0:
		b.lines = []string{"Idempotency-Key: " + f.of(f.canary+" a", strings.Repeat("k", 256), "é", "")}
	case 1:
		b.lines = []string{"Idempotency-Key: " + f.canary, "Idempotency-Key: " + f.canary}
	default:
		b.lines = []string{"Idempotency-Key: a", "idempotency-key: " + f.canary}
	}
}

// text is a text of all kinds, with the canary.
func (f *forge) text() string {
	return quote(f.canary + f.of("", " ", `\"`, `\\`, `\u0000`, "é", "漢字", "👍", `\ud83d\udc4d`, " "+strings.Repeat("x", f.luck.IntN(100))))
}

func (f *forge) of(words ...string) string { return words[f.luck.IntN(len(words))] }

func (f *forge) shuffled(members ...member) []member {
	f.luck.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return members
}

// quote puts what needs no escapes between quotation marks.
func quote(text string) string { return `"` + text + `"` }

// otherCase writes a name in other letters, which makes it another one.
func otherCase(name string, luck *rand.Rand) string {
	for {
		b := []byte(name)
		for i, c := range b {
			if c >= 'a' && c <= 'z' && luck.IntN(3) == 0 {
				b[i] = c - 'a' + 'A'
			}
		}
		if string(b) != name {
			return string(b)
		}
	}
}
