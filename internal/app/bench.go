package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/norn-aiops/norn/internal/bench/ingest"
)

// BenchBare opens the Prometheus TSDB alone, with the settings that Norn uses.
func BenchBare(dir string) (ingest.Target, error) {
	opts := tsdb.DefaultOptions()
	opts.OutOfOrderTimeWindow = (30 * time.Minute).Milliseconds()
	opts.RetentionDuration = time.Duration(century).Milliseconds()
	db, err := tsdb.Open(dir, promslog.NewNopLogger(), nil, opts, nil)
	if err != nil {
		return ingest.Target{}, fmt.Errorf("cannot open the bare TSDB: %w", err)
	}
	db.DisableCompactions()
	return ingest.Target{Append: db, Close: db.Close}, nil
}

// BenchWhole opens the pipeline with all its stores.
func BenchWhole(ctx context.Context, dir string) (ingest.Target, error) {
	o, err := NewOffline(ctx, dir, 0, false, slog.New(slog.DiscardHandler))
	if err != nil {
		return ingest.Target{}, err
	}
	return ingest.Target{
		Append: o.Stores.Metrics, Close: o.Close,
		Watched:    func() int { return o.Pipeline.Engine().Stats().Watched },
		StateBytes: func() int { return o.Pipeline.Engine().StateBytes() },
	}, nil
}
