package backtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/pipeline"
	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// machine is two days of one service: six metrics that follow one load, of
// which two stop to do so for an hour, each still within its own band.
func machine(yield func([]store.Committed, error) bool) {
	rng := rand.New(rand.NewPCG(7, 7))
	for t := begin; t < to; t += hour {
		var batch []store.Committed
		for x := t; x < t+hour; x += minute {
			load := 100 + 30*math.Sin(float64(x-begin)/float64(37*minute)*2*math.Pi) + 20*math.Sin(float64(x-begin)/float64(11*minute)*2*math.Pi)
			for i := range 6 {
				v := load
				if i < 2 && x >= shift && x < shift+hour {
					v = 200 - load
				}
				v = float64(i+1)*v + float64(i+1)*rng.NormFloat64()
				ls := labels.FromStrings(labels.MetricName, fmt.Sprintf("sensor_%d", i), "service_name", "press")
				batch = append(batch, store.Committed{Ref: storage.SeriesRef(i + 1), Labels: ls, T: x, V: v, Type: "gauge"})
			}
		}
		if !yield(batch, nil) {
			return
		}
	}
}

func joined(r *Report) (found []Pair) {
	for _, p := range r.Alarms {
		if m := p.Before; m != nil && m.Kind == ops.AnomalyJoint || p.After != nil && p.After.Kind == ops.AnomalyJoint {
			found = append(found, p)
		}
	}
	return found
}

// What only all metrics of an entity together show is found on history as in
// production, and is gone when the change takes its metrics out.
func TestMetricsAreJudgedTogether(t *testing.T) {
	zero := 0.
	o := options(rules.Config{Rules: []rules.Rule{{Name: "loose sensors", Match: `{__name__=~"sensor_[01]"}`, Weight: &zero}}})
	r, err := Run(t.Context(), machine, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Present.Jointly != 1 || r.Proposed.Jointly != 1 || r.Present.JointBytes <= r.Proposed.JointBytes {
		t.Errorf("%+v, %+v", r.Present, r.Proposed)
	}
	found := joined(r)
	if len(found) == 0 {
		t.Fatalf("nothing was found together: %+v", r.Sums)
	}
	for _, p := range found {
		if p.Outcome != OnlyBefore || p.Series != "all metrics together of service/press" || p.Before.Time < shift || p.Before.Time > shift+2*hour {
			t.Errorf("%+v, before %+v, after %+v", p, p.Before, p.After)
		}
	}
	same, err := Run(t.Context(), machine, options())
	if err != nil {
		t.Fatal(err)
	}
	if got := joined(same); len(got) != len(found) || got[0].Outcome != Both || got[0].Earlier != 0 || same.Sums.OnlyAfter+same.Sums.OnlyBefore != 0 {
		t.Errorf("without a change: %+v", same.Sums)
	}
}

// Rules reach the joint judgement on their whole way: weights of metrics and of
// the member, least deviation, direction, range and sensitivity.
func TestRulesReachTheJointJudgement(t *testing.T) {
	all := func(f func(*rules.Rule)) *Report {
		r := rules.Rule{Name: "r", Match: `{__name__=~"sensor_.*"}`}
		f(&r)
		out, err := Run(t.Context(), machine, options(rules.Config{Rules: []rules.Rule{r}}))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	worst := func(r *Report) (before, after float64) {
		for _, p := range joined(r) {
			if p.Before != nil {
				before = max(before, p.Before.Severity)
			}
			if p.After != nil {
				after = max(after, p.After.Severity)
			}
		}
		return before, after
	}
	zero, half, huge, low, high := 0., .5, 1e9, -1e9, 1e9
	for name, c := range map[string]struct {
		rule  func(*rules.Rule)
		holds func(before, after float64) bool
	}{
		"member_weights joint 0":   {func(r *rules.Rule) { r.Members = map[string]float64{"joint": 0} }, func(_, a float64) bool { return a == 0 }},
		"member_weights joint 0.5": {func(r *rules.Rule) { r.Members = map[string]float64{"joint": .5} }, func(b, a float64) bool { return math.Abs(a-b/2) < .05 }},
		"weight 0.5":               {func(r *rules.Rule) { r.Weight = &half }, func(b, a float64) bool { return a > 0 && a < .6*b }},
		"min_deviation":            {func(r *rules.Rule) { r.MinDeviation.Absolute = &huge }, func(_, a float64) bool { return a == 0 }},
		"wide range":               {func(r *rules.Rule) { r.Range.Min, r.Range.Max = &low, &high }, func(b, a float64) bool { return math.Abs(a-b) < 1e-3 }},
		"range":                    {func(r *rules.Rule) { r.Range.Max = &zero }, func(_, a float64) bool { return a == 0 }},
		"sensitivity high":         {func(r *rules.Rule) { r.Sensitivity = "high" }, func(b, a float64) bool { return a > b-1e-3 }},
	} {
		r := all(c.rule)
		if b, a := worst(r); b == 0 || !c.holds(b, a) {
			t.Errorf("%s: severity %g before and %g after", name, b, a)
		}
		if name == "member_weights joint 0" && (r.Proposed.Jointly != 0 || r.Proposed.Series != 6) {
			t.Errorf("taken out of the joint judgement: %+v", r.Proposed)
		}
	}
}

// busy is two days of a service whose processor follows its requests; in one
// half hour twice and a half as many come.
func busy(yield func([]store.Committed, error) bool) {
	rng := rand.New(rand.NewPCG(3, 5))
	for t := begin; t < to; t += hour {
		var batch []store.Committed
		for x := t; x < t+hour; x += minute {
			rate := (100 + 30*math.Sin(float64(x-begin)/float64(90*minute))) * (1 + .05*rng.NormFloat64())
			if x >= shift && x < shift+hour/2 {
				rate = 250 * (1 + .03*rng.NormFloat64())
			}
			cpu := .002*rate + .02*rng.NormFloat64()
			for i, m := range []struct {
				name string
				v    float64
			}{{"http_requests_per_second", rate}, {"cpu_usage_ratio", cpu}} {
				ls := labels.FromStrings(labels.MetricName, m.name, "service_name", "web")
				batch = append(batch, store.Committed{Ref: storage.SeriesRef(i + 1), Labels: ls, T: x, V: m.v, Type: "gauge"})
			}
		}
		if !yield(batch, nil) {
			return
		}
	}
}

// A series whose load is known is judged given it on history too: what a surge
// makes of the processor is counted as explained.
func TestLoadTakesPart(t *testing.T) {
	r, err := Run(t.Context(), busy, options())
	if err != nil {
		t.Fatal(err)
	}
	if r.Present.Driven == 0 || r.Present.Explained == 0 || r.Present.Driven != r.Proposed.Driven {
		t.Errorf("drivers: %+v", r.Present)
	}
}

// above finds values above a limit; it fails once it has seen enough.
type above struct {
	limit float64
	left  int
}

var errTired = errors.New("tired")

func (a *above) Score(_ context.Context, points []telemetry.Point, scores []float64) error {
	if a.left -= len(points); a.left < 0 {
		return errTired
	}
	for i, p := range points {
		scores[i] = math.NaN()
		if p.V > a.limit {
			scores[i] = 10 * p.V / a.limit
		}
	}
	return nil
}

// A plugin that the change adds is asked about history; one that gives up is
// said.
func TestPluginsTakePart(t *testing.T) {
	m, err := rules.NewMatcher(`{service_name="cart"}`)
	if err != nil {
		t.Fatal(err)
	}
	plugin := pipeline.Plugin{Name: "above", Match: m, Threshold: 5, Weight: 1, Scorer: &above{limit: .4, left: 1 << 30}}
	o := options()
	o.Proposed.Plugins = []pipeline.Plugin{plugin}
	r := run(t, o)
	if r.Proposed.Alarms <= r.Present.Alarms || r.Sums.OnlyAfter == 0 && r.Sums.Both == 0 || len(r.Proposed.PluginsOff) != 0 {
		t.Errorf("%+v, %+v, %+v", r.Present, r.Proposed, r.Sums)
	}
	plugin.Scorer = &above{limit: .4, left: 100}
	o.Proposed.Plugins = []pipeline.Plugin{plugin, {Name: "broken", Match: m}}
	r = run(t, o)
	if len(r.Proposed.PluginsOff) != 2 || !strings.Contains(strings.Join(r.Notes, "\n"), "tired") {
		t.Errorf("off: %v, notes %q", r.Proposed.PluginsOff, r.Notes)
	}
}
