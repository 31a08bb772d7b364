package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/app"
	"github.com/norn-aiops/norn/internal/bench/ingest"
	"github.com/norn-aiops/norn/internal/bench/loghub"
	"github.com/norn-aiops/norn/internal/bench/nab"
	"github.com/norn-aiops/norn/internal/cli"
)

// reporter is what every benchmark gives.
type reporter interface{ Print(w io.Writer) error }

// show prints a report as a table, or as one JSON object.
func show(cmd *cobra.Command, output string, r reporter) error {
	switch output {
	case "json":
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	case "table":
		return r.Print(cmd.OutOrStdout())
	}
	return &cli.Error{Code: cli.ExitUsage, Err: fmt.Errorf("-o %q is not one of table, json", output)}
}

func benchCommand() *cobra.Command {
	var output string
	c := &cobra.Command{Use: "bench", Short: "Measure Norn on public data and against bare engines"}
	c.PersistentFlags().StringVarP(&output, "output", "o", "table", "table or json")
	c.AddCommand(benchNAB(&output), benchIngest(&output), benchLoghub(&output))
	return c
}

// dataDir checks that the public data is there; where it is not, the error
// says where it can be had.
func dataDir(dir, probe, origin string) error {
	if dir == "" {
		return &cli.Error{Code: cli.ExitUsage, Err: fmt.Errorf("--data DIR is needed: %s", origin)}
	}
	if _, err := os.Stat(dir + "/" + probe); err != nil {
		return &cli.Error{Code: cli.ExitNotFound, Err: fmt.Errorf("%s does not hold %s: %s", dir, probe, origin)}
	}
	return nil
}

func benchNAB(output *string) *cobra.Command {
	var data string
	var quick bool
	c := &cobra.Command{
		Use: "nab", Short: "Score on the Numenta Anomaly Benchmark", Args: cobra.NoArgs,
		Long: `Scores the shape member, strictly causal, on the Numenta Anomaly Benchmark
(github.com/numenta/NAB). DIR holds data/, labels/combined_windows.json,
config/profiles.json and, to prove the scorer, published/*.csv.gz with the raw
scores of published detectors.

JSON: standard, low_fp, low_fn, robust_mean, published{...}.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := dataDir(data, "labels/combined_windows.json", "the benchmark can be had from github.com/numenta/NAB"); err != nil {
				return err
			}
			r, err := nab.Run(cmd.Context(), data, nab.Options{Quick: quick, Progress: steps("nab")})
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().StringVar(&data, "data", "", "folder of the benchmark")
	c.Flags().BoolVar(&quick, "quick", false, "leave out the mean over warm-up factors")
	return c
}

func benchLoghub(output *string) *cobra.Command {
	var data string
	c := &cobra.Command{
		Use: "loghub", Short: "Score log template mining on labelled logs", Args: cobra.NoArgs,
		Long: `Scores template mining, one setting for all systems, on a folder with one
folder a system as in Loghub-2k (github.com/logpai/loghub).

JSON: systems[], mean{ga, fga, pa, fta}.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := dataDir(data, ".", "the logs can be had from github.com/logpai/loghub"); err != nil {
				return err
			}
			r, err := loghub.Run(cmd.Context(), data)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().StringVar(&data, "data", "", "folder of the systems")
	return c
}

func benchIngest(output *string) *cobra.Command {
	var o ingest.Options
	var quick bool
	c := &cobra.Command{
		Use: "ingest", Short: "Compare the whole pipeline with the bare Prometheus TSDB", Args: cobra.NoArgs,
		Long: `Appends the same samples to the bare Prometheus TSDB and through the whole
pipeline (normalise, store, detect), alternately in one process.

JSON: ratio, ratio_min, ratio_max, bare_samples_per_cpu_second,
norn_samples_per_cpu_second, state_bytes_per_series.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if quick {
				o.Series, o.Samples, o.Rounds = 20_000, 30, 1
			}
			o.Progress = steps("ingest")
			r, err := ingest.Run(cmd.Context(), o, app.BenchBare, benchWhole(cmd.Context()))
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().IntVar(&o.Series, "series", 100_000, "series")
	c.Flags().IntVar(&o.Samples, "samples", 60, "samples a series")
	c.Flags().IntVar(&o.Rounds, "rounds", 3, "pairs of measurements")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "of the values")
	c.Flags().BoolVar(&quick, "quick", false, "20,000 series, 30 samples, one pair")
	return c
}

func benchWhole(ctx context.Context) func(dir string) (ingest.Target, error) {
	return func(dir string) (ingest.Target, error) { return app.BenchWhole(ctx, dir) }
}
