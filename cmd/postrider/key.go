package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postrider/postrider/config"
	httpapi "github.com/postrider/postrider/http"
)

// keyPrefix begins every key that we make, so that people and scanners know one when
// they see it.
const keyPrefix = "pr_"

func keyCommand() *cobra.Command {
	var name string
	var scopes, gateways []string
	c := &cobra.Command{
		Use:   "key",
		Short: "Make a random API key, and the entry of http.keys that lets it in",
		Long: "Make a random API key, and the entry of http.keys that lets it in.\n\n" +
			"The first line is the key. It is shown now and never again: give it to whoever is to\n" +
			"use it. The second line is what goes under http.keys in the configuration; it has only\n" +
			"the hash of the key. A SIGHUP puts it in force. To replace a key, add the new one under\n" +
			"another name, and take the old one away when nobody uses it any more.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			entry, err := keyEntry(name, scopes, gateways)
			if err != nil {
				return err
			}
			key := newKey()
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n- {name: %s, hash: \"sha256:%x\"%s}\n", key, name, sha256.Sum256([]byte(key)), entry)
			return err
		},
	}
	c.Flags().StringVar(&name, "name", "ops", "name of the key, for people: 1 to 64 of a-z, 0-9, _ and -")
	c.Flags().StringSliceVar(&scopes, "scopes", nil, "what the key is good for: "+strings.Join(config.Scopes(), ", ")+"; without it everything")
	c.Flags().StringSliceVar(&gateways, "gateways", nil, "the only gateways that it may hand over messages for; without it all")
	return c
}

// newKey makes a key that nobody can guess.
func newKey() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	return keyPrefix + base64.RawURLEncoding.EncodeToString(random[:])
}

// keyEntry returns what an entry has beside its name and hash.
func keyEntry(name string, scopes, gateways []string) (string, error) {
	for _, one := range append([]string{name}, gateways...) {
		if !httpapi.MayName(one) {
			return "", usageError{errors.New("the name of a key or a gateway is 1 to 64 of a-z, 0-9, _ and -")}
		}
	}
	if err := (config.Key{Scopes: scopes, Gateways: gateways}).CheckRights(); err != nil {
		// These are flags yet, and no configuration that has mistakes.
		return "", usageError{errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))}
	}
	entry := ""
	if len(scopes) > 0 {
		entry += `, scopes: ["` + strings.Join(scopes, `", "`) + `"]`
	}
	if len(gateways) > 0 {
		entry += `, gateways: ["` + strings.Join(gateways, `", "`) + `"]`
	}
	return entry, nil
}
