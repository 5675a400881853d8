package config

import (
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Key is an API key. It is written {name: ops, env: NAME}, with file: PATH or hash:
// "sha256:…" in the place of env, and with scopes and gateways where it is not to do
// everything.
type Key struct {
	// Name tells keys apart in logs; [a-z0-9_-]{1,64}.
	Name string `yaml:"name"`
	// Secret is what the caller presents, at least 16 characters; either it or Hash
	// is set.
	Secret Text `yaml:"key,omitempty"`
	// Hash is "sha256:" and the SHA-256 of what the caller presents, in hexadecimal.
	Hash Text `yaml:"hash,omitempty"`
	// Scopes say what the key is good for; default admin, which is everything.
	Scopes []string `yaml:"scopes,flow"`
	// Gateways are the only ones that the key may hand over messages for; default
	// all. They need not be declared here.
	Gateways []string `yaml:"gateways,omitempty,flow"`
}

const (
	shortestKey    = 16
	maxKeys        = 1000
	maxKeyGateways = 1000

	scopeMessages = "message:write"
	scopeAdmin    = "admin"
)

// scopes are what a key can be good for, and bound whether it can then be bound to
// some gateways: the others act on all of them.
var scopes = []struct {
	name  string
	bound bool
}{
	{"event:write", false},
	{scopeMessages, true},
	{"read", true},
	{"read:content", true},
	{"operate", false},
	{scopeAdmin, false},
}

var keyHash = regexp.MustCompile(`^sha256:([0-9a-fA-F]{64})$`)

// Scopes lists what a key can be good for.
func Scopes() []string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = s.name
	}
	return names
}

// Sum returns the SHA-256 of what the caller presents.
func (k Key) Sum() (sum [sha256.Size]byte) {
	if k.Hash.IsZero() {
		return sha256.Sum256([]byte(k.Secret.value))
	}
	if m := keyHash.FindStringSubmatch(k.Hash.value); m != nil {
		_, _ = hex.Decode(sum[:], []byte(m[1])) // the pattern lets nothing else through
	}
	return sum
}

// cleanKey is clean for a Key.
func (r *report) cleanKey(path string, v any) (any, bool) {
	m, _ := v.(map[string]any)
	name, named := m["name"].(string)
	key := map[string]any{"name": name}
	where := map[string]any{}
	hash, hashed := m["hash"].(string)
	for field, v := range m {
		switch field {
		case "name":
		case "scopes", "gateways":
			if list, ok := r.clean(join(path, field), v, reflect.TypeFor[[]string]()); ok {
				key[field] = list
			}
		default:
			where[field] = v
		}
	}
	if hashed && len(where) == 1 {
		key["hash"] = source{Plain: hash}
		return key, named || r.noKey(path)
	}
	from, err := toSource(where)
	if !named || err != nil {
		return nil, r.noKey(path)
	}
	key["key"] = from
	return key, true
}

func (r *report) noKey(path string) bool {
	r.reject(path, `expected {name: ops, env: NAME}, {name: ops, file: PATH} or {name: ops, hash: "sha256:…"}, `+
		"and scopes and gateways if wanted; the key itself does not belong in the configuration")
	return false
}

func (h HTTP) checkKeys(r *report) {
	r.require(len(h.Keys) <= maxKeys, "http.keys", "expected at most %d keys", maxKeys)
	named := map[string]bool{}
	seen := map[[sha256.Size]byte]bool{}
	for i, k := range h.Keys {
		at := index("http.keys", i)
		r.require(plainName.MatchString(k.Name), at, aPlainName)
		r.require(!named[k.Name], at, "expected a name that no other key has")
		named[k.Name] = true
		if k.Hash.IsZero() {
			r.require(fitsHeader(k.Secret.value), at, "expected a key of at least %d ASCII characters without blanks", shortestKey)
		} else {
			r.require(keyHash.MatchString(k.Hash.value), at,
				`expected hash: "sha256:" and 64 hexadecimal digits, as postrider key prints it`)
		}
		r.require(!seen[k.Sum()], at, "expected a key that no other entry has: each has a name of its own, to be told apart")
		seen[k.Sum()] = true
		k.checkScopes(r, at)
		k.checkGateways(r, at)
	}
}

// CheckRights reports what is wrong with the scopes and gateways of a key, by the rules
// of a configuration: without scopes it has all of them.
func (k Key) CheckRights() error {
	if k.Scopes == nil {
		k.Scopes = []string{scopeAdmin}
	}
	var r report
	k.checkScopes(&r, "")
	k.checkGateways(&r, "")
	if len(r.mistakes) > 0 {
		return r.mistakes
	}
	return nil
}

func fitsHeader(key string) bool {
	odd := func(c rune) bool { return c <= ' ' || c > '~' }
	return len(key) >= shortestKey && !strings.ContainsFunc(key, odd)
}

func (k Key) checkScopes(r *report, at string) {
	at = join(at, "scopes")
	r.require(len(k.Scopes) > 0, at, "expected at least one of %s", strings.Join(Scopes(), ", "))
	for i, s := range k.Scopes {
		r.require(slices.Contains(Scopes(), s), index(at, i), "expected one of %s", strings.Join(Scopes(), ", "))
		r.require(slices.Index(k.Scopes, s) == i, index(at, i), "expected each scope once")
	}
}

func (k Key) checkGateways(r *report, at string) {
	if k.Gateways == nil {
		return
	}
	at = join(at, "gateways")
	fits := slices.Contains(k.Scopes, scopeMessages)
	for _, s := range scopes {
		fits = fits && (s.bound || !slices.Contains(k.Scopes, s.name))
	}
	r.require(fits, at, "expected gateways only with the scope message:write, and beside it read or read:content at most: "+
		"the other scopes act on all gateways")
	r.require(len(k.Gateways) > 0 && len(k.Gateways) <= maxKeyGateways, at, "expected 1 to %d gateways, or no such key for all", maxKeyGateways)
	for i, name := range k.Gateways {
		r.require(plainName.MatchString(name), index(at, i), aPlainName)
		r.require(slices.Index(k.Gateways, name) == i, index(at, i), "expected each gateway once")
	}
}
