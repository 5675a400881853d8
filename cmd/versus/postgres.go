package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/postrider/postrider/cmd/internal/rig"
	"github.com/postrider/postrider/data"
)

// postgres is a PostgreSQL server of our own: a cluster made for one turn, with
// the defaults, on a Unix socket.
type postgres struct{ process *process }

func newPostgres() backing { return &postgres{} }

// postgresMissing looks for the programs of the server.
func postgresMissing() error {
	_, err := postgresBinary("initdb")
	return err
}

// postgresBinary finds one of the server's programs, which Debian keeps out of
// the way.
func postgresBinary(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return filepath.EvalSymlinks(path)
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name) // the pattern is a good one
	if len(found) == 0 {
		return "", fmt.Errorf("no %s here: install PostgreSQL (Debian: postgresql)", name)
	}
	return found[len(found)-1], nil
}

// postgresUser is whom the server runs as: it refuses to be root's.
func postgresUser() string {
	if os.Geteuid() != 0 {
		return ""
	}
	if _, err := user.Lookup("postgres"); err == nil {
		return "postgres"
	}
	return "nobody"
}

// credential is what a process of that user has.
func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err, gidErr)
}

func (p *postgres) start(ctx context.Context, at site) (address string, err error) {
	initdb, err := postgresBinary("initdb")
	if err != nil {
		return "", err
	}
	binary, err := postgresBinary("postgres")
	if err != nil {
		return "", err
	}
	own := filepath.Join(at.dir, "postgres")
	if err := os.Mkdir(own, 0o700); err != nil {
		return "", err
	}
	as := postgresUser()
	cmd := exec.CommandContext(ctx, initdb, "--pgdata", filepath.Join(own, "data"), "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-locale")
	cmd.Dir = own
	if as != "" {
		c, err := credential(as)
		if err != nil {
			return "", err
		}
		if err := os.Chown(own, int(c.Uid), int(c.Gid)); err != nil {
			return "", err
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w\n%s", err, out)
	}
	p.process, _, err = spawnReady(ctx, "keep", "--user", as, "--dir", own, "--", binary, "-D", filepath.Join(own, "data"), "-k", own,
		"-c", "listen_addresses=", "-c", fmt.Sprint("max_connections=", at.pool+40))
	return fmt.Sprintf("host=%s user=postgres database=postgres", own), err
}

func (p *postgres) stop() error { return p.process.stop() }

// connect opens a pool as soon as the server answers.
func connect(ctx context.Context, at site, address string) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, err
	}
	c.MaxConns, c.MinConns = int32(at.pool), int32(at.pool)
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, err
	}
	var last error
	err = rig.Until(ctx, "PostgreSQL answers", patience, 20*time.Millisecond, func() (bool, error) {
		last = pool.Ping(ctx)
		return last == nil, nil
	})
	if err != nil {
		pool.Close()
		return nil, errors.Join(err, last)
	}
	return pool, nil
}

// show reads back the settings that durability hangs on.
func show(pool *pgxpool.Pool) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		var all []string
		for _, name := range []string{"server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "commit_delay", "shared_buffers", "max_wal_size"} {
			var value string
			if err := pool.QueryRow(ctx, "SHOW "+name).Scan(&value); err != nil {
				return "", fmt.Errorf("show %s: %w", name, err)
			}
			all = append(all, name+"="+value)
		}
		return fmt.Sprintf("%s; pool of %d", strings.Join(all, " "), pool.Config().MaxConns), nil
	}
}

// openPostgres stores each event with an INSERT of its own, on any connection of
// the pool; PostgreSQL gathers the commits.
func openPostgres(ctx context.Context, at site, address string) (*back, error) {
	pool, err := connect(ctx, at, address)
	if err != nil {
		return nil, err
	}
	if _, err := pool.Exec(ctx, `CREATE TABLE event (id bigserial PRIMARY KEY, type text NOT NULL, payload text NOT NULL, received_at timestamptz NOT NULL DEFAULT now())`); err != nil {
		pool.Close()
		return nil, err
	}
	const insert = `INSERT INTO event (type, payload) VALUES ($1, $2) RETURNING id`
	return &back{
		events: func(ctx context.Context, events []data.NewEvent) error {
			var id int64
			for _, e := range events {
				if err := pool.QueryRow(ctx, insert, e.Type, e.Payload).Scan(&id); err != nil {
					return err
				}
			}
			return nil
		},
		durability: show(pool),
		close:      pool.Close,
	}, nil
}

// postgresVersion names the server, and what speaks with it.
func postgresVersion(module string) func(context.Context) string {
	return func(ctx context.Context) string {
		binary, err := postgresBinary("postgres")
		if err != nil {
			return ""
		}
		return join(firstLine(ctx, binary, "--version"), moduleVersion(module), moduleVersion("github.com/gofiber/fiber/v2"), runtime.Version())
	}
}
