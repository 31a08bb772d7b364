package stats

import "math"

// Median returns the middle value of xs (mean of the two middle ones when the
// count is even). NaN values are left out; NaN is returned when nothing is
// left. xs is not changed; one copy is allocated.
func Median(xs []float64) float64 { return Quantile(xs, 0.5) }

// Quantile returns the q-quantile of xs by linear interpolation between order
// statistics (Hyndman and Fan 1996, type 7: h = (n-1)q), q clipped to [0, 1].
// NaN values are left out; NaN is returned when nothing is left or q is NaN.
// xs is not changed; one copy is allocated. Expected time O(n).
func Quantile(xs []float64, q float64) float64 {
	return QuantileInPlace(append([]float64(nil), xs...), q)
}

// QuantileInPlace is [Quantile] without the copy: it reorders xs.
func QuantileInPlace(xs []float64, q float64) float64 {
	xs = dropNaN(xs)
	n := len(xs)
	if n == 0 || math.IsNaN(q) {
		return math.NaN()
	}
	h := float64(n-1) * math.Min(1, math.Max(0, q))
	lo := int(h)
	a := selectKth(xs, lo)
	frac := h - float64(lo)
	if frac == 0 || lo+1 >= n {
		return a
	}
	b := xs[lo+1] // after selection all of xs[lo+1:] is >= a: the next order statistic is its minimum
	for _, v := range xs[lo+2:] {
		b = math.Min(b, v)
	}
	return lerp(a, b, frac)
}

// QuantileSorted is [Quantile] of a slice that is sorted ascending and free of
// NaN. It does not allocate.
func QuantileSorted(xs []float64, q float64) float64 {
	n := len(xs)
	if n == 0 || math.IsNaN(q) {
		return math.NaN()
	}
	h := float64(n-1) * math.Min(1, math.Max(0, q))
	lo := int(h)
	if lo+1 >= n {
		return xs[n-1]
	}
	return lerp(xs[lo], xs[lo+1], h-float64(lo))
}

// MAD returns the median absolute deviation from the median, times 1.4826 so
// that it estimates the standard deviation of a normal distribution. NaN
// values are left out; NaN when nothing is left. One copy is allocated.
func MAD(xs []float64) float64 {
	d := append([]float64(nil), xs...)
	m := QuantileInPlace(d, 0.5)
	for i := range d {
		d[i] = math.Abs(d[i] - m)
	}
	return 1.4826 * QuantileInPlace(d, 0.5)
}

// lerp interpolates without leaving [a, b] and without inf-inf for equal
// infinities.
func lerp(a, b, f float64) float64 {
	if a == b {
		return a
	}
	return a*(1-f) + b*f
}

// dropNaN moves the non-NaN values to the front and returns them.
func dropNaN(xs []float64) []float64 {
	k := 0
	for _, v := range xs {
		if !math.IsNaN(v) {
			xs[k] = v
			k++
		}
	}
	return xs[:k]
}

// selectKth puts the k-th smallest value (from 0) at xs[k], smaller or equal
// ones before it and greater or equal ones after it (Hoare's FIND, median of
// three pivots). xs must be free of NaN and 0 <= k < len(xs).
func selectKth(xs []float64, k int) float64 {
	lo, hi := 0, len(xs)-1
	for lo < hi {
		p := median3(xs[lo], xs[lo+(hi-lo)/2], xs[hi])
		i, j := lo, hi
		for i <= j {
			for xs[i] < p {
				i++
			}
			for xs[j] > p {
				j--
			}
			if i <= j {
				xs[i], xs[j] = xs[j], xs[i]
				i++
				j--
			}
		}
		switch {
		case k <= j:
			hi = j
		case k >= i:
			lo = i
		default:
			return xs[k]
		}
	}
	return xs[k]
}

func median3(a, b, c float64) float64 {
	return math.Max(math.Min(a, b), math.Min(math.Max(a, b), c))
}
