package pipeline

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/slo"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
	"github.com/norn-aiops/norn/internal/topology"
)

// served is one window of an entity's requests; NaN is what was not measured.
type served struct{ rate, failed, p50, p95 float64 }

// countRequests reads what Norn measured of requests in the minutes from..to
// and hands it to the objectives.
func (p *Pipeline) countRequests(ctx context.Context, from, to int64) error {
	names := labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, topology.RequestRate+"|"+topology.ErrorRatio+"|"+topology.Latency)
	found, err := p.st.Metrics.Select(ctx, from*minuteMS+1, (to+1)*minuteMS, names)
	if err != nil {
		return err
	}
	by := map[telemetry.Entity]map[int64]*served{}
	for _, s := range found {
		e := telemetry.ParseEntity(s.Labels.Get("entity"))
		if e.IsZero() {
			continue
		}
		at := by[e]
		if at == nil {
			at = map[int64]*served{}
			by[e] = at
		}
		name, quantile := s.Labels.Get(labels.MetricName), s.Labels.Get("quantile")
		for _, x := range s.Samples {
			w := at[x.T]
			if w == nil {
				w = &served{math.NaN(), math.NaN(), math.NaN(), math.NaN()}
				at[x.T] = w
			}
			switch {
			case name == topology.RequestRate:
				w.rate = x.V
			case name == topology.ErrorRatio:
				w.failed = x.V
			case quantile == "0.5":
				w.p50 = x.V
			case quantile == "0.95":
				w.p95 = x.V
			}
		}
	}
	for e, at := range by {
		p.slos.hand(e, at)
	}
	return nil
}

// hand gives one entity's windows to the objectives that it has, and to its
// past.
func (b *sloBook) hand(e telemetry.Entity, at map[int64]*served) {
	var available, quick []*slo.Objective
	for _, d := range b.declared {
		o := d.of[e]
		if o == nil && d.place >= 0 && b.members.has(e, d.place) {
			o = d.objective(e)
		}
		switch {
		case o == nil:
		case d.Kind() == slo.Availability:
			available = append(available, o)
		case d.Kind() == slo.Slow:
			quick = append(quick, o)
		}
	}
	past := b.pasts[e]
	if past == nil && len(b.pasts) < maxPasts {
		past = slo.NewPast(e)
		b.pasts[e] = past
	}
	for _, t := range slices.Sorted(maps.Keys(at)) {
		w := at[t]
		if !(w.rate > 0) || math.IsNaN(w.failed) {
			continue
		}
		minute, n := (t-1)/minuteMS, w.rate*b.window
		c := slo.Counts{Bad: w.failed * n, Total: n}
		for _, o := range available {
			o.Add(minute, c)
		}
		for _, o := range quick {
			o.Add(minute, slo.Counts{Bad: n * slo.SlowShare(w.p50, w.p95, o.Threshold), Total: n})
		}
		if past != nil {
			past.Add(minute, n, c.Bad, w.p50, w.p95)
		}
	}
}

// storedSLOs is the form in the state store.
type storedSLOs struct {
	Of       uint64 // what was declared
	Done     int64
	Declared []storedSLO
	Pasts    []storedPast
}

type storedSLO struct {
	Place  int
	Entity telemetry.Entity
	Counts slo.Saved
}

type storedPast struct {
	Entity                telemetry.Entity
	Availability, Latency slo.Saved
}

// fingerprint tells declarations apart.
func (b *sloBook) fingerprint() uint64 {
	h := fnv.New64a()
	for _, d := range b.declared {
		raw, err := json.Marshal(d.Config)
		if err == nil { // plain data
			h.Write(raw)
		}
	}
	return h.Sum64()
}

// saveSLOs writes what was counted, once an hour and at the end: the minutes
// since then are read from the metric store again.
func (p *Pipeline) saveSLOs(ctx context.Context, always bool) error {
	b := &p.slos
	if b.done == 0 || !always && b.done/60 == b.saved {
		return nil
	}
	out := storedSLOs{Of: b.fingerprint(), Done: b.done}
	for i, d := range b.declared {
		for e, o := range d.of {
			out.Declared = append(out.Declared, storedSLO{i, e, o.Save()})
		}
	}
	for e, x := range b.pasts {
		a, l := x.Save()
		out.Pasts = append(out.Pasts, storedPast{e, a, l})
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(out); err != nil {
		return fmt.Errorf("cannot encode what is known of objectives: %w", err)
	}
	if err := p.st.State.PutBlob(ctx, blobSLOs, buf.Bytes()); err != nil {
		return fmt.Errorf("cannot store what is known of objectives: %w", err)
	}
	b.saved = b.done / 60
	return nil
}

// loadSLOs takes what the last run knew. When the declarations are others by
// now, or it cannot be read, history is counted again.
func (p *Pipeline) loadSLOs(ctx context.Context) {
	raw, err := p.st.State.Blob(ctx, blobSLOs)
	if errors.Is(err, store.ErrNotFound) {
		return
	}
	var in storedSLOs
	if err == nil {
		err = gob.NewDecoder(bytes.NewReader(raw)).Decode(&in)
	}
	b := &p.slos
	if err == nil && in.Of == b.fingerprint() {
		if err = b.take(&in); err == nil {
			return
		}
	}
	if err != nil {
		p.log.Error("what was known of objectives is left aside", "err", err)
	}
	for _, d := range b.declared { // half of it may have been taken
		for e := range d.of {
			delete(d.of, e)
			if d.place < 0 {
				d.objective(e)
			}
		}
	}
	b.pasts = map[telemetry.Entity]*slo.Past{}
}

func (b *sloBook) take(in *storedSLOs) error {
	for _, s := range in.Declared {
		if s.Place < 0 || s.Place >= len(b.declared) {
			return fmt.Errorf("objective %d is unknown", s.Place)
		}
		o := b.declared[s.Place].objective(s.Entity)
		if o == nil {
			continue
		}
		if err := o.Load(s.Counts); err != nil {
			return err
		}
	}
	for _, s := range in.Pasts {
		x := slo.NewPast(s.Entity)
		if err := x.Load(s.Availability, s.Latency); err != nil {
			return err
		}
		b.pasts[s.Entity] = x
	}
	b.done = in.Done
	return nil
}
