package whatif

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The simulation itself is held against theory where theory is exact.
func TestSimulatedQueuesObeyTheory(t *testing.T) {
	const rho = .7
	for _, c := range []struct {
		name string
		s    server
		want float64 // mean time
	}{
		{"M/M/1-like work with variation 1, in order (Pollaczek-Khinchine)", server{c: 1, mean: 1, cv: 1}, 1 + rho/(1-rho)},
		{"variation 0.5, in order", server{c: 1, mean: 1, cv: .5}, 1 + rho/(1-rho)*(1+.25)/2},
		{"sharing is insensitive to the variation", server{c: 1, mean: 1, cv: 1.3, shared: true}, 1 / (1 - rho)},
	} {
		ms := c.s.run([]float64{rho, rho}, 200_000, rand.New(rand.NewPCG(5, 5)))
		if got := ms[1].time; math.Abs(got/c.want-1) > .08 {
			t.Errorf("%s: mean time %.3f, theory says %.3f", c.name, got, c.want)
		}
	}
}

// The bar: the load at which an estate breaks is predicted within 20 % from
// ordinary days, and the thing that breaks first is named.
func TestTheBreakingLoadIsPredictedFromOrdinaryDays(t *testing.T) {
	r, err := Run(t.Context(), Options{Estates: 6, Seed: 11})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("seed 11: %+v", r)
	if r.Answered < 5 || r.FirstError > .2 || r.FirstRight < .6 {
		t.Errorf("of 6 estates %d answered, %.0f %% of firsts right, median error %.0f %%", r.Answered, 100*r.FirstRight, 100*r.FirstError)
	}
	if u := r.Rows[0]; u.Median > .1 || u.Refused > u.Services/4 {
		t.Errorf("with utilisation measured: %+v", u)
	}
}
