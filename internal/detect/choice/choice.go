// Package choice weighs several detectors for one series by what the series
// is like.
//
// It exists because no detector wins everywhere: short spikes decide in smooth
// or evenly noisy series and mean nothing in bursty ones, a novel sequence
// decides where habits are firm, a lasting shift in noisy steps. A [Chooser]
// reads one series point by point, profiles it as it streams (tail of its
// residuals, smoothness, repeated values, how often novelty comes), and adds
// up the evidence of its members with weights that follow from the profile. It
// never forgets when the profile changes: the weights follow at the next point.
// Each member's raw score is first compared with the series' own past (its
// record of the last week), so that one limit serves all series. It does not
// know time of day, baselines or n-grams: what those members say comes in as
// arguments. It is strictly causal and takes no clock; a Chooser belongs to one
// goroutine at a time.
package choice

import (
	"math"

	"github.com/norn-aiops/norn/internal/stats"
)

// Members, in the order of Verdict.Evidence.
const (
	Jump     = iota // change from the last value
	Spike           // distance from the median of the last five values
	Distance        // distance from the slow mean
	Run             // three values in a row off the slow mean on one side
	Level           // lasting residual, as the baseline's level test measures it
	Novelty         // of the sequence, as the shape member measures it
	Size            // of a jump or spike in units of its usual size
	Members
)

// gauges are the members whose raw score is measured against its own past.
const gauges = Level + 1

const (
	horizon = 3000     // points that a record counts as the full past
	week    = 604800e3 // ms over which a record fades, at the earliest horizon points
	clipped = 2.5      // largest factor by which one point moves a record
	maxAbs  = 1e30
	least   = 1e-9 // of the value: smaller raw scores are rounding
)

// gauge remembers one member's raw scores.
type gauge struct {
	peak float32 // fading record
	mean float32
	rms  float32
}

// Chooser is the state for one series. It takes about 400 bytes and never
// grows. Make it with New.
type Chooser struct {
	rules  *Rules
	ring   [5]float64 // last values, oldest at n%5
	slow   float64    // mean with a half-life of 500 points
	t      int64      // Unix ms of the last point
	off    [2]float32 // last two residuals against the slow mean
	g      [gauges]gauge
	tail   tail    // distribution of Spike's raw scores
	raise  float32 // factor by which a young record is raised
	repeat float32 // share of values equal to the one before
	habit  float32 // mean novelty
	n      uint32  // points, saturating
}

// New makes a chooser without points. It keeps the rules, which must not be
// changed afterwards; nil means DefaultRules.
func New(rules *Rules) *Chooser {
	if rules == nil {
		r := DefaultRules()
		rules = &r
	}
	return &Chooser{rules: rules}
}

// SetRules changes the rules, as New takes them.
func (c *Chooser) SetRules(rules *Rules) { c.rules = rules }

// Verdict is what the members say of one point together.
type Verdict struct {
	// Score is 1 at the limit, and grows by 30 % with every half unit of
	// evidence: scores of one series compare with each other.
	Score float32
	// Evidence is each member's part of the sum, >= 0.
	Evidence [Members]float32
	// Member gave the most.
	Member int
}

// Step reads the value v at t (Unix ms). lasting is by how much, in the
// series' unit and >= 0, the last points lie off the baseline; novelty is the
// shape member's score, 0 where there is none. ok is false, and nothing is
// learned, when a number is not finite or negative where it must not be, or
// t is not after the last point's.
func (c *Chooser) Step(t int64, v, lasting float64, novelty float32) (out Verdict, ok bool) {
	if !finite(v) || !finite(lasting) || !finite(float64(novelty)) || lasting < 0 || novelty < 0 {
		return Verdict{}, false
	}
	if c.n > 0 && t <= c.t {
		return Verdict{}, false
	}
	v = min(max(v, -maxAbs), maxAbs)
	raw := c.measure(v, min(lasting, maxAbs))
	if c.n > 0 {
		out = c.weigh(&raw, novelty)
	}
	c.learn(t, v, &raw, novelty)
	return out, true
}

func finite(x float64) bool { return x-x == 0 }

// measure gives the members' raw scores, in the series' unit.
func (c *Chooser) measure(v, lasting float64) (raw [gauges]float32) {
	if c.n == 0 {
		c.slow = v
		return raw
	}
	low := least * math.Abs(v)
	put := func(i int, r float64) {
		if r > low {
			raw[i] = float32(r)
		}
	}
	put(Jump, math.Abs(v-c.ring[(c.n-1)%5]))
	put(Spike, math.Abs(v-c.median()))
	off := float32(v - c.slow)
	put(Distance, math.Abs(v-c.slow))
	a, b := min(off, c.off[0], c.off[1]), max(off, c.off[0], c.off[1])
	put(Run, float64(max(a, -b, 0)))
	put(Level, lasting)
	return raw
}

// median gives the median of the last five values, or of what there is.
func (c *Chooser) median() float64 {
	if c.n < 5 {
		s := c.ring
		k := int(c.n)
		for i := 1; i < k; i++ {
			for j := i; j > 0 && s[j] < s[j-1]; j-- {
				s[j], s[j-1] = s[j-1], s[j]
			}
		}
		return s[(k-1)/2] + (s[k/2]-s[(k-1)/2])/2
	}
	a, b := order(c.ring[0], c.ring[1])
	d, e := order(c.ring[3], c.ring[4])
	if a < d { // the least of both pairs is not the median
		a = d
	}
	if b > e { // nor the largest
		b = e
	}
	return middle(a, b, c.ring[2])
}

func order(a, b float64) (lo, hi float64) {
	if b < a {
		return b, a
	}
	return a, b
}

func middle(a, b, x float64) float64 {
	a, b = order(a, b)
	if x < a {
		return a
	}
	if x > b {
		return b
	}
	return x
}

// learn takes the point into the past.
func (c *Chooser) learn(t int64, v float64, raw *[gauges]float32, novelty float32) {
	k := max(1/float64(c.n+1), 1./2000)
	fade := float32(1 - min(1./horizon, float64(t-c.t)/week))
	if c.n == 0 {
		fade = 1
	}
	for i := range c.g {
		g, r := &c.g[i], raw[i]
		x := float64(r)
		g.mean += float32(k * (x - float64(g.mean)))
		if i <= Distance {
			s := float64(g.rms)
			g.rms = float32(math.Sqrt(s*s + k*(x*x-s*s)))
		}
		if g.peak *= fade; r > g.peak {
			if c.n > 100 && g.peak > 0 && r > clipped*g.peak {
				r = clipped * g.peak
			}
			g.peak = r
		}
	}
	same := float32(0)
	if raw[Jump] == 0 {
		same = 1
	}
	c.repeat += float32(k) * (same - c.repeat)
	c.habit += float32(k) * (novelty - c.habit)
	c.tail.see(raw[Spike], .001*c.g[Spike].mean, c.g[Spike].peak, float32(k))
	c.off[1], c.off[0] = c.off[0], float32(v-c.slow)
	c.slow += max(1/float64(c.n+1), slowRate) * (v - c.slow)
	c.ring[c.n%5] = v
	c.t = t
	if c.n < math.MaxUint32-5 {
		c.n++
	} else {
		c.n -= 4 // keeps its place in the ring
	}
	if c.n%16 == 0 || c.n < 64 {
		c.raise = c.young()
	}
}

// slowRate is the rate of a mean with a half-life of 500 points.
const slowRate = 0.00138533389897

// young is by how much a record of few points is raised to stand for that of a
// full past: with the tail's index, as extremes grow.
func (c *Chooser) young() float32 {
	if c.n >= horizon {
		return 1
	}
	return float32(math.Pow(horizon/float64(max(c.n, 1)), min(max(float64(c.tail.index())/2.3, .1), .5)))
}

// log is the natural logarithm of a positive number, good to 0.004.
func log(x float32) float32 { return stats.FastLog2(x) * math.Ln2 }
