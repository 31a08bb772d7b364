package detect

import "math"

// pace learns how often points come, so that silence can be told from a
// series that is naturally sparse.
type pace struct {
	every     float32 // usual interval in seconds, 0 before two points
	longest   float32 // largest gap lately, seconds, fading over three days
	irregular float32 // share of intervals that are more than twice the usual
	odd       uint8   // intervals in a row unlike the usual
	silences  uint8   // gaps that were beyond the limit
	gaps      uint16  // intervals seen, saturating
}

const (
	oddRun      = 8          // so many intervals in a row make a new usual one
	fadeGap     = 3 * 86400. // seconds
	intermitted = .2         // share of long gaps from which silence means nothing
)

// see takes one interval in seconds. changed is true when the usual interval
// is a new one; was is then the old one.
func (p *pace) see(gap float64) (was float64, changed bool) {
	if p.gaps < math.MaxUint16 {
		p.gaps++
	}
	if p.every == 0 {
		p.every, p.longest = float32(gap), float32(gap)
		return 0, false
	}
	every := float64(p.every)
	long := gap > 2*every
	share := float32(0)
	if long {
		share = 1
	}
	p.irregular += larger(1/float32(p.gaps), .01) * (share - p.irregular)
	if p.odd++; gap < every*1.5 && gap > every/1.5 {
		p.odd = 0
	}
	p.keepLongest(gap)
	if p.odd >= oddRun { // gaps are remembered in intervals of the new length
		p.longest = larger(float32(gap), p.longest*float32(gap/every))
		p.every, p.odd, p.irregular = float32(gap), 0, p.irregular/2
		return every, true
	}
	// a running median: one small step towards the interval
	if gap > every {
		p.every *= 1.01
	} else if gap < every {
		p.every /= 1.01
	}
	return every, false
}

// keepLongest remembers the largest gap. One beyond the limit of silence was a
// fault of its own and does not make the next one normal, until it has
// happened three times.
func (p *pace) keepLongest(gap float64) {
	limit := p.limit()
	p.fade(gap)
	if p.gaps > 20 && gap > limit {
		if p.silences++; p.silences < 3 {
			return
		}
		p.silences = 0
	}
	p.longest = larger(p.longest, float32(gap))
}

// limit is the number of seconds without a point that counts as silence: four
// intervals, or three times the longest gap of the last days.
func (p *pace) limit() float64 {
	return larger(4*float64(p.every), 3*float64(p.longest))
}

// judged says whether silence means anything: enough points, and few gaps.
func (p *pace) judged() bool {
	return p.gaps >= 20 && p.irregular < intermitted && p.every > 0
}

// arrive notes the interval before the point at t and returns it in seconds,
// at most ten usual ones, so that a gap does not teach as if it were data.
// regular says that it is about the usual one.
func (d *Detector) arrive(t int64) (dt float64, regular bool) {
	if d.base.n == 0 {
		return 0, false
	}
	gap := float64(t-d.t) / 1000
	if d.pace.steady(gap) {
		return gap, true
	}
	if was, changed := d.pace.see(gap); changed && d.base.n > oddRun {
		d.base.interval(was, float64(d.pace.every))
	}
	d.counted()
	every := float64(d.pace.every)
	return smaller(gap, 10*every), gap < every*1.05 && gap > every*.95
}

// steady takes an interval that is exactly the usual one, and reports whether
// it was: most are, and then there is little to learn.
func (p *pace) steady(gap float64) bool {
	if float32(gap) != p.every || p.every == 0 {
		return false
	}
	if p.gaps < math.MaxUint16 {
		p.gaps++
	}
	p.odd = 0
	if p.irregular > 0 {
		p.irregular -= larger(1/float32(p.gaps), .01) * p.irregular
	}
	if p.longest != p.every {
		p.fade(gap)
		p.longest = larger(p.every, p.longest)
	}
	return true
}

// fade lets the largest gap count less as time passes: an exponential, for
// gaps that are short against it.
func (p *pace) fade(gap float64) {
	p.longest *= float32(1 - smaller(gap, fadeGap/2)/fadeGap)
}
