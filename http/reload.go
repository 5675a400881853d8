package httpapi

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gofiber/fiber/v2"
)

// Reloaded is what a reload of the configuration came to.
type Reloaded struct {
	Added, Changed, Removed int      // gateways of the configuration
	Gateways, Routes        int      // that it has now
	NeedsRestart            []string // keys that differ from what the process started with
}

// KeyFault is a mistake in the configuration.
type KeyFault struct{ Key, Detail string }

// Reloader reads the configuration again and puts it in force: all of it, or with
// faults nothing. One reload goes on at a time, and who asks meanwhile waits until ctx
// ends. The error may be [ErrReloading], [ErrUnreadable] or [data.ErrStopping].
type Reloader interface {
	Reload(ctx context.Context) (Reloaded, []KeyFault, error)
}

// Why there was no reload.
var (
	// ErrReloading: another reload, or changes of gateways, took too long; nothing
	// changed.
	ErrReloading = errors.New("a reload is under way")
	// ErrUnreadable: the configuration cannot be read, or not in time.
	ErrUnreadable = errors.New("configuration cannot be read")
)

// reloadPatience is how long a request waits for a reload, and for others before it.
const reloadPatience = 25 * time.Second

// reloadedAnswer is what came of a reload.
type reloadedAnswer struct {
	Added        int      `json:"added"`
	Changed      int      `json:"changed"`
	Removed      int      `json:"removed"`
	Gateways     int      `json:"gateways"`
	Routes       int      `json:"routes"`
	NeedsRestart []string `json:"needs_restart"`
}

// reload has the configuration read again. It takes no body.
func (s *Server) reload(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(s.life, reloadPatience)
	defer cancel()
	r, faults, err := s.opts.Reloader.Reload(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("reload the configuration: %w", err)
	case len(faults) > 0:
		return misconfigured(faults)
	}
	return answer(c, reloadedAnswer(r))
}

// misconfigured refuses a reload.
func misconfigured(faults []KeyFault) error {
	r := &rejection{kind: errMisconfigured}
	if len(faults) > maxFindings {
		r.total = len(faults)
	}
	for _, f := range faults[:min(len(faults), maxFindings)] {
		r.findings = append(r.findings, finding{Key: f.Key, Code: codeConfiguration, Detail: f.Detail})
	}
	return r
}

// readyConfig says since when the configuration is in force.
type readyConfig struct {
	AppliedAt string  `json:"applied_at"`
	RefusedAt *string `json:"refused_at"` // null when the newest reload was applied
}

// config returns the state of the configuration, nil when nobody knows it.
func (s *Server) config() *readyConfig {
	if s.opts.ConfigState == nil {
		return nil
	}
	state := s.opts.ConfigState()
	shown := &readyConfig{AppliedAt: stamp(state.AppliedAt)}
	if !state.RefusedAt.IsZero() {
		shown.RefusedAt = new(stamp(state.RefusedAt))
	}
	return shown
}
