package dialect

import (
	"strconv"

	"github.com/google/uuid"
)

// derivedUUID names a message in the form that many gateways want of a key that
// lets them drop duplicates (RFC 9562, version 5). It is the same in each
// attempt. The time of acceptance is in it because ids start over in a new
// store, and another message must not look like a duplicate.
func derivedUUID(in *Input) string {
	space := uuid.UUID{0x5f, 0x0e, 0x9c, 0x1d, 0x63, 0x9b, 0x4a, 0x0e, 0x9a, 0x57, 0x2c, 0x0d, 0x1f, 0x4e, 0x8b, 0x36}
	var accepted int64
	if !in.AcceptedAt.IsZero() {
		accepted = in.AcceptedAt.UnixMilli()
	}
	return uuid.NewSHA1(space, []byte(in.Gateway+" "+in.ID.String()+" "+strconv.FormatInt(accepted, 10))).String()
}
