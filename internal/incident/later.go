package incident

import (
	"fmt"
	"slices"

	"github.com/norn-aiops/norn/internal/ops"
)

// laterBy is how long (ms) after an incident's onset another root must have
// begun to deviate to be a trouble of its own.
const laterBy = 5 * 60_000

// sureOfRoot is the score from which another root that began later is taken
// for a trouble of its own.
const sureOfRoot = .5

// later reports whether the judgement of an open incident, whose cause is
// settled, names another root that began to deviate long after it: then a
// second fault is hidden in the first one's incident. since is when its
// evidence begins.
func (c *Correlator) later(g *group, j ops.Judgement) (since int64, ok bool) {
	if g.in == nil || len(g.roots) == 0 || g.in.Confidence < sureOfOnset {
		return 0, false
	}
	first := firstRoot(j)
	for _, x := range j.Causes {
		if x.Role != ops.RoleRoot || slices.Contains(g.roots, x.Entity) || x.Entity != first && x.Score < sureOfRoot {
			continue
		}
		if x.Onset > g.in.Onset+laterBy && (since == 0 || x.Onset-60_000 < since) {
			since = x.Onset - 60_000
		}
	}
	return since, since > 0
}

// takeLater moves the evidence that began at since or after it into a group of
// its own, which is judged by itself from its own onset on. The incident keeps
// its cause.
func (c *Correlator) takeLater(g *group, since int64) {
	var away []*record
	for _, r := range g.records {
		if r.a.Onset >= since {
			away = append(away, r)
		}
	}
	c.moveAway(g, away, "it began long after the incident, with another root")
}

// moveAway makes a new group of some of a group's records. A record moves once:
// what was merged back stays, so that incidents do not split and merge for ever.
func (c *Correlator) moveAway(g *group, away []*record, why string) {
	away = slices.DeleteFunc(away, func(r *record) bool { return r.moved })
	if len(away) == 0 || len(away) == len(g.records) || len(c.groups) >= c.cfg.MaxGroups {
		return
	}
	slices.SortFunc(away, byOnset)
	g.splits++
	n := newGroup(away[0], fmt.Sprintf("|%s/%d", g.id, g.splits))
	n.from = g.id
	if c.groups[n.id] != nil || c.closed[n.id] != nil {
		return
	}
	c.groups[n.id] = n
	g.records = slices.DeleteFunc(g.records, func(r *record) bool { return slices.Contains(away, r) })
	for _, r := range away {
		r.moved = true
		delete(g.bySeries, r.series)
		r.why = append(r.why, Reason{Name: "cause", Text: why, Weight: 1})
		n.add(r, c.cfg.MaxAnomalies)
		c.indexEntities(n, r)
	}
	c.recount(g)
}
