package dialect

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/textproto"
	"strconv"
	"strings"
)

// HMAC signs the body of each request (RFC 2104), as many senders of webhooks
// do it.
type HMAC struct {
	Secret    string
	Header    string    // that the signature stands in; constant
	Algorithm Algorithm // "" means SHA256
	Encoding  Encoding  // "" means Hex
	Prefix    string    // before the signature, such as sha256=; constant
}

// Signature makes {{signature}} anew for each attempt: the HMAC of a text of
// the declaration's own. Key and Text are templates with all names but that one.
type Signature struct {
	Key       string
	Text      string
	Algorithm Algorithm // "" means SHA256
	Encoding  Encoding  // "" means Base64
}

// Algorithm is a hash that signatures are made with.
type Algorithm string

// The algorithms.
const (
	SHA1   Algorithm = "sha1"
	SHA256 Algorithm = "sha256"
	SHA512 Algorithm = "sha512"
)

// Encoding is how the bytes of a signature are written.
type Encoding string

// The encodings.
const (
	Hex    Encoding = "hex"
	Base64 Encoding = "base64"
)

// mac computes signatures. It has no state, so that it can be compared.
type mac struct {
	algorithm Algorithm
	encoding  Encoding
	masked    bool
}

func (m mac) sign(key []byte, text ...[]byte) string {
	if m.masked {
		return mask
	}
	h := hmac.New(m.algorithm.hash(), key)
	for _, t := range text {
		_, _ = h.Write(t) // a hash takes everything
	}
	if m.encoding == Hex {
		return hex.EncodeToString(h.Sum(nil))
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func (a Algorithm) hash() func() hash.Hash {
	switch a {
	case SHA1:
		return sha1.New
	case SHA512:
		return sha512.New
	case SHA256:
	}
	return sha256.New
}

// mac fills in and checks what a signature is made with.
func (c *compiler) mac(path string, m mac, encoding Encoding) mac {
	switch m.algorithm {
	case "":
		m.algorithm = SHA256
	case SHA1, SHA256, SHA512:
	default:
		c.complain(path+".algorithm", "must be sha1, sha256 or sha512")
	}
	switch m.encoding {
	case "":
		m.encoding = encoding
	case Hex, Base64:
	default:
		c.complain(path+".encoding", "must be hex or base64")
	}
	return m
}

// bodyMAC is a compiled [HMAC].
type bodyMAC struct {
	mac    mac
	key    []byte
	header string
	prefix string
}

func (c *compiler) bodyMAC(h HMAC) *bodyMAC {
	const path = "auth.hmac"
	c.headerName(path+".header", h.Header)
	if _, err := inHeader.append(nil, h.Prefix, nil); err != nil || strings.HasPrefix(h.Prefix, " ") || strings.Contains(h.Prefix, "{{") {
		c.complain(path+".prefix", "must be constant, without control characters and a space at its beginning")
	}
	b := &bodyMAC{
		mac:    c.mac(path, mac{h.Algorithm, h.Encoding, c.masked}, Hex),
		key:    []byte(c.secret(path+".secret", h.Secret)),
		header: textproto.CanonicalMIMEHeaderKey(h.Header),
		prefix: h.Prefix,
	}
	c.taken[b.header] = byAuth
	return b
}

// signing is a compiled [Signature].
type signing struct {
	mac       mac
	key, text []part
}

func (c *compiler) signing(s Signature) *signing {
	const path = "auth.signature"
	compiled := &signing{
		mac:  c.mac(path, mac{s.Algorithm, s.Encoding, c.masked}, Base64),
		key:  c.put(path+".key", asText, c.template(path+".key", s.Key)),
		text: c.put(path+".text", asText, c.template(path+".text", s.Text)),
	}
	if s.Key == "" || len(compiled.key) == 0 && len(c.complaints) == 0 {
		c.complain(path+".key", "is empty")
	}
	c.hideTemplate(s.Key)
	if len(s.Text) >= minGuessed {
		c.hideTemplate(s.Text) // some signatures have the secret there
	}
	c.signs = true
	return compiled
}

// sign returns the signature for one attempt.
func (s *signing) sign(values []string) (string, error) {
	key, err := appendParts(nil, s.key, values, nil)
	if err != nil {
		return "", err
	}
	text, err := appendParts(nil, s.text, values, nil)
	if err != nil {
		return "", err
	}
	return s.mac.sign(key, text), nil
}

// seal adds the headers that are made of the whole body.
func (s *credentials) seal(r *Request, in *Input) {
	if s.hmac != nil {
		r.Header = append(r.Header, HeaderField{s.hmac.header, s.hmac.prefix + s.hmac.mac.sign(s.hmac.key, r.Body)})
	}
	if s.webhook != nil {
		id, timestamp := derivedUUID(in), strconv.FormatInt(in.Now.Unix(), 10)
		r.Header = append(r.Header,
			HeaderField{headerWebhookID, id},
			HeaderField{headerWebhookTimestamp, timestamp},
			HeaderField{headerWebhookSignature, s.webhook.sign(id, timestamp, r.Body)})
	}
}
