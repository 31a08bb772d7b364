package cause

import (
	"fmt"
	"math"
	"slices"
)

// impact is what users notice.
type impact struct {
	share float64 // of the estate's requests that suffer
	text  string
}

// userImpact adds up, over the entities where requests enter, the share of
// requests that fail or are slower than 95 of 100 used to be.
func (m *model) userImpact() impact {
	entries := m.entries()
	total, hurt := 0.0, 0.0
	var worst *node
	worstShare, worstSlow, worstFail := 0.0, 0.0, 0.0
	for _, n := range entries {
		v := max(n.req, 1e-9)
		slow, fail := n.slowShare(), n.failShare()
		share := 1 - (1-slow)*(1-fail)
		total += v
		hurt += v * share
		if share*v > worstShare && share >= .005 {
			worst, worstShare, worstSlow, worstFail = n, share*v, slow, fail
		}
	}
	if total == 0 || worst == nil {
		return impact{text: "No request of users is seen to suffer."}
	}
	out := impact{share: clip(hurt/total, 0, 1)}
	switch {
	case worstFail >= .005 && worstSlow >= .05:
		out.text = fmt.Sprintf("Users see %s of requests at %s fail and about %s slow.", percent(worstFail), worst.e.Name, percent(worstSlow))
	case worstFail >= .005:
		out.text = fmt.Sprintf("Users see %s of requests at %s fail.", percent(worstFail), worst.e.Name)
	default:
		out.text = fmt.Sprintf("Users see about %s of requests at %s slow.", percent(worstSlow), worst.e.Name)
	}
	return out
}

// entries are the entities that take requests from outside: nobody known
// calls them. Without any (a cycle), the target stands in.
func (m *model) entries() []*node {
	var out []*node
	for _, n := range m.nodes {
		if !n.observed || len(n.callers) > 0 || len(n.tenants) > 0 {
			continue
		}
		if n.ev[kLat] != nil || n.ev[kErr] != nil {
			out = append(out, n)
		}
	}
	if m.target >= 0 && !slices.Contains(out, m.nodes[m.target]) {
		out = append(out, m.nodes[m.target])
	}
	return out
}

func (n *node) failShare() float64 {
	ev := n.ev[kErr]
	if ev == nil || ev.a < .5 || ev.meta == nil {
		return 0
	}
	if ev.high <= 1 && ev.x <= 1 {
		return clip(max(0, ev.raw), 0, 1)
	}
	if n.req > 0 {
		return clip(max(0, ev.raw)/n.req, 0, 1)
	}
	return 0
}

// slowShare estimates the share of requests slower than the usual 95th
// percentile, from where the window's quantiles cross it; the usual 5 % are
// taken off. With one quantile known it is a lower bound.
func (n *node) slowShare() float64 {
	ev := n.ev[kLat]
	if ev == nil || ev.a < .5 {
		return 0
	}
	p50, p95 := n.lats["0.5"], n.lats["0.95"]
	if p95 == nil {
		if ev.stat == "0.5" || ev.stat == "mean" {
			return .5 * ev.a
		}
		return .05 * ev.a
	}
	usual := p95.med + p95.s
	switch {
	case p50 != nil && p50.x >= usual:
		return clip(.5+.45*math.Log(p50.x/usual), .5, .95)
	case p95.x <= usual:
		return 0
	case p50 != nil && p50.x > 0 && p50.x < p95.x:
		q := .5 + .45*math.Log(usual/p50.x)/math.Log(p95.x/p50.x)
		return clip(1-q-.05, 0, .5)
	}
	return .05 * ev.a
}
