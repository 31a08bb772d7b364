package season

import "math"

const (
	cycleBins   = 64
	cycleVisits = 7 // of a bin, which it remembers
)

// cycle is the profile of a period that has nothing to do with the calendar.
type cycle struct {
	trial
	Period float64 // ms
	Origin int64   // Unix ms at which a cycle began
	First  int64   // Unix ms of the first value that taught it
	Sum    float32 // of the present stay in a bin
	Count  uint16
	Now    uint8 // bin of the present stay
	K      uint8 // bins
	Smooth bool  // between the middles of bins is interpolated
	Bins   [cycleBins]float32
	Visits [cycleBins]uint8
}

// phase gives the place in the cycle, 0 to 1.
func (c *cycle) phase(t int64) float64 {
	d := float64(t-c.Origin) / c.Period
	return d - math.Floor(d)
}

func (c *cycle) at(t int64) float32 {
	x := c.phase(t) * float64(c.K)
	i := min(int(x), int(c.K)-1)
	if !c.Smooth {
		return c.Bins[i]
	}
	pos := float32(x) - float32(i) - .5
	near := i + 1
	if pos < 0 {
		pos, near = -pos, i-1+int(c.K)
	}
	if near >= int(c.K) {
		near -= int(c.K)
	}
	return c.Bins[i]*(1-pos) + c.Bins[near]*pos
}

// learn takes the value that should have been said at t.
func (c *cycle) learn(t int64, form, wide float32) {
	i := uint8(min(int(c.phase(t)*float64(c.K)), int(c.K)-1))
	if i != c.Now {
		c.close(wide)
		c.Now = i
	}
	c.Sum += c.Bins[i] + cut(form-c.Bins[i], wide)
	c.Count++
	if c.Count == math.MaxUint16 {
		c.close(wide)
	}
}

// close ends a stay in a bin.
func (c *cycle) close(wide float32) {
	if c.Count > 0 {
		b, n := &c.Bins[c.Now], &c.Visits[c.Now]
		*b += max(1/float32(*n+1), 1./cycleVisits) * (c.Sum/float32(c.Count) - *b)
		if *n < 200 {
			*n++
		}
	}
	c.Sum, c.Count = 0, 0
}

// keep gives the cycle back as long as it is worth it.
func (c *cycle) keep(s *Tracker) *cycle {
	p := float32(c.Period / 1000)
	after := 3 * p
	if p > 12*3600 {
		after = 1.25 * p
	}
	if !c.verdict(p, max(after, 30*s.Every), s) {
		return nil
	}
	return c
}

// cyclesSeen is the number of whole cycles that taught it until t.
func (c *cycle) cyclesSeen(t int64) int { return int(float64(t-c.First) / c.Period) }

// seed makes the cycle's profile from residuals at the middles of buckets of
// width ms from start on (NaN: missing).
func newCycle(period float64, every float32, r []float32, start, width int64) *cycle {
	c := &cycle{Period: period, Origin: start, First: start}
	points := period / max(float64(every)*1000, 1)
	c.K = uint8(min(max(points+.5, 4), cycleBins))
	c.Smooth = points > 1.5*float64(c.K)
	for k := range int(c.K) {
		mid := (float64(k) + .5) / float64(c.K)
		reach := max(.5/float64(c.K), .5*float64(width)/period)
		var sum, n float32
		for i, x := range r {
			if x != x {
				continue
			}
			d := math.Abs(c.phase(start+int64(i)*width+width/2) - mid)
			if min(d, 1-d) <= reach {
				sum += x
				n++
			}
		}
		if n > 0 {
			c.Bins[k], c.Visits[k] = sum/n, uint8(min(3, n))
		} else if k > 0 {
			c.Bins[k] = c.Bins[k-1]
		}
	}
	return c
}
