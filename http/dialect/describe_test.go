package dialect_test

import (
	"testing"

	"github.com/postrider/postrider/http/dialect"
)

func TestMaskURL(t *testing.T) {
	tests := []struct {
		url    string
		secret bool
		want   string
	}{
		{"http://127.0.0.1:5000/gateway_1", false, "http://127.0.0.1:5000/gateway_1"},
		{"https://example.org", false, "https://example.org"},
		{"https://me:pass@example.org/a/{{id}}", false, "https://***@example.org/a/{{id}}"},
		{"https://me:p@ss@example.org/", false, "https://***@example.org/"},
		{"https://me:p/ss@example.org/", false, "https://***"},
		{"https://example.org/a?key=s&token&text={{message}}&x=a=b", false, "https://example.org/a?key=***&***&text=***&x=***"},
		{"https://example.org/a?", false, "https://example.org/a?***"},
		{"https://example.org/a#frag?x", false, "https://example.org/a"},
		{"https://example.org/a?x=1#frag", false, "https://example.org/a?x=***"},
		{"https://example.org#frag", false, "https://example.org"},
		{"https://me:pass@example.org/bot123:s/send?x=y", true, "https://example.org/***"},
		{"https://example.org", true, "https://example.org/***"},
		{"https://ex{{message}}/x", false, "https://***"},
		{"me:pass@example.org/x", false, "***"},
		{"s3cret://example.org", false, "***"},
		{"", false, "***"},
	}
	for _, tt := range tests {
		if got := dialect.MaskURL(tt.url, tt.secret); got != tt.want {
			t.Errorf("MaskURL(%q, %v) = %q; want %q", tt.url, tt.secret, got, tt.want)
		}
	}
}

// Where requests go is known before there is one, whatever stands in the path.
func TestEndpoint(t *testing.T) {
	tests := []struct {
		url    string
		secure bool
		host   string
	}{
		{"http://example.org", false, "example.org"},
		{"HTTPS://me:pass@Example.org:8443/{{message}}/x?a={{id}}", true, "Example.org:8443"},
		{"https://[::1]:8080/{{id}}", true, "[::1]:8080"},
		{"http://127.0.0.1:5000?x", false, "127.0.0.1:5000"},
	}
	for _, tt := range tests {
		if secure, host := compile(t, dialect.Declaration{URL: tt.url}).Endpoint(); secure != tt.secure || host != tt.host {
			t.Errorf("Endpoint() of %s = %v, %q; want %v, %q", tt.url, secure, host, tt.secure, tt.host)
		}
	}
}

func TestDescribe(t *testing.T) {
	tests := []struct {
		give dialect.Declaration
		want dialect.Description
	}{
		{dialect.Declaration{URL: someURL}, dialect.Description{Method: "POST", URL: someURL, Body: "json"}},
		{dialect.Declaration{URL: someURL, Method: "GET", URLSecret: true}, dialect.Description{Method: "GET", URL: "https://example.org/***", Body: "none"}},
		{dialect.Declaration{URL: someURL, Method: "PUT", Body: dialect.Body{Form: map[string]string{"a": "b"}}}, dialect.Description{Method: "PUT", URL: someURL, Body: "form"}},
		{withText("x"), dialect.Description{Method: "POST", URL: someURL, Body: "text"}},
		{dialect.Declaration{URL: someURL, Auth: dialect.Auth{Bearer: "s3cret"}}, dialect.Description{Method: "POST", URL: someURL, Body: "json", Auth: "bearer"}},
	}
	for _, tt := range tests {
		if got := compile(t, tt.give).Describe(); got != tt.want || got != tt.give.Describe() {
			t.Errorf("Describe() = %+v; want %+v", got, tt.want)
		}
	}
}
