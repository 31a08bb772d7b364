package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/app"
	"github.com/norn-aiops/norn/internal/cli"
	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/demo"
)

type demoFlags struct {
	listen, data, faults, fault, file, endpoint string
	forHow                                      time.Duration
	seed                                        uint64
	history                                     time.Duration
	quiet, pause                                time.Duration
}

func demoCommand() *cobra.Command {
	var f demoFlags
	c := &cobra.Command{
		Use: "demo", Short: "Run Norn with a small shop that breaks every few minutes", Args: cobra.NoArgs,
		Long: `Starts Norn and a shop of services that really call each other, gives Norn two
weeks of the shop's past, then breaks something every few minutes and prints
what was broken and what Norn found. Needs neither root nor a network.`,
		Example: "  norn demo\n  norn demo --faults list\n  norn demo --fault slow-query --for 10m\n  norn demo --fault-file my-fault.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.faults == "list" {
				return listFaults(cmd.OutOrStdout())
			}
			if f.faults != "" {
				return &cli.Error{Code: cli.ExitUsage, Err: fmt.Errorf("--faults takes only \"list\"; to choose one use --fault NAME")}
			}
			return runDemo(cmd.Context(), cmd.OutOrStdout(), f)
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.listen, "listen", "127.0.0.1:7700", "address of console and API")
	fl.StringVar(&f.data, "data", "", "data directory (a new one in the temporary directory, removed at the end)")
	fl.StringVar(&f.faults, "faults", "", "list: list the prepared faults and end")
	fl.StringVar(&f.fault, "fault", "", "inject only this prepared fault, once")
	fl.StringVar(&f.file, "fault-file", "", "inject only the fault that this YAML file describes, once")
	fl.StringVar(&f.endpoint, "endpoint", "127.0.0.1:7701", "address of the demo's own endpoint, where faults can be posted")
	fl.DurationVar(&f.forHow, "for", 0, "end after this long, counted from when the shop is up")
	fl.Uint64Var(&f.seed, "seed", 1, "order of faults, load and history")
	fl.DurationVar(&f.history, "history", 14*24*time.Hour, "length of the past that is made")
	fl.DurationVar(&f.quiet, "quiet", time.Minute, "time before the first fault")
	fl.DurationVar(&f.pause, "pause", 2*time.Minute, "time between faults")
	return c
}

// shopCommand is one process of the demo's shop.
func shopCommand() *cobra.Command {
	return &cobra.Command{
		Use: "demo-service", Hidden: true, Args: cobra.ArbitraryArgs, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return demo.RunService(cmd.Context()) },
	}
}

func listFaults(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tA FAULT\tTRUTH\tWHAT HAPPENS")
	for _, f := range demo.Faults() {
		is := "yes"
		if !f.IsFault {
			is = "no"
		}
		truth := "-"
		for i, e := range f.Truth {
			if i == 0 {
				truth = e.String()
			} else {
				truth += ", " + e.String()
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Name, is, truth, f.Description)
	}
	return w.Flush()
}

func runDemo(ctx context.Context, out io.Writer, f demoFlags) error {
	o := demo.Options{
		Fault: f.fault, For: f.forHow, Seed: f.seed, Listen: f.endpoint, History: f.history,
		Quiet: f.quiet, Pause: f.pause, Out: out,
		Log: logger(config.Log{Level: "warn", Format: "text"}),
	}
	if err := readFault(f, &o); err != nil {
		return &cli.Error{Code: cli.ExitUsage, Err: err}
	}
	if f.data == "" {
		dir, err := os.MkdirTemp("", "norn-demo-data-")
		if err != nil {
			return fmt.Errorf("cannot make a data directory: %w", err)
		}
		defer os.RemoveAll(dir)
		f.data = dir
	}
	bar := newPhases(os.Stderr)
	defer bar.done()
	o.Progress = bar.set
	o.Calibrate = calibrate
	return withNorn(ctx, f.listen, f.data, func(ctx context.Context, a *app.App) error {
		past := app.NewPast(a)
		o.OTLP, o.API, o.Console, o.Append = a.Addr("otlp-grpc"), "http://"+a.Addr("http"), a.URL(), past.Append
		return demo.Run(ctx, o)
	})
}

func readFault(f demoFlags, o *demo.Options) error {
	if f.file == "" {
		return nil
	}
	raw, err := os.ReadFile(f.file)
	if err != nil {
		return fmt.Errorf("cannot read the fault: %w", err)
	}
	o.Spec, err = demo.ParseSpec(raw)
	return err
}

// calibrate runs f against a Norn that is thrown away afterwards.
func calibrate(ctx context.Context, f func(ctx context.Context, otlp, api string) error) error {
	dir, err := os.MkdirTemp("", "norn-demo-calibrate-")
	if err != nil {
		return fmt.Errorf("cannot make a data directory: %w", err)
	}
	defer os.RemoveAll(dir)
	return withNorn(ctx, "127.0.0.1:0", dir, func(ctx context.Context, a *app.App) error {
		return f(ctx, a.Addr("otlp-grpc"), "http://"+a.Addr("http"))
	})
}

// withNorn runs f while a Norn is up whose OTLP receiver has a free port.
func withNorn(ctx context.Context, listen, dir string, f func(context.Context, *app.App) error) error {
	cfg := config.Default()
	cfg.Server.Listen = listen
	cfg.Storage.Dir = filepath.Clean(dir)
	cfg.Storage.Metrics.BlockDuration = config.Duration(24 * time.Hour)
	cfg.Ingest.OTLP = config.OTLP{GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0"}
	cfg.Ingest.Syslog.UDP, cfg.Ingest.Syslog.TCP, cfg.Ingest.Elastic.Listen = "", "", ""
	a, err := app.New(ctx, app.Options{Config: cfg, Version: version, Log: logger(config.Log{Level: "warn", Format: "text"})})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	err = f(ctx, a)
	stop()
	if runErr := <-ended; err == nil {
		err = runErr
	}
	return err
}
