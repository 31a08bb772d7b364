package forecast

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/norn-aiops/norn/internal/stats"
)

// bands gives the intervals from the errors at past origins: wider with the
// step, with the size of the forecast and at the phases of the day that were
// harder; with the quantiles of a t distribution for the few independent
// horizons that the past holds.
func (s *sample) bands(f *Forecast) []Band {
	typical := medianAbs(s.y)
	rel := func(v float64) float64 { return (math.Abs(v) + typical) / 2 }
	p := 1
	if len(s.seasons) > 0 {
		p = s.seasons[0]
	}
	g := s.phases(f, p, rel)
	size := s.byStep(f, p, g, rel)
	var scores []float64
	for i, o := range f.Errors.Origins {
		for k, e := range f.Errors.Of[i] {
			if d := size[k] * g[(o+k)%p] * rel(s.y[o+k]-e); d > 0 {
				scores = append(scores, math.Abs(e)/d)
			}
		}
	}
	free := max(1.5, 1.5*float64(s.window)/float64(s.h))
	n, wander := len(s.y), s.wander()
	var out []Band
	for _, level := range []float64{.8, .95} {
		up := .5 + level/2
		q := 0.0
		if len(scores) > 0 {
			q = stats.Quantile(scores, level) * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: free}.Quantile(up) / distuv.UnitNormal.Quantile(up)
		}
		b := Band{Level: level, Low: make([]float64, s.h), High: make([]float64, s.h)}
		for k, v := range f.Mean {
			half := max(q*size[k]*rel(v)*g[(n+k)%p], distuv.UnitNormal.Quantile(up)*wander*math.Sqrt(float64(k+1)*(1+float64(k+1)/float64(n))))
			b.Low[k], b.High[k] = v-half, v+half
		}
		out = append(out, b)
	}
	return out
}

// wander is the standard deviation of the steps around their mean where the
// past holds fewer than sixty values, fewer than three horizons and no season. So short a past shows
// few errors of late steps, all of one direction; what goes like a random walk
// is not surer than one whose drift was measured over the past.
func (s *sample) wander() float64 {
	n := len(s.y)
	if s.window >= 3*s.h || len(s.seasons) > 0 || n < 4 || n >= 60 {
		return 0
	}
	mean, sum := (s.y[n-1]-s.y[0])/float64(n-1), 0.0
	for t := 1; t < n; t++ {
		d := s.y[t] - s.y[t-1] - mean
		sum += d * d
	}
	return wanderShare * math.Sqrt(sum/float64(n-2))
}

// wanderShare was chosen on yearly sums of the weekly series of M4.
const wanderShare = 1.6

func medianAbs(y []float64) float64 {
	abs := make([]float64, len(y))
	for i, v := range y {
		abs[i] = math.Abs(v)
	}
	return stats.QuantileInPlace(abs, .5)
}

// phases is how hard each phase of the shortest season is, mean 1.
func (s *sample) phases(f *Forecast, p int, rel func(float64) float64) []float64 {
	g := make([]float64, p)
	if p == 1 {
		g[0] = 1
		return g
	}
	sum, cnt := make([]float64, p), make([]float64, p)
	for i, o := range f.Errors.Origins {
		for k, e := range f.Errors.Of[i] {
			if r := rel(s.y[o+k] - e); r > 0 {
				sum[(o+k)%p] += math.Abs(e) / r
				cnt[(o+k)%p]++
			}
		}
	}
	all, n := 0.0, 0.0
	for i := range sum {
		all += sum[i]
		n += cnt[i]
	}
	mean := 0.0
	for i := range g {
		at := func(j int) float64 {
			j = (j + p) % p
			if cnt[j] == 0 {
				return all / max(n, 1)
			}
			return sum[j] / cnt[j]
		}
		g[i] = math.Sqrt(at(i-1)/4 + at(i)/2 + at(i+1)/4)
		mean += g[i] / float64(p)
	}
	for i := range g {
		if mean > 0 {
			g[i] = max(g[i]/mean, .2)
		} else {
			g[i] = 1
		}
	}
	return g
}

// byStep is the mean relative error at each step, pooled over its neighbours,
// never smaller than at an earlier step.
func (s *sample) byStep(f *Forecast, p int, g []float64, rel func(float64) float64) []float64 {
	sums, cnts := make([]float64, s.h+1), make([]float64, s.h+1)
	for i, o := range f.Errors.Origins {
		for k, e := range f.Errors.Of[i] {
			if d := g[(o+k)%p] * rel(s.y[o+k]-e); d > 0 {
				sums[k+1] += math.Abs(e) / d
				cnts[k+1]++
			}
		}
	}
	for k := range s.h {
		sums[k+1] += sums[k]
		cnts[k+1] += cnts[k]
	}
	out := make([]float64, s.h)
	wide, last := s.h/8+1, 0.0
	for k := range out {
		lo, hi := max(0, k-wide), min(s.h, k+wide+1)
		if c := cnts[hi] - cnts[lo]; c > 0 {
			last = max(last, (sums[hi]-sums[lo])/c)
		} else if k > 0 {
			last *= math.Sqrt(float64(k+1) / float64(k)) // no error is known so far ahead
		}
		out[k] = last
	}
	return out
}
