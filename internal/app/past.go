package app

import (
	"context"
	"fmt"

	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/demo/model"
)

// Past writes a made-up past into a running Norn. Models learn from it; it
// raises no alarm. It is used by one goroutine.
type Past struct {
	app  *App
	refs []storage.SeriesRef
}

// NewPast makes a writer.
func NewPast(a *App) *Past { return &Past{app: a} }

// Append writes samples, which come in order of time. Norn is quiet until
// shortly after the last one.
func (p *Past) Append(ctx context.Context, samples []model.Sample) error {
	p.app.pipe.Quiet(true)
	defer p.app.pipe.Quiet(false)
	p.app.pipe.ObserveEdges(model.Edges(samples))
	to := p.app.stores.metrics.AppenderV2(ctx)
	for i := range samples {
		s := &samples[i]
		for s.Series >= len(p.refs) {
			p.refs = append(p.refs, 0)
		}
		ref, err := to.Append(p.refs[s.Series], s.Labels, 0, s.T, s.V, nil, nil, storage.AOptions{})
		if err != nil {
			return fmt.Errorf("cannot append the past of %s: %w", s.Labels, err)
		}
		p.refs[s.Series] = ref
	}
	if err := to.Commit(); err != nil {
		return fmt.Errorf("cannot commit the past: %w", err)
	}
	return nil
}
