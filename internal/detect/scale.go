package detect

import "math"

// yardstick is what a residual is measured by. It moves slowly, so it is worked
// out anew every eighth point, and at once when something has changed (stale).
type yardstick struct {
	scale  [2]float32 // unit of the half-band below and above
	cut    [2]float32 // the same for learning: without rarity
	spread float32    // 1 / baseline.spread
	leap   float32    // 1 / unit of the spike test's change; 0: z speaks
	widest float32    // largest change that teaches
	stale  bool
}

// sideOf is 1 for residuals that count as above, else 0, without a branch:
// in noise nobody could foretell it.
func sideOf(e float32) int { return int(^math.Float32bits(e+0) >> 31) }

// smooth says how much smaller the changes from point to point must be than
// the residuals for the last value to be a better reference than the baseline.
const smooth = .35

// renew works out the yardstick at an expectation of mean.
func (b *baseline) renew(mean, dt float64, f floorKind) {
	h := &b.hold
	spread := b.spread(mean)
	floor := b.floor(mean, dt, f)
	shares := [2]float64{1 - float64(b.share), float64(b.share)}
	for i := range h.scale {
		rare := rarity(shares[i])
		s := larger(math.Sqrt(float64(b.square[i]))*spread*rare, floor)
		h.scale[i], h.cut[i] = float32(s), float32(s/rare)
	}
	h.spread = float32(1 / spread)
	// the spike test
	abs, s := math.Abs(mean+b.offset), math.Sqrt(float64(b.step2))
	scale := larger(larger(s, .25*float64(b.granule)), larger(.005*abs, 1e-12))
	if f != floorOther {
		scale = larger(scale, .05*abs)
	}
	h.leap = 0
	if b.n >= warmPoints && s < smooth*math.Sqrt(float64(larger(b.square[0], b.square[1]))) && (f == floorOther || f == floorRelative) {
		h.leap = float32(1 / scale)
	}
	limit := 3.
	if b.n < warmPoints {
		limit = 8
	}
	h.widest = float32(limit * scale)
}

// leap scores one point for the spike test: z, or in a series that moves
// smoothly (its changes are small against its residuals) the change since the
// last point in units of its usual size. It learns that size at the rate a.
func (b *baseline) leap(x, z, a float32) float32 {
	if b.n == 0 {
		return 0
	}
	d := x - b.last
	if b.hold.leap > 0 {
		z = clamp(d*b.hold.leap, -1e6, 1e6)
	}
	if b.n > 1 {
		d = clamp(d, -b.hold.widest, b.hold.widest)
	}
	b.step2 += a * (d*d - b.step2)
	return z
}

// spread is the factor by which noise differs from the average at an
// expectation of mean: the square root of the level's ratio for non-negative
// series with a daily profile (noise of counts), else 1.
func (b *baseline) spread(mean float64) float64 {
	lv := float64(b.level) + b.offset
	if !b.daily || b.negative || lv <= 0 {
		return 1
	}
	return clamp(math.Sqrt(max(mean+b.offset, 0)/lv), .5, 2)
}

// scale is the unit of the half-band above (1) or below (0) the expectation.
func (b *baseline) scale(side int, mean, dt float64, f floorKind) float64 {
	share := float64(b.share)
	if side == 0 {
		share = 1 - share
	}
	return larger(math.Sqrt(float64(b.square[side]))*b.spread(mean)*rarity(share), b.floor(mean, dt, f))
}

// floor is the least scale: it keeps tiny deviations of quiet series from
// counting.
func (b *baseline) floor(mean, dt float64, f floorKind) float64 {
	abs := math.Abs(mean + b.offset)
	s := 1e-6*(abs+math.Abs(b.offset)) + 1e-12
	switch g := float64(b.granule); f {
	case floorRatio:
		return larger(s, larger(.002, math.Sqrt(larger(abs, .002)*g)))
	case floorCount:
		dt = larger(dt, 1e-3)
		return larger(s, larger(.05*abs, larger(.25*g, .5*math.Sqrt(larger(abs, 1/dt)/dt))))
	case floorRelative:
		return larger(s, larger(.05*abs, .25*g))
	default:
		return larger(s, larger(.005*abs, .25*g))
	}
}

// rarity is the factor by which the scale of a side shrinks when hardly any
// points lie on it (the fourth root of twice the share): an event in a series
// of zeros is as large as its like, and yet says something by coming at all.
func rarity(share float64) float64 {
	if share >= .5 {
		return 1
	}
	return math.Sqrt(math.Sqrt(2 * larger(share, .005)))
}

// learnScale moves the mean square of the residual's side. Large residuals
// count no more than three units, and a side that has hardly been seen learns
// slowly, so that a shift is reported before it is normal.
func (b *baseline) learnScale(e float32, side int, m *moment) {
	above := float32(side)
	if e == 0 {
		above = 0
	}
	b.share += larger(1/float32(int32(min(b.n, 1<<24))+200), m.share) * (above - b.share)
	if e == 0 && b.n >= warmPoints {
		return
	}
	limit, prior := float32(3), int32(16)
	switch {
	case b.n < warmPoints:
		limit, prior = 8, 1
	case b.settle > 0:
		limit, prior = 4, 4
	}
	a := larger(1/float32(int32(b.seen[side])+prior), m.scale)
	limit *= b.hold.cut[side]
	e = clamp(e, -limit, limit) * b.hold.spread
	b.square[side] += a * (e*e - b.square[side])
	if b.seen[side] < math.MaxUint16 {
		b.seen[side]++
	}
}
