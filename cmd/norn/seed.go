package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/app"
	"github.com/norn-aiops/norn/internal/bench/seed"
)

func benchSeed(output *string) *cobra.Command {
	var o seed.Options
	var quick bool
	c := &cobra.Command{
		Use: "seed", Short: "Measure how long models need to learn from stored history", Args: cobra.NoArgs,
		Long: `Writes weeks of made-up samples into a store (series that follow the day,
counters, small whole numbers, zeros with bursts, and one in ten sparse: a point
an hour or three a day), opens it as a server that has never run, and measures
the time until its models are ready: those of single series, those of all metrics
of a service together, and what drives what.

JSON: series, days, step_seconds, points, import_seconds, seconds, cpu_seconds,
series_per_second, points_per_second, cpu_ns_per_point, watched, ready_share,
sparse_series, count_model_share, joint_entities, joint_ready_share,
driven_series, bytes_per_series.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if quick {
				o.Series = 1000
			}
			dir, err := os.MkdirTemp("", "norn-seed-")
			if err != nil {
				return fmt.Errorf("cannot make a directory: %w", err)
			}
			defer os.RemoveAll(dir)
			progress := steps("seed")
			o.Progress = func(share float64) { progress(int(1000*share), 1000) }
			now := time.Now().UnixMilli()
			r, err := seed.Run(cmd.Context(), o, now, app.BenchSeed(dir, now))
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().IntVar(&o.Series, "series", 10_000, "series")
	c.Flags().Float64Var(&o.Days, "days", 14, "days of history")
	c.Flags().IntVar(&o.Step, "step", 300, "seconds between samples")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "of the samples")
	c.Flags().BoolVar(&quick, "quick", false, "1,000 series")
	return c
}
