package joint

import "math"

const (
	zCap     = 30   // bound of a scaled value
	rStep    = 3    // bound of the step by which a level follows
	young    = 64   // values after which a column gets its scale
	settled  = 128  // values after which a column is judged
	relFloor = 1e-3 // least scale, as a share of the largest value seen
)

// column is what is known of one metric. A value x becomes
//
//	r = clip((x - centre) / scale, ±30) - level
//
// The centre is where the level is folded into at every refit; the scale is
// the standard deviation over the slow horizon, at least relFloor of the
// largest value seen, so that a dead metric is no division by zero and the
// unit does not matter.
type column struct {
	name   string
	centre float64
	scale  float64 // 0: too young, does not take part
	level  float32 // in units of scale
	n      float64 // weight of the values seen, at most the slow horizon
	mean   float64 // of values
	m2     float64 // mean squared deviation
	big    float64 // largest |x| seen, forgotten slowly
	// Mean and variance over all rows, trusted or not and never brought to the
	// cap: a metric with rare bursts is dead by its scale, not by these.
	wideN, wideMean, wide float64
}

// learn moves mean and variance by one value of weight w. Values far outside
// of what is known are brought to bound scales from the centre. Values beyond 1e100 count as that,
// so that no square overflows.
func (c *column) learn(x, w, horizon, bound float64) {
	x = min(max(x, -1e100), 1e100)
	c.wideN = min(c.wideN+1, horizon)
	d := x - c.wideMean
	c.wideMean += d / c.wideN
	c.wide += (d*(x-c.wideMean) - c.wide) / c.wideN
	if w <= 0 {
		return
	}
	if c.scale > 0 {
		x = min(max(x, c.centre-bound*c.scale), c.centre+bound*c.scale)
	}
	c.n = min(c.n+w, horizon)
	a := w / max(c.n, w)
	d = x - c.mean
	c.mean += a * d
	c.m2 += a * ((1-a)*d*d - c.m2)
	c.big = max(math.Abs(x), c.big*(1-a*.1))
}

// spread is the scale that the column should have by now.
func (c *column) spread() float64 {
	return max(math.Sqrt(max(c.m2, 0)), relFloor*c.big, 1e-200)
}
