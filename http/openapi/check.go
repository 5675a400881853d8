package openapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Answer is what the server said.
type Answer struct {
	Status int
	Header http.Header
	Body   string // of a stream its beginning
}

// Check says what of an answer is not as documented.
func (d *Document) Check(method, path string, got Answer) error {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if OfPages(path) {
		return nil
	}
	o := Operation{method, d.template(path)}
	responses, at := d.object(o.pointer() + "/responses")
	if o.Path == "" || responses == nil {
		want := []int{400, 401, 403, 404, 405, 408, 413, 421, 429, 431, 500, 503}
		if !slices.Contains(want, got.Status) {
			return fmt.Errorf("%d of what is not documented", got.Status)
		}
		return d.CheckResponse("/components/responses/P"+strconv.Itoa(got.Status), got)
	}
	if responses[strconv.Itoa(got.Status)] == nil {
		return fmt.Errorf("%d is not documented for %s %s", got.Status, method, o.Path)
	}
	return d.CheckResponse(at+"/"+strconv.Itoa(got.Status), got)
}

// CheckResponse holds an answer against the response that a pointer leads to.
func (d *Document) CheckResponse(pointer string, got Answer) error {
	response, at := d.object(pointer)
	if response == nil {
		return fmt.Errorf("%d is not documented", got.Status)
	}
	headers, _ := response["headers"].(map[string]any)
	for name := range headers {
		if err := d.checkHeader(at+"/headers/"+name, got.Header.Get(name)); err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
	}
	kind, _, _ := strings.Cut(got.Header.Get("Content-Type"), ";")
	content, _ := response["content"].(map[string]any)
	if content == nil && got.Body == "" && kind == "" {
		return nil // one without a body
	}
	switch {
	case content[kind] == nil:
		return fmt.Errorf("content type %q is not documented for %d", kind, got.Status)
	case kind == "text/event-stream":
		return d.checkStream(got.Body)
	case got.Body == "" || !strings.HasSuffix(kind, "json"):
		return nil
	}
	return d.checkJSON(at+"/content/"+escapeStep(kind)+"/schema", got.Body)
}

func (d *Document) checkHeader(pointer, value string) error {
	header, at := d.object(pointer)
	if value == "" {
		if header["required"] == true {
			return errors.New("is missing")
		}
		return nil
	}
	schema, err := d.schema(at + "/schema")
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func (d *Document) checkJSON(pointer, text string) error {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return fmt.Errorf("no JSON: %w", err)
	}
	schema, err := d.schema(pointer)
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// checkStream looks at the events of a tail that came in whole. Each block says behind
// which id to go on, and has an event, its id the same, or a comment.
func (d *Document) checkStream(text string) error {
	blocks := strings.Split(text, "\n\n")
	for _, block := range blocks[:len(blocks)-1] {
		fields := make(map[string]string)
		for line := range strings.Lines(block) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			fields[name] = value
		}
		if err := d.checkString("/components/schemas/ID", fields["id"]); err != nil {
			return fmt.Errorf("id of a block %q: %w", block, err)
		}
		if fields[""] != "" && len(fields) == 2 {
			continue
		}
		if fields["event"] != "event" || !strings.HasPrefix(fields["data"], `{"id":"`+fields["id"]+`"`) || len(fields) != 3 {
			return fmt.Errorf("a block is neither an event nor a comment: %q", block)
		}
		if err := d.checkJSON("/components/schemas/Event", fields["data"]); err != nil {
			return err
		}
	}
	return nil
}

func (d *Document) checkString(pointer, value string) error {
	schema, err := d.schema(pointer)
	if err != nil {
		return err
	}
	return schema.Validate(value)
}
