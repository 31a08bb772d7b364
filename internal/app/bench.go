package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/norn-aiops/norn/internal/bench/events"
	"github.com/norn-aiops/norn/internal/bench/ingest"
	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/detect/choice"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// BenchBare opens the Prometheus TSDB alone, with the settings that Norn uses.
func BenchBare(dir string) (ingest.Target, error) {
	opts := tsdb.DefaultOptions()
	opts.OutOfOrderTimeWindow = (30 * time.Minute).Milliseconds()
	opts.RetentionDuration = time.Duration(century).Milliseconds()
	opts.WALCompression = compression.Snappy // as Prometheus itself runs, and Norn
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
		Settle:     o.Pipeline.Engine().Settle,
		Watched:    func() int { return o.Pipeline.Engine().Stats().Watched },
		StateBytes: func() int { return o.Pipeline.Engine().StateBytes() },
	}, nil
}

// BenchEvents is the detection of the engine with the shipped defaults, as
// the benchmark of events reads it: a point's score is the severity of an
// anomaly that it opened. Its variants have other rules in the full tier.
func BenchEvents() events.Detector {
	shipped := choice.DefaultRules()
	d := benchDetector(shipped)
	for _, size := range []float32{0, 1, 1.5} {
		for _, novelty := range []float32{.5, 1} {
			for _, limit := range []float32{.85, 1, 1.15} {
				r := shipped
				r.Even, r.Smooth = size*r.Even, size*r.Smooth
				r.Novelty, r.Known = novelty*r.Novelty, novelty*r.Known
				if r.Limit *= limit; r != shipped {
					d.Variants = append(d.Variants, benchDetector(r))
				}
			}
		}
	}
	return d
}

func benchDetector(rules choice.Rules) events.Detector {
	return events.Detector{Name: "norn", Threshold: .15, New: func(warm int) func(int64, float64) float64 {
		e := detect.New(detect.Config{Warmup: warm, Choice: rules, Sensitivity: config.Default().Detect.Sensitivity})
		meta := &telemetry.Series{ID: 1, Name: "series", Signal: telemetry.SignalOther}
		known := ""
		return func(t int64, v float64) float64 {
			a := e.Observe(telemetry.Point{Series: meta, T: t, V: v})
			if a == nil || a.ID == known || a.Ended != 0 {
				return 0
			}
			known = a.ID
			return a.Severity
		}
	}}
}
