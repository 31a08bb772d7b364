package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/pipeline"
)

// century is a retention that keeps every recording.
const century = config.Duration(100 * 365 * 24 * time.Hour)

// Offline is the pipeline with its stores but without receivers and servers,
// on the data's own clock: for replay and benchmarks.
type Offline struct {
	Pipeline *pipeline.Pipeline
	Stores   pipeline.Stores
	engines  *engines
	plugins  []loadedPlugin
}

// NewOffline opens the stores below dir. start (Unix ms) is where the data's
// clock begins. topologyGiven says that edges come with the data and do not
// expire.
func NewOffline(ctx context.Context, dir string, start int64, topologyGiven bool, log *slog.Logger) (*Offline, error) {
	return newOffline(ctx, config.Default(), dir, start, topologyGiven, log)
}

func newOffline(ctx context.Context, cfg config.Config, dir string, start int64, topologyGiven bool, log *slog.Logger) (*Offline, error) {
	cfg.Storage.Dir = dir
	cfg.Storage.Metrics.Retention = century
	cfg.Storage.Logs.Retention, cfg.Storage.Traces.Retention = century, century
	stages := stageConfig(cfg)
	stages.DataClock, stages.TopologyGiven = true, topologyGiven
	stages.SnapshotEvery = 100 * 365 * 24 * time.Hour // a replay is not resumed
	stages.Normalize.MaxAge = 0
	reg := prometheus.NewRegistry()
	plugins := loadPlugins(ctx, cfg.Detect.Plugins, log)
	var err error
	if stages.Plugins, err = stagePlugins(plugins); err != nil {
		return nil, errors.Join(err, closePlugins(plugins))
	}
	p, err := pipeline.New(stages, log, reg)
	if err != nil {
		return nil, errors.Join(err, closePlugins(plugins))
	}
	e, err := openEngines(ctx, cfg, log, reg, p)
	if err != nil {
		return nil, errors.Join(err, closePlugins(plugins))
	}
	o := &Offline{Pipeline: p, Stores: e.contracts(), engines: e, plugins: plugins}
	if err := p.Open(ctx, o.Stores, start); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// Close closes the stores and ends the plugins.
func (o *Offline) Close() error { return errors.Join(o.engines.close(), closePlugins(o.plugins)) }
