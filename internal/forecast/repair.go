package forecast

import (
	"math"
	"slices"

	"github.com/norn-aiops/norn/internal/stats"
)

// repaired is a history as it would have been without its accidents.
type repaired struct {
	y        []float64
	outliers int
	shifts   []Shift
}

// repair takes single wrong values back and lifts what lies before a level
// shift to the present level. y is not changed.
func repair(y []float64, seasons []int) repaired {
	r := repaired{y: slices.Clone(y), shifts: []Shift{}}
	prof := profile(r.y, seasons)
	if r.outliers = takeOutliers(r.y, prof); r.outliers > 0 {
		prof = profile(r.y, seasons) // wrong values had bent its means
	}
	w := 0
	if len(seasons) > 0 {
		w = seasons[0]
	}
	if w < 12 {
		w = min(max(len(y)/20, 12), 60)
	}
	for range 3 {
		if len(y) < 6*w {
			break
		}
		at, by := shiftOf(r.y, prof, w)
		if at < 0 {
			break
		}
		lift(r.y, at, by)
		r.shifts = append(r.shifts, Shift{At: at, By: by})
	}
	return r
}

// profile is what the longest season of which there are three cycles adds at
// each point.
func profile(y []float64, seasons []int) []float64 {
	out := make([]float64, len(y))
	p := 0
	for _, m := range seasons {
		if len(y) >= 3*m {
			p = m
		}
	}
	if p == 0 {
		return out
	}
	mean := centred(y, p)
	phases := make([][]float64, p)
	for t, v := range y {
		phases[t%p] = append(phases[t%p], v-mean[t])
	}
	med, sum := make([]float64, p), 0.0
	for i, vs := range phases {
		med[i] = stats.QuantileInPlace(vs, .5)
		sum += med[i]
	}
	for t := range out {
		out[t] = med[t%p] - sum/float64(p)
	}
	return out
}

// centred is the mean of p values around each point, of fewer at the ends.
func centred(y []float64, p int) []float64 {
	sums := make([]float64, len(y)+1)
	for i, v := range y {
		sums[i+1] = sums[i] + v
	}
	out := make([]float64, len(y))
	for t := range y {
		lo, hi := max(0, t-p/2), min(len(y), t-p/2+p)
		out[t] = (sums[hi] - sums[lo]) / float64(hi-lo)
	}
	return out
}

// outlierFrom is how many scales from its neighbours' median a value is wrong.
const outlierFrom = 8

func takeOutliers(y, prof []float64) int {
	n := len(y)
	u := make([]float64, n)
	var win [7]float64
	for t := range y {
		k := 0
		for j := max(0, t-3); j <= min(n-1, t+3); j++ {
			win[k] = y[j] - prof[j]
			k++
		}
		u[t] = y[t] - prof[t] - stats.QuantileInPlace(win[:k], .5)
	}
	abs := make([]float64, n)
	mean := 0.0
	for i, v := range u {
		abs[i] = math.Abs(v)
		mean += abs[i] / float64(n)
	}
	s := max(1.4826*stats.QuantileInPlace(abs, .5), .5*mean)
	if s <= 0 {
		return 0
	}
	var bad []int
	for t := range n - 1 {
		if math.Abs(u[t]) > outlierFrom*s {
			bad = append(bad, t)
		}
	}
	if len(bad) > n/50+1 {
		return 0
	}
	for _, t := range bad {
		y[t] -= u[t]
	}
	return len(bad)
}

// shiftOf finds the clearest level shift: means of w points before and after
// that differ by six times what is usual, with a jump right there.
func shiftOf(y, prof []float64, w int) (at int, by float64) {
	n := len(y)
	sums := make([]float64, n+1)
	for i := range y {
		sums[i+1] = sums[i] + y[i] - prof[i]
	}
	mean := func(lo, hi int) float64 { return (sums[hi] - sums[lo]) / float64(hi-lo) }
	abs := make([]float64, 0, n)
	best, top := -1, 0.0
	for t := w; t+w <= n; t++ {
		d := mean(t, t+w) - mean(t-w, t)
		abs = append(abs, math.Abs(d))
		if math.Abs(d) > math.Abs(top) {
			best, top = t, d
		}
	}
	if best < 0 || math.Abs(top) < 6*1.4826*stats.QuantileInPlace(abs, .5) {
		return -1, 0
	}
	jump, where := 0.0, -1
	for t := max(3, best-3); t <= min(n-3, best+3); t++ {
		if j := mean(t, t+3) - mean(t-3, t); j*top > 0 && math.Abs(j) > math.Abs(jump) {
			jump, where = j, t
		}
	}
	if where < 0 || math.Abs(jump) < .6*math.Abs(top) {
		return -1, 0
	}
	return where, top
}

// lift moves everything before at by a shift; a positive series stays so.
func lift(y []float64, at int, by float64) {
	least, before := math.Inf(1), 0.0
	for _, v := range y[:at] {
		least = min(least, v)
		before += v / float64(at)
	}
	ratio := 1.0
	multiply := minOf(y) > 0 && least+by <= 0 && before > 0
	if multiply {
		ratio = max((before+by)/before, 1e-9)
	}
	for t := range y[:at] {
		if multiply {
			y[t] *= ratio
		} else {
			y[t] += by
		}
	}
}
