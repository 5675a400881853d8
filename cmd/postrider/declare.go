package main

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"

	"github.com/postrider/postrider/config"
	"github.com/postrider/postrider/http/dialect"
)

// presets returns what [config.Options] asks for. It reads each preset once.
func presets() func(name string, gateway map[string]any) (map[string]any, []string, bool) {
	known := map[string]dialect.Preset{}
	return func(name string, gateway map[string]any) (map[string]any, []string, bool) {
		p, ok := known[name]
		if !ok {
			if p, ok = dialect.LookupPreset(name); !ok {
				return nil, nil, false
			}
			known[name] = p
		}
		return dialect.MergePreset(p.Tree, gateway), secretKeys(p, gateway), true
	}
}

// secretKeys returns the keys of a gateway that its preset makes secrets: settings, and
// a URL that stands in place of one which has a secret in it, for so will this one.
// One that names such a setting has it there.
func secretKeys(p dialect.Preset, gateway map[string]any) (keys []string) {
	secret := map[string]bool{}
	for _, s := range p.Settings {
		if s.Secret {
			secret[s.Name] = true
			keys = append(keys, "settings."+s.Name)
		}
	}
	namesSecret := func(url any) bool {
		template, _ := url.(string)
		for _, m := range namedSetting.FindAllStringSubmatch(template, -1) {
			if secret[m[1]] {
				return true
			}
		}
		return false
	}
	if own, given := gateway["url"]; given && namesSecret(p.Tree["url"]) && !namesSecret(own) {
		keys = append(keys, "url")
	}
	return keys
}

// declare turns what is configured into the declaration of a dialect. base is the
// address of this process.
func declare(g config.ResolvedGateway, base string) dialect.Declaration {
	own := g.Declared
	d := dialect.Declaration{
		Settings:  make(map[string]dialect.Setting, len(own.Settings)),
		Method:    g.Method,
		URL:       g.URL.Value(),
		URLSecret: g.URL.Secret(),
		Headers:   make(map[string]string, len(own.Headers)),
		Auth:      declareAuth(own.Auth),
		Body: dialect.Body{
			JSON: g.Body.JSON, Form: g.Body.Form, XML: g.Body.XML, Text: g.Body.Text, None: g.Body.None, Charset: g.Body.Charset,
		},
		Needs:      own.Needs,
		Success:    dialect.Success{Status: statuses(own.Success.Status), Body: rules(own.Success.Body)},
		Permanent:  dialect.Permanent{Status: statuses(own.Permanent.Status), Body: rules(own.Permanent.Body)},
		Throttle:   declareThrottle(own.Throttle),
		KeepAnswer: own.KeepAnswer,
	}
	if d.URL == "" {
		d.URL = base + "/" + g.Name
	}
	for name, value := range own.Settings {
		d.Settings[name] = dialect.Setting{Value: value.Value(), Secret: value.Secret()}
	}
	if len(own.Query) > 0 {
		d.Query = make(map[string]string, len(own.Query))
	}
	for name, value := range own.Query {
		if d.Query[name] = value.Value(); value.Secret() {
			d.Secrets = append(d.Secrets, name)
		}
	}
	for name, value := range own.Headers {
		if d.Headers[name] = value.Value(); value.Secret() {
			d.Secrets = append(d.Secrets, name)
		}
	}
	for _, l := range own.Length {
		d.Length = append(d.Length, dialect.Length{Field: l.Field, Limit: l.Limit, Unit: dialect.Unit(l.Unit), Over: dialect.Over(l.Over)})
	}
	if own.TLS != nil {
		d.TLS = dialect.TLS{Certificate: own.TLS.Certificate.Value(), Key: own.TLS.Key.Value(), CA: own.TLS.CA.Value()}
	}
	return d
}

func declareAuth(a *config.Auth) (d dialect.Auth) {
	if a == nil {
		return d
	}
	d.Bearer = a.Bearer.Value()
	if a.Basic != nil {
		d.Basic = &dialect.Basic{User: a.Basic.User.Value(), Password: a.Basic.Password.Value()}
	}
	if a.Header != nil {
		d.Header = &dialect.Credential{Name: a.Header.Name, Value: a.Header.Value.Value()}
	}
	if a.Query != nil {
		d.Query = &dialect.Credential{Name: a.Query.Name, Value: a.Query.Value.Value()}
	}
	if h := a.HMAC; h != nil {
		d.HMAC = &dialect.HMAC{
			Secret: h.Secret.Value(), Header: h.Header, Algorithm: dialect.Algorithm(h.Algorithm),
			Encoding: dialect.Encoding(h.Encoding), Prefix: h.Prefix,
		}
	}
	if w := a.StandardWebhooks; w != nil {
		d.StandardWebhooks = &dialect.StandardWebhooks{Secret: w.Secret.Value(), Previous: w.Previous.Value()}
	}
	if s := a.Signature; s != nil {
		d.Signature = &dialect.Signature{
			Key: s.Key.Value(), Text: s.Text.Value(), Algorithm: dialect.Algorithm(s.Algorithm), Encoding: dialect.Encoding(s.Encoding),
		}
	}
	if o := a.OAuth2; o != nil {
		d.OAuth2 = &dialect.OAuth2{
			TokenURL: o.TokenURL.Value(), ClientID: o.ClientID.Value(), ClientSecret: o.ClientSecret.Value(),
			Scopes: o.Scopes, Style: dialect.Style(o.Style), Audience: o.Audience,
		}
	}
	return d
}

func declareThrottle(t config.Throttle) dialect.Throttle {
	d := dialect.Throttle{Status: statuses(t.Status), Body: rules(t.Body), Fixed: t.Fixed}
	if t.Wait != nil {
		d.Wait = make([]dialect.Wait, len(t.Wait))
	}
	for i, w := range t.Wait {
		d.Wait[i] = dialect.Wait{Header: w.Header, Body: w.Body, Unit: dialect.TimeUnit(w.Unit)}
	}
	return d
}

func statuses(given []config.Status) []dialect.StatusRange {
	if given == nil {
		return nil
	}
	ranges := make([]dialect.StatusRange, len(given))
	for i, s := range given {
		ranges[i] = dialect.StatusRange(s)
	}
	return ranges
}

// eachStatus lists what is in the ranges.
func eachStatus(ranges []config.Status) (each []int) {
	for _, r := range ranges {
		for status := r.First; status <= r.Last; status++ {
			each = append(each, status)
		}
	}
	return each
}

func rules(given []config.Rule) []dialect.Rule {
	var declared []dialect.Rule
	for _, r := range given {
		declared = append(declared, dialect.Rule(r))
	}
	return declared
}

var namedSetting = regexp.MustCompile(`\{\{ *\??settings\.([A-Za-z0-9_-]+) *}}`)

// settingMistakes says what is wrong with the preset of a gateway and its settings:
// those that are missing and those that nothing uses, since that is what a name with
// a slip in it looks like.
func settingMistakes(path string, g config.Gateway, d dialect.Declaration) (wrong config.Mistakes) {
	complain := func(path, problem string) { wrong = append(wrong, config.Mistake{Path: path, Problem: problem}) }
	if len(g.Settings) == 0 && g.Preset == "" {
		return nil
	}
	p, known := dialect.LookupPreset(g.Preset)
	if g.Preset != "" && !known {
		complain(path+".preset", "is not the name of a preset; postrider presets list shows them")
		return wrong
	}
	used := map[string]bool{}
	d.Settings = nil
	text, err := json.Marshal(d)
	if err != nil {
		complain(path, "cannot be read") // it came from a document, so this is a bug
	}
	for _, m := range namedSetting.FindAllSubmatch(text, -1) {
		used[string(m[1])] = true
	}
	ours := map[string]bool{}
	for _, s := range p.Settings {
		ours[s.Name] = true
		if given, ok := g.Settings[s.Name]; used[s.Name] && !s.Optional && (!ok || given.Value() == "") {
			complain(path+".settings."+s.Name, "is missing, preset "+p.Name+" needs it: "+s.About)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(g.Settings)) {
		if !used[name] && !ours[name] {
			complain(path+".settings."+name, "is used nowhere")
		}
	}
	return wrong
}
