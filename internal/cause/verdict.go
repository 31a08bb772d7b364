package cause

import (
	"fmt"
	"math"

	"github.com/norn-aiops/norn/internal/ops"
)

// knot is one support point of a piecewise linear calibration curve.
type knot struct{ x, y float64 }

// The prior calibration: precision of the first cause by score and by margin
// to the second, measured on replayed public incidents with a known target
// (where the raw share is too shy) and without one (where the raw score is
// too bold). Confirmed incidents replace it later.
var (
	byScoreTarget   = []knot{{0, .1}, {.35, .55}, {.6, .8}, {.9, .95}, {1, .98}}
	byScoreNoTarget = []knot{{0, .03}, {.5, .15}, {.8, .4}, {.95, .8}, {1, .92}}
	byMargin        = []knot{{0, .5}, {.3, .8}, {.6, 1}}
)

func interpolate(ks []knot, x float64) float64 {
	if x <= ks[0].x {
		return ks[0].y
	}
	for i := 1; i < len(ks); i++ {
		if x <= ks[i].x {
			a, b := ks[i-1], ks[i]
			return a.y + (b.y-a.y)*(x-a.x)/(b.x-a.x)
		}
	}
	return ks[len(ks)-1].y
}

// probability that an entity is a true root. The first is judged by its score
// and margin; the others by their score and their share of all roots' scores.
func (m *model) probability(score, margin float64, first bool, sum float64) float64 {
	curve := byScoreNoTarget
	if m.target >= 0 {
		curve = byScoreTarget
	}
	p := interpolate(curve, score)
	if first {
		return p * interpolate(byMargin, margin)
	}
	return p * math.Sqrt(score/sum)
}

// verdict says what kind of answer this is and words it.
func (m *model) verdict(j *ops.Judgement, roots, order []*node, margin float64) {
	j.Severity = m.severity(j.Impact)
	switch s, ok := m.surge(); {
	case ok:
		j.Verdict, j.Title, j.Sentence = ops.VerdictNoIncident, s.title, s.text
		j.Severity = 0
		return
	case len(roots) == 0:
		j.Verdict = ops.VerdictNoIncident
		j.Title, j.Sentence = "nothing that matters", "Nothing deviates enough to matter to users."
		if felt := m.felt(); felt != nil {
			j.Verdict = ops.VerdictUnknown
			j.Title = felt.e.Name + ": trouble without a clear cause"
			j.Sentence = upperFirst(m.clause(felt, m.bestEvidence(felt))) + "; no cause stands out."
		}
		return
	}
	first := roots[0]
	j.Confidence = 0
	for i := range j.Causes {
		if j.Causes[i].Entity == first.e {
			j.Confidence = j.Causes[i].Probability
		}
	}
	if !m.hurts(first) { // saturated, but nothing shows that anyone suffers
		j.Confidence *= .25
		j.Severity *= .5
	}
	best := m.bestEvidence(first)
	j.Title = m.title(first, best)
	j.Sentence = m.story(roots, j.ImpactText)
	switch {
	case m.target < 0 && margin < .3 && first.score < .8 && len(order) > 1:
		j.Verdict = ops.VerdictUnknown
		j.Title = "unclear: perhaps " + j.Title
		j.Sentence = fmt.Sprintf("No cause stands out; the strongest lead: %s", j.Sentence)
	case m.target >= 0 && first == m.nodes[m.target] && len(roots) == 1:
		j.Verdict = ops.VerdictLocal
		// A target that explains itself was not confirmed by anything else.
		j.Confidence = min(j.Confidence, .5*interpolate(byScoreNoTarget, first.score))
	default:
		j.Verdict = ops.VerdictCause
	}
}

// hurts reports whether anything but saturation or traffic speaks for n: its
// own or its callers' latency, errors, silence, lines or alerts, or that a
// resource is nearly used up.
func (m *model) hurts(n *node) bool {
	ill := func(o *node) bool {
		for k, ev := range o.ev {
			switch kind(k) {
			case kRes, kReq, kOther, kCalls:
			default:
				if ev != nil && ev.a >= .5 {
					return true
				}
			}
		}
		return false
	}
	if res := n.ev[kRes]; res != nil && res.a >= .5 && drastic(res) {
		return true
	}
	for _, group := range [3][]int{{m.index[n.e]}, n.callers, n.tenants} {
		for _, i := range group {
			if ill(m.nodes[i]) {
				return true
			}
		}
	}
	return false
}

// felt is the entity where unexplained trouble is strongest, or nil.
func (m *model) felt() *node {
	var best *node
	for _, n := range m.nodes {
		for _, k := range []kind{kLat, kErr} {
			if ev := n.ev[k]; ev != nil && ev.a >= .9 && !n.newDep && (best == nil || ev.z > best.topZ()) {
				best = n
			}
		}
	}
	for _, n := range m.nodes { // or what other tools say
		if ev := n.ev[kAlert]; best == nil && ev != nil && ev.a >= .8 {
			best = n
		}
	}
	return best
}

// severity joins how sure the trouble is with how many requests it hurts.
func (m *model) severity(impact float64) float64 {
	a := 0.0
	for _, n := range m.nodes {
		if n.role != ops.RoleBystander {
			a = max(a, n.anomalous())
		}
	}
	return clip(.25*a+.75*a*math.Sqrt(impact), 0, 1)
}
