package nab

import (
	"cmp"
	"math"
	"slices"
)

// Profile weighs the kinds of error. The weight of true negatives in the
// published profiles is not used by the benchmark.
type Profile struct {
	TP, FN, FP float64
}

// The three published profiles.
var profiles = [...]Profile{
	{TP: 1, FN: 1, FP: .11},
	{TP: 1, FN: 1, FP: .22},
	{TP: 1, FN: 2, FP: .11},
}

// file is one scored series: times in file order, windows as pairs of times
// (both inclusive), and one score a row.
type file struct {
	name    string
	t       []int64 // Unix seconds
	windows [][2]int64
	scores  []float64
}

// probation is the number of first rows that are not scored: 15 % of the file,
// at most 750.
func probation(rows int) int { return int(min(.15*float64(rows), 750)) }

// scaledSigmoid is 2/(1+exp(5x)) - 1, and -1 for x > 3 (Lavin and Ahmad 2015,
// section 3): 0.987 at the left edge of a window (x = -1), 0 at its right edge.
func scaledSigmoid(x float64) float64 {
	if x > 3 {
		return -1
	}
	return 2/(1+math.Exp(5*x)) - 1
}

// row is what one row of a file would earn if it were an alarm.
type row struct {
	score  float64 // of the detector
	gain   float64 // sigmoid value before the profile's weight
	window int32   // index in the corpus, -1 outside of windows
}

// rowsOf appends the rows of f that count. Windows are numbered from first.
// Inside a window the gain is the scaled sigmoid of the position (-1 left edge,
// just under 0 right edge) divided by its largest value; after a window it
// falls from 0 to -1 with the distance in window widths; before the first
// window it is -1.
func rowsOf(f *file, first int, out []row) []row {
	top := scaledSigmoid(-1)
	prevRight, prevWidth := -1, 0.0
	cur, right, width, next := -1, 0, 0.0, 0
	skip := probation(len(f.t))
	for i, t := range f.t {
		if next < len(f.windows) && t == f.windows[next][0] {
			cur, right = next, slices.Index(f.t, f.windows[next][1])
			width = float64(right - slices.Index(f.t, t) + 1)
			next++
		}
		r := row{gain: -1, window: -1}
		switch {
		case cur >= 0:
			r.gain = scaledSigmoid(-float64(right-i+1)/width) / top
			r.window = int32(first + cur)
		case prevRight >= 0:
			r.gain = scaledSigmoid(math.Abs(float64(prevRight-i)) / (prevWidth - 1))
		}
		if i >= skip {
			r.score = f.scores[i]
			out = append(out, r)
		}
		if cur >= 0 && t == f.windows[cur][1] {
			prevRight, prevWidth, cur = i, width, -1
		}
	}
	return out
}

// best sweeps one common threshold over all rows and returns the highest
// normalised score (100 perfect, 0 no alarms) with its threshold: alarms are
// the rows with score >= threshold. A window earns its best alarm once or
// costs FN; every alarm outside costs its (negative) gain times FP.
func best(rows []row, windows int, p Profile) (score, threshold float64) {
	earned := make([]float64, windows)
	for i := range earned {
		earned[i] = -p.FN
	}
	total := -p.FN * float64(windows)
	null, perfect := total, p.TP*float64(windows)
	top, threshold := total, math.Inf(1)
	for i := 0; i < len(rows); {
		cut := rows[i].score
		for ; i < len(rows) && rows[i].score == cut; i++ {
			r := &rows[i]
			if r.window < 0 {
				total += r.gain * p.FP
				continue
			}
			if g := r.gain * p.TP; g > earned[r.window] {
				total += g - earned[r.window]
				earned[r.window] = g
			}
		}
		if total > top {
			top, threshold = total, cut
		}
	}
	if perfect == null {
		return 0, threshold
	}
	return 100 * (top - null) / (perfect - null), threshold
}

// Scores are the normalised scores of one detector, each at its own best
// common threshold.
type Scores struct {
	Standard  float64 `json:"standard"`
	LowFP     float64 `json:"low_fp"`
	LowFN     float64 `json:"low_fn"`
	Threshold float64 `json:"threshold"` // of the standard profile
}

// scoreCorpus scores one detector's files.
func scoreCorpus(files []file) Scores {
	var rows []row
	windows := 0
	for i := range files {
		rows = rowsOf(&files[i], windows, rows)
		windows += len(files[i].windows)
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(b.score, a.score) })
	var s Scores
	s.Standard, s.Threshold = best(rows, windows, profiles[0])
	s.LowFP, _ = best(rows, windows, profiles[1])
	s.LowFN, _ = best(rows, windows, profiles[2])
	return s
}
