package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"github.com/nats-io/nats-server/v2/server"
)

// natsServer is NATS as a process of its own: this program under another command
// has it inside.
type natsServer struct{ process *process }

func (n *natsServer) start(ctx context.Context, at site) (address string, err error) {
	p, r, err := spawnReady(ctx, "nats", "--dir", filepath.Join(at.dir, "nats"))
	n.process = p
	return r.URL, err
}

func (n *natsServer) stop() error { return n.process.stop() }

// serveNATS runs the server until in ends. Its address is where clients connect
// and where it is monitored, with a space between.
func serveNATS(ctx context.Context, in io.Reader, out io.Writer, dir string) error {
	ctx = ends(ctx, in)
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, HTTPHost: "127.0.0.1", HTTPPort: server.RANDOM_PORT,
		NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: dir, SyncAlways: true, // in its configuration: sync_interval: always
	})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		return errors.New("the server is not ready")
	}
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if err := announce(out, ready{URL: s.ClientURL() + " http://" + s.MonitorAddr().String()}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
