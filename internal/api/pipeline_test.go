package api_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// samplePipeline is the running pipeline's part in these tests: it knows the
// sample's series and changes the sample's incidents in the real state store.
type samplePipeline struct {
	s      *sample
	graph  *graph.Graph
	series []*sampleSeries

	mu        sync.Mutex
	templates map[telemetry.Entity]map[uint64]*api.Template
	cells     map[telemetry.Entity]*api.ServiceState
	subs      map[chan api.Event]bool
	dropped   uint64
	stats     api.Stats
	wishes    rules.Config
	tests     []api.Backtest
	revision  int64
}

type sampleSeries struct {
	meta     *telemetry.Series
	expected func(at int64) (expected, spread float64)
	last     float64
	lastT    int64
	anomaly  string
}

func newSamplePipeline(s *sample, edges []graph.Edge) *samplePipeline {
	p := &samplePipeline{s: s, graph: graph.New(15 * 60 * 1000), templates: map[telemetry.Entity]map[uint64]*api.Template{},
		cells: map[telemetry.Entity]*api.ServiceState{}, subs: map[chan api.Event]bool{}}
	for _, th := range s.byName {
		p.cells[th.e] = &api.ServiceState{Entity: th.e, Health: 1, State: "ok", LastSeen: s.end}
	}
	p.graph.Load(edges)
	p.stats = api.Stats{Started: s.end - sampleSpan, SeriesLearning: 3, SeriesUnwatched: map[string]int{"not_numeric": 2}, Entities: len(s.byName),
		Points: 61_000, Logs: 1020, Spans: 160, Rejects: map[string]uint64{"too_old": 12, "line_too_long": 1}, LastReceived: s.end - 800,
		SecretsMasked: 4, LagMS: 120, Skews: []api.Skew{{Sender: "10.0.4.17", OffsetMS: -2100}}}
	return p
}

func (p *samplePipeline) find(e telemetry.Entity, sig telemetry.Signal) *sampleSeries {
	for _, s := range p.series {
		if s.meta.Entity == e && s.meta.Signal == sig {
			return s
		}
	}
	panic(fmt.Sprintf("sample has no %s series of %s", sig, e))
}

func (p *samplePipeline) hurt(e telemetry.Entity, incident string, health float64) {
	c := p.cells[e]
	if health >= c.Health {
		return
	}
	c.Health, c.IncidentID, c.State, c.Text = health, incident, "degraded", "outside its band"
	if health < 0.35 {
		c.State, c.Text = "failing", "probable root cause"
	}
}

func (p *samplePipeline) see(e telemetry.Entity, id uint64, text, example string, sev telemetry.Severity, at int64) {
	if p.templates[e] == nil {
		p.templates[e] = map[uint64]*api.Template{}
	}
	t := p.templates[e][id]
	if t == nil {
		t = &api.Template{ID: id, Entity: e, Text: text, Severity: sev, FirstSeen: at}
		p.templates[e][id] = t
	}
	t.Count, t.LastSeen, t.Example = t.Count+1, at, example
}

func (p *samplePipeline) Series(m api.SeriesMatch) ([]api.SeriesInfo, int) {
	var out []api.SeriesInfo
	for _, s := range p.series {
		text := strings.ToLower(s.meta.Name + " " + s.meta.Labels.String() + " " + s.meta.Entity.String())
		hit := (m.ID == 0 || s.meta.ID == m.ID) && (m.Entity.IsZero() || s.meta.Entity == m.Entity) && (m.Signal == "" || s.meta.Signal == m.Signal)
		for w := range strings.FieldsSeq(strings.ToLower(m.Text)) {
			hit = hit && strings.Contains(text, w)
		}
		if hit {
			out = append(out, api.SeriesInfo{Meta: s.meta, Last: s.last, LastTime: s.lastT, AnomalyID: s.anomaly, Tier: "full"})
		}
	}
	slices.SortStableFunc(out, func(a, b api.SeriesInfo) int {
		return cmp.Or(-cmp.Compare(min(1, len(a.AnomalyID)), min(1, len(b.AnomalyID))), strings.Compare(a.Meta.Entity.Name, b.Meta.Entity.Name), strings.Compare(a.Meta.Name, b.Meta.Name))
	})
	return out[:min(len(out), m.Limit)], len(out)
}

func (p *samplePipeline) Explain(id telemetry.SeriesID) (api.Explanation, bool) {
	for _, s := range p.series {
		if s.meta.ID == id {
			e, sp := s.expected(s.lastT)
			return api.Explanation{Sentence: "Follows a daily wave; the newest value is judged against the same hour of the days before.", Phase: "watching",
				Points: 1080, IntervalMS: sampleStep, LastTime: s.lastT, Last: s.last, Expected: e, Low: e - sp, High: e + sp, P: 0.4, AnomalyID: s.anomaly,
				Members: []api.Member{{Name: "residual", Score: 1.2, P: 0.4, Text: "distance from the expected value in units of the usual noise"}},
				Facts:   []api.Fact{{Name: "season", Text: "daily"}}}, true
		}
	}
	return api.Explanation{}, false
}

func (p *samplePipeline) Bands(id telemetry.SeriesID, from, to, step int64) []ops.Band {
	var out []ops.Band
	for _, s := range p.series {
		if s.meta.ID != id {
			continue
		}
		for at := from; at <= to && at <= p.s.end+60000; at += step {
			e, sp := s.expected(at)
			out = append(out, ops.Band{T: at, Expected: e, Low: max(0, e-sp), High: e + sp})
		}
	}
	return out
}

func (p *samplePipeline) TemplateAliases() map[uint64]uint64 { return map[uint64]uint64{77: 5} }

func (p *samplePipeline) Templates(e telemetry.Entity) []api.Template {
	var out []api.Template
	for ent, m := range p.templates {
		if e.IsZero() || ent == e {
			for _, t := range m {
				out = append(out, *t)
			}
		}
	}
	slices.SortFunc(out, func(a, b api.Template) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.ID, b.ID)) })
	return out
}

func (p *samplePipeline) Stats() api.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := p.stats
	st.SeriesWatched, st.EventsDropped = len(p.series), p.dropped
	return st
}

func (p *samplePipeline) Services() []api.ServiceState {
	var out []api.ServiceState
	for _, c := range p.cells {
		out = append(out, *c)
	}
	return out
}

func (p *samplePipeline) GraphAt(t int64) *graph.View { return p.graph.AsOf(t) }

func (p *samplePipeline) Capacity() ([]ops.Capacity, ops.CapacityState) {
	at := func(days int64) *int64 { t := p.s.end + days*24*3600_000; return &t }
	disk := ops.Capacity{ID: "1", Resource: "disk", Entity: telemetry.Entity{Kind: telemetry.KindHost, Name: "node-1"}, Labels: map[string]string{"mountpoint": "/data"},
		Expr: "node_filesystem_avail_bytes", Unit: "By", Falling: true, Value: 5e9, Peak: 5e9, P10: at(1), P50: at(2), P90: at(4), InLead: .7, Lead: 3 * 24 * 3600_000, Growth: -2.5e9,
		Drivers: []ops.CapacityShare{}, Urgent: true, Sentence: "disk of node-1 (/data): reaches 0 B in 2 days more likely than not."}
	pool := ops.Capacity{ID: "2", Resource: "connection pool", Entity: telemetry.Entity{Kind: telemetry.KindService, Name: "orders"}, Labels: map[string]string{}, Unit: "1", Limit: 1, Value: .4, Peak: .5,
		Lead: 24 * 3600_000, Drivers: []ops.CapacityShare{}, Sentence: "connection pool of orders: does not reach 100 % in the time looked ahead."}
	return []ops.Capacity{disk, pool}, ops.CapacityState{Series: 2, Errors: []string{}}
}

func (p *samplePipeline) SLOs() []ops.SLO {
	sli := .9987
	gone := int64(3 * 3600_000)
	return []ops.SLO{{Name: "orders answer", Entity: telemetry.Entity{Kind: telemetry.KindService, Name: "orders"}, Kind: "availability", Objective: .999,
		Window: 30 * 24 * 3600_000, SLI: &sli, Requests: 10_000, Bad: 13, Left: -.3, Exhausted: &gone, Burns: []ops.Burn{}, Sentence: "99.9 % of requests are to be answered without failure in 30 days (declared): 99.87 % were, the budget is overspent by 30 %."},
		{Name: "usual availability", Entity: telemetry.Entity{Kind: telemetry.KindService, Name: "cart"}, Kind: "availability", Objective: .99,
			Window: 30 * 24 * 3600_000, Inferred: true, Left: 1, Burns: []ops.Burn{}, Sentence: "no requests were seen."}}
}

func (p *samplePipeline) TeamOf(e telemetry.Entity) string {
	if e.Name == "orders" || e.Name == "orders-db" {
		return "shop"
	}
	return ""
}

func (p *samplePipeline) Suppressed() ([]ops.Suppressed, ops.Budget) {
	return []ops.Suppressed{{ID: "held-2", Title: "search: slow", Why: "chance", P: .4, Level: .3, First: 2, Team: "shop"}, {ID: "held-1", First: 1}},
		ops.Budget{PagesPerWeek: 3, Spent: .5, Level: .25, Suppressed: 2}
}

func (p *samplePipeline) Subscribe(ctx context.Context) <-chan api.Event {
	ch := make(chan api.Event, 16)
	p.mu.Lock()
	p.subs[ch] = true
	p.mu.Unlock()
	context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.subs, ch)
		close(ch)
	})
	return ch
}

// readers is how many streams are open now.
func (p *samplePipeline) readers() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.subs)
}

func (p *samplePipeline) publish(e api.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ch := range p.subs {
		select {
		case ch <- e:
		default:
			p.dropped++
		}
	}
}

func (p *samplePipeline) change(ctx context.Context, id, kind, who, text string, step func(*ops.Incident) error) (*ops.Incident, error) {
	in, err := p.s.state.Incident(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := step(in); err != nil {
		return nil, err
	}
	in.Timeline = append(in.Timeline, ops.Event{Time: p.s.end, Kind: kind, Text: strings.TrimSuffix(who+": "+text, ": ")})
	if err := p.s.state.PutIncident(ctx, in); err != nil {
		return nil, err
	}
	p.publish(api.Event{Kind: api.EventIncident, ID: id, Time: p.s.end, Text: kind})
	return in, nil
}

func (p *samplePipeline) Mitigate(ctx context.Context, id, who, text string) (*ops.Incident, error) {
	in, err := p.Acknowledge(ctx, id, who, text)
	if err == nil {
		in.State = ops.StateMitigating
		err = p.s.state.PutIncident(ctx, in)
	}
	return in, err
}

func (p *samplePipeline) Merge(ctx context.Context, id, into, _ string) ([]ops.Incident, error) {
	return p.both(ctx, id, into)
}

func (p *samplePipeline) Split(ctx context.Context, id string, _ []string, _ string) ([]ops.Incident, error) {
	return p.both(ctx, id, id)
}

func (p *samplePipeline) both(ctx context.Context, a, b string) ([]ops.Incident, error) {
	x, err := p.s.state.Incident(ctx, a)
	if err != nil {
		return nil, err
	}
	y, err := p.s.state.Incident(ctx, b)
	if err != nil {
		return nil, err
	}
	return []ops.Incident{*x, *y}, nil
}

func (p *samplePipeline) Acknowledge(ctx context.Context, id, who, text string) (*ops.Incident, error) {
	return p.change(ctx, id, "acknowledged", who, text, func(in *ops.Incident) error {
		if in.State != ops.StateOpen {
			return fmt.Errorf("%w: it is %s", api.ErrConflict, in.State)
		}
		in.State = ops.StateAcknowledged
		return nil
	})
}

func (p *samplePipeline) Resolve(ctx context.Context, id, who, text string) (*ops.Incident, error) {
	return p.change(ctx, id, "resolved", who, text, func(in *ops.Incident) error {
		if in.State == ops.StateResolved {
			return fmt.Errorf("%w: it is resolved already", api.ErrConflict)
		}
		in.State, in.Resolved = ops.StateResolved, p.s.end
		return nil
	})
}

func (p *samplePipeline) Comment(ctx context.Context, id, who, text string) (*ops.Incident, error) {
	return p.change(ctx, id, "comment", who, text, func(*ops.Incident) error { return nil })
}

func (p *samplePipeline) Why(ctx context.Context, incident, anomaly string) (api.Why, error) {
	in, err := p.s.state.Incident(ctx, incident)
	if err != nil {
		return api.Why{}, err
	}
	for _, a := range in.Anomalies {
		if a.ID == anomaly {
			return api.Why{IncidentID: incident, AnomalyID: anomaly, Sentence: "It began within a minute of the first sign and its entity depends on the root.",
				Reasons: []api.Reason{{Name: "time", Text: "began 20 s after the first sign", Weight: 0.9}, {Name: "topology", Text: "one call away from the root", Weight: 0.8}}}, nil
		}
	}
	return api.Why{}, fmt.Errorf("anomaly %q: %w", anomaly, store.ErrNotFound)
}
