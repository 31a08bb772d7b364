package stats_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/norn-aiops/norn/internal/stats"
)

// Known values: P(X<=1) of Bin(11, 1/2) is 12/2048, doubled.
func TestRateChangeIsTheBinomialTest(t *testing.T) {
	for _, c := range []struct{ a, ta, b, tb, d, want float64 }{
		{1, 60, 10, 60, 1, 2 * 12.0 / 2048},
		{10, 60, 1, 60, 1, 2 * 12.0 / 2048},
		{5, 60, 5, 60, 1, 1},
		{0, 60, 0, 60, 1, 1},
		{10, 60, 100, 600, 1, 1},                 // one rate over ranges of unlike length
		{0, 1, 3, 1, 1, 0.25},                    // 2 * 1/8
		{20, 60, 0, 60, 4, 2 * math.Pow(0.5, 5)}, // bursts of four count as one
	} {
		if got := stats.RateChange(c.a, c.ta, c.b, c.tb, c.d); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%+v gives %g", c, got)
		}
	}
}

// Where nothing changed, a test at 1 % may speak about once in a hundred, for
// even and for bursty counts, and for series that wander.
func TestFalseAlarmsKeepToTheirLevel(t *testing.T) {
	const seed = 11
	rng := rand.New(rand.NewPCG(seed, 1))
	const trials = 4000
	poisson := func(mean float64) (n float64) {
		for s := rng.ExpFloat64(); s < mean; s += rng.ExpFloat64() {
			n++
		}
		return n
	}
	even, bursty, wander := 0, 0, 0
	for range trials {
		if stats.RateChange(poisson(5), 1, poisson(20), 4, 1) < .01 {
			even++
		}
		parts, na, nb := make([]float64, 20), 0.0, 0.0
		for i := range parts {
			parts[i] = 5 * poisson(2)
			nb += parts[i]
			if i < 5 {
				na += 5 * poisson(2)
			}
		}
		if stats.RateChange(na, 1, nb, 4, stats.Dispersion(parts)) < .01 {
			bursty++
		}
		xs := make([]float64, 300)
		for i := 1; i < len(xs); i++ {
			xs[i] = .8*xs[i-1] + rng.NormFloat64()
		}
		if stats.MedianShift(xs[:240], xs[240:]).P < .01 {
			wander++
		}
	}
	t.Logf("seed %d: of %d at 1 %%: even %d, bursty %d, wandering %d", seed, trials, even, bursty, wander)
	for name, n := range map[string]int{"even": even, "bursty": bursty, "wandering": wander} {
		if n > trials*3/100 {
			t.Errorf("%s: %d of %d false alarms at 1 %%", name, n, trials)
		}
	}
}

func TestMedianShiftSeesAStepAndNoneWhereThereIsNone(t *testing.T) {
	before, within := make([]float64, 60), make([]float64, 20)
	rng := rand.New(rand.NewPCG(3, 3))
	for i := range before {
		before[i] = 10 + rng.NormFloat64()
	}
	for i := range within {
		within[i] = 14 + rng.NormFloat64()
	}
	if s := stats.MedianShift(before, within); s.P > 1e-8 || s.Z < 5 || math.Abs(s.Within-s.Before-4) > 1 {
		t.Errorf("a step of four deviations: %+v", s)
	}
	constant := []float64{7, 7, 7, 7, 7, 7, 7, 7, 7}
	if s := stats.MedianShift(constant, []float64{7, 7, 7}); s.P < .99 {
		t.Errorf("a constant that stays: %+v", s)
	}
	if s := stats.MedianShift(constant, []float64{9, 9, 9}); s.P > 1e-3 {
		t.Errorf("a constant that moves: %+v", s)
	}
	if s := stats.MedianShift(make([]float64, 20), make([]float64, 5)); s.P != 1 {
		t.Errorf("zeros: %+v", s)
	}
	if s := stats.MedianShift(before[:7], within); s.P != 1 {
		t.Errorf("too little past: %+v", s)
	}
}

func TestBenjaminiHochbergOnTheirOwnExample(t *testing.T) {
	// The 15 p-values of the paper's example; four are rejected at 0.05.
	ps := []float64{.0001, .0004, .0019, .0095, .0201, .0278, .0298, .0344, .0459, .3240, .4262, .5719, .6528, .7590, 1}
	n := 0
	for i, q := range stats.BenjaminiHochberg(ps) {
		if q <= .05 {
			n++
		}
		if q < ps[i] {
			t.Errorf("q %g below p %g", q, ps[i])
		}
	}
	if n != 4 {
		t.Errorf("%d rejected, want 4", n)
	}
	if len(stats.BenjaminiHochberg(nil)) != 0 {
		t.Error("nothing gives something")
	}
}
