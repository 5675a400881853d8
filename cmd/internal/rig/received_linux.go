package rig

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sinceReceived asks the kernel when a TCP connection received data last. The
// answer is in milliseconds, rounded down.
func sinceReceived(c syscall.Conn) (passed time.Duration) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { // closed: then it is not known
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			passed = time.Duration(info.Last_data_recv) * time.Millisecond
		}
	})
	return passed
}
