package httpapi

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"sync/atomic"
)

// requestNames names requests for people who look for one in the log: a number,
// after what tells this process from all others.
type requestNames struct {
	process string
	newest  *atomic.Uint64
}

// maxRequestName is how long a name may get.
const maxRequestName = 16 + len("-") + 13

func newRequestNames() requestNames {
	var process [8]byte
	_, _ = rand.Read(process[:]) // never fails
	return requestNames{process: hex.EncodeToString(process[:]), newest: new(atomic.Uint64)}
}

// append writes a name that no other request has.
func (n requestNames) append(b []byte) []byte {
	b = append(append(b, n.process...), '-')
	return strconv.AppendUint(b, n.newest.Add(1), 36)
}
