package detect

import "math"

// baseline expects a value: a slow level or, where the series' own past shows
// that it predicts better, a profile of the day plus today's shift from it.
// Around the expectation lies a band whose two halves are learned from the
// residuals above and below.
//
// Values are kept relative to the series' first one, in float32; sums are
// made in float64. Rates of learning are in seconds, so that a change of the
// sampling interval changes nothing but the noise.
type baseline struct {
	offset   float64 // the first value
	level    float32
	shift    float32 // today's mean difference from the profile
	fast     float32 // mean of the last quarter of an hour
	last     float32
	errLevel float32 // mean absolute error of the level, and of the profile,
	errDay   float32 // where both were known
	compared float32 // seconds of that comparison
	up, down float32 // root mean square of residuals above and below
	granule  float32 // smallest step (for ratios: smallest positive value), 0 unknown
	nUp      uint16
	nDown    uint16
	n        uint32
	bins     [dayBins]float32
	binN     [dayBins]uint16 // points learned, saturating
	bin      uint8           // of the last point
	known    bool            // bin was known from an earlier visit
	daily    bool            // the profile is in use
	negative bool            // a negative value was seen
	settle   uint8           // points left after a change of the interval
}

const (
	dayBins     = 48
	binSeconds  = 86400 / dayBins
	tauLevel    = 4 * 3600.
	tauScale    = 12 * 3600.
	tauProfile  = 7 * binSeconds // seven visits of a bin
	tauCompare  = 86400.
	tauFast     = 900.
	warmPoints  = 60 // before these nothing is judged
	settlePoint = 40
)

// floorKind says how small the scale of a series' residuals may be.
type floorKind uint8

const (
	floorOther    floorKind = iota // 2 % of the value
	floorRelative                  // 5 % of the value
	floorRatio                     // .002, and binomial noise of the known granule
	floorCount                     // 5 %, and half of Poisson noise at the interval
)

// residual is what the baseline says of one point.
type residual struct {
	mean, scale float64 // expectation (true units) and the half-band's unit
	z           float32 // (value - mean) / scale
	rel         float32 // value relative to the first
	e1, e2      float32 // residuals against the hour's and half-hour's mean, NaN if unknown
}

// step judges v at t (Unix ms), dt seconds after the last point, and learns
// from it unless frozen. v must be finite.
func (b *baseline) step(t int64, v, dt float64, f floorKind, frozen bool) residual {
	if b.n == 0 {
		b.offset = v
	}
	x := v - b.offset
	b.negative = b.negative || v < 0
	b.grain(x, v, f)
	bin, pos := dayBin(t)
	if int(b.bin) != bin || b.n == 0 {
		b.bin, b.known = uint8(bin), b.binN[bin] > 0
	}
	r := residual{rel: float32(x)}
	r.e1, r.e2 = b.hours(bin, x)
	mean, day, haveDay := b.expect(bin, pos)
	s := b.scale(x >= mean, mean, dt, f)
	r.mean, r.scale = mean+b.offset, s
	r.z = float32(clamp((x-mean)/s, -1e6, 1e6))
	if !frozen {
		b.learnScale(x-mean, s, dt, mean)
		b.learnLevel(x, day, haveDay, s, dt, bin)
	}
	b.fast += float32(math.Max(1/float64(b.n+1), math.Min(.2, dt/tauFast)) * (x - float64(b.fast)))
	b.last = float32(x)
	if b.settle > 0 {
		b.settle--
	}
	if b.n < math.MaxUint32 {
		b.n++
	}
	return r
}

// dayBin gives the half-hour of the day (UTC) and the place in it, 0..1.
func dayBin(t int64) (bin int, pos float64) {
	ms := t % 86400_000
	if ms < 0 {
		ms += 86400_000
	}
	bin = int(ms / (binSeconds * 1000))
	return bin, float64(ms-int64(bin)*binSeconds*1000) / (binSeconds * 1000)
}

// grain learns the smallest step between neighbours, or for ratios the
// smallest positive value: what one more event changes.
func (b *baseline) grain(x, v float64, f floorKind) {
	d := math.Abs(x - float64(b.last))
	if f == floorRatio {
		d = v
	}
	if g := float32(d); g > 0 && (b.granule == 0 || g < b.granule) && (b.n > 0 || f == floorRatio) {
		b.granule = g
	}
}

// hours gives the residuals against the mean of the hour and half-hour.
func (b *baseline) hours(bin int, x float64) (e1, e2 float32) {
	nan := float32(math.NaN())
	i, j := bin&^1, bin|1
	if n := float64(b.binN[i]) + float64(b.binN[j]); n > 0 {
		e1 = float32(x - (float64(b.bins[i])*float64(b.binN[i])+float64(b.bins[j])*float64(b.binN[j]))/n)
	} else {
		e1 = nan
	}
	if b.binN[bin] == 0 {
		return e1, nan
	}
	return e1, float32(x - float64(b.bins[bin]))
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
// (without shift) where there is one.
func (b *baseline) expect(bin int, pos float64) (mean, day float64, haveDay bool) {
	day, haveDay = b.profile(bin, pos)
	if b.daily && haveDay {
		return day + float64(b.shift), day, true
	}
	return float64(b.level), day, haveDay
}

// spread is the factor by which noise differs from the average at an
// expectation of mean: the square root of the level's ratio for non-negative
// series with a daily profile (noise of counts), else 1.
func (b *baseline) spread(mean float64) float64 {
	lv := float64(b.level) + b.offset
	if !b.daily || b.negative || lv <= 0 {
		return 1
	}
	return clamp(math.Sqrt(math.Max(mean+b.offset, 0)/lv), .5, 2)
}

// scale is the unit of the half-band above or below the expectation, with the
// floors that keep tiny deviations of quiet series from counting.
func (b *baseline) scale(above bool, mean, dt float64, f floorKind) float64 {
	s := float64(b.down)
	if above {
		s = float64(b.up)
	}
	s *= b.spread(mean)
	abs := math.Abs(mean + b.offset)
	switch g := float64(b.granule); f {
	case floorRatio:
		s = math.Max(s, math.Max(.002, math.Sqrt(math.Max(abs, .002)*g)))
	case floorCount:
		dt = math.Max(dt, 1e-3)
		s = math.Max(math.Max(s, .05*abs), math.Max(.25*g, .5*math.Sqrt(math.Max(abs, 1/dt)/dt)))
	case floorRelative:
		s = math.Max(math.Max(s, .05*abs), .25*g)
	default:
		s = math.Max(math.Max(s, .02*abs), .25*g)
	}
	return math.Max(s, 1e-6*(abs+math.Abs(b.offset))+1e-12)
}

// learnScale moves the mean square of the residual's side. Large residuals
// count no more than three units, and a side that has hardly been seen learns
// slowly, so that a shift is reported before it is normal.
func (b *baseline) learnScale(r, s, dt, mean float64) {
	side, n := &b.down, &b.nDown
	if r >= 0 {
		side, n = &b.up, &b.nUp
	}
	if r == 0 && b.n >= warmPoints {
		return
	}
	limit, prior := 3., 16.
	switch {
	case b.n < warmPoints:
		limit, prior = 8, 1
	case b.settle > 0:
		limit, prior = 4, 4
	}
	a := math.Max(1/(float64(*n)+prior), math.Min(.1, dt/tauScale))
	r = clamp(r, -limit*s, limit*s) / b.spread(mean)
	q := float64(*side)
	*side = float32(math.Sqrt(q*q + a*(r*r-q*q)))
	if *n < math.MaxUint16 {
		*n++
	}
}

// learnLevel moves the level, the profile, the shift and the comparison
// between the two expectations. Residuals are cut at four units.
func (b *baseline) learnLevel(x, day float64, haveDay bool, s, dt float64, bin int) {
	n := float64(b.n)
	wide := 4 * math.Max(s, 1.25*float64(b.errLevel))
	if b.n < warmPoints {
		wide = math.Inf(1)
	}
	level := float64(b.level)
	if b.known && haveDay {
		a := math.Max(1/(float64(b.compared)/math.Max(dt, 1)+1), math.Min(1, dt/tauCompare))
		rd := x - day - float64(b.shift)
		b.errLevel += float32(a * (math.Min(math.Abs(x-level), wide) - float64(b.errLevel)))
		b.errDay += float32(a * (math.Min(math.Abs(rd), wide) - float64(b.errDay)))
		b.compared = float32(math.Min(float64(b.compared)+dt, tauCompare))
		b.shift += float32(math.Min(1, dt/tauLevel) * clamp(rd, -wide, wide))
		b.choose()
	}
	b.level += float32(math.Max(1/(n+1), math.Min(1, dt/tauLevel)) * clamp(x-level, -wide, wide))
	c := float64(b.binN[bin])
	a := math.Max(1/(c+1), math.Min(1, dt/tauProfile))
	p := float64(b.bins[bin])
	b.bins[bin] += float32(a * (clamp(x, p-wide, p+wide) - p))
	if c == 0 {
		b.bins[bin] = float32(x)
	}
	if b.binN[bin] < math.MaxUint16 {
		b.binN[bin]++
	}
}

// choose takes the profile when it has predicted clearly better than the level
// for a quarter of a day, and gives it up when it no longer does.
func (b *baseline) choose() {
	switch {
	case !b.daily && b.compared >= tauCompare/4 && b.errDay < .85*b.errLevel:
		b.daily = true
		k := b.errDay / b.errLevel
		b.up, b.down = b.up*k, b.down*k
		b.nUp, b.nDown = min(b.nUp, 30), min(b.nDown, 30)
	case b.daily && b.errDay > .97*b.errLevel:
		b.daily = false
		b.nUp, b.nDown = min(b.nUp, 30), min(b.nDown, 30)
	}
}

// interval tells the baseline that points now come every now seconds instead
// of every was. Shorter windows are noisier, at worst by the square root.
func (b *baseline) interval(was, now float64) {
	f := float32(clamp(math.Sqrt(was/now), 1, 4))
	b.up, b.down = b.up*f, b.down*f
	b.nUp, b.nDown = min(b.nUp, 8), min(b.nDown, 8)
	b.settle = settlePoint
}

// adopt makes the present level the new normal.
func (b *baseline) adopt(t int64) {
	bin, pos := dayBin(t)
	if day, ok := b.profile(bin, pos); ok {
		b.shift = b.fast - float32(day)
	}
	b.level = b.fast
	b.nUp, b.nDown = min(b.nUp, 20), min(b.nDown, 20)
}

func clamp(x, lo, hi float64) float64 { return math.Min(hi, math.Max(lo, x)) }
