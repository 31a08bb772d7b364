package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/app"
	"github.com/norn-aiops/norn/internal/cause"
	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/replay"
	"github.com/norn-aiops/norn/internal/store"
)

type replayFlags struct {
	format, output string
	verbose, quick bool
	tick           int64
}

func replayCommand() *cobra.Command {
	var f replayFlags
	c := &cobra.Command{
		Use: "replay DIR --format FORMAT", Short: "Feed recorded incidents through the pipeline and score the answers", Args: cobra.ExactArgs(1),
		Long: `Feeds recorded telemetry through the same pipeline that runs in production, on
the data's own clock, as fast as it can, and prints what was found.

Formats: ` + strings.Join(replay.Formats(), ", ") + `. docs/formats.md describes them.

JSON: faults, detected, top1, top3, false_incidents.`,
		RunE: func(cmd *cobra.Command, args []string) error { return runReplay(cmd, args[0], f) },
	}
	c.Flags().StringVar(&f.format, "format", "", "format of the recording")
	c.Flags().StringVarP(&f.output, "output", "o", "table", "table or json")
	c.Flags().BoolVar(&f.verbose, "verbose", false, "print every incident with its sentence")
	c.Flags().BoolVar(&f.quick, "quick", false, "only the first recording of the folder")
	c.Flags().Int64Var(&f.tick, "tick", 10_000, "ms of the data's clock between ticks")
	_ = c.MarkFlagRequired("format")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(replay.Formats(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func runReplay(cmd *cobra.Command, dir string, f replayFlags) error {
	recs, err := replay.Open(dir, f.format)
	if err != nil {
		return err
	}
	if f.quick {
		recs = recs[:1]
	}
	progress := steps("replay " + f.format)
	total := replay.Summary{Format: f.format}
	for i, rec := range recs {
		incidents, err := replayOne(cmd.Context(), rec, f, func(x float64) { progress(int(1000*(float64(i)+x)), 1000*len(recs)) })
		if err != nil {
			return err
		}
		report := replay.Evaluate(rec.Faults, incidents, replay.EvalOptions{Ignore: rec.Warmups})
		report.Recording = rec.Name
		total.Add(report)
		if f.verbose {
			sayIncidents(cmd.ErrOrStderr(), rec, incidents)
		}
	}
	progress(1000*len(recs), 1000*len(recs))
	direct, ok, err := replay.Direct(dir, f.format, cause.Config{})
	if err != nil {
		return err
	}
	if ok {
		total.Direct = &direct
	}
	return show(cmd, f.output, total)
}

func replayOne(ctx context.Context, rec *replay.Recording, f replayFlags, progress func(float64)) (_ []ops.Incident, err error) {
	tmp, err := os.MkdirTemp("", "norn-replay-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a directory: %w", err)
	}
	defer os.RemoveAll(tmp)
	log := slog.New(slog.DiscardHandler)
	if f.verbose {
		log = logger(config.Log{Level: "info", Format: "text"})
	}
	given := f.format != "nezha" && f.format != "otlp-json"
	o, err := app.NewOffline(ctx, tmp, rec.Start, given, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	err = replay.Drive(ctx, rec, o.Pipeline, replay.DriveOptions{
		Metrics: o.Stores.Metrics, Tick: f.tick, Progress: progress,
		Refused: func(err error) { log.Warn("sample refused", "err", err) },
	})
	if err != nil {
		return nil, err
	}
	return o.Stores.State.Incidents(ctx, store.IncidentFilter{Limit: 100_000})
}

func sayIncidents(w io.Writer, rec *replay.Recording, list []ops.Incident) {
	for i := len(list) - 1; i >= 0; i-- {
		in := &list[i]
		fmt.Fprintf(w, "%s  opened %s  onset %s  %s %s (%d)\n    %s\n", rec.Name, hms(in.Opened), hms(in.Onset), in.State, in.Title, in.Alerts, in.Sentence)
		for _, c := range in.Causes {
			fmt.Fprintf(w, "      %-12s %-40s %.2f\n", c.Role, c.Entity, c.Score)
		}
	}
}
