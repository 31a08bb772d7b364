package incident

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Apply takes the judgement of a candidate and returns the incidents that
// changed and must be stored and published: opened, updated, reopened, merged.
// An unknown id changes nothing. A candidate without a cause stays invisible
// unless it is severe; one whose evidence may well be chance, when the budget
// of false pages does not allow it.
func (c *Correlator) Apply(now int64, id string, j ops.Judgement) []ops.Incident {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.groups[id]
	if g == nil {
		return nil
	}
	j, other := c.own(g, g.promised(j))
	if other {
		c.split(g, j)
	}
	if !c.visible(g, j) {
		return nil
	}
	if since, ok := c.later(g, j); ok { // the incident keeps the cause that it has
		c.takeLater(g, since)
		if !c.update(now, g, ops.Judgement{Verdict: ops.VerdictNoIncident}) {
			return nil
		}
		return []ops.Incident{copyOf(g.in)}
	}
	roots := rootsOf(j)
	if g.in == nil {
		if into := c.twin(g, roots); into != nil {
			return c.merge(now, into, g, j)
		}
		if back := c.returned(g, roots, now); back != nil {
			return c.reopen(now, back, g, j)
		}
		if !c.affordable(now, g, j) {
			return nil
		}
		c.open(now, g)
		c.stats.Opened++
	} else if into := c.twin(g, roots); into != nil {
		if g.before(into) {
			g, into = into, g
		}
		return c.merge(now, into, g, j)
	}
	if !c.update(now, g, j) {
		return nil
	}
	return []ops.Incident{copyOf(g.in)}
}

// visible reports whether the judgement may be shown.
func (c *Correlator) visible(g *group, j ops.Judgement) bool {
	if g.burns() != nil && j.Verdict != ops.VerdictNoIncident {
		return true
	}
	switch j.Verdict {
	case ops.VerdictLocal: // one entity's own trouble needs more signs than one series'
		return g.in != nil || j.Confidence >= c.cfg.OpenConfidence && (g.weight() >= .8 || j.Severity >= c.cfg.OpenSeverity)
	case ops.VerdictCause:
		return g.in != nil || j.Confidence >= c.cfg.OpenConfidence || j.Severity >= c.cfg.OpenSeverity
	case ops.VerdictUnknown:
		return g.in != nil || g.foreign() || j.Severity >= c.cfg.OpenSeverity
	}
	return g.in != nil
}

// foreign reports whether other tools raised several different alerts: they
// have decided already that a person should look.
func (g *group) foreign() bool {
	n, sum := 0, 0.0
	for _, r := range g.records {
		if r.a.Kind == ops.AnomalyAlert && r.surprise >= contextOnly {
			n++
			sum += r.strength()
		}
	}
	return n >= 3 && sum >= 1
}

// own keeps of a judgement what concerns the group: causes that explanation
// connects to its own anomalies. other reports whether a separate trouble with
// a root of its own was left out.
func (c *Correlator) own(g *group, j ops.Judgement) (out ops.Judgement, other bool) {
	parts := components(j)
	mine := map[int]bool{}
	for e := range g.entities {
		if p, ok := parts[c.service(e)]; ok {
			mine[p] = true
		}
		if p, ok := parts[e]; ok {
			mine[p] = true
		}
	}
	if len(mine) == 0 {
		return j, false
	}
	first := c.mainPart(j, parts, mine)
	kept := make([]ops.Cause, 0, len(j.Causes))
	for _, x := range j.Causes {
		p, in := parts[x.Entity]
		switch {
		case !in || p == first:
			kept = append(kept, x)
		case x.Role == ops.RoleRoot && mine[p]:
			other = true
		}
	}
	out = j
	out.Causes = kept
	if len(j.Causes) > 0 && len(kept) > 0 && first != parts[firstRoot(j)] {
		if r := firstRoot(out); !r.IsZero() {
			i := slices.IndexFunc(kept, func(x ops.Cause) bool { return x.Entity == r })
			out.Sentence, out.Title, out.Confidence = kept[i].Sentence, r.Name+": "+shortSignal(kept[i].Signal), kept[i].Probability
		}
	}
	return out, other
}

func shortSignal(s telemetry.Signal) string {
	switch s {
	case telemetry.SignalLatency:
		return "slow"
	case telemetry.SignalErrors:
		return "failures"
	case telemetry.SignalUp:
		return "stopped"
	case telemetry.SignalNetwork:
		return "slow network"
	case telemetry.SignalSaturation:
		return "saturated"
	}
	return "unusual"
}

func firstRoot(j ops.Judgement) telemetry.Entity {
	if r := rootsOf(j); len(r) > 0 {
		return r[0]
	}
	return telemetry.Entity{}
}

// mainPart is the component, among those that hold the group's own anomalies,
// with the strongest root.
func (c *Correlator) mainPart(j ops.Judgement, parts map[telemetry.Entity]int, mine map[int]bool) int {
	best, top := -1, -1.0
	for _, x := range j.Causes {
		p, ok := parts[x.Entity]
		if !ok || !mine[p] {
			continue
		}
		s := x.Score
		if x.Role == ops.RoleRoot {
			s++
		}
		if s > top {
			best, top = p, s
		}
	}
	return best
}

// components joins the entities that have a part and that explanation, paths
// or the picture connect. Bystanders are in none.
func components(j ops.Judgement) map[telemetry.Entity]int {
	parent := map[telemetry.Entity]telemetry.Entity{}
	var find func(e telemetry.Entity) telemetry.Entity
	find = func(e telemetry.Entity) telemetry.Entity {
		if parent[e] != e {
			parent[e] = find(parent[e])
		}
		return parent[e]
	}
	for _, x := range j.Causes {
		if x.Role != ops.RoleBystander {
			parent[x.Entity] = x.Entity
		}
	}
	join := func(a, b telemetry.Entity) {
		if _, ok := parent[a]; !ok {
			return
		}
		if _, ok := parent[b]; ok {
			parent[find(a)] = find(b)
		}
	}
	for _, x := range j.Causes {
		for _, by := range x.ExplainedBy {
			join(x.Entity, by.By)
		}
		for _, e := range x.Path {
			join(x.Entity, e)
		}
	}
	for _, l := range j.Links {
		join(l.From, l.To)
	}
	ids := map[telemetry.Entity]int{}
	out := map[telemetry.Entity]int{}
	for _, x := range j.Causes {
		if _, ok := parent[x.Entity]; !ok {
			continue
		}
		r := find(x.Entity)
		if _, ok := ids[r]; !ok {
			ids[r] = len(ids)
		}
		out[x.Entity] = ids[r]
	}
	return out
}

// service folds an instance into the service that it is part of.
func (c *Correlator) service(e telemetry.Entity) telemetry.Entity {
	if e.Kind != telemetry.KindInstance || c.view == nil {
		return e
	}
	for _, d := range c.view.Dependents(e) {
		if d.Kind == "part_of" {
			return d.From
		}
	}
	return e
}

// split moves the anomalies of entities that the judgement does not connect to
// the rest into a group of their own, which is judged by itself.
func (c *Correlator) split(g *group, j ops.Judgement) {
	mine := map[telemetry.Entity]bool{}
	for _, x := range j.Causes {
		mine[x.Entity] = true
	}
	var away []*record
	for _, r := range g.records {
		if !mine[r.a.Entity] && !mine[c.service(r.a.Entity)] && !r.a.Entity.IsZero() {
			away = append(away, r)
		}
	}
	c.moveAway(g, away, "cause analysis found no connection to the incident it was in")
}

func rootsOf(j ops.Judgement) []telemetry.Entity {
	var out []telemetry.Entity
	for _, x := range j.Causes {
		if x.Role == ops.RoleRoot {
			out = append(out, x.Entity)
		}
	}
	return out
}

// together is how far (ms) the onsets of two parts of one burst lie apart.
const together = 3 * 60_000

// twin is another open incident with the same first root (for one that began
// at the same time it is enough that either has the other's first root) or,
// when the group has no root of its own, with mostly the same entities; the
// oldest if several.
func (c *Correlator) twin(g *group, roots []telemetry.Entity) *group {
	var best *group
	for _, o := range c.groups {
		if o == g || o.in == nil || g.onset > o.last+c.cfg.Window || apart(g, o) {
			continue
		}
		same := len(roots) > 0 && len(o.roots) > 0 && roots[0] == o.roots[0]

		if -together <= g.onset-o.onset && g.onset-o.onset <= together { // of one burst: that they share a first root is enough
			same = len(roots) > 0 && slices.Contains(o.roots, roots[0]) || len(o.roots) > 0 && slices.Contains(roots, o.roots[0])
		}
		if (same || len(roots) == 0 && overlap(g, o) >= .6) && (best == nil || o.before(best)) {
			best = o
		}
	}
	return best
}

// overlap is the strength of shared entities over that of the smaller group.
func overlap(a, b *group) float64 {
	if len(a.entities) > len(b.entities) {
		a, b = b, a
	}
	shared, total := 0.0, 0.0
	for e, w := range a.entities {
		total += w
		if _, ok := b.entities[e]; ok {
			shared += w
		}
	}
	if total == 0 {
		return 0
	}
	return shared / total
}

// settle is how long (ms) after an incident opened its onset may still move:
// then it is known, and what begins much later is another trouble.
const settle = 60_000

// sureOfOnset is the confidence from which an incident's onset is fixed.
const sureOfOnset = .6

// open makes the group an incident.
func (c *Correlator) open(now int64, g *group) {
	g.in = &ops.Incident{ID: g.id, State: ops.StateOpen, Onset: g.onset, Opened: now}
	rs := slices.Clone(g.records)
	slices.SortFunc(rs, byOnset)
	for i, r := range rs {
		if i >= maxTimeline/2 {
			break
		}
		g.tell(anomalyEvent(r))
	}
	g.tell(ops.Event{Time: now, Kind: "opened", Text: fmt.Sprintf("opened with %d signs", len(g.records))})
}

func anomalyEvent(r *record) ops.Event {
	kind, text := "anomaly", r.a.Text
	if r.a.Kind == ops.AnomalyAlert {
		kind = "alert"
	}
	if text == "" {
		text = r.a.Series
	}
	return ops.Event{Time: r.a.Onset, Kind: kind, Entity: r.a.Entity, Text: text}
}

// update writes the judgement into the incident. A judgement that is much less
// sure than the one shown does not replace it. It reports whether anything
// that a reader would notice changed.
func (c *Correlator) update(now int64, g *group, j ops.Judgement) bool {
	in := g.in
	before := fingerprint(in)
	fresh := in.Verdict == ""
	good := j.Verdict == ops.VerdictCause || j.Verdict == ops.VerdictLocal
	roots := rootsOf(j)
	sameRoot := len(roots) > 0 && len(g.roots) > 0 && roots[0] == g.roots[0]
	if fresh || good && (g.pooled() || sameRoot || j.Confidence >= .9*in.Confidence) || in.Verdict == ops.VerdictUnknown && j.Verdict != ops.VerdictNoIncident {
		if !sameRoot && len(roots) > 0 {
			g.tell(ops.Event{Time: now, Kind: "cause", Entity: roots[0], Text: j.Title})
		}
		in.Title, in.Sentence, in.Verdict, in.Confidence = j.Title, j.Sentence, j.Verdict, j.Confidence
		in.Impact, in.ImpactText = j.Impact, j.ImpactText
		in.Causes, in.Links = j.Causes, j.Links
		g.roots = roots
		g.evidence = max(g.evidence*.5, j.Severity)
	}
	c.grade(g, j.Harm)
	in.Onset, in.Updated = g.began(now), now
	in.Anomalies, in.Entities, in.Alerts = g.anomalies(), g.names(), g.alerts()
	in.Changes = c.relevant(g)
	for _, ch := range in.Changes {
		if !slices.ContainsFunc(g.timeline, func(e ops.Event) bool {
			return e.Kind == "change" && e.Time == ch.Time && e.Entity == ch.Entity
		}) {
			g.tell(ops.Event{Time: ch.Time, Kind: "change", Entity: ch.Entity, Text: ch.Title})
		}
	}
	c.finishTimeline(g)
	return fingerprint(in) != before
}

// finishTimeline sorts the timeline into the incident.
func (c *Correlator) finishTimeline(g *group) {
	t := slices.Clone(g.timeline)
	slices.SortStableFunc(t, func(a, b ops.Event) int { return cmp.Compare(a.Time, b.Time) })
	g.in.Timeline = t
}

// relevant are the changes of entities that have a part in the incident.
func (c *Correlator) relevant(g *group) []telemetry.Change {
	part := map[telemetry.Entity]bool{}
	for e := range g.entities {
		part[c.service(e)], part[e] = true, true
	}
	for _, x := range g.in.Causes {
		part[x.Entity] = true
	}
	out := []telemetry.Change{}
	for _, ch := range c.changes {
		if part[ch.Entity] && ch.Time >= g.onset-c.cfg.ChangeWindow && ch.Time <= g.last+c.cfg.Quiet && len(out) < 50 {
			out = append(out, ch)
		}
	}
	return out
}

// fingerprint holds what a reader would notice.
func fingerprint(in *ops.Incident) string {
	first := ""
	if len(in.Causes) > 0 {
		first = in.Causes[0].Entity.String()
	}
	return fmt.Sprint(in.State, in.Title, in.Sentence, first, len(in.Anomalies), len(in.Timeline), in.Alerts, math.Round(in.Severity*20), in.Level, in.Team, math.Round(in.Confidence*20), in.Resolved, in.MergedInto)
}

// copyOf gives an incident that shares nothing that the correlator changes.
func copyOf(in *ops.Incident) ops.Incident {
	out := *in
	out.Causes = slices.Clone(in.Causes)
	out.Entities = slices.Clone(in.Entities)
	out.Links = slices.Clone(in.Links)
	out.Harm.SLOs = slices.Clone(in.Harm.SLOs)
	out.Anomalies = slices.Clone(in.Anomalies)
	out.Changes = slices.Clone(in.Changes)
	out.Timeline = slices.Clone(in.Timeline)
	return out
}
