package badger

import (
	"os"

	"golang.org/x/sys/unix"
)

// reserve has the file system keep space for the first bytes of a file, so that to
// write there cannot fail for want of it.
func reserve(f *os.File, size int64) error {
	return again(func() error { return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size) })
}
