package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"runtime/pprof"
	"runtime/trace"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
)

const (
	// profileRoute is where profiles are, as go tool pprof and go tool trace read them.
	// They are made here and not by net/http/pprof, which puts itself into the handler
	// that all programs share, and shows the command line.
	profileRoute = "/debug/pprof/:profile"
	// maxProfile bounds how long a profile over time takes, defaultProfile is for how
	// long it is without seconds.
	maxProfile     = 30
	defaultProfile = 30
	defaultTrace   = 1
)

// listProfiles names the profiles that there are.
func (s *Server) listProfiles(c *fiber.Ctx) error {
	if err := fromHere(c); err != nil {
		return err
	}
	names := []string{"profile", "trace"}
	for _, p := range pprof.Profiles() {
		names = append(names, p.Name())
	}
	slices.Sort(names)
	c.Response().Header.SetContentType("text/plain; charset=utf-8")
	c.Response().SetBodyString(strings.Join(names, "\n") + "\n")
	return nil
}

// showProfile shows one of them. debug=1 has it in words, seconds is for profile and
// trace.
func (s *Server) showProfile(c *fiber.Ctx) error {
	if err := fromHere(c); err != nil {
		return err
	}
	args := c.Context().QueryArgs()
	for name := range args.All() {
		if string(name) != "seconds" && string(name) != "debug" {
			return errParameter
		}
	}
	body := &boundedBody{most: maxUnwritten}
	var err error
	switch name := c.Params("profile"); name {
	case "profile":
		err = s.overTime(string(args.Peek("seconds")), defaultProfile, func() error { return pprof.StartCPUProfile(body) }, pprof.StopCPUProfile)
	case "trace":
		err = s.overTime(string(args.Peek("seconds")), defaultTrace, func() error { return trace.Start(body) }, trace.Stop)
	default:
		err = writeProfile(name, string(args.Peek("debug")), body)
	}
	if err == nil {
		err = body.err
	}
	if err != nil {
		return err
	}
	c.Response().Header.SetContentType("application/octet-stream")
	if string(args.Peek("debug")) == "1" {
		c.Response().Header.SetContentType("text/plain; charset=utf-8")
	}
	c.Response().SetBodyRaw(body.Bytes())
	return nil
}

func writeProfile(name, debug string, body *boundedBody) error {
	p := pprof.Lookup(name)
	if p == nil {
		return fiber.ErrNotFound
	}
	if !slices.Contains([]string{"", "0", "1"}, debug) {
		return errParameter
	}
	level, _ := strconv.Atoi(debug) // "" is 0
	if err := p.WriteTo(body, level); err != nil && body.err == nil {
		return fmt.Errorf("write the profile %s: %w", name, err)
	}
	return nil
}

// overTime records for some seconds, or until the server stops.
func (s *Server) overTime(seconds string, standard int, start func() error, stop func()) error {
	n := standard
	if seconds != "" {
		var err error
		if n, err = strconv.Atoi(seconds); err != nil || n < 1 || n > maxProfile {
			return errParameter
		}
	}
	if !s.profiling.CompareAndSwap(false, true) {
		return errProfiling
	}
	defer s.profiling.Store(false)
	if err := start(); err != nil {
		return errProfiling // somebody else in this process records
	}
	defer stop()
	end := time.NewTimer(time.Duration(n) * time.Second)
	defer end.Stop()
	select {
	case <-end.C:
	case <-s.life.Done():
	}
	return nil
}

// fromHere lets in only those who are on this machine: a profile stops the world, and
// a dump of goroutines says much. Behind a proxy on this machine everybody is.
func fromHere(c *fiber.Ctx) error {
	if tcp, ok := c.Context().RemoteAddr().(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		return nil
	}
	return errNotHere
}

// boundedBody is an answer that is put together and must not get too large.
type boundedBody struct {
	bytes.Buffer
	most int
	err  error
}

var errTooLong = errors.New("more than may wait for a reader")

func (b *boundedBody) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.most {
		b.err = fmt.Errorf("%w: %w", errUnread, errTooLong)
		return 0, b.err
	}
	return b.Buffer.Write(p)
}
