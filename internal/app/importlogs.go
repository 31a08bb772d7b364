package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/ingest/file"
	"github.com/norn-aiops/norn/internal/pipeline"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// LogImport is a data directory that is open to take logs in, without a
// server. It is used by one goroutine.
type LogImport struct {
	file.Local
	pipe   *pipeline.Pipeline
	stores *engines
}

// OpenLogImport opens the data directory of cfg. It fails when a server runs
// on it.
func OpenLogImport(ctx context.Context, cfg config.Config, log *slog.Logger) (*LogImport, error) {
	reg := prometheus.NewRegistry()
	p, err := pipeline.New(stageConfig(cfg), log, reg)
	if err != nil {
		return nil, err
	}
	e, err := openEngines(ctx, cfg, log, reg, p)
	if err != nil {
		return nil, fmt.Errorf("%w (does a server run on %s?)", err, cfg.Storage.Dir)
	}
	if err := p.Open(ctx, e.contracts(), time.Now().UnixMilli()); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return &LogImport{Local: file.Local{Sink: p, Logs: e.logs}, pipe: p, stores: e}, nil
}

// logHistory makes the rates of imported logs once no more come, and lets
// models learn from them, until ctx ends.
func (a *App) logHistory(ctx context.Context) error {
	t := time.NewTicker(logHistoryEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		if !a.pipe.LogHistoryWaits(logHistoryQuiet) {
			continue
		}
		if err := writeLogHistory(ctx, a.pipe, a.stores, true); err != nil && ctx.Err() == nil {
			a.log.Error("imported logs have no rates", "err", err)
		}
	}
}

const (
	logHistoryEvery = 2 * time.Second
	logHistoryQuiet = 10 * time.Second // without a record of the past: the import is over
)

// writeLogHistory makes the rates of imported logs. Models learn from them now,
// or when a server next starts.
func writeLogHistory(ctx context.Context, p *pipeline.Pipeline, e *engines, now bool) error {
	if err := pipeline.MarkPast(ctx, e.state, true); err != nil {
		return err
	}
	touched, _, err := p.WriteLogHistory(ctx, e.metrics.NewImport(time.Now().UnixMilli()))
	if err != nil || !now {
		return err
	}
	if _, err := p.LearnPast(ctx, func(e telemetry.Entity) bool { _, ok := touched[e]; return ok }, nil); err != nil {
		return err
	}
	if err := p.Save(ctx); err != nil {
		return err
	}
	return pipeline.MarkPast(ctx, e.state, false)
}

// Close makes the rates of what was brought in, saves what was learned and
// closes the stores.
func (l *LogImport) Close() error {
	var err error
	if l.pipe.LogHistoryWaits(0) {
		err = writeLogHistory(context.Background(), l.pipe, l.stores, false)
	}
	return errors.Join(err, l.pipe.Save(context.Background()), l.stores.close())
}
