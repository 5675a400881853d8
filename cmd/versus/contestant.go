package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// contestant is one side of the comparison, in a file of its name. A value runs
// once.
type contestant interface {
	// start runs it and returns its URL, "" for one that takes nothing in, when it
	// is ready.
	start(ctx context.Context, at site) (url string, err error)
	// durability asks what runs for the settings that matter.
	durability(ctx context.Context) (string, error)
	// open is how many of the messages that it took are not durably done.
	open(ctx context.Context) (int64, error)
	// stop ends all that start began, also when that failed.
	stop() error
}

// site is where a contestant runs and what for.
type site struct {
	dir     string // its own, empty
	sink    string // URL of the gateway; "" where nothing is delivered
	workers int    // attempts under way at a time
	pool    int    // connections to its server
	program string // path of the program, for the one that is ours
	flags   []string
	environ []string
}

// delivers reports whether messages are to be carried to the sink.
func (s site) delivers() bool { return s.sink != "" }

// entry is a contestant in the list.
type entry struct {
	name    string
	about   string
	missing func() error // what this machine lacks; nil for nothing
	version func(ctx context.Context) string
	make    func() contestant
	front   func(ctx context.Context, at site, server string) (*back, error) // its side behind the front; nil for none
}

// The names that goals and commands speak of.
const (
	floorName     = "floor"
	logName       = "log"
	ourName       = "postrider"
	postgresName  = "postgres"
	jetstreamName = "jetstream"
	asynqName     = "asynq"
	riverName     = "river"
	rawNetName    = "raw-nethttp"
	rawFastName   = "raw-fasthttp"
	rawOurName    = "raw-egress"
)

// contestants lists all.
func contestants() []entry {
	return []entry{
		{name: floorName, about: "bare Fiber handler, stores nothing", version: fiberVersion, make: behindFront(floorName, nil), front: openFloor},
		{name: logName, about: "Fiber, one growing file, synced per group", version: fiberVersion, make: behindFront(logName, nil), front: openLog},
		{name: ourName, about: "the program itself", make: func() contestant { return &postrider{} }},
		{name: postgresName, about: "Fiber, pgxpool, one INSERT per event", missing: postgresMissing, version: postgresVersion("github.com/jackc/pgx/v5"), make: behindFront(postgresName, newPostgres), front: openPostgres},
		{name: jetstreamName, about: "Fiber, publish to a stream; consumers for delivery", version: moduleVersions("github.com/nats-io/nats-server/v2", "github.com/nats-io/nats.go"), make: behindFront(jetstreamName, newNATS), front: openJetStream},
		{name: asynqName, about: "Fiber, enqueue; workers for delivery", missing: redisMissing, version: redisVersion, make: behindFront(asynqName, newRedis), front: openAsynq},
		{name: riverName, about: "Fiber, insert; workers for delivery", missing: postgresMissing, version: postgresVersion("github.com/riverqueue/river"), make: behindFront(riverName, newPostgres), front: openRiver},
		{name: rawNetName, about: "client loop to the sink: net/http", version: goVersion, make: rawLoop(rawNetName)},
		{name: rawFastName, about: "client loop to the sink: fasthttp", version: moduleVersions("github.com/valyala/fasthttp"), make: rawLoop(rawFastName)},
		{name: rawOurName, about: "client loop to the sink: http/egress, which the program ships", make: rawLoop(rawOurName)},
	}
}

// find returns the entry of a name.
func find(name string) (entry, error) {
	for _, e := range contestants() {
		if e.name == name {
			return e, nil
		}
	}
	return entry{}, fmt.Errorf("there is no contestant %q", name)
}

// backing is the server that a contestant needs beside its front.
type backing interface {
	// start runs it and returns where the front finds it.
	start(ctx context.Context, at site) (address string, err error)
	stop() error
}

// fronted is a contestant behind the front that all peers share, which is a
// process of its own, as its server is.
type fronted struct {
	name   string
	server backing // nil for none
	front  *process
	url    string
}

// behindFront makes such a contestant.
func behindFront(name string, newServer func() backing) func() contestant {
	return func() contestant {
		f := &fronted{name: name}
		if newServer != nil {
			f.server = newServer()
		}
		return f
	}
}

func (f *fronted) start(ctx context.Context, at site) (url string, err error) {
	var address string
	if f.server != nil {
		if address, err = f.server.start(ctx, at); err != nil {
			return "", err
		}
	}
	var r ready
	f.front, r, err = spawnReady(ctx, "front", f.name, "--dir", at.dir, "--sink", at.sink, "--server", address,
		"--workers", strconv.Itoa(at.workers), "--pool", strconv.Itoa(at.pool))
	f.url = r.URL
	return f.url, err
}

func (f *fronted) durability(ctx context.Context) (string, error) {
	return ask(ctx, f.url+"/durability")
}

func (f *fronted) open(ctx context.Context) (int64, error) {
	answer, err := ask(ctx, f.url+"/open")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(answer, 10, 64)
}

func (f *fronted) stop() error {
	err := f.front.stop()
	if f.server != nil {
		err = errors.Join(err, f.server.stop())
	}
	return err
}
