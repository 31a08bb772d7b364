package incident

import (
	"fmt"
	"math"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// follow gives the alerts that the fit left out a place: those that say
// little, in an open incident beside whose root they are; those that only
// were too many, where their entity's others are or where they fit best.
func (c *Correlator) follow(rest []*record) {
	f := follower{c: c, known: map[[2]telemetry.Entity][]float64{}, at: map[telemetry.Entity]*group{}}
	for _, g := range c.sorted() {
		if !g.pooled() || g.suspect.IsZero() {
			continue
		}
		f.groups = append(f.groups, g)
		for _, r := range g.records {
			if r.surprise >= contextOnly && f.at[r.subject()] == nil {
				f.at[r.subject()] = g
			}
		}
	}
	if len(f.groups) == 0 {
		return
	}
	for _, r := range rest {
		if r.group != nil {
			continue
		}
		if g := f.place(r); g != nil {
			c.stats.Joined++
			g.add(r, c.cfg.MaxAnomalies)
			c.indexEntities(g, r)
		}
	}
}

// subject is the entity that an alert is about: of a call the callee.
func (r *record) subject() telemetry.Entity {
	if !r.a.Peer.IsZero() {
		return r.a.Peer
	}
	return r.a.Entity
}

type follower struct {
	c      *Correlator
	groups []*group
	at     map[telemetry.Entity]*group       // where an entity's rare alerts are
	known  map[[2]telemetry.Entity][]float64 // worth of each group's root for an entity (or call)
}

// values gives what each group's root is worth for the alert's entity.
func (f *follower) values(r *record) []float64 {
	k := [2]telemetry.Entity{r.a.Entity, r.a.Peer}
	v, ok := f.known[k]
	if !ok {
		v = make([]float64, len(f.groups))
		for _, s := range f.c.suspects(&r.a) {
			for i, g := range f.groups {
				if g.suspect == s.Entity {
					v[i] = s.Value
				}
			}
		}
		f.known[k] = v
	}
	return v
}

func (f *follower) place(r *record) *group {
	many := r.surprise >= contextOnly
	if g := f.at[r.subject()]; g != nil && many {
		r.why = []Reason{{Name: "topology", Weight: 1, Text: "other alerts of " + r.subject().Name + " are part of it"}}
		return g
	}
	rel := f.values(r)
	var best *group
	top, how := 0.0, 0.0
	for i, g := range f.groups {
		if !many && g.in == nil {
			continue
		}
		d := r.a.Onset - g.suspectOnset
		v := nearContext*rel[i] - math.Abs(float64(d))/tauKept
		if many {
			v = max(max(0, rel[i])*math.Exp(-math.Abs(float64(d))/tauKept), relNowhere*math.Exp(-math.Abs(float64(d))/tauUnknown)) - leastWorth
		}
		if d < -earlyKept {
			v--
		}
		if v > top {
			best, top, how = g, v, rel[i]
		}
	}
	if best == nil {
		return nil
	}
	r.why = []Reason{
		{Name: "topology", Weight: clip(how/2.5, 0, 1), Text: relatedText(how, r.subject().Name, best.suspect.Name)},
		{Name: "surprise", Weight: r.surprise, Text: "this alert comes in most troubles, so that it only accompanies"},
	}
	if many {
		r.why[1].Text = "so many came at once that only the rarest decided"
	}
	return best
}

func relatedText(rel float64, e, root string) string {
	if rel > 0 {
		return fmt.Sprintf("%s is related to %s, the likely root", e, root)
	}
	return "no relation to " + root + ", the likely root, is known; it came at the same time"
}
