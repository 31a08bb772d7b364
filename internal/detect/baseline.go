package detect

import (
	"math"

	"github.com/norn-aiops/norn/internal/detect/season"
)

// baseline expects a value: a slow level or, where the series' own past shows
// that it predicts better, a profile of the day plus today's shift from it.
// Around the expectation lies a band whose two halves are learned from the
// residuals above and below.
//
// Values are kept relative to the series' first one, in float32. Rates of learning are in seconds, so that a change of the
// sampling interval changes nothing but the noise.
type baseline struct {
	season   *season.Tracker // nil for most
	offset   float64         // the first value, as far as a float32 holds it
	level    float32
	shift    float32    // today's difference from the profile: a share of it, or absolute when values can be negative
	other    float32    // the shift of the other kind of day (working day, weekend)
	fast     float32    // mean of the last quarter of an hour
	last     float32    // value
	errLevel float32    // mean absolute error of the level, and of the profile,
	errDay   float32    // where both were known
	compared float32    // seconds of that comparison
	square   [2]float32 // mean square of residuals below and above
	share    float32    // share of points above the expectation
	step2    float32    // mean square of the change from point to point
	granule  float32    // smallest step (for ratios: smallest positive value), 0 unknown
	hold     yardstick
	n        uint32
	seen     [2]uint16       // residuals below and above, saturating
	bin      uint8           // of the last point
	known    bool            // bin was known from an earlier visit
	daily    bool            // the profile is in use
	weekend  bool            // of the last point
	both     bool            // other is known
	negative bool            // a negative value was seen
	follows  bool            // the season's expectation is in use
	settle   uint8           // points left after a change of the interval
	binN     [dayBins]uint16 // points learned, saturating
	bins     [dayBins]float32
	slow     float32 // weighted mean of the last z of the slow test; it is here because here is room
}

const (
	dayBins     = 48
	binSeconds  = 86400 / dayBins
	perBin      = 1. / (binSeconds * 1000)
	tauLevel    = 4 * 3600.
	tauScale    = 12 * 3600.
	tauShare    = 5 * 86400.
	tauProfile  = 7 * binSeconds // seven visits of a bin
	tauCompare  = 86400.
	tauFast     = 900.
	maxShift    = 1e30
	warmPoints  = 60 // before these nothing is judged
	settlePoint = 40
)

// floorKind says how small the scale of a series' residuals may be.
type floorKind uint8

const (
	floorOther    floorKind = iota // half a percent of the value
	floorRelative                  // 5 % of the value
	floorRatio                     // .002, and binomial noise of the known granule
	floorCount                     // 5 %, and half of Poisson noise at the interval
)

// residual is what the baseline says of one point.
type residual struct {
	mean, scale float64 // expectation (true units) and the half-band's unit
	z           float32 // (value - mean) / scale
	jump        float32 // the spike test's score, signed; see leap
	rel         float32 // value relative to the first
	e1, e2      float32 // residuals against the hour's and half-hour's mean, NaN if unknown
}

// step judges v at the moment and learns from it unless frozen. v must be
// finite. regular says that the point came about as long after the last one as
// that one after its own.
func (b *baseline) step(m *moment, v float64, f floorKind, frozen, regular bool, r *residual) {
	if b.n == 0 {
		b.offset = float64(float32(v))
		b.share, b.level = .5, float32(v-b.offset)
	}
	fresh := 1 / float32(int32(min(b.n, math.MaxInt32-1))+1)
	x := float32(v - b.offset)
	v = float64(x) + b.offset // what is held back keeps no more digits
	b.negative = b.negative || v < 0
	b.grain(x, v, f)
	if b.bin != uint8(m.bin) || b.n == 0 {
		b.bin, b.known = uint8(m.bin), b.binN[m.bin] > 0
		b.hold.stale = true
	}
	if b.n == 0 || m.weekend != b.weekend {
		b.turn(m.weekend)
	}
	r.rel = x
	r.e1, r.e2 = b.hours(m.bin, x)
	mean, day, haveDay := b.expect(m.bin, m.pos)
	rival, still := mean, x
	if b.season != nil {
		mean, still = b.seasonal(m.t, mean, x)
	}
	if b.n%8 == 0 || b.n&(b.n-1) == 0 || b.n == warmPoints || b.hold.stale || !regular {
		b.renew(mean, m.dt, f)
		b.hold.stale = !regular
	}
	e := float32(float64(x) - mean)
	side := sideOf(e)
	s := b.hold.scale[side]
	r.mean, r.scale = mean+b.offset, float64(s)
	most := float32(1e6)
	if f == floorRatio {
		most = b.evidence(v)
	}
	r.z = clamp(e/s, -1e6, most)
	r.jump = b.leap(still, r.z, larger(fresh, m.scale))
	if !frozen {
		b.learnScale(e, side, m)
		b.learnLevel(x, day, haveDay, s, fresh, m)
	}
	if b.season != nil {
		b.teach(m.t, x, rival, !frozen)
	}
	b.fast += larger(fresh, m.fast) * (x - b.fast)
	b.last = x
	if b.settle > 0 {
		b.settle--
	}
	if b.n < math.MaxUint32 {
		b.n++
	}
}

// value is the last value, rounded to the digits that are kept of it.
func (b *baseline) value() float64 {
	x := math.Abs(float64(b.last))
	v := float64(b.last) + b.offset
	if x == 0 {
		return v
	}
	digits := 6 - math.Floor(math.Log10(x)) // behind the point
	if f := math.Pow(10, math.Abs(digits)); digits < 0 {
		return math.Round(v/f) * f
	} else if math.Abs(v)*f < 1<<52 {
		return math.Round(v*f) / f
	}
	return v
}

// dayBin gives the half-hour of the day (UTC) and the place in it, 0..1.
func dayBin(t int64) (bin int, pos float64) {
	ms := t % 86400_000
	if ms < 0 {
		ms += 86400_000
	}
	bin = int(ms / (binSeconds * 1000))
	return bin, float64(ms-int64(bin)*binSeconds*1000) * perBin
}

// grain learns what one more event changes: the smallest step between
// neighbours, or for ratios the smallest positive value of late (it grows by
// 1 % with every larger one, because traffic changes).
func (b *baseline) grain(x float32, v float64, f floorKind) {
	if f == floorRatio {
		if g := float32(v); g > 0 && (b.granule == 0 || g < b.granule) {
			b.granule = g
		} else if g > 0 {
			b.granule = min(g, 1.01*b.granule)
		}
		return
	}
	if g := abs32(x - b.last); g > 0 && b.n > 0 && (b.granule == 0 || g < b.granule) {
		b.granule = g
	}
}

// evidence is the largest z that a ratio of v may have: three for every event
// that it and the last value can stand for, so that one failure of two requests
// is not a spike, and yet a series that was 0 until everything began to fail
// speaks although it never showed what a single failure is.
func (b *baseline) evidence(v float64) float32 {
	if b.granule <= 0 || v <= 0 {
		return 1e6
	}
	g := float64(b.granule)
	events := max(1, math.Round(v/g))
	if last := float64(b.last) + b.offset; last > 0 && b.n > 0 {
		events += max(1, math.Round(last/g))
	}
	return float32(min(1e6, 3*events))
}

// sparse reports that a count or ratio is zero most of the time: its shape
// means nothing.
func (b *baseline) sparse(f floorKind) bool {
	return (f == floorCount || f == floorRatio) && float64(b.level)+b.offset < float64(b.granule)
}

// hours gives the residuals against the mean of the hour and half-hour.
func (b *baseline) hours(bin int, x float32) (e1, e2 float32) {
	nan := float32(math.NaN())
	own, near := b.binN[bin], b.binN[bin^1]
	switch {
	case own == 0 && near == 0:
		return nan, nan
	case own == 0:
		return x - b.bins[bin^1], nan
	}
	e2 = x - b.bins[bin]
	if near == 0 {
		return e2, e2
	}
	w := float32(near) / (float32(own) + float32(near))
	return e2 - w*(b.bins[bin^1]-b.bins[bin]), e2
}

// profile interpolates the profile of the day between the middles of bins.
func (b *baseline) profile(bin int, pos float64) (float64, bool) {
	if b.binN[bin] == 0 {
		return 0, false
	}
	own, near := float64(b.bins[bin]), (bin+1)%dayBins
	if pos < .5 {
		near = (bin + dayBins - 1) % dayBins
	}
	if b.binN[near] == 0 {
		return own, true
	}
	w := math.Abs(pos - .5)
	return own*(1-w) + float64(b.bins[near])*w, true
}

// expect gives the expectation relative to the offset, and the profile's value
// (without shift) where there is one of an earlier visit.
func (b *baseline) expect(bin int, pos float64) (mean, day float64, haveDay bool) {
	if !b.known && !b.daily {
		return float64(b.level), 0, false
	}
	day, haveDay = b.profile(bin, pos)
	if b.daily && haveDay {
		return b.shifted(day), day, true
	}
	return float64(b.level), day, haveDay
}

// shifted moves a value of the profile by today's shift: in proportion for
// series that are never negative, else by addition.
func (b *baseline) shifted(day float64) float64 {
	if b.negative {
		return day + float64(b.shift)
	}
	return (day+b.offset)*(1+float64(b.shift)) - b.offset
}

// unshifted takes today's shift from a value, as far as that is sensible.
func (b *baseline) unshifted(x float64) float64 {
	if b.negative {
		return x - float64(b.shift)
	}
	return (x+b.offset)/max(1+float64(b.shift), .1) - b.offset
}

// unit is what one unit of shift changes at a profile's value of day.
func (b *baseline) unit(day float64) float64 {
	if b.negative {
		return 1
	}
	return max(max(day+b.offset, .3*(float64(b.level)+b.offset)), 1e-12)
}

// turn exchanges the shifts when a weekend (UTC) begins or ends; w says
// whether it is one. The first
// weekend begins with the shift of Friday.
func (b *baseline) turn(w bool) {
	if b.n == 0 {
		b.weekend = w
	}
	if w == b.weekend {
		return
	}
	if !b.both {
		b.other = b.shift
	}
	b.weekend, b.both = w, true
	b.shift, b.other = b.other, b.shift
}

// isWeekend reports whether t (Unix ms) is a Saturday or Sunday in UTC.
func isWeekend(t int64) bool {
	d := (floorDiv(t, 86400_000) + 3) % 7 // 0 is Monday: day 0 was a Thursday
	return d >= 5 || d < 0 && d+7 >= 5
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func floorMod(a, b int64) int64 { return a - b*floorDiv(a, b) }

// learnLevel moves the level, the profile, the shift and the comparison
// between the two expectations. Residuals are cut at four units, for the level
// and the shift at two.
func (b *baseline) learnLevel(x float32, day float64, haveDay bool, s, fresh float32, m *moment) {
	wide := 4 * larger(s, 1.25*b.errLevel)
	if b.n < warmPoints {
		wide = float32(math.Inf(1))
	}
	form := x
	if b.known && haveDay {
		b.compare(x, day, wide, m)
	}
	b.level += larger(fresh, m.level) * clamp(x-b.level, -wide/2, wide/2)
	c := b.binN[m.bin]
	a := larger(1/float32(int32(c)+1), m.profile)
	p := b.bins[m.bin]
	if b.daily && b.known { // the profile learns its form, the shift today's height
		form = float32(b.unshifted(float64(x)))
	}
	b.bins[m.bin] += a * clamp(form-p, -wide, wide)
	if c == 0 {
		b.bins[m.bin] = form
	}
	if c < math.MaxUint16 {
		b.binN[m.bin]++
	}
}

// compare learns how well level and profile predict, and today's shift.
func (b *baseline) compare(x float32, day float64, wide float32, m *moment) {
	dt := float32(m.dt)
	a := larger(1/(b.compared/larger(dt, 1)+1), m.compare)
	rd := float32(float64(x) - b.shifted(day))
	b.errLevel += a * (smaller(abs32(x-b.level), wide) - b.errLevel)
	b.errDay += a * (smaller(abs32(rd), wide) - b.errDay)
	b.compared = smaller(b.compared+dt, tauCompare)
	b.shift += m.level * clamp(rd, -wide/2, wide/2) / float32(b.unit(day))
	b.shift = smaller(maxShift, larger(-maxShift, b.shift))
	b.choose()
}

// choose takes the profile when it has predicted clearly better than the level
// for a quarter of a day, and gives it up when it no longer does.
func (b *baseline) choose() {
	switch {
	case !b.daily && b.compared >= tauCompare/4 && b.errDay < .85*b.errLevel:
		b.daily = true
		k := b.errDay / b.errLevel
		b.square[0], b.square[1] = b.square[0]*k*k, b.square[1]*k*k
		b.forget(30)
	case b.daily && b.errDay > .97*b.errLevel:
		b.daily = false
		b.forget(30)
	}
}

// interval tells the baseline that points now come every now seconds instead
// of every was. Shorter windows are noisier, at worst by the square root.
func (b *baseline) interval(was, now float64) {
	f := float32(clamp(was/now, 1, 16))
	for i := range b.square {
		b.square[i] = min(maxSquare, b.square[i]*f)
	}
	b.forget(8)
	b.settle = settlePoint
}

// adopt makes the present level the new normal. A shift that began with a
// weekend, or with its end, says how the two kinds of day differ; any other
// holds for both.
func (b *baseline) adopt(t, onset int64) {
	if b.season != nil {
		b.season.Move(b.fast - float32(b.expectAt(t)))
	}
	bin, pos := dayBin(t)
	if day, ok := b.profile(bin, pos); ok {
		other := b.other
		b.adoptShift(clamp((float64(b.fast)-day)/b.unit(day), -maxShift, maxShift))
		if isWeekend(onset) != isWeekend(onset-2*3600_000) {
			b.other = other
		}
	}
	b.level = b.fast
	b.forget(20)
}

// forget lets the scales learn as fast as after n residuals of each side.
func (b *baseline) forget(n uint16) {
	for i := range b.seen {
		b.seen[i] = min(b.seen[i], n)
	}
	b.hold.stale = true
}

// adoptShift sets today's shift and moves the other kind of day's with it.
func (b *baseline) adoptShift(shift float64) {
	was, other := float64(b.shift), float64(b.other)
	if b.negative {
		other += shift - was
	} else {
		other = (1+other)*(1+shift)/max(1+was, .1) - 1
	}
	b.shift, b.other = float32(shift), float32(clamp(other, -maxShift, maxShift))
}

// clamp, larger and smaller compare with branches, which are nearly always
// predicted; the built-in max and min of floating-point numbers take care of
// NaN and negative zero and cost several times as much. A NaN as x stays one.
func clamp[T float32 | float64](x, lo, hi T) T {
	if x > hi {
		return hi
	}
	if x < lo {
		return lo
	}
	return x
}

func larger[T float32 | float64](a, b T) T {
	if a < b {
		return b
	}
	return a
}

func smaller[T float32 | float64](a, b T) T {
	if a > b {
		return b
	}
	return a
}
