package cause

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func TestNothingInNothingOut(t *testing.T) {
	for name, in := range map[string]Input{
		"empty":             {},
		"target alone":      {Target: ent("frontend"), Onset: onsetMs, Now: nowMs},
		"series no samples": {Series: []Series{{Meta: &telemetry.Series{Entity: ent("cart"), Signal: telemetry.SignalLatency}}}},
		"no entity":         {Series: []Series{{Meta: &telemetry.Series{Signal: telemetry.SignalErrors}, Window: []telemetry.Sample{{T: 1, V: 1}}}}},
	} {
		j := Rank(in, Config{})
		if j.Verdict != ops.VerdictNoIncident || j.Causes == nil || j.Links == nil {
			t.Errorf("%s: %+v", name, j)
		}
	}
}

// Random garbage of every signal must neither panic nor yield numbers that
// JSON cannot hold.
func TestGarbageGivesFiniteAnswers(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, -1, 1e308, -1e308, 1e-308, 1}
	signals := []telemetry.Signal{telemetry.SignalLatency, telemetry.SignalErrors, telemetry.SignalTraffic, telemetry.SignalSaturation, telemetry.SignalNetwork, telemetry.SignalLogs, telemetry.SignalUp, telemetry.SignalOther, "odd"}
	names := []string{"frontend", "cart", "orders", "orders-db", "host-1"}
	for round := range 300 {
		in := Input{Onset: onsetMs, Now: nowMs, View: newEstate(1).view()}
		if round%2 == 0 {
			in.Target = ent(names[rng.IntN(len(names))])
		}
		for i := range 30 {
			m := &telemetry.Series{ID: telemetry.SeriesID(i), Name: []string{"norn_request_rate", "x_requests", "norn_self_time_seconds", "y"}[rng.IntN(4)], Entity: ent(names[rng.IntN(len(names))]), Signal: signals[rng.IntN(len(signals))],
				Labels: labels.FromStrings("template", fmt.Sprint(i%7)), Unit: []string{"", "1", "s", "{request}/s"}[rng.IntN(4)], Direction: telemetry.Direction(rng.IntN(3) - 1)}
			if rng.IntN(3) == 0 {
				m.Peer = ent(names[rng.IntN(len(names))])
			}
			s := Series{Meta: m}
			for k := range 40 {
				v := rng.NormFloat64()
				if rng.IntN(4) == 0 {
					v = odd[rng.IntN(len(odd))]
				}
				p := telemetry.Sample{T: onsetMs + int64(k-30)*10_000, V: v}
				if k < 28 {
					s.Baseline = append(s.Baseline, p)
				} else {
					s.Window = append(s.Window, p)
				}
			}
			in.Series = append(in.Series, s)
		}
		for i := range 5 {
			in.Anomalies = append(in.Anomalies, ops.Anomaly{ID: fmt.Sprint(i), Entity: ent(names[rng.IntN(len(names))]), Severity: odd[rng.IntN(len(odd))], Signal: signals[rng.IntN(len(signals))],
				Kind: []ops.AnomalyKind{ops.AnomalySilence, ops.AnomalyAlert, ops.AnomalyLevel, ops.AnomalyNewTemplate}[rng.IntN(4)], Onset: onsetMs, Observed: odd[rng.IntN(len(odd))]})
		}
		j := Rank(in, Config{})
		for _, v := range []float64{j.Confidence, j.Severity, j.Impact} {
			if math.IsNaN(v) || v < 0 || v > 1 {
				t.Fatalf("round %d: confidence %v severity %v impact %v", round, j.Confidence, j.Severity, j.Impact)
			}
		}
		for _, c := range j.Causes {
			if math.IsNaN(c.Score) || c.Score < 0 || c.Score > 1 || math.IsNaN(c.Probability) || c.Probability > 1 || math.IsNaN(c.Unexplained) {
				t.Fatalf("round %d: %+v", round, c)
			}
			for _, e := range c.Evidence {
				for _, v := range []float64{e.Observed, e.Expected, e.Low, e.High, e.Z, e.Weight} {
					if math.IsNaN(v) || math.IsInf(v, 0) {
						t.Fatalf("round %d: evidence %+v", round, e)
					}
				}
			}
		}
	}
}

func TestAnotherToolsAlertAndANewLogLineAreEvidence(t *testing.T) {
	e := newEstate(2)
	e.fault = func(n string, h *health) {
		if n == "payment" {
			h.fail = .15
		}
	}
	in := e.input("frontend")
	in.Anomalies = []ops.Anomaly{
		{ID: "n1", Kind: ops.AnomalyNewTemplate, Entity: ent("payment"), Series: "card processor refused: timeout", Signal: telemetry.SignalLogs, Severity: .7, Onset: onsetMs},
		{ID: "f1", Kind: ops.AnomalyAlert, Entity: ent("payment"), Series: "PaymentFailing", Severe: "critical", Source: "alertmanager", Onset: onsetMs},
	}
	j := Rank(in, Config{})
	if rootsOf(j)[0] != "payment" || !strings.Contains(j.Sentence, "card processor refused") {
		show(t, j)
		t.Fatal("payment must be named with its new log line")
	}
	found := 0
	for _, ev := range j.Causes[0].Evidence {
		if ev.AnomalyID == "n1" || ev.AnomalyID == "f1" {
			found++
		}
	}
	if found != 2 {
		t.Errorf("%d of 2 anomalies are in the evidence", found)
	}
}

func TestAlertsAloneLeadToTheDeepestEntity(t *testing.T) {
	in := Input{Onset: onsetMs, Now: nowMs, View: newEstate(1).view(), Anomalies: []ops.Anomaly{
		{ID: "1", Kind: ops.AnomalyAlert, Entity: ent("orders-db"), Series: "DiskFull", Severe: "critical", Onset: onsetMs},
		{ID: "2", Kind: ops.AnomalyAlert, Entity: ent("frontend"), Series: "Slow", Severe: "info", Onset: onsetMs},
	}}
	j := Rank(in, Config{})
	if len(j.Causes) == 0 || j.Causes[0].Entity.Name != "orders-db" {
		show(t, j)
		t.Fatal("the critical alert must come first")
	}
}

func TestALeakIsFoundThoughItCreeps(t *testing.T) {
	e := newEstate(4)
	in := e.input("frontend")
	for i := range in.Series {
		s := &in.Series[i]
		if s.Meta.Entity != ent("cart") {
			continue
		}
		for k := range s.Window {
			p := &s.Window[k]
			since := float64(p.T-(onsetMs-10*60_000)) / 60_000 // began ten minutes before anyone felt it
			if strings.Contains(s.Meta.Name, "memory") {
				p.V *= 1 + .3*since
			}
			if p.T >= onsetMs && s.Meta.Signal == telemetry.SignalLatency && s.Meta.Peer.IsZero() {
				p.V += .3
			}
		}
	}
	for i := range in.Series { // frontend waits for cart
		s := &in.Series[i]
		if s.Meta.Entity == ent("frontend") && s.Meta.Name == "norn_latency_seconds" {
			for k := range s.Window {
				if s.Window[k].T >= onsetMs {
					s.Window[k].V += .3
				}
			}
		}
	}
	j := Rank(in, Config{})
	if got := rootsOf(j); len(got) == 0 || got[0] != "cart" || !strings.Contains(j.Sentence, "memory at") {
		show(t, j)
		t.Fatalf("roots %v, sentence %q", got, j.Sentence)
	}
}

func TestRetriesInsideTheEstateAreNoSurge(t *testing.T) {
	e := newEstate(5)
	e.fault = func(n string, h *health) {
		if n == "payment" {
			h.self, h.fail = 2, .2
		}
	}
	in := e.input("frontend")
	for i := range in.Series {
		s := &in.Series[i]
		if s.Meta.Signal == telemetry.SignalTraffic && (s.Meta.Entity == ent("payment") || s.Meta.Peer == ent("payment")) {
			for k := range s.Window {
				if s.Window[k].T >= onsetMs {
					s.Window[k].V *= 3
				}
			}
		}
	}
	j := Rank(in, Config{})
	if j.Verdict != ops.VerdictCause || rootsOf(j)[0] != "payment" {
		show(t, j)
		t.Fatalf("%s %v", j.Verdict, rootsOf(j))
	}
}

func TestANewDependencyIsNotBlamed(t *testing.T) {
	e := newEstate(6)
	e.fault = func(n string, h *health) {
		if n == "orders" {
			h.fail = .3
		}
	}
	in := e.input("frontend")
	fresh := telemetry.Entity{Kind: telemetry.KindDatabase, Name: "invalid-table"}
	in.View = graph.NewView(append(append([]graph.Edge{}, in.View.Edges()...), graph.Edge{From: ent("orders"), To: fresh, Kind: graph.Calls}))
	s := Series{Meta: &telemetry.Series{ID: 99, Name: "norn_error_ratio", Entity: fresh, Signal: telemetry.SignalErrors, Unit: "1", Direction: telemetry.UpBad}}
	for ts := int64(onsetMs); ts <= nowMs; ts += stepMs {
		s.Window = append(s.Window, telemetry.Sample{T: ts, V: 1})
	}
	in.Series = append(in.Series, s)
	j := Rank(in, Config{})
	if got := rootsOf(j); len(got) == 0 || got[0] != "orders" {
		show(t, j)
		t.Fatalf("roots %v: what was called only since the deploy is no cause", got)
	}
}

// One thousand services with ten series each: the answer is right, and small.
func TestABigEstateGivesASmallAnswer(t *testing.T) {
	in := bigEstate(1000, 10)
	j := Rank(in, Config{})
	if got := rootsOf(j); len(got) == 0 || got[0] != "s777" || len(j.Causes) > maxReported {
		t.Fatalf("roots %v, %d causes", got, len(j.Causes))
	}
}

func BenchmarkBigEstate(b *testing.B) {
	in := bigEstate(1000, 10)
	b.ReportAllocs()
	for b.Loop() {
		Rank(in, Config{})
	}
}

// bigEstate is a tree of n services with k series each; s777 is slow.
func bigEstate(n, k int) Input {
	rng := rand.New(rand.NewPCG(8, 8))
	name := func(i int) telemetry.Entity {
		return telemetry.Entity{Kind: telemetry.KindService, Name: fmt.Sprintf("s%d", i)}
	}
	in := Input{Onset: onsetMs, Now: nowMs, Target: name(0)}
	var edges []graph.Edge
	hit := map[int]bool{}
	for i := 777; i > 0; i = (i - 1) / 3 {
		hit[i] = true
	}
	hit[0] = true
	for i := 1; i < n; i++ {
		for _, p := range []int{(i - 1) / 3, rng.IntN(i), rng.IntN(i)} {
			edges = append(edges, graph.Edge{From: name(p), To: name(i), Kind: graph.Calls})
			if p != (i-1)/3 && hit[i] {
				edges = edges[:len(edges)-1]
			}
		}
	}
	in.View = graph.NewView(edges)
	for i := range n {
		for q := range k {
			sig, unit, nm, base := telemetry.SignalLatency, "s", "norn_latency_seconds", .05
			switch {
			case q == 1:
				sig, unit, nm, base = telemetry.SignalTraffic, "{request}/s", "norn_request_rate", 100
			case q == 2:
				sig, unit, nm, base = telemetry.SignalErrors, "1", "norn_error_ratio", .001
			case q > 2:
				sig, unit, nm, base = telemetry.SignalSaturation, "1", fmt.Sprintf("usage_%d", q), .4
			}
			s := Series{Meta: &telemetry.Series{ID: telemetry.SeriesID(i*100 + q + 1), Name: nm, Entity: name(i), Signal: sig, Unit: unit, Direction: telemetry.UpBad, Labels: labels.FromStrings("quantile", "0.95")}}
			for t := 0; t < 240; t++ {
				s.Baseline = append(s.Baseline, telemetry.Sample{T: onsetMs - int64(300-t)*stepMs, V: base * (1 + .03*rng.NormFloat64())})
			}
			for t := 0; t < 30; t++ {
				v := base * (1 + .03*rng.NormFloat64())
				if q == 0 && hit[i] {
					v += 1
				}
				s.Window = append(s.Window, telemetry.Sample{T: onsetMs + int64(t)*stepMs, V: v})
			}
			in.Series = append(in.Series, s)
		}
	}
	return in
}

func TestRequestsThatTakeAnotherCourseNameTheServiceAndNotItsCallers(t *testing.T) {
	odd := func(id, name string, sev float64) ops.Anomaly {
		return ops.Anomaly{ID: id, Kind: ops.AnomalySequence, Entity: ent(name), Signal: telemetry.SignalLogs, Severity: sev, Onset: onsetMs,
			LastSeen: onsetMs, Text: "“charge card” is the last line 20 of 20 times, usually never"}
	}
	e := newEstate(5)
	e.fault = func(n string, h *health) {
		if n == "orders" { // fails because of payment's wrong answers
			h.fail = .4
		}
	}
	in := e.input("frontend")
	in.Anomalies = []ops.Anomaly{odd("s1", "payment", .95), odd("s2", "orders", .9)}
	j := Rank(in, Config{})
	if got := rootsOf(j); len(got) == 0 || got[0] != "payment" {
		show(t, j)
		t.Fatalf("roots %v", got)
	}
	if !strings.Contains(j.Sentence, "charge card") {
		t.Errorf("sentence %q does not say what changed", j.Sentence)
	}
}
