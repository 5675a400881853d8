package dialect

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Length bounds one field of the messages for a gateway. It is about the field
// as it was submitted, not about what a template makes of it. The one exception is
// body: all that is made of the message, in bytes, for gateways that count that.
type Length struct {
	Field string // message, to, title, params.NAME or body; "" means message
	Limit int    // in units
	Unit  Unit   // "" means Characters, and Bytes of body
	Over  Over   // what becomes of a longer one; "" means Reject
}

// Unit is what lengths are counted in.
type Unit string

// The units.
const (
	Bytes      Unit = "bytes"      // of UTF-8
	Characters Unit = "characters" // code points
	UTF16      Unit = "utf16"      // code units of UTF-16
)

// Over says what becomes of a field that is too long.
type Over string

// What there is.
const (
	Reject   Over = "reject"
	Truncate Over = "truncate" // it ends in "…", within the limit
	Split    Over = "split"    // the message is sent as several, numbered like "(1/3) ", within the limit
)

// Bounds of length rules.
const (
	maxLengths = 20
	maxLimit   = maxOutput
	minSplit   = 20 // less leaves too little room beside the number
	// MaxParts is how many parts a message is split into at most: those that two
	// digits can count.
	MaxParts = 99
)

// length is a compiled [Length].
type length struct {
	value int
	limit int
	unit  Unit
	over  Over
}

func (c *compiler) lengths(declared []Length) []length {
	c.bound("length", len(declared), maxLengths)
	var lengths []length
	for i, l := range declared {
		path := fmt.Sprintf("length[%d]", i)
		if l.Field == fieldBody {
			c.bodyLimit(path, l)
			continue
		}
		compiled := length{limit: l.Limit, unit: l.Unit, over: l.Over}
		compiled.value, _ = c.messageField(path+".field", cmp.Or(l.Field, names[nameMessage]))
		c.unit(path, &compiled)
		switch compiled.over {
		case "":
			compiled.over = Reject
		case Split:
			if compiled.value != nameMessage {
				c.complain(path+".over", "only a message can be split")
			}
		case Reject, Truncate:
		default:
			c.complain(path+".over", "must be reject, truncate or split")
		}
		least := map[Over]int{Reject: 1, Truncate: len("…"), Split: minSplit}[compiled.over]
		if l.Limit < least || l.Limit > maxLimit {
			c.complain(path+".limit", "must be from %d to %d", least, maxLimit)
		}
		splits := func(l length) bool { return l.over == Split }
		if splits(compiled) && slices.ContainsFunc(lengths, splits) {
			c.complain(path+".over", "is given twice, and the parts of a message are not split again")
		}
		lengths = append(lengths, compiled)
	}
	return lengths
}

// fieldBody is what the rule about the whole body calls that.
const fieldBody = "body"

// bodyLimit takes the rule about the whole body, of which nothing can be cut off.
func (c *compiler) bodyLimit(path string, l Length) {
	if c.mostBody != 0 {
		c.complain(path+".field", "is given twice")
	}
	if l.Unit != "" && l.Unit != Bytes {
		c.complain(path+".unit", "must be bytes: those of the whole body are counted")
	}
	if l.Over != "" && l.Over != Reject {
		c.complain(path+".over", "must be reject: a whole body can neither be cut nor split")
	}
	if l.Limit < 1 || l.Limit > maxLimit {
		c.complain(path+".limit", "must be from %d to %d", 1, maxLimit)
	}
	c.mostBody = l.Limit
}

func (c *compiler) unit(path string, l *length) {
	switch l.unit {
	case "":
		l.unit = Characters
	case Bytes, Characters, UTF16:
	default:
		c.complain(path+".unit", "must be bytes, characters or utf16")
	}
}

// of returns the length of text.
func (u Unit) of(text string) int {
	switch u {
	case Bytes:
		return len(text)
	case UTF16:
		n := 0
		for _, r := range text {
			if n++; r > 0xffff {
				n++
			}
		}
		return n
	case Characters:
	}
	return utf8.RuneCountInString(text)
}

// truncate returns the beginning of text with an ellipsis, within the limit.
// No grapheme cluster is cut.
func (l length) truncate(text, ellipsis string) string {
	end, _ := l.unit.walk(text, l.limit-l.unit.of(ellipsis))
	return text[:end] + ellipsis
}

// walk returns where the grapheme clusters end that have room, and behind the
// last space among them, 0 for none.
func (u Unit) walk(text string, room int) (end, space int) {
	state := -1
	for rest := text; rest != ""; {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if room -= u.of(cluster); room < 0 {
			break
		}
		end += len(cluster)
		switch cluster {
		case " ", "\t", "\n", "\r\n", "\u3000":
			space = end
		}
	}
	return end, space
}

// split cuts text into numbered parts, each within the limit. All that is in the
// text is in the parts. ok is false when there would be too many of them, or a
// cluster does not fit into one.
func (l length) split(text string) (parts []string, ok bool) {
	if l.unit.of(text) > MaxParts*l.limit {
		return nil, false
	}
	if parts, ok = l.cut(text, 9); !ok {
		parts, ok = l.cut(text, MaxParts)
	}
	for i := range parts {
		parts[i] = partNumber(i+1, len(parts)) + parts[i]
	}
	return parts, ok
}

// cut cuts text into at most so many parts, with room for their numbers.
func (l length) cut(text string, most int) (parts []string, ok bool) {
	for rest := text; rest != ""; {
		if len(parts) == most {
			return nil, false
		}
		room := l.limit - len(partNumber(len(parts)+1, most))
		end, space := l.unit.walk(rest, room)
		switch {
		case end == 0:
			return nil, false
		case end < len(rest) && space > end/2:
			// Words stay whole, unless that leaves half of the part empty.
			end = space
		}
		parts, rest = append(parts, rest[:end]), rest[end:]
	}
	return parts, true
}

func partNumber(i, of int) string { return fmt.Sprintf("(%d/%d) ", i, of) }
