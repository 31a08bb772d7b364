package simulate

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/telemetry"
)

func svc(name string) telemetry.Entity {
	return telemetry.Entity{Kind: telemetry.KindService, Name: name}
}

// past makes two days of a service: load between a third and all of peak, own
// time of an M/M/c queue, utilisation of load over top.
func past(name string, peak, top float64, c int, rng *rand.Rand) Service {
	s := Service{Entity: svc(name), Instances: 2}
	q := queue{c: c, top: top, base: float64(c) / top, scale: 1}
	for i := range 288 {
		load := peak * (.65 - .35*math.Cos(4*math.Pi*float64(i)/288)) * math.Exp(.03*rng.NormFloat64())
		s.Load = append(s.Load, load)
		s.Latency = append(s.Latency, q.at(math.Min(load, .95*top))*math.Exp(.04*rng.NormFloat64()))
		s.Utilisation = append(s.Utilisation, load/top+.01*rng.NormFloat64())
	}
	return s
}

// shop is a frontend (bears 400 a second) that asks the store (bears 150) 0.8
// times for each request; usual peak 100.
func shop() *Estate {
	rng := rand.New(rand.NewPCG(3, 3))
	front, store := past("frontend", 100, 400, 4, rng), past("store", 80, 150, 2, rng)
	rate := make([]float64, len(front.Load))
	for i, l := range front.Load {
		rate[i] = .8 * l
	}
	host := func(n string) telemetry.Entity { return telemetry.Entity{Kind: telemetry.KindHost, Name: n} }
	inst := func(n string) telemetry.Entity { return telemetry.Entity{Kind: telemetry.KindInstance, Name: n} }
	return &Estate{
		Services: []Service{front, store},
		Calls:    []Call{{From: front.Entity, To: store.Entity, Rate: rate}},
		Parts:    []Place{{inst("store-1"), store.Entity}, {inst("store-2"), store.Entity}, {inst("front-1"), front.Entity}},
		Places:   []Place{{inst("store-1"), host("a")}, {inst("store-2"), host("b")}, {inst("front-1"), host("c")}},
	}
}

func TestErlangCAgreesWithTables(t *testing.T) {
	for _, c := range []struct {
		servers   int
		rho, want float64
	}{{1, .5, .5}, {2, .5, 1.0 / 3}, {2, .8, .7111}, {10, .8, .4092}} {
		if got := erlangC(c.servers, c.rho); math.Abs(got-c.want) > 5e-4 {
			t.Errorf("C(%d, %g) = %.4f, want %.4f", c.servers, c.rho, got, c.want)
		}
	}
}

func TestASurgeBreaksTheStoreFirstAndSaysWhatToAdd(t *testing.T) {
	a, err := Ask(shop(), Question{Kind: Surge, Factor: 5, Entity: svc("frontend"), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	f := a.First
	if f == nil || f.Entity != svc("store") || !a.Breaks {
		t.Fatalf("first to break: %+v (%s)", f, a.Sentence)
	}
	if f.BreakingLoad.P50 < 100 || f.BreakingLoad.P50 > 150 || f.BreakingLoad.P10 > f.BreakingLoad.P50 || f.BreakingLoad.P90 < f.BreakingLoad.P50 {
		t.Errorf("the store saturates at 150: %+v", f.BreakingLoad)
	}
	if each := f.Curve.Breaks.P10 / 2; float64(f.Add+2)*each < f.LoadThen || float64(f.Add+1)*each >= f.LoadThen {
		t.Errorf("%d more instances for %.0f a second at %.0f each", f.Add, f.LoadThen, each)
	}
	if !strings.Contains(a.Sentence, "service/store breaks first") {
		t.Error(a.Sentence)
	}
}

func TestTheSameSeedGivesTheSameAnswer(t *testing.T) {
	q := Question{Kind: Surge, Factor: 2, Seed: 9}
	a, _ := Ask(shop(), q)
	b, _ := Ask(shop(), q)
	if a.First.BreakingLoad != b.First.BreakingLoad {
		t.Error(a.First.BreakingLoad, b.First.BreakingLoad)
	}
}

func TestAFloodOfOneEndpointReachesOnlyWhatThatEndpointAsks(t *testing.T) {
	e := shop()
	f, rng := &e.Services[0], rand.New(rand.NewPCG(4, 4))
	home, buy := Operation{Name: "GET /"}, Operation{Name: "POST /buy"}
	for i, l := range f.Load { // buying asks the store twice, the home page never
		part := .2 + .4*rng.Float64()
		home.Load, buy.Load = append(home.Load, l*(1-part)), append(buy.Load, l*part)
		e.Calls[0].Rate[i] = 2 * l * part
	}
	f.Operations = []Operation{home, buy}
	ask := func(op string) Answer {
		a, err := Ask(e, Question{Kind: Flood, Entity: svc("frontend"), Operation: op, Extra: 1000, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := ask("GET /"); a.First.Entity != svc("frontend") || len(a.Effects) != 1 {
		t.Errorf("the home page asks nobody: %s", a.Sentence)
	}
	a := ask("POST /buy")
	if a.First.Entity != svc("store") {
		t.Fatalf("buying reaches the store: %s", a.Sentence)
	}
	for _, x := range a.Effects {
		if want := 2000 + x.Load; x.Entity == svc("store") && math.Abs(x.LoadThen/want-1) > .03 {
			t.Errorf("the store gets %.0f, want %.0f", x.LoadThen, want)
		}
	}
}

func TestALostHostTakesHalfTheStoreAndALostOnlyHostTakesAll(t *testing.T) {
	ask := func(name string) Answer {
		a, err := Ask(shop(), Question{Kind: Loss, Entity: telemetry.ParseEntity(name), Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	half := ask("host/a")
	if f := half.First; f.Entity != svc("store") || f.BreakingLoad.P50 > 75 || f.BreakingLoad.P50 < 50 || !half.Breaks || f.Add != 1 {
		t.Errorf("half of 150 is left for 80 a second: %+v", half)
	}
	if all := ask("host/c"); !all.First.Gone || !all.Breaks {
		t.Errorf("nothing of frontend is left: %s", all.Sentence)
	}
}

func TestASlowStoreIsWaitedForByItsCallers(t *testing.T) {
	e := shop()
	whole := make([]float64, len(e.Services[0].Load))
	for i := range whole {
		whole[i] = .1
	}
	e.Services[0].Whole = whole
	a, err := Ask(e, Question{Kind: Slow, Entity: svc("store"), By: .3})
	if err != nil {
		t.Fatal(err)
	}
	f := a.First
	if f.Entity != svc("frontend") || math.Abs(f.Latency-.34) > .01 || math.Abs(f.BreakingAt.P50-.25) > .01 || !a.Breaks {
		t.Errorf("0.1 s and 0.8 calls of 0.3 s more; three times at 0.25 s: %+v", f)
	}
}

// What the past does not hold is not made up.
func TestRefusals(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	flat, idle, short := past("flat", 50, 200, 2, rng), past("idle", 50, 200, 2, rng), past("short", 50, 200, 2, rng)
	for i := range flat.Load {
		flat.Load[i] = 50 + rng.NormFloat64()
		idle.Latency[i], idle.Utilisation[i] = .02*math.Exp(.05*rng.NormFloat64()), math.NaN()
	}
	short.Load = short.Load[:20]
	for _, s := range []Service{flat, idle, short, {Entity: svc("empty")}} {
		c := Fit(&s, 3, 100, 1)
		if c.Known || c.Refusal == "" || c.Breaks != (Range{}) {
			t.Errorf("%s: %+v", s.Entity, c)
		}
		a, err := Ask(&Estate{Services: []Service{s}}, Question{Kind: Surge, Factor: 10})
		if err != nil || a.Breaks || a.First != nil {
			t.Errorf("%s: %v %+v", s.Entity, err, a)
		}
	}
}

// A contended service loses throughput beyond its peak; the law that knows
// that is chosen, and its peak found.
func TestAContendedServiceFollowsTheScalabilityLaw(t *testing.T) {
	u, rng := scalability{unit: .05, sigma: .04, kappa: .0012}, rand.New(rand.NewPCG(8, 8))
	s := Service{Entity: svc("contended")}
	peak := u.peak() / u.time(u.peak())
	for range 400 {
		load := peak * (.1 + .7*rng.Float64())
		s.Load = append(s.Load, load)
		s.Latency = append(s.Latency, u.at(load)*math.Exp(.02*rng.NormFloat64()))
	}
	c := Fit(&s, 100, 60, 2)
	if !c.Known || math.Abs(c.Breaks.P50/peak-1) > .15 {
		t.Errorf("peak %.0f: %+v", peak, c)
	}
}

func TestQuestionsThatMakeNoSense(t *testing.T) {
	for _, q := range []Question{
		{}, {Kind: "rain"}, {Kind: Surge}, {Kind: Surge, Factor: math.NaN()}, {Kind: Surge, Factor: -1}, {Kind: Flood, Extra: 5},
		{Kind: Slow, Entity: svc("store")}, {Kind: Surge, Factor: 2, Entity: svc("nobody")}, {Kind: Loss, Entity: svc("nobody")},
		{Kind: Surge, Factor: 2, Operation: "GET /"}, {Kind: Surge, Factor: 2, Entity: svc("store"), Operation: "GET /none"}, {Kind: Surge, Factor: 2, Limit: .5},
	} {
		if _, err := Ask(shop(), q); !errors.Is(err, ErrQuestion) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// Nothing in an answer may be unfit for JSON, whatever the past holds.
func TestAnyPastGivesFiniteAnswers(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 12))
	odd := []float64{0, -1, math.NaN(), math.Inf(1), 1e300, 1e-300, 5, 50}
	for range 60 {
		s := Service{Entity: svc("odd")}
		for range 120 {
			s.Load = append(s.Load, odd[rng.IntN(len(odd))]*rng.Float64())
			s.Latency = append(s.Latency, odd[rng.IntN(len(odd))]*rng.Float64())
			s.Utilisation = append(s.Utilisation, odd[rng.IntN(len(odd))])
		}
		c := Fit(&s, 3, 30, 1)
		for _, v := range []float64{c.Load, c.Most, c.Breaks.P10, c.Breaks.P50, c.Breaks.P90, c.Base, c.Usual, c.Rho} {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("%+v", c)
			}
		}
	}
}

// A loop of calls ends.
func TestLoopsOfCallsEnd(t *testing.T) {
	e := shop()
	e.Calls = append(e.Calls, Call{From: svc("store"), To: svc("frontend"), Rate: e.Services[1].Load})
	if _, err := Ask(e, Question{Kind: Surge, Factor: 2, Entity: svc("store")}); err != nil {
		t.Fatal(err)
	}
	if _, err := Ask(e, Question{Kind: Slow, Entity: svc("store"), By: 1}); err != nil {
		t.Fatal(err)
	}
}
