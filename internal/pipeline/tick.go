package pipeline

import (
	"context"
	"fmt"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
)

// maxStoredAnomalies bounds what one tick writes to the state store.
const maxStoredAnomalies = 200

// flushWindows turns finished windows of spans and logs into samples, which
// go the way of all metrics: stored, then detected.
func (p *Pipeline) flushWindows(ctx context.Context, now int64) error {
	app := p.st.Metrics.AppenderV2(ctx)
	refused := 0
	put := func(ls labels.Labels, t int64, v float64) {
		if _, err := app.Append(0, ls, 0, t, v, nil, nil, storage.AOptions{}); err != nil {
			refused++
		}
	}
	samples, edges := p.topo.Flush(now)
	for _, s := range samples {
		put(s.Labels, s.T, s.V)
	}
	for _, s := range p.miner.Flush(now) {
		put(s.Labels, s.T, s.V)
	}
	if err := app.Commit(); err != nil {
		return fmt.Errorf("cannot store the rates of %d series: %w", len(samples), err)
	}
	if refused > 0 {
		p.met.rejected.WithLabelValues("windows", "append").Add(float64(refused))
	}
	p.ObserveEdges(edges)
	return nil
}

// ObserveEdges adds what was seen of the dependency graph.
func (p *Pipeline) ObserveEdges(edges []graph.Edge) {
	for _, e := range edges {
		p.graph.Observe(e.From, e.To, e.Kind, e.LastSeen, e.Weight)
	}
}

func (p *Pipeline) storeAnomalies(ctx context.Context, as []ops.Anomaly) {
	for i := range as {
		if i == maxStoredAnomalies {
			p.met.dropped.Add(float64(len(as) - i))
			return
		}
		if err := p.st.State.PutAnomaly(ctx, &as[i]); err != nil {
			p.log.Error("anomaly not kept", "anomaly", as[i].ID, "err", err)
			return
		}
	}
}

// housekeeping saves the graph and the models now and then.
func (p *Pipeline) housekeeping(ctx context.Context, now int64) error {
	every := p.cfg.SnapshotEvery.Milliseconds()
	if p.lastSnapshot == 0 {
		p.lastSnapshot = now
	}
	if now-p.lastSnapshot < every {
		return nil
	}
	p.lastSnapshot = now
	return p.save(ctx)
}

// incidentWindows remembers when which entity took part in an incident, so
// that later baselines can leave these times out. It holds the newest 512.
type incidentWindows struct {
	items []incidentWindow
}

type incidentWindow struct {
	id       string
	from, to int64
	entities map[string]bool
}

const maxIncidentWindows = 512

func (w *incidentWindows) note(in *ops.Incident) {
	win := incidentWindow{id: in.ID, from: in.Onset, to: lastEvidence(in), entities: map[string]bool{}}
	for _, e := range in.Entities {
		win.entities[e.String()] = true
	}
	for i := range w.items {
		if w.items[i].id == in.ID {
			w.items[i] = win
			return
		}
	}
	w.items = append(w.items, win)
	if len(w.items) > maxIncidentWindows {
		w.items = w.items[1:]
	}
}

// lastEvidence is when the newest of the incident's anomalies was last seen:
// the quiet time until it was resolved is normal again.
func lastEvidence(in *ops.Incident) int64 {
	t := in.Onset
	for i := range in.Anomalies {
		a := &in.Anomalies[i]
		t = max(t, a.LastSeen, a.Ended, a.Onset)
	}
	return t
}

// leastOutside is the share of a baseline that must be left when the times of
// incidents are taken out. What took most of the time is no exception, and a
// wide baseline is better than none.
const leastOutside = .25

// outside drops the samples that fall into an earlier incident (other than
// except) in which the entity took part, as long as enough are left.
func (w *incidentWindows) outside(d store.SeriesData, entity, except string) store.SeriesData {
	all := d.Samples
	for _, win := range w.items {
		if win.id == except || !win.entities[entity] {
			continue
		}
		kept := d.Samples[:0:0]
		for _, s := range d.Samples {
			if s.T < win.from || s.T > win.to {
				kept = append(kept, s)
			}
		}
		d.Samples = kept
	}
	if n := len(d.Samples); n < len(all) && (n < minBaseline || float64(n) < leastOutside*float64(len(all))) {
		d.Samples = all
	}
	return d
}
