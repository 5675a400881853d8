package main

import (
	"net"
	"os"
)

// What the service manager is told, see sd_notify(3).
const (
	notifyReady    = "READY=1"
	notifyStopping = "STOPPING=1"
)

// notify tells the service manager how far the process is, where there is one that
// wants to know. One that does not listen misses it, and ends the process when it has
// waited for long enough.
func notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	c, err := net.Dial("unixgram", path) // an @ at its beginning is understood
	if err != nil {
		return
	}
	_, _ = c.Write([]byte(state))
	_ = c.Close()
}
