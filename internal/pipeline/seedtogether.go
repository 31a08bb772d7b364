package pipeline

import (
	"cmp"
	"slices"

	"github.com/norn-aiops/norn/internal/detect/driver"
	"github.com/norn-aiops/norn/internal/detect/joint"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	maxColumns  = 400         // of one entity that are gathered
	maxSeedRows = 5760        // the newest rows of an entity that its joint model reads
	driverSlice = 30 * 60_000 // ms between two readings of drivers in the past
)

// column is what is kept of one series to judge it together with others.
type column struct {
	series  *telemetry.Series
	samples []telemetry.Sample // at least jointEvery apart
	at      int                // the next to read
	kind    uint8
}

// What a column is for.
const (
	forJoint = 1 << iota
	forTarget
	forCandidate
)

func columnKind(s *telemetry.Series) (k uint8) {
	if isColumn(s) {
		k |= forJoint
	}
	if isTarget(s) {
		k |= forTarget
	}
	if isCandidate(s) {
		k |= forCandidate
	}
	return k
}

// gatherer collects the columns of one family.
type gatherer struct {
	columns []*column
	last    *column
}

func (g *gatherer) add(points []telemetry.Point) {
	for i := range points {
		p := &points[i]
		c := g.last
		if c == nil || c.series != p.Series {
			c = g.find(p.Series)
			g.last = c
		}
		if n := len(c.samples); c.kind != 0 && (n == 0 || p.T-c.samples[n-1].T >= jointEvery) {
			c.samples = append(c.samples, telemetry.Sample{T: p.T, V: p.V})
		}
	}
}

func (g *gatherer) find(s *telemetry.Series) *column {
	for _, c := range g.columns {
		if c.series == s {
			return c
		}
	}
	c := &column{series: s, kind: columnKind(s)}
	g.columns = append(g.columns, c)
	return c
}

func sortColumns(cs []*column) {
	slices.SortFunc(cs, func(a, b *column) int {
		return cmp.Or(cmp.Compare(columnRank(a.series), columnRank(b.series)), cmp.Compare(a.series.ID, b.series.ID))
	})
}

// learnTogether teaches what the columns of an entity say together.
func (w *worker) learnTogether(c *collector) {
	cols := slices.DeleteFunc(c.columns, func(c *column) bool { return c.kind == 0 || len(c.samples) == 0 })
	c.columns = nil
	if len(cols) < 2 {
		return
	}
	sortColumns(cols)
	step := usualInterval(cols)
	first, last := cols[0].samples[0].T, int64(0)
	for _, c := range cols {
		first, last = min(first, c.samples[0].T), max(last, c.samples[len(c.samples)-1].T)
	}
	w.learnDrivers(cols, first, last, step)
	w.learnJoint(cols, max(first, last-maxSeedRows*step), last, step)
}

// usualInterval is the median of the columns' mean intervals in ms, at least
// that of live rows: half of an entity's values are new in a row of it.
func usualInterval(cols []*column) int64 {
	every := make([]int64, 0, len(cols))
	for _, c := range cols {
		if n := int64(len(c.samples)); n > 1 {
			every = append(every, (c.samples[n-1].T-c.samples[0].T+n/2)/(n-1))
		}
	}
	if len(every) == 0 {
		return jointEvery
	}
	slices.Sort(every)
	return max(jointEvery, every[len(every)/2])
}

// reading moves a column to t and gives its newest value that is at most old
// ms old.
func (c *column) reading(t, old int64) (telemetry.Sample, bool) {
	for c.at < len(c.samples) && c.samples[c.at].T <= t {
		c.at++
	}
	if c.at == 0 || t-c.samples[c.at-1].T > old {
		return telemetry.Sample{}, false
	}
	return c.samples[c.at-1], true
}

func (w *worker) learnDrivers(cols []*column, first, last, step int64) {
	targets, candidates := 0, 0
	for _, c := range cols {
		targets += int(c.kind & forTarget)
		candidates += int(c.kind & forCandidate)
		c.at = 0
	}
	if targets == 0 || candidates == 0 {
		return
	}
	own := slices.Clone(cols)
	slices.SortStableFunc(own, func(a, b *column) int {
		return cmp.Or(cmp.Compare(candidateRank(a.series), candidateRank(b.series)), cmp.Compare(a.series.ID, b.series.ID))
	})
	for t := first + max(step, driverSlice); t <= last; t += max(step, driverSlice) {
		var g driver.Group
		for _, c := range own {
			x, ok := c.reading(t, max(step, driverFresh))
			if !ok {
				continue
			}
			r := driver.Reading{Series: c.series, V: x.V, T: x.T}
			if c.kind&forTarget != 0 {
				g.Targets = append(g.Targets, r)
			}
			if c.kind&forCandidate != 0 && len(g.Candidates) < maxOwn {
				g.Candidates = append(g.Candidates, r)
			}
		}
		if len(g.Targets) > 0 && len(g.Candidates) > 0 {
			w.drivers.Step(t, []driver.Group{g})
		}
	}
}

func (w *worker) learnJoint(cols []*column, first, last, step int64) {
	cols = slices.DeleteFunc(slices.Clone(cols), func(c *column) bool { return c.kind&forJoint == 0 })
	if len(cols) == 0 {
		return
	}
	for _, c := range cols {
		c.at = 0
	}
	var r joint.Row
	r.Entity = cols[0].series.Entity
	w.joint.Learn(r.Entity, func(yield func(int64, *joint.Row) bool) {
		for t := first - first%step + step; t < last+step; t += step {
			r.Series, r.V, r.T = r.Series[:0], r.V[:0], r.T[:0]
			for _, c := range cols {
				if x, ok := c.reading(t, max(step, driverFresh)); ok {
					r.Series, r.V, r.T = append(r.Series, c.series), append(r.V, x.V), append(r.T, x.T)
				}
			}
			if len(r.Series) > 0 && !yield(min(t, last), &r) {
				return
			}
		}
	})
}
