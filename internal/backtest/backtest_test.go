package backtest

import (
	"context"
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	begin  = int64(1_760_000_000_000) / 3600_000 * 3600_000
	minute = int64(60_000)
	hour   = 60 * minute
	from   = begin + 36*hour
	to     = begin + 48*hour
	shift  = begin + 40*hour // latency of cart triples for an hour
	bump   = begin + 44*hour // latency of mail grows by a third for an hour
)

// shop is two days of two services at a point a minute.
func shop(calls *int) History {
	return func(yield func([]store.Committed, error) bool) {
		rng := rand.New(rand.NewPCG(1, 2))
		names := []string{"cart", "mail"}
		for t := begin; t < to; t += hour {
			var batch []store.Committed
			for x := t; x < t+hour; x += minute {
				for i, n := range names {
					v := .2 + .01*rng.NormFloat64()
					if i == 0 && x >= shift && x < shift+hour {
						v *= 3
					}
					if i == 1 && x >= bump && x < bump+hour {
						v *= 1.35
					}
					ls := labels.FromStrings(labels.MetricName, "request_latency_seconds", "service_name", n)
					batch = append(batch, store.Committed{Ref: storage.SeriesRef(i + 1), Labels: ls, T: x, V: v, Type: "gauge"})
				}
			}
			if calls != nil {
				*calls++
			}
			if !yield(batch, nil) {
				return
			}
		}
	}
}

func options(proposed ...rules.Config) Options {
	d := detect.Config{Sensitivity: .05, Full: -1, Hold: 60_000}
	return Options{From: from, To: to, Present: Setup{Detect: d}, Proposed: Setup{Detect: d, Rules: proposed}}
}

func run(t *testing.T, o Options) *Report {
	t.Helper()
	r, err := Run(t.Context(), shop(nil), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func of(r *Report, name string) (found []Pair) {
	for _, p := range r.Alarms {
		if strings.Contains(p.Series, name) {
			found = append(found, p)
		}
	}
	return found
}

// A change that changes nothing finds the same alarms at the same moments, and
// they are those of the faults.
func TestNoChangeNoDifference(t *testing.T) {
	for _, parallel := range []bool{false, true} {
		o := options()
		o.Parallel = parallel
		r := run(t, o)
		if r.Present.Alarms == 0 || r.Present.Alarms != r.Proposed.Alarms || r.Sums.Same != r.Present.Alarms || r.Sums.OnlyAfter+r.Sums.OnlyBefore != 0 {
			t.Errorf("parallel %t: %+v, %+v, %+v", parallel, r.Present, r.Proposed, r.Sums)
		}
		if r.Present.Points != r.Proposed.Points || r.Present.Points != r.Samples || r.Present.StateBytes != r.Proposed.StateBytes || r.Present.CPUSeconds <= 0 {
			t.Errorf("cost %+v, %+v of %d samples", r.Present, r.Proposed, r.Samples)
		}
		cart := of(r, "cart")
		if len(cart) == 0 || cart[0].Before.Onset < shift-minute || cart[0].Before.Time > shift+10*minute || cart[0].Entity.Name != "cart" {
			t.Errorf("cart's fault is seen as %+v", cart)
		}
		if r.WarmupFrom != begin {
			t.Errorf("learnt from %d", r.WarmupFrom-begin)
		}
	}
}

// Rules that ask for more deviation lose the small fault and keep the large
// one; mutes hold back; series that are not watched cost nothing.
func TestWhatAChangeWouldHaveDone(t *testing.T) {
	half := .5
	r := run(t, options(rules.Config{Rules: []rules.Rule{{Name: "calm", Match: `{__name__=~".+"}`, MinDeviation: rules.MinDeviation{Relative: &half}}}}))
	if p := of(r, "mail"); len(p) != 1 || p[0].Outcome != OnlyBefore || p[0].After != nil {
		t.Errorf("mail's small fault: %+v", p)
	}
	if p := of(r, "cart"); len(p) == 0 || p[0].Outcome != Both {
		t.Errorf("cart's large fault: %+v", p)
	}
	if r.Alarms[0].Outcome == Both {
		t.Error("what differs does not come first")
	}
	if r.Entities[0].Name != "service/mail" || r.Entities[0].OnlyBefore != 1 {
		t.Errorf("entities %+v", r.Entities)
	}

	r = run(t, options(rules.Config{Mutes: []rules.Mute{{Name: "m", Match: `{service_name="cart"}`, Start: "2025-01-01T00:00:00Z"}}}))
	if r.Proposed.Muted == 0 || r.Present.Muted != 0 || len(of(r, "cart")) == 0 || of(r, "cart")[0].Outcome != OnlyBefore {
		t.Errorf("muted %d, %+v", r.Proposed.Muted, of(r, "cart"))
	}

	zero := 0.
	r = run(t, options(rules.Config{Rules: []rules.Rule{{Name: "off", Match: `{service_name="mail"}`, Weight: &zero}}}))
	if r.Present.Series != 2 || r.Proposed.Series != 1 || r.Proposed.StateBytes >= r.Present.StateBytes {
		t.Errorf("%+v %+v", r.Present, r.Proposed)
	}

	o := options()
	o.Present.Detect.Sensitivity, o.Proposed.Detect.Sensitivity = .001, 20
	r = run(t, o)
	if p := of(r, "cart"); len(p) == 0 || p[0].Earlier < 0 || r.Proposed.Alarms < r.Present.Alarms {
		t.Errorf("more sensitive, but %+v; %d alarms, then %d", p, r.Present.Alarms, r.Proposed.Alarms)
	}
}

// Incidents that operators marked are the test set.
func TestMarksAreTheTestSet(t *testing.T) {
	find := func(name string, at int64) ops.Incident {
		r := run(t, options())
		for _, p := range of(r, name) {
			a := ops.Anomaly{SeriesID: p.SeriesID, Entity: p.Entity, Onset: p.Before.Onset, LastSeen: p.Before.Time}
			return ops.Incident{ID: name, Onset: at, Anomalies: []ops.Anomaly{a}}
		}
		t.Fatal("no alarm of " + name)
		return ops.Incident{}
	}
	cart, mail := find("cart", shift), find("mail", bump)
	cart.Mark, mail.Mark = ops.MarkReal, ops.MarkNoise
	lines := ops.Incident{ID: "lines", Mark: ops.MarkReal, Onset: bump, Anomalies: []ops.Anomaly{{Kind: ops.AnomalyNewTemplate, Onset: bump}}}
	old := mail
	old.ID, old.Onset = "old", begin
	old.Anomalies = []ops.Anomaly{{SeriesID: 5, Onset: begin, LastSeen: begin}}
	half := .5
	o := options(rules.Config{Rules: []rules.Rule{{Name: "calm", Match: `{__name__=~".+"}`, MinDeviation: rules.MinDeviation{Relative: &half}}}})
	o.Marks = MarkedOf([]ops.Incident{cart, mail, lines, old, {ID: "unmarked", Onset: bump}})
	m := run(t, o).Marks
	if m.Real != 1 || m.RealBefore != 1 || m.RealAfter != 1 || m.RealLost != 0 || m.Noise != 1 || m.NoiseSaved != 1 || m.Beside != 1 || len(m.Incidents) != 2 {
		t.Errorf("%+v", m)
	}
}

// Norn was off for a night: nothing is called silent for it.
func TestAnOutageOfNornIsNoSilence(t *testing.T) {
	var h History = func(yield func([]store.Committed, error) bool) {
		for batch := range shop(nil) {
			if t := batch[0].T; t >= begin+38*hour && t < begin+47*hour {
				continue
			}
			if !yield(batch, nil) {
				return
			}
		}
	}
	r, err := Run(t.Context(), h, options())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Alarms {
		if p.Before.Kind == ops.AnomalySilence {
			t.Errorf("%+v", p.Before)
		}
	}
}

// It ends at once with its context, says what cannot be read, and refuses
// ranges without data.
func TestEndsAndRefuses(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	o := options()
	o.Progress = func(at int64) {
		if at > begin+10*hour {
			cancel()
		}
	}
	if _, err := Run(ctx, shop(&calls), o); !errors.Is(err, context.Canceled) || calls > 13 {
		t.Errorf("%v after %d slices", err, calls)
	}
	broken := errors.New("disk")
	var bad iter.Seq2[[]store.Committed, error] = func(yield func([]store.Committed, error) bool) { yield(nil, broken) }
	if _, err := Run(t.Context(), bad, options()); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := Run(t.Context(), func(func([]store.Committed, error) bool) {}, options()); !errors.Is(err, ErrRange) {
		t.Error(err)
	}
	o.From = o.To
	if _, err := Run(t.Context(), shop(nil), o); !errors.Is(err, ErrRange) {
		t.Error(err)
	}
	if _, err := Run(t.Context(), shop(nil), options(rules.Config{Rules: []rules.Rule{{Match: "{"}}})); err == nil || !strings.Contains(err.Error(), "proposed") {
		t.Error(err)
	}
}

// Alarms that flicker are paired one to one, never twice.
func TestPairsAreOneToOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	some := func() (out []*alarm) {
		for range 300 {
			at := rng.Int64N(100 * hour)
			kind := []ops.AnomalyKind{ops.AnomalySpike, ops.AnomalyLevel}[rng.IntN(2)]
			out = append(out, &alarm{id: telemetry.SeriesID(rng.IntN(5) + 1), Moment: Moment{Time: at, Onset: at - rng.Int64N(hour), Ended: at + rng.Int64N(hour), Kind: kind}})
		}
		return out
	}
	a, b := some(), some()
	match(a, b)
	seen, pairs := map[*alarm]bool{}, 0
	for _, x := range a {
		if x.mate == nil {
			continue
		}
		pairs++
		if seen[x.mate] || x.mate.mate != x || x.mate.id != x.id || math.Abs(float64(x.Time-x.mate.Time)) > float64(3*hour) {
			t.Errorf("%+v with %+v", x, x.mate)
		}
		seen[x.mate] = true
	}
	if pairs < 100 {
		t.Errorf("only %d pairs", pairs)
	}
}

// A series with a point an hour is judged after two weeks, like any other.
func TestASparseSeriesIsJudged(t *testing.T) {
	e := detect.New(detect.Config{Sensitivity: .05, Full: -1})
	meta := &telemetry.Series{ID: 9, Name: "backup_duration_seconds", Signal: telemetry.SignalLatency, Unit: "s"}
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range int64(14 * 24) {
		e.Observe(telemetry.Point{Series: meta, T: begin + i*hour, V: 40 + rng.NormFloat64()})
	}
	x, ok := e.Explain(9)
	if !ok || x.Baseline == "learning" || x.IntervalSeconds != 3600 || !strings.Contains(x.Sentence, "every 60 min") || !strings.Contains(x.Sentence, "Expected now") {
		t.Errorf("%+v", x)
	}
}
