package config_test

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postrider/postrider/config"
)

func TestMistakes(t *testing.T) {
	empty := write(t, "\n")
	large := write(t, strings.Repeat("x", 64<<10+1))
	tests := []struct{ yaml, path, problem string }{
		// Shapes and types.
		{"htp: {}", "htp", "is not a known key"},
		{"http: {Port: 1}", "http.Port", "is not a known key"},
		{"gateways: {a: {urll: x}}", "gateways.a.urll", "is not a known key"},
		{"gateways: {a: {body: {jsn: x}}}", "gateways.a.body.jsn", "is not a known key"},
		{"routes: [{from: x}]", "routes[0].from", "is not a known key"},
		{"routes: [{to: 5}]", "routes[0].to", "expected text"},
		{"routes: [{params: {a: 5}}]", "routes[0].params.a", "expected text"},
		{"routes: [{gateways: a}]", "routes[0].gateways", "expected a list"},
		{"routes: [{gateways: [5]}]", "routes[0].gateways[0]", "expected text"},
		{"routes: [{match: {payload: [a]}}]", "routes[0].match.payload", "expected names with their values"},
		{"routes: [{match: {payload: {/a: ~}}}]", "routes[0].match.payload./a", "not an empty value"},
		{"routes: [{match: {payload: {/a: .nan}}}]", "routes[0].match.payload./a", "a number that JSON can hold"},
		{"routes: [{match: {payload_contains: 5}}]", "routes[0].match.payload_contains", "expected text"},
		{"http: 5", "http", "expected keys with their values"},
		{"http:", "http", "expected keys with their values, not an empty value"},
		{"http: {port: }", "http.port", "expected a whole number, not an empty value"},
		{"http: {port: abc}", "http.port", "expected a whole number"},
		{"http: {port: 1.5}", "http.port", "expected a whole number"},
		{"http: {port: [1]}", "http.port", "expected a whole number"},
		{"http: {port: 1, port: 2}", "http.port", "is given twice"},
		{"http: {body_limit: lots}", "http.body_limit", `expected a size such as "256KiB"`},
		{"http: {body_limit: 99999999999TiB}", "http.body_limit", `expected a size such as "256KiB"`},
		{"storage: {path: 5}", "storage.path", "expected text (a number in quotes"},
		{"storage: {path: !x y}", "storage.path", "expected a value without a YAML tag"},
		{"log: {access: 1}", "log.access", "expected true or false"},
		{"delivery: {rate: .nan}", "delivery.rate", "expected a number"},
		{"delivery: {rate: .inf}", "delivery.rate", "expected a number"},
		{"gateways: {a: {permanent: [400]}}", "gateways.a.permanent", "expected keys with their values"},
		{"gateways: {a: {permanent: }}", "gateways.a.permanent", "not an empty value"},
		{"gateways: {a: {permanent: {statuses: [400]}}}", "gateways.a.permanent.statuses", "is not a known key"},
		{"gateways: {a: {permanent: {status: 400}}}", "gateways.a.permanent.status", "expected a list ([] for none)"},
		{"gateways: {a: {permanent: {status: [400, 4xx]}}}", "gateways.a.permanent.status[1]", "expected an HTTP status such as 404, or a range"},
		{"gateways: {a: {permanent: {status: [500-400]}}}", "gateways.a.permanent.status[0]", "expected a range that does not end before it begins"},
		{"gateways: {a: {success: {status: [20]}}}", "gateways.a.success.status[0]", "expected an HTTP status such as 404"},
		{"gateways: {a: {success: {body: [ok]}}}", "gateways.a.success.body[0]", "expected keys with their values"},
		{"gateways: {a: {success: {body: [{jsn: /a}]}}}", "gateways.a.success.body[0].jsn", "is not a known key"},
		{"gateways: {a: {success: {body: [{json: }]}}}", "gateways.a.success.body[0].json", "not an empty value"},
		{"gateways: {a: {success: {body: [{json: /a, in: 5}]}}}", "gateways.a.success.body[0].in", "expected a list"},
		{"gateways: {a: {success: {body: [{json: /a, is: [.nan]}]}}}", "gateways.a.success.body[0].is[0]", "expected a number that JSON can hold"},
		{"gateways: {a: {success: {body: [{json: /a, exists: maybe}]}}}", "gateways.a.success.body[0].exists", "expected true or false"},
		{"gateways: {a: {throttle: {fixed: 60}}}", "gateways.a.throttle.fixed", "not a bare number"},
		{"gateways: {a: {throttle: {wait: [{heder: x}]}}}", "gateways.a.throttle.wait[0].heder", "is not a known key"},
		{"gateways: {a: {length: {limt: 1}}}", "gateways.a.length[0].limt", "is not a known key"},
		{"gateways: {a: {length: [{limit: x}]}}", "gateways.a.length[0].limit", "expected a whole number"},
		{"gateways: {a: {needs: to}}", "gateways.a.needs", "expected a list"},
		{"gateways: {a: {keep_answer: 1}}", "gateways.a.keep_answer", "expected true or false"},
		{"gateways: {a: {settings: {a: 5}}}", "gateways.a.settings.a", "expected text (a number in quotes)"},
		{"gateways: {a: {settings: {a: {env: UNSET}}}}", "gateways.a.settings.a", "the environment variable UNSET is not set or empty"},
		{"gateways: {a: {query: {a: {file: '/nowhere'}}}}", "gateways.a.query.a", "the file cannot be read"},
		{"gateways: {a: {auth: {bearr: x}}}", "gateways.a.auth.bearr", "is not a known key"},
		{"gateways: {a: {auth: {bearer: {env: UNSET}}}}", "gateways.a.auth.bearer", "the environment variable UNSET is not set or empty"},
		{"gateways: {a: {auth: {basic: {password: {env: UNSET}}}}}", "gateways.a.auth.basic.password", "is not set or empty"},
		{"gateways: {a: {auth: {oauth2: {client_secret: {env: UNSET}}}}}", "gateways.a.auth.oauth2.client_secret", "is not set or empty"},
		{"gateways: {a: {tls: {key: {env: UNSET}}}}", "gateways.a.tls.key", "is not set or empty"},
		{"gateways: {a: {tls: {cert: x}}}", "gateways.a.tls.cert", "is not a known key"},
		{"gateways: {a: {preset: [x]}}", "gateways.a.preset", "expected text"},
		{"gateways: {a: {permanent: {status: [~]}}}", "gateways.a.permanent.status[0]", "not an empty value"},
		{"delivery: {timeout: 5}", "delivery.timeout", `expected a duration with its unit, such as "60s"`},
		{`delivery: {timeout: "5"}`, "delivery.timeout", `expected a duration with its unit, such as "60s"`},
		{"delivery: {timeout: soon}", "delivery.timeout", `expected a duration such as "60s"`},
		{"gateways: {a: {interval: 90}}", "gateways.a.interval", "not a bare number"},
		{"gateways: [a]", "gateways", "expected names with their values"},
		{"gateways:", "gateways", "expected names with their values"},
		{"gateways: {a: {rate: }}", "gateways.a.rate", "not an empty value"},
		{"gateways: {a: {headers: {X: 5}}}", "gateways.a.headers.X", "expected text (a number in quotes)"},
		{"gateways: {a: {body: {form: {x: 5}}}}", "gateways.a.body.form.x", "expected text (a number in quotes"},
		{"gateways: {a: {body: {json: }}}", "gateways.a.body.json", "not an empty value"},
		{"gateways: {a: {body: {json: [.inf]}}}", "gateways.a.body.json[0]", "a number that JSON can hold"},
		{"routes: {}", "routes", "expected a list"},
		{"routes: [~]", "routes[0]", "not an empty value"},
		// Rules.
		{"http: {host: 'a b'}", "http.host", "expected an IP address or a host name"},
		{"http: {host: 1.2.3.400}", "http.host", "expected an IP address or a host name"},
		{"http: {host: 0.0.0.0}", "http.host", "name API keys in http.keys or set http.allow_anonymous: true"},
		{"http: {host: '::'}", "http.host", "beyond loopback"},
		{"http: {host: example.org}", "http.host", "beyond loopback"},
		{"http: {port: 65536}", "http.port", "expected 0 to 65535"},
		{"http: {body_limit: 1023}", "http.body_limit", "expected 1KiB to 1MiB"},
		{"http: {drain: -1s}", "http.drain", "expected 0s or longer"},
		{"propagator: {interval: 0.01}", "propagator.interval", "expected 100ms or longer"},
		{"propagator: {interval: 1e300}", "propagator.interval", "expected a duration"},
		{"propagator: {timeout: 0s}", "propagator.timeout", "expected longer than 0s"},
		{"propagator: {url: /event}", "propagator.url", "expected an absolute URL"},
		{"storage: {driver: postgres}", "storage.driver", "expected badger"},
		{"storage: {path: ''}", "storage.path", "expected a directory"},
		{"storage: {memtable: 4MiB}", "storage.memtable", "expected 8MiB to 64MiB"},
		{"storage: {min_free: 1MiB}", "storage.min_free", "expected at least 16 times storage.memtable, which is what the store may still have to write"},
		{"storage: {retention: {dead: -1h}}", "storage.retention.dead", "expected 0s (keep for ever) or longer"},
		{"delivery: {base_url: 'http://h/?a=b'}", "delivery.base_url", "without query"},
		{"delivery: {max_in_flight: 1}", "delivery.max_in_flight", "expected 2 to 65536, since half of it is kept"},
		{"delivery: {max_in_flight: 65537}", "delivery.max_in_flight", "expected 2 to 65536"},
		{"delivery: {max_attempts: 101}", "delivery.max_attempts", "expected 1 to 100"},
		{"delivery: {interval: 59s}", "delivery.interval", "expected 60s or longer, unless delivery.allow_short_interval"},
		{"delivery: {allow_short_interval: true, interval: 1us}", "delivery.interval", "expected 1ms or longer"},
		{"delivery: {concurrency: 1025}", "delivery.concurrency", "expected 1 to 1024"},
		{"delivery: {rate: -1}", "delivery.rate", "expected 0 (no limit) or 0.001 to 100000"},
		{"delivery: {rate: 0.00099}", "delivery.rate", "expected 0 (no limit) or 0.001 to 100000"},
		{"delivery: {rate: 5e-324}", "delivery.rate", "expected 0 (no limit) or 0.001 to 100000"},
		{"delivery: {rate: 100000.1}", "delivery.rate", "expected 0 (no limit) or 0.001 to 100000"},
		{"delivery: {rate: 1e308}", "delivery.rate", "expected 0 (no limit) or 0.001 to 100000"},
		{"delivery: {hold_after: -1}", "delivery.hold_after", "expected 0 (never) or more"},
		{"log: {level: loud}", "log.level", "expected debug, info, warn or error"},
		{"gateways: {Big: {}}", "gateways.Big", "expected a name of 1 to 64"},
		{"gateways: {'a.b': {}}", `gateways."a.b"`, "expected a name of 1 to 64"},
		{"gateways: {a: {url: ftp://h/}}", "gateways.a.url", "expected an absolute URL"},
		{"gateways: {a: {url: 'https://{{host}}/'}}", "gateways.a.url", "expected an absolute URL"},
		{"gateways: {a: {url: 'http://h:99999/'}}", "gateways.a.url", "expected an absolute URL"},
		{"gateways: {a: {method: DELETE}}", "gateways.a.method", "expected GET, POST, PUT or PATCH"},
		{"gateways: {a: {headers: {'X Y': b}}}", `gateways.a.headers."X Y"`, "expected the name of a header"},
		{`gateways: {a: {headers: {X: "a\nb"}}}`, "gateways.a.headers.X", "without control characters"},
		{"gateways: {a: {headers: {X: a, x: b}}}", "gateways.a.headers", "each header once"},
		{"gateways: {a: {body: {text: a, json: 1}}}", "gateways.a.body", "just one of json, form, xml, text and none"},
		{"gateways: {a: {interval: 1s}}", "gateways.a.interval", "expected 60s or longer"},
		{"gateways: {a: {concurrency: 0}}", "gateways.a.concurrency", "expected 1 to 1024"},
		{"gateways: {a: {max_queue: -1}}", "gateways.a.max_queue", "expected 0 (no limit) or more"},
		{"gateways: {a: {rate: 1e-9}}", "gateways.a.rate", "expected 0 (no limit) or 0.001 to 100000"},
		{"gateways: {a: {hold_after: -1}}", "gateways.a.hold_after", "expected 0 (never) or more"},
		{"gateways: {a: {permanent: {status: [299]}}}", "gateways.a.permanent.status[0]", "expected an HTTP status, 300 to 599"},
		{"gateways: {a: {permanent: {status: [400, 600]}}}", "gateways.a.permanent.status[1]", "expected an HTTP status, 300 to 599"},
		{"gateways: {a: {permanent: {status: [400, 410, 400]}}}", "gateways.a.permanent.status[2]", "expected each status once"},
		{"gateways: {a: {permanent: {status: [" + strings.Repeat("400,", 100) + "410]}}}", "gateways.a.permanent.status", "expected at most 100 statuses"},
		{"routes: [{match: {event_type: a}, gateway: b, message: c}]", "routes[0].gateway", "the name of a gateway"},
		{"routes: [{match: {event_type: '[a]'}}]", "routes[0].match.event_type", "plain characters, * and ?"},
		{"routes: [{gateway: a}]", "routes[0].message", "expected a template"},
		{"routes: [{message: c}]", "routes[0].gateway", "the name of a gateway"},
		{"gateways: {a: {}}\nroutes: [{gateway: a, gateways: [a]}]", "routes[0].gateways", "either gateway or gateways"},
		{"routes: [{gateways: []}]", "routes[0].gateways", "expected 1 to 100"},
		{"gateways: {a: {}}\nroutes: [{gateways: [a, b]}]", "routes[0].gateways[1]", "the name of a gateway"},
		{"gateways: {a: {}}\nroutes: [{gateways: [a, a]}]", "routes[0].gateways[1]", "each gateway once"},
		{"routes: [{match: {payload: {a: b}}}]", "routes[0].match.payload.a", "a JSON pointer"},
		{"routes: [{match: {payload: {/a~2: b}}}]", "routes[0].match.payload./a~2", "a JSON pointer"},
		{"routes: [{match: {payload: {/a: '[b]'}}}]", "routes[0].match.payload./a", "plain characters, * and ?"},
		{"routes: [{match: {payload: {/a: [b]}}}]", "routes[0].match.payload./a", "a pattern for text, a number, true or false"},
		{"routes: [{params: {'': b}}]", `routes[0].params.""`, "a name of 1 to 64 bytes"},
		// Secrets.
		{"http: {keys: [0123456789abcdef]}", "http.keys[0]", "expected {name: ops, env: NAME}, {name: ops, file: PATH} or {name: ops, hash: \"sha256:…\"}"},
		{"http: {keys: [{name: a, key: b}]}", "http.keys[0]", "the key itself does not belong in the configuration"},
		{"http: {keys: [{name: a, env: SHORT}]}", "http.keys[0]", "at least 16 ASCII characters"},
		{"http: {keys: [{name: A!, env: LONG}]}", "http.keys[0]", "expected a name"},
		{"http: {keys: [{name: a, env: LONG}, {name: a, env: LONG}]}", "http.keys[1]", "a name that no other key has"},
		{"http: {keys: [{name: a, env: LONG}, {name: b, env: LONG}]}", "http.keys[1]", "a key that no other entry has"},
		{"http: {keys: [{name: a, env: LONG}, {name: b, hash: 'sha256:" + longSum + "'}]}", "http.keys[1]", "a key that no other entry has"},
		{"http: {keys: [{name: a}]}", "http.keys[0]", "expected {name: ops, env: NAME}"},
		{"http: {keys: [{hash: 'sha256:" + longSum + "'}]}", "http.keys[0]", "expected {name: ops, env: NAME}"},
		{"http: {keys: [{name: a, env: LONG, file: x}]}", "http.keys[0]", "expected {name: ops, env: NAME}"},
		{"http: {keys: [{name: a, env: LONG, hash: 'sha256:" + longSum + "'}]}", "http.keys[0]", "expected {name: ops, env: NAME}"},
		{"http: {keys: [{name: a, hash: 5}]}", "http.keys[0]", "expected {name: ops, env: NAME}"},
		{"http: {keys: [{name: a, env: LONG, scope: [read]}]}", "http.keys[0]", "expected {name: ops, env: NAME}"},
		{"http: {keys: [{name: a, hash: '" + longSum + "'}]}", "http.keys[0]", "64 hexadecimal digits"},
		{"http: {keys: [{name: a, hash: 'sha256:" + longSum + "0'}]}", "http.keys[0]", "64 hexadecimal digits"},
		{"http: {keys: [{name: a, hash: 'sha256:x" + longSum[1:] + "'}]}", "http.keys[0]", "64 hexadecimal digits"},
		{"http: {keys: [{name: a, env: LONG, scopes: read}]}", "http.keys[0].scopes", "expected a list"},
		{"http: {keys: [{name: a, env: LONG, scopes: }]}", "http.keys[0].scopes", "expected a list"},
		{"http: {keys: [{name: a, env: LONG, scopes: []}]}", "http.keys[0].scopes", "expected at least one of event:write, message:write, read, read:content, operate, admin"},
		{"http: {keys: [{name: a, env: LONG, scopes: [read, write]}]}", "http.keys[0].scopes[1]", "expected one of event:write"},
		{"http: {keys: [{name: a, env: LONG, scopes: [read, 5]}]}", "http.keys[0].scopes[1]", "expected text"},
		{"http: {keys: [{name: a, env: LONG, scopes: [read, read]}]}", "http.keys[0].scopes[1]", "each scope once"},
		{"http: {keys: [{name: a, env: LONG, gateways: [b]}]}", "http.keys[0].gateways", "only with the scope message:write"},
		{"http: {keys: [{name: a, env: LONG, scopes: [read], gateways: [b]}]}", "http.keys[0].gateways", "only with the scope message:write"},
		{"http: {keys: [{name: a, env: LONG, scopes: [message:write, admin], gateways: [b]}]}", "http.keys[0].gateways", "only with the scope message:write"},
		{"http: {keys: [{name: a, env: LONG, scopes: [message:write, operate], gateways: [b]}]}", "http.keys[0].gateways", "only with the scope message:write"},
		{"http: {keys: [{name: a, env: LONG, scopes: [message:write, event:write], gateways: [b]}]}", "http.keys[0].gateways", "only with the scope message:write"},
		{"http: {keys: [{name: a, env: LONG, scopes: [message:write], gateways: []}]}", "http.keys[0].gateways", "expected 1 to 1000 gateways"},
		{"http: {keys: [{name: a, env: LONG, scopes: [message:write], gateways: [B]}]}", "http.keys[0].gateways[0]", "expected a name of 1 to 64"},
		{"http: {keys: [{name: a, env: LONG, scopes: [message:write], gateways: [b, b]}]}", "http.keys[0].gateways[1]", "each gateway once"},
		{"http: {hosts: [a, 'b c']}", "http.hosts[1]", "expected a host name or an IP address, without a port"},
		{"http: {hosts: ['a:80']}", "http.hosts[0]", "expected a host name or an IP address, without a port"},
		{"http: {hosts: ['*.example.org']}", "http.hosts[0]", "expected a host name or an IP address"},
		{"http: {hosts: a}", "http.hosts", "expected a list"},
		{"http: {tls: {certificate: a}}", "http.tls", "expected both certificate and key"},
		{"http: {tls: {key: a}}", "http.tls", "expected both certificate and key"},
		{"http: {tls: {certificate: a, key: b}}\npropagator: {enabled: true}", "propagator.url", "with http.tls nothing is sent to the address of this process by itself"},
		{"http: {tls: {certificate: a, key: b}}\ngateways: {a: {}}", "gateways.a.url", "expected a URL here or in delivery.base_url"},
		{"propagator: {key: 0123456789abcdef}", "propagator.key", "expected {env: NAME} or {file: PATH}"},
		{"propagator: {key: {env: NONE}}", "propagator.key", "the environment variable NONE is not set or empty"},
		{"propagator: {key: {env: 'no name'}}", "propagator.key", "expected the name of an environment variable"},
		{"propagator: {key: {env: LONG, file: x}}", "propagator.key", "expected text (a number in quotes), {env: NAME}"},
		{"propagator: {key: {file: /none}}", "propagator.key", "the file cannot be read: no such file"},
		{"propagator: {key: {file: .}}", "propagator.key", "is not a regular file"},
		{"propagator: {key: {file: " + empty + "}}", "propagator.key", "the file is empty"},
		{"propagator: {key: {file: " + large + "}}", "propagator.key", "the file is larger than 64KiB"},
	}
	for _, tt := range tests {
		got := loadMistakes(t, config.Options{
			File: write(t, tt.yaml), Environ: []string{"SHORT=0123456789abcde", "LONG=0123456789abcdef"},
		})
		found := slices.ContainsFunc(got, func(line string) bool {
			return strings.HasPrefix(line, tt.path+": ") && strings.Contains(line, tt.problem)
		})
		if !found {
			t.Errorf("%s: mistakes %q; want %q: …%q", tt.yaml, got, tt.path, tt.problem)
		}
		for _, line := range got {
			for _, jargon := range []string{"time.Duration", "struct", "mapstructure", "interface", "int64", "0123456789"} {
				if strings.Contains(line, jargon) {
					t.Errorf("%s: mistake %q contains %q", tt.yaml, line, jargon)
				}
			}
		}
	}
}

// longSum is the SHA-256 of 0123456789abcdef, as sha256sum prints it.
const longSum = "9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f"

func TestAllMistakesAtOnce(t *testing.T) {
	got := loadMistakes(t, config.Options{
		File: write(t, `
http: {port: 70000, drain: 25, colour: red, host: 0.0.0.0, keys: [{name: a, env: NONE}]}
propagator:
storage: {min_free: 1MiB, retention: {dead: never}}
log: 5
gateways:
  ok:
  BAD: {rate: -1, timeout: 3, extra: 1}
  half: {url: {env: NONE}}
routes: [{match: {event_type: "*"}, gateway: nobody, message: x}, {match: {event_type: 5}, gateway: half, message: x}]
`),
		Environ: []string{"POSTRIDER_HTTP_PORT=1", "POSTRIDER_GATEWAYS__X=1", "POSTRIDER_DELIVERY__RATE=fast"},
		Flags:   flags(t, "--delivery.interval=60", "--delivery.timeout=0s"),
	})
	want := []string{
		"POSTRIDER_GATEWAYS__X: write all of gateways as one JSON value in POSTRIDER_GATEWAYS",
		"POSTRIDER_HTTP_PORT: is not a known variable; write POSTRIDER_HTTP__PORT",
		`delivery.interval: expected a duration with its unit, such as "60s", not a bare number`,
		"delivery.rate: expected a number",
		"delivery.timeout: expected longer than 0s",
		"gateways.BAD: expected a name of 1 to 64 of a-z, 0-9, _ and -",
		"gateways.BAD.extra: is not a known key",
		"gateways.BAD.rate: expected 0 (no limit) or 0.001 to 100000 attempts per second",
		`gateways.BAD.timeout: expected a duration with its unit, such as "60s", not a bare number`,
		"gateways.half.url: the environment variable NONE is not set or empty",
		"http.colour: is not a known key",
		`http.drain: expected a duration with its unit, such as "60s", not a bare number`,
		"http.keys[0]: the environment variable NONE is not set or empty",
		"http.port: expected 0 to 65535, where 0 takes any free port",
		"log: expected keys with their values",
		"propagator: expected keys with their values, not an empty value",
		"routes[0].gateway: expected the name of a gateway declared under gateways, or made over the API",
		`routes[1].match.event_type: expected text (a number in quotes, empty as "")`,
		"storage.min_free: expected at least 16 times storage.memtable, which is what the store may still have to write",
		`storage.retention.dead: expected a duration such as "60s", "5m" or "24h"`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("mistakes:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestMistakesOfTheEnvironment(t *testing.T) {
	tests := []struct{ variable, want string }{
		{"POSTRIDER_FOO=1", "POSTRIDER_FOO: is not a known variable"},
		{"POSTRIDER_HTTP=1", "POSTRIDER_HTTP: is not a known variable"},
		{"POSTRIDER_ROUTES__0__GATEWAY=a", "POSTRIDER_ROUTES__0__GATEWAY: write all of routes as one JSON value"},
		{"POSTRIDER_GATEWAYS={", "gateways: expected one JSON value"},
		{"POSTRIDER_GATEWAYS={} {}", "gateways: expected one JSON value"},
		{"POSTRIDER_GATEWAYS=[]", "gateways: expected names with their values"},
		{`POSTRIDER_GATEWAYS={"a":{},"a":{}}`, "gateways.a: is given twice"},
		{`POSTRIDER_GATEWAYS={"a":{"max_attempts":1.5}}`, "gateways.a.max_attempts: expected a whole number"},
		{`POSTRIDER_GATEWAYS={"a":{"permanent":{"status":[400.5]}}}`, "gateways.a.permanent.status[0]: expected an HTTP status such as 404, or a range such as \"500-599\""},
		{"POSTRIDER_DELIVERY__RATE=NaN", "delivery.rate: expected a number"},
		{"POSTRIDER_DELIVERY__RATE=1e999", "delivery.rate: expected a number"},
		{"POSTRIDER_GATEWAYS=" + strings.Repeat("[", 100), "gateways: the values are nested too deeply"},
		{`POSTRIDER_HTTP__KEYS=["0123456789abcdef"]`, "http.keys[0]: expected {name: ops, env: NAME}"},
		{`POSTRIDER_HTTP__HOSTS=a`, "http.hosts: expected one JSON value"},
		{`POSTRIDER_HTTP__HOSTS__0=a`, "POSTRIDER_HTTP__HOSTS__0: write all of http.hosts as one JSON value"},
		{"POSTRIDER_PROPAGATOR__KEY={env", "propagator.key:"},
	}
	for _, tt := range tests {
		got := loadMistakes(t, config.Options{Environ: []string{tt.variable}})
		if len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
			t.Errorf("%s: mistakes %q; want just %q", tt.variable, got, tt.want)
		}
	}
}

func TestWhoMayListenWhere(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1"} {
		load(t, config.Options{Flags: flags(t, "--host", host)})
	}
	load(t, config.Options{Flags: flags(t, "--host=0.0.0.0", "--http.allow_anonymous", "true")})
	load(t, config.Options{
		Environ: []string{"K=0123456789abcdef", `POSTRIDER_HTTP__KEYS=[{"name": "ops", "env": "K"}]`},
		Flags:   flags(t, "--host=0.0.0.0"),
	})
}

func TestValidateAfterChange(t *testing.T) {
	c := load(t, config.Options{})
	if err := c.Validate(); err != nil {
		t.Fatalf("Validate() = %v; want nil", err)
	}
	c.Delivery.Interval = time.Second
	first, second := c.Validate(), c.Validate()
	if first == nil || second == nil || first.Error() != second.Error() {
		t.Errorf("Validate() = %v, then %v; want the same mistake twice", first, second)
	}
	c.Delivery.AllowShortInterval = true
	if err := c.Validate(); err != nil {
		t.Errorf("Validate() = %v; want nil", err)
	}
	for _, rate := range []float64{math.NaN(), math.Inf(1), math.SmallestNonzeroFloat64} {
		c.Delivery.Rate = rate
		if err := c.Validate(); err == nil {
			t.Errorf("Validate() of the rate %v = nil; want a mistake", rate)
		}
	}
}

func TestBoundsThemselvesAreValid(t *testing.T) {
	var statuses []string
	for status := 300; status < 400; status++ {
		statuses = append(statuses, strconv.Itoa(status))
	}
	for _, text := range []string{
		"delivery: {rate: 0.001}", "delivery: {rate: 100000}", "delivery: {rate: 0}", "delivery: {max_in_flight: 2}",
		"delivery: {max_in_flight: 65536}", "gateways: {a: {permanent: {status: [300, 599]}}}",
		"gateways: {a: {permanent: {}}}", "gateways: {a: {permanent: {status: [" + strings.Join(statuses, ", ") + "]}}}",
	} {
		load(t, config.Options{File: write(t, text)})
	}
}
