package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/postrider/postrider/data"
)

// document is the contract, read.
type document struct {
	root    map[string]any
	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema // by pointer
	build   *jsonschema.Compiler
}

const documentURL = "https://postrider/openapi.yaml"

// theDocument is read once: every answer of the tests is held against it.
var theDocument = sync.OnceValues(func() (*document, error) {
	var read any
	if err := yaml.Unmarshal(contract, &read); err != nil {
		return nil, err
	}
	text, err := json.Marshal(read)
	if err != nil {
		return nil, err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	d := &document{root: value.(map[string]any), schemas: make(map[string]*jsonschema.Schema), build: jsonschema.NewCompiler()}
	d.build.DefaultDraft(jsonschema.Draft2020)
	d.build.AssertFormat()
	return d, d.build.AddResource(documentURL, value)
})

func openDocument(tb testing.TB) *document {
	tb.Helper()
	d, err := theDocument()
	if err != nil {
		tb.Fatalf("read openapi.yaml: %v", err)
	}
	return d
}

// at returns what a pointer leads to, references followed, and where that stands.
func (d *document) at(pointer string) (any, string) {
	var value any = d.root
	at := ""
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		object, _ := value.(map[string]any)
		value, at = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(step)], at+"/"+step
		if inner, ok := value.(map[string]any); ok {
			if to, ok := inner["$ref"].(string); ok {
				value, at = d.at(strings.TrimPrefix(to, "#/"))
			}
		}
	}
	return value, at
}

func (d *document) object(pointer string) (map[string]any, string) {
	value, at := d.at(pointer)
	object, _ := value.(map[string]any)
	return object, at
}

// schema compiles the schema at a pointer.
func (d *document) schema(pointer string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if known := d.schemas[pointer]; known != nil {
		return known, nil
	}
	compiled, err := d.build.Compile(documentURL + "#" + (&url.URL{Path: pointer}).EscapedPath())
	d.schemas[pointer] = compiled
	return compiled, err
}

func escapeStep(step string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(step) }

// path finds the template of a path, the one with the fewest parameters.
func (d *document) path(path string) string {
	found := ""
	for template := range d.root["paths"].(map[string]any) {
		if matchesTemplate(template, path) && (found == "" || strings.Count(template, "{") < strings.Count(found, "{")) {
			found = template
		}
	}
	return found
}

func matchesTemplate(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && (!strings.HasPrefix(want[i], "{") || got[i] == "") {
			return false
		}
	}
	return true
}

// ofPages reports whether a path is one of the dashboard, which is for people and not
// part of the contract.
func ofPages(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return slices.Contains([]string{"", "gateways", "messages", "events", "config", "assets", "login", "logout"}, first)
}

// check says what of an answer is not as documented.
func (d *document) check(method, path string, got reply) error {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if ofPages(path) {
		return nil
	}
	template := d.path(path)
	operation := "/paths/" + escapeStep(template) + "/" + strings.ToLower(method)
	responses, at := d.object(operation + "/responses")
	if template == "" || responses == nil {
		want := []int{404, 405, 401, 403, 400, 421, 429, 500, 503}
		if !slices.Contains(want, got.status) {
			return fmt.Errorf("%d of what is not documented", got.status)
		}
		return d.checkAnswer("/components/responses/P"+strconv.Itoa(got.status), got)
	}
	if responses[strconv.Itoa(got.status)] == nil {
		return fmt.Errorf("%d is not documented for %s %s", got.status, method, template)
	}
	return d.checkAnswer(at+"/"+strconv.Itoa(got.status), got)
}

// checkAnswer holds an answer against a response of the document.
func (d *document) checkAnswer(pointer string, got reply) error {
	response, at := d.object(pointer)
	if response == nil {
		return fmt.Errorf("%d is not documented", got.status)
	}
	headers, _ := response["headers"].(map[string]any)
	for name := range headers {
		if err := d.checkHeader(at+"/headers/"+name, got.header.Get(name)); err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
	}
	kind, _, _ := strings.Cut(got.header.Get("Content-Type"), ";")
	content, _ := response["content"].(map[string]any)
	if content == nil && got.body == "" && kind == "" {
		return nil // one without a body
	}
	if content[kind] == nil {
		return fmt.Errorf("content type %q is not documented for %d", kind, got.status)
	}
	if got.body == "" || !strings.HasSuffix(kind, "json") {
		return nil
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(got.body))
	if err != nil {
		return fmt.Errorf("no JSON: %w", err)
	}
	schema, err := d.schema(at + "/content/" + escapeStep(kind) + "/schema")
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func (d *document) checkHeader(pointer, value string) error {
	header, at := d.object(pointer)
	if value == "" {
		if header["required"] == true {
			return fmt.Errorf("is missing")
		}
		return nil
	}
	schema, err := d.schema(at + "/schema")
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// wantDocumented fails the test for an answer that is not as documented.
func wantDocumented(tb testing.TB, method, target string, got reply) {
	tb.Helper()
	path, _, _ := strings.Cut(target, "?")
	if method == "HEAD" {
		got.body = ""
	}
	if err := openDocument(tb).check(method, path, got); err != nil {
		tb.Errorf("%s %s = %d %s is not as documented: %v", method, target, got.status, short(got.body), err)
	}
}

// TestDocumentHasEveryRoute compares the document with the table of routes.
func TestDocumentHasEveryRoute(t *testing.T) {
	d := openDocument(t)
	served := make(map[string]Scope)
	server := newServer(t, newStore(), declared, func(o *Options) { o.Demo, o.Metrics = true, metrics("") })
	for _, r := range server.table() {
		if ofPages(r.path) {
			continue
		}
		path := strings.NewReplacer(":id", "{id}", ":name", "{name}", ":profile", "{profile}").Replace(r.path)
		served[strings.ToLower(r.method)+" "+path] = r.needs
	}
	for path, item := range d.root["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			needs, ok := served[method+" "+path]
			if !ok {
				t.Errorf("%s %s is documented and not served", method, path)
			}
			said := operation.(map[string]any)["description"].(string)
			if needs != needsNothing && !strings.Contains(said, "Scope: `"+string(needs)+"`.") {
				t.Errorf("%s %s needs %s, the document says %q", method, path, needs, said)
			}
			delete(served, method+" "+path)
		}
	}
	for route := range served {
		t.Errorf("%s is served and not documented", route)
	}
	if got := do(t, server, "GET", "/openapi.yaml", ""); got.status != 200 || got.body != string(contract) {
		t.Errorf("GET /openapi.yaml = %d with %d bytes, want %d", got.status, len(got.body), len(contract))
	}
}

// TestDocumentHasEveryWord compares the closed lists.
func TestDocumentHasEveryWord(t *testing.T) {
	d := openDocument(t)
	list := func(pointer string) (words []string) {
		values, _ := d.at(pointer)
		for _, v := range values.([]any) {
			words = append(words, v.(string))
		}
		slices.Sort(words)
		return words
	}
	var states, causes []string
	for _, s := range data.AllStates() {
		states = append(states, s.String())
	}
	for _, c := range data.Causes() {
		causes = append(causes, string(c))
	}
	for pointer, want := range map[string][]string{"components/schemas/State/enum": states, "components/schemas/Cause/enum": causes} {
		slices.Sort(want)
		if got := list(pointer); !slices.Equal(got, want) {
			t.Errorf("%s is %q, want %q", pointer, got, want)
		}
	}
}

// TestCheckFindsWhatIsNotDocumented has answers that are wrong in one way each.
func TestCheckFindsWhatIsNotDocumented(t *testing.T) {
	d := openDocument(t)
	right := reply{201, http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"a"}}, `{"id":"000g000000002"}`}
	if err := d.check("POST", "/event", right); err != nil {
		t.Fatalf("a right answer: %v", err)
	}
	for name, wrong := range map[string]func(*reply){
		"a field more":       func(r *reply) { r.body = `{"id":"000g000000002","x":1}` },
		"a field less":       func(r *reply) { r.body = `{}` },
		"a wrong type":       func(r *reply) { r.body = `{"id":1}` },
		"a wrong id":         func(r *reply) { r.body = `{"id":"x"}` },
		"another status":     func(r *reply) { r.status = 202 },
		"no such header":     func(r *reply) { r.header = http.Header{"Content-Type": {"application/json"}} },
		"another type":       func(r *reply) { r.header = http.Header{"Content-Type": {"text/html"}, "X-Request-Id": {"a"}} },
		"a malformed header": func(r *reply) { r.header = http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"a b"}} },
	} {
		r := right
		wrong(&r)
		if d.check("POST", "/event", r) == nil {
			t.Errorf("%s is not found", name)
		}
	}
}
