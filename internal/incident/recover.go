package incident

import (
	"slices"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// wellFor is how long (ms) the root and its first victims have been well when
// the trouble that an incident was opened for is over: since the newest of
// their signs. ok is false while one of them lasts, when the cause is not sure
// or has no signs of its own, and after a reopening: then only the end of all
// signs ends the incident.
func (c *Correlator) wellFor(now int64, g *group) (ms int64, ok bool) {
	in := g.in
	sure := in.Verdict == ops.VerdictCause || in.Verdict == ops.VerdictLocal
	if !sure || in.Confidence < sureOfOnset || g.reopened {
		return 0, false
	}
	last := int64(0)
	for _, r := range g.records {
		own := c.ofRoot(g, &r.a)
		if weakSilence(&r.a) || !own && !firstVictim(in, &r.a) {
			continue
		}
		if r.active(now, c.cfg.Stale) {
			return 0, false
		}
		if own {
			ok = true
		}
		last = max(last, r.last())
	}
	return now - last, ok
}

// ofRoot reports whether the anomaly is of one of the incident's roots, of an
// instance of one, or is what a caller sees of one.
func (c *Correlator) ofRoot(g *group, a *ops.Anomaly) bool {
	for _, e := range []telemetry.Entity{a.Entity, a.Instance, a.Peer, c.service(a.Entity)} {
		if !e.IsZero() && slices.Contains(g.roots, e) {
			return true
		}
	}
	return false
}

// firstVictim tells slowness and failures that began with the incident: while
// one lasts, users may still suffer from it.
func firstVictim(in *ops.Incident, a *ops.Anomaly) bool {
	felt := a.Signal == telemetry.SignalLatency || a.Signal == telemetry.SignalErrors
	return felt && a.Direction >= 0 && a.Severity >= .2 && a.Onset <= in.Onset+laterBy
}

// leave moves what began long after an incident and still lasts into a group
// of its own, before the incident ends without it.
func (c *Correlator) leave(now int64, g *group) {
	var away []*record
	for _, r := range g.records {
		if r.a.Onset > g.in.Onset+laterBy && r.active(now, c.cfg.Stale) {
			away = append(away, r)
		}
	}
	c.moveAway(g, away, "it began long after the incident whose cause was well again, and went on")
}
