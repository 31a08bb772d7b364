package detect

import (
	"fmt"
	"math"
)

// The count model is for series with few points: an hourly job, a backup three
// times a day. A band needs sixty points, which such a series has after days or
// weeks; until then, and for what a band cannot see, its points are counted.
// How many come a day is a Poisson rate with a weak prior, and says when points
// come in a burst; their values, in logarithms where all are positive, have a
// mean and a deviation with few degrees of freedom, and say when one is far
// outside of anything seen.
const (
	rareEvery  = 1200       // seconds between points from which a series is counted
	rareNever  = 300        // a gap is short
	rareFast   = 64         // short gaps in a row after which a series is no longer counted
	burstRing  = 8          // points that make a burst
	burstP     = 1e-6       // of so many in so short a time
	countLeast = 8          // points from which values are judged
	countZ     = 6          // deviations that are too many, with many points
	countKeep  = 30 * 86400 // seconds: half-life, roughly, of what is counted
	evenBurst  = 1.5        // longest over shortest gap of a new interval rather than a burst
)

// count is the model of one series.
type count struct {
	points  float32           // decayed
	seconds float32           // in which they came, decayed
	n       float32           // values, decayed
	mean    float32           // of values, on their scale
	square  float32           // sum of squares around it
	low     float32           // smallest and largest value, in the series' unit
	high    float32           //
	last    [burstRing]uint32 // Unix seconds of the last points, oldest at next
	next    uint8
	seen    uint8 // points, saturating
	fast    uint8 // gaps in a row that are short
	linear  bool  // a value was not positive
	burst   bool  // the newest points are one
	open    bool  // the open episode is this model's
}

// counted gives a series with few points a count model.
func (d *Detector) counted() {
	if d.pace.every >= rareEvery && d.count == nil {
		d.count = &count{}
	}
}

// stepCount judges the value v at t and learns from it. It opens episodes of
// its own; where there are points enough for a band, only those of bursts.
func (d *Detector) stepCount(t int64, v float64, s *Scores) {
	c := d.count
	z := c.judge(v)
	alarm := c.seen >= countLeast && d.base.n <= warmPoints && math.Abs(z) >= c.limit() && (z > 0 && d.opt.high != 0 || z < 0 && d.opt.low != 0)
	c.learn(v, z)
	c.arrive(t)
	d.moveCount(t, alarm || c.burst, z, s)
	if c.fast == rareFast && !c.open {
		d.count = nil
	}
}

// judge gives how many deviations v lies off, signed.
func (c *count) judge(v float64) float64 {
	if c.n < 2 || c.seen < 3 {
		return 0
	}
	x, mean := c.scaled(v), float64(c.mean)
	dev := math.Sqrt(float64(c.square) / float64(c.n-1))
	least := .05 // of a logarithm: five percent
	if c.linear {
		least = max(.05*math.Abs(mean), .05*float64(c.high-c.low), 1e-12)
	}
	return clamp((x-mean)/(max(dev, least)*math.Sqrt(1+1/float64(c.n))), -1e6, 1e6)
}

// limit is wider the fewer values there are.
func (c *count) limit() float64 { return countZ * (1 + 12/float64(max(c.n, 1))) }

func (c *count) scaled(v float64) float64 {
	if c.linear {
		return v
	}
	return math.Log(max(v, 1e-300))
}

// learn takes a value; one far outside counts as one at the limit.
func (c *count) learn(v, z float64) {
	if v <= 0 && !c.linear {
		c.unfold()
	}
	if c.seen == 0 {
		c.low, c.high = float32(v), float32(v)
	}
	c.low, c.high = min(c.low, float32(v)), max(c.high, float32(v))
	x := c.scaled(v)
	if limit := c.limit(); c.seen >= countLeast && math.Abs(z) > limit {
		dev := math.Abs(x-float64(c.mean)) / math.Abs(z)
		x = float64(c.mean) + math.Copysign(limit*dev, z)
	}
	c.n = min(c.n+1, 200)
	off := x - float64(c.mean)
	c.mean += float32(off / float64(c.n))
	c.square += float32(off * (x - float64(c.mean)))
	if c.n == 200 {
		c.square *= 1 - 1./200
	}
}

// unfold goes over from logarithms to values.
func (c *count) unfold() {
	c.linear = true
	if c.n == 0 {
		return
	}
	mean := math.Exp(float64(c.mean))
	c.square *= float32(mean * mean)
	c.mean = float32(mean)
}

// arrive counts a point and says whether the last ones are a burst.
func (c *count) arrive(t int64) {
	now := uint32(t / 1000)
	if c.seen > 0 {
		gap := float64(now - c.last[(c.next+burstRing-1)%burstRing])
		keep := float32(math.Exp(-gap / countKeep))
		c.points, c.seconds = c.points*keep, c.seconds*keep
		c.seconds += float32(gap)
		if c.fast = min(c.fast+1, rareFast); gap >= rareNever {
			c.fast = 0
		}
	}
	c.last[c.next] = now
	c.next = (c.next + 1) % burstRing
	if c.seen < math.MaxUint8 {
		c.seen++
	}
	c.burst = c.isBurst()
	c.points++
}

// isBurst asks how probable it is that so many points come in so short a time,
// by the rate of all before them.
func (c *count) isBurst() bool {
	if c.seen < burstRing+countLeast {
		return false
	}
	took := float64(c.last[(c.next+burstRing-1)%burstRing] - c.last[c.next])
	before := float64(c.seconds) - took
	if before < 86400 {
		return false
	}
	shortest, longest := math.Inf(1), 0.
	for i := range uint8(burstRing - 1) {
		gap := float64(c.last[(c.next+i+1)%burstRing] - c.last[(c.next+i)%burstRing])
		shortest, longest = min(shortest, gap), max(longest, gap)
	}
	if longest < evenBurst*shortest {
		return false // they come more often from now on
	}
	rate := (float64(c.points) - (burstRing - 1) + 1) / before
	return poissonTail(burstRing-1, rate*took) < burstP
}

// poissonTail is the probability of at least k at a mean of m.
func poissonTail(k int, m float64) float64 {
	term := math.Exp(-m)
	p := 1 - term
	for i := 1; i < k; i++ {
		term *= m / float64(i)
		p -= term
	}
	return max(p, 0)
}

// perDay is the rate of points.
func (c *count) perDay() float64 {
	if c.seconds <= 0 {
		return 0
	}
	return float64(c.points-1) / float64(c.seconds) * 86400
}

// moveCount opens and ends the model's own episodes.
func (d *Detector) moveCount(t int64, alarm bool, z float64, s *Scores) {
	e, c := &d.level, d.count
	if d.base.n <= warmPoints && e.ended != endNone {
		*e, c.open = episode{}, false
	}
	switch {
	case alarm && e.kind == epNone:
		*e = episode{kind: epSpike, dir: 1, onset: t, seen: t, points: 1, member: memSpike, size: baseSpike * 2, score: baseSpike * 2}
		if z < 0 && !c.burst {
			e.dir = -1
		}
		c.open = true
		s.Spike = float32(z)
	case e.kind == epNone:
		c.open = false
	case alarm:
		e.seen, e.calm = t, 0
		if e.points < math.MaxUint16 {
			e.points++
		}
	case c.open && d.base.n <= warmPoints:
		e.ended = endCalm
	}
}

// Counted says what the count model of a series with few points knows.
type Counted struct {
	Points int     `json:"points"`  // seen, at most 255
	PerDay float64 `json:"per_day"` // that come
	Usual  float64 `json:"usual"`   // a value
	Low    float64 `json:"low"`     // the smallest and the largest so far
	High   float64 `json:"high"`
	Text   string  `json:"text"`
}

func (c *count) explain(unit string) Counted {
	x := Counted{Points: int(c.seen), PerDay: c.perDay(), Usual: float64(c.mean), Low: float64(c.low), High: float64(c.high)}
	if !c.linear {
		x.Usual = math.Exp(x.Usual)
	}
	x.Text = fmt.Sprintf("Its points are few, so a count model is used: about %s a day; values around %s, so far between %s and %s. A burst of points, or a value far outside, is told.",
		number(roundTo(x.PerDay), ""), number(roundTo(x.Usual), unit), number(x.Low, ""), number(x.High, unit))
	return x
}

// roundTo keeps three digits.
func roundTo(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) {
		return v
	}
	f := math.Pow(10, 2-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*f) / f
}

// text says of an alarm of the model what it is about.
func (c *count) text() string {
	if !c.burst {
		return ""
	}
	took := float64(c.last[(c.next+burstRing-1)%burstRing] - c.last[c.next])
	return fmt.Sprintf("%d points in %s, where about %s a day are usual", burstRing, seconds(took), number(roundTo(c.perDay()), ""))
}

func (c *count) walk(k *codec) {
	k.f32(&c.points, &c.seconds, &c.n, &c.mean, &c.square, &c.low, &c.high)
	for i := range c.last {
		k.u32(&c.last[i])
	}
	k.u8(&c.next)
	k.u8(&c.seen)
	k.u8(&c.fast)
	for _, f := range []*bool{&c.linear, &c.burst, &c.open} {
		k.flag(f)
	}
	k.check(c.next < burstRing && c.square >= 0 && c.n >= 0 && c.points >= 0 && c.seconds >= 0)
}

// walkCount writes or reads the count model.
func (d *Detector) walkCount(c *codec) {
	have := d.count != nil
	c.flag(&have)
	if c.err != nil || !have {
		return
	}
	if d.count == nil {
		d.count = &count{}
	}
	d.count.walk(c)
}
