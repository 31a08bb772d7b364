package main

import (
	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/app"
	"github.com/norn-aiops/norn/internal/bench/forecast"
)

func benchForecast(output *string) *cobra.Command {
	var data, set string
	o := forecast.Options{CPU: app.ThreadCPU}
	c := &cobra.Command{
		Use: "forecast", Short: "Score forecasts on sets of the M4 competition", Args: cobra.NoArgs,
		Long: `Forecasts the series of an M4-style folder (github.com/Mcompetitions/M4-methods):
DIR/Train/SET-train.csv and DIR/Test/SET-test.csv, a series a line, its name
first. SET names the frequency (Yearly, Quarterly, Monthly, Weekly, Daily,
Hourly) and so the season; with another name the season is found by itself.

JSON: smape, mase, owa, msis, coverage80, coverage95, ms_per_1000_points,
series, horizon, rows[]{method, smape, mase, owa, msis, coverage80, coverage95}.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := dataDir(data, ".", "the competition's data can be had from github.com/Mcompetitions/M4-methods"); err != nil {
				return err
			}
			o.Progress = steps("forecast")
			r, err := forecast.Run(cmd.Context(), data, set, o)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().StringVar(&data, "data", "", "folder of the set")
	c.Flags().StringVar(&set, "set", "Weekly", "name of the set")
	c.Flags().IntVar(&o.Limit, "limit", 0, "series at most; 0 means all")
	return c
}
