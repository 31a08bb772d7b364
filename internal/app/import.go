package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/ingest/past"
	"github.com/norn-aiops/norn/internal/normalize"
	"github.com/norn-aiops/norn/internal/pipeline"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/store/state"
	"github.com/norn-aiops/norn/internal/store/tsdb"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// importSession writes history into the metric store. It is used by one
// goroutine.
type importSession struct {
	to       store.Import
	state    store.State
	learn    func(ctx context.Context, touched func(telemetry.Entity) bool, progress past.Progress) (int, error) // nil: the next start does
	sum      *past.Summary
	series   map[uint64]struct{} // hashes of labels
	entities map[telemetry.Entity]struct{}
	marked   bool
}

func newImportSession(to store.Import, st store.State, sum *past.Summary) *importSession {
	return &importSession{to: to, state: st, sum: sum, series: map[uint64]struct{}{}, entities: map[telemetry.Entity]struct{}{}}
}

// Add implements [past.Sink].
func (s *importSession) Add(ctx context.Context, ls labels.Labels, xs []store.ImportSample) error {
	if len(xs) == 0 {
		return nil
	}
	if err := s.to.Add(ls, xs); err != nil {
		s.refused(ls, err)
	}
	s.series[ls.Hash()] = struct{}{}
	e, _, _ := normalize.EntityOfLabels(ls)
	if _, known := s.entities[e]; !known {
		e.Name = strings.Clone(e.Name)
		s.entities[e] = struct{}{}
	}
	if s.to.Full() {
		return s.flush(ctx)
	}
	return nil
}

// refused lists the first refusals; all are counted by reason.
func (s *importSession) refused(ls labels.Labels, err error) {
	if len(s.sum.Problems) < 20 {
		s.sum.Problems = append(s.sum.Problems, past.Problem{Where: fmt.Sprintf("%.200s", ls), Detail: err.Error()})
	}
}

func (s *importSession) flush(ctx context.Context) error {
	if !s.marked {
		if err := pipeline.MarkPast(ctx, s.state, true); err != nil {
			return err
		}
		s.marked = true
	}
	if err := s.to.Flush(ctx); err != nil {
		return err
	}
	s.sum.ImportStats = s.to.Stats()
	return nil
}

// Finish implements [past.Session].
func (s *importSession) Finish(ctx context.Context, learning past.Progress) error {
	err := s.flush(ctx)
	s.sum.ImportStats = s.to.Stats()
	s.sum.Series, s.sum.Entities = len(s.series), len(s.entities)
	if err != nil || s.learn == nil {
		return err
	}
	s.sum.Learned, err = s.learn(ctx, func(e telemetry.Entity) bool { _, ok := s.entities[e]; return ok }, learning)
	if err != nil {
		return err
	}
	return pipeline.MarkPast(ctx, s.state, false)
}

// beginImport is how the server begins one.
func (a *App) beginImport(_ context.Context, _ string, sum *past.Summary) (past.Session, error) {
	s := newImportSession(a.stores.metrics.NewImport(time.Now().UnixMilli()), a.stores.state, sum)
	s.learn = func(ctx context.Context, touched func(telemetry.Entity) bool, progress past.Progress) (int, error) {
		n, err := a.pipe.LearnPast(ctx, touched, progress)
		if err != nil {
			return 0, err
		}
		return n, a.pipe.Save(ctx)
	}
	return s, nil
}

// OfflineImport writes history into the data directory of a server that does
// not run; it learns from it when it starts.
type OfflineImport struct {
	past.Session
	closers []io.Closer
}

// NewOfflineImport opens the stores of cfg.Storage; sum is what it reports into.
func NewOfflineImport(ctx context.Context, cfg config.Config, sum *past.Summary) (*OfflineImport, error) {
	s := cfg.Storage
	if err := os.MkdirAll(s.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("cannot make the data directory: %w", err)
	}
	metrics, err := tsdb.Open(filepath.Join(s.Dir, "metrics"), tsdb.Options{
		Retention: time.Duration(s.Metrics.Retention), OutOfOrderWindow: time.Duration(s.Metrics.OutOfOrderWindow),
		BlockDuration: time.Duration(s.Metrics.BlockDuration), MaxFuture: time.Duration(cfg.Normalize.MaxFuture),
		MaxLabels: cfg.Ingest.Limits.Labels, MaxLabelBytes: cfg.Ingest.Limits.LabelBytes, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, fmt.Errorf("cannot open the metric store (while a server runs on it, import through the server): %w", err)
	}
	st, err := state.Open(ctx, stateURL(s))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open the state store: %w", err), metrics.Close())
	}
	return &OfflineImport{newImportSession(metrics.NewImport(time.Now().UnixMilli()), st, sum), []io.Closer{st, metrics}}, nil
}

// Close closes the stores.
func (o *OfflineImport) Close() error {
	var errs []error
	for _, c := range o.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
