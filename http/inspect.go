package httpapi

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/postrider/postrider/data"
)

// maxFindings is how many findings an answer lists.
const maxFindings = 100

// The codes of findings, a closed list.
const (
	codeRequired       = "required"
	codeNull           = "null"
	codeType           = "type"
	codeUnknownField   = "unknown_field"
	codeEmptyArray     = "empty_array"
	codeTooMany        = "too_many"
	codeUnknownGateway = "unknown_gateway"

	codeConfiguration = "configuration"

	codeSyntax       = "syntax"
	codeDuplicateKey = "duplicate_key"
	codeTrailingData = "trailing_data"
	codeEmptyBody    = "empty_body"
)

// inspect says what is wrong with a body that was refused. It never returns nil.
func inspect(body []byte, s shape) error {
	if err := examine(body, s); err != nil {
		return err
	}
	return &rejection{kind: errInvalidBody}
}

// examine says what is wrong with a body, nil when nothing is. It reads all of
// it, because a body that is not well-formed to the end is malformed whatever
// else it is.
func examine(body []byte, s shape) error {
	in := inspector{shape: s, dec: jsontext.NewDecoder(bytes.NewBuffer(body))}
	if err := in.document(); err != nil {
		return in.malformed(err)
	}
	if in.total == 0 {
		return nil
	}
	r := &rejection{kind: errInvalidBody, findings: in.findings}
	if in.total > len(in.findings) {
		r.total = in.total
	}
	if in.total == 1 && in.findings[0].Code == codeUnknownGateway {
		r.kind = data.ErrUnknownGateway
	}
	return r
}

// inspector walks over a body and notes what is wrong. Its methods return only
// errors of form.
type inspector struct {
	shape
	dec      *jsontext.Decoder
	findings []finding
	total    int
}

var (
	errEmptyBody    = errors.New("no JSON value")
	errTrailingData = errors.New("more than one JSON value")
)

func (in *inspector) document() error {
	var err error
	if in.array > 0 && in.dec.PeekKind() == '[' {
		err = in.elements()
	} else {
		err = in.object("")
	}
	if errors.Is(err, io.EOF) {
		return errEmptyBody
	}
	if err != nil {
		return err
	}
	if _, err := in.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errTrailingData
	}
	return nil
}

// whole goes past one value, whatever it is, and anything after it is an error.
func (in *inspector) whole() error {
	err := in.dec.SkipValue()
	if errors.Is(err, io.EOF) {
		return errEmptyBody
	}
	if err != nil {
		return err
	}
	if _, err := in.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errTrailingData
	}
	return nil
}

func (in *inspector) elements() error {
	if _, err := in.dec.ReadToken(); err != nil {
		return err
	}
	n := 0
	for ; in.dec.PeekKind() != ']'; n++ {
		if err := in.object("/" + strconv.Itoa(n)); err != nil {
			return err
		}
	}
	switch {
	case n == 0:
		in.note("", codeEmptyArray, "The array must hold at least one object.")
	case n > in.array:
		in.note("", codeTooMany, "The array must hold at most "+strconv.Itoa(in.array)+" objects.")
	}
	_, err := in.dec.ReadToken()
	return err
}

func (in *inspector) object(at string) error {
	if in.dec.PeekKind() != '{' {
		return in.mismatch(at, "The value must be an object with "+in.names()+".")
	}
	if _, err := in.dec.ReadToken(); err != nil {
		return err
	}
	seen := make(map[string]bool, len(in.fields))
	strange := false
	for in.dec.PeekKind() != '}' {
		name, err := in.dec.ReadToken()
		if err != nil {
			return err
		}
		f, known := in.field(name.String())
		seen[f.name] = true
		if known {
			err = in.value(at+"/"+f.name, f)
		} else {
			strange = true
			err = in.dec.SkipValue()
		}
		if err != nil {
			return err
		}
	}
	if strange {
		// Its name is the client's, so the object is named and not the field.
		in.note(at, codeUnknownField, "The object has a field other than "+in.list()+"; names are case-sensitive.")
	}
	for _, f := range in.fields {
		if !seen[f.name] && !in.optional && !f.optional {
			in.note(at+"/"+f.name, codeRequired, "The field is missing.")
		}
	}
	_, err := in.dec.ReadToken()
	return err
}

// field returns the field with its name as our own constant, so that nothing of
// the client's gets into a pointer.
func (in *inspector) field(name string) (field, bool) {
	for _, f := range in.fields {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

func (in *inspector) value(at string, f field) error {
	if !f.kind.holds(in.dec.PeekKind()) {
		return in.mismatch(at, "The value must be "+string(f.kind)+".")
	}
	if f.kind == aMap {
		return in.entries(at)
	}
	value, err := in.dec.ReadToken()
	if err != nil {
		return err
	}
	if in.check == nil {
		return nil
	}
	if code, detail := in.check(f.name, value.String()); code != "" {
		in.note(at, code, detail)
	}
	return nil
}

// entries goes through a flat map. Its names are the client's, so the map is named
// and not the entry.
func (in *inspector) entries(at string) error {
	if _, err := in.dec.ReadToken(); err != nil {
		return err
	}
	n, badName := 0, false
	var kinds, nulls bool
	for ; in.dec.PeekKind() != '}'; n++ {
		name, err := in.dec.ReadToken()
		if err != nil {
			return err
		}
		badName = badName || !mayNameParam(name.String())
		found := in.dec.PeekKind()
		kinds, nulls = kinds || found != '"' && found != 'n', nulls || found == 'n'
		if err := in.dec.SkipValue(); err != nil {
			return err
		}
	}
	if kinds {
		in.note(at, codeType, "Each value must be a string.")
	}
	if nulls {
		in.note(at, codeNull, "Each value must be a string.")
	}
	if badName {
		in.note(at, codeInvalid, "Each name must have 1 to "+strconv.Itoa(data.MaxParamName)+" bytes.")
	}
	if n > data.MaxParams {
		in.note(at, codeTooMany, "The object must hold at most "+strconv.Itoa(data.MaxParams)+" entries.")
	}
	_, err := in.dec.ReadToken()
	return err
}

// mismatch notes a value of the wrong kind and goes past it.
func (in *inspector) mismatch(at, want string) error {
	if in.dec.PeekKind() == 'n' {
		in.note(at, codeNull, want)
	} else {
		in.note(at, codeType, want)
	}
	return in.dec.SkipValue()
}

func (in *inspector) note(at, code, detail string) {
	in.total++
	if len(in.findings) < maxFindings {
		in.findings = append(in.findings, finding{Pointer: &at, Code: code, Detail: detail})
	}
}

// malformed keeps of an error of form what is ours: its kind and its place.
func (in *inspector) malformed(err error) error {
	f := finding{Code: codeSyntax, Detail: "The text is not JSON from here on."}
	syntactic, isSyntactic := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case errors.Is(err, errEmptyBody):
		f = finding{Code: codeEmptyBody, Detail: "There is no JSON value."}
	case errors.Is(err, errTrailingData):
		f = finding{Code: codeTrailingData, Detail: "There is something after the JSON value.", Offset: new(in.dec.InputOffset())}
	case isSyntactic:
		if errors.Is(err, jsontext.ErrDuplicateName) {
			f = finding{Code: codeDuplicateKey, Detail: "An object has two fields of the same name."}
		}
		f.Offset = &syntactic.ByteOffset
	}
	return &rejection{kind: errMalformed, findings: []finding{f}}
}
