package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/incident"
	"github.com/norn-aiops/norn/internal/logmine"
	"github.com/norn-aiops/norn/internal/normalize"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
)

// Act is what a person does to an incident.
type Act func(c *incident.Correlator, id string, now int64, who, text string) (ops.Incident, error)

// Do carries out a person's act on an incident, stores it and tells
// subscribers. An incident that is only in the store (ended long ago) takes
// comments, nothing else. An unknown one gives store.ErrNotFound.
func (p *Pipeline) Do(ctx context.Context, act Act, id, who, text string) (*ops.Incident, error) {
	now := p.Now()
	in, err := act(p.corr, id, now, who, text)
	if errors.Is(err, incident.ErrUnknown) {
		return p.doStored(ctx, act, id, who, text, err)
	}
	if err != nil {
		return nil, err
	}
	if err := p.keep(ctx, []ops.Incident{in}); err != nil {
		return nil, err
	}
	return &in, nil
}

// doStored acts on an incident that the correlator has let go.
func (p *Pipeline) doStored(ctx context.Context, act Act, id, who, text string, unknown error) (*ops.Incident, error) {
	stored, err := p.st.State.Incident(ctx, id)
	if err != nil {
		return nil, errors.Join(err, unknown)
	}
	if text == "" {
		return nil, fmt.Errorf("incident %s has ended: %w", id, incident.ErrState)
	}
	if who != "" {
		text = who + ": " + text
	}
	stored.Timeline = append(stored.Timeline, ops.Event{Time: p.Now(), Kind: "comment", Text: text})
	if err := p.keep(ctx, []ops.Incident{*stored}); err != nil {
		return nil, err
	}
	return stored, nil
}

// Mark stores an operator's verdict on an incident, also on one that ended
// long ago. An unknown one gives store.ErrNotFound.
func (p *Pipeline) Mark(ctx context.Context, id, who string, mark ops.Mark) (*ops.Incident, error) {
	now := p.Now()
	in, err := p.corr.Mark(id, now, who, mark)
	if errors.Is(err, incident.ErrUnknown) {
		stored, serr := p.st.State.Incident(ctx, id)
		if serr != nil {
			return nil, errors.Join(serr, err)
		}
		in, err = *stored, nil
		in.Mark = mark
		in.Timeline = append(in.Timeline, incident.MarkEvent(now, who, mark))
	}
	if err != nil {
		return nil, err
	}
	if err := p.keep(ctx, []ops.Incident{in}); err != nil {
		return nil, err
	}
	return &in, nil
}

// Merge moves everything of an incident into another, because who says so, and
// returns both: the one that ended first. Of what is not open it is
// incident.ErrState, of what is unknown store.ErrNotFound.
func (p *Pipeline) Merge(ctx context.Context, id, into, who string) ([]ops.Incident, error) {
	return p.rearranged(ctx)(p.corr.MergeByHand(id, into, p.Now(), who))
}

// Split moves anomalies of an incident into one of their own, because who says
// so, and returns both: the old one first. Errors are those of Merge.
func (p *Pipeline) Split(ctx context.Context, id string, anomalies []string, who string) ([]ops.Incident, error) {
	return p.rearranged(ctx)(p.corr.SplitByHand(id, anomalies, p.Now(), who))
}

func (p *Pipeline) rearranged(ctx context.Context) func([]ops.Incident, error) ([]ops.Incident, error) {
	return func(ins []ops.Incident, err error) ([]ops.Incident, error) {
		if errors.Is(err, incident.ErrUnknown) {
			return nil, fmt.Errorf("%w: %w", store.ErrNotFound, err)
		}
		if err == nil {
			err = p.keep(ctx, ins)
		}
		return ins, err
	}
}

// Why gives the grounds for an anomaly's place in an incident, also in one that
// ended long ago. Of what is not in the incident it is store.ErrNotFound.
func (p *Pipeline) Why(ctx context.Context, id, anomaly string) (sentence string, reasons []incident.Reason, err error) {
	if reasons, ok := p.corr.Reasons(id, anomaly); ok {
		return incident.Sentence(reasons), reasons, nil
	}
	in, err := p.st.State.Incident(ctx, id)
	if err != nil {
		return "", nil, fmt.Errorf("incident %s: %w", id, err)
	}
	for i := range in.Anomalies {
		if in.Anomalies[i].ID == anomaly {
			return incident.Sentence(in.Anomalies[i].Why), in.Anomalies[i].Why, nil
		}
	}
	return "", nil, fmt.Errorf("anomaly %s in incident %s: %w", anomaly, id, store.ErrNotFound)
}

// Now is the pipeline's clock in Unix ms: the wall clock, or in replay the
// last tick.
func (p *Pipeline) Now() int64 { return p.nowNano() / 1e6 }

// Engine gives access to detection.
func (p *Pipeline) Engine() *detect.Engine { return p.engine }

// Miner gives access to the log templates.
func (p *Pipeline) Miner() *logmine.Miner { return p.miner }

// GraphAt is the dependency graph as it was at t (Unix ms).
func (p *Pipeline) GraphAt(t int64) *graph.View { return p.graph.AsOf(t) }

// Normalizer gives access to what normalisation measured: skews and masks.
func (p *Pipeline) Normalizer() *normalize.LogNormalizer { return p.logs }

// Subscribe streams events until ctx ends; a slow reader loses some.
func (p *Pipeline) Subscribe(ctx context.Context) <-chan Event { return p.subs.subscribe(ctx) }

// OpenIncidents are the incidents that are open now.
func (p *Pipeline) OpenIncidents() []ops.Incident { return p.openNow.list() }

// LastReceived is when anything last arrived, in Unix ms; 0 when nothing has.
func (p *Pipeline) LastReceived() int64 { return p.received.Load() }
