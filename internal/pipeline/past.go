package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/detect/driver"
	"github.com/norn-aiops/norn/internal/detect/joint"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// blobPast says that history was imported that no model has learned.
const blobPast = "history_to_learn"

// MarkPast remembers that history is being imported, so that a server which is
// killed before it has learned from it does so when it starts again.
func MarkPast(ctx context.Context, st store.State, waiting bool) error {
	var mark []byte
	if waiting {
		mark = []byte{1}
	}
	if err := st.PutBlob(ctx, blobPast, mark); err != nil {
		return fmt.Errorf("cannot remember the import: %w", err)
	}
	return nil
}

// LearnPast makes models anew from all stored history for entities that touched
// names (nil: all), beside those that are at work, and puts them in their place
// where they have seen more. It raises nothing, and live telemetry is judged
// meanwhile. It returns how many series have a new model. progress may be nil.
func (p *Pipeline) LearnPast(ctx context.Context, touched func(telemetry.Entity) bool, progress func(share float64)) (int, error) {
	h, ok := p.st.Metrics.(Archive)
	if !ok {
		return 0, errors.New("the metric store cannot be read back")
	}
	oldest, newest, ok := h.Bounds()
	if !ok {
		return 0, nil
	}
	cfg := p.cfg.Detect
	cfg.QuietBefore = math.MaxInt64
	s := &seeder{
		archive: h, engine: detect.New(cfg), drivers: driver.New(driver.Config{}), joint: joint.NewFleet(joint.FleetConfig{}),
		describe: p.describe, keep: touched, progress: progress,
	}
	if err := s.run(ctx, max(oldest, newest-int64(maxCatchUp)), newest); err != nil {
		return 0, fmt.Errorf("cannot learn from imported history: %w", err)
	}
	taken := p.engine.Adopt(s.engine)
	p.both.Drivers.Adopt(s.drivers)
	p.both.Joint.Adopt(s.joint)
	p.log.Info("models were made from imported history", "series", s.series.Load(), "samples", s.samples.Load(), "new_models", taken)
	return taken, nil
}

// learnWaiting learns what an import left behind that was broken off.
func (p *Pipeline) learnWaiting(ctx context.Context, restored bool) error {
	mark, err := p.st.State.Blob(ctx, blobPast)
	if errors.Is(err, store.ErrNotFound) || err == nil && len(mark) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot ask for imported history: %w", err)
	}
	if restored { // else all history has just been read
		if _, err := p.LearnPast(ctx, nil, nil); err != nil {
			return err
		}
	}
	if err := p.save(ctx); err != nil {
		return err
	}
	return MarkPast(ctx, p.st.State, false)
}
