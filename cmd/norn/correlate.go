package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/app"
	"github.com/norn-aiops/norn/internal/bench/correlate"
	"github.com/norn-aiops/norn/internal/bench/storm"
	"github.com/norn-aiops/norn/internal/replay"
)

func benchCorrelate(output *string) *cobra.Command {
	var data string
	var o correlate.Options
	c := &cobra.Command{
		Use: "correlate", Short: "Score how other tools' alerts become incidents with a root", Args: cobra.NoArgs,
		Long: `Lays recorded alerts of injected faults over each other, one to four faults at a
time, with 0 to 30 % noise, and sends the same streams through Norn (correlation
and cause analysis as they run in production) and through simple methods. DIR
holds fault-alerts/SYSTEM and graphs/SYSTEM (format rca-alerts, docs/formats.md).

The first 15 faults only teach which alerts come all the time. Scores count
specific alerts: those of a series that few faults have. 95 % intervals come from
a bootstrap over episodes.

JSON: alone_top1, alone_top3, k2_incidents_per_fault, k2_spurious, k2_missed,
k2_incident_f1, k2_top1, k2_top1_service_filter (two at a time, 20 % noise),
systems[]{system, alone[]{method, top1, top3}, rows[]{k, noise, method,
incident_f1, mean_best_f1, pair_f1, incidents_per_fault, spurious, missed,
noise_attached, top1, top3, alerts_per_incident, median_delay_s}}.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := dataDir(data, "fault-alerts", "the set can be had from github.com/boerste/rca-llm-reasoning (data)"); err != nil {
				return err
			}
			sets, err := replay.AlertSets(data)
			if err != nil {
				return err
			}
			o.Progress = steps("correlate")
			r, err := correlate.Run(cmd.Context(), sets, o)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().StringVar(&data, "data", "", "folder of the data set")
	c.Flags().IntVar(&o.Seeds, "seeds", 5, "streams of each kind")
	c.Flags().StringVar(&o.Only, "only", "", "only streams of one kind: K,NOISE, for example 2,0.2")
	c.Flags().IntVar(&o.Half, "half", 0, "1 or 2: only every other fault")
	return c
}

func benchStorm(output *string) *cobra.Command {
	var o storm.Options
	c := &cobra.Command{
		Use: "storm", Short: "Measure what a storm of 100,000 alerts costs", Args: cobra.NoArgs,
		Long: `Sends different alerts of a large made-up estate, which all begin within seconds
and stay open, through the whole pipeline: normalised, stored, grouped, judged.

JSON: alerts, services, seed, alerts_per_second, slowest_tick_ms, heap_bytes,
heap_growth, incidents, in_incidents, most_listed.`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			dir, err := os.MkdirTemp("", "norn-storm-")
			if err != nil {
				return fmt.Errorf("cannot make a directory: %w", err)
			}
			defer os.RemoveAll(dir)
			o.Start = time.Now().UnixMilli()
			to, err := app.NewOffline(cmd.Context(), dir, o.Start, true, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, to.Close()) }()
			o.Progress = steps("storm")
			r, err := storm.Run(cmd.Context(), to.Pipeline, o)
			if err != nil {
				return err
			}
			return show(cmd, *output, r)
		},
	}
	c.Flags().IntVar(&o.Alerts, "alerts", 100_000, "alerts")
	c.Flags().IntVar(&o.Rate, "rate", 5000, "alerts a second of the data's clock")
	c.Flags().IntVar(&o.Services, "services", 1000, "services, each with three instances")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "seed")
	return c
}
