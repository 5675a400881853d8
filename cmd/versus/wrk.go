package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// wrk is the load generator of that name, if there is one. It takes less of the
// machine than ours, so what it drives looks better.
type wrk struct{ binary, dir string }

// findWrk looks for it; nil is none.
func findWrk(dir string) *wrk {
	path, err := exec.LookPath("wrk")
	if err != nil {
		return nil
	}
	return &wrk{path, dir}
}

// run runs a closed loop and returns its rate and times.
func (w *wrk) run(ctx context.Context, r request, connections int, span time.Duration) (v value, err error) {
	script := filepath.Join(w.dir, "post.lua")
	lua := fmt.Sprintf("wrk.method = \"POST\"\nwrk.body = [==[%s]==]\nwrk.headers[\"Content-Type\"] = \"application/json\"\n", r.Body)
	if err := os.WriteFile(script, []byte(lua), 0o600); err != nil {
		return value{}, err
	}
	seconds := max(1, int(math.Ceil(span.Seconds())))
	out, err := exec.CommandContext(ctx, w.binary, "-t2", "-c", strconv.Itoa(connections), "-d", fmt.Sprintf("%ds", seconds),
		"--latency", "--timeout", "30s", "-s", script, r.URL).CombinedOutput()
	if err != nil {
		return value{}, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	return parseWrk(string(out))
}

// parseWrk reads what it printed. An answer that is no 2xx makes it worth nothing.
func parseWrk(out string) (v value, err error) {
	for _, bad := range []string{"Non-2xx", "Socket errors"} {
		if at := strings.Index(out, bad); at >= 0 {
			line, _, _ := strings.Cut(out[at:], "\n")
			return value{}, fmt.Errorf("wrk: %s", line)
		}
	}
	field := func(name string) string {
		found := regexp.MustCompile(`(?m)^\s*` + name + `\s+(\S+)`).FindStringSubmatch(out)
		if found == nil {
			err = fmt.Errorf("wrk did not print %s:\n%s", name, out)
			return ""
		}
		return found[1]
	}
	perSecond, half, most := field("Requests/sec:"), field("50%"), field("99%")
	if err != nil {
		return value{}, err
	}
	if v.rate, err = strconv.ParseFloat(perSecond, 64); err != nil {
		return value{}, err
	}
	if v.p50, err = time.ParseDuration(half); err != nil {
		return value{}, err
	}
	v.p99, err = time.ParseDuration(most)
	return v, err
}
