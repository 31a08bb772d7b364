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

// Close saves what was learned and closes the stores.
func (l *LogImport) Close() error {
	return errors.Join(l.pipe.Save(context.Background()), l.stores.close())
}
