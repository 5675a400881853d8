package dialect

import (
	"encoding/base64"
	"strings"
)

// StandardWebhooks signs requests as https://www.standardwebhooks.com has it,
// version 1 of its symmetric signatures. The id that it sends is the UUID of the
// message, since the message's own id starts over in a new store. While a secret is changed both sign,
// so that the receiver can change it at any time.
type StandardWebhooks struct {
	Secret   string // whsec_ and 24 to 64 bytes in base64
	Previous string // the secret before, of the same form; "" means none
}

const (
	headerWebhookID        = "Webhook-Id"
	headerWebhookTimestamp = "Webhook-Timestamp"
	headerWebhookSignature = "Webhook-Signature"

	webhookSecretPrefix = "whsec_"
)

// webhook is a compiled [StandardWebhooks].
type webhook struct {
	mac  mac
	keys [][]byte // the newest first
}

// webhook compiles the secrets and keeps the headers free.
func (c *compiler) webhook(w StandardWebhooks) *webhook {
	const path = "auth.standard_webhooks"
	compiled := &webhook{mac: mac{SHA256, Base64, c.masked}, keys: [][]byte{c.webhookKey(path+".secret", w.Secret)}}
	if c.settled(path+".previous", w.Previous) != "" {
		compiled.keys = append(compiled.keys, c.webhookKey(path+".previous", w.Previous))
	}
	for _, name := range []string{headerWebhookID, headerWebhookTimestamp, headerWebhookSignature} {
		c.taken[name] = byAuth
	}
	return compiled
}

func (c *compiler) webhookKey(path, source string) []byte {
	secret := c.secret(path, source)
	encoded, found := strings.CutPrefix(secret, webhookSecretPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if secret != "" && (!found || err != nil || len(key) < 24 || len(key) > 64) {
		c.complain(path, "must be whsec_ and 24 to 64 bytes in base64")
	}
	return key
}

// sign returns the list of signatures of a request, one for each key.
func (w *webhook) sign(id, timestamp string, body []byte) string {
	signatures := make([]string, len(w.keys))
	for i, key := range w.keys {
		signatures[i] = "v1," + w.mac.sign(key, []byte(id+"."+timestamp+"."), body)
	}
	return strings.Join(signatures, " ")
}
