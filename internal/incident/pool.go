package incident

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	poolSpan    = 15 * 60_000 // ms that an alert counts as evidence
	fitEvery    = 30_000      // ms between two fits...
	stormEvery  = 60_000      // ...and in a storm
	maxEvidence = 2000        // alerts of one fit; the rarest
	nearContext = .3          // worth of a relation for an alert that says nothing
)

// pool holds the alerts of other tools that no group of Norn's own evidence
// has claimed. From time to time all of the last quarter of an hour are
// grouped anew.
type pool struct {
	recs     []*record          // oldest arrival first
	bySeries map[uint64]*record // the newest of each series
	dirty    bool
	fitted   int64
}

func newPool() *pool { return &pool{bySeries: map[uint64]*record{}} }

// expire forgets alerts that are too old to be evidence.
func (p *pool) expire(now int64) {
	p.recs = slices.DeleteFunc(p.recs, func(r *record) bool {
		if r.a.Onset >= now-poolSpan {
			return false
		}
		if p.bySeries[r.series] == r {
			delete(p.bySeries, r.series)
		}
		return true
	})
}

// pooled reports whether the group lives from alerts alone, so that the fit
// decides who is in it.
func (g *group) pooled() bool { return g.own == 0 }

// placeAlert puts an alert of another tool where it belongs: to the series that
// it repeats, to a group of Norn's own evidence, or into the pool.
func (c *Correlator) placeAlert(r *record, now int64) {
	if old := c.repeats(r); old != nil {
		c.fold(old, r)
		return
	}
	r.surprise = c.presence.surprise(r.series, &r.a, now, c.cfg.MaxSeries)
	r.a.Surprise = r.surprise
	if c.measured {
		if g, rel, gap := c.bestGroup(r, func(g *group) bool { return g.own > 0 }); g != nil {
			r.why = joinReasons(g, r, rel, gap)
			c.stats.Joined++
			c.put(g, r)
			return
		}
	}
	if c.belongsToEnded(r, now) {
		c.stats.Late++
		return
	}
	if len(c.records) >= c.cfg.MaxSeries {
		c.stats.Overflow++
		return
	}
	c.records[r.a.ID] = r
	c.pool.recs = append(c.pool.recs, r)
	c.pool.bySeries[r.series] = r
	c.pool.dirty = true
}

// repeats finds the alert that r repeats: one of the same series within the
// time in which that is flapping.
func (c *Correlator) repeats(r *record) *record {
	if old := c.pool.bySeries[r.series]; old != nil && r.a.Onset-old.last() <= c.cfg.Flap {
		return old
	}
	return c.flapping(r)
}

// regroup fits the pool when that is due.
func (c *Correlator) regroup(now int64) {
	p := c.pool
	p.expire(now)
	every := int64(fitEvery)
	if len(p.recs) > maxEvidence {
		every = stormEvery
	}
	if !p.dirty || now-p.fitted < every && p.fitted != 0 {
		return
	}
	p.dirty, p.fitted = false, now
	ev, rest := c.evidence(now)
	parts := connected(ev)
	open := c.openings()
	var chosen []*hypothesis
	for _, part := range parts {
		for _, h := range fit(part.ev, part.openings(open)) {
			for i, m := range h.members {
				h.members[i] = part.at[m]
			}
			chosen = append(chosen, h)
		}
	}
	c.settle(now, ev, chosen)
	c.follow(rest)
}

// evidence lists the alerts that a fit uses, and those that only follow.
func (c *Correlator) evidence(now int64) (ev []evidence, rest []*record) {
	type key struct {
		e telemetry.Entity
		f string
	}
	recs := make([]*record, 0, len(c.pool.recs))
	for _, r := range c.pool.recs {
		switch g := r.group; {
		case g != nil && (c.groups[g.id] != g || !g.pooled()):
		case r.surprise < contextOnly || r.a.Entity.IsZero():
			rest = append(rest, r)
		default:
			recs = append(recs, r)
		}
	}
	slices.SortFunc(recs, func(a, b *record) int { return cmp.Or(cmp.Compare(b.surprise, a.surprise), byOnset(a, b)) })
	seen := map[key]int{}
	for _, r := range recs {
		k := key{r.subject(), r.a.Family()}
		if seen[k]++; seen[k] > sameLeast || len(ev) >= maxEvidence {
			rest = append(rest, r)
			continue
		}
		n := float64(seen[k])
		ev = append(ev, evidence{r: r, w: r.surprise, at: r.a.Onset, who: c.suspects(&r.a), share: 1 / (n * n)})
	}
	return ev, rest
}

func (c *Correlator) suspects(a *ops.Anomaly) []graph.Suspect {
	if c.blame == nil {
		c.blame = graph.NewBlame(c.view)
	}
	if !a.Peer.IsZero() {
		return c.blame.OfCall(a.Entity, a.Peer)
	}
	return c.blame.Suspects(a.Entity)
}

// part is one connected component of evidence.
type part struct {
	ev  []evidence
	at  []int // index in the whole list
	who map[telemetry.Entity]bool
}

// connected splits evidence into parts that share no suspect.
func connected(ev []evidence) []*part {
	parent := make([]int, len(ev))
	find := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	first := map[telemetry.Entity]int{}
	alone := -1 // entities without a known relation go together: time is all that is known
	for i := range ev {
		parent[i] = i
		if len(ev[i].who) <= 1 {
			if alone >= 0 {
				parent[i] = find(alone)
			}
			alone = i
			continue
		}
		for _, s := range ev[i].who {
			if s.Value <= 0 {
				continue
			}
			if j, ok := first[s.Entity]; ok {
				parent[find(i)] = find(j)
			} else {
				first[s.Entity] = i
			}
		}
	}
	by := map[int]*part{}
	var out []*part
	for i := range ev {
		k := find(i)
		p := by[k]
		if p == nil {
			p = &part{who: map[telemetry.Entity]bool{}}
			by[k] = p
			out = append(out, p)
		}
		p.ev, p.at = append(p.ev, ev[i]), append(p.at, i)
		for _, s := range ev[i].who {
			p.who[s.Entity] = true
		}
	}
	return out
}

func (p *part) openings(open []opening) []opening {
	var out []opening
	for _, o := range open {
		if p.who[o.root] {
			out = append(out, o)
		}
	}
	return out
}

// openings are the roots of the open incidents that alerts made.
func (c *Correlator) openings() []opening {
	var out []opening
	for _, g := range c.sorted() {
		if g.in != nil && g.pooled() && !g.suspect.IsZero() {
			out = append(out, opening{g.suspect, g.suspectOnset, g})
		}
	}
	return out
}

// settle moves the alerts into the groups that the fit chose. A hypothesis is
// the group that most of its members' worth is in, the largest first; without
// one it is a new group.
func (c *Correlator) settle(now int64, ev []evidence, chosen []*hypothesis) {
	slices.SortStableFunc(chosen, func(a, b *hypothesis) int { return cmp.Compare(b.score, a.score) })
	taken := map[*group]bool{}
	touched := map[*group]bool{}
	for _, h := range chosen {
		if len(h.members) == 0 {
			continue
		}
		g := c.identity(h, ev, taken)
		if g == nil {
			if len(c.groups) >= c.cfg.MaxGroups {
				c.stats.Overflow += len(h.members)
				continue
			}
			first := slices.MinFunc(h.members, func(i, j int) int { return byOnset(ev[i].r, ev[j].r) })
			for n := 0; g == nil || c.groups[g.id] != nil || c.closed[g.id] != nil; n++ {
				g = newGroup(ev[first].r, strings.Repeat("+", n))
			}
			c.groups[g.id] = g
			c.stats.Founded++
		}
		taken[g] = true
		g.suspect, g.suspectOnset = h.root, h.onset
		for _, i := range h.members {
			r := ev[i].r
			if r.group == g {
				continue
			}
			if old := r.group; old != nil {
				old.drop(r)
				touched[old] = true
			} else {
				c.stats.Joined++
			}
			r.why = c.alertReasons(h, &ev[i])
			g.add(r, c.cfg.MaxAnomalies)
			touched[g] = true
		}
	}
	for g := range touched {
		c.recount(g)
		g.dirty = true
	}
	c.dissolve(now, touched)
}

// identity is the existing group that a hypothesis goes on with.
func (c *Correlator) identity(h *hypothesis, ev []evidence, taken map[*group]bool) *group {
	votes := map[*group]float64{}
	for _, i := range h.members {
		if g := ev[i].r.group; g != nil && !taken[g] && c.groups[g.id] == g {
			votes[g] += ev[i].w * ev[i].share
		}
	}
	if h.kept && !taken[h.group] && c.groups[h.group.id] == h.group {
		votes[h.group] += .5
	}
	var best *group
	for g, v := range votes {
		if best == nil || v > votes[best] || v == votes[best] && g.before(best) {
			best = g
		}
	}
	return best
}

// dissolve ends groups that lost all their alerts to others: an incident is
// merged into the one that took most.
func (c *Correlator) dissolve(now int64, touched map[*group]bool) {
	for g := range touched {
		if len(g.records) > 0 || c.groups[g.id] != g {
			continue
		}
		c.unindex(g)
		delete(c.groups, g.id)
		if g.in == nil {
			c.budget.release(now, g)
			continue
		}
		g.in.State, g.in.Resolved, g.in.Updated = ops.StateResolved, now, now
		into := g.lostTo
		if into == nil || c.groups[into.id] != into || into.in == nil {
			g.tell(ops.Event{Time: now, Kind: "resolved", Text: "its alerts are explained by other incidents"})
		} else {
			g.in.MergedInto = into.id
			g.tell(ops.Event{Time: now, Kind: "merged", Text: "merged into " + into.id})
			into.tell(ops.Event{Time: now, Kind: "merged", Text: "took in " + g.in.Title})
		}
		c.finishTimeline(g)
		c.aside = append(c.aside, copyOf(g.in))
	}
}

// drop takes a record out of the group.
func (g *group) drop(r *record) {
	n := len(g.records)
	g.records = slices.DeleteFunc(g.records, func(o *record) bool { return o == r })
	if len(g.records) == n {
		g.extra = max(0, g.extra-1)
	}
	if g.bySeries[r.series] == r {
		delete(g.bySeries, r.series)
	}
}

// recount works out anew what a group's records say, after some were taken
// away or put in.
func (c *Correlator) recount(g *group) {
	c.unindex(g)
	g.entities = map[telemetry.Entity]float64{}
	g.onset, g.last, g.latest, g.own = 0, 0, 0, 0
	for _, r := range g.records {
		if r.a.Kind != ops.AnomalyAlert {
			g.own++
		}
		g.onset, g.last, g.latest = minTime(g.onset, r.a.Onset), max(g.last, r.last()), max(g.latest, r.a.Onset)
		g.count(r)
		c.indexEntities(g, r)
	}
}

// alertReasons says why an alert is in the group of a hypothesis.
func (c *Correlator) alertReasons(h *hypothesis, e *evidence) []Reason {
	rel, kind := 0.0, graph.Unrelated
	for _, s := range e.who {
		if s.Entity == h.root {
			rel, kind = s.Value, s.Relation
		}
	}
	topo := Reason{Name: "topology", Weight: clip(rel/2.5, 0, 1), Text: relationText(kind, e.r.a.Entity.Name, h.root.Name)}
	gap := (e.at - h.onset) / 1000
	when := Reason{Name: "time", Weight: math.Exp(-math.Abs(float64(e.at-h.onset)) / tauKept), Text: fmt.Sprintf("it came %d s after the trouble began there", gap)}
	if gap < 0 {
		when.Text = fmt.Sprintf("it came %d s before the first sign there", -gap)
	}
	rare := Reason{Name: "surprise", Weight: e.w, Text: "this alert seldom comes"}
	if e.w < .5 {
		rare.Text = "this alert comes often, so that it counts little"
	}
	return []Reason{topo, when, rare}
}

func relationText(k graph.Relation, e, root string) string {
	switch k {
	case graph.Itself:
		return e + " is the likely root"
	case graph.Part:
		return fmt.Sprintf("%s and %s, the likely root, are service and instance", e, root)
	case graph.Host:
		return fmt.Sprintf("%s runs on %s, the likely root", e, root)
	case graph.Callee, graph.Callee2:
		return fmt.Sprintf("%s depends on %s, the likely root", e, root)
	case graph.Tenant:
		return fmt.Sprintf("%s, the likely root, runs on %s", root, e)
	case graph.Sibling:
		return fmt.Sprintf("%s and %s, the likely root, are instances of one service", e, root)
	case graph.Caller:
		return fmt.Sprintf("it is about a call of %s, the likely root", root)
	}
	return "no relation to " + root + ", the likely root, is known; it came at the same time"
}
