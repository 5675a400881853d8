//go:build !linux

package badger

import (
	"errors"
	"os"
)

// reserve is not possible here, and without it a full disk would be a fault.
func reserve(*os.File, int64) error { return errors.ErrUnsupported }

func populate([]byte) (cut bool, err error) { return false, errors.ErrUnsupported }
