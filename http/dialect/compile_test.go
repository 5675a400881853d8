package dialect_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/http/dialect"
)

const someURL = "https://example.org/in"

// complaints returns the paths of what is wrong with a declaration.
func complaints(t *testing.T, d dialect.Declaration) []string {
	t.Helper()
	_, err := dialect.Compile(d)
	if err == nil {
		return nil
	}
	var paths []string
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("Compile() = %v; want joined complaints", err)
	}
	for _, e := range joined.Unwrap() {
		var c *dialect.Complaint
		if !errors.As(e, &c) {
			t.Fatalf("Compile() = %v; want a Complaint", e)
		}
		paths = append(paths, c.Path)
	}
	return paths
}

func withHeader(name, value string) dialect.Declaration {
	return dialect.Declaration{URL: someURL, Headers: map[string]string{name: value}}
}

func withJSON(tree any) dialect.Declaration {
	return dialect.Declaration{URL: someURL, Body: dialect.Body{JSON: tree}}
}

func withText(source string) dialect.Declaration {
	return dialect.Declaration{URL: someURL, Body: dialect.Body{Text: &source}}
}

func permanent(statuses ...int) dialect.Permanent {
	return dialect.Permanent{Status: dialect.Statuses(statuses...)}
}

func nested(depth int) any {
	var tree any = "{{message}}"
	for range depth {
		tree = []any{tree}
	}
	return tree
}

func TestCompileComplains(t *testing.T) {
	doubling := any("x")
	for range 30 {
		doubling = []any{doubling, doubling}
	}
	tests := map[string]struct {
		give dialect.Declaration
		want []string
	}{
		"nothing":              {dialect.Declaration{URL: someURL}, nil},
		"method of delivery":   {dialect.Declaration{URL: someURL, Method: "PUT"}, nil},
		"unknown method":       {dialect.Declaration{URL: someURL, Method: "DELETE"}, []string{"method"}},
		"lower-case method":    {dialect.Declaration{URL: someURL, Method: "post"}, []string{"method"}},
		"GET":                  {dialect.Declaration{URL: someURL + "?m={{message}}", Method: "GET"}, nil},
		"GET with a body":      {dialect.Declaration{URL: someURL, Method: "GET", Body: dialect.Body{JSON: "x"}}, []string{"body"}},
		"two bodies":           {dialect.Declaration{URL: someURL, Body: dialect.Body{JSON: "x", Form: map[string]string{"a": "b"}}}, []string{"body"}},
		"no URL":               {dialect.Declaration{}, []string{"url"}},
		"relative URL":         {dialect.Declaration{URL: "/gateway_1"}, []string{"url"}},
		"other scheme":         {dialect.Declaration{URL: "ftp://example.org/"}, []string{"url"}},
		"no host":              {dialect.Declaration{URL: "http:///x"}, []string{"url"}},
		"host varies":          {dialect.Declaration{URL: "http://{{gateway}}/x"}, []string{"url"}},
		"host varies in part":  {dialect.Declaration{URL: "http://a.{{gateway}}.org/x"}, []string{"url"}},
		"host ends in value":   {dialect.Declaration{URL: "http://example.org{{message}}"}, []string{"url"}},
		"port varies":          {dialect.Declaration{URL: "http://example.org:{{attempt}}/"}, []string{"url"}},
		"user varies":          {dialect.Declaration{URL: "http://{{message}}@example.org/"}, []string{"url"}},
		"scheme varies":        {dialect.Declaration{URL: "{{message}}://example.org/"}, []string{"url"}},
		"port 0":               {dialect.Declaration{URL: "http://example.org:0/"}, []string{"url"}},
		"port too large":       {dialect.Declaration{URL: "http://example.org:65536/"}, []string{"url"}},
		"empty port":           {dialect.Declaration{URL: "http://example.org:/"}, []string{"url"}},
		"IPv6":                 {dialect.Declaration{URL: "http://[::1]:8080"}, nil},
		"IPv6 not closed":      {dialect.Declaration{URL: "http://[::1/"}, []string{"url"}},
		"IPv6 with a zone":     {dialect.Declaration{URL: "http://[fe80::1%25eth0]/"}, []string{"url"}},
		"host not ASCII":       {dialect.Declaration{URL: "http://bücher.example/"}, []string{"url"}},
		"host with space":      {dialect.Declaration{URL: "http://exam ple.org/"}, []string{"url"}},
		"host with CR/LF":      {dialect.Declaration{URL: "http://example.org\r\nX: y/"}, []string{"url"}},
		"path with CR/LF":      {dialect.Declaration{URL: someURL + "\r\nX: y"}, []string{"url"}},
		"fragment":             {dialect.Declaration{URL: someURL + "#top"}, []string{"url"}},
		"bad percent":          {dialect.Declaration{URL: someURL + "/%zz"}, []string{"url"}},
		"percent before value": {dialect.Declaration{URL: someURL + "/%{{message}}"}, []string{"url"}},
		"query name varies":    {dialect.Declaration{URL: someURL + "?{{message}}=x"}, []string{"url"}},
		"query without name":   {dialect.Declaration{URL: someURL + "?a=b&{{message}}"}, []string{"url"}},
		"user and password":    {dialect.Declaration{URL: "http://me:p%40ss@example.org/"}, nil},
		"bad user":             {dialect.Declaration{URL: "http://m%zz:x@example.org/"}, []string{"url"}},
		"authorized twice": {
			dialect.Declaration{URL: "http://me:x@example.org/", Headers: map[string]string{"authorization": "Bearer x"}},
			[]string{"headers.authorization"},
		},

		"statuses":          {dialect.Declaration{URL: someURL, Permanent: permanent(300, 404, 599)}, nil},
		"status of success": {dialect.Declaration{URL: someURL, Permanent: permanent(400, 204)}, []string{"permanent.status[1]"}},
		"no status":         {dialect.Declaration{URL: someURL, Permanent: permanent(0, 600)}, []string{"permanent.status[0]", "permanent.status[1]"}},

		"header":                 {withHeader("X-A", "{{ message }}"), nil},
		"header without name":    {withHeader("", "x"), []string{"headers."}},
		"header name with space": {withHeader("X A", "x"), []string{"headers.X A"}},
		"header name with CR/LF": {withHeader("X\r\nA", "x"), []string{"headers.X\r\nA"}},
		"header not ASCII":       {withHeader("X-Ä", "x"), []string{"headers.X-Ä"}},
		"Host":                   {withHeader("host", "x"), []string{"headers.host"}},
		"Content-Length":         {withHeader("Content-Length", "1"), []string{"headers.Content-Length"}},
		"Transfer-Encoding":      {withHeader("transfer-encoding", "chunked"), []string{"headers.transfer-encoding"}},
		"Connection":             {withHeader("Connection", "close"), []string{"headers.Connection"}},
		"Expect":                 {withHeader("Expect", "100-continue"), []string{"headers.Expect"}},
		"our own":                {withHeader("postrider-ATTEMPT", "1"), []string{"headers.postrider-ATTEMPT"}},
		"value with CR/LF":       {withHeader("X-A", "x\r\nX-B: y"), []string{"headers.X-A"}},
		"value with NUL":         {withHeader("X-A", "x\x00"), []string{"headers.X-A"}},
		"value ends in space":    {withHeader("X-A", "x "), []string{"headers.X-A"}},
		"one header twice": {
			dialect.Declaration{URL: someURL, Headers: map[string]string{"X-A": "1", "x-a": "2"}},
			[]string{"headers.x-a"},
		},

		"unknown name":       {withText("{{mesage}}"), []string{"body.text"}},
		"name of a route":    {withText("{{event_type}}"), []string{"body.text"}},
		"a call":             {withText("{{len message}}"), []string{"body.text"}},
		"a loop":             {withText("{{range .}}x{{end}}"), []string{"body.text", "body.text"}},
		"no name":            {withText("{{}}"), []string{"body.text"}},
		"not closed":         {withText("{{message}"), []string{"body.text"}},
		"too long":           {withText(strings.Repeat("x", 64<<10+1)), []string{"body.text"}},
		"as long as may be":  {withText(strings.Repeat("x", 64<<10)), nil},
		"not UTF-8":          {withText("\xff"), []string{"body.text"}},
		"single braces":      {withText("{ {message} }}"), nil},
		"form name varies":   {dialect.Declaration{URL: someURL, Body: dialect.Body{Form: map[string]string{"{{id}}": ""}}}, []string{"body.form.{{id}}"}},
		"form value unknown": {dialect.Declaration{URL: someURL, Body: dialect.Body{Form: map[string]string{"a": "{{b}}"}}}, []string{"body.form.a"}},

		"JSON leaf":           {withJSON(map[string]any{"a": []any{"{{x}}", map[string]any{"b": "{{y"}}}), []string{"body.json.a[0]", "body.json.a[1].b"}},
		"JSON name varies":    {withJSON(map[string]any{"{{id}}": 1}), []string{"body.json.{{id}}"}},
		"JSON as deep as may": {withJSON(nested(31)), nil},
		"JSON too deep":       {withJSON(nested(32)), []string{"body.json" + strings.Repeat("[0]", 32)}},
		"JSON too large":      {withJSON(doubling), []string{"body.json"}},
		"JSON with a date":    {withJSON(map[string]any{"day": time.Time{}}), []string{"body.json.day"}},
		"JSON not a number":   {withJSON(math.NaN()), []string{"body.json"}},
		"output too long":     {withText(strings.Repeat("x", 60<<10)), nil},
		"all at once": {
			dialect.Declaration{Method: "X", URL: "x", Headers: map[string]string{"Host": "{{x}}"}, Body: dialect.Body{JSON: "{{x}}"}},
			[]string{"method", "url", "body.json", "headers.Host", "headers.Host"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := complaints(t, tt.give); !slices.Equal(got, tt.want) {
				t.Errorf("Compile(%s) complains about %q; want %q", name, got, tt.want)
			}
		})
	}
}

func TestCompileComplainsOfTooMuchOutput(t *testing.T) {
	tree := make([]any, 200)
	for i := range tree {
		tree[i] = strings.Repeat("x", 60<<10)
	}
	if got := complaints(t, withJSON(tree)); !slices.Equal(got, []string{"body"}) {
		t.Errorf("Compile(12 MiB) complains about %q; want body", got)
	}
}

func TestComplaintsQuoteNoValue(t *testing.T) {
	const secret = "hunter2"
	bad := secret + "{{" + secret + "}}\x00"
	settings := map[string]dialect.Setting{"s": {Value: secret + "\n", Secret: true}, "t": {Value: secret + "\xff", Secret: true}}
	text := bad
	for name, d := range map[string]dialect.Declaration{
		"plain": {
			Method:  secret,
			URL:     "http://me:" + secret + "@/" + secret + "{{" + secret + "}}?{{" + secret,
			Headers: map[string]string{"X-A": secret + "\n{{" + secret + "}} ", "Host": secret},
			Body:    dialect.Body{JSON: []any{"{{" + secret + "}}", "{{" + secret}},
		},
		"settings": {
			URL: "{{settings.s}}{{settings.t}}", Query: map[string]string{"a": bad}, Headers: map[string]string{"X-S": "{{settings.s}}"},
			Auth: dialect.Auth{Basic: &dialect.Basic{User: "{{settings.s}}:", Password: bad}, Bearer: "{{settings.s}}"},
			Body: dialect.Body{Form: map[string]string{"a": bad}, Charset: secret},
		},
		"auth": {
			URL: someURL, Needs: []string{secret}, Length: []dialect.Length{{Field: secret, Unit: secret, Over: secret}},
			Auth: dialect.Auth{
				Header: &dialect.Credential{Name: "X-H", Value: "{{settings.s}}"}, Query: &dialect.Credential{Name: "q", Value: bad},
				HMAC:             &dialect.HMAC{Secret: bad, Header: "X-M", Prefix: bad, Algorithm: secret, Encoding: secret},
				StandardWebhooks: &dialect.StandardWebhooks{Secret: secret, Previous: "{{settings.s}}"},
				Signature:        &dialect.Signature{Key: bad, Text: bad, Algorithm: secret, Encoding: secret},
			},
			Body: dialect.Body{XML: object{"a": object{"@b": bad, "c": "{{settings.s}}\x00"}}},
		},
		"text": {URL: someURL, Body: dialect.Body{Text: &text, Charset: "us-ascii"}},
	} {
		d.Settings = settings
		_, err := dialect.Compile(d)
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("Compile(%s) = %v; want complaints without %q", name, err, secret)
		}
	}
}

func ExampleCompile() {
	_, err := dialect.Compile(dialect.Declaration{
		URL:     "https://sms.example.org/send?to={{phone}}",
		Headers: map[string]string{"Host": "example.org"},
	})
	fmt.Println(err)
	// Output:
	// url: unknown name in {{ }} at byte 32, there are message, to, title, id, uuid, attempt, gateway, timestamp, timestamp_ms, time, signature, params.NAME, settings.NAME
	// headers.Host: is set by the program
}
