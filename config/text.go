package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"strings"
)

const (
	mask          = "***"
	maxSecretFile = 64 << 10
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Text is a string that may be a secret. It is written as a plain string, or as
// {env: NAME} or {file: PATH}, whose content then is a secret.
//
// However it is printed or encoded, a secret shows as ***, and a plain URL
// without its user and its query values. Only Value returns the content.
type Text struct {
	value  string
	from   source
	secret bool
}

// source is a Text as it was written; one field is set at most. The fields are
// exported because koanf copies no others.
type source struct {
	Plain, Env, File string
}

// Plain returns a Text that is no secret.
func Plain(s string) Text {
	return Text{value: s}
}

// Value returns the content itself. What it returns must not be shown.
func (t Text) Value() string { return t.value }

// Secret reports whether the content is hidden as a whole.
func (t Text) Secret() bool { return t.secret }

// IsZero reports whether nothing was given.
func (t Text) IsZero() bool { return t == Text{} }

// String returns the content as far as it may be shown.
func (t Text) String() string {
	switch {
	case t.secret && t.value != "":
		return mask
	case strings.Contains(t.value, "://"):
		return maskURL(t.value)
	}
	return t.value
}

// Address returns where a URL leads as far as it may be shown: of a secret URL
// that is scheme and host, for its path may be the secret.
func (t Text) Address() string {
	if !t.secret {
		return t.String()
	}
	scheme, rest, ok := strings.Cut(t.value, "://")
	if !ok {
		return t.String()
	}
	authority := rest[:authorityLen(rest)]
	host := authority[strings.LastIndexByte(authority, '@')+1:]
	return scheme + "://" + host + "/" + mask
}

// Format prints the form of String for every verb, so that no verb reaches the
// fields.
func (t Text) Format(f fmt.State, verb rune) {
	if verb == 'q' || verb == 'v' && f.Flag('#') {
		_, _ = fmt.Fprintf(f, "%q", t.String())
		return
	}
	_, _ = io.WriteString(f, t.String())
}

// LogValue logs the form of String.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText writes the form of String.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalJSON writes the form of String.
func (t Text) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

// MarshalYAML writes the form of String.
func (t Text) MarshalYAML() (any, error) { return t.String(), nil }

// resolve fetches the content from where it stands.
func (t *Text) resolve(environ map[string]string) error {
	switch {
	case t.from.Env != "":
		if !variableName.MatchString(t.from.Env) {
			return problem("expected the name of an environment variable after env")
		}
		t.value = environ[t.from.Env]
		if t.value == "" {
			return problem("the environment variable " + t.from.Env + " is not set or empty")
		}
		t.secret = true
	case t.from.File != "":
		content, err := readSecret(t.from.File)
		if err != nil {
			return err
		}
		t.value, t.secret = content, true
	}
	return nil
}

// readSecret reads a small regular file. Its errors leave the path out: someone
// may have written the secret there.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return "", problem("the file is not a regular file")
	}
	var content []byte
	if err == nil {
		content, err = readBounded(path, maxSecretFile)
	}
	if _, own := errors.AsType[problem](err); own {
		return "", err
	}
	if err != nil {
		return "", problem("the file cannot be read: " + reason(err))
	}
	text := strings.TrimRight(string(content), "\r\n")
	if text == "" {
		return "", problem("the file is empty")
	}
	return text, nil
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, problem("the file is larger than " + Size(limit).String())
	}
	return content, nil
}

// reason returns the cause of a file error without the path.
func reason(err error) string {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err.Error()
	}
	return "input or output error"
}

// maskURL hides user, query values and fragment. It works on the text, because
// parsing would rewrite the templates in it.
func maskURL(s string) string {
	scheme, rest, _ := strings.Cut(s, "://")
	end := authorityLen(rest)
	authority, rest := rest[:end], rest[end:]
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		authority = mask + authority[at:]
	}
	rest, fragment, fragmented := strings.Cut(rest, "#")
	path, query, asked := strings.Cut(rest, "?")
	masked := scheme + "://" + authority + path
	if asked {
		masked += "?" + maskQuery(query)
	}
	if fragmented && fragment != "" {
		masked += "#" + mask
	}
	return masked
}

func maskQuery(query string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		switch {
		case !ok && name != "":
			pairs[i] = mask
		case value != "":
			pairs[i] = name + "=" + mask
		}
	}
	return strings.Join(pairs, "&")
}

func authorityLen(rest string) int {
	if i := strings.IndexAny(rest, "/?#\\"); i >= 0 {
		return i
	}
	return len(rest)
}

// tellsSecret reports whether a header of this name carries a secret.
func tellsSecret(header string) bool {
	header = strings.ToLower(header)
	for _, sign := range []string{"auth", "bearer", "cookie", "cred", "key", "pass", "pwd", "secret", "sign", "token"} {
		if strings.Contains(header, sign) {
			return true
		}
	}
	return false
}
