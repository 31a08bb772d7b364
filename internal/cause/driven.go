package cause

import (
	"strings"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// amplified is how much more an entity's traffic grew than that of its
// callers: 1 when they grew together or too little is known. A database that
// is asked eight times for each request of its caller is not ill itself.
func (m *model) amplified(n *node) float64 {
	if n.reqBase <= 0 || n.req <= 0 || len(n.callers) == 0 {
		return 1
	}
	now, before := 0.0, 0.0
	for _, i := range n.callers {
		if c := m.nodes[i]; c.req > 0 && c.reqBase > 0 {
			now, before = now+c.req, before+c.reqBase
		}
	}
	if before == 0 {
		return 1
	}
	return n.req / n.reqBase / max(1, now/before)
}

// amplifiedFrom is where more work for each of the callers' requests begins
// to explain what an entity shows.
const amplifiedFrom = 1.5

// calm weakens evidence that is real but means little: a mild slowdown of an
// entity whose callers ask it much more often for each of their requests, and
// a resource that is hardly used however much that grew.
func (m *model) calm(n *node, ev *evidence) float64 {
	switch ev.kind {
	case kLat, kSelf:
		if g := m.growth(n); m.amplified(n) >= amplifiedFrom && ev.x <= g*ev.med {
			return .3
		}
	case kRes:
		return idle(ev.meta, ev.x)
	}
	return 1
}

// idle is the weight of a saturation that is at x: a share of capacity under
// 2 % counts little, from 12 % on in full; a queue that holds less than one
// thing on average counts little.
func idle(s *telemetry.Series, x float64) float64 {
	if s == nil || s.Direction == telemetry.DownBad {
		return 1
	}
	name := strings.ToLower(s.Name)
	switch {
	case s.Unit == "1" && strings.Contains(name, "util"), s.Unit == "1" && strings.Contains(name, "cpu"):
		return clip((x-.02)/.1, .1, 1)
	case s.Unit == "s": // a wait of under a millisecond
		return clip(x/.001, .1, 1)
	case strings.Contains(name, "connection"), strings.Contains(name, "queue"), strings.Contains(name, "length"):
		return clip(x, .1, 1) // on average less than one
	}
	return 1
}

// forAccounting takes Norn's own means aside. They add up over a call tree, so
// that a caller's extra seconds can be split among its callees; quantiles
// cannot: the slowest twentieth of a caller's requests may all be of one kind.
func (m *model) forAccounting(ni int, ev *evidence) bool {
	n := m.nodes[ni]
	var to **evidence
	switch ev.meta.Labels.Get("__name__") {
	case "norn_latency_mean_seconds":
		to = &n.mean
	case "norn_self_time_mean_seconds":
		to = &n.self
	case "norn_edge_latency_mean_seconds":
		peer := m.add(ev.meta.Peer)
		if peer < 0 || peer == ni {
			return true
		}
		to = &m.link(ni, peer).mean
	default:
		return false
	}
	if ev.n >= m.cfg.MinBaseline {
		*to = ev
	}
	return true
}

// drastic reports whether a saturation has grown so much that a person wants
// to know before anybody suffers: most of a processor or memory share, memory
// nearly doubled, a queue that fills up.
func drastic(ev *evidence) bool {
	if ev.meta == nil || ev.meta.Direction == telemetry.DownBad {
		return false
	}
	const mib = 1 << 20
	switch grown := ev.x - ev.med; {
	case ev.meta.Unit == "1":
		return ev.x >= .6 && ev.x < 1.5 && grown >= .3
	case ev.meta.Unit == "By":
		return ev.x >= 1.8*ev.med && grown >= 64*mib
	case strings.Contains(strings.ToLower(ev.meta.Name), "queue"):
		return ev.x >= 5*ev.med && grown >= 20
	}
	return false
}

// unreachable reports whether a caller's calls to n fail although n itself
// reports no failures and counts fewer requests than were sent: nobody
// answered there.
func (m *model) unreachable(n *node, k kind, seen *evidence) bool {
	own := n.ev[k]
	if k != kErr || seen.a < .5 || own != nil && own.a >= .3 {
		return false
	}
	sent := 0.0
	for _, i := range n.callers {
		if l := m.links[[2]int{i, m.index[n.e]}]; l != nil {
			sent += l.rate
		}
	}
	return sent > 1.05*n.req
}
