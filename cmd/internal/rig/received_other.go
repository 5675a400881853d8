//go:build !linux

package rig

import (
	"syscall"
	"time"
)

func sinceReceived(syscall.Conn) time.Duration { return 0 }
