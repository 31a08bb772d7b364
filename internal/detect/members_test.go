package detect

import (
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"
	"testing/quick"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Properties that every member of a detector must have. Other packages under
// this one have the same tests of theirs.

// wild makes any finite number of raw bits: denormals, 1e308, zeros, and now
// and then a value seen before.
func wild(bits []uint64) []float64 {
	out := make([]float64, 0, len(bits))
	for i, b := range bits {
		v := math.Float64frombits(b)
		switch {
		case b%7 == 0 && i > 0:
			v = out[i-1]
		case b%11 == 0:
			v = math.Copysign(1e308, v)
		case b%13 == 0:
			v = math.Float64frombits(b & 0xff) // denormal
		}
		if v-v != 0 {
			v = 0
		}
		out = append(out, v)
	}
	return out
}

func finite32(s *Scores) bool {
	for _, v := range []float64{s.Expected, s.Scale, float64(s.Z), float64(s.Spike), float64(s.Level), float64(s.Slow), float64(s.Shape), float64(s.Alarm), float64(s.Choice)} {
		if v-v != 0 {
			return false
		}
	}
	return s.Scale > 0 && s.Shape >= 0 && s.Choice >= 0
}

func TestEveryMemberIsFiniteForAnyBits(t *testing.T) {
	for _, full := range []bool{false, true} {
		check := func(bits []uint64, seed uint64) bool {
			e := New(Config{Full: map[bool]int{true: 1, false: -1}[full], Seasons: 1})
			m := &telemetry.Series{ID: 1, Name: "any"}
			s := e.enter(m)
			s.row.mu.Unlock()
			r := rand.New(rand.NewPCG(seed, 1))
			now := int64(0)
			for range 1 + 400/(len(bits)+1) {
				for _, v := range wild(bits) {
					now += 1 + int64(r.IntN(90_000))
					sc, ok := s.det.Step(now, v)
					if !ok || !finite32(&sc) || s.det.flatP() < 0 || s.det.flatP() > 1 {
						t.Logf("%v at %d: %+v", v, now, sc)
						return false
					}
				}
			}
			b := s.det.band(now)
			p := s.det.profile(m)
			return b.Expected-b.Expected == 0 && b.Low-b.Low == 0 && b.High-b.High == 0 && b.Low <= b.High && p.Trend-p.Trend == 0 && p.Burst-p.Burst == 0
		}
		if err := quick.Check(check, &quick.Config{MaxCount: 300, Rand: nil}); err != nil {
			t.Errorf("full %v: %v", full, err)
		}
	}
}

// What is not finite, or late, is refused and changes nothing of any member,
// in every tier.
func TestEveryTierRefusesWhatIsNoNumber(t *testing.T) {
	for _, cfg := range []Config{{Full: -1}, {Full: 10}, {Memory: 1}} {
		e, twin := New(cfg), New(cfg)
		bad := []float64{math.NaN(), math.Inf(1), math.Inf(-1)}
		r := rand.New(rand.NewPCG(7, 7))
		for i := range 600 {
			v := 5 + r.NormFloat64()
			for id := range 2 { // of two the second finds no room for a detector when memory is short
				p := telemetry.Point{Series: &telemetry.Series{ID: telemetry.SeriesID(id + 1)}, T: int64(i+1) * 60_000, V: v}
				for _, x := range []*Engine{e, twin} {
					x.Observe(p)
				}
				for _, b := range bad {
					e.Observe(telemetry.Point{Series: p.Series, T: p.T + 1000, V: b})
				}
				e.Observe(telemetry.Point{Series: p.Series, T: p.T, V: 1e9}) // late
			}
		}
		for id := range telemetry.SeriesID(2) {
			x, _ := e.Explain(id + 1)
			y, _ := twin.Explain(id + 1)
			if !reflect.DeepEqual(x, y) {
				t.Errorf("%+v: with bad points %+v\nwithout %+v", cfg, x, y)
			}
		}
		if s := e.Stats(); s.Refused != 3*2*600 || s.Late != 2*600 {
			t.Errorf("%d refused, %d late", s.Refused, s.Late)
		}
	}
}

// A constant says nothing in any tier, for months, with silence, flat line and
// season looking on.
func TestAConstantSaysNothingInAnyTier(t *testing.T) {
	for _, v := range []float64{0, 1, -1e308, 1e-310, 0.1} {
		for _, cfg := range []Config{{Full: -1}, {Full: 10, Seasons: 10}, {Memory: 1}} {
			e := New(cfg)
			for i := range int64(20 * 1440) {
				for id := range 2 {
					if a := e.Observe(telemetry.Point{Series: &telemetry.Series{ID: telemetry.SeriesID(id + 1), Name: "c"}, T: (i + 1) * 60_000, V: v}); a != nil {
						t.Fatalf("constant %v in %+v: %+v", v, cfg, a)
					}
				}
				if i%30 == 0 {
					if as := e.Tick((i + 1) * 60_000); len(as) > 0 {
						t.Fatalf("constant %v in %+v: %+v", v, cfg, as)
					}
				}
			}
		}
	}
}

// Flat line: neither unit nor zero point matters.
func TestAFlatLineIsFlatInAnyUnit(t *testing.T) {
	told := func(scale, shift float64) (n int, p float64) {
		w, r := newFlatWorld(), rand.New(rand.NewPCG(1, 1))
		m := series1(1, telemetry.SignalOther)
		w.play(3*1440, map[*telemetry.Series]func(int) float64{m: func(i int) float64 { return shift + scale*(20+3*wave(i)+r.NormFloat64()) }})
		w.play(90, map[*telemetry.Series]func(int) float64{m: func(int) float64 { return shift + scale*20.25 }})
		for _, a := range w.told {
			p = a.P
		}
		return len(w.told), p
	}
	n, p := told(1, 0)
	for _, c := range [][2]float64{{1024, 0}, {1. / 4096, 0}, {1, 1000}, {-1, 0}, {1e6, -1e6}} {
		if k, q := told(c[0], c[1]); k != n || n != 1 || math.Abs(q-p) > 1e-6 {
			t.Errorf("times %v plus %v: told %d times, p %v; plain %d, p %v", c[0], c[1], k, q, n, p)
		}
	}
}

// Silence depends on times alone.
func TestSilenceKnowsNoValues(t *testing.T) {
	silent := func(scale float64) (onset int64) {
		e, r := New(Config{}), rand.New(rand.NewPCG(3, 3))
		for i := range int64(300) {
			e.Observe(telemetry.Point{Series: &telemetry.Series{ID: 1}, T: (i + 1) * 60_000, V: scale * r.NormFloat64()})
			e.Tick((i + 1) * 60_000)
		}
		for i := range int64(60) {
			for _, a := range e.Tick((300 + i) * 60_000) {
				if a.Kind == ops.AnomalySilence && onset == 0 {
					onset = a.Onset
				}
			}
		}
		return onset
	}
	a, b := silent(1), silent(1e-300)
	if a == 0 || a != b {
		t.Errorf("silent since %d and, in another unit, since %d", a, b)
	}
}

// long is n, or ten million where the environment asks for it (make long).
func long(n int) int {
	if os.Getenv("NORN_LONG") != "" {
		return 10_000_000
	}
	return n
}

// Ten million points leave the state as large as it was, and finite: the basic
// tier always, the others by make long.
func TestStateStaysBoundedOverTenMillionPoints(t *testing.T) {
	for name, c := range map[string]struct {
		cfg Config
		n   int
	}{
		"basic":   {Config{Full: -1}, 10_000_000},
		"full":    {Config{Full: 10, Seasons: 10}, long(400_000)},
		"counter": {Config{Memory: 1}, long(400_000)},
	} {
		e := New(c.cfg)
		metas := []*telemetry.Series{{ID: 1, Name: "a"}, {ID: 2, Name: "b"}}
		seats := make([]telemetry.Seat, 2)
		r := rand.New(rand.NewPCG(2, 2))
		size, pts := 0, make([]telemetry.Point, 0, 1000)
		m := metas[1] // in the counter engine the first finds room for a detector
		e.Observe(telemetry.Point{Series: metas[0], T: 1, V: 1})
		for i := range c.n {
			v := 50 + 10*r.Float64()
			switch {
			case i%1000 == 0:
				v *= 50
			case i/5000%7 == 0:
				v = 50
			}
			pts = append(pts, telemetry.Point{Series: m, T: int64(i+1) * 10_000, V: v, Seat: &seats[1]})
			if len(pts) == cap(pts) {
				e.ObserveBatch(pts, func(*ops.Anomaly) {})
				pts = pts[:0]
			}
			if i == c.n/2 {
				size = e.StateBytes()
			}
		}
		if end := e.StateBytes(); float64(end) > 1.05*float64(size) {
			t.Errorf("%s: %d bytes after all points, %d after half of them", name, end, size)
		}
		x, ok := e.Explain(m.ID)
		if !ok || x.Value < 0 || x.Expected-x.Expected != 0 || x.High < x.Low {
			t.Errorf("%s: %+v", name, x)
		}
	}
}
