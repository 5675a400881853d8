package badger

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// reserve has the file system keep space for the first bytes of a file, so that to
// write there cannot fail for want of it.
func reserve(f *os.File, size int64) error {
	return again(func() error { return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size) })
}

// populate makes the pages of a mapping dirty with what they hold (Linux 5.14). The
// file was cut off when they are not there any more, as Badger does with a log that
// has become a table; to touch them would be a fault.
func populate(pages []byte) (cut bool, err error) {
	err = again(func() error { return unix.Madvise(pages, unix.MADV_POPULATE_WRITE) })
	if errors.Is(err, unix.EFAULT) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("touch the pages of a log: %w", err)
	}
	return false, nil
}
