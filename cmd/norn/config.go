package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/app"
	"github.com/norn-aiops/norn/internal/cli"
	"github.com/norn-aiops/norn/internal/config"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Work with configuration files"}
	c.AddCommand(&cobra.Command{
		Use: "default", Short: "Write the commented default configuration to standard output", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.DefaultYAML())
			return err
		},
	})
	return c
}

func checkConfigCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check-config FILE", Short: "Check a configuration file", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(args[0])
			if err != nil {
				return err
			}
			if err := app.CheckPlugins(cmd.Context(), c); err != nil {
				return &cli.Error{Code: cli.ExitUsage, Err: err}
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is fine\n", args[0])
			return err
		},
	}
}

func loadConfig(path string) (config.Config, error) {
	c, err := config.Load(path)
	if err != nil {
		return c, &cli.Error{Code: cli.ExitUsage, Err: err}
	}
	return c, nil
}
