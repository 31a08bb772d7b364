package incident

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// merge moves everything of from into into, and takes the judgement there.
func (c *Correlator) merge(now int64, into, from *group, j ops.Judgement) []ops.Incident {
	for _, r := range from.records {
		r.why = append(r.why, Reason{Name: "cause", Text: "its group was found to have the same cause", Weight: 1})
		into.add(r, c.cfg.MaxAnomalies)
		c.indexEntities(into, r)
		if len(into.timeline) < maxTimeline/2 {
			into.tell(anomalyEvent(r))
		}
	}
	into.extra += from.extra
	for _, r := range c.records {
		if r.group == from {
			r.group = into
		}
	}
	c.unindex(from)
	delete(c.groups, from.id)
	var out []ops.Incident
	if from.in != nil {
		into.tell(ops.Event{Time: now, Kind: "merged", Text: "took in " + from.in.Title})
		from.in.State, from.in.MergedInto, from.in.Resolved, from.in.Updated = ops.StateResolved, into.id, now, now
		from.tell(ops.Event{Time: now, Kind: "merged", Text: "merged into " + into.id})
		c.finishTimeline(from)
		out = append(out, copyOf(from.in))
	}
	into.dirty = false
	c.update(now, into, j)
	return append(out, copyOf(into.in))
}

// returned is the incident with the same first root that ended a short while
// ago.
func (c *Correlator) returned(g *group, roots []telemetry.Entity, now int64) *group {
	var best *group
	for _, o := range c.closed {
		if o.byHand || o.in == nil || now-o.in.Resolved > c.cfg.Grace || len(roots) == 0 || len(o.roots) == 0 || roots[0] != o.roots[0] {
			continue
		}
		if best == nil || o.in.Resolved > best.in.Resolved || o.in.Resolved == best.in.Resolved && o.before(best) {
			best = o
		}
	}
	return best
}

// reopen brings an ended incident back with the new group's evidence.
func (c *Correlator) reopen(now int64, back, g *group, j ops.Judgement) []ops.Incident {
	delete(c.closed, back.id)
	c.groups[back.id] = back
	for _, r := range back.records {
		c.indexEntities(back, r)
	}
	back.in.State, back.in.Resolved, back.reopened = ops.StateOpen, 0, true
	back.tell(ops.Event{Time: now, Kind: "reopened", Text: "the same cause came back"})
	return c.merge(now, back, g, j)
}

// Resolve ends the incidents whose anomalies have all ended a quiet period ago,
// and those whose root and first victims are well for that long, and returns
// them.
func (c *Correlator) Resolve(now int64) []ops.Incident {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.aside
	c.aside = nil
	for _, g := range c.sorted() {
		if g.in == nil {
			continue
		}
		if !g.active(now, c.cfg.Stale) && now-g.last >= c.cfg.Quiet {
			c.close(now, g, "quiet for "+minutes(now-g.last))
			out = append(out, copyOf(g.in))
		} else if well, ok := c.wellFor(now, g); ok && well >= c.cfg.Quiet {
			c.leave(now, g)
			c.close(now, g, "its cause is well for "+minutes(well))
			out = append(out, copyOf(g.in))
		}
	}
	return out
}

func minutes(ms int64) string { return fmt.Sprintf("%d min", (ms+30_000)/60_000) }

func (c *Correlator) close(now int64, g *group, text string) {
	g.in.State, g.in.Resolved, g.in.Updated = ops.StateResolved, now, now
	g.in.Anomalies, g.in.Alerts = g.anomalies(), g.alerts()
	g.tell(ops.Event{Time: now, Kind: "resolved", Text: text})
	c.finishTimeline(g)
	c.unindex(g)
	delete(c.groups, g.id)
	c.closed[g.id] = g
}

// sorted gives the active groups in a fixed order.
func (c *Correlator) sorted() []*group {
	out := make([]*group, 0, len(c.groups))
	for _, g := range c.groups {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *group) int { return cmp.Or(cmp.Compare(a.onset, b.onset), cmp.Compare(a.id, b.id)) })
	return out
}

// Load takes in incidents that were open before a restart, so that they go on
// where they were. Others are left out.
func (c *Correlator) Load(ins []ops.Incident) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range ins {
		in := copyOf(&ins[i])
		if in.State == ops.StateResolved || in.MergedInto != "" || c.groups[in.ID] != nil {
			continue
		}
		g := &group{id: in.ID, onset: in.Onset, last: max(in.Onset, in.Updated), bySeries: map[uint64]*record{},
			entities: map[telemetry.Entity]float64{}, in: &in, evidence: in.Severity, judged: in.Updated, timeline: slices.Clone(in.Timeline)}
		if len(in.Entities) > 0 {
			g.founder = in.Entities[0]
		}
		for _, a := range in.Anomalies {
			r := &record{a: a, series: seriesKey(&a), surprise: 1, count: 1, why: a.Why}
			if a.Kind == ops.AnomalyAlert && a.Surprise > 0 {
				r.surprise = a.Surprise
			}
			if len(r.why) == 0 {
				r.why = []Reason{{Name: "founder", Text: "it was part of it before the restart", Weight: 1}}
			}
			r.note(&a)
			g.add(r, c.cfg.MaxAnomalies)
			c.records[a.ID] = r
			c.indexEntities(g, r)
			c.speaks(r, r.last())
		}
		g.extra = max(0, in.Alerts-len(in.Anomalies))
		for _, e := range in.Entities {
			if _, ok := g.entities[e]; !ok {
				g.entities[e] = .05
			}
		}
		g.roots = rootsOf(ops.Judgement{Causes: in.Causes})
		if g.pooled() && len(g.roots) > 0 {
			g.suspect, g.suspectOnset = g.roots[0], in.Onset
		}
		c.groups[g.id] = g
	}
}

// Acknowledge marks an open incident as seen by who.
func (c *Correlator) Acknowledge(id string, now int64, who, text string) (ops.Incident, error) {
	return c.byPerson(id, now, func(g *group) error {
		if g.in.State == ops.StateResolved {
			return fmt.Errorf("acknowledge incident %s: it is resolved: %w", id, ErrState)
		}
		g.in.State = ops.StateAcknowledged
		g.tell(ops.Event{Time: now, Kind: "acknowledged", Text: said(who, text)})
		return nil
	})
}

// ResolveByHand ends an incident because who says so. Its anomalies do not
// bring it back.
func (c *Correlator) ResolveByHand(id string, now int64, who, text string) (ops.Incident, error) {
	return c.byPerson(id, now, func(g *group) error {
		if g.in.State == ops.StateResolved {
			return fmt.Errorf("resolve incident %s: it is resolved already: %w", id, ErrState)
		}
		g.byHand = true
		c.close(now, g, said(who, text))
		return nil
	})
}

// Comment adds a remark to the timeline, in any state.
func (c *Correlator) Comment(id string, now int64, who, text string) (ops.Incident, error) {
	return c.byPerson(id, now, func(g *group) error {
		g.tell(ops.Event{Time: now, Kind: "comment", Text: said(who, text)})
		return nil
	})
}

func (c *Correlator) byPerson(id string, now int64, do func(*group) error) (ops.Incident, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.groups[id]
	if g == nil {
		g = c.closed[id]
	}
	if g == nil || g.in == nil {
		return ops.Incident{}, fmt.Errorf("incident %s: %w", id, ErrUnknown)
	}
	if err := do(g); err != nil {
		return ops.Incident{}, err
	}
	g.in.Updated = now
	c.finishTimeline(g)
	return copyOf(g.in), nil
}

func said(who, text string) string {
	if text == "" {
		return who
	}
	if who == "" {
		return text
	}
	return who + ": " + text
}

// Reasons says why an anomaly is in an incident, strongest first. ok is false
// when the incident or the anomaly in it is not known.
func (c *Correlator) Reasons(id, anomalyID string) (rs []Reason, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.records[anomalyID]
	if r == nil || r.group == nil || r.group.id != id {
		return nil, false
	}
	return r.reasons(), true
}

// reasons are why the record is where it is, strongest first.
func (r *record) reasons() []Reason {
	rs := slices.Clone(r.why)
	if r.count > 1 {
		rs = append(rs, Reason{Name: "flapping", Text: fmt.Sprintf("the same series spoke %d times", r.count), Weight: .5})
	}
	slices.SortStableFunc(rs, func(a, b Reason) int { return cmp.Compare(b.Weight, a.Weight) })
	return rs
}

// Why is Reasons in one sentence, "" when the anomaly is not in the incident.
func (c *Correlator) Why(id, anomalyID string) string {
	rs, ok := c.Reasons(id, anomalyID)
	if !ok {
		return ""
	}
	return Sentence(rs)
}

// Sentence says reasons in one sentence.
func Sentence(rs []Reason) string {
	if len(rs) == 0 {
		return "It belongs here; why was not kept."
	}
	text := "It belongs here because "
	for i, r := range rs {
		if i > 0 {
			text += "; "
		}
		text += r.Text
	}
	return text + "."
}

// Holder is the incident that holds an alert or anomaly now. ok is false when
// none does.
func (c *Correlator) Holder(anomalyID string) (id string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.records[anomalyID]
	if r == nil || r.group == nil || r.group.in == nil {
		return "", false
	}
	return r.group.id, true
}
