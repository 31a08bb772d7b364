package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/pipeline"
	"github.com/norn-aiops/norn/internal/store/state"
	"github.com/norn-aiops/norn/internal/store/tsdb"
	"github.com/norn-aiops/norn/internal/store/vlogs"
)

// engines are the opened stores.
type engines struct {
	metrics *tsdb.DB
	logs    *vlogs.Logs
	traces  *vlogs.Traces
	state   *state.DB
}

func (e *engines) contracts() pipeline.Stores {
	return pipeline.Stores{Metrics: e.metrics, Logs: e.logs, Traces: e.traces, State: e.state}
}

// openEngines opens all stores below the data directory. When one fails, those
// already open are closed.
func openEngines(ctx context.Context, cfg config.Config, log *slog.Logger, reg prometheus.Registerer, p *pipeline.Pipeline) (_ *engines, err error) {
	s := cfg.Storage
	if err := os.MkdirAll(s.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("cannot make the data directory: %w", err)
	}
	e := &engines{}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	e.metrics, err = tsdb.Open(filepath.Join(s.Dir, "metrics"), tsdb.Options{
		Retention: time.Duration(s.Metrics.Retention), OutOfOrderWindow: time.Duration(s.Metrics.OutOfOrderWindow),
		BlockDuration: time.Duration(s.Metrics.BlockDuration), MaxFuture: time.Duration(cfg.Normalize.MaxFuture),
		MaxLabels: cfg.Ingest.Limits.Labels, MaxLabelBytes: cfg.Ingest.Limits.LabelBytes, MaxSeries: cfg.Ingest.Limits.Series,
		Logger: log, Registerer: reg, OnCommit: p.OnCommit, OnDelete: p.OnDelete,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot open the metric store: %w", err)
	}
	e.logs, err = vlogs.OpenLogs(filepath.Join(s.Dir, "logs"), logOptions(s.Logs, log))
	if err != nil {
		return nil, fmt.Errorf("cannot open the log store: %w", err)
	}
	e.traces, err = vlogs.OpenTraces(filepath.Join(s.Dir, "traces"), logOptions(s.Traces, log))
	if err != nil {
		return nil, fmt.Errorf("cannot open the trace store: %w", err)
	}
	e.state, err = state.Open(ctx, stateURL(s))
	if err != nil {
		return nil, fmt.Errorf("cannot open the state store: %w", err)
	}
	return e, nil
}

func logOptions(s config.LogStorage, log *slog.Logger) vlogs.Options {
	return vlogs.Options{Retention: time.Duration(s.Retention), DedupWindow: time.Duration(s.DedupWindow), Logger: log}
}

// stateURL turns "sqlite" into a file of the data directory.
func stateURL(s config.Storage) string {
	url := s.State.Reveal()
	if url == "sqlite" {
		return "sqlite:" + filepath.Join(s.Dir, "state.db")
	}
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok && !filepath.IsAbs(path) {
		return "sqlite:" + filepath.Join(s.Dir, path)
	}
	return url
}

// close closes what is open, in the reverse order.
func (e *engines) close() error {
	var errs []error
	if e.state != nil {
		errs = append(errs, e.state.Close())
	}
	if e.traces != nil {
		errs = append(errs, e.traces.Close())
	}
	if e.logs != nil {
		errs = append(errs, e.logs.Close())
	}
	if e.metrics != nil {
		errs = append(errs, e.metrics.Close())
	}
	return errors.Join(errs...)
}
