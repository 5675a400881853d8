// Package dialect is how one gateway wants its requests and how its answers
// are read: a message and a [Declaration] in, a [Request] out; an [Answer] in,
// a [data.Result] out. It is pure. It opens no connection and reads no clock.
//
// # Templates
//
// The texts of a declaration are templates. {{name}} stands for a value, with
// spaces inside the braces at will, and {{"{{"}} for two opening braces; all
// else, single braces and closing ones included, stands for itself. There are
// no conditions, loops or calls. The names of a declaration are
//
//	message  the text of the message
//	id       the message's id, the same in each of its attempts
//	attempt  the attempt's number, from 1
//	gateway  the gateway's name
//
// A value is put in as it is and never read as a template. Templates fill the
// leaves of a structure and each value is encoded for its place, so a value
// cannot change the structure it stands in:
//
//	JSON string      escaped; a leaf that is nothing but {{name}} stays a string
//	form value       application/x-www-form-urlencoded
//	path segment     percent-encoded, '/' too; a segment that comes out empty, "."
//	                 or ".." would be another path and is refused
//	query value      percent-encoded
//	header value     as it is; control characters and spaces at the ends would
//	                 not arrive and are refused
//	text body        as it is
//
// What is refused is refused when rendering, with [ErrUnfit], and never sent.
package dialect
