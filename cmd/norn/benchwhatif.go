package main

import (
	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/bench/whatif"
)

func benchWhatif(output *string) *cobra.Command {
	var o whatif.Options
	c := &cobra.Command{
		Use: "whatif", Short: "Measure how well the load at which something breaks is predicted", Args: cobra.NoArgs,
		Long: `Makes estates of four simulated services (real queues, request by request), lets
what-if see two days of ordinary load, and compares the predicted breaking load
with the one at which the simulated service breaks: own time at three times the
usual, or 97 % of the saturating load.

JSON: seed, estates, first_right, first_median_error, first_p90_error, answered,
rows[]{measured, services, refused, median_error, p90_error, within_20_percent,
coverage80}.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Progress = steps("whatif")
			r, err := whatif.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().IntVar(&o.Estates, "estates", 20, "estates of four services")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "of the services, their load and the bootstrap")
	return c
}
