package detect

import (
	"math"

	"github.com/norn-aiops/norn/internal/detect/choice"
)

// maxAbs is the largest magnitude that is judged; larger values count as this.
const maxAbs = 1e18

// maxSquare is the largest mean square of residuals.
const maxSquare = 16 * maxAbs * maxAbs

// Limits that a member's score must reach at least, in units of the scale
// (shape: of its calibrated score).
const (
	baseLevel = 2.8 // three of the last four points
	baseSlow  = 1.5 // weighted mean of the last twenty points
	baseSpike = 6   // one point
	baseShape = .37
)

// members of a detector, in the order of its calibrators.
const (
	memLevel = iota
	memSlow
	memSpike
	memShape
	memCount
)

// Options configure one Detector.
type Options struct {
	Warmup    int     // points before the shape member speaks; at least 104
	PerWeek   float64 // wished false alarms a week and member; 0 means 0.02
	Adopt     int64   // ms after which a steady new level becomes normal; 0 means 2 hours
	floor     floorKind
	up        bool // an up series: 0 is a fault, nothing else is
	direction int8 // 1 only up is bad, -1 only down, 0 both
	fade      float32
	rules     choice.Rules // of the full tier
	high, low float32      // what a score above, and below, counts as bad
}

func (o Options) withDefaults() Options {
	o.Warmup = max(o.Warmup, 104)
	o.fade = float32(1) - 1/(5*float32(o.Warmup))
	o.high, o.low = 1, -1
	switch o.direction {
	case 1:
		o.low = 0
	case -1:
		o.high = 0
	}
	if o.PerWeek <= 0 {
		o.PerWeek = .02
	}
	if o.Adopt <= 0 {
		o.Adopt = 2 * 3600_000
	}
	return o
}

// Scores is what the members say of one point.
type Scores struct {
	Expected float64 // in the series' unit
	Scale    float64 // unit of the band's half on the value's side
	Z        float32 // (value - Expected) / Scale
	Spike    float32 // how far the point stands out alone, signed: Z, or the change from the last point in a smooth series
	Level    float32 // how far three of the last four points lie off at least, signed
	Slow     float32 // weighted mean of the last z
	Shape    float32 // calibrated novelty of the sequence
	Alarm    float32 // the shape member's alarm: Shape where it speaks, else 0
	Choice   float32 // full tier: what its members say together, 1 at the least limit
}

// Detector is the basic tier for one series: a baseline with a band, a level
// and a slow test on its residuals, a spike test, and the shape member, each
// calibrated against the series' own past. It is strictly causal: what it says
// of a point depends on that point and earlier ones. It belongs to one
// goroutine at a time. Make it with NewDetector.
type Detector struct {
	// All pointers come first, so that the garbage collector reads two cache
	// lines of a series and no more; then, packed, what nearly every point
	// needs: memory, not arithmetic, is what a hundred thousand series cost.
	opt   *Options
	shape *shape          // nil during the warm-up
	pick  *choice.Chooser // nil in the basic tier
	count *count          // nil unless points are few
	warm  []float32       // points of the warm-up, nil afterwards
	base  baseline        // begins with a pointer, ends with the profile of the day
	t     int64           // Unix ms of the last point
	clock blockClock
	run   run
	pace  pace
	z     [4]float32
	alarm alarm
	cal   [memCount]calibrator
	ratio ratio
	level episode // of the residual
	form  episode // of the shape
	rings [memCount]ring
}

// run is the present stretch of points on one side of the band.
type run struct {
	start, slowStart int64 // Unix ms
	dir, slowDir     int8
	miss             uint8
	still            uint16 // points in a row that equal the one before
}

// NewDetector makes a detector for one series that is bad in both directions.
func NewDetector(o Options) *Detector {
	o = o.withDefaults()
	d := &Detector{}
	d.init(&o)
	return d
}

func (d *Detector) init(o *Options) {
	d.opt = o
	for i, b := range memberBases() {
		d.cal[i].limit = b * 2
	}
}

// memberBases are the least limits of the members.
func memberBases() [memCount]float32 {
	return [...]float32{baseLevel, baseSlow, baseSpike, baseShape}
}

// Step reads the value v at t (Unix ms) and returns the members' scores. ok is
// false, and nothing is learned, when v is not finite or t is not after the
// last point's.
func (d *Detector) Step(t int64, v float64) (s Scores, ok bool) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Scores{}, false
	}
	var m moment
	ok = d.step(t, v, &m, &s)
	return s, ok
}

// step is Step for a finite value; s must be zero, m is of any point before.
func (d *Detector) step(t int64, v float64, m *moment, s *Scores) bool {
	if d.base.n > 0 && t <= d.t {
		return false
	}
	v = clamp(v, -maxAbs, maxAbs)
	dt, regular := d.arrive(t)
	d.clock.gap = 0
	if d.base.n > 0 {
		d.clock.gap = uint32(min(t-d.t, math.MaxUint32))
	}
	d.t = t
	if d.opt.up {
		*s = d.stepUp(t, v)
		return true
	}
	n := int(d.base.n)
	var r residual
	was := d.base.last
	if t != m.t || dt != m.dt || !m.known {
		m.at(t, dt)
	}
	d.base.step(m, v, d.opt.floor, d.level.kind == epLevel, regular, &r)
	s.Expected, s.Scale, s.Z, s.Spike = r.mean, r.scale, r.z, r.jump
	switch {
	case r.rel == was && n > 0:
		d.still(t)
	case d.run.still > 0:
		d.moved()
	}
	if v == 0 {
		d.nought()
	}
	s.Shape, s.Alarm = d.stepShape(n, &r)
	d.test(t, r.rel, s)
	if d.count != nil {
		d.stepCount(t, v, s)
	}
	if d.clock.tick(t) {
		d.closeBlock(t)
	}
	return true
}

// stepShape feeds the shape member; during the warm-up it only collects.
func (d *Detector) stepShape(n int, r *residual) (y, raised float32) {
	ratio := ratioWeight * d.ratio.step(r.rel, r.e1, r.e2)
	w := d.opt.Warmup
	fade := d.opt.fade
	if d.shape == nil {
		d.collect(r.rel)
		d.alarm.step(ratio, n, w, fade)
		if len(d.warm) >= w {
			d.replay(fade)
		}
		return 0, 0
	}
	return d.alarm.step(d.shape.step(r.rel)+ratio, n, w, fade)
}

// collect keeps a point of the warm-up, with no more room than the warm-up
// needs.
func (d *Detector) collect(x float32) {
	if n := len(d.warm); n == cap(d.warm) {
		grown := make([]float32, n, min(max(64, 2*n), max(d.opt.Warmup, n+1)))
		copy(grown, d.warm)
		d.warm = grown
	}
	d.warm = append(d.warm, x)
}

// replay reads the warm-up into a new shape member. The alarm's calibration
// has seen the residual ratio alone until now; it gets the novelty here.
func (d *Detector) replay(fade float32) {
	d.shape = newShape(d.warm, d.base.offset)
	var late alarm
	for i, x := range d.warm {
		late.step(d.shape.step(x), i, len(d.warm), fade)
	}
	d.alarm.past += late.past
	d.alarm.block += late.block
	d.warm = nil
}

// test runs the tests on the residuals and moves the episodes.
func (d *Detector) test(t int64, rel float32, s *Scores) {
	z0, z1, z2, z3 := s.Z, d.z[0], d.z[1], d.z[2]
	d.z[0], d.z[1], d.z[2], d.z[3] = z0, z1, z2, z3
	d.base.slow += .1 * (larger(-6, smaller(6, s.Z)) - d.base.slow)
	s.Slow = d.base.slow
	d.track(t, s.Z)
	if d.base.n <= warmPoints {
		if d.pick != nil {
			d.choose(t, rel, s)
		}
		return
	}
	up, down := lasting(z0, z1, z2, z3)
	s.Level = up
	if down > up {
		s.Level = -down
	}
	high, low := d.opt.high, d.opt.low
	d.cal[memLevel].see(s.Level*high, s.Level*low)
	d.cal[memSlow].see(s.Slow*high, s.Slow*low)
	d.cal[memSpike].see(s.Spike*high, s.Spike*low)
	if d.pick != nil {
		w := d.choose(t, rel, s)
		d.moveLevel(t, s, up, down, w)
		d.moveNovelty(t, w, s.Z)
		return
	}
	d.cal[memShape].see(s.Shape, 0)
	d.moveLevel(t, s, up, down, said{})
	d.moveShape(t, s)
}

// see takes a score as it counts if it is bad to be high, and low.
func (c *calibrator) see(high, low float32) {
	if high > c.cur {
		c.cur = high
	}
	if low > c.cur {
		c.cur = low
	}
}

// lasting gives how far at least three of the four last points lie above, and
// below, the expectation (negative when fewer do).
func lasting(z0, z1, z2, z3 float32) (up, down float32) {
	a, b := min(z0, z1), max(z0, z1)
	c, e := min(z2, z3), max(z2, z3)
	// with a<=b and c<=e the second smallest of the four is
	// min(max(a,c), min(b,e)), the second largest the max of the same two
	x, y := max(a, c), min(b, e)
	return min(x, y), -max(x, y)
}

// track remembers where the present stretch of deviating points began: beyond
// half of the limit, one point excepted.
func (d *Detector) track(t int64, z float32) {
	dir := side(z, larger(1.5, .5*d.cal[memLevel].limit))
	switch r := &d.run; {
	case dir != 0 && dir == r.dir:
		r.miss = 0
	case r.dir != 0 && r.miss == 0 && dir == 0:
		r.miss = 1
	default:
		r.dir, r.start, r.miss = dir, t, 0
	}
	slow := side(d.base.slow, larger(.5, .4*d.cal[memSlow].limit))
	if slow != d.run.slowDir {
		d.run.slowDir, d.run.slowStart = slow, t
	}
}

// side is 1 above edge, -1 below -edge, else 0.
func side(v, edge float32) int8 {
	switch {
	case v > edge:
		return 1
	case v < -edge:
		return -1
	}
	return 0
}

func (d *Detector) closeBlock(t int64) {
	d.closeFlat()
	d.clock.close(t, &d.cal, &d.rings, memberBases(), d.opt.PerWeek)
}
