package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/norn-aiops/norn/internal/stats"
)

const (
	fewest     = 40   // points of the past that a curve needs
	leastRange = 1.25 // of the load, 95th to 5th percentile
	bins       = 24
	lawError   = .025 // of the laws themselves, which no resampling of the past shows
	widest     = 4.0  // 90th to 10th percentile of a breaking load that still says something
	farthest   = 12.0 // breaking load to the most that was seen, by utilisation
	farTime    = 4.0  // the same by time alone: a queue's early part tells little of its end
	likelihood = 1.25 // errors may grow by so much for the simpler explanation
)

// servers lists the numbers of parallel servers that are tried.
func servers() []int { return []int{1, 2, 4, 8, 16, 32, 64} }

// point is one moment at which load and something else are known.
type point struct{ load, time, used float64 }

// bin is a mean of points of like load.
type bin struct{ load, time, n float64 }

// way is which law explains a service.
type way int

const (
	byNothing way = iota
	byUse
	byQueue
	byBoth
	byScalability
)

func (w way) String() string {
	return [...]string{"", "utilisation", "queue", "utilisation+queue", "universal scalability"}[w]
}

// Fit reads a service's capacity off its past. The limit is the multiple of
// the usual own time that counts as broken; draws of the bootstrap give the
// interval. A service whose past does not tell has Known false and says why.
func Fit(s *Service, limit float64, draws int, seed uint64) Curve {
	ps := pointsOf(s)
	c := Curve{Entity: s.Entity, Points: len(ps), Instances: max(1, s.Instances)}
	loads := column(ps, func(p point) float64 { return p.load })
	if len(ps) > 0 {
		c.Load, c.Most = stats.Quantile(loads, .95), stats.Quantile(loads, .99)
		c.Usual = orZero(stats.Median(column(ps, func(p point) float64 { return p.time })))
	}
	switch low := stats.Quantile(loads, .05); {
	case len(ps) < fewest:
		return c.refuse("only %d moments of its load are known, %d are needed", len(ps), fewest)
	case c.Load < leastRange*low:
		return c.refuse("its load hardly varied (%.3g to %.3g a second)", low, c.Load)
	}
	w := choose(ps)
	if w == byNothing {
		return c.refuse("neither its own time nor a utilisation moves with its load: no limit is in sight up to %.3g a second", c.Most)
	}
	one := solve(ps, w, limit*c.Usual)
	c.Model, c.Servers, c.Base = w.String(), one.servers, one.base
	rng := rand.New(rand.NewPCG(seed, 0x77686174))
	for range draws {
		if v := solve(resample(ps, rng), w, limit*c.Usual); v.breaks > 0 {
			c.draws = append(c.draws, v.breaks*math.Exp(lawError*rng.NormFloat64()))
		}
	}
	return c.settle(one, w, draws)
}

// settle judges the bootstrap.
func (c Curve) settle(one solution, w way, draws int) Curve {
	if len(c.draws) < draws*9/10 || len(c.draws) == 0 {
		return c.refuse("its past explains itself in too many ways; it is known to bear %.3g a second", c.Most)
	}
	r := rangeOf(c.draws)
	far := farthest
	if w == byQueue || w == byScalability {
		far = farTime
	}
	if r.P90 > widest*r.P10 || r.P50 > far*c.Most {
		return c.refuse("its load was too far from a limit to tell it; it is known to bear %.3g a second", c.Most)
	}
	c.Known, c.Breaks, c.Rho = true, r, c.Load/one.top
	return c
}

func (c Curve) refuse(format string, args ...any) Curve {
	c.Known, c.Model, c.draws, c.Breaks = false, "", nil, Range{}
	c.Refusal = fmt.Sprintf(format, args...)
	return c
}

func pointsOf(s *Service) []point {
	var out []point
	at := func(col []float64, i int) float64 {
		if i < len(col) && !math.IsInf(col[i], 0) {
			return col[i]
		}
		return math.NaN()
	}
	for i := range s.Load {
		p := point{at(s.Load, i), at(s.Latency, i), at(s.Utilisation, i)}
		if p.load > 0 && (p.time > 0 || p.used >= 0) {
			out = append(out, p)
		}
	}
	return out
}

// choose picks the law that explains the past.
func choose(ps []point) way {
	use, timed := useTells(ps), timeTells(ps)
	switch {
	case !use && !timed:
		return byNothing
	case !timed:
		return byUse
	}
	bs := binned(ps)
	_, free := fitQueue(bs, 0)
	if use {
		top, _ := topByUse(ps)
		q, tied := fitQueue(bs, top)
		if tied <= likelihood*free || q.top <= freeTop(bs) {
			return byBoth
		}
		return byQueue
	}
	if _, sse := fitScalability(bs); sse*likelihood < free {
		return byScalability
	}
	return byQueue
}

func freeTop(bs []bin) float64 { q, _ := fitQueue(bs, 0); return q.top }

// useTells reports whether utilisation follows load closely enough.
func useTells(ps []point) bool {
	var n, sx, sy, sxx, syy, sxy float64
	for _, p := range ps {
		if !math.IsNaN(p.used) {
			n, sx, sy = n+1, sx+p.load, sy+p.used
			sxx, syy, sxy = sxx+p.load*p.load, syy+p.used*p.used, sxy+p.load*p.used
		}
	}
	cov, vx, vy := sxy-sx*sy/n, sxx-sx*sx/n, syy-sy*sy/n
	return n >= fewest && vx > 0 && vy > 0 && cov/math.Sqrt(vx*vy) > 0.7
}

// timeTells reports whether the own time rises with the load, by more than
// chance and by more than a trifle.
func timeTells(ps []point) bool {
	var timed []point
	for _, p := range ps {
		if p.time > 0 {
			timed = append(timed, p)
		}
	}
	if len(timed) < fewest {
		return false
	}
	slices.SortFunc(timed, func(a, b point) int { return int(sign(a.load - b.load)) })
	ml, vl := meanError(timed[:len(timed)*2/5])
	mh, vh := meanError(timed[len(timed)*17/20:])
	return mh > 1.04*ml && mh-ml > 4*math.Sqrt(vl+vh)
}

// meanError is the mean own time and the variance of that mean.
func meanError(ps []point) (mean, variance float64) {
	n := float64(len(ps))
	for _, p := range ps {
		mean += p.time / n
	}
	for _, p := range ps {
		variance += (p.time - mean) * (p.time - mean) / n / (n - 1)
	}
	return mean, variance
}

// solution is what one fit says.
type solution struct {
	breaks, top, base float64
	servers           int
}

func solve(ps []point, w way, limit float64) solution {
	bs := binned(ps)
	switch w {
	case byScalability:
		u, _ := fitScalability(bs)
		peak := math.Min(u.peak(), 1e7)
		return solution{breaks: u.breaks(limit), top: peak / u.time(peak), base: u.unit}
	case byQueue:
		q, _ := fitQueue(bs, 0)
		return solution{q.breaks(limit), q.top, q.base, q.c}
	}
	top, ok := topByUse(ps)
	if !ok {
		return solution{}
	}
	if w == byUse && len(bs) < 3 {
		return solution{breaks: saturated * top, top: top}
	}
	q, _ := fitQueue(bs, top)
	if w == byUse {
		return solution{breaks: q.breaks(limit), top: top, base: q.base}
	}
	return solution{q.breaks(limit), top, q.base, q.c}
}

// topByUse is the load at which utilisation reaches 1: the utilisation law,
// with what is used without load taken off.
func topByUse(ps []point) (float64, bool) {
	var n, sx, sy, sxx, sxy float64
	for _, p := range ps {
		if !math.IsNaN(p.used) {
			n, sx, sy, sxx, sxy = n+1, sx+p.load, sy+p.used, sxx+p.load*p.load, sxy+p.load*p.used
		}
	}
	den := sxx - sx*sx/n
	if n < 3 || den <= 0 {
		return 0, false
	}
	each := (sxy - sx*sy/n) / den
	idle := (sy - each*sx) / n
	if idle < 0 {
		idle, each = 0, sxy/sxx
	}
	return (1 - idle) / each, each > 0 && idle < 1
}

// fitQueue finds the queue that explains the bins best, at the given
// saturating load or, for 0, at the best one; and its weighted squared error.
func fitQueue(bs []bin, top float64) (queue, float64) {
	best, least := queue{c: 1, top: top}, math.Inf(1)
	most := 0.0
	for _, b := range bs {
		most = math.Max(most, b.load)
	}
	try := func(c int, t float64) {
		if q, sse := fitLine(bs, c, math.Max(t, 1.01*most)); sse < least {
			best, least = q, sse
		}
	}
	for _, c := range servers() {
		if top > 0 {
			try(c, top)
			continue
		}
		for k := range 40 {
			try(c, 1.01*most*math.Pow(15, float64(k)/39))
		}
	}
	if top == 0 {
		for k := -10; k <= 10; k++ {
			try(best.c, best.top*math.Pow(15, float64(k)/390))
		}
	}
	return best, least
}

// fitLine fits base and scale for given servers and saturating load. Theory
// bounds both: the service time fits into the base, and the variance of
// service times stretches waits by half to twice.
func fitLine(bs []bin, c int, top float64) (queue, float64) {
	var sw, sx, sy, sxx, sxy float64
	for _, b := range bs {
		w, x := b.n/(b.time*b.time), wait(c, b.load/top)/top
		sw, sx, sy, sxx, sxy = sw+w, sx+w*x, sy+w*b.time, sxx+w*x*x, sxy+w*x*b.time
	}
	q := queue{c: c, top: top, scale: 1}
	if den := sw*sxx - sx*sx; den > 0 {
		q.scale = math.Min(2, math.Max(.5, (sw*sxy-sx*sy)/den))
	}
	q.base = math.Max((sy-q.scale*sx)/sw, .9*float64(c)/top)
	var sse float64
	for _, b := range bs {
		d := (b.time - q.at(b.load)) / b.time
		sse += b.n * d * d
	}
	return q, sse
}

// fitScalability fits Gunther's law: linear in its three terms once Little's
// law gives the requests under way.
func fitScalability(bs []bin) (scalability, float64) {
	rows, ys := make([][]float64, 0, len(bs)), make([]float64, 0, len(bs))
	for _, b := range bs {
		n := math.Max(1, b.load*b.time)
		w := math.Sqrt(b.n) / b.time
		rows, ys = append(rows, []float64{w, w * (n - 1), w * n * (n - 1)}), append(ys, w*b.time)
	}
	x := nonNegative(rows, ys, 0)
	if len(x) < 3 || x[0] <= 0 {
		return scalability{unit: 1}, math.Inf(1)
	}
	u := scalability{x[0], math.Min(1, x[1]/x[0]), x[2] / x[0]}
	var sse float64
	for _, b := range bs {
		d := (b.time - u.at(b.load)) / b.time
		sse += b.n * math.Min(d*d, 100)
	}
	return u, sse
}

// binned gathers the points with a known time by their load. A moment that
// strays far from its like (an incident) counts as less far.
func binned(ps []point) []bin {
	var timed []point
	for _, p := range ps {
		if p.time > 0 {
			timed = append(timed, p)
		}
	}
	slices.SortFunc(timed, func(a, b point) int { return int(sign(a.load - b.load)) })
	k := min(bins, len(timed)/4)
	out := make([]bin, 0, k)
	for i := range k {
		part := timed[i*len(timed)/k : (i+1)*len(timed)/k]
		ts := column(part, func(p point) float64 { return p.time })
		m, spread := stats.Median(ts), stats.MAD(ts)
		b := bin{n: float64(len(part))}
		for _, p := range part {
			b.load += p.load / b.n
			b.time += math.Max(m-6*spread, math.Min(m+6*spread, p.time)) / b.n
		}
		out = append(out, b)
	}
	return out
}

// resample draws blocks of the past with replacement: neighbours in time are
// alike, and single points would make intervals too narrow.
func resample(ps []point, rng *rand.Rand) []point {
	size := max(1, len(ps)/25)
	out := make([]point, 0, len(ps)+size)
	for len(out) < len(ps) {
		at := rng.IntN(len(ps) - size + 1)
		out = append(out, ps[at:at+size]...)
	}
	return out[:len(ps)]
}

func rangeOf(v []float64) Range {
	return Range{stats.Quantile(v, .1), stats.Quantile(v, .5), stats.Quantile(v, .9)}
}

func column(ps []point, of func(point) float64) []float64 {
	out := make([]float64, len(ps))
	for i, p := range ps {
		out[i] = of(p)
	}
	return out
}

func orZero(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

func sign(v float64) float64 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}

// Scarcest picks, of a service's measured utilisations on one grid, the one
// that reaches 1 at the least load; nil when none follows the load.
func Scarcest(load []float64, used [][]float64) []float64 {
	var best []float64
	least := math.Inf(1)
	for _, u := range used {
		ps := pointsOf(&Service{Load: load, Utilisation: u})
		if !useTells(ps) {
			continue
		}
		if top, ok := topByUse(ps); ok && top < least {
			best, least = u, top
		}
	}
	return best
}
