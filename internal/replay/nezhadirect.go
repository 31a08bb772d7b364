package replay

import (
	"errors"
	"fmt"
	"io"

	"github.com/norn-aiops/norn/internal/cause"
	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/logmine"
	"github.com/norn-aiops/norn/internal/logmine/sequence"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
	"github.com/norn-aiops/norn/internal/topology"
)

// nezhaWindow is how much of a fault is judged (ms): logs and traces were kept
// for about two minutes after each injection.
const nezhaWindow = 2 * 60_000

// directNezha is Nezha's own protocol: the time of each injection is given,
// services are ranked. As there, the comparison is with the fault-free phase:
// everything recorded outside faults, later minutes included.
func directNezha(dir string, cfg cause.Config) (DirectReport, error) {
	rep := DirectReport{Format: "nezha", Protocol: "injection time given; services ranked; baseline is everything outside faults"}
	days, err := nezhaDays(dir)
	if err != nil {
		return rep, err
	}
	groups := map[string][]Answer{}
	for _, d := range days {
		as, err := d.direct(cfg)
		if err != nil {
			return rep, err
		}
		for _, a := range as {
			groups[a.Kind] = append(groups[a.Kind], a)
		}
		rep.Answers = append(rep.Answers, as...)
	}
	for _, k := range sortedKeys(groups) {
		rep.Groups = append(rep.Groups, tally(k, groups[k]))
	}
	rep.finish()
	return rep, nil
}

func (d *nezhaDay) direct(cfg cause.Config) ([]Answer, error) {
	rec, err := d.recording()
	if err != nil {
		return nil, err
	}
	t, g, covered, odd, err := tabulate(rec.Feed)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.name, err)
	}
	t.pre = 60_000
	faulty := func(ts int64) bool {
		for _, f := range d.faults {
			if ts >= f.Onset && ts <= f.Onset+nezhaFaultLength {
				return true
			}
		}
		return false
	}
	var out []Answer
	for _, f := range d.faults {
		w := Interval{f.Onset, f.Onset + nezhaWindow + 10_000}
		in := cause.Input{Onset: f.Onset, Now: w.To, View: g.AsOf(f.Onset + nezhaWindow)}
		for _, a := range odd {
			if a.LastSeen >= w.From && a.Onset <= w.To {
				in.Anomalies = append(in.Anomalies, a)
			}
		}
		for _, s := range t.cut(func(ts int64) bool { return !faulty(ts) }, w, nil) {
			if isOwn(s.Meta) { // between the recorded minutes there are no spans and lines, which is not a rate of 0
				s.Baseline, s.Pre, s.Window = keepCovered(s.Baseline, covered), keepCovered(s.Pre, covered), keepCovered(s.Window, covered)
			}
			in.Series = append(in.Series, s)
		}
		a := answer(f, cause.Rank(in, cfg), telemetry.Entity{})
		out = append(out, a)
	}
	return out, nil
}

func isOwn(s *telemetry.Series) bool { return len(s.Name) > 5 && s.Name[:5] == "norn_" }

func keepCovered(in []telemetry.Sample, covered map[int64]bool) []telemetry.Sample {
	var out []telemetry.Sample
	for _, p := range in {
		if covered[tenSeconds(p.T)] {
			out = append(out, p)
		}
	}
	return out
}

// tabulate reads a whole feed into a table of series, as the pipeline would
// make them: spans give requests, errors, latency and edges, logs give rates of
// templates. covered holds the ends of the ten-second windows that had spans, odd the
// changes in the order of log lines.
func tabulate(feed Feed) (t *table, g *graph.Graph, covered map[int64]bool, odd []ops.Anomaly, err error) {
	b := newTabulator()
	for {
		it, err := feed.Next()
		if errors.Is(err, io.EOF) {
			b.flush(b.last + 600_000)
			return b.t, b.g, b.covered, b.odd, nil
		}
		if err != nil {
			return nil, nil, nil, nil, err
		}
		b.take(&it)
	}
}

type tabulator struct {
	t       *table
	g       *graph.Graph
	tops    *topology.Builder
	miner   *logmine.Miner
	order   *sequence.Model
	covered map[int64]bool
	odd     []ops.Anomaly
	byID    map[string]int // place in odd
	last    int64
}

func newTabulator() *tabulator {
	miner := logmine.New(logmine.Config{})
	return &tabulator{t: newTable(), g: graph.New(24 * 3600_000), tops: topology.New(topology.Config{}), miner: miner,
		order: sequence.New(sequence.Config{Resolve: miner.Resolve}), covered: map[int64]bool{}, byID: map[string]int{}}
}

func (b *tabulator) flush(now int64) {
	for _, a := range b.order.Tick(now) {
		if i, known := b.byID[a.ID]; known {
			b.odd[i] = a
			continue
		}
		b.byID[a.ID] = len(b.odd)
		b.odd = append(b.odd, a)
	}
	samples, edges := b.tops.Flush(now)
	b.g.Load(edges)
	out := make([]Sample, 0, len(samples))
	for _, s := range samples {
		out = append(out, Sample{Labels: s.Labels, T: s.T, V: s.V, Type: "gauge"})
	}
	for _, s := range b.miner.Flush(now) {
		out = append(out, Sample{Labels: s.Labels, T: s.T, V: s.V, Type: "gauge"})
	}
	b.t.add(out)
}

func (b *tabulator) take(it *Item) {
	b.t.add(it.Samples)
	b.g.Load(it.Edges)
	for i := range it.Logs {
		template, _ := b.miner.Add(&it.Logs[i])
		b.order.Add(&it.Logs[i], template)
	}
	if len(it.Spans) > 0 {
		b.covered[tenSeconds(it.T)] = true
		b.tops.Spans(it.Spans)
	}
	for i := range it.Spans {
		s := &it.Spans[i]
		b.tops.Resource(s.Entity, s.Instance, s.Resource, s.End)
	}
	if b.last == 0 || it.T-b.last > 600_000 {
		b.flush(it.T - 60_000)
	}
	for now := max(b.last, it.T-600_000) + 10_000; now <= it.T; now += 10_000 {
		b.flush(now)
	}
	b.last = it.T
}
