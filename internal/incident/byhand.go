package incident

import (
	"fmt"
	"slices"

	"github.com/norn-aiops/norn/internal/ops"
)

// Mitigate says that who has begun to undo an incident's harm.
func (c *Correlator) Mitigate(id string, now int64, who, text string) (ops.Incident, error) {
	return c.byPerson(id, now, func(g *group) error {
		if g.in.State == ops.StateResolved {
			return fmt.Errorf("mitigate incident %s: it is resolved: %w", id, ErrState)
		}
		g.in.State = ops.StateMitigating
		g.tell(ops.Event{Time: now, Kind: "mitigating", Text: said(who, text)})
		return nil
	})
}

// working is an incident that is not resolved.
func (c *Correlator) working(id string) (*group, error) {
	if g := c.groups[id]; g != nil && g.in != nil {
		return g, nil
	}
	if g := c.closed[id]; g != nil {
		return nil, fmt.Errorf("incident %s is resolved: %w", id, ErrState)
	}
	return nil, fmt.Errorf("incident %s: %w", id, ErrUnknown)
}

// MergeByHand moves everything of an incident into another because who says
// that they have one cause. Cause analysis does not part them again. It returns
// the one that ended and the one that took it in.
func (c *Correlator) MergeByHand(id, into string, now int64, who string) ([]ops.Incident, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from, err := c.working(id)
	if err != nil {
		return nil, err
	}
	to, err := c.working(into)
	if err != nil {
		return nil, err
	}
	if from == to {
		return nil, fmt.Errorf("merge incident %s into itself: %w", id, ErrState)
	}
	to.in.Apart = without(to.in.Apart, id)
	for _, r := range from.records {
		r.moved = true
		r.why = append(r.why, Reason{Name: "operator", Text: said(who, "merged "+id+" into "+into), Weight: 1})
	}
	in := to.in
	to.tell(ops.Event{Time: now, Kind: "merged", Text: said(who, "merged "+id+" into this one")})
	out := c.merge(now, to, from, ops.Judgement{Verdict: in.Verdict, Title: in.Title, Sentence: in.Sentence, Confidence: in.Confidence,
		Severity: to.evidence, Impact: in.Impact, ImpactText: in.ImpactText, Causes: in.Causes, Links: in.Links, Harm: in.Harm})
	to.dirty = true // judged anew with what came
	return out, nil
}

func without(list []string, id string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(x string) bool { return x == id })
}

// SplitByHand moves some of an incident's anomalies into a new one because who
// says that they have another cause. They are not merged again by themselves.
// It returns the old and the new one, which is judged with the next tick.
func (c *Correlator) SplitByHand(id string, anomalies []string, now int64, who string) ([]ops.Incident, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, err := c.working(id)
	if err != nil {
		return nil, err
	}
	var away []*record
	for _, a := range anomalies {
		i := slices.IndexFunc(g.records, func(r *record) bool { return r.a.ID == a })
		if i < 0 {
			return nil, fmt.Errorf("anomaly %s in incident %s: %w", a, id, ErrUnknown)
		}
		if r := g.records[i]; !slices.Contains(away, r) {
			r.moved = false // a person's word moves it again
			away = append(away, r)
		}
	}
	if len(away) == 0 || len(away) == len(g.records) {
		return nil, fmt.Errorf("split incident %s: name some of its %d anomalies, not none and not all: %w", id, len(g.records), ErrState)
	}
	c.moveAway(g, away, said(who, "split it off by hand"))
	n := away[0].group
	if n == g {
		return nil, fmt.Errorf("split incident %s: there are too many open incidents: %w", id, ErrState)
	}
	c.open(now, n)
	c.stats.Opened++
	n.in.Apart = []string{id}
	n.in.State = g.in.State
	n.tell(ops.Event{Time: now, Kind: "split", Text: said(who, "split off "+id)})
	g.tell(ops.Event{Time: now, Kind: "split", Text: said(who, fmt.Sprintf("split %d anomalies off into %s", len(away), n.id))})
	c.update(now, n, ops.Judgement{Verdict: ops.VerdictUnknown, Title: "split off: " + g.in.Title, Severity: g.evidence,
		Sentence: "An operator split this off " + id + "; its cause is being looked for.", Impact: g.in.Impact, ImpactText: g.in.ImpactText})
	g.in.Anomalies, g.in.Entities, g.in.Alerts, g.in.Updated = g.anomalies(), g.names(), g.alerts(), now
	c.finishTimeline(g)
	g.dirty, n.dirty = true, true
	return []ops.Incident{copyOf(g.in), copyOf(n.in)}, nil
}

// apart reports whether a person said that two incidents are not one.
func apart(a, b *group) bool {
	has := func(x, y *group) bool { return x.in != nil && slices.Contains(x.in.Apart, y.id) }
	return has(a, b) || has(b, a)
}
