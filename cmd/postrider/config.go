package main

import (
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

// loadConfig reads the configuration as the command line says.
func loadConfig(c *cobra.Command) (*config.Config, error) {
	file, err := c.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	if file == "" {
		file = os.Getenv("POSTRIDER_CONFIG")
	}
	return config.Load(config.Options{File: file, Environ: os.Environ(), Flags: c.Flags()})
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
			if err := checkAll(cfg); err != nil {
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

// checkAll reports what config.Load cannot find, in one go.
func checkAll(cfg *config.Config) error {
	_, mistakes := newCatalog(cfg, ownAddress(cfg.HTTP.Host, cfg.HTTP.Port))
	if parts, ok := errors.AsType[config.Mistakes](checkParts(cfg, true)); ok {
		mistakes = append(mistakes, parts...)
	}
	if len(mistakes) > 0 {
		return mistakes
	}
	return nil
}

// checkParts reports what is wrong with the routes and the file of events. The
// error is a config.Mistakes.
func checkParts(cfg *config.Config, propagating bool) error {
	_, err := newRoutes(cfg.Routes)
	mistakes, _ := errors.AsType[config.Mistakes](err)
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
