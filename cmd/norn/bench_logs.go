package main

import (
	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/bench/logparse"
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
