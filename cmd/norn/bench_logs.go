package main

import (
	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/app"
	"github.com/norn-aiops/norn/internal/bench/logparse"
	"github.com/norn-aiops/norn/internal/bench/logs"
	"github.com/norn-aiops/norn/internal/bench/logseq"
	"github.com/norn-aiops/norn/internal/bench/redact"
)

func benchRedact(output *string) *cobra.Command {
	var data string
	c := &cobra.Command{
		Use: "redact", Short: "Count the secrets that are hidden, and the ordinary lines that are changed", Args: cobra.NoArgs,
		Long: `Masks a built-in corpus of made-up secrets (keys of clouds and vendors, JSON web
tokens, passwords in URLs, JSON, connection strings and arguments, private keys,
card numbers...) and, with --data, every line of the *.log files below DIR, which
should stay as they are.

JSON: secrets, hidden, kinds{}, missed[], lines, changed_lines, changed_share,
changed_by_kind{}, examples[].`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := redact.Run(cmd.Context(), data)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().StringVar(&data, "data", "", "folder of ordinary logs")
	return c
}

func benchLogparse(output *string) *cobra.Command {
	var o logparse.Options
	var quick bool
	c := &cobra.Command{
		Use: "logparse", Short: "Measure what mining the template of a log line costs", Args: cobra.NoArgs,
		Long: `Mines made-up lines of 100 to 200 bytes whose templates are known, or the lines
of a file, on one core, and then a flood of lines that are all unlike. Time is
processor time; the best of several rounds counts, the slowest is shown.

JSON: bytes_per_line, templates, lines_per_cpu_second,
lines_per_cpu_second_worst_round, allocs_per_line, megabytes_per_cpu_second,
flood_lines_per_cpu_second, flood_state_bytes, flood_templates.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if quick {
				o.Lines, o.Rounds, o.Flood = 300_000, 2, 100_000
			}
			done := steps("logparse")
			o.Progress = func(share float64) { done(int(100*share), 100) }
			r, err := logparse.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().StringVar(&o.File, "file", "", "a file of lines instead")
	c.Flags().IntVar(&o.Lines, "lines", 2_000_000, "lines a round")
	c.Flags().IntVar(&o.Rounds, "rounds", 5, "rounds")
	c.Flags().IntVar(&o.Flood, "flood", 300_000, "lines of the flood")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "of the lines")
	c.Flags().BoolVar(&quick, "quick", false, "fewer lines and rounds")
	return c
}

func benchLogseq(output *string) *cobra.Command {
	var data string
	c := &cobra.Command{
		Use: "logseq", Short: "Score the sequence model on labelled sequences of log events", Args: cobra.NoArgs,
		Long: `Trains the n-gram model of log sequences on the normal sequences of each set
below DIR, sets its threshold by them alone, and judges the set's other
sequences. A set is SET_train, SET_test_normal and SET_test_abnormal*, as in
github.com/ait-aecid/anomaly-detection-log-datasets.

JSON: sets[]{name, train, normal, abnormal, f1, tpr, fpr, auc, best_f1,
flag_all_f1}, mean_f1, mean_auc.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := dataDir(data, ".", "the sets can be had from github.com/ait-aecid/anomaly-detection-log-datasets"); err != nil {
				return err
			}
			r, err := logseq.Run(cmd.Context(), data)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().StringVar(&data, "data", "", "folder of the sets")
	return c
}

func benchLogs(output *string) *cobra.Command {
	var o logs.Options
	var quick bool
	c := &cobra.Command{
		Use: "logs", Short: "Measure what a log line costs from the sender's bytes until it can be searched", Args: cobra.NoArgs,
		Long: `Runs a whole server in this process and sends it made-up lines of about 120 bytes
of 20 services by OTLP over HTTP, by syslog over TCP (RFC 5424) and by Elastic
bulk: receive, normalise, mask, mine, make durable, store, until a count finds
them all. Processor time is that of the process, the sender's writing included.
Bytes are those of the store with its indexes, without the spool.

JSON: lines_per_cpu_second (of the slowest protocol), bytes_per_line,
protocols[]{protocol, lines, lines_per_cpu_second, lines_per_second,
bytes_per_line, raw_bytes_per_line}.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if quick {
				o.Lines = 60_000
			}
			o.Progress = steps("logs")
			r, err := logs.Run(cmd.Context(), o, app.BenchLogs)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().IntVar(&o.Lines, "lines", 300_000, "lines a protocol")
	c.Flags().IntVar(&o.Batch, "batch", 1000, "lines of one request")
	c.Flags().Uint64Var(&o.Seed, "seed", 0, "of the lines")
	c.Flags().BoolVar(&quick, "quick", false, "60,000 lines a protocol")
	return c
}

func benchLogSearch(output *string) *cobra.Command {
	var o logs.SearchOptions
	var quick bool
	c := &cobra.Command{
		Use: "logsearch", Short: "Measure how fast a large log store answers what the console asks", Args: cobra.NoArgs,
		Long: `Fills a store with made-up lines of 20 services over 24 hours, mined as live ones
are, and asks the API for searches, facets, histograms and patterns.

JSON: lines, fill_seconds, questions[]{name, path, median_ms, worst_ms, first_ms}.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if quick {
				o.Lines = 500_000
			}
			o.Progress = steps("logsearch")
			r, err := logs.RunSearch(cmd.Context(), o, app.BenchLogStore)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().IntVar(&o.Lines, "lines", 10_000_000, "lines in the store")
	c.Flags().IntVar(&o.Rounds, "rounds", 5, "times that each question is asked")
	c.Flags().StringVar(&o.Dir, "dir", "", "empty folder for the store (default a temporary one)")
	c.Flags().Uint64Var(&o.Seed, "seed", 0, "of the lines")
	c.Flags().BoolVar(&quick, "quick", false, "500,000 lines")
	return c
}
