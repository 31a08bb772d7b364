package stats

import (
	"math"
	"testing"
)

func TestSummaryOfAKnownSampleIgnoresWhatIsNotFinite(t *testing.T) {
	in := []float64{5, math.NaN(), 1, 3, math.Inf(1), 2, 4}
	s := Summarise(in)
	if s.N != 5 || s.Median != 3 || s.Q25 != 2 || s.Q75 != 4 || s.IQR() != 2 {
		t.Fatalf("got %+v", s)
	}
	if math.Abs(s.Q975-4.9) > 1e-12 || math.Abs(s.Q025-1.1) > 1e-12 {
		t.Fatalf("tails: %+v", s)
	}
	if in[0] != 5 {
		t.Fatal("the input was changed")
	}
	if Summarise(nil) != (Summary{}) {
		t.Fatal("an empty sample must give the zero summary")
	}
}
