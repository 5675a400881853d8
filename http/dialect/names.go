package dialect

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The values of a declaration's templates, as indexes. The parameters that a
// dialect uses follow, in the order in which it names them.
const (
	nameMessage = iota
	nameTo
	nameTitle
	nameID
	nameUUID
	nameAttempt
	nameGateway
	nameTimestamp
	nameTimestampMS
	nameTime
	nameSignature
	nameCount
)

var names = [nameCount]string{
	nameMessage: "message", nameTo: "to", nameTitle: "title", nameID: "id", nameUUID: "uuid", nameAttempt: "attempt",
	nameGateway: "gateway", nameTimestamp: "timestamp", nameTimestampMS: "timestamp_ms", nameTime: "time", nameSignature: "signature",
}

// Names with a prefix are an open set.
const (
	prefixParams   = "params."
	prefixSettings = "settings."
)

// Bounds of what a declaration may name.
const (
	maxSettings = 100
	maxParams   = 100
	maxFields   = 1000 // of a form; headers and query fields are bounded like settings
	maxName     = 64   // bytes of the name of a setting or parameter
)

// everything is the scope of most templates.
func (c *compiler) everything(name string) (p part, mistake, hint string) {
	if name == names[nameSignature] {
		if c.signed = true; !c.signs {
			return part{}, "no signature", "it is made by auth.signature, and not of itself"
		}
		if c.masked {
			return part{text: mask, pending: true, secret: true}, "", ""
		}
	}
	if value := slices.Index(names[:], name); value >= 0 {
		c.used |= 1 << value
		return part{op: opValue, value: value}, "", ""
	}
	if param, found := strings.CutPrefix(name, prefixParams); found {
		return c.param(param)
	}
	if strings.HasPrefix(name, prefixSettings) {
		return c.constant(name)
	}
	return part{}, "unknown name", "there are " + strings.Join(names[:], ", ") + ", params.NAME, settings.NAME"
}

// constant is the scope of what does not depend on the message.
func (c *compiler) constant(name string) (p part, mistake, hint string) {
	setting, found := strings.CutPrefix(name, prefixSettings)
	if !found {
		return part{}, "unknown name", "there is settings.NAME"
	}
	s, found := c.settings[setting]
	if !found {
		hint = "there are none"
		if len(c.settings) > 0 {
			hint = "there are " + strings.Join(sortedKeys(c.settings), ", ")
		}
		return part{}, "unknown setting", hint
	}
	return part{text: s.Value, pending: true, secret: s.Secret}, "", ""
}

// param returns the part of a parameter of messages, which need not be named
// anywhere before.
func (c *compiler) param(name string) (p part, mistake, hint string) {
	if !plainName(name) {
		return part{}, "bad name of a parameter", wantName
	}
	at := slices.Index(c.params, name)
	if at < 0 {
		if len(c.params) == maxParams {
			return part{}, "one parameter too many", fmt.Sprintf("at most %d have a place", maxParams)
		}
		at, c.params = len(c.params), append(c.params, name)
	}
	return part{op: opValue, value: nameCount + at}, "", ""
}

const wantName = "it has 1 to 64 letters, digits, - and _"

// plainName reports whether a setting or parameter may be called so.
func plainName(name string) bool {
	for i := range len(name) {
		if b := name[i]; !alphanumeric(b) && b != '-' && b != '_' {
			return false
		}
	}
	return name != "" && len(name) <= maxName
}

// fill appends the values for one attempt to values, which is empty. Those that
// no template of the dialect has in it stay empty, but for the id and the number.
func (d *Dialect) fill(values []string, in *Input) ([]string, error) {
	values = values[:nameCount]
	values[nameMessage], values[nameTo], values[nameTitle] = in.Text, in.To, in.Title
	values[nameID], values[nameAttempt], values[nameGateway] = in.ID.String(), strconv.Itoa(in.Attempt), in.Gateway
	if d.has(nameUUID) {
		values[nameUUID] = derivedUUID(in)
	}
	if d.has(nameTimestamp) {
		values[nameTimestamp] = strconv.FormatInt(in.Now.Unix(), 10)
	}
	if d.has(nameTimestampMS) {
		values[nameTimestampMS] = strconv.FormatInt(in.Now.UnixMilli(), 10)
	}
	if d.has(nameTime) {
		values[nameTime] = in.Now.UTC().Format(time.RFC3339)
	}
	for _, name := range d.params() {
		values = append(values, in.Params[name])
	}
	for i, v := range values {
		if !utf8.ValidString(v) {
			return nil, &renderError{d.nameOf(i), &misfit{i, ErrUnfit}}
		}
	}
	if d.has(nameSignature) {
		signature, err := d.auth.signing.sign(values)
		if err != nil {
			return nil, &renderError{"auth.signature", err}
		}
		values[nameSignature] = signature
	}
	return values, nil
}

// has reports whether a template has the value in it.
func (d *Dialect) has(value int) bool { return d.used&(1<<value) != 0 }

// nameOf is what templates call a value.
func (d *Dialect) nameOf(value int) string {
	if value >= nameCount {
		return prefixParams + d.params()[value-nameCount]
	}
	return names[value]
}
