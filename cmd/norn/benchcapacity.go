package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/bench/capacity"
)

func benchCapacity(output *string) *cobra.Command {
	var data string
	o := capacity.Options{}
	c := &cobra.Command{
		Use: "capacity", Short: "Score forecasts of resources, dates of exhaustion and weekly schedules", Args: cobra.NoArgs,
		Long: `Forecasts the columns of all CSV files below DIR (a column of times, or a step in
the file's name as in usage_300_seconds.csv) from several origins, beside the
seasonal naive forecast; tells dates of exhaustion of made-up supplies whose end
is known; and makes weekly schedules for made-up demands. Without --data only the
made-up ones.

JSON: mase, naive_mase, mase_gain, pinball, naive_pinball, pinball_gain, traces[],
dates{error_median, error_mean, within, calibration_p10, calibration_p50, calibration_p90, predict_linear_*},
schedule{cost_saved, violations, static_violations, cost_saved_at_risk}.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("data") {
				if err := dataDir(data, ".", "traces of data centres: github.com/alejandrofdez-us/DataCenter-Traces-Datasets"); err != nil {
					return err
				}
			}
			o.Progress = steps("capacity")
			r, err := capacity.Run(cmd.Context(), data, o)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().StringVar(&data, "data", "", "folder of traces")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "of what is made up")
	c.Flags().IntVar(&o.Supplies, "supplies", 400, "made-up supplies")
	c.Flags().DurationVar(&o.Step, "step", 0, "that traces are averaged to (5m, or their own when longer)")
	c.Flags().DurationVar(&o.Horizon, "horizon", 24*time.Hour, "how far ahead")
	return c
}
