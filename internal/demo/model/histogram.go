package model

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
)

// histogram makes the buckets, count and sum of one classic histogram
// together, so that they agree as those of a real one do.
type histogram struct {
	bounds []float64 // finite upper bounds, ascending
	below  []float64 // live share of observations up to each bound
	mean   float64   // live mean of an observation
	per    float64   // observations for each request
	drv    driver
	who    int

	tick    int
	buckets []float64 // cumulative over bounds and time; the last is +Inf
	sum     float64
}

// bundle finds the histograms among the series and replaces their parts'
// makers by shared ones.
func (g *Generator) bundle() {
	groups := map[string][]*series{}
	var keys []string
	for _, s := range g.series {
		base, ok := histogramBase(s.labels)
		if !ok {
			continue
		}
		if groups[base] == nil {
			keys = append(keys, base)
		}
		groups[base] = append(groups[base], s)
	}
	for _, k := range keys {
		g.join(groups[k])
	}
}

// histogramBase names the histogram that a series may be part of.
func histogramBase(ls labels.Labels) (string, bool) {
	name := ls.Get(labels.MetricName)
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if base, ok := strings.CutSuffix(name, suffix); ok {
			b := labels.NewBuilder(ls)
			b.Del("le")
			b.Set(labels.MetricName, base)
			return b.Labels().String(), true
		}
	}
	return "", false
}

// join makes one histogram of its parts; without buckets and a count it
// leaves them as they are.
func (g *Generator) join(parts []*series) {
	var buckets []*series
	var count, sum *series
	for _, p := range parts {
		switch name := p.labels.Get(labels.MetricName); {
		case strings.HasSuffix(name, "_bucket"):
			buckets = append(buckets, p)
		case strings.HasSuffix(name, "_count"):
			count = p
		default:
			sum = p
		}
	}
	if len(buckets) < 2 || count == nil {
		return
	}
	slices.SortFunc(buckets, func(a, b *series) int { return cmpFloat(bound(a), bound(b)) })
	if !math.IsInf(bound(buckets[len(buckets)-1]), 1) {
		return
	}
	h := g.fit(buckets, count, sum)
	for i, b := range buckets {
		b.next = func(w *world, dt float64) float64 { return h.at(w, dt).buckets[i] }
	}
	count.next = func(w *world, dt float64) float64 { return h.at(w, dt).buckets[len(h.bounds)] }
	if sum != nil {
		sum.next = func(w *world, dt float64) float64 { return h.at(w, dt).sum }
	}
}

func (g *Generator) fit(buckets []*series, count, sum *series) *histogram {
	who, drv := g.about(count.labels)
	h := &histogram{drv: drv, who: who, buckets: make([]float64, len(buckets))}
	grown := func(s *series) float64 {
		ss := s.live.Samples
		if v := slopeOf(ss); v > 0 {
			return v * float64(ss[len(ss)-1].T-ss[0].T) / 1000
		}
		return ss[len(ss)-1].V // seen once: since the process began
	}
	all := math.Max(grown(count), 1e-9)
	for _, b := range buckets[:len(buckets)-1] {
		h.bounds = append(h.bounds, bound(b))
		h.below = append(h.below, math.Min(1, grown(b)/all))
	}
	for i := 1; i < len(h.below); i++ {
		h.below[i] = math.Max(h.below[i], h.below[i-1])
	}
	if sum != nil {
		h.mean = grown(sum) / all
	}
	ss := count.live.Samples
	windows := float64(ss[len(ss)-1].T-ss[0].T) / 1000 / window
	h.per = perRequest(slopeOf(ss)*window*windows, g.expect(count.live, drv)*windows)
	return h
}

// at moves the histogram to the world's step, once, and returns it.
func (h *histogram) at(w *world, dt float64) *histogram {
	if h.tick == w.tick {
		return h
	}
	h.tick = w.tick
	// A window's requests, drawn once and counted as often as windows fit
	// into the step: quantiles of a long step then stray as live ones do.
	n, times := w.events(h.per, w.now(h.drv)), dt/window
	if n <= 0 {
		return h
	}
	shift := math.Exp(w.speed[h.who] + 0.05*clip(w.rnd.NormFloat64(), 3))
	if w.rnd.Float64() < hiccups {
		shift *= math.Exp(0.4 * math.Abs(w.rnd.NormFloat64()))
	}
	left, before := n, 0.0
	var sofar float64
	for i, b := range h.bounds {
		p := math.Min(h.upTo(b/shift), 1-1e-12)
		if left > 0 && p > before {
			k := w.binomial(left, (p-before)/(1-before))
			left -= k
			sofar += k
		}
		before = math.Max(before, p)
		h.buckets[i] += sofar * times
	}
	h.buckets[len(h.bounds)] += n * times
	h.sum += n * times * h.mean * shift * math.Max(0.2, 1+0.5/math.Sqrt(n)*clip(w.rnd.NormFloat64(), 3))
	return h
}

// upTo is the live share of observations up to x, interpolated evenly in the
// logarithm of x; below the first bound it falls to 0 at a quarter of it.
func (h *histogram) upTo(x float64) float64 {
	lo, loShare := h.bounds[0]/4, 0.0
	for i, b := range h.bounds {
		if x < b {
			if x <= lo {
				return loShare
			}
			return loShare + (h.below[i]-loShare)*math.Log(x/lo)/math.Log(b/lo)
		}
		lo, loShare = b, h.below[i]
	}
	return loShare
}

func bound(s *series) float64 {
	v, err := strconv.ParseFloat(s.labels.Get("le"), 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
