package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/app"
	"github.com/norn-aiops/norn/internal/bench/falsealarms"
	"github.com/norn-aiops/norn/internal/cli"
	"github.com/norn-aiops/norn/internal/config"
)

func benchFalseAlarms(output *string) *cobra.Command {
	var o falsealarms.Options
	var quick bool
	budget := config.Default().Alerts.Budget.FalsePagesPerWeek
	c := &cobra.Command{
		Use: "falsealarms", Short: "Count what is raised in a week of traffic without a fault", Args: cobra.NoArgs,
		Long: `Makes days of the demo's traffic without a fault in fast time (days, nights,
weekends, ordinary failures and hiccups) for as many shops as the number of
series needs, and drives them through the whole pipeline: derivation, stores,
detection, correlation, cause analysis, budget. Models learn for some days first.
Whatever is raised is false; incidents should be at most the budget.

JSON: series, series_watched, days, anomalies, candidates, wished, suppressed,
incidents, budget, within_budget, opened[], held[].`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Step != 10 && o.Step != 60 {
				return &cli.Error{Code: cli.ExitUsage, Err: fmt.Errorf("--step %d is not one of 10, 60", o.Step)}
			}
			if quick {
				o.Series, o.Days, o.Learn = 400, 1, 2
			}
			dir, err := os.MkdirTemp("", "norn-falsealarms-")
			if err != nil {
				return fmt.Errorf("cannot make a directory: %w", err)
			}
			defer os.RemoveAll(dir)
			to, closer, err := app.BenchFalseAlarms(cmd.Context(), dir, o.Start(), budget)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closer.Close()) }()
			progress := steps("falsealarms")
			o.Progress = func(share float64) { progress(int(1000*share), 1000) }
			r, err := falsealarms.Run(cmd.Context(), o, to)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().IntVar(&o.Series, "series", 2000, "at least so many series")
	c.Flags().Float64Var(&o.Days, "days", 7, "days that are watched")
	c.Flags().Float64Var(&o.Learn, "learn", 7, "days before, in which models learn")
	c.Flags().IntVar(&o.Step, "step", 60, "seconds between samples: 60 or 10")
	c.Flags().Float64Var(&budget, "budget", budget, "false pages a week; 0 holds nothing back")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "of the traffic")
	c.Flags().BoolVar(&quick, "quick", false, "400 series, one day after two of learning")
	return c
}
