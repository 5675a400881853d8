package presettest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// expander puts what was sent into the texts of a fake.
type expander struct {
	replacer *strings.Replacer
	titled   bool
	uuid     string
}

const (
	anyText       = "{*}"
	anUUID        = "{uuid}"
	optionalTitle = "{?title}"
)

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

func newExpander(s Sent) expander {
	return expander{
		replacer: strings.NewReplacer("{message}", s.Message, optionalTitle, s.Title, "{title}", s.Title, "{to}", s.To,
			"{gateway}", s.Gateway, "{id}", s.ID, anUUID, s.UUID, "{attempt}", strconv.Itoa(s.Attempt)),
		titled: s.Title != "",
		uuid:   s.UUID,
	}
}

func (e expander) text(s string) string { return e.replacer.Replace(s) }

// matches reports whether got is what want stands for.
func (e expander) matches(got, want string) bool {
	switch {
	case want == anyText:
		return got != ""
	case want == anUUID && e.uuid == "":
		return uuidForm.MatchString(got)
	}
	return got == e.text(want)
}

// segments returns the segments of a path, decoded.
func segments(escaped string) []string {
	segments := strings.Split(escaped, "/")
	for i, s := range segments {
		if decoded, err := url.PathUnescape(s); err == nil {
			segments[i] = decoded
		}
	}
	return segments
}

// values checks a query or a form: just these names, each once.
func (e expander) values(what, encoded string, want map[string]string) error {
	got, err := url.ParseQuery(encoded)
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", what, err)
	}
	var errs []error
	for name, values := range got {
		if _, known := want[name]; !known {
			errs = append(errs, fmt.Errorf("%s has %s", what, name))
		} else if len(values) != 1 || !e.matches(values[0], want[name]) {
			errs = append(errs, fmt.Errorf("%s has %s = %q, want %q", what, name, values, e.text(want[name])))
		}
	}
	for name := range want {
		if got[name] == nil {
			errs = append(errs, fmt.Errorf("%s lacks %s", what, name))
		}
	}
	return errors.Join(errs...)
}

// basic is the header Authorization of a user and a password.
func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func (f Fake) checkBody(r Request, e expander) error {
	kind := ""
	switch {
	case f.JSON != "":
		kind = "application/json"
	case f.Form != nil:
		kind = "application/x-www-form-urlencoded"
	case f.XML != "":
		kind = "application/xml"
	case len(r.Body) > 0 || r.Header["Content-Type"] != nil:
		return errors.New("there is a body or a content type")
	default:
		return nil
	}
	got, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if charset := params["charset"]; err != nil || got != kind || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return fmt.Errorf("content type is %q, want %s in UTF-8", r.Header.Get("Content-Type"), kind)
	}
	switch {
	case f.JSON != "":
		return e.json(r.Body, f.JSON)
	case f.Form != nil:
		return e.values("form", string(r.Body), f.Form)
	}
	return e.xml(r.Body, f.XML)
}

// json compares a body, whatever its spacing, with what is wanted: no member more
// and none less.
func (e expander) json(body []byte, want string) error {
	var tree, got any
	if err := json.Unmarshal([]byte(want), &tree); err != nil {
		return fmt.Errorf("the fake is wrong: %w", err)
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return fmt.Errorf("body is not JSON: %w", err)
	}
	if tree = e.tree(tree, got); !reflect.DeepEqual(got, tree) {
		wanted, _ := json.Marshal(tree)
		return fmt.Errorf("body is %s, want %s", body, wanted)
	}
	return nil
}

// tree expands the leaves of v; what got has in their places is taken over where it
// matches.
func (e expander) tree(v, got any) any {
	switch v := v.(type) {
	case map[string]any:
		object, _ := got.(map[string]any)
		for name, below := range v {
			if below == optionalTitle && !e.titled {
				delete(v, name)
				continue
			}
			v[name] = e.tree(below, object[name])
		}
	case []any:
		list, _ := got.([]any)
		for i, below := range v {
			var other any
			if i < len(list) {
				other = list[i]
			}
			v[i] = e.tree(below, other)
		}
	case string:
		if text, ok := got.(string); ok && e.matches(text, v) {
			return text
		}
		return e.text(v)
	}
	return v
}

// xml compares a document, whatever its spacing between elements.
func (e expander) xml(body []byte, want string) error {
	got, err := tokens(body)
	if err != nil {
		return fmt.Errorf("body is not XML: %w", err)
	}
	wanted, err := tokens([]byte(want))
	if err != nil {
		return fmt.Errorf("the fake is wrong: %w", err)
	}
	for i, t := range wanted {
		wanted[i] = e.text(t)
	}
	if !reflect.DeepEqual(got, wanted) {
		return fmt.Errorf("body is %q, want %q", got, wanted)
	}
	return nil
}

func tokens(document []byte) (list []string, err error) {
	decoder := xml.NewDecoder(bytes.NewReader(document))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			list = append(list, "<"+t.Name.Local)
			for _, a := range t.Attr {
				list = append(list, a.Name.Local+"="+a.Value)
			}
		case xml.EndElement:
			list = append(list, ">"+t.Name.Local)
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				list = append(list, string(t))
			}
		}
	}
}
