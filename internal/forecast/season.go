package forecast

import (
	"math"
	"math/cmplx"
	"slices"

	"gonum.org/v1/gonum/dsp/fourier"
)

const (
	hour = int64(3_600_000)
	day  = 24 * hour
	week = 7 * day
)

// usual gives the seasons that people and machines make at a step: day, week,
// year; and what the series itself repeats.
func usual(step int64, y []float64) []int {
	var out []int
	add := func(length int64) {
		if step > 0 && length%step <= length/50 && length/step >= 2 {
			out = append(out, int(length/step))
		}
	}
	switch {
	case step <= 0:
	case step >= 27*day && step <= 32*day:
		out = append(out, 12)
	case step >= 85*day && step <= 95*day:
		out = append(out, 4)
	case step >= 6*day && step <= 8*day:
		out = append(out, 52)
	case step >= day:
		add(week)
	default:
		add(day)
		add(week)
	}
	if p := repeats(y); p > 0 && !slices.ContainsFunc(out, func(o int) bool { return near(o, p) }) {
		out = append(out, p)
		slices.Sort(out)
	}
	return out
}

// near tells two lengths apart that differ by more than a tenth, or by more
// than that from a multiple.
func near(a, b int) bool {
	r := float64(max(a, b)) / float64(min(a, b))
	return math.Abs(r-math.Round(r)) < .1 && r < 4.5
}

// repeats finds the length of the strongest repetition in y by its
// autocorrelation (from the power spectrum, Wiener-Khinchin), 0 when there is
// none: a peak of at least .4, with another at twice the length.
func repeats(y []float64) int {
	n := min(len(y), 4096)
	y = y[len(y)-n:]
	if n < 24 {
		return 0
	}
	acf := autocorrelation(detrended(y))
	best, top := 0, .4
	dipped := false
	for l := 2; l < n/3; l++ {
		dipped = dipped || acf[l] < .2
		if !dipped || l < 4 || acf[l] < acf[l-1] || acf[l] < acf[l+1] {
			continue
		}
		if acf[l] > top+.05 && acf[2*l] > .5*acf[l] {
			best, top = l, acf[l]
		}
	}
	return best
}

func detrended(y []float64) []float64 {
	mean, slope, mt := 0.0, slopeAll(y), float64(len(y)-1)/2
	for _, v := range y {
		mean += v / float64(len(y))
	}
	out := make([]float64, len(y))
	for i, v := range y {
		out[i] = v - mean - slope*(float64(i)-mt)
	}
	return out
}

func autocorrelation(d []float64) []float64 {
	n := len(d)
	size := 1
	for size < 2*n {
		size *= 2
	}
	padded := make([]float64, size)
	copy(padded, d)
	fft := fourier.NewFFT(size)
	c := fft.Coefficients(nil, padded)
	for i := range c {
		c[i] = complex(real(c[i]*cmplx.Conj(c[i])), 0)
	}
	acf := fft.Sequence(nil, c)[:n]
	zero := acf[0]
	for i := range acf {
		if zero > 0 {
			acf[i] *= float64(n) / (zero * float64(n-i)) // unbiased
		}
	}
	return acf
}

// fitting keeps the seasons of which the history holds two cycles.
func fitting(seasons []int, n int) []int {
	out := []int{}
	for _, m := range seasons {
		if m >= 2 && float64(n) >= 2.05*float64(m) {
			out = append(out, m)
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), 3)]
}
