package forecast

import (
	"fmt"
	"math"
	"slices"
)

// fitted is one line with its part.
type fitted struct {
	name   string
	window int     // values it is fitted to; 0 all
	move   bool    // to the last level
	damp   float64 // 1 none
	flat   bool
	mae    float64
	weight float64
}

// trend is the continuation of peaks with the doubt around it.
type trend struct {
	mean             []float64 // per step, cycle included
	slope            float64   // a step, of the mix
	noise, walk, way float64   // standard deviations: of a step, of the walk a step, of the slope
	fits             []fitted  // best first
	cyclic           bool
	outliers, shifts int
}

func lines() []fitted {
	out := []fitted{{name: "mean of the last cycle", flat: true, damp: 1}}
	for _, w := range []int{14, 28, 56, 112, 0} {
		text := fmt.Sprintf("the last %d", w)
		if w == 0 {
			text = "all"
		}
		out = append(out,
			fitted{name: "line through " + text, window: w, damp: 1},
			fitted{name: "line through " + text + " from the last level", window: w, move: true, damp: 1},
			fitted{name: "flattening line through " + text, window: w, move: true, damp: .985})
	}
	return out
}

// trendOf repairs peaks, takes their cycle away where that helps, and mixes
// the lines by their errors at past origins.
func trendOf(y []float64, cycle, steps int) trend {
	seasons := []int{}
	if cycle > 0 && len(y) >= 3*cycle {
		seasons = []int{cycle}
	}
	r := repair(y, seasons)
	t := trend{outliers: r.outliers, shifts: len(r.shifts)}
	idx := []float64{0}
	if len(seasons) > 0 {
		idx, t.cyclic = cycleOf(r.y, cycle)
	}
	d := make([]float64, len(y))
	for i, v := range r.y {
		d[i] = v - idx[i%len(idx)]
	}
	s := newSums(d)
	n := len(d)
	ahead := min(max(leastBuckets+4, n/3), steps)
	var origins []int
	first := max(n/3, 5)
	for o := first; o < n; o += max(1, (n-first)/60) {
		origins = append(origins, o)
	}
	fits := lines()
	fits = slices.DeleteFunc(fits, func(f fitted) bool { return f.window > 0 && f.window > n*3/4 })
	t.mix(s, fits, origins, ahead, max(cycle, 5), steps)
	for k := range t.mean {
		t.mean[k] += idx[(n+k)%len(idx)]
	}
	return t
}

// mix weighs the lines, makes the mean and measures the doubt.
func (t *trend) mix(s sums, fits []fitted, origins []int, ahead, cycle, steps int) {
	n := len(s.y)
	rows := make([][][2]float64, len(fits)) // level and slope by line and origin
	best := math.Inf(1)
	for i := range fits {
		f := &fits[i]
		sum, cnt := 0.0, 0
		for _, o := range origins {
			l, b := s.line(f, o, cycle)
			rows[i] = append(rows[i], [2]float64{l, b})
			at := l
			for k, g := 0, b; k < ahead && o+k < n; k++ {
				at += g
				g *= f.damp
				sum += math.Abs(s.y[o+k] - at)
				cnt++
			}
		}
		f.mae = sum / float64(max(cnt, 1))
		best = min(best, f.mae)
	}
	total := 0.0
	for i := range fits {
		fits[i].weight = math.Pow(max(best, 1e-12)/max(fits[i].mae, 1e-12), 6)
		total += fits[i].weight
	}
	t.mean = make([]float64, steps)
	square, seen := make([]float64, ahead), make([]float64, ahead)
	mixed := make([][]float64, len(origins))
	for i := range fits {
		f := &fits[i]
		f.weight /= total
		l, b := s.line(f, n, cycle)
		t.slope += f.weight * b
		extend(t.mean, l, b, f.damp, f.weight)
		for j := range origins {
			if mixed[j] == nil {
				mixed[j] = make([]float64, min(ahead, n-origins[j]))
			}
			extend(mixed[j], rows[i][j][0], rows[i][j][1], f.damp, f.weight)
		}
	}
	for j, o := range origins {
		for k, v := range mixed[j] {
			square[k] += (s.y[o+k] - v) * (s.y[o+k] - v)
			seen[k]++
		}
	}
	t.doubt(square, seen)
	slices.SortStableFunc(fits, func(a, b fitted) int {
		switch {
		case a.weight > b.weight:
			return -1
		case a.weight < b.weight:
			return 1
		}
		return 0
	})
	t.fits = fits
}

func extend(out []float64, level, slope, damp, weight float64) {
	for k := range out {
		level += slope
		slope *= damp
		out[k] += weight * level
	}
}

// doubt splits the mean squared error by step into noise, walk and slope: a
// non-negative fit of a + b k + c k².
func (t *trend) doubt(square, seen []float64) {
	var best [3]float64
	least := math.Inf(1)
	for set := 1; set < 8; set++ {
		c, rss, ok := fitDoubt(square, seen, set)
		if ok && rss < least {
			best, least = c, rss
		}
	}
	const wider = 1.25
	t.noise, t.walk, t.way = wider*math.Sqrt(best[0]), wider*math.Sqrt(best[1]), wider*math.Sqrt(best[2])
	t.way = max(t.way, .15*math.Abs(t.slope))
}

// fitDoubt is weighted least squares on the terms in set (bits 0, 1, 2); ok is
// false when a part is negative.
func fitDoubt(square, seen []float64, set int) (out [3]float64, rss float64, ok bool) {
	var terms []int
	for j := range 3 {
		if set&(1<<j) != 0 {
			terms = append(terms, j)
		}
	}
	m := len(terms)
	a, b := make([]float64, m*m), make([]float64, m)
	row := func(k int, j int) float64 { return math.Pow(float64(k+1), float64(terms[j])) }
	weight := func(k int) float64 { return seen[k] / float64(k+1) / float64(k+1) }
	for k := range square {
		if seen[k] == 0 {
			continue
		}
		for i := range m {
			b[i] += weight(k) * row(k, i) * square[k] / seen[k]
			for j := range m {
				a[i*m+j] += weight(k) * row(k, i) * row(k, j)
			}
		}
	}
	x, ok := solve(a, b)
	if !ok {
		return out, 0, false
	}
	for i, j := range terms {
		if x[i] < 0 {
			return out, 0, false
		}
		out[j] = x[i]
	}
	for k := range square {
		if seen[k] > 0 {
			e := square[k]/seen[k] - out[0] - out[1]*float64(k+1) - out[2]*float64(k+1)*float64(k+1)
			rss += weight(k) * e * e
		}
	}
	return out, rss, true
}

// solve is Gauss's elimination with pivots of at most three unknowns.
func solve(a, b []float64) ([]float64, bool) {
	n := len(b)
	for c := range n {
		p := c
		for r := c + 1; r < n; r++ {
			if math.Abs(a[r*n+c]) > math.Abs(a[p*n+c]) {
				p = r
			}
		}
		if math.Abs(a[p*n+c]) < 1e-12 {
			return nil, false
		}
		for j := range n {
			a[c*n+j], a[p*n+j] = a[p*n+j], a[c*n+j]
		}
		b[c], b[p] = b[p], b[c]
		for r := range n {
			if r == c {
				continue
			}
			f := a[r*n+c] / a[c*n+c]
			for j := range n {
				a[r*n+j] -= f * a[c*n+j]
			}
			b[r] -= f * b[c]
		}
	}
	for i := range b {
		b[i] /= a[i*n+i]
	}
	return b, true
}

// cycleOf gives the profile of a cycle and whether it is used: when leaving
// one cycle out, it lowers the variance by a tenth.
func cycleOf(y []float64, p int) ([]float64, bool) {
	mean := centred(y, p)
	sum, cnt := make([]float64, p), make([]float64, p)
	for t, v := range y {
		sum[t%p] += v - mean[t]
		cnt[t%p]++
	}
	with, without := 0.0, 0.0
	for t, v := range y {
		d := v - mean[t]
		without += d * d
		if c := cnt[t%p]; c > 1 {
			d -= (sum[t%p] - d) / (c - 1)
		}
		with += d * d
	}
	if with > .9*without || without < 1e-24 {
		return []float64{0}, false
	}
	all := 0.0
	for i := range sum {
		sum[i] /= max(cnt[i], 1)
		all += sum[i] / float64(p)
	}
	for i := range sum {
		sum[i] -= all
	}
	return sum, true
}

// sums give least squares lines over any stretch at once.
type sums struct {
	y, s, ts []float64 // values; sums of them and of index times value before each
}

func newSums(y []float64) sums {
	out := sums{y: y, s: make([]float64, len(y)+1), ts: make([]float64, len(y)+1)}
	for i, v := range y {
		out.s[i+1] = out.s[i] + v
		out.ts[i+1] = out.ts[i] + float64(i)*v
	}
	return out
}

// line gives level at the last value before o, and slope a step.
func (s *sums) line(f *fitted, o, cycle int) (level, slope float64) {
	if f.flat {
		w := min(cycle, o)
		return (s.s[o] - s.s[o-w]) / float64(w), 0
	}
	w := o
	if f.window > 0 {
		w = min(w, f.window)
	}
	lo, n := o-w, float64(w)
	mt := float64(lo) + (n-1)/2
	sy := s.s[o] - s.s[lo]
	slope = (s.ts[o] - s.ts[lo] - mt*sy) / (n * (n*n - 1) / 12)
	if f.move {
		k := min(3, w)
		return (s.s[o]-s.s[o-k])/float64(k) + slope*float64(k-1)/2, slope
	}
	return sy/n + slope*(n-1)/2, slope
}
