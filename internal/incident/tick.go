package incident

import (
	"cmp"
	"slices"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Tick puts what came since the last tick into groups and returns those that
// need a judgement: with new evidence, or growing and not judged for a while;
// the most overdue first, at most Config.MaxJudged. Answer each with Apply.
func (c *Correlator) Tick(now int64, view *graph.View) []Candidate {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.view, c.near = view, map[telemetry.Entity]map[telemetry.Entity]float64{}
	c.blame, c.measured = nil, slices.ContainsFunc(c.sorted(), func(g *group) bool { return g.own > 0 })
	c.place(now)
	c.regroup(now)
	c.prune(now)
	var due []*group
	for _, g := range c.groups {
		if c.due(g, now) {
			due = append(due, g)
		}
	}
	slices.SortFunc(due, func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.judged, b.judged), cmp.Compare(b.weight(), a.weight()), cmp.Compare(a.id, b.id))
	})
	if len(due) > c.cfg.MaxJudged {
		due = due[:c.cfg.MaxJudged]
	}
	out := make([]Candidate, 0, len(due))
	for _, g := range due {
		g.dirty, g.grew, g.judged = false, false, now
		out = append(out, c.candidate(g, now))
	}
	return out
}

// weight is the group's total strength.
func (g *group) weight() float64 {
	t := 0.0
	for _, r := range g.records {
		t += r.strength()
	}
	return t
}

func (c *Correlator) due(g *group, now int64) bool {
	if !g.worthJudging(c.changed) {
		return false
	}
	if g.judged == 0 {
		return true
	}
	age := now - g.judged
	switch {
	case g.dirty:
		return age >= c.cfg.Rejudge/3
	case g.grew || g.active(now, c.cfg.Stale):
		return age >= c.cfg.Rejudge
	}
	return false
}

// changed reports whether the anomaly's entity was changed on purpose shortly
// before: then other lines in its log are to be expected.
func (c *Correlator) changed(a *ops.Anomaly) bool {
	return slices.ContainsFunc(c.changes, func(ch telemetry.Change) bool {
		return ch.Entity == a.Entity && ch.Kind != telemetry.ChangeEvent && ch.Time >= a.Onset-c.cfg.ChangeWindow && ch.Time <= a.Onset+60_000
	})
}

// candidate describes a group for cause analysis.
func (c *Correlator) candidate(g *group, now int64) Candidate {
	out := Candidate{ID: g.id, Onset: g.began(now), Anomalies: g.anomalies(), Entities: g.names()}
	out.Target = c.target(g)
	if g.pooled() {
		out.Suspect = g.suspect
	}
	for _, ch := range c.changes {
		if ch.Time >= out.Onset-c.cfg.ChangeWindow && ch.Time <= min(now, out.Onset+5*60_000) {
			out.Changes = append(out.Changes, ch)
		}
	}
	return out
}

// target is where users feel the incident: of the entities whose latency or
// errors deviate, the one from which most of the others are reached; on a tie
// the one that deviates more. A lone entity is its own target.
func (c *Correlator) target(g *group) telemetry.Entity {
	felt := map[telemetry.Entity]float64{}
	for _, r := range g.records {
		bad := (r.a.Signal == telemetry.SignalLatency || r.a.Signal == telemetry.SignalErrors) && r.a.Direction >= 0
		if bad && r.a.Kind != ops.AnomalySilence && r.a.Severity >= .2 && !r.a.Entity.IsZero() {
			felt[r.a.Entity] = max(felt[r.a.Entity], r.a.Severity)
		}
	}
	names := make([]telemetry.Entity, 0, len(felt))
	for e := range felt {
		names = append(names, e)
	}
	slices.SortFunc(names, func(a, b telemetry.Entity) int {
		return cmp.Or(cmp.Compare(felt[b], felt[a]), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	if len(names) > 60 {
		names = names[:60]
	}
	best, most := telemetry.Entity{}, -1
	for _, e := range names {
		n := 0
		for o := range c.reach(e) {
			if felt[o] > 0 {
				n++
			}
		}
		if n > most {
			best, most = e, n
		}
	}
	return best
}

// reach is everything that e depends on, directly or not, e excluded.
func (c *Correlator) reach(e telemetry.Entity) map[telemetry.Entity]bool {
	out := map[telemetry.Entity]bool{}
	if c.view == nil {
		return out
	}
	todo := []telemetry.Entity{e}
	for len(todo) > 0 && len(out) < 5000 {
		u := todo[0]
		todo = todo[1:]
		for _, d := range c.view.Dependencies(u) {
			if d.To != e && !out[d.To] {
				out[d.To] = true
				todo = append(todo, d.To)
			}
		}
	}
	return out
}

// prune forgets invisible groups that came to nothing and ended incidents
// whose grace period is over.
func (c *Correlator) prune(now int64) {
	gone := map[*group]bool{}
	for id, g := range c.groups {
		if g.in != nil {
			continue
		}
		if now-g.last > c.cfg.Quiet && !g.active(now, c.cfg.Stale) || now-g.last > c.cfg.Stale || now-g.onset > 24*c.cfg.Window {
			c.noise(g, now)
			c.budget.release(now, g)
			gone[g] = true
			delete(c.groups, id)
		}
	}
	for id, g := range c.closed {
		if g.in == nil || now-g.in.Resolved > max(c.cfg.Grace, c.cfg.Stale) {
			gone[g] = true
			delete(c.closed, id)
		}
	}
	if len(gone) == 0 {
		return
	}
	for id, r := range c.records {
		if gone[r.group] {
			delete(c.records, id)
		}
	}
	for e, m := range c.byName {
		for id, g := range m {
			if gone[g] {
				delete(m, id)
			}
		}
		if len(m) == 0 {
			delete(c.byName, e)
		}
	}
}

// unindex takes a group out of the index by entity.
func (c *Correlator) unindex(g *group) {
	for e, m := range c.byName {
		delete(m, g.id)
		if len(m) == 0 {
			delete(c.byName, e)
		}
	}
}
