package driver

import "math"

// Shape of a curve.
const (
	maxBins    = 32
	perOctave  = 4.0   // bins in a doubling of the driver
	leastInBin = 2.0   // readings from which a bin is trusted
	keep       = .9995 // of a bin's count at each of its readings: about 2,000 count
)

// bin is what was seen while the driver was in one narrow range.
type bin struct {
	N    float32 `json:"n"`
	X    float32 `json:"x"` // mean of the driver
	Mean float32 `json:"m"` // mean of the target
	Dev  float32 `json:"d"` // mean absolute deviation from it
}

// curve is the target as a function of the driver, learned reading by reading:
// means in logarithmic bins, and a straight line for what lies outside of them.
type curve struct {
	First int32 `json:"first"` // index of Bins[0]
	Bins  []bin `json:"bins"`

	N, MX, MY, VX, CXY float64 // decayed moments of (driver, target)

	ErrModel float64 `json:"err_model"` // mean absolute error of predicting before learning
	ErrMean  float64 `json:"err_mean"`  // of the target's own mean
	Tried    float64 `json:"tried"`     // predictions that the errors rest on, decayed
}

func indexOf(x float64) int32 { return int32(math.Floor(perOctave * math.Log2(max(x, 1e-9)))) }

// learn takes one reading. Both values must be finite and x not negative.
func (c *curve) learn(x, y float64) {
	if g, ok := c.at(x); ok {
		c.score(math.Abs(y-g.mean), math.Abs(y-c.MY))
		if limit := 6 * max(g.dev, .02*math.Abs(g.mean)); g.known && math.Abs(y-g.mean) > limit { // an outlier must not bend the curve
			y = g.mean + math.Copysign(limit, y-g.mean)
		}
	}
	c.moments(x, y)
	b := c.bin(indexOf(x))
	if b == nil {
		return
	}
	n := b.N*keep + 1
	w := 1 / float64(n)
	d := y - float64(b.Mean)
	if b.N > 0 {
		b.Dev += float32(max(w, .01) * (math.Abs(d) - float64(b.Dev)))
	} else {
		b.Dev = float32(.1 * math.Abs(y))
	}
	b.X += float32(w * (x - float64(b.X)))
	b.Mean += float32(w * d)
	b.N = n
}

func (c *curve) score(model, mean float64) {
	w := max(1/(c.Tried+1), 1.0/1000)
	c.ErrModel += w * (model - c.ErrModel)
	c.ErrMean += w * (mean - c.ErrMean)
	c.Tried = min(c.Tried+1, 1000)
}

func (c *curve) moments(x, y float64) {
	c.N = c.N*keep + 1
	w := 1 / c.N
	dx, dy := x-c.MX, y-c.MY
	c.MX += w * dx
	c.MY += w * dy
	c.VX += w * (dx*(x-c.MX) - c.VX)
	c.CXY += w * (dx*(y-c.MY) - c.CXY)
}

// bin finds or makes the bin; nil when the driver spans too many octaves.
func (c *curve) bin(i int32) *bin {
	switch {
	case len(c.Bins) == 0:
		c.First, c.Bins = i, make([]bin, 1, 4)
	case i < c.First:
		more := int(c.First - i)
		if len(c.Bins)+more > maxBins {
			return nil
		}
		c.Bins = append(make([]bin, more, more+len(c.Bins)), c.Bins...)
		c.First = i
	case int(i-c.First) >= len(c.Bins):
		if int(i-c.First) >= maxBins {
			return nil
		}
		c.Bins = append(c.Bins, make([]bin, int(i-c.First)+1-len(c.Bins))...)
	}
	return &c.Bins[i-c.First]
}

// guess is what a curve makes of a driver's value.
type guess struct {
	mean  float64
	dev   float64 // usual absolute deviation
	top   float64 // up to which a target may grow where nothing was seen yet
	known bool    // the driver was about here before
}

// at predicts the target at x. ok is false until enough was seen.
func (c *curve) at(x float64) (g guess, ok bool) {
	i := int(indexOf(x) - c.First)
	sum, dsum, total := 0.0, 0.0, 0.0
	for k := max(i-1, 0); k <= min(i+1, len(c.Bins)-1); k++ {
		b := &c.Bins[k]
		if b.N < leastInBin {
			continue
		}
		w := float64(min(b.N, 50))
		if k != i {
			w *= .25
		}
		// along the line from the bin's own driver to x
		sum += w * (float64(b.Mean) + c.slope()*(x-float64(b.X)))
		dsum += w * float64(b.Dev)
		total += w
	}
	if total > 0 {
		return guess{mean: sum / total, dev: dsum / total, top: sum / total, known: true}, true
	}
	return c.outside(x)
}

// outside goes on along the line from the nearest bin that is known. Queues
// make latency grow faster than that, so that up to the square of the growth
// is taken as the load's work.
func (c *curve) outside(x float64) (g guess, ok bool) {
	var near *bin
	for k := range c.Bins {
		b := &c.Bins[k]
		if b.N >= leastInBin && (near == nil || math.Abs(float64(b.X)-x) < math.Abs(float64(near.X)-x)) {
			near = b
		}
	}
	if near == nil {
		return guess{}, false
	}
	growth := max(x, 1e-9) / max(float64(near.X), 1e-9)
	g = guess{mean: float64(near.Mean) + c.slope()*(x-float64(near.X)), dev: float64(near.Dev) * (1 + 2*math.Abs(math.Log2(growth)))}
	g.top = max(g.mean, float64(near.Mean)*growth*growth)
	return g, true
}

// slope is that of the least-squares line; a target that falls while its
// driver grows is taken as flat.
func (c *curve) slope() float64 {
	if c.VX <= 0 {
		return 0
	}
	return max(0, c.CXY/c.VX)
}

// skill is the share of the target's variation that the driver explains, from
// predictions made before each reading was learned: 1 all, 0 none.
func (c *curve) skill() float64 {
	if c.ErrMean <= 0 || c.Tried < 30 {
		return 0
	}
	return 1 - c.ErrModel/c.ErrMean
}

// spread is how much the driver varies, relative to its mean.
func (c *curve) spread() float64 {
	if c.MX <= 0 {
		return 0
	}
	return math.Sqrt(max(c.VX, 0)) / c.MX
}
