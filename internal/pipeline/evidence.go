package pipeline

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/cause"
	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/incident"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	evidenceHops   = 3
	evidenceSeries = 1500             // series read for one judgement; those of anomalous entities first
	windowLead     = 60_000           // ms before the onset that the window begins
	preLength      = 3 * 60_000       // ms before the window: "the minutes just before"
	minBaseline    = 8                // samples; with fewer, a day is read
	dayMS          = 24 * 3600 * 1000 //
)

// evidence gathers what cause analysis needs to know of one candidate: the
// graph as it was at the onset, and the series of every entity near it.
func (p *Pipeline) evidence(ctx context.Context, c incident.Candidate, now int64) (cause.Input, error) {
	view := p.graph.AsOf(c.Onset)
	if len(view.Edges()) == 0 {
		view = p.graph.AsOf(now)
	}
	near := map[telemetry.Entity]bool{}
	for _, e := range view.Neighbourhood(c.Entities, evidenceHops) {
		near[e] = true
	}
	in := cause.Input{Onset: c.Onset, Now: now, Target: c.Target, Suspect: c.Suspect, View: view, Anomalies: c.Anomalies, Changes: c.Changes,
		Templates: map[string]string{}}
	infos := p.near(near, c.Entities)
	for i := range infos {
		if id := infos[i].Series.Labels.Get("template"); id != "" {
			in.Templates[id] = p.templateText(id)
		}
		s, err := p.window(ctx, c, infos[i].Series, now)
		if err != nil {
			return cause.Input{}, err
		}
		if len(s.Window) > 0 || len(s.Baseline) > 0 {
			in.Series = append(in.Series, s)
		}
	}
	withoutGaps(in.Series)
	return in, nil
}

// near lists the series of the given entities, at most evidenceSeries; those
// of the first entities go before the others.
func (p *Pipeline) near(near map[telemetry.Entity]bool, first []telemetry.Entity) []detect.SeriesInfo {
	infos := p.engine.List(func(s *telemetry.Series) bool { return near[s.Entity] || near[s.Peer] }, 0)
	rank := func(s *telemetry.Series) int {
		if slices.Contains(first, s.Entity) || slices.Contains(first, s.Peer) {
			return 0
		}
		return 1
	}
	slices.SortFunc(infos, func(a, b detect.SeriesInfo) int {
		return cmp.Or(cmp.Compare(rank(a.Series), rank(b.Series)), cmp.Compare(a.Series.ID, b.Series.ID))
	})
	return infos[:min(len(infos), evidenceSeries)]
}

func (p *Pipeline) templateText(id string) string {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return ""
	}
	return p.templateName(n)
}

func (p *Pipeline) templateName(id uint64) string {
	t, _ := p.miner.Find(p.miner.Resolve(id))
	return t.Text
}

// window cuts one series into baseline, the minutes just before, and the time
// since the onset.
func (p *Pipeline) window(ctx context.Context, c incident.Candidate, s *telemetry.Series, now int64) (cause.Series, error) {
	lookback := p.cfg.EvidenceLookback.Milliseconds()
	out, err := p.cut(ctx, c, s, c.Onset-lookback, now)
	if err != nil || len(out.Baseline) >= minBaseline || lookback >= dayMS {
		return out, err
	}
	return p.cut(ctx, c, s, c.Onset-dayMS, now)
}

func (p *Pipeline) cut(ctx context.Context, c incident.Candidate, s *telemetry.Series, from, now int64) (cause.Series, error) {
	data, err := p.Samples(ctx, s, from, now, 0)
	if err != nil {
		return cause.Series{}, err
	}
	begin := c.Onset - windowLead
	at := func(t int64) int {
		i, _ := slices.BinarySearchFunc(data.Samples, t, func(s telemetry.Sample, t int64) int {
			switch {
			case s.T < t:
				return -1
			case s.T > t:
				return 1
			}
			return 0
		})
		return i
	}
	w, b := at(begin), at(begin-preLength)
	base := p.windows.outside(store.SeriesData{Samples: data.Samples[:b]}, s.Entity.String(), c.ID)
	return cause.Series{Meta: s, Baseline: base.Samples, Pre: data.Samples[b:w], Window: data.Samples[w:]}, nil
}

// Samples reads a detection series from the store: raw series as they are,
// derived ones through their expression with the given step (ms; 0 chooses
// 15 s or more, so that at most about 1,000 points come back).
func (p *Pipeline) Samples(ctx context.Context, s *telemetry.Series, from, to, step int64) (store.SeriesData, error) {
	if !s.Derived && step == 0 {
		return p.rawSamples(ctx, s, from, to)
	}
	if step == 0 {
		step = max(15_000, (to-from)/1000)
	}
	got, err := p.st.Metrics.QueryRange(ctx, s.Expr, from, to, step)
	if err != nil || len(got) == 0 {
		return store.SeriesData{Labels: s.Labels}, err
	}
	d := got[0]
	d.Labels = s.Labels
	d.Samples = slices.DeleteFunc(d.Samples, func(x telemetry.Sample) bool { return math.IsNaN(x.V) })
	return d, nil
}

func (p *Pipeline) rawSamples(ctx context.Context, s *telemetry.Series, from, to int64) (store.SeriesData, error) {
	var ms []*labels.Matcher
	s.Labels.Range(func(l labels.Label) {
		ms = append(ms, labels.MustNewMatcher(labels.MatchEqual, l.Name, l.Value))
	})
	got, err := p.st.Metrics.Select(ctx, from, to, ms...)
	if err != nil {
		return store.SeriesData{}, err
	}
	for _, d := range got {
		if labels.Equal(d.Labels, s.Labels) {
			return d, nil
		}
	}
	return store.SeriesData{Labels: s.Labels}, nil
}
