package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/incident"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/pipeline"
	"github.com/norn-aiops/norn/internal/telemetry"
)

var _ api.Live = (*live)(nil)

// live shows the running pipeline to the API. It only translates.
type live struct {
	*backtests
	pipe     *pipeline.Pipeline
	registry prometheus.Gatherer
	log      *slog.Logger
	started  time.Time
	plugins  []loadedPlugin
}

// Series lists watched series, those that deviate first.
func (l *live) Series(m api.SeriesMatch) ([]api.SeriesInfo, int) {
	words := strings.Fields(strings.ToLower(m.Text))
	found := l.pipe.Engine().List(func(s *telemetry.Series) bool {
		if m.ID != 0 && s.ID != m.ID || m.Signal != "" && s.Signal != m.Signal {
			return false
		}
		if !m.Entity.IsZero() && s.Entity != m.Entity && s.Peer != m.Entity && s.Instance != m.Entity {
			return false
		}
		return len(words) == 0 || holds(s, words)
	}, 0)
	slices.SortFunc(found, func(a, b detect.SeriesInfo) int {
		if a.Anomalous != b.Anomalous {
			if a.Anomalous {
				return -1
			}
			return 1
		}
		x, y := a.Series, b.Series // no text is made here: a list may hold 100,000
		if c := cmp.Or(cmp.Compare(x.Entity.Kind, y.Entity.Kind), strings.Compare(x.Entity.Name, y.Entity.Name), strings.Compare(x.Name, y.Name)); c != 0 {
			return c
		}
		return labels.Compare(x.Labels, y.Labels)
	})
	active := l.activeBySeries()
	out := make([]api.SeriesInfo, 0, min(len(found), m.Limit))
	for _, f := range found[:min(len(found), m.Limit)] {
		out = append(out, api.SeriesInfo{Meta: f.Series, LastTime: f.T, Last: f.V, AnomalyID: active[f.Series.ID], Tier: f.Tier.String(), Less: f.Less})
	}
	return out, len(found)
}

// holds reports whether every word occurs in the series' name, a label's
// value or the entity.
func holds(s *telemetry.Series, words []string) bool {
	var b strings.Builder
	b.WriteString(s.Name + " " + s.Entity.String() + " " + s.Peer.String() + " " + s.Instance.String())
	s.Labels.Range(func(lb labels.Label) { b.WriteString(" " + lb.Value) })
	text := strings.ToLower(b.String())
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

func (l *live) activeBySeries() map[telemetry.SeriesID]string {
	out := map[telemetry.SeriesID]string{}
	for _, a := range l.pipe.Engine().Active() {
		out[a.SeriesID] = a.ID
	}
	return out
}

// Explain says how a series is judged.
func (l *live) Explain(id telemetry.SeriesID) (api.Explanation, bool) {
	x, ok := l.pipe.Engine().Explain(id)
	if !ok {
		return api.Explanation{}, false
	}
	out := api.Explanation{
		Sentence: x.Sentence, Phase: "watching", Points: int64(x.Points), IntervalMS: int64(1000 * x.IntervalSeconds),
		Last: x.Value, Expected: x.Expected, Low: x.Low, High: x.High, P: 1,
		Members: members(&x), Facts: facts(&x),
	}
	if d, driven := l.pipe.Driver(id); driven {
		out.Sentence += " " + d.Sentence
		out.Facts = append(out.Facts, api.Fact{Name: "load", Text: d.Sentence})
		out.Driver = driverOf(&d)
	}
	if found := l.pipe.Engine().List(func(s *telemetry.Series) bool { return s.ID == id }, 1); len(found) > 0 {
		if j, judged := l.pipe.Joint(found[0].Series.Entity); judged {
			out.Facts = append(out.Facts, api.Fact{Name: "together", Text: j.Sentence})
			out.Together = l.togetherOf(&j)
		}
	}
	out.LastTime, _ = l.pipe.Engine().LastSeen(id)
	if s, found := l.pipe.Engine().Series(id); found {
		out.Facts = append(out.Facts, policyFacts(s.Policy)...)
		if s.Policy != nil {
			out.Rules = s.Policy.Rules
		}
	}
	switch x.Baseline {
	case "learning":
		out.Phase = "learning"
	case "counted":
		out.Phase = "counted"
	}
	for _, a := range l.pipe.Engine().Active() {
		if a.SeriesID == id {
			out.AnomalyID, out.P = a.ID, a.P
			for i := range out.Members {
				if out.Members[i].Name == a.Member {
					out.Members[i].P = a.P
				}
			}
			if a.Kind == ops.AnomalySilence {
				out.Phase = "silent"
			}
		}
	}
	return out, true
}

func members(x *detect.Explanation) []api.Member {
	if x.Baseline == "counted" {
		return []api.Member{{Name: "silence", P: 1, Text: "the only thing that is judged"}}
	}
	out := []api.Member{{Name: "level", Score: x.Z, P: 1, Text: fmt.Sprintf("a lasting shift speaks beyond %.1f scales", x.LevelLimit)}}
	if c := x.Choice; c.Text != "" {
		for _, m := range []struct {
			name   string
			weight float32
		}{{"jump", c.Weights.Jump}, {"spike", c.Weights.Spike}, {"size", c.Weights.Size}, {"distance", c.Weights.Distance}, {"run", c.Weights.Run}, {"novelty", c.Weights.Novelty}} {
			out = append(out, api.Member{Name: m.name, P: 1, Weight: float64(m.weight), Text: fmt.Sprintf("weighs %.1f an e-fold; all together speak beyond %.1f", m.weight, c.Limit)})
		}
		return out
	}
	out = append(out, api.Member{Name: "spike", Score: x.Z, P: 1, Text: fmt.Sprintf("one to three points speak beyond %.1f scales", x.SpikeLimit)})
	if x.ShapeReady {
		out = append(out, api.Member{Name: "shape", P: 1, Text: fmt.Sprintf("an unseen sequence speaks beyond %.2f", x.ShapeLimit)})
	}
	return out
}

func facts(x *detect.Explanation) []api.Fact {
	p := &x.Profile
	out := []api.Fact{{Name: "tier", Text: x.Tier}}
	if x.Less != "" {
		out = append(out, api.Fact{Name: "watched less", Text: x.Less})
	}
	out = append(out, api.Fact{Name: "baseline", Text: x.Baseline}, api.Fact{Name: "members", Text: p.Members})
	if x.Baseline == "counted" {
		return out
	}
	out = append(out, []api.Fact{
		{Name: "kind", Text: p.Text},
		{Name: "repeats", Text: fmt.Sprintf("%.0f %% of values equal the last, %.0f %% are 0; never more than %.0f alike in a row of late", 100*p.Repeats, 100*p.Zeros, p.Longest+1)},
		{Name: "daily gain", Text: dailyGain(x.DailyGain)},
		{Name: "history", Text: fmt.Sprintf("calibrated on %.0f hours", x.HistoryHours)},
	}...)
	if x.Choice.Text != "" {
		out = append(out, api.Fact{Name: "choice", Text: x.Choice.Text})
	}
	if x.Count.Text != "" {
		out = append(out, api.Fact{Name: "count", Text: x.Count.Text})
	}
	if x.Season.Text != "" {
		out = append(out, api.Fact{Name: "season", Text: x.Season.Text})
	}
	if x.Intermittent {
		out = append(out, api.Fact{Name: "intermittent", Text: "gaps are usual, so silence means nothing"})
	} else if x.SilentAfter > 0 {
		out = append(out, api.Fact{Name: "silent after", Text: fmt.Sprintf("%.0f s without a point", x.SilentAfter)})
	}
	return out
}

func dailyGain(gain float64) string {
	switch percent := math.Round(100 * gain); {
	case gain == 0:
		return "not known before the second day"
	case percent == 0:
		return "the profile of the day is no better than a level"
	case percent < 0:
		return fmt.Sprintf("the profile of the day is %.0f %% worse than a level", -percent)
	default:
		return fmt.Sprintf("the profile of the day is %.0f %% better than a level", percent)
	}
}

// Bands gives the expected band.
func (l *live) Bands(id telemetry.SeriesID, from, to, step int64) []ops.Band {
	return l.pipe.Engine().Bands(id, from, to, step)
}

// Templates lists mined log templates, the most frequent first.
func (l *live) Templates(e telemetry.Entity) []api.Template {
	entities := []telemetry.Entity{e}
	if e.IsZero() {
		entities = l.pipe.Miner().Entities()
	}
	var out []api.Template
	for _, en := range entities {
		for _, t := range l.pipe.Miner().Templates(en) {
			a := api.Template{ID: t.ID, Entity: en, Text: t.Text, Example: t.Example, Severity: t.Severity,
				Count: t.Count, FirstSeen: t.FirstSeen / 1e6, LastSeen: t.LastSeen / 1e6}
			for _, p := range t.Parameters {
				a.Params = append(a.Params, api.TemplateParam(p))
			}
			for _, v := range t.Versions {
				a.Versions = append(a.Versions, api.TemplateVersion{Text: v.Text, From: v.From / 1e6})
			}
			out = append(out, a)
		}
	}
	slices.SortStableFunc(out, func(a, b api.Template) int {
		switch {
		case a.Count > b.Count:
			return -1
		case a.Count < b.Count:
			return 1
		}
		return 0
	})
	return out
}

// TemplateAliases gives the ids of merged templates.
func (l *live) TemplateAliases() map[uint64]uint64 { return l.pipe.Miner().Aliases() }

// GraphAt gives the dependency graph as it was at t.
func (l *live) GraphAt(t int64) *graph.View { return l.pipe.GraphAt(t) }

// Suppressed lists what the budget of false pages holds back.
func (l *live) Suppressed() ([]ops.Suppressed, ops.Budget) { return l.pipe.Suppressed() }

// Capacity lists what has a limit, the most urgent first.
func (l *live) Capacity() ([]ops.Capacity, ops.CapacityState) { return l.pipe.Capacity() }

// SLOs lists the service level objectives.
func (l *live) SLOs() []ops.SLO { return l.pipe.SLOs() }

// TeamOf names whose an entity is.
func (l *live) TeamOf(e telemetry.Entity) string { return l.pipe.TeamOf(e) }

// Subscribe translates the pipeline's events.
func (l *live) Subscribe(ctx context.Context) <-chan api.Event {
	in := l.pipe.Subscribe(ctx)
	out := make(chan api.Event, 16)
	go func() { // ends with in, which ends with ctx
		defer close(out)
		for e := range in {
			ev := api.Event{Kind: api.EventIncident, ID: e.Incident.ID, Time: e.Incident.Updated, Text: e.Incident.Title}
			if len(e.Incident.Causes) > 0 {
				ev.Entity = e.Incident.Causes[0].Entity
			}
			select {
			case out <- ev:
			default: // a hint; the reader asks again
			}
		}
	}()
	return out
}

// Acknowledge says that somebody works on an incident.
func (l *live) Acknowledge(ctx context.Context, id, who, text string) (*ops.Incident, error) {
	return l.do(ctx, (*incident.Correlator).Acknowledge, id, who, text)
}

// Mitigate says that somebody undoes an incident's harm.
func (l *live) Mitigate(ctx context.Context, id, who, text string) (*ops.Incident, error) {
	return l.do(ctx, (*incident.Correlator).Mitigate, id, who, text)
}

// Merge moves everything of an incident into another.
func (l *live) Merge(ctx context.Context, id, into, who string) ([]ops.Incident, error) {
	return operated(l.pipe.Merge(ctx, id, into, who))
}

// Split moves anomalies of an incident into one of their own.
func (l *live) Split(ctx context.Context, id string, anomalies []string, who string) ([]ops.Incident, error) {
	return operated(l.pipe.Split(ctx, id, anomalies, who))
}

func operated(ins []ops.Incident, err error) ([]ops.Incident, error) {
	if errors.Is(err, incident.ErrState) {
		return nil, fmt.Errorf("%w: %w", api.ErrConflict, err)
	}
	return ins, err
}

// Resolve closes an incident by hand.
func (l *live) Resolve(ctx context.Context, id, who, text string) (*ops.Incident, error) {
	return l.do(ctx, (*incident.Correlator).ResolveByHand, id, who, text)
}

// Comment adds to an incident's timeline.
func (l *live) Comment(ctx context.Context, id, who, text string) (*ops.Incident, error) {
	return l.do(ctx, (*incident.Correlator).Comment, id, who, text)
}

// Mark notes an operator's verdict on an incident.
func (l *live) Mark(ctx context.Context, id, who string, mark ops.Mark) (*ops.Incident, error) {
	return l.pipe.Mark(ctx, id, who, mark)
}

func (l *live) do(ctx context.Context, act pipeline.Act, id, who, text string) (*ops.Incident, error) {
	in, err := l.pipe.Do(ctx, act, id, who, text)
	if errors.Is(err, incident.ErrState) {
		return nil, fmt.Errorf("%w: %w", api.ErrConflict, err)
	}
	return in, err
}

// Why says why an anomaly is in an incident.
func (l *live) Why(ctx context.Context, id, anomaly string) (api.Why, error) {
	sentence, reasons, err := l.pipe.Why(ctx, id, anomaly)
	if err != nil {
		return api.Why{}, err
	}
	return api.Why{IncidentID: id, AnomalyID: anomaly, Sentence: sentence, Reasons: append([]api.Reason{}, reasons...)}, nil
}
