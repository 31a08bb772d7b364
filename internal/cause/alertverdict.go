package cause

import (
	"fmt"
	"math"
	"slices"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	alertCauses = 12 // suspects that are told
	alertSaid   = 8  // alerts told as evidence of one
)

// leastSure is the least probability of a first suspect: other tools have
// decided already that something is wrong.
const leastSure = .25

// groupedBy is how much more the root counts by which the alerts were grouped:
// that was chosen in view of all other alerts.
const groupedBy = .4

// alertOdds is the share of first suspects that are the true root, by their
// lead over the second; measured on alerts of an online shop with injected
// faults (norn bench correlate).
var alertOdds = []knot{{0, .3}, {.1, .5}, {.3, .75}, {.6, .9}}

// alertsOnly reports whether the incident rests on other tools' alerts alone
// and nothing that Norn measured deviates, so that the alerts must speak.
func (m *model) alertsOnly() bool {
	if len(m.in.Anomalies) == 0 || slices.ContainsFunc(m.in.Anomalies, func(a ops.Anomaly) bool { return a.Kind != ops.AnomalyAlert }) {
		return false
	}
	for _, n := range m.nodes {
		for k, ev := range n.ev {
			if ev != nil && kind(k) != kAlert && kind(k) != kReq && ev.a >= .5 {
				return false
			}
		}
	}
	return true
}

// judgeAlerts writes the verdict from alerts alone.
func (m *model) judgeAlerts() ops.Judgement {
	list := make([]*ops.Anomaly, 0, len(m.in.Anomalies))
	for i := range m.in.Anomalies {
		list = append(list, &m.in.Anomalies[i])
	}
	s := newSigns(list, m.in.View)
	order := s.rankAll()
	m.raiseChanged(order)
	j := ops.Judgement{Verdict: ops.VerdictNoIncident, Title: "nothing that matters", Sentence: "No alert says anything.", Causes: []ops.Cause{}, Links: []ops.Link{}}
	if len(order) == 0 || order[0].score <= 0 {
		return j
	}
	margin := 1.0
	if len(order) > 1 {
		margin = 1 - max(0, order[1].score)
	}
	j.Verdict, j.Confidence = ops.VerdictCause, max(leastSure, interpolate(alertOdds, margin)*s.enough())
	j.Severity = s.severity()
	root := order[0].e
	for i := range order {
		if len(j.Causes) >= alertCauses || order[i].score <= 0 {
			break
		}
		j.Causes = append(j.Causes, m.suspect(s, &order[i], root, j.Confidence))
	}
	j.Links = m.alertLinks(j.Causes)
	first := s.list[order[0].speak[0].i]
	j.Title = root.Name + ": " + first.Series
	j.Sentence = s.sentence(&order[0], margin)
	return j
}

// raiseChanged raises the odds of entities that were changed shortly before.
func (m *model) raiseChanged(order []accused) {
	for i := range order {
		if order[i].e == m.in.Suspect {
			order[i].score *= 1 + groupedBy
		}
		for _, c := range m.in.Changes {
			if c.Entity == order[i].e && isDeliberate(c) && c.Time >= m.in.Onset-m.cfg.ChangeWindow && c.Time <= m.in.Onset+60_000 {
				order[i].score *= 1.5
				break
			}
		}
	}
	slices.SortStableFunc(order, func(a, b accused) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return 0
	})
	for i := len(order) - 1; i >= 0 && order[0].score > 0; i-- {
		order[i].score /= order[0].score
	}
}

// suspect tells one entity's part.
func (m *model) suspect(s *signs, a *accused, root telemetry.Entity, p float64) ops.Cause {
	c := ops.Cause{Entity: a.e, Role: ops.RoleBystander, Score: clip(a.score, 0, 1), Signal: telemetry.SignalOther, Unexplained: 1,
		ExplainedBy: []ops.Explained{}, Path: []telemetry.Entity{}, Evidence: []ops.Evidence{}, Changes: []telemetry.Change{}}
	rel := s.blame.Of(a.e, root)
	switch {
	case a.e == root:
		c.Role, c.Probability = ops.RoleRoot, p
	case a.own > 0 && (rel == graph.Host || rel == graph.Callee || rel == graph.Part || rel == graph.Callee2):
		c.Role, c.Probability = ops.RoleSymptom, (1-p)*.3*a.score
		c.ExplainedBy = append(c.ExplainedBy, ops.Explained{By: root, Share: 1})
		c.Unexplained = 0
	default:
		c.Probability = (1 - p) * .3 * a.score
	}
	for _, x := range a.speak[:min(len(a.speak), alertSaid)] {
		y := s.list[x.i]
		c.Evidence = append(c.Evidence, ops.Evidence{Entity: subject(y), Signal: y.Signal, Series: y.Series, Onset: y.Onset, Weight: clip(x.v/2.5, 0, 1), AnomalyID: y.ID, Text: s.line(x)})
		if c.Onset == 0 || y.Onset < c.Onset {
			c.Onset = y.Onset
		}
	}
	for _, ch := range m.in.Changes {
		if ch.Entity == a.e {
			c.Changes = append(c.Changes, ch)
		}
	}
	c.Sentence = fmt.Sprintf("%d alerts speak for %s.", len(a.speak), a.e.Name)
	if len(c.Evidence) > 0 {
		c.Sentence = fmt.Sprintf("%d alerts speak for %s, first of all: %s.", len(a.speak), a.e.Name, c.Evidence[0].Text)
	}
	return c
}

// line words what one alert says.
func (s *signs) line(x word) string {
	a := s.list[x.i]
	where := a.Entity.Name
	if !a.Peer.IsZero() {
		where = a.Entity.Name + " calling " + a.Peer.Name
	}
	often := ""
	switch w := s.w[x.i]; {
	case w >= .8:
		often = ", which seldom comes"
	case w < .4:
		often = ", which comes often"
	}
	return fmt.Sprintf("%s (%s)%s", a.Series, where, often)
}

func (s *signs) sentence(a *accused, margin float64) string {
	sure := "most likely"
	if margin < .1 {
		sure = "perhaps"
	}
	own := 0
	for _, x := range a.speak {
		if x.how == graph.Itself || x.how == graph.Part {
			own++
		}
	}
	text := fmt.Sprintf("The root is %s %s: of %d alerts %d come from it", sure, a.e.Name, len(s.list), own)
	if more := len(a.speak) - own; more > 0 {
		text += fmt.Sprintf(" and %d from what depends on it or is close to it", more)
	}
	return text + "; nothing was measured that says more."
}

// enough says from 0 to 1 whether the alerts that say something are many.
func (s *signs) enough() float64 {
	sum := 0.0
	for i := range s.list {
		sum += s.w[i] / s.rank[i]
	}
	return 1 - math.Exp(-sum/8)
}

// severity is the worst word of the alerts that say something, the less the
// fewer they are.
func (s *signs) severity() float64 {
	sum, worst := 0.0, 0.0
	for i, a := range s.list {
		if s.w[i] < .15 {
			continue
		}
		sum += s.w[i] / s.rank[i]
		worst = max(worst, a.Severity)
	}
	return clip(worst*(1-math.Exp(-sum/2)), 0, 1)
}

// alertLinks are the edges between those that have a part, instances not
// folded: alerts tell them apart.
func (m *model) alertLinks(causes []ops.Cause) []ops.Link {
	out := []ops.Link{}
	if m.in.View == nil {
		return out
	}
	in := map[telemetry.Entity]bool{}
	for i := range causes {
		if causes[i].Role != ops.RoleBystander {
			in[causes[i].Entity] = true
		}
	}
	for _, e := range m.in.View.Edges() {
		if l := (ops.Link{From: e.From, To: e.To, Kind: string(e.Kind)}); in[e.From] && in[e.To] && !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out
}
