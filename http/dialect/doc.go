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
//	message        the text of the message
//	to             whom it is for, "" when it does not say
//	title          its title, "" when it has none
//	params.NAME    a parameter of the message, "" when it has none of that name
//	id             the message's id, the same in each of its attempts
//	uuid           the same as a UUID, for gateways that want their key so
//	attempt        the attempt's number, from 1
//	gateway        the gateway's name
//	timestamp      the time of the attempt, in seconds since 1970
//	timestamp_ms   and in milliseconds
//	time           and as 2006-01-02T15:04:05Z
//	signature      what auth.signature makes of others
//	settings.NAME  a constant of the operator's
//
// A value is put in as it is and never read as a template, and so is a setting.
// Templates fill the leaves of a structure and each value is encoded for its
// place, so a value cannot change the structure it stands in:
//
//	JSON string      escaped; a leaf that is nothing but {{name}} stays a string
//	form value       application/x-www-form-urlencoded
//	path segment     percent-encoded, '/' too; a segment that comes out empty, "."
//	                 or ".." would be another path and is refused
//	query value      percent-encoded
//	header value     as it is; control characters and spaces at the ends would
//	                 not arrive and are refused
//	XML              as text or as the value of an attribute; characters that XML 1.0
//	                 does not have are refused
//	text body        as it is
//
// Forms, XML and text may be in another charset than UTF-8; what it lacks, or
// would bring back as something else, is refused. What is refused is refused when
// rendering, with [ErrUnfit], and never sent.
//
// Settings are put in and encoded when the declaration is compiled. In a URL,
// up to the end of its host, they stand as they are: there they are an address,
// or the beginning of one, and what comes out must have a host that is valid.
//
// A leaf of a JSON, form or XML body, a header or a field of the declared query
// that is nothing but {{?name}} is left out, with its name, when the value is
// empty.
//
// # Submitting
//
// Whether a message can go to its gateway is known when it is submitted:
// [Dialect.Check] says which fields are missing, too long or unfit, and
// [Dialect.Fit] cuts off or splits where the declaration wants that.
//
// # Signatures
//
// What depends on the time of the attempt or on the body is made anew for each
// attempt: {{signature}}, the HMAC of the body, and the headers of Standard
// Webhooks. All else of [Auth] is constant.
//
// # Secrets
//
// Errors and complaints quote no value. [Declaration.Describe] and
// [Declaration.Preview] are what may be shown of a declaration and of a request.
//
// # Answers
//
// A status alone says little: many gateways answer 200 with an error inside. A
// declaration has rules about the body for what is a success, what ends a message and
// what asks to wait, and says where in an answer the wait stands and in which unit.
// [Dialect.Judge] has the order in which they are tried. A rule is about the whole
// body as a text, or about the values that a JSON pointer (RFC 6901) finds, where a *
// stands for every element or member:
//
//	{json: /messages/*/status, is: "0"}   each has a status, and it is the string 0
//	{json: /error, exists: false}         there is no error
//
// Values are compared as JSON has them: numbers by value, and "0" is not 0. A body
// that a rule needs and that was cut off, is encoded or is not JSON is never a
// success. What is kept of an answer has *** in place of each secret of the
// declaration, however the answer encodes it.
//
// # Tokens and certificates
//
// Where requests carry an access token, [Dialect.Grant] says how to ask for it and
// reads what comes back; who sends the requests keeps the tokens. [Dialect.Identity]
// has the certificate and the authority of connections, which are read when the
// declaration is compiled.
package dialect
