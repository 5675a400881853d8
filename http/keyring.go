package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
)

// Key lets a client in.
type Key struct {
	Name   string // for people; unique
	Secret string // what the client sends
	Hash   string // instead of Secret: the 32 bytes of the SHA-256 of what the client sends
	Scopes []Scope
	// Gateways are the only ones that it may hand messages over for; nil means all.
	Gateways []string
}

// keySum is the SHA-256 of a key. Nothing else of it is kept.
type keySum [sha256.Size]byte

func sumOf(secret []byte) keySum { return sha256.Sum256(secret) }

func (k Key) sum() keySum {
	if k.Secret != "" {
		return sumOf([]byte(k.Secret))
	}
	return keySum([]byte(k.Hash))
}

// validateKeys says what is wrong with keys.
func validateKeys(keys []Key) error {
	var errs []error
	complain := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	names := make(map[string]bool, len(keys))
	sums := make(map[keySum]bool, len(keys))
	for i, k := range keys {
		fits := (k.Secret == "") != (k.Hash == "") && (k.Hash == "" || len(k.Hash) == sha256.Size)
		complain(!fits, "Keys[%d] has no secret and no hash of one", i)
		complain(k.Name == "", "Keys[%d] has no name", i)
		complain(len(k.Scopes) == 0, "Keys[%d] has no scopes", i)
		for _, scope := range k.Scopes {
			complain(!slices.Contains(AllScopes(), scope), "Keys[%d] has an unknown scope", i)
		}
		complain(names[k.Name], "Keys[%d] has the name of another one", i)
		names[k.Name] = true
		if fits {
			complain(sums[k.sum()], "Keys[%d] is the same key as another one", i)
			sums[k.sum()] = true
		}
	}
	return errors.Join(errs...)
}

// keyring holds the hashes of all keys, and whom each lets in. Empty, it lets
// everybody in. It is not changed any more.
type keyring struct {
	keys     []keyed
	everyone *caller // nil when there are keys
}

type keyed struct {
	sum    keySum
	caller *caller
}

func newKeyring(keys []Key) keyring {
	if len(keys) == 0 {
		return keyring{everyone: &caller{scopes: AllScopes()}}
	}
	var k keyring
	for _, key := range keys {
		who := &caller{name: key.Name, gateways: key.Gateways}
		for _, s := range key.Scopes {
			who.scopes = append(who.scopes, s.includes()...)
		}
		k.keys = append(k.keys, keyed{key.sum(), who})
	}
	return k
}

// callers returns everybody whom the keys let in.
func (k keyring) callers() []*caller {
	if k.everyone != nil {
		return []*caller{k.everyone}
	}
	all := make([]*caller, len(k.keys))
	for i := range k.keys {
		all[i] = k.keys[i].caller
	}
	return all
}

// find returns whom a key lets in, nil when it is none of ours. It takes as long
// for a wrong key as for a right one.
func (k keyring) find(sum keySum) *caller {
	var who *caller
	for i := range k.keys {
		if subtle.ConstantTimeCompare(k.keys[i].sum[:], sum[:]) == 1 {
			who = k.keys[i].caller
		}
	}
	return who
}
