package incident

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Reason is one ground for putting an anomaly into an incident.
type Reason = ops.Reason

// How near two entities are in the graph, by the relation of the newcomer to a
// member of the group. Trouble travels from callee to caller, so that a caller
// is nearer than a callee.
const (
	relSelf    = 1.0
	relPart    = .9 // service and its instance
	relCaller  = .8 // the newcomer calls a member
	relCallee  = .7
	relHost    = .6 // one runs on the other
	relTwo     = .5 // factor of the second hop
	relUnknown = .3 // the entity is in no graph
	joinFrom   = .15
)

// neighbours gives the entities within two hops of e and how near they are.
func (c *Correlator) neighbours(e telemetry.Entity) map[telemetry.Entity]float64 {
	if m, ok := c.near[e]; ok {
		return m
	}
	m := map[telemetry.Entity]float64{e: relSelf}
	first := c.hop(e)
	for n, w := range first {
		m[n] = max(m[n], w)
	}
	for n, w := range first {
		if len(m) > 2000 {
			break
		}
		for o, v := range c.hop(n) {
			m[o] = max(m[o], w*v*relTwo)
		}
	}
	c.near[e] = m
	return m
}

// hop gives e's direct neighbours.
func (c *Correlator) hop(e telemetry.Entity) map[telemetry.Entity]float64 {
	m := map[telemetry.Entity]float64{}
	if c.view == nil {
		return m
	}
	for _, d := range c.view.Dependencies(e) {
		m[d.To] = max(m[d.To], relation(d.Kind, true))
	}
	for _, d := range c.view.Dependents(e) {
		m[d.From] = max(m[d.From], relation(d.Kind, false))
	}
	return m
}

func relation(k graph.EdgeKind, outgoing bool) float64 {
	switch k {
	case graph.PartOf:
		return relPart
	case graph.RunsOn:
		return relHost
	}
	if outgoing {
		return relCaller
	}
	return relCallee
}

// place puts the pending anomalies into groups, oldest onset first.
func (c *Correlator) place(now int64) {
	todo := make([]*record, 0, len(c.pending))
	for _, r := range c.pending {
		todo = append(todo, r)
	}
	clear(c.pending)
	slices.SortFunc(todo, byOnset)
	for _, r := range todo {
		c.placeOne(r, now)
	}
}

// maxAliases bounds the ids of one flapping series that are remembered.
const maxAliases = 100

func (c *Correlator) placeOne(r *record, now int64) {
	if r.a.Kind == ops.AnomalyAlert {
		c.placeAlert(r, now)
		return
	}
	if old := c.flapping(r); old != nil {
		c.fold(old, r)
		c.speaks(r, now)
		return
	}
	r.surprise = c.surprise(r, now)
	r.a.Surprise = r.surprise
	c.speaks(r, now)
	g, rel, gap := c.bestGroup(r, nil)
	switch {
	case g != nil:
		r.why = joinReasons(g, r, rel, gap)
		c.stats.Joined++
	case c.belongsToEnded(r, now):
		c.stats.Late++
		return
	case r.surprise < contextOnly:
		c.stats.Context++
		return
	case len(c.groups) >= c.cfg.MaxGroups:
		c.stats.Overflow++
		return
	default:
		g = newGroup(r, "")
		if c.groups[g.id] != nil || c.closed[g.id] != nil {
			c.stats.Overflow++
			return
		}
		c.groups[g.id] = g
		r.why = []Reason{{Name: "founder", Text: "it was the first sign", Weight: 1}}
		c.stats.Founded++
	}
	c.put(g, r)
}

// fold counts r as a repetition of old.
func (c *Correlator) fold(old, r *record) {
	old.count++
	old.a.LastSeen = max(old.a.LastSeen, r.a.LastSeen)
	old.a.Severity = max(old.a.Severity, r.a.Severity)
	old.a.Observed, old.a.Ended = r.a.Observed, r.a.Ended
	if f := familyOf(&r.a); !old.spoke[f] {
		old.note(&r.a)
	}
	if old.count <= maxAliases {
		c.records[r.a.ID] = old
	}
	if old.group != nil {
		old.group.touch(old)
	}
	c.stats.Flaps++
}

// put adds a record to a group and to the indexes.
func (c *Correlator) put(g *group, r *record) {
	if r.a.Kind != ops.AnomalyAlert {
		c.measured = true
	}
	if g.add(r, c.cfg.MaxAnomalies) {
		c.records[r.a.ID] = r
	} else {
		c.stats.Overflow++
		if len(c.full) >= c.cfg.MaxSeries {
			clear(c.full)
		}
		c.full[hashOf(r.a.ID)] = struct{}{}
	}
	c.indexEntities(g, r)
}

// flapping finds the active record of the same series that this one repeats.
func (c *Correlator) flapping(r *record) *record {
	s := c.series[r.series]
	if s == nil || r.a.Onset-s.last > c.cfg.Flap {
		return nil
	}
	for _, g := range c.byName[r.a.Entity] {
		if old := g.bySeries[r.series]; old != nil && c.groups[g.id] == g && !c.anew(g, old, r) {
			return old
		}
	}
	return nil
}

// anew reports whether r is not old flapping but the sign of a new burst: old
// had been calm for a quiet period, and the group's trouble began long ago. It
// is grouped and judged by itself, and merged if its cause is the same.
func (c *Correlator) anew(g *group, old, r *record) bool {
	return r.a.Kind != ops.AnomalyAlert && r.a.Onset-old.last() > c.cfg.Quiet && g.gap(r.a.Onset) > c.cfg.Window
}

func (c *Correlator) indexEntities(g *group, r *record) {
	for _, e := range []telemetry.Entity{r.a.Entity, r.a.Peer, r.a.Instance} {
		if e.IsZero() {
			continue
		}
		m := c.byName[e]
		if m == nil {
			m = map[string]*group{}
			c.byName[e] = m
		}
		m[g.id] = g
	}
}

// bestGroup is the active group that explains the record best, with the
// relation and the gap in time, or nil. Groups that may not be are left out.
func (c *Correlator) bestGroup(r *record, may func(*group) bool) (*group, float64, int64) {
	rel := map[*group]float64{}
	for _, e := range []telemetry.Entity{r.a.Entity, r.a.Peer, r.a.Instance} {
		if e.IsZero() {
			continue
		}
		near := c.neighbours(e)
		for n, w := range near {
			for _, g := range c.byName[n] {
				rel[g] = max(rel[g], w)
			}
		}
		if len(near) == 1 && (c.view == nil || len(c.view.Edges()) == 0) {
			for _, g := range c.groups {
				rel[g] = max(rel[g], relUnknown)
			}
		}
	}
	if r.a.Entity.IsZero() {
		for _, g := range c.groups {
			rel[g] = relUnknown
		}
	}
	var best *group
	top, gapOf := joinFrom, int64(0)
	for g, w := range rel {
		gap := g.gap(r.a.Onset)
		if gap > c.cfg.Window || may != nil && !may(g) {
			continue
		}
		tau := 120_000.0
		if w <= relUnknown {
			tau = 60_000
		}
		score := w * math.Exp(-float64(gap)/tau)
		if score > top || score == top && best != nil && g.before(best) {
			best, top, gapOf = g, score, gap
		}
	}
	if best == nil {
		return nil, 0, 0
	}
	return best, rel[best], gapOf
}

func (g *group) before(o *group) bool {
	return cmp.Or(cmp.Compare(g.onset, o.onset), cmp.Compare(g.id, o.id)) < 0
}

// spread is how long after its onset a fault's first signs come (ms).
const spread = 120_000

// gap is the distance in time from t to the stretch in which the group's
// trouble began. How long members last does not matter, nor do stragglers: a
// chain of small troubles must not tie a new fault to an old incident. What
// belongs to it all the same is merged when its judgement names the same root.
func (g *group) gap(t int64) int64 {
	from := g.onset
	if g.in != nil {
		from = g.in.Onset
	}
	switch to := max(from+spread, min(g.latest, from+2*spread)); {
	case t < from:
		return from - t
	case t > to:
		return t - to
	}
	return 0
}

// belongsToEnded reports whether the record is late news of an incident that
// has ended: it began and ended within that incident's time, and is related.
func (c *Correlator) belongsToEnded(r *record, now int64) bool {
	if r.active(now, c.cfg.Stale) {
		return false
	}
	near := c.neighbours(r.a.Entity)
	for _, g := range c.closed {
		if r.a.Onset < g.onset-60_000 || r.last() > g.last+c.cfg.Quiet {
			continue
		}
		for e := range g.entities {
			if near[e] > 0 {
				return true
			}
		}
	}
	return false
}

func joinReasons(g *group, r *record, rel float64, gap int64) []Reason {
	topo := Reason{Name: "topology", Weight: rel}
	switch {
	case rel >= relSelf:
		topo.Text = fmt.Sprintf("%s is already part of it", r.a.Entity.Name)
	case rel >= relTwo:
		topo.Text = fmt.Sprintf("%s is a direct neighbour of an entity that is part of it (%s)", r.a.Entity.Name, g.founder.Name)
	case rel > relUnknown:
		topo.Text = fmt.Sprintf("%s is two steps from an entity that is part of it (%s)", r.a.Entity.Name, g.founder.Name)
	default:
		topo.Text = "no relation is known; it came at the same time"
	}
	when := Reason{Name: "time", Weight: math.Exp(-float64(gap) / 120_000), Text: "it began while the incident lasted"}
	if gap > 0 {
		when.Text = fmt.Sprintf("it began %d s from the incident's other evidence", gap/1000)
	}
	rare := Reason{Name: "surprise", Weight: r.surprise, Text: "this series seldom speaks"}
	if r.surprise < .5 {
		rare.Text = "this series speaks often, so that it counts little"
	}
	return []Reason{topo, when, rare}
}
