package egress

import (
	"crypto/tls"

	"github.com/postrider/postrider/http/dialect"
)

// identity is how connections of some gateways are secured. What is equal is one
// identity, since connections are kept by the pointer.
type identity struct{ config *tls.Config }

// maxIdentities is how many identities are kept. One that is made anew shares no
// connections with itself before.
const maxIdentities = 10_000

// sessionsPerIdentity is how many TLS sessions are kept for later of each. They are
// not shared: a session stands for the certificates that it began with.
const sessionsPerIdentity = 8

// identity returns the identity of a declared one, nil for nil.
func (c *Client) identity(declared *dialect.Identity) *identity {
	if declared == nil {
		return nil
	}
	return c.identities.get(declared.Sum(), func() *identity {
		config := c.dialer.tls.Clone()
		config.ClientSessionCache = tls.NewLRUClientSessionCache(sessionsPerIdentity)
		declared.Configure(config)
		return &identity{config}
	})
}
