package report

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/norn-aiops/norn/internal/stats"
)

const (
	resamples  = 400
	fewestMean = 5 // incidents below which a mean has no interval
	z90        = 1.6448536269514722
)

// statOf summarises durations; the interval of the mean is by bootstrap.
func statOf(v []float64, seed uint64) Stat {
	s := Stat{N: len(v)}
	if len(v) == 0 {
		return s
	}
	s.Mean, s.Median, s.P90 = mean(v), stats.Median(v), stats.Quantile(v, .9)
	s.Low, s.High = s.Mean, s.Mean
	if len(v) < fewestMean {
		return s
	}
	rng := rand.New(rand.NewPCG(seed, 0x7265706f7274))
	ms := make([]float64, resamples)
	for k := range ms {
		for range v {
			ms[k] += v[rng.IntN(len(v))] / float64(len(v))
		}
	}
	s.Low, s.High = stats.Quantile(ms, .05), stats.Quantile(ms, .95)
	return s
}

func mean(v []float64) (m float64) {
	for _, x := range v {
		m += x / float64(len(v))
	}
	return m
}

// wilson is a share with Wilson's 90 % interval; all 0 to 1 when of nothing.
func wilson(k, n int) Share {
	if n == 0 {
		return Share{High: 1}
	}
	p, m := float64(k)/float64(n), float64(n)
	mid := (p + z90*z90/2/m) / (1 + z90*z90/m)
	half := z90 / (1 + z90*z90/m) * math.Sqrt(p*(1-p)/m+z90*z90/4/m/m)
	return Share{Of: n, Value: p, Low: math.Max(0, mid-half), High: math.Min(1, mid+half)}
}

// mannKendall tests values against trend, ties corrected, with the normal
// approximation; the p-value is two-sided.
func mannKendall(v []float64) float64 {
	n, s := float64(len(v)), 0.0
	for i := range v {
		for j := i + 1; j < len(v); j++ {
			switch {
			case v[j] > v[i]:
				s++
			case v[j] < v[i]:
				s--
			}
		}
	}
	variance := n * (n - 1) * (2*n + 5)
	sorted := slices.Sorted(slices.Values(v))
	for i := 0; i < len(sorted); {
		j := i
		for j < len(sorted) && sorted[j] == sorted[i] {
			j++
		}
		t := float64(j - i)
		variance -= t * (t - 1) * (2*t + 5)
		i = j
	}
	if variance <= 0 || s == 0 {
		return 1
	}
	z := (math.Abs(s) - 1) / math.Sqrt(variance/18)
	return math.Erfc(z / math.Sqrt2)
}

// senSlope is the median slope between all pairs, with Sen's 90 % interval;
// at are the moments.
func senSlope(at, v []float64) (slope, low, high float64) {
	var all []float64
	for i := range v {
		for j := i + 1; j < len(v); j++ {
			if d := at[j] - at[i]; d > 0 {
				all = append(all, (v[j]-v[i])/d)
			}
		}
	}
	if len(all) == 0 {
		return 0, 0, 0
	}
	slices.Sort(all)
	n, m := float64(len(v)), float64(len(all))
	c := z90 * math.Sqrt(n*(n-1)*(2*n+5)/18)
	pick := func(x float64) float64 { return all[int(math.Max(0, math.Min(m-1, x)))] }
	return stats.QuantileSorted(all, .5), pick((m - c) / 2), pick((m + c) / 2)
}

// rateRatio tests two counts over equal times: given their sum, the second is
// binomial with one half. It gives the ratio second to first with its 90 %
// interval (Clopper-Pearson), and the exact two-sided p-value.
func rateRatio(first, second int) (ratio, low, high, p float64) {
	n := first + second
	lower := binomialUpTo(min(first, second), n, .5)
	p = math.Min(1, 2*lower)
	odds := func(x float64) float64 { return x / math.Max(1-x, 1e-9) }
	a, b := 0.0, 1.0
	if second > 0 {
		a = bisect(func(x float64) bool { return 1-binomialUpTo(second-1, n, x) < .05 })
	}
	if first > 0 {
		b = bisect(func(x float64) bool { return binomialUpTo(second, n, x) > .05 })
	}
	return odds(float64(second) / float64(n)), odds(a), math.Min(1e6, odds(b)), p
}

// bisect finds where below turns from true to false in 0..1.
func bisect(below func(float64) bool) float64 {
	lo, hi := 0.0, 1.0
	for range 50 {
		if mid := (lo + hi) / 2; below(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// binomialUpTo is the chance of at most k of n, each with chance p.
func binomialUpTo(k, n int, p float64) (sum float64) {
	if p <= 0 || k >= n {
		return 1
	}
	if p >= 1 {
		return 0
	}
	all, _ := math.Lgamma(float64(n + 1))
	for i := 0; i <= k; i++ {
		a, _ := math.Lgamma(float64(i + 1))
		b, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(all - a - b + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return math.Min(1, sum)
}

// holm corrects p-values for that many tests were made.
func holm(ps []float64) []float64 {
	order := make([]int, len(ps))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if ps[a] < ps[b] {
			return -1
		}
		return one(ps[a] > ps[b])
	})
	out, most := make([]float64, len(ps)), 0.0
	for rank, i := range order {
		most = math.Max(most, math.Min(1, ps[i]*float64(len(ps)-rank)))
		out[i] = most
	}
	return out
}
