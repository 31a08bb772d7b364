package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/app"
	"github.com/norn-aiops/norn/internal/config"
)

func serveCommand() *cobra.Command {
	var file, listen, dir string
	c := &cobra.Command{
		Use: "serve", Short: "Run the server", Args: cobra.NoArgs,
		Example: "  norn serve\n  norn config default > norn.yaml && norn serve --config norn.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(file)
			if err != nil {
				return err
			}
			if listen != "" {
				cfg.Server.Listen = listen
			}
			if dir != "" {
				cfg.Storage.Dir = dir
			}
			return serve(cmd.Context(), cmd.ErrOrStderr(), cfg)
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration file (YAML); the defaults apply without one")
	c.Flags().StringVar(&listen, "listen", "", "address of console and API, instead of server.listen")
	c.Flags().StringVar(&dir, "data", "", "data directory, instead of storage.dir")
	return c
}

func serve(ctx context.Context, out io.Writer, cfg config.Config) error {
	a, err := app.New(ctx, app.Options{Config: cfg, Version: version, Log: logger(cfg.Log)})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Norn %s is up: console and API at %s\n", version, a.URL())
	return a.Run(ctx)
}

func logger(c config.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // checked by config
	opts := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, opts))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opts))
}
