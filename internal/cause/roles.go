package cause

import (
	"slices"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func isDeliberate(c telemetry.Change) bool { return c.Kind != telemetry.ChangeEvent }

// assignRoles gives every entity its part, best score first:
//
//	root          score at or above the gate and evidence of its own (a >= 0.5)
//	intermediate  unwell, explained from below, with an unwell caller
//	symptom       unwell and explained, and nothing unwell above it: users feel it here
//	bystander     everything else, deviating or not
func (m *model) assignRoles(order []*node) {
	count := 0
	for _, n := range order {
		n.role = ops.RoleBystander
		if n.score >= m.cfg.Gate && n.anomalous() >= .5 && !n.dark && count < m.cfg.MaxCauses && !m.shadowed(n, order[:count]) {
			n.role = ops.RoleRoot
			count++
		}
	}
	for _, n := range order {
		if n.role == ops.RoleRoot || n.anomalous() < .5 {
			continue
		}
		unwellAbove := slices.ContainsFunc(n.callers, func(c int) bool { return m.nodes[c].anomalous() >= .5 })
		explained := false
		for _, k := range []kind{kLat, kErr} {
			if n.ev[k] != nil && n.ev[k].a >= .5 && (n.u[k] < .5 || m.rootBelow(n)) {
				explained = true
			}
		}
		switch {
		case explained && unwellAbove && m.rootBelow(n):
			n.role = ops.RoleIntermediate
		case explained && (!unwellAbove || m.rootBelow(n)):
			n.role = ops.RoleSymptom
		}
	}
}

// shadowed reports whether a stronger root already accounts for most of what
// n shows, so that only a weak remainder would name it.
func (m *model) shadowed(n *node, roots []*node) bool {
	if len(roots) == 0 || n.score > m.shadow(n)*roots[0].score {
		return false
	}
	own := 0.0
	for k, ev := range n.ev {
		if ev == nil {
			continue
		}
		switch kind(k) {
		case kLat, kErr:
			own = max(own, ev.a*n.u[k])
		case kSelf:
			own = max(own, ev.a*n.hosted)
		case kNet, kRes, kUp:
			own = max(own, ev.a*n.imp[k])
		}
	}
	return own < .5
}

// shadow is how strong, relative to the first root, an entity may be and still
// be accounted for by it: more when what is below explains its own delay or
// failures, so that only the lines and calls that follow from them are left.
func (m *model) shadow(n *node) float64 {
	passes := false
	for _, k := range []kind{kLat, kErr} {
		if ev := n.ev[k]; ev != nil && ev.a >= .5 {
			if n.u[k] > .3 {
				return .6
			}
			passes = true
		}
	}
	if passes && m.rootBelow(n) {
		return .9
	}
	return .6
}

// rootBelow reports whether a root can be reached from n over what it depends
// on.
func (m *model) rootBelow(n *node) bool {
	seen := map[*node]bool{n: true}
	todo := []*node{n}
	for len(todo) > 0 {
		u := todo[0]
		todo = todo[1:]
		for _, next := range [2][]int{u.callees, u.hosts} {
			for _, i := range next {
				v := m.nodes[i]
				if seen[v] {
					continue
				}
				if v.role == ops.RoleRoot {
					return true
				}
				seen[v] = true
				todo = append(todo, v)
			}
		}
	}
	return false
}

// path is the way from the target to n, both included; only n when there is
// no target or no way.
func (m *model) path(n *node) []telemetry.Entity {
	out := []telemetry.Entity{n.e}
	for n.via >= 0 && len(out) < 64 {
		n = m.nodes[n.via]
		out = append(out, n.e)
	}
	slices.Reverse(out)
	return out
}

// picture picks the edges among the entities that have a part, and those that
// join them to the target.
func (m *model) picture(causes []ops.Cause) []ops.Link {
	in := map[telemetry.Entity]bool{}
	for i := range causes {
		if causes[i].Role == ops.RoleBystander && !causes[i].Inferred {
			continue
		}
		in[causes[i].Entity] = true
		if causes[i].Role == ops.RoleRoot {
			for _, e := range causes[i].Path {
				in[e] = true
			}
		}
	}
	out := []ops.Link{}
	if m.in.View == nil {
		return out
	}
	for _, e := range m.in.View.Edges() {
		from, to := m.fold(e.From), m.fold(e.To)
		l := ops.Link{From: from, To: to, Kind: string(e.Kind)}
		if e.Kind != graph.PartOf && from != to && in[from] && in[to] && !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out
}
