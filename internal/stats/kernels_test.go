package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestGumbelFitFindsTheLawOfBlockMaxima(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 2))
	truth := Gumbel{Mu: 3, Beta: .7}
	xs := make([]float64, 40000)
	for i := range xs {
		xs[i] = truth.Level(1 - r.Float64()*(1-1e-12) - 1e-13)
	}
	g := GumbelFit(Quantile(xs, .5), Quantile(xs, .8), 0)
	if math.Abs(g.Mu-3) > .03 || math.Abs(g.Beta-.7) > .03 {
		t.Errorf("fit %+v, want %+v", g, truth)
	}
	for _, p := range []float64{.9, .5, .01, 1e-6} {
		if got := g.Tail(g.Level(p)); math.Abs(got-p) > 1e-9+1e-6*p {
			t.Errorf("tail of level %v = %v", p, got)
		}
	}
	if g := GumbelFit(2, 2, .1); g.Beta != .1 {
		t.Errorf("equal quantiles must give the least beta, got %v", g.Beta)
	}
}

func TestFastLog2(t *testing.T) {
	for x := float32(1e-6); x < 1e6; x *= 1.0003 {
		if d := math.Abs(float64(FastLog2(x)) - math.Log2(float64(x))); d > .005 {
			t.Fatalf("log2(%v) off by %v", x, d)
		}
	}
}

func TestUnitHistogramMedianFollowsTheStream(t *testing.T) {
	var h UnitHistogram
	if h.Median() != 0 {
		t.Error("empty histogram must give 0")
	}
	h.Add(-1)
	h.Add(.5)
	h.Add(7)
	if got := h.Median(); got != .5 {
		t.Errorf("median = %v, want .5", got)
	}
	for range 100000 {
		h.Add(.25)
	}
	for range 1000 { // counts are bytes: the past fades
		h.Add(.75)
	}
	if got := h.Median(); got != .75 {
		t.Errorf("median = %v, want .75 after the stream moved", got)
	}
}
