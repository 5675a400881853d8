package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/postrider/postrider/config"
)

// configFlags adds the flags of every command that reads the configuration.
func configFlags(c *cobra.Command) {
	c.Flags().String("config", "", "configuration file (YAML); without it POSTRIDER_CONFIG is used")
	config.Flags(c.Flags())
}

// readConfig reads the configuration as the command line says. If it is to be
// filled, a file without any key is a mistake.
func readConfig(c *cobra.Command, filled bool) (*config.Config, error) {
	file, err := c.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	if file == "" {
		file = os.Getenv("POSTRIDER_CONFIG")
	}
	return config.Load(config.Options{File: file, Filled: filled, Environ: os.Environ(), Flags: c.Flags(), Preset: presets()})
}

// errInterrupted: the process was asked to end before it knew what to do.
var errInterrupted = errors.New("asked to end while the configuration was read")

// loadConfig is readConfig for the start of a command, which a signal ends.
func loadConfig(c *cobra.Command) (*config.Config, error) {
	cfg, err := aside(c.Context(), func() (*config.Config, error) { return readConfig(c, false) })
	if c.Context().Err() != nil {
		return nil, errInterrupted
	}
	return cfg, err
}

// aside calls f beside the caller, who goes on when ctx ends: a file can be a
// pipe that nobody writes to, and what waits for it cannot be called back.
func aside[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		v, err := f()
		done <- outcome{v, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

func configCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "config",
		Short: "Check or print the configuration",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	check := &cobra.Command{
		Use:   "check",
		Short: "Report every mistake of the configuration at once",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			if _, err := checkAll(cfg, ownAddress(cfg.HTTP, cfg.HTTP.Port), nil, true); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "the configuration is right: %d gateways, %d routes\n", len(cfg.Gateways), len(cfg.Routes))
			return err
		},
	}
	show := &cobra.Command{
		Use:   "print",
		Short: "Print the configuration in force, secrets masked",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			return config.Print(c.OutOrStdout(), cfg)
		},
	}
	configFlags(check)
	configFlags(show)
	group.AddCommand(check, show)
	return group
}

// checkAll compiles what a configuration declares, see newCatalog, and reports
// in one go what config.Load cannot find. The error is a config.Mistakes.
func checkAll(cfg *config.Config, base string, before *catalog, propagating bool) (*snapshot, error) {
	gateways, mistakes := newCatalog(cfg, base, before)
	if parts, ok := errors.AsType[config.Mistakes](checkParts(cfg, propagating)); ok {
		mistakes = append(mistakes, parts...)
	}
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	routes, err := newRoutes(cfg.Routes)
	return &snapshot{gateways: gateways, routes: routes}, err
}

// checkParts reports what is wrong with the routes, the certificate and the file of
// events. The
// error is a config.Mistakes.
func checkParts(cfg *config.Config, propagating bool) error {
	_, err := newRoutes(cfg.Routes)
	mistakes, _ := errors.AsType[config.Mistakes](err)
	files, _ := errors.AsType[config.Mistakes](checkCertificate(cfg.HTTP.TLS))
	mistakes = append(mistakes, files...)
	if propagating {
		_, err = sampleEvents(cfg.Propagator.EventsFile)
		events, _ := errors.AsType[config.Mistakes](err)
		mistakes = append(mistakes, events...)
	}
	if len(mistakes) > 0 {
		return mistakes
	}
	return nil
}
