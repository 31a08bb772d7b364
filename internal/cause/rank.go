// Package cause answers why an incident happens: which entities are its roots,
// which only pass the trouble on, which suffer, and which merely stand by.
//
// It exists because the loudest entity is seldom the guilty one. Every entity's
// deviation is measured against its own past, explained by what it depends on
// (a caller's delay by its callees' delay, a tenant's by its host), weighed by
// its impact on where users feel the trouble, and what nothing explains is a
// root. It fetches nothing and keeps nothing: [Rank] is a pure function of its
// [Input], deterministic, and safe for concurrent use.
package cause

import (
	"cmp"
	"slices"

	"github.com/norn-aiops/norn/internal/ops"
)

// Rank judges one incident. It never fails: with too little evidence it says
// no_incident or unknown. The causes are ordered best first and hold every
// entity with a role other than bystander, and bystanders that deviate.
func Rank(in Input, cfg Config) ops.Judgement {
	m := newModel(&in, cfg.WithDefaults())
	m.collect()
	if m.alertsOnly() {
		return m.judgeAlerts()
	}
	m.chooseTarget()
	m.explain()
	m.impact()
	m.paths()
	for _, n := range m.nodes {
		n.score = m.scoreNode(n)
	}
	m.darkRoots()
	m.applyChanges()
	order := m.order()
	m.assignRoles(order)
	return m.judge(order)
}

// applyChanges raises the odds of entities that were changed shortly before.
// A change alone, without any evidence, is not a cause.
func (m *model) applyChanges() {
	for _, c := range m.in.Changes {
		if c.Time < m.in.Onset-m.cfg.ChangeWindow || c.Time > m.in.Onset+60_000 {
			continue
		}
		i := m.add(c.Entity)
		if i < 0 {
			continue
		}
		n := m.nodes[i]
		n.changes = append(n.changes, c)
	}
	for _, n := range m.nodes {
		if len(n.changes) == 0 || n.score <= 0 {
			continue
		}
		f := m.cfg.ChangeOdds
		if !slices.ContainsFunc(n.changes, isDeliberate) {
			f = 1 + (f-1)/4
		}
		n.score = odds(n.score, f)
	}
}

// order sorts the entities by score; ties by raw evidence, then by name.
func (m *model) order() []*node {
	out := slices.Clone(m.nodes)
	slices.SortFunc(out, func(a, b *node) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.topZ(), a.topZ()), cmpEntity(a.e, b.e))
	})
	return out
}

func (n *node) topZ() float64 {
	z := 0.0
	for _, ev := range n.ev {
		if ev != nil {
			z = max(z, ev.z)
		}
	}
	return z
}

// judge writes the verdict.
func (m *model) judge(order []*node) ops.Judgement {
	roots := make([]*node, 0, m.cfg.MaxCauses)
	for _, n := range order {
		if n.role == ops.RoleRoot {
			roots = append(roots, n)
		}
	}
	j := ops.Judgement{Causes: []ops.Cause{}, Links: []ops.Link{}}
	imp := m.userImpact()
	j.Impact, j.ImpactText = imp.share, imp.text
	margin := 0.0
	if len(order) > 0 {
		margin = order[0].score
		if len(order) > 1 {
			margin -= order[1].score
		}
	}
	sum := .1
	for _, n := range roots {
		sum += n.score
	}
	for _, n := range order {
		if !m.worthTelling(n) {
			continue
		}
		p := 0.0
		if n.role == ops.RoleRoot {
			p = m.probability(n.score, margin, n == order[0], sum)
		} else if n.dark {
			p = .3 * n.score
		}
		j.Causes = append(j.Causes, m.cause(n, p, roots))
		if len(j.Causes) >= maxReported {
			break
		}
	}
	m.verdict(&j, roots, order, margin)
	j.Links = m.picture(j.Causes)
	return j
}

// maxReported bounds a judgement's size in a big estate.
const maxReported = 40

// worthTelling: everyone with a part in it, inferred roots, and bystanders
// that deviate and might be suspected.
func (m *model) worthTelling(n *node) bool {
	return n.role != ops.RoleBystander || n.dark && n.score >= .1 || n.anomalous() >= .5 || n.score >= .15
}

// cause fills in one entity's part.
func (m *model) cause(n *node, p float64, roots []*node) ops.Cause {
	best := m.bestEvidence(n)
	c := ops.Cause{Entity: n.e, Role: n.role, Score: n.score, Probability: p, Inferred: n.dark,
		Unexplained: 1, ExplainedBy: n.explained, Path: m.path(n), Evidence: []ops.Evidence{}, Changes: n.changes}
	if c.ExplainedBy == nil {
		c.ExplainedBy = []ops.Explained{}
	}
	if best != nil {
		c.Signal, c.Onset = best.signal(), best.onset
		if best.kind == kLat || best.kind == kErr {
			c.Unexplained = n.u[best.kind]
		}
	}
	for _, ev := range n.all {
		if ev.a >= .2 && len(c.Evidence) < 12 {
			c.Evidence = append(c.Evidence, ev.report())
		}
	}
	if n.newDep {
		c.Evidence = append(c.Evidence, ops.Evidence{Entity: n.e, Series: "new_dependency", Text: n.e.Name + " is new: it has no past to compare with"})
	}
	c.Sentence = m.sentence(n, best, roots)
	return c
}
