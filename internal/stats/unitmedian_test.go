package stats

import (
	"math/rand/v2"
	"testing"
)

func TestTheKeptMedianIsTheCountedOne(t *testing.T) {
	const seed = 7
	rnd := rand.New(rand.NewPCG(seed, 1))
	var m UnitMedian
	if m.Median() != 0 {
		t.Fatalf("the median of nothing is %v", m.Median())
	}
	centre := .5
	for i := range 200_000 {
		if i%500 == 0 {
			centre = rnd.Float64()
		}
		m.Add(float32(centre + .2*rnd.NormFloat64()))
		if got, want := m.Median(), m.UnitHistogram.Median(); got != want {
			t.Fatalf("seed %d, value %d: kept %v, counted %v", seed, i, got, want)
		}
	}
	copied := UnitMedian{UnitHistogram: m.UnitHistogram}
	copied.Recount()
	if copied != m {
		t.Fatal("recounting finds another state")
	}
}
