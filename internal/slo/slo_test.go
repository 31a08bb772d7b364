package slo

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const t0 = int64(29_000_000) // Unix minutes, at the begin of an hour

func checkout() telemetry.Entity {
	return telemetry.Entity{Kind: telemetry.KindService, Name: "checkout"}
}

func threeNines() *Objective {
	return New("checkout answers", checkout(), Availability, .999, 0, 30*day)
}

// run lets minutes pass in each of which n requests come and bad of them fail,
// and gives all news with the minute at which it came.
func run(o *Objective, from, minutes int64, n, bad float64) (end int64, news map[int64]ops.Anomaly) {
	news = map[int64]ops.Anomaly{}
	for m := from; m < from+minutes; m++ {
		o.Add(m, Counts{bad, n})
		o.Advance(m)
		if a, ok := o.Judge((m + 1) * 60_000); ok {
			news[m-from] = a
		}
	}
	return from + minutes, news
}

func first(news map[int64]ops.Anomaly) int64 {
	at := int64(math.MaxInt64)
	for m := range news {
		at = min(at, m)
	}
	return at
}

// A tenth of all requests fails after a calm month: the fast pair speaks within
// minutes, says when it began, and ends minutes after the failures do.
func TestAFastBurnIsToldWithinMinutes(t *testing.T) {
	o := threeNines()
	at, news := run(o, t0, 30*24*60, 1000, .1)
	if len(news) != 0 {
		t.Fatalf("a month within the objective raised %+v", news)
	}
	began := at
	at, news = run(o, at, 30, 1000, 100)
	if m := first(news); m < 5 || m > 10 { // 14.4 times 0.1 % of an hour is 8.6 minutes of 10 %
		t.Errorf("told after %d minutes", m)
	}
	a := news[29]
	if a.Kind != ops.AnomalySLOBurn || a.Severity < .9 || a.Signal != telemetry.SignalErrors || a.Entity != checkout() || a.P > 1e-9 || a.Observed < .09 {
		t.Errorf("%+v", a)
	}
	if off := a.Onset/60_000 - began; off < -1 || off > 1 {
		t.Errorf("it began %d minutes from the truth", off)
	}
	if s := o.State(); s.AnomalyID != a.ID || s.Exhausted == nil || *s.Exhausted <= 0 || s.Left > .95 || !strings.Contains(s.Sentence, "at the last hour's rate") {
		t.Errorf("%+v", s)
	}
	_, news = run(o, at, 40, 1000, 0)
	if end := news[first(news)]; end.ID != a.ID {
		t.Errorf("news of another anomaly: %+v", end)
	}
	ended := false
	for _, x := range news {
		ended = ended || x.Ended != 0
	}
	if !ended {
		t.Error("it did not end with the failures")
	}
}

// Twice the allowed failures for days: neither fast pair speaks, the slow one
// does, and the budget goes.
func TestASlowBurnIsToldWithinDays(t *testing.T) {
	o := threeNines()
	at, _ := run(o, t0, 20*24*60, 200, 0)
	_, news := run(o, at, 4*24*60, 200, .4)
	m := first(news)
	if m < 24*60 || m > 3*24*60 || news[m].Severity != .5 {
		t.Fatalf("told after %.1f days: %+v", float64(m)/1440, news[m])
	}
	if s := o.State(); s.Burns[2].Name != "slow" || !s.Burns[2].Burning || s.Burns[0].Burning || math.Abs(s.Burns[2].LongRate-2) > .1 {
		t.Errorf("%+v", s.Burns)
	}
}

// An hour in which everything failed uses half of a month's budget and more; it
// is not told for hours after it is over.
func TestWhatIsOverIsNotToldForHours(t *testing.T) {
	o := threeNines()
	at, _ := run(o, t0, 10*24*60, 100, 0)
	at, news := run(o, at, 60, 100, 100)
	if len(news) == 0 || o.State().Left > 0 {
		t.Fatalf("%d news, %g left", len(news), o.State().Left)
	}
	_, news = run(o, at, 6*60, 100, 0)
	for m, a := range news {
		if m > 65 {
			t.Errorf("%d minutes after the end it is still told: %+v", m, a)
		}
	}
	if s := o.State(); s.AnomalyID != "" || s.Exhausted == nil || *s.Exhausted != 0 || !strings.Contains(s.Sentence, "overspent") {
		t.Errorf("%+v", s)
	}
}

// One failure of two requests, and two of two, are a burn of hundreds, and
// prove nothing.
func TestFewRequestsProveNothing(t *testing.T) {
	for _, tc := range []struct{ n, bad float64 }{{2, 1}, {1, 1}, {2, 2}, {4, 4}} {
		o := threeNines()
		at, _ := run(o, t0, 60, 2, 0)
		at, news := run(o, at, 1, tc.n, tc.bad)
		_, more := run(o, at, 30, 2, 0)
		if len(news)+len(more) != 0 {
			t.Errorf("%g of %g requests failed: %+v", tc.bad, tc.n, news)
		}
		if h, ok := o.Harm((t0 + 60) * 60_000); ok {
			t.Errorf("%g of %g requests failed: harm %+v", tc.bad, tc.n, h)
		}
		if b := o.burns()[0]; b.LongRate < 5 || b.Enough {
			t.Errorf("%g of %g: %+v", tc.bad, tc.n, b)
		}
	}
}

// At night a service has a request a minute. One failure an hour is three
// times what its objective of 99 % allows and may be chance; when half of the
// requests fail, it is told all the same, only later than by day.
func TestALowTrafficServiceAtNight(t *testing.T) {
	o := New("night", checkout(), Availability, .99, 0, 30*day)
	at, news := run(o, t0, 10*24*60, 1, 0)
	for range 6 {
		var more map[int64]ops.Anomaly
		at, more = run(o, at, 59, 1, 0)
		at, _ = run(o, at, 1, 1, 1)
		if len(news)+len(more) != 0 {
			t.Fatalf("single failures raised %+v", more)
		}
	}
	for m := int64(0); ; m++ {
		if m > 60 {
			t.Fatal("half of the requests fail for an hour, and nobody is told")
		}
		var news map[int64]ops.Anomaly
		at, news = run(o, at, 1, 1, float64(m%2))
		if len(news) > 0 {
			if m < 9 {
				t.Errorf("told after %d minutes, by fewer than five failures", m)
			}
			return
		}
	}
}

// Chance alone, at exactly what the objective allows, for a year of minutes:
// hardly a burn. Seeded.
func TestChanceAtTheObjectiveDoesNotPage(t *testing.T) {
	const seed = 7
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	o := New("chance", checkout(), Availability, .99, 0, 30*day)
	ids := map[string]bool{}
	for m := range int64(180 * 24 * 60) {
		bad := 0.0
		for range 3 {
			if r.Float64() < .009 {
				bad++
			}
		}
		o.Add(t0+m, Counts{bad, 3})
		if m%5 == 0 {
			if a, ok := o.Judge((t0 + m + 1) * 60_000); ok {
				ids[a.ID] = true
			}
		}
	}
	if len(ids) > 1 {
		t.Errorf("%d burns by chance in half a year", len(ids))
	}
}

// What the requests prove is the exact binomial's word.
func TestTheBinomialTail(t *testing.T) {
	for _, tc := range []struct{ k, n, p, want float64 }{
		{1, 2, .5, .75}, {2, 2, .1, .01}, {0, 5, .1, 1}, {3, 2, .5, 0}, {5, 10, 0, 0}, {2, 10, 1, 1}, {3, 5, .2, .05792},
	} {
		if got := Tail(tc.k, tc.n, tc.p); math.Abs(got-tc.want) > 1e-9 {
			t.Errorf("P(X >= %g) of %g at %g is %g, want %g", tc.k, tc.n, tc.p, got, tc.want)
		}
	}
	for _, k := range []float64{1, 2, 5, 90} {
		if p := LeastShare(k, 100); math.Abs(Tail(k, 100, p)-leastProof) > 1e-9 {
			t.Errorf("%g of 100: the bound %g has tail %g", k, p, Tail(k, 100, p))
		}
	}
}

// Minutes that come late, twice, from the future or with impossible numbers do
// not break the books; what is beyond the window is forgotten.
func TestCountsStayWithinTheWindow(t *testing.T) {
	const seed = 3
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	o := New("x", checkout(), Availability, .99, 0, day)
	var truth []struct {
		m int64
		c Counts
	}
	for i := range 20_000 {
		m := t0 + int64(i) - int64(r.IntN(90))
		c := Counts{float64(r.IntN(3)), float64(3 + r.IntN(5))}
		o.Add(m, c)
		truth = append(truth, struct {
			m int64
			c Counts
		}{m, c})
	}
	for _, bad := range []Counts{{math.NaN(), 1}, {1, math.NaN()}, {-1, 5}, {0, math.Inf(1)}, {0, -3}} {
		o.Add(o.h.last, bad)
	}
	o.Add(-5, Counts{1, 1})
	for _, minutes := range []int64{5, 60, 360} {
		var want Counts
		for _, x := range truth {
			if x.m > o.h.last-minutes {
				want.add(x.c)
			}
		}
		if got := o.h.recent(minutes); math.Abs(got.Total-want.Total) > 1e-3 || math.Abs(got.Bad-want.Bad) > 1e-3 {
			t.Errorf("%d minutes: %+v, want %+v", minutes, got, want)
		}
	}
	o.Advance(o.h.last + 100*24*60)
	if total, _, left, _ := o.budget(); total.Total != 0 || left != 1 {
		t.Errorf("after a hundred days without a request: %+v, left %g", total, left)
	}
	same := New("x", checkout(), Availability, .99, 0, day)
	if err := same.Load(o.Save()); err != nil || same.h.last != o.h.last || same.h.recent(60) != o.h.recent(60) {
		t.Errorf("not the same after a restart: %v", err)
	}
	if err := New("x", checkout(), Availability, .99, 0, 2*30*day).Load(o.Save()); !errors.Is(err, errSaved) {
		t.Errorf("another form: %v", err)
	}
}

// An objective that is an hour old is not overspent by a bad minute: the rest
// of the window is taken to carry as many requests.
func TestAYoungObjectiveIsNotOverspentAtOnce(t *testing.T) {
	o := threeNines()
	at, _ := run(o, t0, 60, 100, 0)
	run(o, at, 1, 100, 50)
	if s := o.State(); s.Left < .9 || s.Covered != 61*60_000 {
		t.Errorf("left %g of the budget after an hour, seen %d", s.Left, s.Covered)
	}
}

// What a service kept by itself becomes its objective, marked as inferred; a
// bad day that lasts does not lower it.
func TestObjectivesAreInferredFromThePast(t *testing.T) {
	p := NewPast(checkout())
	add := func(from, minutes int64, failed, p95 float64) int64 {
		for m := from; m < from+minutes; m++ {
			p.Add(m, 100, 100*failed, p95/3, p95)
			p.Availability.Advance(m)
		}
		return from + minutes
	}
	at := add(t0, 24*60, .0004, .2)
	if p.Learn(); len(p.Known()) != 0 {
		t.Errorf("inferred after a day: %+v", p.Known())
	}
	at = add(at, 20*24*60, .0004, .2)
	p.Learn()
	known := p.Known()
	if len(known) != 2 || known[0].Target != .9995 || known[1].Target != .95 || math.Abs(known[1].Threshold-.25) > 1e-9 || !known[0].Inferred {
		t.Fatalf("inferred %+v", known)
	}
	at = add(at, 20*60, .3, 3)
	p.Learn()
	if a := p.Availability.Target; a != .9995 || p.Latency.Threshold != known[1].Threshold {
		t.Errorf("a bad day moved the objectives to %g and %g s", a, p.Latency.Threshold)
	}
	if h, ok := p.Availability.Harm((at - 60) * 60_000); !ok || !h.Inferred || h.Burn < 100 {
		t.Errorf("harm %+v", h)
	}
	if h, ok := p.Latency.Harm((at - 60) * 60_000); !ok || h.Burn < 10 {
		t.Errorf("harm to latency %+v", h)
	}
	fresh := NewPast(checkout())
	if err := fresh.Load(p.Save()); err != nil || fresh.hour != p.hour || len(fresh.Known()) != 2 || fresh.Latency.State().Bad != p.Latency.State().Bad {
		t.Errorf("not the same after a restart: %v, %d and %d", err, fresh.hour, p.hour)
	}
}

func TestTheShareOfSlowRequests(t *testing.T) {
	for _, tc := range []struct{ p50, p95, threshold, want float64 }{
		{.1, .2, .2, .05}, {.1, .2, .1, .5}, {.3, .3, .2, 1}, {.1, .1, .2, 0}, {math.NaN(), .3, .2, 1}, {.1, math.NaN(), .2, 0}, {0, 0, .2, 0},
	} {
		if got := SlowShare(tc.p50, tc.p95, tc.threshold); math.Abs(got-tc.want) > 1e-6 {
			t.Errorf("%+v: %g", tc, got)
		}
	}
}

// Every fault of a declaration is named.
func TestBadDeclarationsAreNamed(t *testing.T) {
	good := Config{Name: "a", Entity: "checkout", Objective: .999}
	for want, change := range map[string]func(*Config){
		"name is missing":                    func(c *Config) { c.Name = " " },
		"objective: 99.9 is not between":     func(c *Config) { c.Objective = 99.9 },
		"objective: 1 is not":                func(c *Config) { c.Objective = 1 },
		"objective: NaN is not":              func(c *Config) { c.Objective = math.NaN() },
		"needs entity or match":              func(c *Config) { c.Entity = "" },
		"window: 5m is not":                  func(c *Config) { c.Window = model.Duration(5 * time.Minute) },
		"latency.below: 0s":                  func(c *Config) { c.Latency = &Latency{} },
		"needs total, and good or bad":       func(c *Config) { c.Good = "x" },
		"match does not go with expressions": func(c *Config) { c.Entity, c.Match, c.Total, c.Good = "", "{}", "x", "x" },
		"total: 1:6":                         func(c *Config) { c.Total, c.Good = "rate(", "x" },
		"gives a range vector":               func(c *Config) { c.Total, c.Bad = "x[5m]", "x" },
		"match: broken":                      func(c *Config) { c.Entity, c.Match = "", "no" },
	} {
		c := good
		change(&c)
		var got []string
		Check([]Config{c}, func(s string) error {
			if s == "no" {
				return errors.New("broken")
			}
			return nil
		}, func(key, format string, args ...any) { got = append(got, key+": "+fmt.Sprintf(format, args...)) })
		if text := strings.Join(got, "\n"); !strings.Contains(text, want) {
			t.Errorf("%q, want %q", text, want)
		}
	}
	twice := 0
	Check([]Config{good, good}, nil, func(_, format string, _ ...any) { twice++ })
	if twice != 1 {
		t.Errorf("%d faults for a name that is taken", twice)
	}
	sloth := Config{Name: "s", Entity: "checkout", Objective: .99, Bad: `sum(rate(http_requests_total{code=~"5.."}[{{.window}}]))`, Total: `sum(rate(http_requests_total[{{.window}}]))`}
	Check([]Config{sloth}, nil, func(key, format string, args ...any) { t.Errorf(key+format, args...) })
}
