package cause

import (
	"cmp"
	"math"
	"slices"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// leastUnexplained keeps a trace of every entity's own excess: accounting is
// never exact.
const leastUnexplained = .02

// usable reports whether the node can be judged on k.
func (n *node) usable(k kind) bool { return n.ev[k] != nil && !n.newDep }

// calleesOf lists what p calls, passing through entities that have no data of
// kind k, so that an unmonitored hop (a load balancer, a gateway) does not cut
// the chain.
func (m *model) calleesOf(p int, k kind) []int {
	var out []int
	seen := map[int]bool{p: true}
	todo := slices.Clone(m.nodes[p].callees)
	for len(todo) > 0 {
		c := todo[0]
		todo = todo[1:]
		if seen[c] {
			continue
		}
		seen[c] = true
		n := m.nodes[c]
		if n.usable(k) || n.ev[kUp] != nil || n.newDep {
			out = append(out, c)
			continue
		}
		if k == kErr && (n.usable(kLat) || n.ev[kLog] != nil) { // it can still explain by being slow or wrong
			out = append(out, c)
		}
		todo = append(todo, n.callees...)
	}
	slices.SortFunc(out, func(a, b int) int { return cmpEntity(m.nodes[a].e, m.nodes[b].e) })
	return out
}

// explain computes for latency and errors which share of every entity's
// excess its callees carry. What remains is its own.
func (m *model) explain() {
	for _, k := range []kind{kLat, kErr} {
		below := make([][]int, len(m.nodes))
		above := make([][]int, len(m.nodes))
		for p := range m.nodes {
			below[p] = m.calleesOf(p, k)
			for _, c := range below[p] {
				above[c] = append(above[c], p)
			}
		}
		for p, n := range m.nodes {
			ev := n.ev[k]
			if ev == nil || ev.d <= 0 {
				continue
			}
			total := 0.0
			for _, c := range below[p] {
				f := m.share(p, c, k, above[c])
				if f <= 0 {
					continue
				}
				total += f
				if ev.a >= .5 && f >= .05 {
					n.explained = append(n.explained, ops.Explained{By: m.nodes[c].e, Share: min(f, 1)})
				}
			}
			total += m.byNetwork(p, k)
			n.u[k] = max(leastUnexplained, 1-min(1, total))
			if k == kLat && !m.hasDark(n) {
				n.u[k] = min(n.u[k], n.ownShare())
			}
		}
	}
	m.explainByHosts()
	for _, n := range m.nodes {
		n.explained = mergeShares(n.explained)
	}
}

// share is a(c) f(c->p): how much of p's excess of kind k the callee c
// carries, weighted by how sure its own evidence is.
func (m *model) share(p, c int, k kind, callers []int) float64 {
	pn, cn := m.nodes[p], m.nodes[c]
	if cn.newDep {
		return 0
	}
	silent := 0.0
	if cn.ev[kUp] != nil {
		silent = .9 * cn.ev[kUp].a
	}
	stat := pn.ev[k].stat
	ep := pn.excess(k, stat)
	if ep <= 0 {
		return 0
	}
	f, a := 0.0, cn.strength(k)
	switch e, ok := m.edgeExcess(p, c, k, stat); {
	case ok:
		f = min(1, e/ep)
	case cn.ev[k] != nil:
		f = min(1, cn.excess(k, stat)*m.requestShare(p, c, callers)/ep)
	}
	f *= a
	if k == kErr { // a callee that hangs fails its callers by their time-outs
		if lat := cn.ev[kLat]; lat != nil && lat.x > 3*lat.med {
			f = max(f, .6*lat.a)
		}
	}
	for _, lk := range [...]kind{kLog, kSeq} { // wrong answers fail callers without failing themselves
		if log := cn.ev[lk]; k == kErr && log != nil && log.a >= .8 {
			f = max(f, .5*log.a)
		}
	}
	return max(f, silent)
}

// edgeExcess is what the caller itself measured on the call, if it did.
func (m *model) edgeExcess(p, c int, k kind, stat string) (float64, bool) {
	l := m.links[[2]int{p, c}]
	if l == nil || l.rate <= 0 {
		return 0, false
	}
	if k == kLat && m.nodes[p].mean != nil && l.mean != nil {
		return max(0, l.mean.raw) * l.rate, true
	}
	ev := l.ev[k]
	if k == kLat {
		ev = l.lats[stat]
	}
	if ev == nil {
		return 0, false
	}
	return max(0, ev.d) * l.rate, true
}

// requestShare is the part of c's requests that p makes.
func (m *model) requestShare(p, c int, callers []int) float64 {
	if l := m.links[[2]int{p, c}]; l != nil && l.rate > 0 && m.nodes[c].req > 0 {
		return min(1, l.rate/m.nodes[c].req)
	}
	total := 0.0
	for _, q := range callers {
		total += max(m.nodes[q].req, 0)
	}
	if total <= 0 || m.nodes[p].req <= 0 {
		return 1 / float64(max(len(callers), 1))
	}
	return m.nodes[p].req / total
}

// byNetwork is the share of p's extra latency that it spends between its
// client and its callees' servers.
func (m *model) byNetwork(p int, k kind) float64 {
	n := m.nodes[p]
	if k != kLat {
		return 0
	}
	ep := n.excess(k, n.ev[k].stat)
	total := 0.0
	for _, c := range n.callees {
		l := m.links[[2]int{p, c}]
		if l == nil || l.ev[kNet] == nil || ep <= 0 {
			continue
		}
		ev := l.ev[kNet]
		total += ev.a * min(1, max(0, ev.d)*max(l.rate, n.req)/ep)
	}
	return min(1, total)
}

// hasDark reports whether n calls something that nobody watches.
func (m *model) hasDark(n *node) bool {
	return slices.ContainsFunc(n.callees, func(c int) bool { return !m.nodes[c].observed })
}

// ownShare bounds an entity's own part in its latency by what its self time
// shows: if requests got slow but the time in the entity did not grow, the
// delay is elsewhere, seen or not.
func (n *node) ownShare() float64 {
	if n.self != nil && n.mean != nil && n.mean.raw > 0 {
		return clip(n.self.raw/n.mean.raw, .05, 1)
	}
	self, lat := n.ev[kSelf], n.lats["0.5"]
	if self == nil || lat == nil || lat.a < .5 || lat.d <= 0 {
		return 1
	}
	return clip(max(0, self.d)/lat.d, .15, 1)
}

// explainByHosts lets a saturated host explain its tenants, unless one tenant
// itself burns what the host lacks: then the tenant explains the host.
func (m *model) explainByHosts() {
	for _, h := range m.nodes {
		if len(h.tenants) == 0 || h.ev[kRes] == nil || h.ev[kRes].a < .5 {
			continue
		}
		burn := 0.0
		for _, t := range h.tenants {
			if ev := m.nodes[t].ev[kRes]; ev != nil {
				burn = max(burn, ev.a)
			}
		}
		h.imp[kRes] = 1 - .8*burn
		if burn >= .5 {
			continue
		}
		for _, t := range h.tenants {
			tn := m.nodes[t]
			tn.hosted = max(leastUnexplained, 1-.9*h.ev[kRes].a)
			for k := range tn.u {
				if tn.ev[k] != nil && tn.ev[k].a >= .5 {
					tn.u[k] = max(leastUnexplained, tn.u[k]*tn.hosted)
					tn.explained = append(tn.explained, ops.Explained{By: h.e, Share: .8 * h.ev[kRes].a})
				}
			}
		}
	}
}

// mergeShares keeps the largest share per entity, largest first.
func mergeShares(in []ops.Explained) []ops.Explained {
	slices.SortStableFunc(in, func(a, b ops.Explained) int {
		return cmp.Or(cmpEntity(a.By, b.By), cmp.Compare(b.Share, a.Share))
	})
	in = slices.CompactFunc(in, func(a, b ops.Explained) bool { return a.By == b.By })
	slices.SortStableFunc(in, func(a, b ops.Explained) int { return cmp.Compare(b.Share, a.Share) })
	return in
}

// chooseTarget settles where the incident is felt and in which kinds.
func (m *model) chooseTarget() {
	m.kinds = []kind{kLat, kErr}
	if m.in.Target.IsZero() {
		return
	}
	t := m.add(m.in.Target)
	var kinds []kind
	for _, k := range []kind{kLat, kErr} {
		if ev := m.nodes[t].ev[k]; ev != nil && ev.a >= .5 {
			kinds = append(kinds, k)
		}
	}
	if len(kinds) > 0 {
		m.target, m.kinds = t, kinds
	}
}

// impact fills how much of the target's excess every entity could carry.
func (m *model) impact() {
	for _, n := range m.nodes {
		for k := range n.imp {
			if n.imp[k] == 0 {
				n.imp[k] = 1
			}
		}
		n.restingResources()
	}
	for _, k := range []kind{kLat, kErr} {
		stat, top := "", 0.0
		if m.target >= 0 {
			if ev := m.nodes[m.target].ev[k]; ev != nil {
				stat = ev.stat
				top = m.nodes[m.target].excess(k, stat)
			}
		} else {
			for _, n := range m.nodes {
				if n.strength(k) >= .5 {
					top = max(top, n.excess(k, ""))
				}
			}
		}
		for _, n := range m.nodes {
			n.imp[k] = m.impactOf(n.excess(k, stat), top)
			if k == kLat {
				n.imp[kSelf] = m.impactOf(n.partial(kSelf), top)
				n.imp[kNet] = max(.3, m.impactOf(n.partial(kNet), top))
			}
		}
	}
}

// partial is the extra seconds a second of self time or network gap.
func (n *node) partial(k kind) float64 {
	if n.ev[k] == nil {
		return 0
	}
	if k == kSelf && n.self != nil {
		return max(0, n.self.raw) * max(n.req, 1e-9)
	}
	return max(0, n.ev[k].d) * max(n.req, 1e-9)
}

func (m *model) impactOf(e, top float64) float64 {
	if top <= 0 {
		return 1
	}
	if m.target < 0 {
		return .5 + .5*min(1, e/top)
	}
	return min(1, e/top)
}

// restingResources weakens saturation that hurts nobody: a rise that is sure
// but small (full weight from half as much again, and from ten points of a hundred), and more so while the
// entity's own latency and errors are watched and normal.
func (n *node) restingResources() {
	if ev := n.ev[kRes]; ev != nil && ev.med > 0 && ev.meta != nil && ev.meta.Direction != telemetry.DownBad {
		n.imp[kRes] *= clip((ev.x/ev.med-1)/.5, .3, 1)
		if ev.meta.Unit == "1" {
			n.imp[kRes] *= clip((ev.x-ev.med)/.1, .2, 1)
		}
	}
	watched, well := false, true
	for _, k := range []kind{kLat, kErr} {
		if n.usable(k) {
			watched = true
			well = well && n.ev[k].a < .3
		}
	}
	if watched && well {
		n.imp[kRes] *= .8
	}
}

// paths gives every entity the widest path from the target: each hop through
// an entity that is itself well narrows it; an entity without data does not.
func (m *model) paths() {
	if m.target < 0 {
		for _, n := range m.nodes {
			n.dist = 1
		}
		return
	}
	m.nodes[m.target].dist = 1
	done := make([]bool, len(m.nodes))
	for {
		u, best := -1, 0.0
		for i, n := range m.nodes {
			if !done[i] && n.dist > best {
				u, best = i, n.dist
			}
		}
		if u < 0 {
			return
		}
		done[u] = true
		un := m.nodes[u]
		hop := best
		if u != m.target && un.observed {
			hop *= .2 + .8*un.anomalous()
		}
		for _, next := range [2][]int{un.callees, un.hosts} {
			for _, v := range next {
				if !done[v] && hop > m.nodes[v].dist {
					m.nodes[v].dist, m.nodes[v].via = hop, u
				}
			}
		}
	}
}

// score combines what speaks for n: a noisy or of its unexplained evidence.
func (m *model) scoreNode(n *node) float64 {
	left := 1.0
	for k := range nKinds {
		ev := n.ev[k]
		if ev == nil || n.newDep && k != kUp && k != kAlert {
			continue
		}
		u := 1.0
		switch k {
		case kLat, kErr:
			if !slices.Contains(m.kinds, k) {
				continue
			}
			u = n.u[k]
		case kSelf, kNet:
			if !slices.Contains(m.kinds, kLat) {
				continue
			}
			if k == kSelf {
				u = n.hosted
			}
		case kAlert: // an alert about latency or errors is explained as they are
			u = min(1, max(n.u[kLat], n.u[kErr]))
		}
		left *= 1 - weight[k]*ev.a*u*n.imp[k]
	}
	return n.dist * (1 - left)
}

func odds(p, factor float64) float64 {
	p = min(p, 1-1e-9)
	o := p / (1 - p) * factor
	return o / (1 + o)
}

// darkRoots passes a part of a caller's unexplained excess to the callees that
// nobody watches. They always stay below the caller.
func (m *model) darkRoots() {
	for _, p := range m.nodes {
		own := 0.0
		for _, k := range m.kinds {
			if ev := p.ev[k]; ev != nil {
				own = max(own, ev.a*p.u[k])
			}
		}
		if self := p.ev[kSelf]; self != nil && self.a >= .5 {
			own *= .3 // it is busy itself
		}
		var dark []int
		for _, c := range p.callees {
			if !m.nodes[c].observed && m.nodes[c].dist > 0 {
				dark = append(dark, c)
			}
		}
		for _, c := range dark {
			if s := .6 * min(p.score, own) / math.Sqrt(float64(len(dark))); s > m.nodes[c].score {
				m.nodes[c].score, m.nodes[c].dark = s, true
			}
		}
	}
}
