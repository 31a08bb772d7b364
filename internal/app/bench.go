package app

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/norn-aiops/norn/internal/bench/events"
	"github.com/norn-aiops/norn/internal/bench/ingest"
	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/detect/choice"
	"github.com/norn-aiops/norn/internal/detect/joint"
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
	begin := func(warm int) func(int64, float64) float64 { return benchSeries(rules, warm) }
	return events.Detector{Name: "norn", Threshold: benchLimit, New: begin, Rows: func(warm, columns int) func(int64, []float64) float64 {
		return benchRows(begin, warm, columns)
	}}
}

func benchSeries(rules choice.Rules, warm int) func(int64, float64) float64 {
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
}

const (
	benchLimit = .15 // severity from which a series' alarm counts
	jointLeast = 4   // columns that are judged together, as in production
	jointMost  = 100
)

// benchRows judges several columns: each by itself, and from four columns on
// all together. What the columns that begin an anomaly in a row say is added up
// and counts for more the stranger the row is as a whole. The more columns there
// are that speak at times, the more it takes, as one of many always does.
func benchRows(begin func(int) func(int64, float64) float64, warm, columns int) func(int64, []float64) float64 {
	steps := make([]func(int64, float64) float64, columns)
	for c := range steps {
		steps[c] = begin(warm)
	}
	together := columns >= jointLeast
	var model *joint.Model
	if together {
		model = joint.New(joint.Config{Columns: make([]string, min(columns, jointMost)), Seed: 1})
	}
	spoke, speakers := make([]bool, columns), 0
	return func(t int64, row []float64) float64 {
		sum, most := 0., 0.
		for c, v := range row {
			if math.IsNaN(v) {
				continue
			}
			s := steps[c](t, v)
			sum, most = sum+s, max(most, s)
			if s > 0 && !spoke[c] {
				spoke[c] = true
				speakers++
			}
		}
		if !together {
			return most
		}
		verdict, _ := model.Observe(t, row[:min(columns, jointMost)])
		if sum == 0 {
			return 0
		}
		return benchLimit / joint.AgreeLimit * joint.Agreement(sum, verdict.Score, speakers)
	}
}
