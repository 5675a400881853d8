package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"github.com/postrider/postrider/cmd/internal/rig"
)

// slowed returns another URL for the same, through which everything that is sent
// arrives later by delay. It shows that a table would show it.
func slowed(ctx context.Context, target string, delay time.Duration) (string, error) {
	u, err := url.Parse(target)
	if err != nil {
		return "", err
	}
	l, err := rig.Listen(ctx)
	if err != nil {
		return "", fmt.Errorf("slow down %s: %w", target, err)
	}
	host := u.Host
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // it is closed with ctx
			}
			go relay(ctx, client, host, delay)
		}
	}()
	u.Host = l.Addr().String()
	return u.String(), nil
}

// relay carries one connection until either end closes it.
func relay(ctx context.Context, client net.Conn, host string, delay time.Duration) {
	defer func() { _ = client.Close() }()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	defer context.AfterFunc(ctx, func() {
		_ = client.Close()
		_ = server.Close()
	})()
	go func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	}()
	part := make([]byte, 64<<10)
	for {
		n, err := client.Read(part)
		if err != nil || rig.Wait(ctx, delay) != nil {
			return
		}
		if _, err := server.Write(part[:n]); err != nil {
			return
		}
	}
}
