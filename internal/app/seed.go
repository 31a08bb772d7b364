package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/norn-aiops/norn/internal/bench/seed"
	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/store/tsdb"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// BenchSeed is Norn with the shipped defaults in dir, for which it is now (Unix
// ms).
func BenchSeed(dir string, now int64) seed.Target {
	return seed.Target{
		CPU: processCPU,
		Store: func() (store.Import, io.Closer, error) {
			d, err := tsdb.Open(filepath.Join(dir, "metrics"), tsdb.Options{Retention: time.Duration(century)})
			if err != nil {
				return nil, nil, fmt.Errorf("cannot open the metric store: %w", err)
			}
			return d.NewImport(now), d, nil
		},
		Open: func(ctx context.Context) (seed.Opened, error) {
			o, err := newOffline(ctx, config.Default(), dir, now, false, slog.New(slog.DiscardHandler))
			if err != nil {
				return nil, err
			}
			return seeded{o}, nil
		},
	}
}

// seeded answers what the benchmark asks.
type seeded struct{ *Offline }

// Models counts the detectors of single series.
func (s seeded) Models() seed.Models {
	e := s.Pipeline.Engine()
	m := seed.Models{Bytes: e.StateBytes()}
	var ids []telemetry.SeriesID
	for _, in := range e.List(nil, 0) {
		ids = append(ids, in.Series.ID)
	}
	for _, id := range ids {
		x, ok := e.Explain(id)
		if !ok {
			continue
		}
		m.Watched++
		if x.Baseline == "learning" {
			continue
		}
		if x.Count.Points > 0 {
			m.Counted++
		}
		m.Ready++
	}
	return m
}

// Together counts what is judged across series.
func (s seeded) Together() seed.Together {
	j, d := s.Pipeline.JointStats(), s.Pipeline.DriverStats()
	return seed.Together{Entities: j.Entities, Ready: j.Ready, Driven: d.Driven}
}
