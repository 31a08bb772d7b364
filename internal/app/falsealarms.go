package app

import (
	"context"
	"io"
	"log/slog"

	"github.com/norn-aiops/norn/internal/bench/falsealarms"
	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
)

// BenchFalseAlarms opens the pipeline with the shipped defaults and the given
// budget of false pages a week; 0 holds nothing back.
func BenchFalseAlarms(ctx context.Context, dir string, start int64, budget float64) (falsealarms.Target, io.Closer, error) {
	cfg := config.Default()
	cfg.Alerts.Budget.FalsePagesPerWeek = budget
	o, err := newOffline(ctx, cfg, dir, start, false, slog.New(slog.DiscardHandler))
	if err != nil {
		return falsealarms.Target{}, nil, err
	}
	return falsealarms.Target{
		Pipeline: o.Pipeline, Metrics: o.Stores.Metrics,
		Anomalies: func() uint64 { return o.Pipeline.Engine().Stats().Opened },
		Watched:   func() int { return o.Pipeline.Engine().Stats().Watched },
		Incidents: func(ctx context.Context) ([]ops.Incident, error) {
			return o.Stores.State.Incidents(ctx, store.IncidentFilter{Limit: 100_000})
		},
	}, o, nil
}
