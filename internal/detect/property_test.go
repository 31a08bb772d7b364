package detect

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Any finite input gives finite scores, bands and anomalies.
func TestFiniteInFiniteOut(t *testing.T) {
	const seed = 4
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, seed))
	wild := []float64{0, 1, -1, 1e-320, -1e-320, 1e300, -1e300, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1e9 + .1}
	for _, sig := range []telemetry.Signal{telemetry.SignalLatency, telemetry.SignalErrors, telemetry.SignalTraffic, telemetry.SignalLogs, telemetry.SignalUp, telemetry.SignalOther} {
		e := New(Config{})
		m := &telemetry.Series{ID: 1, Name: "wild", Signal: sig}
		now := int64(-1e12)
		finite := func(what string, vs ...float64) {
			t.Helper()
			for _, v := range vs {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("%s %s: %v in %v", sig, what, v, vs)
				}
			}
		}
		for i := range 6000 {
			now += 1 + int64(r.ExpFloat64()*[]float64{10, 6e4, 1e9}[r.IntN(3)])
			v := wild[r.IntN(len(wild))]
			switch i / 1000 % 3 {
			case 1:
				v = r.NormFloat64() * math.Pow(10, float64(r.IntN(60)-30))
			case 2:
				v = float64(r.IntN(2))
			}
			if a := e.Observe(telemetry.Point{Series: m, T: now, V: v}); a != nil {
				finite("anomaly", a.Severity, a.P, a.Score, a.Observed, a.Expected, a.Low, a.High)
				if a.Severity < 0 || a.Severity > 1 || a.P < 0 || a.P > 1 || a.Onset > a.LastSeen {
					t.Fatalf("%s: %+v", sig, a)
				}
			}
			d := &e.find(1).det
			for _, c := range d.cal {
				finite("limit", float64(c.limit), float64(c.cur), float64(c.mu))
			}
			finite("state", float64(d.base.square[0]), float64(d.base.square[1]), float64(d.base.level), float64(d.base.shift), float64(d.base.slow), float64(d.alarm.past))
		}
		x, _ := e.Explain(1)
		finite("explanation", x.Expected, x.Low, x.High, x.Scale, x.Z, x.DailyGain, x.LevelLimit)
	}
}

func TestAConstantSeriesIsSilentForever(t *testing.T) {
	for _, v := range []float64{0, .25, -3, 1e12, 1e-12} {
		d := NewDetector(Options{})
		for i := range int64(20000) {
			s, ok := d.Step(i*60_000, v)
			if !ok || s.Z != 0 || s.Alarm != 0 || d.level.kind != epNone || d.form.kind != epNone {
				t.Fatalf("constant %v, point %d: %+v", v, i, s)
			}
		}
	}
}

// What is said of a point depends on it and earlier ones only, and is the same
// every time.
func TestStrictlyCausalAndDeterministic(t *testing.T) {
	for _, k := range cleanKinds() {
		life := k.make(rand.New(rand.NewPCG(8, 8)), 60)
		var vs []float64
		for i := range 3000 {
			v, _ := life(float64(i) * 60)
			vs = append(vs, v)
		}
		whole, part := NewDetector(Options{}), NewDetector(Options{})
		var want []Scores
		for i, v := range vs {
			s, _ := whole.Step(int64(i)*60_000, v)
			want = append(want, s)
		}
		for i, v := range vs[:1700] {
			if s, _ := part.Step(int64(i)*60_000, v); s != want[i] {
				t.Fatalf("%s: point %d: %+v in the prefix, %+v in the whole", k.name, i, s, want[i])
			}
		}
	}
}

// z and the alarms do not change when a series is moved (by enough that it
// stays clear of zero) or stretched: units do not matter. Relative floors make
// an exception for quiet series, so the noise here is large.
func TestUnitsDoNotMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	var vs []float64
	for i := range 3000 {
		vs = append(vs, 100+30*r.NormFloat64()+40*day(float64(i)*60))
	}
	a, b := NewDetector(Options{}), NewDetector(Options{})
	for i, v := range vs {
		x, _ := a.Step(int64(i)*60_000, v)
		y, _ := b.Step(int64(i)*60_000, v*1024) // a power of two: exact in floating point
		if math.Abs(float64(x.Z-y.Z)) > 1e-3*(1+math.Abs(float64(x.Z))) || math.Abs(float64(x.Alarm-y.Alarm)) > 1e-3 {
			t.Fatalf("point %d: %+v and, times 1024, %+v", i, x, y)
		}
	}
}

// The state of a series does not grow with its life.
func TestMemoryIsBoundedOverALongLife(t *testing.T) {
	d := NewDetector(Options{})
	r := rand.New(rand.NewPCG(2, 2))
	for i := range int64(300_000) {
		d.Step(i*10_000, 50+10*r.NormFloat64())
	}
	if d.warm != nil {
		t.Error("the warm-up is still held")
	}
	if d.shape.fill > fillLimit {
		t.Errorf("%d bits of the filter are set, limit %d", d.shape.fill, fillLimit)
	}
	c := codec{}
	d.walk(&c)
	if len(c.buf) > 2048 {
		t.Errorf("a snapshot of %d bytes", len(c.buf))
	}
}

func TestAnExplanationIsASentence(t *testing.T) {
	e, f := New(Config{}), newFleet(20, 60)
	f.play(e, 4*1440, nil)
	for _, m := range f.metas {
		x, ok := e.Explain(m.ID)
		if !ok || len(x.Sentence) < 40 || x.Low > x.Expected || x.High < x.Expected {
			t.Errorf("%s: %+v", m.Name, x)
		}
		t.Logf("%s: %s", m.Name, x.Sentence)
		if want := m.Name == "daily traffic" || m.Name == "cpu"; want != (x.Baseline == "daily") && m.Name != "weekly traffic" {
			t.Errorf("%s: baseline %s", m.Name, x.Baseline)
		}
		bands := e.Bands(m.ID, int64(f.now*1000)-3600_000, int64(f.now*1000), 60_000)
		if len(bands) != 61 {
			t.Fatalf("%d bands for an hour of minutes", len(bands))
		}
		for _, b := range bands {
			if !(b.Low <= b.Expected && b.Expected <= b.High) {
				t.Errorf("%s: band %+v", m.Name, b)
			}
		}
	}
	if _, ok := e.Explain(1); ok {
		t.Error("an unknown series was explained")
	}
}

// A fortnight of normal life of every kind raises next to nothing. What pages
// (severity .35 and more) is counted apart. The first two days, in which a
// series that begins without history learns its habits, do not count.
func TestNormalLifeRaisesNextToNothing(t *testing.T) {
	const perKind, days = 4, 12
	all, paging, kinds := 0, 0, 0
	for ki, k := range cleanKinds() {
		if k.name == "nightly job" { // needs three nights to be known: see below
			continue
		}
		kinds++
		n, high := quietDays(k, uint64(ki), perKind, days, 2)
		all, paging = all+n, paging+high
		t.Logf("%-26s %d anomalies, %d of them paging, in %d series-days", k.name, n, high, perKind*(days-2))
	}
	week := float64(kinds*perKind*(days-2)) / 7
	t.Logf("in all %.3f a series-week, paging %.3f", float64(all)/week, float64(paging)/week)
	if float64(all)/week > .27 || float64(paging)/week > .05 {
		t.Errorf("%d anomalies, %d paging, in %.0f series-weeks of normal life", all, paging, week)
	}
}

// quietDays counts the anomalies after the day from.
func quietDays(k cleanSeries, seed uint64, series, days, from int) (all, paging int) {
	return quietDaysOf(Config{}, k, seed, series, days, from)
}

func quietDaysOf(cfg Config, k cleanSeries, seed uint64, series, days, from int) (all, paging int) {
	for i := range series {
		life := k.make(rand.New(rand.NewPCG(seed, uint64(i))), 60)
		start := 1.75e9 - math.Mod(1.75e9, 86400)
		cfg.QuietBefore = int64(1000 * (start + 86400*float64(from)))
		e := New(cfg)
		m := &telemetry.Series{ID: 1, Name: k.name, Signal: k.signal, Unit: k.unit, Direction: k.dir}
		worst := map[string]ops.Anomaly{}
		for p := range days * 1440 {
			now := start + 60*float64(p)
			if v, ok := life(now); ok {
				if a := e.Observe(telemetry.Point{Series: m, T: int64(now * 1000), V: v}); a != nil {
					worst[a.ID] = *a
				}
			}
		}
		all += len(worst)
		for _, a := range worst {
			if a.Severity >= .35 {
				paging++
			}
		}
	}
	return all, paging
}

func TestANightlyJobIsKnownAfterAWeek(t *testing.T) {
	for ki, k := range cleanKinds() {
		if k.name == "nightly job" {
			all, paging := quietDays(k, uint64(ki), 6, 21, 8)
			t.Logf("%d anomalies, %d paging, in 78 nights", all, paging)
			if paging > 1 {
				t.Errorf("%d pages in 78 nights for a job that runs every night", paging)
			}
		}
	}
}
