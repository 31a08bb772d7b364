package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/app"
	"github.com/norn-aiops/norn/internal/backtest"
	"github.com/norn-aiops/norn/internal/cli"
	"github.com/norn-aiops/norn/internal/config"
)

type backtestFlags struct {
	from, to, change, server, token, config, data, output string
	changed                                               bool // config or data are given
}

func backtestCommand() *cobra.Command {
	var f backtestFlags
	c := &cobra.Command{
		Use: "backtest --from T --change FILE", Short: "Try a change of detection's settings on stored history", Args: cobra.NoArgs,
		Long: `Judges stored history under the present settings and under those that FILE
proposes, and compares: alarms before and after, earlier or later, missed and
new, by entity and series; incidents that are marked real or noise; memory and
processor time. FILE is a YAML fragment of the configuration with keys below
detection. What is stored before --from teaches the models.

The server that runs is asked; where none answers, or with --data or --config,
the data directory is read (and nothing in it changed). docs/backtest.md has more.

JSON: present{alarms, state_bytes, cpu_seconds, ns_per_point...}, proposed{...},
sums{both, same_time, earlier, later, only_before, only_after},
marks{real_lost, noise_saved...}, entities[], series[], alarms[].`,
		Example: `  norn backtest --from -7d --change calmer.yaml
  norn backtest --data /var/lib/norn --from 2026-03-01T00:00:00Z --to 2026-03-08T00:00:00Z --change calmer.yaml -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.changed = f.config != "" || f.data != ""
			return runBacktest(cmd, &f)
		},
	}
	c.Flags().StringVar(&f.from, "from", "", "start: RFC 3339, Unix ms, or an age such as -7d")
	c.Flags().StringVar(&f.to, "to", "now", "end, in the same forms")
	c.Flags().StringVar(&f.change, "change", "", "file with the proposed settings; - reads standard input")
	c.Flags().StringVar(&f.server, "server", cli.ServerAddress(), "address of the running Norn (or $NORN_SERVER)")
	c.Flags().StringVar(&f.token, "token", "", "bearer token (or $NORN_TOKEN)")
	c.Flags().StringVar(&f.config, "config", "", "read the data directory of this configuration instead of asking a server")
	c.Flags().StringVar(&f.data, "data", "", "read this data directory instead of asking a server")
	c.Flags().StringVarP(&f.output, "output", "o", "table", "table or json")
	_ = c.MarkFlagRequired("from")
	_ = c.MarkFlagRequired("change")
	return c
}

func runBacktest(cmd *cobra.Command, f *backtestFlags) error {
	name := f.change
	if name == "-" {
		name = "/dev/stdin"
	}
	change, err := os.ReadFile(name)
	if err != nil {
		return &cli.Error{Code: cli.ExitUsage, Err: fmt.Errorf("cannot read the change: %w", err)}
	}
	progress := steps("backtest")
	tell := func(done float64) { progress(int(1000*done), 1000) }
	if !f.changed {
		b, err := cli.Backtest(cmd.Context(), f.server, f.token, api.BacktestRequest{From: f.from, To: f.to, Change: string(change)}, tell)
		if err == nil {
			return show(cmd, f.output, b.Report)
		}
		if cli.ExitCode(err) != cli.ExitUnreachable {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "no server answers at %s: reading the data directory\n", f.server)
	}
	r, err := offlineBacktest(cmd, f, change, tell)
	if err != nil {
		return err
	}
	return show(cmd, f.output, r)
}

func offlineBacktest(cmd *cobra.Command, f *backtestFlags, change []byte, tell func(float64)) (*backtest.Report, error) {
	cfg, err := loadConfig(f.config)
	if err != nil {
		return nil, err
	}
	if f.data != "" {
		cfg.Storage.Dir = f.data
	}
	now := time.Now()
	from, err := api.ParseTime("--from", f.from, now)
	if err != nil {
		return nil, &cli.Error{Code: cli.ExitUsage, Err: err}
	}
	to, err := api.ParseTime("--to", f.to, now)
	if err != nil {
		return nil, &cli.Error{Code: cli.ExitUsage, Err: err}
	}
	r, err := app.Backtest(cmd.Context(), cfg, change, from, to, tell)
	switch {
	case errors.Is(err, config.ErrChange):
		return nil, &cli.Error{Code: cli.ExitUsage, Err: fmt.Errorf("%s: %w", f.change, err)}
	case errors.Is(err, backtest.ErrRange), errors.Is(err, os.ErrNotExist):
		return nil, &cli.Error{Code: cli.ExitNotFound, Err: err}
	}
	return r, err
}
