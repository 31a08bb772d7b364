package forecast

import "math"

// naive repeats the last value.
func naive(s *sample) ([][]float64, []float64, bool) {
	return each(s, func(o int, out []float64) {
		for k := range out {
			out[k] = s.y[o-1]
		}
	})
}

// drift goes on by the mean step so far.
func drift(s *sample) ([][]float64, []float64, bool) {
	if s.first() < 3 {
		return nil, nil, false
	}
	return each(s, func(o int, out []float64) {
		by := (s.y[o-1] - s.y[0]) / float64(o-1)
		for k := range out {
			out[k] = s.y[o-1] + by*float64(k+1)
		}
	})
}

// seasonal repeats the last cycle; with level, moved to where the last cycle
// of length p lies against the one a season before.
func seasonal(season, p int, level bool) method {
	return func(s *sample) ([][]float64, []float64, bool) {
		if s.first() < season || level && s.first() < season+p {
			return nil, nil, false
		}
		return each(s, func(o int, out []float64) {
			by := 0.0
			if level {
				for i := 1; i <= p; i++ {
					by += (s.y[o-i] - s.y[o-i-season]) / float64(p)
				}
			}
			for k := range out {
				out[k] = s.y[o-season+k%season] + by
			}
		})
	}
}

// theta is simple smoothing with half the trend of all values (Assimakopoulos
// and Nikolopoulos 2000, in the form of Hyndman and Billah 2003), on values
// whose season of length p was taken away (p = 1: none).
func theta(p int) method {
	return func(s *sample) ([][]float64, []float64, bool) {
		if s.first() < max(4, 2*p) {
			return nil, nil, false
		}
		idx := seasonIndex(s.y[:s.first()], p)
		d := make([]float64, len(s.y))
		for t, v := range s.y {
			d[t] = v - idx[t%p]
		}
		a := bestAlpha(d)
		levels := smoothed(d, a)
		return each(s, func(o int, out []float64) {
			b := slopeAll(d[:o]) / 2
			start := (1 - math.Pow(1-a, float64(o))) / a
			for k := range out {
				out[k] = levels[o-1] + b*(float64(k)+start) + idx[(o+k)%p]
			}
		})
	}
}

// seasonIndex is the mean by phase of what is left of a centred mean.
func seasonIndex(y []float64, p int) []float64 {
	sum, cnt := make([]float64, p), make([]float64, p)
	if p < 2 {
		return sum
	}
	mean := centred(y, p)
	for t := p / 2; t < len(y)-p/2; t++ {
		sum[t%p] += y[t] - mean[t]
		cnt[t%p]++
	}
	all := 0.0
	for i := range sum {
		sum[i] /= max(cnt[i], 1)
		all += sum[i] / float64(p)
	}
	for i := range sum {
		sum[i] -= all
	}
	return sum
}

func smoothed(y []float64, a float64) []float64 {
	out := make([]float64, len(y))
	l := y[0]
	for t, v := range y {
		l += a * (v - l)
		out[t] = l
	}
	return out
}

// bestAlpha is the smoothing weight with the least error one step ahead.
func bestAlpha(y []float64) float64 {
	best, top := .5, math.Inf(1)
	for _, a := range []float64{.05, .1, .2, .3, .4, .5, .6, .7, .8, .9, .99} {
		l, sum := y[0], 0.0
		for _, v := range y[1:] {
			sum += (v - l) * (v - l)
			l += a * (v - l)
		}
		if sum < top {
			best, top = a, sum
		}
	}
	return best
}

// slopeAll is the least squares slope a step.
func slopeAll(y []float64) float64 {
	n := float64(len(y))
	if n < 2 {
		return 0
	}
	mt, s := (n-1)/2, 0.0
	for i, v := range y {
		s += (float64(i) - mt) * v
	}
	return s / (n * (n*n - 1) / 12)
}

// method gives forecasts from all origins of a sample and from its end; ok is
// false when the history is too short for it.
type method func(s *sample) (paths [][]float64, final []float64, ok bool)

// each makes a method of a rule that fills one path.
func each(s *sample, rule func(o int, out []float64)) ([][]float64, []float64, bool) {
	one := func(o int) []float64 {
		out := make([]float64, s.h)
		rule(o, out)
		for k := range out {
			out[k] = min(max(out[k], s.lo), s.hi)
		}
		return out
	}
	paths := make([][]float64, len(s.origins))
	for i, o := range s.origins {
		paths[i] = one(o)
	}
	return paths, one(len(s.y)), true
}
