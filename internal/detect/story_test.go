package detect

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// story plays one series: a fortnight of history and then what happens.
type story struct {
	t    *testing.T
	e    *Engine
	s    *telemetry.Series
	now  float64 // Unix seconds
	step float64
	life func(t float64) (float64, bool)
	got  []ops.Anomaly // every report, in order
}

const storySeed = 20240615

// begin seeds an engine with days of life at one point a minute; nothing may
// be raised before the story starts.
func begin(t *testing.T, kind string, days int, mod func(*telemetry.Series)) *story {
	t.Helper()
	t.Logf("seed %d", storySeed)
	for _, k := range cleanKinds() {
		if k.name != kind {
			continue
		}
		st := &story{t: t, now: 1.75e9 - math.Mod(1.75e9, 86400), step: 60}
		st.s = &telemetry.Series{ID: 77, Name: kind, Signal: k.signal, Unit: k.unit, Direction: k.dir}
		if mod != nil {
			mod(st.s)
		}
		st.life = k.make(rand.New(rand.NewPCG(storySeed, 1)), 60)
		st.e = New(Config{QuietBefore: int64(1000 * (st.now + float64(days)*86400))})
		st.play(days*1440, nil)
		if len(st.got) > 0 {
			t.Fatalf("history raised %+v", st.got)
		}
		return st
	}
	t.Fatalf("no kind of life is called %q", kind)
	return nil
}

// play lets n points come, each changed by f (nil: normal life).
func (st *story) play(n int, f func(i int, v float64) float64) {
	for i := range n {
		v, ok := st.life(st.now)
		if f != nil {
			v = f(i, v)
		}
		if ok {
			if a := st.e.Observe(telemetry.Point{Series: st.s, T: int64(1000 * st.now), V: v}); a != nil {
				st.got = append(st.got, *a)
			}
		}
		st.now += st.step
	}
}

// first gives the first report and the number of points from since to it.
func (st *story) first(since float64) (ops.Anomaly, int) {
	st.t.Helper()
	if len(st.got) == 0 {
		st.t.Fatal("nothing was reported")
	}
	a := st.got[0]
	return a, int(math.Round((float64(a.LastSeen)/1000-since)/st.step)) + 1
}

func TestALevelShiftIsReportedWithinFourPointsAndEnds(t *testing.T) {
	for _, c := range []struct {
		kind   string
		factor float64
	}{{"gaussian", 1.4}, {"daily traffic", .4}, {"lognormal latency", 5}, {"cpu", 3}, {"counts", 6}, {"weekly traffic", .3}} {
		t.Run(c.kind, func(t *testing.T) {
			st := begin(t, c.kind, 14, nil)
			st.play(12*60, nil)
			quiet := len(st.got)
			st.got = nil
			at := st.now
			st.play(30, func(_ int, v float64) float64 { return v * c.factor })
			a, delay := st.first(at)
			t.Logf("%d reports in quiet half day; %s by %s after %d points, severity %.2f, p %.2g, onset %+d s, expected %.3g [%.3g, %.3g], seen %.3g",
				quiet, a.Kind, a.Member, delay, a.Severity, a.P, a.Onset/1000-int64(at), a.Expected, a.Low, a.High, a.Observed)
			if delay > 4 {
				t.Errorf("reported after %d points, want at most 4", delay)
			}
			if d := math.Abs(float64(a.Onset)/1000 - at); d > 5*st.step {
				t.Errorf("onset is off by %v s", d)
			}
			last := st.got[len(st.got)-1]
			if last.Kind != ops.AnomalyLevel || last.Severity < .35 || last.ID != a.ID {
				t.Errorf("a shift of half an hour became %s, severity %.2f, id %s after %s", last.Kind, last.Severity, last.ID, a.ID)
			}
			st.play(20, nil)
			if end := lastOf(st.got, a.ID); end.Ended == 0 {
				t.Errorf("still open after 20 normal points: %+v", end)
			}
		})
	}
}

func lastOf(as []ops.Anomaly, id string) (out ops.Anomaly) {
	for _, a := range as {
		if a.ID == id {
			out = a
		}
	}
	return out
}

func TestAShiftThatStaysBecomesNormal(t *testing.T) {
	st := begin(t, "daily traffic", 14, nil)
	at := st.now
	st.play(4*60, func(_ int, v float64) float64 { return 2 * v })
	a, _ := st.first(at)
	end := lastOf(st.got, a.ID)
	if end.Ended == 0 {
		t.Fatalf("not adopted after 4 hours: %+v", end)
	}
	if lasted := float64(end.Ended)/1000 - at; lasted < 3600 {
		t.Errorf("swallowed after %v s already", lasted)
	}
	ids := map[string]bool{}
	for _, a := range st.got {
		if a.Kind == ops.AnomalyLevel {
			ids[a.ID] = true
		}
	}
	if len(ids) > 2 {
		t.Errorf("one shift was told as %d anomalies", len(ids))
	}
	st.got = nil
	st.play(24*60, func(_ int, v float64) float64 { return 2 * v })
	for _, a := range st.got {
		if a.Severity >= .35 {
			t.Errorf("the day after, at the new level: %s by %s severity %.2f, %.3g expected %.3g", a.Kind, a.Member, a.Severity, a.Observed, a.Expected)
		}
	}
}

func TestASlowLeakIsReported(t *testing.T) {
	for _, hours := range []float64{.5, 2, 6} { // time in which memory doubles
		st := begin(t, "garbage collection", 14, nil)
		at := st.now
		st.play(int(hours*60*1.5), func(i int, v float64) float64 { return v + 4.5e8*float64(i)/(hours*60) })
		if len(st.got) == 0 {
			t.Errorf("a leak that doubles memory in %v h was not reported", hours)
			continue
		}
		a, delay := st.first(at)
		t.Logf("doubling in %v h: reported by %s after %d min, severity then %.2f, last %.2f", hours, a.Member, delay, a.Severity, st.got[len(st.got)-1].Severity)
	}
}

func TestASpikeIsAKindOfItsOwn(t *testing.T) {
	st := begin(t, "cpu", 14, nil)
	at := st.now
	st.play(1, func(int, float64) float64 { return 1 })
	a, delay := st.first(at)
	if a.Kind != ops.AnomalySpike || delay != 1 || a.Severity >= .36 {
		t.Errorf("%s after %d points with severity %.2f, want a spike at once under .36", a.Kind, delay, a.Severity)
	}
	st.play(10, nil)
	if end := lastOf(st.got, a.ID); end.Ended == 0 || end.Kind != ops.AnomalySpike {
		t.Errorf("spike did not end as a spike: %+v", end)
	}
}

func TestGoodNewsPagesNobody(t *testing.T) {
	st := begin(t, "lognormal latency", 14, nil)
	st.play(60, func(_ int, v float64) float64 { return v / 20 })
	for _, a := range st.got {
		if a.Kind != ops.AnomalyShape {
			t.Errorf("latency fell and %s was raised, severity %.2f", a.Kind, a.Severity)
		}
	}
}

func TestOneFailureOfTwoRequestsPagesNobody(t *testing.T) {
	st := begin(t, "error ratio, tiny traffic", 14, nil)
	st.play(3*1440, nil)
	for _, a := range st.got {
		if a.Severity >= .35 {
			t.Errorf("life as usual: %s by %s severity %.2f score %.2f observed %.2f", a.Kind, a.Member, a.Severity, a.Score, a.Observed)
		}
	}
	st.got = nil
	at := st.now
	st.play(20, func(_ int, v float64) float64 { return 1 })
	a, delay := st.first(at)
	t.Logf("everything fails: %s by %s after %d points, severity at last %.2f", a.Kind, a.Member, delay, st.got[len(st.got)-1].Severity)
	if delay > 4 || st.got[len(st.got)-1].Severity < .35 {
		t.Errorf("everything fails: told after %d points, severity %.2f", delay, st.got[len(st.got)-1].Severity)
	}
}

func TestErrorsThatBeginAfterWeeksOfNone(t *testing.T) {
	st := begin(t, "no errors", 14, nil)
	at, r := st.now, rand.New(rand.NewPCG(5, 5))
	st.play(20, func(int, float64) float64 { return math.Min(30, poisson(r, 4.5)) / 30 })
	_, delay := st.first(at)
	last := st.got[len(st.got)-1]
	t.Logf("reported after %d points, at last severity %.2f", delay, last.Severity)
	if delay > 4 || last.Severity < .5 {
		t.Errorf("15 %% errors after weeks of none: told after %d points, severity %.2f", delay, last.Severity)
	}
}

// History comes at one point a minute, live points every ten seconds and with
// the noise of the shorter window.
func TestAChangedIntervalRaisesNoStorm(t *testing.T) {
	for _, kind := range []string{"daily traffic", "lognormal latency", "error ratio", "counts", "cpu"} {
		total, worst := 0, 0.
		for seed := range uint64(20) {
			st := begin(t, kind, 7, nil)
			st.step = 10
			r := rand.New(rand.NewPCG(seed, 3))
			var v float64
			switch kind {
			case "daily traffic", "counts":
				life := st.life
				st.life = func(t float64) (float64, bool) { v, ok := life(t); return poisson(r, 10*v) / 10, ok }
			default:
				life := st.life
				st.life = func(t float64) (float64, bool) {
					v, ok := life(t)
					w, _ := life(t)
					return math.Max(0, v+1.5*(v-w)), ok
				}
			}
			_ = v
			st.play(6*60*6, nil)
			ids := map[string]bool{}
			for _, a := range st.got {
				ids[a.ID] = true
				worst = math.Max(worst, a.Severity)
			}
			total += len(ids)
		}
		t.Logf("%s: %d anomalies in 20 series x 6 h after the change, worst severity %.2f", kind, total, worst)
		if total > 10 {
			t.Errorf("%s: a changed interval raised %d anomalies in 20 series", kind, total)
		}
	}
}

// Someone tries faults one after the other on the same service: the tenth must
// be seen as the first was.
func TestRepeatedFaultsAreNotTakenForHabits(t *testing.T) {
	for _, c := range []struct {
		kind   string
		factor float64
	}{{"lognormal latency", 5}, {"cpu", 4}, {"daily traffic", .3}, {"counts", 6}} {
		st := begin(t, c.kind, 14, nil)
		seen, worst := 0, 0
		for range 12 {
			st.play(10, nil)
			st.got = nil
			at := st.now
			st.play(6, func(_ int, v float64) float64 { return v * c.factor })
			told := 99
			for _, a := range st.got {
				if a.Kind == ops.AnomalyLevel {
					told = min(told, int(math.Round((float64(a.LastSeen)/1000-at)/st.step))+1)
				}
			}
			if told <= 6 {
				seen, worst = seen+1, max(worst, told)
			}
		}
		t.Logf("%s: %d of 12 faults of six points told as shifts, the slowest after %d points", c.kind, seen, worst)
		if seen < 10 {
			t.Errorf("%s: only %d of 12 faults were told as shifts", c.kind, seen)
		}
	}
}

func TestSensitivityDecidesWhatIsSeen(t *testing.T) {
	count := map[float64]int{}
	for _, sens := range []float64{.0002, .02, 20} {
		for seed := range uint64(5) {
			e, r := New(Config{Sensitivity: sens}), rand.New(rand.NewPCG(seed, 2))
			m := &telemetry.Series{ID: 1, Name: "mild", Signal: telemetry.SignalOther}
			ids := map[string]bool{}
			for i := range int64(6000) {
				v := 100 + 10*r.NormFloat64()
				if i > 4000 && i%500 < 6 {
					v += 31 // a little over three units for six points
				}
				if a := e.Observe(telemetry.Point{Series: m, T: i * 60_000, V: v}); a != nil {
					ids[a.ID] = true
				}
			}
			count[sens] += len(ids)
		}
	}
	t.Logf("anomalies by sensitivity: %v", count)
	if !(count[.0002] < count[.02] && count[.02] < count[20]) {
		t.Errorf("a higher sensitivity must show more: %v", count)
	}
}
