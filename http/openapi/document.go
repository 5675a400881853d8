// Package openapi holds answers of the API against the document that describes them,
// http/openapi.yaml, and makes requests of it. It is for tests, those of package http
// over stand-ins and those of cmd/postrider over all of the program, and is linked into
// neither: it knows only the text of the document.
//
//	document.go  the document, read
//	check.go     an answer: its status, headers and body
//	stock.go     what is there to ask for, which answers add to
//	generate.go  requests: most of them nearly right
package openapi

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// Document is the contract. Any number of goroutines may use it.
type Document struct {
	root    map[string]any
	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema // by pointer
	build   *jsonschema.Compiler
}

const documentURL = "https://postrider/openapi.yaml"

// Read reads a document.
func Read(text []byte) (*Document, error) {
	var read any
	if err := yaml.Unmarshal(text, &read); err != nil {
		return nil, err
	}
	asJSON, err := json.Marshal(read)
	if err != nil {
		return nil, err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		return nil, err
	}
	root, _ := value.(map[string]any)
	d := &Document{root: root, schemas: make(map[string]*jsonschema.Schema), build: jsonschema.NewCompiler()}
	d.build.DefaultDraft(jsonschema.Draft2020)
	d.build.AssertFormat()
	return d, d.build.AddResource(documentURL, value)
}

// Operation is a method at a path.
type Operation struct {
	Method string // in capitals
	Path   string // with its parameters in braces
}

func (o Operation) pointer() string {
	return "/paths/" + escapeStep(o.Path) + "/" + strings.ToLower(o.Method)
}

// Operations returns all that there are, in the order of their paths.
func (d *Document) Operations() (all []Operation) {
	for _, path := range slices.Sorted(maps.Keys(d.paths())) {
		for _, method := range slices.Sorted(maps.Keys(d.paths()[path].(map[string]any))) {
			all = append(all, Operation{strings.ToUpper(method), path})
		}
	}
	return all
}

// Description is what the document says about an operation.
func (d *Document) Description(o Operation) string {
	operation, _ := d.object(o.pointer())
	said, _ := operation["description"].(string)
	return said
}

func (d *Document) paths() map[string]any {
	paths, _ := d.root["paths"].(map[string]any)
	return paths
}

// At returns what a pointer leads to, references followed, and where that stands.
func (d *Document) At(pointer string) (any, string) {
	var value any = d.root
	at := ""
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		object, _ := value.(map[string]any)
		value, at = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(step)], at+"/"+step
		if inner, ok := value.(map[string]any); ok {
			if to, ok := inner["$ref"].(string); ok {
				value, at = d.At(strings.TrimPrefix(to, "#/"))
			}
		}
	}
	return value, at
}

func (d *Document) object(pointer string) (map[string]any, string) {
	value, at := d.At(pointer)
	object, _ := value.(map[string]any)
	return object, at
}

// schema compiles the schema at a pointer.
func (d *Document) schema(pointer string) (*jsonschema.Schema, error) {
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

// template finds the path of the document that a path is of, the one with the fewest
// parameters; "" is none.
func (d *Document) template(path string) string {
	found := ""
	for template := range d.paths() {
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

// OfPages reports whether a path is one of the dashboard, which is for people and not
// part of the contract.
func OfPages(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return slices.Contains([]string{"", "gateways", "messages", "events", "config", "assets", "login", "logout"}, first)
}
