// Package config holds every setting of Postrider and reads it from four
// places: the defaults in this package, one YAML file, the environment and the
// command line, where the later place wins.
//
// It owns the names of the keys, their defaults and their rules. [Load] reports
// every mistake it finds at once as [Mistakes]; a mistake names the key and
// says what is expected, and never repeats a value, because a value can be a
// secret. Whatever can be a secret is a [Text], which prints masked.
package config

import (
	"net/netip"
	"time"
)

// Config is the complete configuration. Load returns it valid and with every
// secret resolved.
//
// The tags are named yaml because one set serves loading and printing.
type Config struct {
	HTTP       HTTP       `yaml:"http"`
	Propagator Propagator `yaml:"propagator"`
	Storage    Storage    `yaml:"storage"`
	Delivery   Delivery   `yaml:"delivery"`
	Log        Log        `yaml:"log"`
	Demo       Demo       `yaml:"demo"`
	// Gateways by name, [a-z0-9_-]{1,64}, at most 10,000; default none.
	Gateways map[string]Gateway `yaml:"gateways"`
	// Routes from accepted events to gateways, all of which are tried; default none.
	Routes []Route `yaml:"routes"`
}

// HTTP is the server: where it listens and what it takes.
type HTTP struct {
	// Host is the address to listen on, an IP address or a host name; default
	// 127.0.0.1. Anything but loopback needs Keys or AllowAnonymous.
	Host string `yaml:"host"`
	// Port to listen on; 0 takes any free one; default 5000.
	Port int `yaml:"port"`
	// Hosts are further names and addresses by which clients call this server, without
	// port, beside Host, loopback and the address that a connection came in at; default
	// none.
	Hosts []string `yaml:"hosts,flow"`
	// BodyLimit is the largest request body, 1KiB to 1MiB; default 256KiB.
	BodyLimit Size `yaml:"body_limit"`
	// Drain is how long open requests and deliveries may take to finish when
	// the process stops; default 25s.
	Drain time.Duration `yaml:"drain"`
	// Keys are the API keys of which every request must present one; default
	// none, which lets every caller in.
	Keys []Key `yaml:"keys"`
	// AllowAnonymous permits listening beyond loopback without Keys; default false.
	AllowAnonymous bool `yaml:"allow_anonymous"`
	// TLS secures the connections; default not at all.
	TLS ServerTLS `yaml:"tls"`
}

// ServerTLS names the files that the server shows itself with. They are read again
// when they change.
type ServerTLS struct {
	// Certificate is the path of a PEM file with the certificate and what leads to its
	// authority; default none.
	Certificate string `yaml:"certificate"`
	// Key is the path of a PEM file with the key of the certificate; default none.
	Key string `yaml:"key"`
}

// On reports whether connections are secured.
func (t ServerTLS) On() bool { return t.Certificate != "" && t.Key != "" }

// Propagator posts one event, chosen at random, at a fixed interval.
type Propagator struct {
	// Enabled switches the propagator on; default false.
	Enabled bool `yaml:"enabled"`
	// URL receives the events; default empty, the /event of this process.
	URL Text `yaml:"url"`
	// Interval between two events, at least 100ms; a bare number is taken as
	// seconds; default 5s.
	Interval time.Duration `yaml:"interval"`
	// EventsFile is a JSON array of events to choose from; default empty, the
	// built-in eleven.
	EventsFile string `yaml:"events_file"`
	// Timeout of one post; default 5s.
	Timeout time.Duration `yaml:"timeout"`
	// Key is the API key to present at URL, always a secret; default none.
	Key Text `yaml:"key"`
}

// Storage is the store on disk.
type Storage struct {
	// Driver of the store; default and only one badger.
	Driver string `yaml:"driver"`
	// Path of the store's directory, created when missing; default var/postrider.
	Path string `yaml:"path"`
	// Memtable is the size of the store's write buffer, 8MiB to 64MiB. It is
	// read when a store is created and then stamped in it; default 16MiB.
	Memtable Size `yaml:"memtable"`
	// MinFree is the free disk space below which intake is refused, at least 16
	// times Memtable, since what was accepted is written again when tables are
	// made and merged; default 256MiB.
	MinFree Size `yaml:"min_free"`
	// Retention of what is finished.
	Retention Retention `yaml:"retention"`
}

// Retention says how long finished records stay in the store; 0s keeps them
// for ever.
type Retention struct {
	// Events, from their acceptance; default 0s.
	Events time.Duration `yaml:"events"`
	// Delivered and cancelled messages, from their end; default 24h.
	Delivered time.Duration `yaml:"delivered"`
	// Dead letters, from their end; default 720h.
	Dead time.Duration `yaml:"dead"`
}

// Delivery holds what applies to every gateway that does not say otherwise.
type Delivery struct {
	// BaseURL is put before the name of a gateway that has no URL of its own;
	// default empty, the address of this process.
	BaseURL Text `yaml:"base_url"`
	// MaxAttempts per message, 1 to 100; default 3.
	MaxAttempts int `yaml:"max_attempts"`
	// Interval is the least time from the end of one attempt to the start of
	// the next, at least 60s unless AllowShortInterval; default 60s.
	Interval time.Duration `yaml:"interval"`
	// AllowShortInterval lowers the floor of Interval, here and in the
	// gateways, to 1ms; default false.
	AllowShortInterval bool `yaml:"allow_short_interval"`
	// Timeout of one attempt; default 10s.
	Timeout time.Duration `yaml:"timeout"`
	// Concurrency is the number of attempts in flight per gateway, 1 to 1024;
	// default 16.
	Concurrency int `yaml:"concurrency"`
	// Rate is how many attempts may begin per second and gateway, 0.001 to
	// 100,000; default 0, no limit.
	Rate float64 `yaml:"rate"`
	// MaxQueue is the number of unfinished messages per gateway above which
	// new ones are refused; default 0, no limit.
	MaxQueue int `yaml:"max_queue"`
	// MaxHint is the longest wait a gateway can ask for; default 1h.
	MaxHint time.Duration `yaml:"max_hint"`
	// HoldAfter is the number of attempts in a row that found no connection
	// (refused, unreachable, DNS, TLS) after which the gateway is held: no
	// attempt is spent until a connection can be made; default 0, never.
	HoldAfter int `yaml:"hold_after"`
	// APINetworks are the networks, beside the public ones, that gateways which are
	// declared over the API may be in; default none. Gateways of the configuration may
	// be anywhere.
	APINetworks []netip.Prefix `yaml:"api_networks,flow"`
	// MaxInFlight is the number of attempts in flight over all gateways, 2 to
	// 65536; half of it is kept for gateways that answer promptly; default 4096.
	MaxInFlight int `yaml:"max_in_flight"`
}

// Log says what is logged.
type Log struct {
	// Level is the lowest level that is logged: debug, info, warn or error;
	// default info.
	Level string `yaml:"level"`
	// Access logs one line per request; default false.
	Access bool `yaml:"access"`
}

// Demo is the demonstration.
type Demo struct {
	// Gateways answers POST /gateway_1 and /gateway_2 in this process; default false.
	Gateways bool `yaml:"gateways"`
}

// Default returns the configuration that holds when nothing is set: no
// gateways, no routes, propagator and demonstration off.
func Default() *Config {
	return &Config{
		HTTP:       HTTP{Host: "127.0.0.1", Port: 5000, BodyLimit: 256 * KiB, Drain: 25 * time.Second},
		Propagator: Propagator{Interval: 5 * time.Second, Timeout: 5 * time.Second},
		Storage: Storage{
			Driver: "badger", Path: "var/postrider", Memtable: 16 * MiB, MinFree: 256 * MiB,
			Retention: Retention{Delivered: 24 * time.Hour, Dead: 720 * time.Hour},
		},
		Delivery: Delivery{
			MaxAttempts: 3, Interval: 60 * time.Second, Timeout: 10 * time.Second, Concurrency: 16,
			MaxHint: time.Hour, MaxInFlight: 4096,
		},
		Log:      Log{Level: "info"},
		Gateways: map[string]Gateway{},
	}
}
