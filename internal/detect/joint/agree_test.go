package joint

import (
	"math"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Metrics that say so by themselves make what they say together graver; one
// alone, or two quantiles of one latency, do not; nothing becomes milder.
func TestMetricsThatAgreeMakeItGraver(t *testing.T) {
	alone := voice{p: 1}
	s0, p0, _ := alone.agreed(6, 1e-6)
	one := voice{said: .9, signs: 1, p: 1e-9, speaker: 1}
	if s, p, agrees := one.agreed(6, 1e-6); s != s0 || p != p0 || agrees {
		t.Errorf("one metric agrees with itself: %g %g", s, p)
	}
	two := voice{said: .9, signs: 2, p: 1e-9, speaker: 3}
	s2, p2, agrees := two.agreed(6, 1e-6)
	if s2 <= s0 || s2 > 1 || p2 >= p0 || p2 < 1e-9 || !agrees {
		t.Errorf("two metrics: severity %g after %g, p %g", s2, s0, p2)
	}
	many := two
	many.speaker = 30
	if s, _, _ := many.agreed(6, 1e-6); s >= s2 {
		t.Errorf("where thirty speak at times, two that do say %g, not less than %g", s, s2)
	}
	weak := voice{said: .3, signs: 2, p: .4, speaker: 3}
	if s, p, _ := weak.agreed(6, 1e-6); s < s0 || p != p0 {
		t.Errorf("weak words: %g %g", s, p)
	}
	for _, said := range []float64{0, -1, math.SmallestNonzeroFloat64, .2, 100} {
		for _, score := range []float64{-1, 0, 5, 1e9} {
			if a := Agreement(said, score, 0); math.IsNaN(a) || math.IsInf(a, 0) || a < 0 {
				t.Errorf("agreement of %g at %g is %g", said, score, a)
			}
		}
	}
}

// heard lets the last row of a plant say that two metrics deviate alone.
func heard(p *plant, n int, sev float64, of ...int) (last ops.Anomaly) {
	for range n {
		p.t += 30_000
		p.load = .97*p.load + .2*p.rng.NormFloat64()
		r := Row{Entity: shopHost}
		for i, s := range p.series {
			v, said, pv := 10+float64(i+1)*(p.load+.1*p.rng.NormFloat64()), 0., 1.
			for _, b := range of {
				if b == i {
					v, said, pv = 10-float64(i+1)*p.load*1.5, sev, 1e-6
				}
			}
			r.Series, r.V, r.T = append(r.Series, s), append(r.V, v), append(r.T, p.t)
			r.Severity, r.P = append(r.Severity, said), append(r.P, pv)
		}
		for _, a := range p.f.Step(p.t, []Row{r}) {
			last = a
		}
	}
	return last
}

// The same fault is graver when its metrics deviate by themselves too.
func TestAFaultThatIsSeenTwiceIsGraver(t *testing.T) {
	var severity [2]float64
	for i, said := range []float64{0, .5} {
		p := newPlant(8)
		p.run(3000)
		a := heard(p, 40, said, 2, 5)
		if a.ID == "" {
			t.Fatal("nothing was raised")
		}
		severity[i] = a.Severity
		if strings.Contains(a.Text, "by themselves too") != (i == 1) {
			t.Errorf("text %q", a.Text)
		}
	}
	if severity[1] <= severity[0] {
		t.Errorf("severity %g without and %g with agreement", severity[0], severity[1])
	}
}

// Rules reach what is said together by the metrics to blame: their weight, the
// weight of the joint judgement, the way that is bad, the least deviation, and
// sensitivity.
func TestRulesReachTheJointJudgement(t *testing.T) {
	open := func(f func(*telemetry.Policy)) *telemetry.Policy {
		p := &telemetry.Policy{Weight: 1, Low: math.Inf(-1), High: math.Inf(1)}
		f(p)
		return p
	}
	raised := func(pol *telemetry.Policy) (last ops.Anomaly) {
		p := newPlant(8)
		for _, s := range p.series {
			s.Policy = pol
		}
		p.run(3000)
		return heard(p, 40, 0, 2, 5)
	}
	plain := raised(nil)
	if same := raised(open(func(*telemetry.Policy) {})); same.Severity != plain.Severity || plain.ID == "" {
		t.Errorf("a rule that says nothing: %g, not %g", same.Severity, plain.Severity)
	}
	half := raised(open(func(p *telemetry.Policy) { p.Weight = .5 }))
	if math.Abs(half.Severity-plain.Severity/2) > 1e-9 {
		t.Errorf("half the weight: %g of %g", half.Severity, plain.Severity)
	}
	member := raised(open(func(p *telemetry.Policy) { p.Members = map[string]float64{"joint": .5} }))
	if member.Severity != half.Severity {
		t.Errorf("half the weight of the member: %g", member.Severity)
	}
	for name, f := range map[string]func(*telemetry.Policy){
		"weight of the member 0": func(p *telemetry.Policy) { p.Members = map[string]float64{"joint": 0} },
		"deviation too small":    func(p *telemetry.Policy) { p.MinAbsolute = 1e6 },
	} {
		if a := raised(open(f)); a.ID != "" {
			t.Errorf("%s: %+v", name, a)
		}
	}
	m := member0()
	m.policies = map[telemetry.SeriesID]*telemetry.Policy{1: open(func(p *telemetry.Policy) { p.OnlyWay = telemetry.UpBad })}
	if f, _ := m.wish([]Blame{{Column: 0, Share: 1, Observed: 1, Expected: 2}}); f != 0 {
		t.Errorf("the good way counts %g", f)
	}
	m.policies[1] = open(func(p *telemetry.Policy) { p.Sensitivity = -1 })
	if _, shift := m.wish([]Blame{{Column: 0, Share: .5}, {Column: 1, Share: .5}}); math.Abs(shift-math.Log10(20)/2) > 1e-9 {
		t.Errorf("low sensitivity of half of the blame shifts by %g", shift)
	}
}

func member0() *member { return &member{columns: []telemetry.SeriesID{1, 2}} }
