package incident

import (
	"cmp"
	"math"
	"slices"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// contextOnly is the surprise under which a record may accompany an incident
// but neither found nor open one.
const contextOnly = .15

// bucket is the unit in which habits are counted (ms).
const bucket = 10 * 60_000

// habit remembers how often a series spoke without there being an incident.
type habit struct {
	noise float64 // decayed count of buckets
	at    int64   // bucket of the last decay
	last  int64   // Unix ms when it last spoke
	class telemetry.Signal
}

// habits is the class-wide part.
type habits struct {
	buckets float64 // decayed count of buckets watched
	at      int64
	noise   map[telemetry.Signal]float64
	seen    map[telemetry.Signal]float64 // series per class
}

const decay = .97

// advance moves the decayed counts on to now.
func (h *habits) advance(now int64) {
	b := now / bucket
	if h.noise == nil {
		h.noise, h.seen, h.at = map[telemetry.Signal]float64{}, map[telemetry.Signal]float64{}, b
	}
	if n := b - h.at; n > 0 {
		f := math.Pow(decay, float64(min(n, 10_000)))
		h.buckets = h.buckets*f + (1-f)/(1-decay)
		for k := range h.noise {
			h.noise[k] *= f
		}
		h.at = b
	}
}

func (s *habit) decayTo(b int64) {
	if n := b - s.at; n > 0 {
		s.noise *= math.Pow(decay, float64(min(n, 10_000)))
		s.at = b
	}
}

// surprise says how unusual it is that this series speaks: 1 for one that
// never spoke, 0 for one that does a quarter of the time, from the share of
// earlier ten-minute buckets in which it spoke and no incident came of it,
// shrunk to the share of its class.
func (c *Correlator) surprise(r *record, now int64) float64 {
	c.habits.advance(now)
	s := c.series[r.series]
	class := r.a.Signal
	group := (c.habits.noise[class]/max(c.habits.seen[class], 1) + .03) / (c.habits.buckets + 1)
	noise := 0.0
	if s != nil {
		s.decayTo(now / bucket)
		noise = s.noise
	}
	p := (noise + 4*group) / (c.habits.buckets + 4)
	return clip(math.Log(.25/max(p, .02))/math.Log(.25/.02), 0, 1)
}

// speaks notes that a series spoke, for flapping.
func (c *Correlator) speaks(r *record, now int64) {
	s := c.series[r.series]
	if s == nil {
		if len(c.series) >= c.cfg.MaxSeries {
			c.forgetSeries()
		}
		s = &habit{at: now / bucket, class: r.a.Signal}
		c.series[r.series] = s
		c.habits.advance(now)
		c.habits.seen[r.a.Signal]++
	}
	s.last = max(s.last, r.last())
}

// forgetSeries drops the quieter, older half of the table.
func (c *Correlator) forgetSeries() {
	times := make([]int64, 0, len(c.series))
	for _, s := range c.series {
		times = append(times, s.last)
	}
	slices.Sort(times)
	cut := times[len(times)/2]
	for k, s := range c.series {
		if s.last <= cut {
			delete(c.series, k)
			c.habits.seen[s.class]--
		}
	}
}

// noise counts the records of a group that came to nothing as habit.
func (c *Correlator) noise(g *group, now int64) {
	c.habits.advance(now)
	for _, r := range g.records {
		s := c.series[r.series]
		if s == nil {
			continue
		}
		s.decayTo(now / bucket)
		n := clip(float64((r.last()-r.a.Onset)/bucket+1), 1, 6)
		s.noise += n
		c.habits.noise[s.class] += n
	}
}

// byOnset sorts records in a fixed order.
func byOnset(a, b *record) int {
	return cmp.Or(cmp.Compare(a.a.Onset, b.a.Onset), cmp.Compare(a.a.ID, b.a.ID))
}
