// Package egress sends the requests of dialects and brings back the answers.
// It owns the connections to gateways, and bounds how many are open.
//
// One [Client] serves all gateways. It trusts nothing that comes back: the time
// of an attempt is limited from the dialling to the last byte, heads and bodies
// are read up to a bound, redirects are answers like any other. One call sends
// at most one request. A body that a rule needs may take all the time that is left,
// any other a moment. What it reports of a failure is a word of a closed list,
// never a text that may quote a URL, a header or an answer.
//
// A gateway may be declared with a certificate of ours and an authority of its own.
// Its connections and TLS sessions serve only gateways that are declared with the
// same ones.
//
// Requests of a dialect that is guarded go to public unicast addresses alone, and to
// [Networks] that were allowed beside them. Each address that a name came to is asked
// about when it is dialled; their connections serve no others.
//
// Requests that carry an access token (RFC 6749, 4.4) wait for it within their own
// time. One is fetched at a time for all that would get the same one, used until
// shortly before its end, and dropped when the gateway answers 401. A token endpoint
// that gave none is left alone for some seconds.
package egress
