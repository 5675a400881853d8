package dialect_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"reflect"
	"testing"

	"github.com/postrider/postrider/http/dialect"
)

// pair makes a key and a certificate for it, both as PEM.
func pair(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", secret)
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestIdentityComplains(t *testing.T) {
	cert, key := pair(t)
	cert2, key2 := pair(t)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private))
	encrypted := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "x"}, Bytes: []byte("xxx")}))
	tests := map[string]struct {
		give dialect.TLS
		want []string
	}{
		"nothing":                  {dialect.TLS{}, nil},
		"certificate and key":      {dialect.TLS{Certificate: cert, Key: key}, nil},
		"both in one file":         {dialect.TLS{Certificate: key + cert, Key: cert + key}, nil},
		"a chain":                  {dialect.TLS{Certificate: cert + cert2, Key: key}, nil},
		"authorities":              {dialect.TLS{CA: "# two of them\n" + cert + "\n" + cert2}, nil},
		"all":                      {dialect.TLS{Certificate: cert, Key: key, CA: cert2}, nil},
		"no key":                   {dialect.TLS{Certificate: cert}, []string{"tls.key"}},
		"no certificate":           {dialect.TLS{Key: key}, []string{"tls.certificate"}},
		"key of another":           {dialect.TLS{Certificate: cert, Key: key2}, []string{"tls.key"}},
		"key of another kind":      {dialect.TLS{Certificate: cert, Key: other}, []string{"tls.key"}},
		"the chain's end is first": {dialect.TLS{Certificate: cert2 + cert, Key: key}, []string{"tls.key"}},
		"exchanged":                {dialect.TLS{Certificate: key, Key: cert}, []string{"tls.certificate", "tls.key"}},
		"not PEM":                  {dialect.TLS{Certificate: "xxx", Key: "xxx", CA: "xxx"}, []string{"tls.ca", "tls.certificate", "tls.key"}},
		"no certificates":          {dialect.TLS{Certificate: block("CERTIFICATE", []byte("xxx")), Key: key, CA: cert + block("CERTIFICATE", nil)}, []string{"tls.ca", "tls.certificate"}},
		"no key in it":             {dialect.TLS{Certificate: cert, Key: block("PRIVATE KEY", []byte("xxx"))}, []string{"tls.key"}},
		"encrypted":                {dialect.TLS{Certificate: cert, Key: block("ENCRYPTED PRIVATE KEY", []byte("xxx"))}, []string{"tls.key"}},
		"encrypted, older":         {dialect.TLS{Certificate: cert, Key: encrypted}, []string{"tls.key"}},
		"cut":                      {dialect.TLS{CA: cert[:len(cert)-10]}, []string{"tls.ca"}},
	}
	for name, tt := range tests {
		wantComplaints(t, name, dialect.Declaration{URL: someURL, TLS: tt.give}, tt.want)
	}
	wantComplaints(t, "without TLS", dialect.Declaration{URL: "http://example.org/", TLS: dialect.TLS{CA: cert}}, []string{"tls"})
}

func TestIdentity(t *testing.T) {
	cert, key := pair(t)
	cert2, key2 := pair(t)
	with := func(d dialect.TLS) *dialect.Identity {
		return compile(t, dialect.Declaration{URL: someURL, TLS: d}).Identity()
	}
	if with(dialect.TLS{}) != nil {
		t.Error("a dialect without an identity has one")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	with(dialect.TLS{Certificate: cert, Key: key, CA: cert2}).Configure(config)
	if len(config.Certificates) != 1 || config.RootCAs == nil {
		t.Errorf("Configure() sets %d certificates and the authorities %v", len(config.Certificates), config.RootCAs)
	}
	config = &tls.Config{MinVersion: tls.VersionTLS12}
	with(dialect.TLS{Certificate: cert, Key: key}).Configure(config)
	if config.RootCAs != nil {
		t.Error("without authorities, Configure() sets some")
	}
	seen := map[[32]byte]string{}
	for name, d := range map[string]dialect.TLS{
		"one": {Certificate: cert, Key: key}, "other": {Certificate: cert2, Key: key2}, "authority": {CA: cert}, "other authority": {CA: cert2}, "all": {Certificate: cert, Key: key, CA: cert},
	} {
		sum := with(d).Sum()
		if same, known := seen[sum]; known || sum != with(d).Sum() {
			t.Errorf("the sum of %s is that of %s too, or changes", name, same)
		}
		seen[sum] = name
	}
}

// A catalog takes over what comes to the same, so that must be found to be equal.
func TestDialectsCanBeCompared(t *testing.T) {
	cert, key := pair(t)
	decl := withTokens(func(o *dialect.OAuth2) { o.Scopes = []string{"a"} })
	decl.TLS = dialect.TLS{Certificate: cert, Key: key, CA: cert}
	decl.KeepAnswer, decl.Secrets = true, []string{"B", "A"}
	decl.Headers = map[string]string{"A": "one", "B": "two"}
	decl.Settings = map[string]dialect.Setting{"a": {Value: "three", Secret: true}, "b": {Value: "four", Secret: true}}
	decl.Success.Body = []dialect.Rule{is("/a/*", []any{1, map[string]any{"b": nil}}), text("x")}
	decl.Throttle.Wait = []dialect.Wait{inBody("/a", "ms")}
	again := decl
	again.Secrets = []string{"A", "B"}
	if !reflect.DeepEqual(compile(t, decl), compile(t, again)) {
		t.Error("two dialects of one declaration differ")
	}
	again.Secrets = []string{"A"}
	if reflect.DeepEqual(compile(t, decl), compile(t, again)) {
		t.Error("the dialects of two declarations are the same")
	}
}
