package main

import (
	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/bench/drilldown"
)

func benchDrilldown(output *string) *cobra.Command {
	var data string
	c := &cobra.Command{
		Use: "drilldown", Short: "Score the search for responsible dimension values", Args: cobra.NoArgs,
		Long: `Searches tables of leaves for the combinations of dimension values that deviate,
as the generator of github.com/shaido987/riskloc writes them: DIR or folders in
it with injection_info.csv (columns timestamp and set, "a=a1&b=b2;c=c3") and
NAME.csv or NAME.csv.gz (dimensions, real, predict). Only whole combinations
count.

JSON: f1, precision, recall, exact_cases, seconds_per_case, seconds_slowest,
sets[]{set, cases, ...}, per_case[]{set, case, truth, found, seconds}, refused[].`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := dataDir(data, ".", "a set can be made with the generator of github.com/shaido987/riskloc"); err != nil {
				return err
			}
			r, err := drilldown.Run(cmd.Context(), data, steps("drilldown"))
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().StringVar(&data, "data", "", "folder of the set")
	return c
}
