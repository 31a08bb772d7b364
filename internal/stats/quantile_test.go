package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestQuantileAgreesWithSorting(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 1))
	for range 2000 {
		n := 1 + r.IntN(40)
		xs := make([]float64, n)
		for i := range xs {
			xs[i] = math.Round(r.NormFloat64() * 4) // many ties
		}
		before := slices.Clone(xs)
		sorted := slices.Clone(xs)
		slices.Sort(sorted)
		for _, q := range []float64{-1, 0, .025, .25, .5, .77, .975, 1, 2} {
			got, want := Quantile(xs, q), QuantileSorted(sorted, q)
			if math.Abs(got-want) > 1e-12 {
				t.Fatalf("quantile %v of %v = %v, want %v", q, xs, got, want)
			}
		}
		if !slices.Equal(xs, before) {
			t.Fatal("Quantile changed its input")
		}
	}
}

func TestQuantileLeavesOutNaN(t *testing.T) {
	nan := math.NaN()
	if got := Median([]float64{nan, 3, 1, nan, 2, 10}); got != 2.5 {
		t.Errorf("median = %v, want 2.5", got)
	}
	for _, xs := range [][]float64{nil, {}, {nan, nan}} {
		if got := Median(xs); !math.IsNaN(got) {
			t.Errorf("median of %v = %v, want NaN", xs, got)
		}
	}
	if got := Quantile([]float64{1, 2}, nan); !math.IsNaN(got) {
		t.Errorf("quantile at NaN = %v, want NaN", got)
	}
}

func TestQuantileOfInfinities(t *testing.T) {
	inf := math.Inf(1)
	if got := Median([]float64{inf, inf, inf, inf}); got != inf {
		t.Errorf("median of infinities = %v", got)
	}
	if got := Median([]float64{-inf, 1, inf}); got != 1 {
		t.Errorf("median = %v, want 1", got)
	}
}

func TestMADOfNormalIsSigma(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	xs := make([]float64, 20000)
	for i := range xs {
		xs[i] = 5 + 2*r.NormFloat64()
	}
	if got := MAD(xs); math.Abs(got-2) > .06 {
		t.Errorf("MAD of normal with sigma 2 = %v", got)
	}
	if got := MAD([]float64{4, 4, 4}); got != 0 {
		t.Errorf("MAD of a constant = %v", got)
	}
}
