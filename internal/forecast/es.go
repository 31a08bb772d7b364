package forecast

import "math"

// es is exponential smoothing with additive seasons, a damped trend and errors
// that follow each other (Holt 1957, Winters 1960; Gardner and McKenzie 1985;
// several seasons and the error term as in Taylor 2003). Its parameters make
// the mean absolute error over several steps ahead small.
type es struct {
	seasons []int
	trend   bool
	ar      bool
}

// esParams are smoothing weights.
type esParams struct {
	level, trend, damp, ar float64
	season                 [3]float64
}

// esState is what the model knows at a point.
type esState struct {
	l, b, e float64
	s       [3][]float64
}

// fit chooses parameters by coordinate descent and gives the paths.
func (m es) fit(s *sample) (paths [][]float64, final []float64, ok bool) {
	n, longest := len(s.y), 0
	for _, p := range m.seasons {
		longest = max(longest, p)
	}
	if s.first() < 2*longest && longest > 0 && s.first() < longest+longest/2 || s.first() < 3 {
		return nil, nil, false
	}
	init := m.start(s)
	start := min(2*longest, n/2)
	if longest == 0 {
		start = min(4, n/2)
	}
	p := m.descend(s, init, start)
	return m.paths(s, init, p)
}

// start estimates the first state from at most two cycles before the first
// origin: later values would leak into the errors at the origins.
func (m es) start(s *sample) esState {
	var st esState
	longest := 0
	for _, p := range m.seasons {
		longest = max(longest, p)
	}
	k := min(s.first(), 2*longest)
	if longest == 0 {
		k = min(s.first(), 10)
	}
	y := s.y[:k]
	for _, v := range y {
		st.l += v / float64(k)
	}
	rest := make([]float64, k)
	for i, v := range y {
		rest[i] = v - st.l
	}
	for j, p := range m.seasons {
		sum, cnt := make([]float64, p), make([]float64, p)
		for i, v := range rest {
			sum[i%p] += v
			cnt[i%p]++
		}
		for i := range sum {
			sum[i] /= max(cnt[i], 1)
		}
		for i := range rest {
			rest[i] -= sum[i%p]
		}
		st.s[j] = sum
	}
	if m.trend {
		st.b = slopeOf(y, longest)
		st.l -= st.b * float64(k) / 2
	}
	return st
}

// slopeOf is the trend a step: between the means of two cycles, or of the two
// halves.
func slopeOf(y []float64, cycle int) float64 {
	half := cycle
	if half == 0 || 2*half > len(y) {
		half = len(y) / 2
	}
	if half < 2 || cycle > 0 && 2*cycle > len(y) {
		return 0
	}
	a, b := 0.0, 0.0
	for i := range half {
		a += y[i] / float64(half)
		b += y[len(y)-half+i] / float64(half)
	}
	return (b - a) / float64(len(y)-half)
}

func (m es) descend(s *sample, init esState, start int) esParams {
	p := esParams{level: .2, damp: 1, season: [3]float64{.15, .15, .15}}
	if m.trend {
		p.trend, p.damp = .06, .95
	}
	if m.ar {
		p.ar = .85
	}
	best := m.loss(s, init, p, start)
	try := func(at *float64, grid ...float64) {
		keep := *at
		for _, v := range grid {
			*at = v
			if l := m.loss(s, init, p, start); l < best {
				best, keep = l, v
			}
		}
		*at = keep
	}
	for range 2 {
		try(&p.level, .003, .01, .03, .1, .2, .35, .5, .7, .85, .99)
		for j := range m.seasons {
			try(&p.season[j], 0, .03, .08, .15, .25, .4, .6)
		}
		if m.ar {
			try(&p.ar, 0, .4, .7, .85, .93, .97, .99)
		}
		if m.trend {
			try(&p.trend, .005, .02, .06, .15, .3)
			try(&p.damp, .8, .9, .95, .98, 1)
		}
	}
	return p
}

// step takes the value at time t into the state.
func (m es) step(st *esState, p *esParams, t int, y float64) {
	pred := st.l + p.damp*st.b
	for j, per := range m.seasons {
		pred += st.s[j][t%per]
	}
	e := y - pred
	old := p.damp * st.b
	st.b = old + p.level*p.trend*e
	st.l += old + p.level*e
	for j, per := range m.seasons {
		st.s[j][t%per] += p.season[j] * (1 - p.level) * e
	}
	st.e = e
}

func (st *esState) copy() esState {
	out := *st
	for j, s := range st.s {
		out.s[j] = append([]float64(nil), s...)
	}
	return out
}

// loss is the mean absolute error 1, H/8, H/4, H/2 and H steps ahead of every
// third point.
func (m es) loss(s *sample, init esState, p esParams, start int) float64 {
	st := init.copy()
	var steps [5]int
	var damp, ar [5]float64
	for i, k := range [5]int{1, s.h / 8, s.h / 4, s.h / 2, s.h} {
		k = max(k, 1)
		steps[i], damp[i], ar[i] = k, damped(p.damp, k), (1-p.level)*math.Pow(p.ar, float64(k))
	}
	sum, cnt := 0.0, 0
	n := len(s.y)
	for t, y := range s.y {
		m.step(&st, &p, t, y)
		if t < start || (t-start)%3 != 0 {
			continue
		}
		for i, k := range steps {
			if t+k >= n || i > 0 && k == steps[i-1] {
				continue
			}
			f := st.l + damp[i]*st.b + ar[i]*st.e
			for j, per := range m.seasons {
				f += st.s[j][(t+k)%per]
			}
			sum += math.Abs(s.y[t+k] - f)
			cnt++
		}
	}
	if cnt == 0 || math.IsNaN(sum) {
		return math.Inf(1)
	}
	return sum / float64(cnt)
}

// damped is phi + phi^2 + ... + phi^k.
func damped(phi float64, k int) float64 {
	if phi == 1 {
		return float64(k)
	}
	return phi * (1 - math.Pow(phi, float64(k))) / (1 - phi)
}

func (m es) paths(s *sample, init esState, p esParams) ([][]float64, []float64, bool) {
	st := init.copy()
	out := make([][]float64, 0, len(s.origins))
	next := 0
	for t, y := range s.y {
		if next < len(s.origins) && s.origins[next] == t {
			out = append(out, m.ahead(&st, &p, t, s))
			next++
		}
		m.step(&st, &p, t, y)
	}
	return out, m.ahead(&st, &p, len(s.y), s), true
}

// ahead forecasts the values from t on.
func (m es) ahead(st *esState, p *esParams, t int, s *sample) []float64 {
	out := make([]float64, s.h)
	trend, damp, ar := 0.0, 1.0, 1-p.level
	for i := range out {
		damp *= p.damp
		trend += damp
		ar *= p.ar
		f := st.l + trend*st.b + ar*st.e
		for j, per := range m.seasons {
			f += st.s[j][(t+i)%per]
		}
		out[i] = min(max(f, s.lo), s.hi)
	}
	return out
}
