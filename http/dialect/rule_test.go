package dialect_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/postrider/postrider/data"
	"github.com/postrider/postrider/http/dialect"
)

func is(pointer string, value any) dialect.Rule {
	return dialect.Rule{JSON: &pointer, Is: &value}
}

func not(pointer string, value any) dialect.Rule {
	return dialect.Rule{JSON: &pointer, Not: &value}
}

func in(pointer string, values ...any) dialect.Rule {
	return dialect.Rule{JSON: &pointer, In: values}
}

func exists(pointer string, there bool) dialect.Rule {
	return dialect.Rule{JSON: &pointer, Exists: &there}
}

func text(whole string) dialect.Rule { return dialect.Rule{Text: &whole} }

func contains(part string) dialect.Rule { return dialect.Rule{Contains: &part} }

// succeeds is a declaration whose success depends on the rules.
func succeeds(rules ...dialect.Rule) dialect.Declaration {
	return dialect.Declaration{URL: someURL, Success: dialect.Success{Body: rules}}
}

func TestRules(t *testing.T) {
	const (
		holds     = data.CauseNone
		no        = data.CauseRejected
		illegible = data.CauseBody
	)
	deep := func(n int) string { return strings.Repeat("[", n) + "0" + strings.Repeat("]", n) }
	const vonage = `{"messages": [{"status": "0", "to": "1"}, {"status": "0", "to": "2"}]}`
	const vonageHalf = `{"messages": [{"status": "0", "to": "1"}, {"status": "4", "error-text": "no"}]}`
	tests := []struct {
		rule dialect.Rule
		body string
		want data.Cause
	}{
		{is("/ok", true), `{"ok": true}`, holds},
		{is("/ok", true), `{"ok": true, "ok": false}`, no},
		{is("/ok", true), `{"ok": false}`, no},
		{is("/ok", true), `{"ok": "true"}`, no},
		{is("/ok", true), `{"ok": 1}`, no},
		{is("/ok", true), `{"ok": null}`, no},
		{is("/ok", true), `{"OK": true}`, no},
		{is("/ok", true), `{}`, no},
		{is("/ok", true), `[true]`, no},
		{is("/ok", true), `"ok"`, no},
		{is("/ok", nil), `{"ok": null}`, holds},
		{is("/ok", nil), `{}`, no},
		{is("/ok", nil), `{"ok": 0}`, no},
		{is("/ok", "a\u00e9"), `{"ok": "a\u00e9"}`, holds},
		{is("/ok", ""), `{"ok": ""}`, holds},
		{is("", "ok"), `"ok"`, holds},
		{is("", 7), ` 7 `, holds},
		{is("/", 7), `{"": 7}`, holds},
		{is("/a~1b", 7), `{"a/b": 7}`, holds},
		{is("/a~0b", 7), `{"a~b": 7}`, holds},
		{is("/a~01b", 7), `{"a~1b": 7}`, holds},
		{is("/a%2fb", 7), `{"a%2fb": 7}`, holds},
		{is("/a/0/b", 7), `{"a": [{"b": 7}, {"b": 8}]}`, holds},
		{is("/a/1/b", 7), `{"a": [{"b": 7}, {"b": 8}]}`, no},
		{is("/a/00/b", 7), `{"a": [{"b": 7}]}`, no},
		{is("/a/-", 7), `{"a": [7]}`, no},
		{is("/a/-1", 7), `{"a": [7]}`, no},
		{is("/a/99999999999999999999", 7), `{"a": [7]}`, no},
		{is("/a/0", 7), `{"a": {"0": 7}}`, holds},
		{is("/a/b", 7), `{"a": 7}`, no},

		{is("/code", 0), `{"code": 0}`, holds},
		{is("/code", 0), `{"code": 0.0}`, holds},
		{is("/code", 0), `{"code": -0}`, holds},
		{is("/code", 0), `{"code": 0e99999999999999999999}`, holds},
		{is("/code", 0), `{"code": "0"}`, no},
		{is("/code", "0"), `{"code": 0}`, no},
		{is("/code", 0), `{"code": false}`, no},
		{is("/code", 0), `{"code": 1e-999999999}`, no},
		{is("/code", 100), `{"code": 1e2}`, holds},
		{is("/code", 100), `{"code": 1.00E+2}`, holds},
		{is("/code", 100), `{"code": 1000e-1}`, holds},
		{is("/code", 1.5), `{"code": 15e-1}`, holds},
		{is("/code", -1.5), `{"code": 1.5}`, no},
		{is("/code", 1e300), `{"code": 1` + strings.Repeat("0", 300) + `}`, holds},
		{is("/code", 9007199254740993), `{"code": 9007199254740992}`, no},
		{is("/code", uint64(math.MaxUint64)), `{"code": 18446744073709551615}`, holds},
		{is("/code", json.Number("1E999999999999")), `{"code": 1E999999999999}`, holds},

		{is("/a", []any{1, "x", nil}), `{"a": [1.0, "x", null]}`, holds},
		{is("/a", []any{1, "x"}), `{"a": [1, "x", null]}`, no},
		{is("/a", []any{}), `{"a": []}`, holds},
		{is("/a", []any{}), `{"a": {}}`, no},
		{is("/a", map[string]any{"b": 1}), `{"a": {"b": 1}}`, holds},
		{is("/a", map[string]any{"b": 1}), `{"a": {"b": 1, "c": 2}}`, no},
		{is("/a", map[string]any{"b": nil}), `{"a": {"c": null}}`, no},

		{in("/s", "sent", "queued"), `{"s": "queued"}`, holds},
		{in("/s", "sent", "queued"), `{"s": "failed"}`, no},
		{in("/s", "sent", nil), `{"s": null}`, holds},
		{in("/s", "sent", nil), `{}`, no},
		{not("/s", "failed"), `{"s": "sent"}`, holds},
		{not("/s", "failed"), `{"s": null}`, holds},
		{not("/s", "failed"), `{"s": "failed"}`, no},
		{not("/s", "failed"), `{}`, no},
		{exists("/id", true), `{"id": null}`, holds},
		{exists("/id", true), `{}`, no},
		{exists("/error", false), `{}`, holds},
		{exists("/error", false), `{"error": null}`, no},
		{exists("/error/code", false), `{"error": 7}`, holds},
		{exists("/error", false), `[]`, holds},

		{is("/messages/*/status", "0"), vonage, holds},
		{is("/messages/*/status", "0"), vonageHalf, no},
		{not("/messages/*/status", "4"), vonage, holds},
		{not("/messages/*/status", "4"), vonageHalf, no},
		{exists("/messages/*/error-text", false), vonage, holds},
		{exists("/messages/*/error-text", false), vonageHalf, no},
		{exists("/messages/*/error-text", false), `{"messages": []}`, no},
		{exists("/messages/*/error-text", false), `{}`, no},
		{is("/messages/*/status", "0"), `{"messages": []}`, no},
		{is("/messages/*/status", "0"), `{"messages": {}}`, no},
		{is("/messages/*/status", "0"), `{"messages": "0"}`, no},
		{is("/messages/*/status", "0"), `{"messages": [{"status": "0"}, {}]}`, no},
		{is("/sms/*/status", "OK"), `{"sms": {"79": {"status": "OK"}, "80": {"status": "OK"}}}`, holds},
		{is("/sms/*/status", "OK"), `{"sms": {"79": {"status": "OK"}, "80": {"status": "ERROR"}}}`, no},
		{is("/*/*", 1), `[[1, 1], [1]]`, holds},
		{is("/*/*", 1), `[[1, 1], []]`, no},
		{is("/*", 1), `[]`, no},
		{is("/a*", 1), `{"a*": 1}`, holds},

		{is("/ok", true), "\xef\xbb\xbf{\"ok\": true}\r\n", holds},
		{is("/ok", true), ``, illegible},
		{is("/ok", true), ` `, illegible},
		{is("/ok", true), `<html>`, illegible},
		{is("/ok", true), `{"ok": true`, illegible},
		{is("/ok", true), `{"ok": true} x`, illegible},
		{is("/ok", true), `{"ok": true}{"ok": true}`, illegible},
		{is("/ok", true), `{'ok': true}`, illegible},
		{is("/ok", true), `{"ok": true,}`, illegible},
		{not("/ok", false), `<html>`, illegible},
		{exists("/error", false), `<html>`, illegible},
		{exists("/error", false), deep(64), holds},
		{exists("/error", false), deep(65), illegible},
		{exists("/error", false), strings.Repeat("[", 60_000), illegible},
		{exists("/error", false), `"` + strings.Repeat("[", 1000) + `\"` + strings.Repeat("[", 1000) + `"`, holds},
		{exists("/error", false), `[` + strings.Repeat("[],", 1000) + `0]`, holds},

		{text("ok"), "ok", holds},
		{text("ok"), " ok\r\n", holds},
		{text(" ok\n"), "ok", holds},
		{text("ok"), "\xef\xbb\xbfok", holds},
		{text("ok"), "OK", no},
		{text("ok"), "ok!", no},
		{text("ok"), "", no},
		{text(""), " \n", holds},
		{contains("error"), "an error", holds},
		{contains("error"), "an Error", no},
		{contains(" error"), "an error", holds},
		{contains("  error"), "an error", no},
		{contains("\x00"), "\xff\x00", holds},
	}
	for _, tt := range tests {
		d := compile(t, succeeds(tt.rule))
		got := d.Judge(dialect.Answer{Status: 200, Body: []byte(tt.body)}, now)
		if want := verdict(tt.want); got != want {
			t.Errorf("Judge(200, %.80q) by %s = %+v; want %+v", tt.body, describe(tt.rule), got, want)
		}
	}
}

// verdict is what a 200 comes to whose body has something against it, or has not.
func verdict(cause data.Cause) data.Result {
	if cause == data.CauseNone {
		return data.Result{Outcome: data.OutcomeDelivered, Status: 200}
	}
	return data.Result{Outcome: data.OutcomeTemporary, Cause: cause, Status: 200}
}

func describe(r dialect.Rule) string {
	b, err := json.Marshal(r)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestRulesComplain(t *testing.T) {
	pointer := func(s string) dialect.Rule { return exists(s, true) }
	both := is("/a", 1)
	both.Text = new("x")
	two := is("/a", 1)
	two.Exists = new(true)
	verb := text("x")
	verb.Is = new(any(1))
	doubling := any("x")
	for range 30 {
		doubling = []any{doubling, doubling}
	}
	round := map[string]any{}
	round["a"] = round
	tests := map[string]struct {
		rule dialect.Rule
		want []string
	}{
		"nothing":             {dialect.Rule{}, []string{""}},
		"two kinds":           {both, []string{""}},
		"two verbs":           {two, []string{""}},
		"no verb":             {dialect.Rule{JSON: new("/a")}, []string{""}},
		"verb without JSON":   {verb, []string{""}},
		"verb alone":          {dialect.Rule{Is: new(any(1))}, []string{""}},
		"no pointer":          {pointer("a"), []string{".json"}},
		"star alone":          {pointer("*"), []string{".json"}},
		"tilde at the end":    {pointer("/a~"), []string{".json"}},
		"tilde before a 2":    {pointer("/a~2"), []string{".json"}},
		"long pointer":        {pointer("/" + strings.Repeat("a", 1024)), []string{".json"}},
		"as long as may be":   {pointer("/" + strings.Repeat("a", 1023)), nil},
		"deep pointer":        {pointer(strings.Repeat("/a", 33)), []string{".json"}},
		"as deep as may be":   {pointer(strings.Repeat("/a", 32)), nil},
		"not a number":        {is("/a", math.NaN()), []string{".is"}},
		"not JSON":            {not("/a", map[any]any{}), []string{".not"}},
		"not JSON, below":     {is("/a", []any{map[string]any{"b": func() {}}}), []string{".is"}},
		"large value":         {is("/a", doubling), []string{".is"}},
		"value in itself":     {is("/a", round), []string{".is"}},
		"long text":           {is("/a", strings.Repeat("x", 4097)), []string{".is"}},
		"empty list":          {dialect.Rule{JSON: new("/a"), In: []any{}}, []string{".in"}},
		"not JSON in a list":  {in("/a", 1, struct{}{}), []string{".in[1]"}},
		"empty contains":      {contains(""), []string{".contains"}},
		"long contains":       {contains(strings.Repeat("x", 4097)), []string{".contains"}},
		"longest contains":    {contains(strings.Repeat("x", 4096)), nil},
		"long text of a body": {text(strings.Repeat("x", 4097)), []string{".text"}},
	}
	for name, tt := range tests {
		lists := map[string]dialect.Declaration{
			"success.body":   succeeds(text("x"), tt.rule),
			"permanent.body": {URL: someURL, Permanent: dialect.Permanent{Body: []dialect.Rule{text("x"), tt.rule}}},
			"throttle.body":  {URL: someURL, Throttle: dialect.Throttle{Body: []dialect.Rule{text("x"), tt.rule}}},
		}
		for list, declaration := range lists {
			var want []string
			for _, p := range tt.want {
				want = append(want, list+"[1]"+p)
			}
			wantComplaints(t, name, declaration, want)
		}
	}
}

// wantComplaints also sees to it that no complaint quotes the declaration: all
// texts of the tests have an x or an a in them somewhere, so it looks for those
// that are long.
func wantComplaints(t *testing.T, name string, d dialect.Declaration, want []string) {
	t.Helper()
	got := complaints(t, d)
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s: Compile() complains of %q; want %q", name, got, want)
	}
	if _, err := dialect.Compile(d); err != nil && (strings.Contains(err.Error(), "xxx") || strings.Contains(err.Error(), "s3cret")) {
		t.Errorf("%s: Compile() = %v; want no value in it", name, err)
	}
}

func BenchmarkJudgeBody(b *testing.B) {
	d := compile(b, succeeds(is("/ok", true), exists("/error", false)))
	a := dialect.Answer{Status: 200, Body: []byte(`{"ok":true,"result":{"message_id":7,"chat":{"id":123456789,"type":"private"},"date":1790000000,"text":"hello"}}`)}
	b.ReportAllocs()
	for b.Loop() {
		_ = d.Judge(a, now)
	}
}
