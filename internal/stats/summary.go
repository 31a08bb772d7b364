package stats

import (
	"math"
	"slices"
)

// Summary holds the robust order statistics of a sample that cause analysis
// needs. The zero value is the summary of an empty sample.
type Summary struct {
	N                    int // finite values
	Median               float64
	Q25, Q75             float64
	Q025, Q05, Q95, Q975 float64
}

// IQR is the distance between the quartiles.
func (s Summary) IQR() float64 { return s.Q75 - s.Q25 }

// Summarise computes order statistics of the finite values of v with linear
// interpolation between order statistics (Hyndman and Fan's type 7). NaN and
// infinities are left out; v is not changed. It costs one sort.
func Summarise(v []float64) Summary {
	w := make([]float64, 0, len(v))
	for _, x := range v {
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			w = append(w, x)
		}
	}
	if len(w) == 0 {
		return Summary{}
	}
	slices.Sort(w)
	at := func(q float64) float64 {
		h := q * float64(len(w)-1)
		i := int(h)
		if i+1 >= len(w) {
			return w[len(w)-1]
		}
		return w[i] + (h-float64(i))*(w[i+1]-w[i])
	}
	return Summary{
		N: len(w), Median: at(.5), Q25: at(.25), Q75: at(.75),
		Q025: at(.025), Q05: at(.05), Q95: at(.95), Q975: at(.975),
	}
}
