package pipeline

import (
	"context"
	"errors"
	"math"
	"strings"

	"github.com/norn-aiops/norn/internal/cause"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
	"github.com/norn-aiops/norn/internal/where"
)

const (
	whereEvery  = 60_000      // ms between two drill-downs of one incident
	whereWindow = 10 * 60_000 // ms of an incident that are searched at most: its beginning
	maxWheres   = 512         // incidents whose answer is kept
)

// places keeps where the first causes of incidents were found to deviate. It
// belongs to the goroutine that ticks.
type places struct {
	known map[string]place
}

type place struct {
	entity telemetry.Entity
	at     int64
	ev     *ops.Evidence // nil when no combination stands out
}

// locate adds to the first cause which combination of dimension values carries
// its deviation: by attributes of spans, by fields of log lines, by labels of
// series, whatever the kind of evidence has. What cannot be read is left out and
// logged: a verdict without a place is better than none.
func (p *Pipeline) locate(ctx context.Context, id string, in *cause.Input, v *ops.Judgement, now int64) {
	root := firstRoot(v)
	if root == nil || now-in.Onset < whereEvery/2 {
		return
	}
	known, ok := p.places.known[id]
	if !ok || known.entity != root.Entity || now-known.at >= whereEvery {
		known = place{entity: root.Entity, at: now, ev: p.findPlace(ctx, in, root, now)}
		if p.places.known == nil || len(p.places.known) >= maxWheres {
			p.places.known = map[string]place{}
		}
		p.places.known[id] = known
	}
	if known.ev == nil {
		return
	}
	first := root == &v.Causes[0] && v.Sentence != ""
	root.Evidence = append(root.Evidence, *known.ev)
	root.Sentence = strings.TrimSpace(root.Sentence + " " + known.ev.Text)
	if first {
		v.Sentence += " " + known.ev.Text
	}
}

func firstRoot(v *ops.Judgement) *ops.Cause {
	for i := range v.Causes {
		if v.Causes[i].Role == ops.RoleRoot {
			return &v.Causes[i]
		}
	}
	return nil
}

func (p *Pipeline) findPlace(ctx context.Context, in *cause.Input, root *ops.Cause, now int64) *ops.Evidence {
	if len(root.Evidence) == 0 {
		return nil
	}
	best := root.Evidence[0]
	w := where.Before(in.Onset-windowLead/2, min(now, in.Onset+whereWindow))
	var a where.Answer
	var err error
	switch {
	case p.st.Traces != nil && (best.Signal == telemetry.SignalLatency || best.Signal == telemetry.SignalErrors):
		a, err = where.Spans(ctx, p.st.Traces, where.SpanQuery{Service: root.Entity.Name, Latency: best.Signal == telemetry.SignalLatency, Window: w, Limit: 4000})
	case p.st.Logs != nil && best.Signal == telemetry.SignalLogs:
		a, err = where.Logs(ctx, p.st.Logs, where.LogQuery{Query: linesOf(in, root.Entity, best.Series), Window: w})
	}
	if err == nil && len(a.Elements) == 0 {
		a, err = bySeries(in, root.Entity, best.Series)
	}
	if err != nil {
		if !errors.Is(err, where.ErrAsked) {
			p.log.Warn("cannot say where in it a cause deviates", "entity", root.Entity, "err", err)
		}
		return nil
	}
	if len(a.Elements) == 0 || !carries(&best, a.Elements[0].Observed, a.Elements[0].Expected) {
		return nil
	}
	e := a.Elements[0]
	return &ops.Evidence{Entity: root.Entity, Signal: best.Signal, Series: a.Counted, Onset: best.Onset, Observed: e.Observed,
		Expected: e.Expected, Low: e.Expected, High: e.Expected, Weight: 1 - math.Exp(-max(e.Gain, 0)/8), Text: a.Place()}
}

// leastChange is the least change, as a share of what was expected, that a place shows.
const leastChange = .2

// carries reports whether a place changed as its cause did: in the same
// direction, and by more than nothing.
func carries(of *ops.Evidence, observed, expected float64) bool {
	change := observed - expected
	return change*(of.Observed-of.Expected) > 0 && math.Abs(change) >= leastChange*math.Abs(expected)
}

// linesOf is the filter of the lines that a log series counts.
func linesOf(in *cause.Input, e telemetry.Entity, series string) string {
	text := `service:="` + strings.ReplaceAll(e.Name, `"`, `\"`) + `"`
	for i := range in.Series {
		if m := in.Series[i].Meta; m.Entity == e && m.Name == series {
			if t := m.Labels.Get("template"); t != "" {
				return text + ` template:="` + t + `"`
			}
		}
	}
	return text
}

// bySeries compares the series of one metric of an entity.
func bySeries(in *cause.Input, e telemetry.Entity, series string) (where.Answer, error) {
	name := ""
	for i := range in.Series {
		if m := in.Series[i].Meta; m.Entity == e && (m.Name == series || m.Labels.Get("__name__") == series) {
			name = m.Name
		}
	}
	var list []where.Level
	for i := range in.Series {
		s := &in.Series[i]
		if s.Meta.Entity != e || s.Meta.Name != name || len(s.Window) == 0 || len(s.Baseline) == 0 || !s.Meta.Peer.IsZero() {
			continue
		}
		list = append(list, where.Level{Labels: s.Meta.Labels.Map(), Now: mean(s.Window), Before: mean(s.Baseline)})
	}
	if name == "" || len(list) < 4 {
		return where.Answer{}, nil
	}
	return where.Levels(name, list)
}

func mean(xs []telemetry.Sample) float64 {
	sum, n := 0., 0.
	for _, x := range xs {
		if !math.IsNaN(x.V) {
			sum, n = sum+x.V, n+1
		}
	}
	return sum / max(n, 1)
}
