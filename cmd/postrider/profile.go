//go:build profile

package main

import (
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
)

// A program that was built with the tag "profile" shows its profiles on the Unix
// socket that PROFILES_SOCKET names. It is for measuring: what is shipped has
// nothing of this, which is why it starts itself instead of being called by run.
func init() {
	path := os.Getenv("PROFILES_SOCKET")
	if path == "" {
		return
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	go func() { _ = http.Serve(l, nil) }() // ends with the process
}
