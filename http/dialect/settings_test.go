package dialect_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/http/dialect"
)

// plainSettings are settings that are no secrets.
func plainSettings(pairs ...string) map[string]dialect.Setting {
	settings := make(map[string]dialect.Setting)
	for pair := range slices.Chunk(pairs, 2) {
		settings[pair[0]] = dialect.Setting{Value: pair[1]}
	}
	return settings
}

// full is an input with something in every field.
func full(text string) dialect.Input {
	in := input(text)
	in.To, in.Title, in.Params = "+49 170", "A & B", map[string]string{"order": "№ 7", "empty": ""}
	in.Now = time.Date(2026, 11, 30, 12, 0, 0, 123_456_789, time.FixedZone("", 3600))
	return in
}

func TestNames(t *testing.T) {
	tests := map[string]string{
		"{{message}}|{{to}}|{{title}}":                    "hi|+49 170|A & B",
		"{{params.order}}|{{params.empty}}|{{params.no}}": "№ 7||",
		"{{id}}|{{attempt}}|{{gateway}}":                  "000g000000002|2|gateway_1",
		"{{timestamp}}|{{timestamp_ms}}|{{time}}":         "1796036400|1796036400123|2026-11-30T11:00:00Z",
		"{{settings.a}}|{{ settings.b-2 }}":               "{{message}}|",
		"{{uuid}}":                                        "6dcd7e0b-ca49-5ec9-84f7-da57d82a1202",
	}
	for source, want := range tests {
		d := withText(source)
		d.Settings = plainSettings("a", "{{message}}", "b-2", "")
		r, err := compile(t, d).Render(full("hi"))
		if got := string(r.Body); got != want || err != nil {
			t.Errorf("Render(%s) = %q, %v; want %q", source, got, err, want)
		}
	}
}

func TestUUIDIsThatOfTheMessage(t *testing.T) {
	d := compile(t, withText("{{uuid}}"))
	of := func(change func(*dialect.Input)) string {
		in := full("hi")
		in.AcceptedAt = time.UnixMilli(1_700_000_000_000)
		change(&in)
		r, err := d.Render(in)
		if err != nil {
			t.Fatal(err)
		}
		return string(r.Body)
	}
	first := of(func(*dialect.Input) {})
	if again := of(func(in *dialect.Input) { in.Attempt, in.Now = 3, in.Now.Add(time.Hour) }); again != first {
		t.Errorf("uuid of another attempt = %s; want %s", again, first)
	}
	for name, change := range map[string]func(*dialect.Input){
		"id":       func(in *dialect.Input) { in.ID++ },
		"gateway":  func(in *dialect.Input) { in.Gateway = "other" },
		"accepted": func(in *dialect.Input) { in.AcceptedAt = in.AcceptedAt.Add(time.Millisecond) },
	} {
		if other := of(change); other == first {
			t.Errorf("uuid with another %s = %s, the same", name, other)
		}
	}
}

// Settings are encoded for where they stand, and stand raw up to the host.
func TestSettingsInPlaces(t *testing.T) {
	const nasty = `a/b?c="d"&ü {{message}}`
	d := dialect.Declaration{
		Settings: plainSettings("server", "https://api.example.org:8443/v 1", "host", "example.org", "nasty", nasty, "none", ""),
		URL:      "{{settings.server}}/bot{{settings.nasty}}/send?x={{settings.nasty}}&y=1",
		Query:    map[string]string{"n&n": "{{settings.nasty}}", "t": "{{?title}}", "u": "{{?settings.none}}", "v": "{{?settings.host}}"},
		Headers:  map[string]string{"X-A": "{{settings.nasty}}", "X-B": "{{?to}}", "X-C": "{{?params.c}}"},
		Body:     dialect.Body{Form: map[string]string{"f": "{{settings.nasty}}"}},
	}
	const escaped = "a%2Fb%3Fc%3D%22d%22%26%C3%BC%20%7B%7Bmessage%7D%7D"
	compiled := compile(t, d)
	r, err := compiled.Render(full("hi"))
	if err != nil {
		t.Fatal(err)
	}
	want := "https://api.example.org:8443/v%201/bot" + escaped + "/send?x=" + escaped + "&y=1&n%26n=" + escaped + "&v=example.org&t=A%20%26%20B"
	if r.URL != want {
		t.Errorf("URL = %s; want %s", r.URL, want)
	}
	if _, host := compiled.Endpoint(); host != "api.example.org:8443" {
		t.Errorf("Endpoint() = %s", host)
	}
	if r.Header[0].Value != nasty || r.Header[1].Name != "X-B" || r.Header[2].Name != "Content-Type" {
		t.Errorf("headers = %v", r.Header)
	}
	if got, want := string(r.Body), "f="+strings.ReplaceAll(escaped, "%20", "+"); got != want {
		t.Errorf("body = %s; want %s", got, want)
	}
}

func TestQueryFollowsThatOfTheURL(t *testing.T) {
	tests := []struct {
		url   string
		query map[string]string
		want  string
	}{
		{"http://a.example", map[string]string{"b": "{{message}}", "a": "1"}, "http://a.example/?a=1&b=hi"},
		{"http://a.example?x", map[string]string{"a": ""}, "http://a.example/?x&a="},
		{"http://a.example/p", map[string]string{"a": "{{?params.x}}", "b": "{{?title}}", "c": "{{?message}}"}, "http://a.example/p?b=A%20%26%20B&c=hi"},
		{"http://a.example/{{id}}", map[string]string{"a": "{{?params.x}}"}, "http://a.example/000g000000002"},
	}
	for _, tt := range tests {
		r, err := compile(t, dialect.Declaration{URL: tt.url, Query: tt.query}).Render(full("hi"))
		if r.URL != tt.want || err != nil {
			t.Errorf("Render(%s, %v) = %s, %v; want %s", tt.url, tt.query, r.URL, err, tt.want)
		}
	}
}

// A leaf that is nothing but {{?name}} takes its name and its comma with it.
func TestOptionalLeaves(t *testing.T) {
	type object = map[string]any
	tests := []struct {
		tree        any
		with, empty string
	}{
		{object{"a": "{{?title}}"}, `{"a": "T"}`, `{}`},
		{object{"a": "{{ ? title }}", "b": 1}, `{"a": "T", "b": 1}`, `{"b": 1}`},
		{object{"a": 1, "b": "{{?title}}", "c": 2}, `{"a": 1, "b": "T", "c": 2}`, `{"a": 1, "c": 2}`},
		{object{"a": 1, "b": "{{?title}}"}, `{"a": 1, "b": "T"}`, `{"a": 1}`},
		{object{"a": "{{?title}}", "b": "{{?to}}", "c": object{"d": "{{?title}}"}}, `{"a": "T", "b": "T", "c": {"d": "T"}}`, `{"c": {}}`},
		{[]any{"{{?title}}", "{{?to}}", []any{"{{?to}}"}, "x"}, `["T", "T", ["T"], "x"]`, `[[], "x"]`},
		{object{"a": "{{?settings.none}}", "b": "{{?settings.some}}"}, `{"b": "s"}`, `{"b": "s"}`},
		{object{"a": "{{title}}"}, `{"a": "T"}`, `{"a": ""}`},
	}
	for _, tt := range tests {
		d := withJSON(tt.tree)
		d.Settings = plainSettings("none", "", "some", "s")
		compiled := compile(t, d)
		for want, in := range map[string]dialect.Input{tt.with: {Title: "T", To: "T"}, tt.empty: {}} {
			r, err := compiled.Render(in)
			if got := string(r.Body); got != want || err != nil {
				t.Errorf("Render(%v, title %q) = %s, %v; want %s", tt.tree, in.Title, got, err, want)
			}
		}
	}
	form := dialect.Declaration{URL: someURL, Body: dialect.Body{Form: map[string]string{"a": "{{?title}}", "b": "{{?message}}", "c": "{{?params.c}}", "d": "{{message}}"}}}
	r, err := compile(t, form).Render(input("hi"))
	if got := string(r.Body); got != "b=hi&d=hi" || err != nil {
		t.Errorf("form = %s, %v; want b=hi&d=hi", got, err)
	}
}

func TestNoBody(t *testing.T) {
	r, err := compile(t, dialect.Declaration{URL: someURL, Body: dialect.Body{None: true}}).Render(input("hi"))
	if r.Method != "POST" || r.Body != nil || len(r.Header) != 2 || err != nil {
		t.Errorf("Render() = %+v, %v; want no body and no Content-Type", r, err)
	}
}

func TestSettingsComplain(t *testing.T) {
	many := make(map[string]dialect.Setting)
	headers := make(map[string]string)
	params := make([]any, 101)
	for i := range params {
		many[fmt.Sprint("s", i)] = dialect.Setting{}
		headers[fmt.Sprint("X-", i)] = ""
		params[i] = fmt.Sprintf("{{params.p%d}}", i)
	}
	at := func(url string, pairs ...string) dialect.Declaration {
		return dialect.Declaration{URL: url, Settings: plainSettings(pairs...)}
	}
	tests := map[string]struct {
		give dialect.Declaration
		want []string
	}{
		"all of the URL":        {at("{{settings.u}}", "u", "https://example.org/x"), nil},
		"scheme":                {at("{{settings.u}}://example.org", "u", "https"), nil},
		"host and port":         {at("http://{{settings.h}}:{{settings.p}}", "h", "example.org", "p", "80"), nil},
		"user and password":     {at("http://{{settings.u}}@example.org", "u", "me:x"), nil},
		"host with a slash":     {at("http://{{settings.h}}/x", "h", "example.org/base"), nil},
		"host is not one":       {at("http://{{settings.h}}/x", "h", "exam ple"), []string{"url"}},
		"host is empty":         {at("http://{{settings.h}}/x", "h", ""), []string{"url"}},
		"port is not one":       {at("http://example.org:{{settings.p}}/", "p", "x"), []string{"url"}},
		"data behind a setting": {at("http://{{settings.h}}{{message}}/", "h", "example.org"), []string{"url"}},
		"data before a setting": {at("{{message}}{{settings.h}}/", "h", "http://example.org"), []string{"url"}},
		"other scheme":          {at("{{settings.u}}", "u", "ftp://example.org"), []string{"url"}},
		"fragment":              {at("{{settings.u}}", "u", "http://example.org#x"), []string{"url"}},
		"line break in the URL": {at("{{settings.u}}/x", "u", "http://example.org/\r\nX"), []string{"url"}},
		"encoded in the path":   {at(someURL+"/{{settings.s}}", "s", "\r\n#%"), nil},
		"dots in the path":      {at(someURL+"/{{settings.s}}", "s", ".."), []string{"url"}},
		"nothing in the path":   {at(someURL+"/{{settings.s}}/x", "s", ""), []string{"url"}},
		"name in the query":     {at(someURL+"?{{settings.s}}=x", "s", "a"), []string{"url"}},
		"optional in the URL":   {at(someURL + "?a={{?title}}"), []string{"url"}},
		"not declared":          {at(someURL+"?a={{settings.t}}", "s", ""), []string{"url"}},
		"none declared":         {at(someURL + "?a={{settings.t}}"), []string{"url"}},
		"name of a setting":     {at(someURL, "a b", ""), []string{"settings.a b"}},
		"long name":             {at(someURL, strings.Repeat("x", 65), ""), []string{"settings." + strings.Repeat("x", 65)}},
		"not UTF-8":             {at(someURL, "s", "\xff"), []string{"settings.s"}},
		"long setting":          {at(someURL, "s", strings.Repeat("x", 64<<10+1)), []string{"settings.s"}},
		"too many settings":     {dialect.Declaration{URL: someURL, Settings: many}, []string{"settings"}},
		"too many headers":      {dialect.Declaration{URL: someURL, Headers: headers}, []string{"headers"}},
		"too many query fields": {dialect.Declaration{URL: someURL, Query: headers}, []string{"query"}},
		"too many parameters":   {withJSON(params), []string{"body.json[100]"}},
		"name of a parameter":   {withText("{{params.a b}}"), []string{"body.text"}},
		"empty parameter":       {withText("{{params.}}"), []string{"body.text"}},
		"no signature":          {withText("{{signature}}"), []string{"body.text"}},
		"query without a name":  {dialect.Declaration{URL: someURL, Query: map[string]string{"": "x"}}, []string{"query."}},
		"query name varies":     {dialect.Declaration{URL: someURL, Query: map[string]string{"{{id}}": "x"}}, []string{"query.{{id}}"}},
		"query value unknown":   {dialect.Declaration{URL: someURL, Query: map[string]string{"a": "{{b}}"}}, []string{"query.a"}},
		"header from a setting": {
			dialect.Declaration{URL: someURL, Settings: plainSettings("s", "a\nb", "t", " t"), Headers: map[string]string{"X-S": "{{settings.s}}", "X-T": "{{settings.t}}"}},
			[]string{"headers.X-S", "headers.X-T"},
		},
		"optional and more":       {withJSON([]any{"x{{?title}}", "{{?title}}{{?to}}", "{{?title}"}), []string{"body.json[0]", "body.json[1]", "body.json[1]", "body.json[2]"}},
		"optional and unknown":    {withJSON([]any{"{{?x}}", "{{??title}}", "{{?}}"}), []string{"body.json[0]", "body.json[1]", "body.json[2]"}},
		"optional JSON":           {withJSON("{{?title}}"), []string{"body.json"}},
		"optional text":           {withText("{{?title}}"), []string{"body.text"}},
		"no body and another one": {dialect.Declaration{URL: someURL, Body: dialect.Body{None: true, JSON: 1}}, []string{"body"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := complaints(t, tt.give); !slices.Equal(got, tt.want) {
				t.Errorf("Compile(%s) complains about %q; want %q", name, got, tt.want)
			}
		})
	}
}

func TestRenderNamesWhatIsUnfit(t *testing.T) {
	d := compile(t, dialect.Declaration{URL: "https://example.org/{{to}}", Headers: map[string]string{"X-P": "{{params.p}}"}})
	for want, in := range map[string]dialect.Input{
		"render url: ":         {},
		"render headers.X-P: ": {To: "x", Params: map[string]string{"p": "\n"}},
		"render params.p: ":    {To: "x", Params: map[string]string{"p": "\xff"}},
		"render title: ":       {To: "x", Title: "\xff"},
	} {
		if _, err := d.Render(in); !errors.Is(err, dialect.ErrUnfit) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Render(%v) = %v; want %s%v", in, err, want, dialect.ErrUnfit)
		}
	}
}

func TestDescribePutsSettingsIntoTheHost(t *testing.T) {
	settings := plainSettings("server", "https://me:x@example.org/base", "host", "example.org")
	settings["secret"] = dialect.Setting{Value: "s3cret", Secret: true}
	settings["hook"] = dialect.Setting{Value: "https://hooks.example.org/s3cret", Secret: true}
	for source, want := range map[string]string{
		"{{settings.server}}/x":                 "https://***@example.org/base/x",
		"https://{{settings.host}}/{{message}}": "https://example.org/{{message}}",
		"{{settings.hook}}":                     "https://hooks.example.org/***",
		"https://{{settings.secret}}.example":   "https://***",
		"{{settings.secret}}":                   "***",
		"https://a.example/{{settings.secret}}": "https://a.example/{{settings.secret}}",
		"{{settings.unknown}}":                  "***",
	} {
		d := dialect.Declaration{URL: source, Settings: settings}
		if got := d.Describe().URL; got != want {
			t.Errorf("Describe(%s).URL = %s; want %s", source, got, want)
		}
	}
}

// A dialect is compared as a whole to find out whether a reload changed it.
func TestCompileMakesTheSameOfTheSame(t *testing.T) {
	d := dialect.Declaration{URL: someURL, Settings: plainSettings("a", "1"), Query: map[string]string{"a": "{{settings.a}}", "b": "{{?to}}"}}
	other := d
	other.Settings = plainSettings("a", "2")
	if one := compile(t, d); !reflect.DeepEqual(one, compile(t, d)) || reflect.DeepEqual(one, compile(t, other)) {
		t.Errorf("Compile() twice is not the same, or that of another setting is")
	}
}
