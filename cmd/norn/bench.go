package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/app"
	"github.com/norn-aiops/norn/internal/bench/detect"
	"github.com/norn-aiops/norn/internal/bench/events"
	"github.com/norn-aiops/norn/internal/bench/ingest"
	"github.com/norn-aiops/norn/internal/bench/load"
	"github.com/norn-aiops/norn/internal/bench/loghub"
	"github.com/norn-aiops/norn/internal/bench/nab"
	"github.com/norn-aiops/norn/internal/bench/season"
	"github.com/norn-aiops/norn/internal/bench/vector"
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
	c.AddCommand(benchCorrelate(&output), benchStorm(&output), benchEvents(&output), benchCSV(&output), benchNAB(&output), benchIngest(&output), benchDetect(&output), benchSeason(&output), benchFalseAlarms(&output), benchSeed(&output), benchLoad(&output), benchForecast(&output), benchCapacity(&output), benchDrilldown(&output), benchLoghub(&output), benchLogparse(&output), benchLogseq(&output), benchLogs(&output), benchLogSearch(&output), benchRedact(&output), benchWhatif(&output),
		benchVector(&output, smdSet()), benchVector(&output, skabSet()))
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

func benchEvents(output *string) *cobra.Command {
	var data string
	var o events.Options
	c := &cobra.Command{
		Use: "events", Short: "Score detection by events on six public sets at once", Args: cobra.NoArgs,
		Long: `Scores detection with the shipped defaults by the events that it finds, without
point adjustment, beside plain detectors in the same run. One threshold serves
all sets. DIR holds the sets that are there of:

  nab/                 github.com/numenta/NAB
  smap-msl/{SMAP,MSL}  github.com/salesforce/Merlion (data/smap), gzipped CSV
  skab/data/           github.com/waico/SKAB
  merlion-synthetic/   github.com/salesforce/Merlion (data/synthetic_anomaly)
  kpi/*/               github.com/NetManAIOps/donut and Bagel (sample data)

An alarm in a labelled segment, or at most seven rows behind it, finds it; every
other alarm is false. Where a file has several columns, a row's score is the
largest of theirs; Norn judges four and more together.

JSON: mean_f1, per_set{SET{f1, precision, recall, false_alarms_per_10k}},
rows[]{detector, mean_f1, per_set, leave_one_set_out, leave_one_set_out_mean}.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := dataDir(data, ".", "see 'norn bench events --help' for where the sets can be had"); err != nil {
				return err
			}
			o.Progress = steps("events")
			r, err := events.Run(cmd.Context(), data, app.BenchEvents(), o)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().StringVar(&data, "data", "", "folder of the sets")
	c.Flags().StringSliceVar(&o.Sets, "sets", nil, "only these sets, for example nab,skab")
	c.Flags().BoolVar(&o.Quick, "quick", false, "leave out the random cut forest, which takes most of the time")
	exchange(c, &o)
	return c
}

func benchCSV(output *string) *cobra.Command {
	var labels string
	var o events.Options
	c := &cobra.Command{
		Use: "csv DIR...", Short: "Score detection on folders of your own CSV files with labelled windows", Args: cobra.MinimumNArgs(1),
		Long: `Scores detection as 'norn bench events' does on any folder of CSV files with
timestamp,value[,value...] rows; several folders are several sets. The labelled
windows come from a file labels.json or labels.csv in the folder (or --labels),
or from a column called label. docs/formats.md has the formats. Rows that cannot
be read are named and counted and never stop the run.

JSON: as 'norn bench events', files[]{set, file, f1, precision, recall,
false_alarms_per_10k, found, events, false_alarms, points, others{DETECTOR{...}}},
file_mean_f1{DETECTOR}, and refused{rows, cells, labels, files, out_of_order,
repeated, examples[]}.`,
		RunE: func(cmd *cobra.Command, dirs []string) error {
			o.Progress = steps("csv")
			r, err := events.RunFolders(cmd.Context(), dirs, labels, app.BenchEvents(), o)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().StringVar(&labels, "labels", "", "file of labelled windows; without it the usual names are tried")
	c.Flags().BoolVar(&o.Quick, "quick", false, "leave out the random cut forest, which takes most of the time")
	exchange(c, &o)
	return c
}

// exchange adds the flags by which other programs are scored alike.
func exchange(c *cobra.Command, o *events.Options) {
	c.Flags().StringVar(&o.Export, "export", "", "folder to write the rows to that are judged, without labels, for another program")
	c.Flags().Var((*givenScores)(&o.Given), "scores", "NAME=DIR: score what another program made of the exported rows; may be repeated")
}

// givenScores are the values of --scores.
type givenScores []events.Given

func (g *givenScores) String() string { return "" }
func (g *givenScores) Type() string   { return "NAME=DIR" }

func (g *givenScores) Set(s string) error {
	name, dir, ok := strings.Cut(s, "=")
	if !ok || name == "" || dir == "" {
		return fmt.Errorf("%q is not NAME=DIR", s)
	}
	*g = append(*g, events.Given{Name: name, Dir: dir})
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
	var raw bool
	var parsed []string
	c := &cobra.Command{
		Use: "loghub", Short: "Score log template mining on labelled logs", Args: cobra.NoArgs,
		Long: `Scores template mining, one setting for all systems, on a folder with one
folder a system as in Loghub-2k (github.com/logpai/loghub). With --raw the whole
lines are given, as they stand in the log beside the labels, and the header is
learned from the first 300.

JSON: raw, systems[]{name, lines, ga, fga, pa, fta, header_exact}, mean{ga, fga,
pa, fta}, lines_per_cpu_second (without headers), others[]{name, systems[], mean}.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := dataDir(data, ".", "the logs can be had from github.com/logpai/loghub"); err != nil {
				return err
			}
			var others []loghub.Parsed
			for _, p := range parsed {
				name, dir, ok := strings.Cut(p, "=")
				if !ok {
					return &cli.Error{Code: cli.ExitUsage, Err: fmt.Errorf("--parsed %q is not NAME=DIR", p)}
				}
				others = append(others, loghub.Parsed{Name: name, Dir: dir})
			}
			r, err := loghub.Run(cmd.Context(), data, raw)
			if err != nil {
				return err
			}
			if r.Others, err = loghub.Compare(cmd.Context(), data, others); err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().StringVar(&data, "data", "", "folder of the systems")
	c.Flags().BoolVar(&raw, "raw", false, "mine whole lines, header and all")
	c.Flags().StringArrayVar(&parsed, "parsed", nil, "NAME=DIR: score what another program found, in files with a system's name and group,template lines; may be repeated")
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

func benchDetect(output *string) *cobra.Command {
	var o detect.Options
	c := &cobra.Command{
		Use: "detect", Short: "Measure what a point and a series cost the detector alone", Args: cobra.NoArgs,
		Long: `Feeds the detector alone, on one core: no store, no derivation. Young series
are measured from their first point on, warm ones when all members speak; time
is processor time. "In cache" is the same with 300 series, whose state stays in
the processor's caches.

JSON: series, tiers[]{tier, age, points_before, ns_per_point, ns_per_point_hot,
bytes_per_series, state_bytes_per_series, allocs_per_point}.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			done := steps("detect")
			o.Progress = func(share float64) { done(int(100*share), 100) }
			r, err := detect.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().IntVar(&o.Series, "series", 20_000, "series")
	c.Flags().IntVar(&o.Points, "points", 64, "measured points a series and age")
	c.Flags().IntVar(&o.Warm, "warm", 600, "points of a warm series before the measurement")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "of the values")
	return c
}

func benchSeason(output *string) *cobra.Command {
	var o season.Options
	c := &cobra.Command{
		Use: "season", Short: "False alarms and misses with and without seasons", Args: cobra.NoArgs,
		Long: `Plays simulated series with periods, civil weeks, clock changes, holidays and
ends of months through the engine, with and without following them. Faults add
or take 40 % of the series' range for 90 minutes.

JSON: series, weeks, kinds[]{name, with{false_per_series_week, missed, faults},
without{...}, follows}, mean.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := season.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().IntVar(&o.Series, "series", 5, "series a kind")
	c.Flags().IntVar(&o.Weeks, "weeks", 6, "judged, after five of learning")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "of the values")
	return c
}

func benchWhole(ctx context.Context) func(dir string) (ingest.Target, error) {
	return func(dir string) (ingest.Target, error) { return app.BenchWhole(ctx, dir) }
}

// vectorSet is a set of recordings of many metrics.
type vectorSet struct {
	name, short, long, origin string
	run                       func(context.Context, string, vector.Options) (vector.Report, error)
}

func smdSet() vectorSet {
	return vectorSet{
		name: "smd", short: "Score joint detection on the Server Machine Dataset", run: vector.SMD,
		origin: "the data set can be had from github.com/NetManAIOps/OmniAnomaly",
		long: `Scores joint detection over all metrics of a machine, strictly causal, on the
Server Machine Dataset (github.com/NetManAIOps/OmniAnomaly). DIR holds
NAME_train.csv and NAME_test.csv (or .csv.gz) with a header, a column a metric,
and in the test a column "label" after them. The metrics to blame come from columns
"interpretation..." after it, or from interpretation_label/NAME.txt. The layout as
published (train/, test/, test_label/, each NAME.txt) is read too. Without
metrics to blame in the data, blame_recall is null.`,
	}
}

func skabSet() vectorSet {
	return vectorSet{
		name: "skab", short: "Score joint detection on the Skoltech Anomaly Benchmark", run: vector.SKAB,
		origin: "the benchmark can be had from github.com/waico/SKAB",
		long: `Scores joint detection, strictly causal, on the Skoltech Anomaly Benchmark
(github.com/waico/SKAB). DIR holds data/ with valve1, valve2 and other, or is
that folder. The first 400 rows of each recording are to learn from.`,
	}
}

func benchVector(output *string, set vectorSet) *cobra.Command {
	var data string
	var o vector.Options
	c := &cobra.Command{
		Use: set.name, Short: set.short, Args: cobra.NoArgs,
		Long: set.long + `

JSON: auc_pr, vus_pr, best_f1, event_f1, blame_recall, blame_recall_150,
pca_auc_pr, auc_pr_over_pca, max_z_event_f1, neural_chosen, ns_per_row,
false_per_day_mean, false_per_day_median, means[], entities[].`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := dataDir(data, ".", set.origin); err != nil {
				return err
			}
			o.Progress = steps(set.name)
			r, err := set.run(cmd.Context(), data, o)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().StringVar(&data, "data", "", "folder of the data set")
	c.Flags().Float64Var(&o.Budget, "budget", 1, "false alarms a day for the event figures")
	c.Flags().BoolVar(&o.Quick, "quick", false, "leave out the network and the trees")
	return c
}

func benchLoad(output *string) *cobra.Command {
	var o load.Options
	c := &cobra.Command{
		Use: "load", Short: "Measure baselines that depend on the load, on simulated services", Args: cobra.NoArgs,
		Long: `Simulates services whose processor time and latency follow their traffic, and
judges the same points by the time alone and by the time and the load: surges
that cost no more per request must raise nothing on processor or latency,
requests that become dearer at the usual traffic must.

JSON: services, days, rows[]{name, surge_raised, surges, found, faults,
night_found, nights, median_delay_s, false_alarms}.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			done := steps("load")
			o.Progress = func(share float64) { done(int(100*share), 100) }
			r, err := load.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().IntVar(&o.Services, "services", 8, "services of each of the six cases")
	c.Flags().IntVar(&o.Days, "days", 7, "days of quiet past")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "of the set")
	return c
}
