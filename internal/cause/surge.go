package cause

import "fmt"

// said is a verdict in words.
type said struct{ title, text string }

// surge recognises more traffic that is served well enough: it explains
// processor use and a mild slowdown, and nothing else is wrong. It looks at
// the entities where traffic enters, so that a storm of retries inside the
// estate does not count as a surge.
func (m *model) surge() (said, bool) {
	var top *node
	for _, n := range m.nodes {
		ev := n.ev[kReq]
		if ev == nil || ev.a < .5 || m.growth(n) < m.cfg.SurgeFactor || m.calledByUs(n) {
			continue
		}
		if top == nil || n.req > top.req {
			top = n
		}
	}
	if top == nil {
		return said{}, false
	}
	g := m.growth(top)
	cost := 0.0
	for _, n := range m.nodes {
		for k, ev := range n.ev {
			if ev == nil || n.newDep || ev.a < .5 {
				continue
			}
			ok := true
			switch kind(k) {
			case kErr:
				ok = ev.meta != nil && ev.d < .01
			case kUp, kAlert:
				ok = false
			case kRes: // already divided by the entity's own load
				ok = ev.med == 0 || ev.x <= 1.35*ev.med || n.reqBase == 0 && ev.x <= 1.35*g*ev.med
			case kLat, kSelf, kNet:
				ok = ev.med > 0 && ev.x <= max(1.5, g)*ev.med || ev.d < .02
			}
			if !ok {
				return said{}, false
			}
		}
		if ev := n.ev[kRes]; ev != nil && ev.med > 0 {
			cost = max(cost, ev.x/ev.med)
		}
	}
	text := fmt.Sprintf("Traffic ×%s at %s (%s instead of %s); ", human(g, ""), top.e.Name, human(top.req, "{request}/s"), human(top.reqBase, "{request}/s"))
	if cost > 0 {
		text += "cost per request normal, "
	}
	return said{
		title: fmt.Sprintf("%s: traffic ×%s, nothing broken", top.e.Name, human(g, "")),
		text:  text + "requests are served: not a fault.",
	}, true
}

// calledByUs reports whether any entity with traffic of its own calls n.
func (m *model) calledByUs(n *node) bool {
	for _, c := range n.callers {
		if m.nodes[c].req > 0 {
			return true
		}
	}
	return false
}
