// Package driver finds what drives a series, and judges the series given its
// driver: processor time and latency given the request rate, the number of
// users or the length of a queue.
//
// It exists because a fixed band, even one that knows the time of day, takes a
// surge for a fault and misses a request that has become twice as dear at
// night. For every target (latency, saturation) of an entity the candidates
// (traffic and queues of the entity and of its callers) compete: each has a
// curve of the target as a function of the candidate, learned reading by
// reading, and the one whose predictions beat the target's own mean by most is
// its driver. While a driver is known, an anomaly of the target that the load
// explains is held back, and a target that is dear for its load is an anomaly
// although its value is an everyday one.
//
// Readings are taken together at intervals of the caller's choice. The package
// knows no store and no clock. [Book] is safe for concurrent use.
package driver

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Config bounds the book and says when it speaks. Zero means the default in
// brackets.
type Config struct {
	MaxTargets    int     // series with models [20,000]
	MaxCandidates int     // tried for one target [6]
	Skill         float64 // of a driver: share of the variation that it explains [0.3]
	Ratio         float64 // observed over expected from which a target is dear [1.3]
	Z             float64 // deviations from the target's own habits [6]
	Steps         int     // readings in a row that must be dear [4]
}

func (c Config) withDefaults() Config {
	n := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	f := func(v *float64, d float64) {
		if *v <= 0 {
			*v = d
		}
	}
	n(&c.MaxTargets, 20_000)
	n(&c.MaxCandidates, 6)
	f(&c.Skill, .3)
	f(&c.Ratio, 1.3)
	f(&c.Z, 6)
	n(&c.Steps, 4)
	return c
}

// Reading is the newest value of a series. A target whose T has not moved on
// since the last step is left out: it says nothing new.
type Reading struct {
	Series *telemetry.Series
	V      float64
	T      int64 // Unix ms of the value
}

// Group is what was read of one entity: its targets, and the candidates for
// their driver, its own before those of its callers.
type Group struct {
	Targets    []Reading
	Candidates []Reading
}

// Stats counts what the book holds and did.
type Stats struct {
	Targets   int    `json:"targets"`
	Driven    int    `json:"driven"`    // targets with a driver
	Explained uint64 `json:"explained"` // anomalies held back because the load explains them
	Raised    uint64 `json:"raised"`    // targets found dear for their load
	Overflow  uint64 `json:"overflow"`  // targets beyond the bound
}

// Book holds the models of all targets. Make one with [New].
type Book struct {
	mu      sync.Mutex
	cfg     Config
	targets map[telemetry.SeriesID]*target
	stats   Stats
}

// target is one series with its candidates.
type target struct {
	Meta   *telemetry.Series
	Curves []candidate
	Best   int // of Curves, -1 none

	habit  habit
	x, y   float64 // at the last step
	t      int64   // Unix ms of the last value
	dear   int     // steps in a row
	since  int64   // of the first of them
	active *ops.Anomaly
}

type candidate struct {
	Series *telemetry.Series
	Curve  curve
	seen   int64 // Unix ms of its last reading
}

// New makes an empty book.
func New(cfg Config) *Book {
	return &Book{cfg: cfg.withDefaults(), targets: map[telemetry.SeriesID]*target{}}
}

// Step takes the readings of all entities at now (Unix ms) and returns the
// anomalies that began, went on or ended. Values that are not finite, and
// negative drivers, are left out.
func (b *Book) Step(now int64, groups []Group) []ops.Anomaly {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []ops.Anomaly
	for i := range groups {
		g := &groups[i]
		for _, r := range g.Targets {
			if a := b.step(now, r, g.Candidates); a != nil {
				out = append(out, *a)
			}
		}
	}
	return out
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) && math.Abs(v) < 1e15 }

func (b *Book) step(now int64, r Reading, candidates []Reading) *ops.Anomaly {
	if !finite(r.V) || r.Series == nil {
		return nil
	}
	t := b.targets[r.Series.ID]
	if t == nil {
		if len(b.targets) >= b.cfg.MaxTargets {
			b.stats.Overflow++
			return nil
		}
		t = &target{Best: -1}
		b.targets[r.Series.ID] = t
	}
	if t.Meta = r.Series; r.T <= t.t {
		return nil
	}
	t.y, t.t = r.V, r.T
	before := t.Best
	a := t.judge(&b.cfg, now, candidates)
	t.learn(&b.cfg, now, candidates)
	t.choose(&b.cfg, now)
	if t.Best != before {
		t.habit, t.dear = habit{}, 0
	}
	if a != nil && a.Ended == 0 && a.Onset == t.since && t.dear == b.cfg.Steps {
		b.stats.Raised++
	}
	return a
}

// find gives the candidate's value among the readings.
func find(candidates []Reading, id telemetry.SeriesID) (float64, bool) {
	for i := range candidates {
		if candidates[i].Series.ID == id && finite(candidates[i].V) && candidates[i].V >= 0 {
			return candidates[i].V, true
		}
	}
	return 0, false
}

// learn teaches the curves of all candidates, except while the target is dear:
// then the fault would become the norm before it is seen.
func (t *target) learn(cfg *Config, now int64, candidates []Reading) {
	if t.dear > 0 && now-t.since < acceptAfter {
		return
	}
	for i := range candidates {
		r := &candidates[i]
		if !finite(r.V) || r.V < 0 || r.Series.ID == t.Meta.ID {
			continue
		}
		k := slices.IndexFunc(t.Curves, func(c candidate) bool { return c.Series.ID == r.Series.ID })
		if k < 0 {
			if len(t.Curves) >= cfg.MaxCandidates {
				continue
			}
			t.Curves = append(t.Curves, candidate{})
			k = len(t.Curves) - 1
		}
		t.Curves[k].Series, t.Curves[k].seen = r.Series, now
		t.Curves[k].Curve.learn(r.V, t.y)
	}
}

// acceptAfter is how long (ms) a target may be dear until that is learned.
const acceptAfter = 2 * 3600_000

// staleAfter is how long (ms) a candidate may be silent and stay one.
const staleAfter = 24 * 3600_000

// choose settles on the driver. The one in office stays unless another is
// clearly better.
func (t *target) choose(cfg *Config, now int64) {
	best, top := -1, cfg.Skill
	for i := range t.Curves {
		c := &t.Curves[i]
		s := c.Curve.skill()
		if i == t.Best {
			s += .1
		}
		if s >= top && c.Curve.spread() >= .1 && now-c.seen < staleAfter {
			best, top = i, s
		}
	}
	t.Best = best
	t.Curves = slices.DeleteFunc(t.Curves, func(c candidate) bool {
		gone := now-c.seen >= staleAfter
		if gone {
			t.Best = -1 // chosen again at the next step
		}
		return gone
	})
}

// Driver says what drives a series and what follows from it now.
type Driver struct {
	Series   *telemetry.Series `json:"-"`
	Name     string            `json:"name"`
	Entity   telemetry.Entity  `json:"entity"`
	Skill    float64           `json:"skill"`    // share of the variation that it explains
	Load     float64           `json:"load"`     // the driver now
	Usual    float64           `json:"usual"`    // its mean
	Observed float64           `json:"observed"` // the target now
	Expected float64           `json:"expected"` // the target at this load
	Low      float64           `json:"low"`
	High     float64           `json:"high"`
	Unit     string            `json:"unit"`      // of the target
	LoadUnit string            `json:"load_unit"` // of the driver
	Sentence string            `json:"sentence"`
}

// Of gives the driver of a series; ok is false when it has none.
func (b *Book) Of(id telemetry.SeriesID) (Driver, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.targets[id]
	if t == nil || t.Best < 0 {
		return Driver{}, false
	}
	return t.describe(), true
}

func (t *target) describe() Driver {
	c := &t.Curves[t.Best]
	g, _ := c.Curve.at(t.x)
	f, w := g.mean, g.band()
	d := Driver{Series: c.Series, Name: c.Series.Name, Entity: c.Series.Entity, Skill: c.Curve.skill(), Load: t.x, Usual: c.Curve.MX,
		Observed: t.y, Expected: f, Low: max(0, f-w), High: f + w, Unit: t.Meta.Unit, LoadUnit: c.Series.Unit}
	d.Sentence = fmt.Sprintf("%s of %s explains %.0f %% of its variation; at %.3g %s expect %.3g %s.",
		d.Name, d.Entity.Name, 100*d.Skill, d.Load, d.LoadUnit, d.Expected, d.Unit)
	return d
}

// bandWidth is the half width of the conditional band in mean deviations:
// about three standard deviations of a normal distribution.
const bandWidth = 3.75

// band is the half width of what is expected.
func (g *guess) band() float64 { return bandWidth * max(g.dev, .02*math.Abs(g.mean)) }

// young is how long (ms) an anomaly's observed value is as old as its load.
const young = 30_000

// Explains reports whether an anomaly of a driven series is what its load
// makes of it: the load is unusual, in the direction of the deviation, and
// the value is within the band that belongs to the load. The text says so.
func (b *Book) Explains(a *ops.Anomaly) (text string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.targets[a.SeriesID]
	if t == nil || t.Best < 0 || a.Kind == ops.AnomalySilence || a.Ended != 0 || t.active != nil || t.dear > 0 {
		return "", false
	}
	c := &t.Curves[t.Best]
	g, ok := c.Curve.at(t.x)
	moved := t.x - c.Curve.MX
	if !ok || float64(a.Direction)*moved <= 0 || math.Abs(moved) < .3*c.Curve.MX {
		return "", false
	}
	y := t.y
	if a.Onset >= t.t-young && finite(a.Observed) && math.Abs(a.Observed-g.mean) > math.Abs(y-g.mean) {
		y = a.Observed // later on it is the worst value so far, which had another load
	}
	if w := max(g.band(), .2*math.Abs(g.mean)); y < g.mean-w || y > g.top+w {
		return "", false
	}
	b.stats.Explained++
	return fmt.Sprintf("%s of %s is at %.3g instead of %.3g %s, which explains it", c.Series.Name, c.Series.Entity.Name, t.x, c.Curve.MX, c.Series.Unit), true
}

// Stats counts.
func (b *Book) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stats
	s.Targets = len(b.targets)
	for _, t := range b.targets {
		if t.Best >= 0 {
			s.Driven++
		}
	}
	return s
}

func (b *Book) sorted() []telemetry.SeriesID {
	ids := make([]telemetry.SeriesID, 0, len(b.targets))
	for id := range b.targets {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b telemetry.SeriesID) int { return cmp.Compare(a, b) })
	return ids
}

// Adopt takes the models of another book, which must not be used any more, for
// targets of which it has taken more readings. What is open stays open.
func (b *Book) Adopt(from *Book) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, t := range from.targets {
		old := b.targets[id]
		switch {
		case old == nil && len(b.targets) >= b.cfg.MaxTargets:
			b.stats.Overflow++
			continue
		case old != nil && old.readings() >= t.readings():
			continue
		case old != nil:
			t.active, t.dear, t.since = old.active, old.dear, old.since
		default:
			t.active, t.dear = nil, 0
		}
		b.targets[id] = t
	}
}

// readings is how many the best known curve rests on, decayed.
func (t *target) readings() (n float64) {
	for i := range t.Curves {
		n = max(n, t.Curves[i].Curve.N)
	}
	return n
}
