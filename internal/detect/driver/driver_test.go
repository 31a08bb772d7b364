package driver

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

var cart = telemetry.Entity{Kind: telemetry.KindService, Name: "cart"}

func series(id uint64, name string, sig telemetry.Signal, unit string) *telemetry.Series {
	return &telemetry.Series{ID: telemetry.SeriesID(id), Name: name, Entity: cart, Signal: sig, Unit: unit, Direction: telemetry.UpBad}
}

// world is a service whose processor time follows its requests, and a gauge
// that follows nothing.
type world struct {
	b                  *Book
	rng                *rand.Rand
	t                  int64
	rate, cpu, weather *telemetry.Series
	raised             []ops.Anomaly
}

func newWorld() *world {
	return &world{b: New(Config{}), rng: rand.New(rand.NewPCG(11, 12)), t: 1_700_000_000_000,
		rate: series(1, "norn_request_rate", telemetry.SignalTraffic, "{request}/s"), cpu: series(2, "process_cpu", telemetry.SignalSaturation, "1"),
		weather: series(3, "weather_requests", telemetry.SignalTraffic, "{request}/s")}
}

// run takes n readings a minute apart; cost is processor time a request and
// surge a factor on the traffic.
func (w *world) run(n int, cost, surge float64) {
	for range n {
		w.t += 60_000
		rate := (60 + 40*math.Sin(float64(w.t)/86_400_000*2*math.Pi)) * math.Exp(.1*w.rng.NormFloat64()) * surge
		cpu := (.02 + .004*rate*cost) * math.Exp(.05*w.rng.NormFloat64())
		w.read(rate, cpu)
	}
}

func (w *world) read(rate, cpu float64) {
	w.raised = append(w.raised, w.b.Step(w.t, []Group{{Targets: []Reading{{w.cpu, cpu, w.t}},
		Candidates: []Reading{{w.weather, 50 + 20*w.rng.NormFloat64(), w.t}, {w.rate, rate, w.t}}}})...)
}

func (w *world) high(observed float64) *ops.Anomaly {
	return &ops.Anomaly{SeriesID: w.cpu.ID, Kind: ops.AnomalyLevel, Direction: 1, Observed: observed, Onset: w.t}
}

func TestTheDriverIsFoundAmongTheCandidates(t *testing.T) {
	w := newWorld()
	w.run(1440, 1, 1)
	d, ok := w.b.Of(w.cpu.ID)
	if !ok || d.Series.ID != w.rate.ID {
		t.Fatalf("driver %+v", d)
	}
	if d.Skill < .5 || d.Skill > 1 || !strings.Contains(d.Sentence, "norn_request_rate of cart explains") {
		t.Errorf("skill %.2f, sentence %q", d.Skill, d.Sentence)
	}
	if !(d.Low < d.Expected && d.Expected < d.High) || math.Abs(d.Expected-.02-.004*d.Load) > .05 {
		t.Errorf("at %.0f requests a second it expects %.3f in [%.3f, %.3f]", d.Load, d.Expected, d.Low, d.High)
	}
	if len(w.raised) != 0 {
		t.Errorf("quiet day raised %+v", w.raised[0])
	}
}

func TestWithoutADriverNothingIsSaid(t *testing.T) {
	w := newWorld()
	for range 3000 {
		w.t += 60_000
		w.read(100*w.rng.Float64(), .5+.1*w.rng.Float64()) // unrelated
	}
	if d, ok := w.b.Of(w.cpu.ID); ok {
		t.Fatalf("noise is driven by %s (skill %.2f)", d.Name, d.Skill)
	}
	if _, ok := w.b.Explains(w.high(.9)); ok {
		t.Error("noise explains an anomaly")
	}
}

func TestASurgeAtUsualCostIsExplainedAndRaisesNothing(t *testing.T) {
	w := newWorld()
	w.run(2880, 1, 1)
	w.run(30, 1, 2.5)
	if len(w.raised) != 0 {
		t.Errorf("the surge raised %+v", w.raised[0])
	}
	d, _ := w.b.Of(w.cpu.ID)
	text, ok := w.b.Explains(w.high(d.Observed))
	if !ok || !strings.Contains(text, "norn_request_rate of cart is at") {
		t.Errorf("processor at %.2f, expected %.2f at this load: explained %v %q", d.Observed, d.Expected, ok, text)
	}
	if _, ok := w.b.Explains(w.high(5 * d.Observed)); ok {
		t.Error("five times of what the load makes is explained too")
	}
	if _, ok := w.b.Explains(&ops.Anomaly{SeriesID: w.cpu.ID, Kind: ops.AnomalySilence, Direction: 1, Onset: w.t}); ok {
		t.Error("silence is explained by load")
	}
}

func TestDearRequestsAtUsualTrafficAreRaisedOnceAndEnd(t *testing.T) {
	w := newWorld()
	w.run(2880, 1, 1)
	began := w.t
	w.run(40, 1.9, 1)
	if len(w.raised) == 0 {
		t.Fatal("dear requests were not noticed")
	}
	a := w.raised[0]
	if a.SeriesID != w.cpu.ID || a.Member != "load" || a.Direction != telemetry.UpBad || a.Observed <= a.High || a.Onset < began || a.Onset > began+10*60_000 {
		t.Errorf("raised %+v", a)
	}
	if _, ok := w.b.Explains(w.high(a.Observed)); ok {
		t.Error("the dear value is explained by the usual load")
	}
	w.run(60, 1, 1)
	last := w.raised[len(w.raised)-1]
	if last.Ended == 0 || last.ID != a.ID {
		t.Errorf("last word is %+v", last)
	}
}

func TestAnEverydayValueThatIsDearForItsLoadIsRaised(t *testing.T) {
	w := newWorld()
	w.run(2880, 1, 1)
	for range 15 { // little traffic, and as much processor time as at noon
		w.t += 60_000
		w.read(22, .3*math.Exp(.05*w.rng.NormFloat64()))
	}
	if len(w.raised) == 0 {
		t.Error("processor time of the day at the traffic of the night was not noticed")
	}
}

func TestWhatLastsIsLearnedInTheEnd(t *testing.T) {
	w := newWorld()
	w.run(2880, 1, 1)
	w.run(2*1440, 1.6, 1) // a release that costs more, for good
	if len(w.raised) == 0 {
		t.Fatal("not noticed")
	}
	if last := w.raised[len(w.raised)-1]; last.Ended == 0 {
		t.Errorf("two days later it is still news: %+v", last)
	}
}

func TestAnyNumbersGiveFiniteAnswers(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	odd := []float64{0, -1, 1e-300, 1e300, math.NaN(), math.Inf(1), math.Inf(-1), 1e14, -1e14, 1, 2, 3}
	b := New(Config{MaxTargets: 5, MaxCandidates: 2})
	for i := range 20_000 {
		var g Group
		for k := range 8 {
			v := odd[rng.IntN(len(odd))]
			if rng.IntN(3) > 0 {
				v = 100 * rng.Float64()
			}
			g.Targets = append(g.Targets, Reading{series(uint64(10+k), "t", telemetry.SignalLatency, "s"), v, int64(i + 1)})
			g.Candidates = append(g.Candidates, Reading{series(uint64(30+k), "c", telemetry.SignalTraffic, "{request}/s"), odd[rng.IntN(len(odd))] + 50*rng.Float64(), int64(i + 1)})
		}
		for _, a := range b.Step(int64(i)*60_000, []Group{g}) {
			for _, v := range []float64{a.Observed, a.Expected, a.Low, a.High, a.Score, a.P, a.Severity} {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("anomaly holds %v: %+v", v, a)
				}
			}
		}
	}
	s := b.Stats()
	if s.Targets > 5 || s.Overflow == 0 {
		t.Errorf("bounds not kept: %+v", s)
	}
	for _, x := range b.targets {
		if len(x.Curves) > 2 {
			t.Errorf("%d candidates", len(x.Curves))
		}
	}
}

func TestASnapshotGoesOnWhereItWas(t *testing.T) {
	a, c := newWorld(), newWorld()
	a.run(2000, 1, 1)
	var buf bytes.Buffer
	if err := a.b.Snapshot(&buf); err != nil {
		t.Fatal(err)
	}
	whole := buf.String()
	if err := c.b.Restore(&buf); err != nil {
		t.Fatal(err)
	}
	c.t = a.t
	a.rng, c.rng = rand.New(rand.NewPCG(1, 1)), rand.New(rand.NewPCG(1, 1))
	a.run(40, 2, 1)
	c.run(40, 2, 1)
	if len(a.raised) == 0 || fmt.Sprint(a.raised) != fmt.Sprint(c.raised) {
		t.Errorf("%d anomalies with, %d without a restart", len(c.raised), len(a.raised))
	}
	for _, broken := range []string{"", "[]", `{"version":7}`, strings.Replace(whole, `"best":1`, `"best":99`, 1), whole[:len(whole)/2]} {
		if err := c.b.Restore(strings.NewReader(broken)); err == nil {
			t.Errorf("damaged snapshot %.30q was taken", broken)
		}
	}
}

// Sensitivity reaches what is dear for its load.
func TestSensitivityReachesWhatIsDear(t *testing.T) {
	first := func(word int8) (after float64) {
		w := newWorld()
		w.cpu.Policy = &telemetry.Policy{Weight: 1, Low: math.Inf(-1), High: math.Inf(1), Sensitivity: word}
		w.run(2880, 1, 1)
		began := w.t
		w.run(40, 1.9, 1)
		if len(w.raised) == 0 {
			return math.Inf(1)
		}
		return float64(w.raised[0].LastSeen - began)
	}
	high := first(1)
	normal := first(0)
	low := first(-1)
	if !(high <= normal && normal <= low) || math.IsInf(normal, 1) {
		t.Errorf("told after %g, %g, %g ms at high, normal and low", high, normal, low)
	}
}
