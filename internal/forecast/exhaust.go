package forecast

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Supply is something that can run out, and how it went so far.
type Supply struct {
	Values  []float64 // equally spaced, oldest first; NaN or infinite where nothing was measured
	Step    int64     // ms between two values, at least 1
	Limit   float64
	Falling bool   // it is gone when the values fall to the limit; else when they rise to it
	Ahead   int64  // ms to look ahead; 0 means two years
	Seed    uint64 // of the simulated paths
}

// Exhaustion says when a limit is reached. Times are ms after the last value;
// nil when not within the time looked ahead.
type Exhaustion struct {
	Reached bool     `json:"reached"` // the newest peak is at or beyond the limit
	P10     *int64   `json:"p10_in_ms"`
	P50     *int64   `json:"p50_in_ms"`
	P90     *int64   `json:"p90_in_ms"`
	Within  float64  `json:"within"`         // share of the paths that reach it in the time looked ahead, 0..1
	Growth  float64  `json:"growth_per_day"` // of the peaks (of the lows, when falling) in the unit of the values; negative: they fall
	Peak    float64  `json:"peak"`           // newest peak, or low
	Bucket  int64    `json:"bucket_ms"`      // peaks were taken over this long
	Buckets int      `json:"buckets"`
	Ahead   int64    `json:"ahead_ms"`
	Reason  string   `json:"reason"`
	passage []int64  // of the paths that arrive, ascending
	paths   int      // of all
	fits    []fitted // for tests
}

const (
	passagePaths = 300
	leastBuckets = 10
	maxAhead     = 2 * 365 * day
	maxSteps     = 1500
)

// Exhaust says when the limit will be reached: the peaks of days (or of hours,
// in a short history) are continued by simple lines that are weighed by their
// errors at past origins; paths are drawn around them with the noise, the
// random walk and the doubt of the slope that those errors show, and the first
// passage of each is taken (P10, P50 and P90 of the passages). Peaks count
// because a queue that overflows every noon is not saved by its nights. It
// fails with [ErrTooShort] when fewer than ten peaks can be taken.
func Exhaust(in Supply) (Exhaustion, error) {
	if in.Step < 1 {
		return Exhaustion{}, fmt.Errorf("forecast with a step of %d ms: must be positive", in.Step)
	}
	if math.IsNaN(in.Limit) || math.IsInf(in.Limit, 0) {
		return Exhaustion{}, fmt.Errorf("limit %v cannot be reached", in.Limit)
	}
	sign := 1.0
	if in.Falling {
		sign = -1
	}
	bucket, cycle := bucketOf(int64(len(in.Values)) * in.Step)
	y, err := peaks(in.Values, in.Step, bucket, sign)
	if err != nil {
		return Exhaustion{}, err
	}
	unit := math.Abs(in.Limit)
	for _, v := range y {
		unit = max(unit, math.Abs(v))
	}
	if unit < 1e-300 {
		unit = 1
	}
	for i := range y {
		y[i] /= unit
	}
	if in.Ahead <= 0 || in.Ahead > maxAhead {
		in.Ahead = maxAhead
	}
	steps := int(min(max(in.Ahead/bucket, 1), maxSteps))
	out := Exhaustion{Peak: sign * y[len(y)-1] * unit, Bucket: bucket, Buckets: len(y), Ahead: int64(steps) * bucket, paths: passagePaths}
	t := trendOf(y, cycle, steps)
	out.fits = t.fits
	if math.Abs(t.slope) < 1e-12 {
		t.slope = 0
	}
	out.Growth = sign * t.slope * unit * float64(day) / float64(bucket)
	limit := sign * in.Limit / unit
	if y[len(y)-1] >= limit {
		zero := int64(0)
		out.Reached, out.Within, out.P10, out.P50, out.P90 = true, 1, &zero, &zero, &zero
	} else {
		out.passage = t.passages(y[len(y)-1], limit, bucket, in.Seed)
		out.Within = float64(len(out.passage)) / passagePaths
		out.P10, out.P50, out.P90 = out.Quantile(.1), out.Quantile(.5), out.Quantile(.9)
	}
	out.Reason = out.sentence(t, in.Falling, cycle)
	return out, nil
}

// Quantile is when a share q (0..1) of the paths has reached the limit, ms
// after the last value; nil when fewer do in the time looked ahead.
func (e *Exhaustion) Quantile(q float64) *int64 {
	i := int(math.Ceil(q*float64(e.paths))) - 1
	if i < 0 || i >= len(e.passage) {
		return nil
	}
	v := e.passage[i]
	return &v
}

// Probability is the share of the paths that reach the limit within ms.
func (e *Exhaustion) Probability(ms int64) float64 {
	if e.Reached {
		return 1
	}
	n, _ := slices.BinarySearch(e.passage, ms+1)
	return float64(n) / float64(max(e.paths, 1))
}

func (e *Exhaustion) sentence(t trend, falling bool, cycle int) string {
	what, unit := "peaks", "days"
	if falling {
		what = "lows"
	}
	if e.Bucket == hour {
		unit = "hours"
	} else if e.Bucket < hour {
		unit = fmt.Sprintf("spans of %d min", e.Bucket/60_000)
	}
	text := fmt.Sprintf("from the %s of %d %s", what, e.Buckets, unit)
	if t.cyclic {
		text += fmt.Sprintf(" with a cycle of %d", cycle)
	}
	if t.outliers > 0 {
		text += fmt.Sprintf(", %d wrong values repaired", t.outliers)
	}
	if t.shifts > 0 {
		text += fmt.Sprintf(", %d level shifts taken as the new normal", t.shifts)
	}
	best := t.fits[0]
	return text + fmt.Sprintf("; %d lines were compared at past times, %q counts most (%.0f %%)", len(t.fits), best.name, 100*best.weight)
}

// bucketOf is how long peaks are taken over, and the cycle that they may have.
func bucketOf(span int64) (bucket int64, cycle int) {
	switch {
	case span >= 14*day:
		return day, 7
	case span >= leastBuckets*hour:
		return hour, 24
	}
	return max(span/20, 1), 0
}

// peaks takes the largest value of each whole bucket, counted from the end;
// buckets without a value get the line between their neighbours.
func peaks(vs []float64, step, bucket int64, sign float64) ([]float64, error) {
	per := int(max(bucket/step, 1))
	n := len(vs) / per
	out := make([]float64, n)
	good := 0
	for i := range out {
		top := math.NaN()
		for _, v := range vs[len(vs)-(n-i)*per : len(vs)-(n-i-1)*per] {
			if v *= sign; !math.IsNaN(v) && !math.IsInf(v, 0) && !(top >= v) {
				top = v
			}
		}
		out[i] = top
		if !math.IsNaN(top) {
			good++
		}
	}
	if good < leastBuckets {
		return nil, fmt.Errorf("%d peaks are known, %d are needed: %w", good, leastBuckets, ErrTooShort)
	}
	first := slices.IndexFunc(out, func(v float64) bool { return !math.IsNaN(v) })
	filled, _, err := fill(out[first:])
	return filled, err
}

// passages draws paths and gives when each first reaches limit, ms, ascending.
func (t *trend) passages(last, limit float64, bucket int64, seed uint64) []int64 {
	r := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	var out []int64
	for range passagePaths {
		// Student's t with 5 degrees of freedom and variance 1
		chi := 0.0
		for range 5 {
			z := r.NormFloat64()
			chi += z * z
		}
		way := t.way * r.NormFloat64() * math.Sqrt(3/max(chi, 1e-9))
		walk, before := 0.0, last
		for k, m := range t.mean {
			walk += t.walk * r.NormFloat64()
			at := m + way*float64(k+1) + walk + t.noise*r.NormFloat64()
			if at >= limit {
				part := 1.0
				if at > before {
					part = min(max((limit-before)/(at-before), 0), 1)
				}
				out = append(out, int64((float64(k)+part)*float64(bucket)))
				break
			}
			before = at
		}
	}
	slices.Sort(out)
	return out
}
