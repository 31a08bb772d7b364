package forecast

import "math"

// seasonalNaive repeats the last m values.
func seasonalNaive(y []float64, m, h int) []float64 {
	m = min(max(m, 1), len(y))
	out := make([]float64, h)
	for k := range out {
		out[k] = y[len(y)-m+k%m]
	}
	return out
}

// naive2 is the reference of the M4 competition: the last value of the series
// without its season, which is taken away by classical multiplicative
// decomposition when the autocorrelation at m is significant at 90 %.
func naive2(y []float64, m, h int) []float64 {
	out := make([]float64, h)
	n := len(y)
	idx := indices(y, m)
	last := y[n-1] / idx[(n-1)%len(idx)]
	for k := range out {
		out[k] = last * idx[(n+k)%len(idx)]
	}
	return out
}

// indices are the seasonal factors by phase, one factor 1 without a season.
func indices(y []float64, m int) []float64 {
	n := len(y)
	if m < 2 || n < 3*m || !seasonal(y, m) {
		return []float64{1}
	}
	sum, cnt := make([]float64, m), make([]float64, m)
	for t := m / 2; t < n-m/2; t++ {
		trend := 0.0
		if m%2 == 1 {
			for i := -m / 2; i <= m/2; i++ {
				trend += y[t+i] / float64(m)
			}
		} else {
			trend = (y[t-m/2] + y[t+m/2]) / float64(2*m)
			for i := -m/2 + 1; i < m/2; i++ {
				trend += y[t+i] / float64(m)
			}
		}
		if trend != 0 {
			sum[t%m] += y[t] / trend
			cnt[t%m]++
		}
	}
	all := 0.0
	for i := range sum {
		sum[i] /= max(cnt[i], 1)
		all += sum[i]
	}
	for i := range sum {
		sum[i] *= float64(m) / all
		if sum[i] == 0 || math.IsNaN(sum[i]) {
			return []float64{1}
		}
	}
	return sum
}

// seasonal is the competition's test: the autocorrelation at m beyond 1.645
// standard errors by Bartlett's formula.
func seasonal(y []float64, m int) bool {
	n := float64(len(y))
	mean := 0.0
	for _, v := range y {
		mean += v / n
	}
	acf := func(l int) float64 {
		a, b := 0.0, 0.0
		for t, v := range y {
			b += (v - mean) * (v - mean)
			if t >= l {
				a += (v - mean) * (y[t-l] - mean)
			}
		}
		return a / b
	}
	sum := 1.0
	for l := 1; l < m; l++ {
		sum += 2 * acf(l) * acf(l)
	}
	return math.Abs(acf(m)) > 1.645*math.Sqrt(sum/n)
}
