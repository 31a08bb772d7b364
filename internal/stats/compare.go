package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// RateChange gives the two-sided p-value that two counts, a in a range of
// length ta and b in one of length tb (any unit, both positive), come from one
// rate: given a+b, a is binomial with share ta/(ta+tb) (Przyborowski and
// Wilenski, Biometrika 1940). dispersion is how much more than Poisson's the
// variance of such counts is; it divides both counts, and what is below 1
// counts as 1. The p-value is 1 when nothing was counted.
func RateChange(a, ta, b, tb, dispersion float64) float64 {
	d := max(dispersion, 1)
	a, b = a/d, b/d
	n := a + b
	if n <= 0 || ta <= 0 || tb <= 0 {
		return 1
	}
	share := ta / (ta + tb)
	// The tails P(X <= a) and P(X >= a) of the binomial distribution, as the
	// incomplete beta function continues them to counts that are no integers.
	low, high := 1.0, 1.0
	if b > 0 {
		low = mathext.RegIncBeta(b, a+1, 1-share)
	}
	if a > 0 {
		high = mathext.RegIncBeta(a, b+1, share)
	}
	return min(1, 2*min(low, high))
}

// Dispersion estimates how much more than Poisson's the variance of counts in
// windows of equal length is: the index of dispersion (variance over mean),
// pooled over groups that may have different rates (each of at least two
// windows; others are left out). It is at least 1.
func Dispersion(groups ...[]float64) float64 {
	sum, free := 0.0, 0.0
	for _, g := range groups {
		if len(g) < 2 {
			continue
		}
		mean := 0.0
		for _, x := range g {
			mean += x / float64(len(g))
		}
		if mean <= 0 {
			continue
		}
		for _, x := range g {
			sum += (x - mean) * (x - mean) / mean
		}
		free += float64(len(g) - 1)
	}
	if free == 0 {
		return 1
	}
	return max(1, sum/free)
}

// BenjaminiHochberg turns p-values into q-values, in their order: rejecting
// what is at most q keeps the expected share of false rejections at q
// (Benjamini and Hochberg, J. R. Stat. Soc. B 1995). NaN counts as 1.
func BenjaminiHochberg(ps []float64) []float64 {
	order := make([]int, len(ps))
	for i := range order {
		order[i] = i
	}
	at := func(i int) float64 {
		if math.IsNaN(ps[i]) {
			return 1
		}
		return ps[i]
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case at(a) < at(b):
			return -1
		case at(a) > at(b):
			return 1
		}
		return 0
	})
	qs := make([]float64, len(ps))
	least := 1.0
	for rank := len(order); rank > 0; rank-- {
		i := order[rank-1]
		least = min(least, at(i)*float64(len(ps))/float64(rank))
		qs[i] = least
	}
	return qs
}

// Shift compares the values of a series within a window with those before it,
// both in order of time and NaN left out by the caller.
type Shift struct {
	Before float64 // median
	Within float64 // median
	Scale  float64 // robust standard deviation of the values before
	Z      float64 // difference of the medians over its standard error
	P      float64 // two-sided
}

// MedianShift tests whether the median of within differs from that of before.
// The standard error is that of medians of normal values, with the number of
// values reduced for their autocorrelation (first order; Bartlett 1946), so that
// a slow wander is no news. Fewer than 8 values before or 2 within give p = 1.
// A series that never moved before is compared with a scale of one percent of
// its level.
func MedianShift(before, within []float64) Shift {
	s := Shift{P: 1}
	if len(before) < 8 || len(within) < 2 {
		return s
	}
	s.Before, s.Within = Median(before), Median(within)
	s.Scale = 1.4826 * MAD(before)
	if s.Scale == 0 { // more than half are equal: the rest decides
		s.Scale = deviation(before, s.Before)
	}
	if floor := .01 * max(math.Abs(s.Before), math.Abs(s.Within)); s.Scale < floor {
		s.Scale = floor
	}
	if s.Scale == 0 {
		return s
	}
	r := min(max(lagOne(before, s.Before), 0), .97)
	shrink := (1 - r) / (1 + r)
	nb, nw := max(1, float64(len(before))*shrink), max(1, float64(len(within))*shrink)
	const efficiency = math.Pi / 2 // of the median against the mean
	s.Z = (s.Within - s.Before) / (s.Scale * math.Sqrt(efficiency/nb+efficiency/nw))
	// Student's tail: few values say little about the scale.
	free := max(nb-1, 1)
	s.P = mathext.RegIncBeta(free/2, .5, free/(free+s.Z*s.Z))
	return s
}

func deviation(xs []float64, center float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += (x - center) * (x - center)
	}
	return math.Sqrt(sum / float64(len(xs)))
}

// lagOne is the correlation of neighbouring values around center.
func lagOne(xs []float64, center float64) float64 {
	num, den := 0.0, 0.0
	for i, x := range xs {
		den += (x - center) * (x - center)
		if i > 0 {
			num += (x - center) * (xs[i-1] - center)
		}
	}
	if den == 0 {
		return 0
	}
	return num / den
}
