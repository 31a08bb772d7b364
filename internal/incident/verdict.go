package incident

import (
	"cmp"
	"math"
	"slices"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/stats/fdr"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// family is which test of a series spoke.
type family int

const (
	ownPast   family = iota // against the series' own past
	givenLoad               // against what its driver lets expect
	families
)

func familyOf(a *ops.Anomaly) family {
	if a.Member == "load" {
		return givenLoad
	}
	return ownPast
}

// note keeps the newest p-value of each test of the record's series.
func (r *record) note(a *ops.Anomaly) {
	if !math.IsNaN(a.P) {
		r.p[familyOf(a)], r.spoke[familyOf(a)] = clip(a.P, 0, 1), true
	}
}

// looks is in how many looks a p-value was the smallest: that of a single
// series is of its largest score in some hours, that of an entity's metrics
// together is of one reading, of which there are a thousand in four hours.
func looks(a *ops.Anomaly) float64 {
	if a.Kind == ops.AnomalyJoint {
		return 1000
	}
	return 1
}

// together is what all tests of the record's hypothesis say: those of a series
// see the same values, so that they are combined by [fdr.Cauchy].
func (r *record) together() float64 {
	var ps []float64
	for f := range families {
		if r.spoke[f] {
			ps = append(ps, r.p[f])
		}
	}
	if len(ps) == 1 {
		return min(1, ps[0]*looks(&r.a))
	}
	p, err := fdr.Cauchy(ps, nil)
	if err != nil { // every value was clipped
		return 1
	}
	return min(1, p*looks(&r.a))
}

// counts reports whether the record's p-value is one of Norn's own tests.
func (r *record) counts() bool {
	return r.a.Kind != ops.AnomalyAlert && r.a.Kind != ops.AnomalySLOBurn && r.a.Kind != ops.AnomalyPredicted && !weakSilence(&r.a) && (r.spoke[ownPast] || r.spoke[givenLoad])
}

// chance is the p-value of the group's own anomalies, as a few of n watched
// series. Each is a hypothesis with all of its tests; hypotheses are merged by
// [fdr.Merge], which is valid whatever their dependence. Those of chronic
// series count less.
func (g *group) chance(n int) float64 {
	var ps, ws []float64
	for _, r := range g.records {
		if r.counts() {
			ps, ws = append(ps, r.together()), append(ws, r.surprise)
		}
	}
	return merge(ps, ws, n)
}

func merge(ps, ws []float64, n int) float64 {
	p, err := fdr.Merge(ps, ws, max(n, len(ps), 1))
	if err != nil { // every value was clipped
		return 1
	}
	return p
}

// maxVerdicts bounds the entities whose verdict is told.
const maxVerdicts = 5

// verdicts says of the group's strongest entities what all of their tests say
// together: of single series (for how many the entity has), of all metrics
// jointly, and given the load. They depend on each other, so that they are
// combined by [fdr.Cauchy]; a test that did not speak counts as neither for nor
// against.
func (c *Correlator) verdicts(g *group) []ops.EntityVerdict {
	var out []ops.EntityVerdict
	for _, e := range g.names() {
		if len(out) == maxVerdicts {
			break
		}
		if v, ok := g.verdict(e, c.watched(Scope{Entity: e})); ok {
			out = append(out, v)
		}
	}
	slices.SortStableFunc(out, func(a, b ops.EntityVerdict) int { return cmp.Compare(a.P, b.P) })
	return out
}

func (g *group) verdict(e telemetry.Entity, watched int) (v ops.EntityVerdict, ok bool) {
	var ps, loads [2][]float64 // p-values and weights
	v = ops.EntityVerdict{Entity: e, P: 1, Single: 1, Joint: 1, Load: 1, Series: watched}
	for _, r := range g.records {
		if r.a.Entity != e || !r.counts() {
			continue
		}
		ok = true
		if r.a.Kind == ops.AnomalyJoint {
			v.Joint = min(v.Joint, r.together())
			continue
		}
		if r.spoke[ownPast] {
			ps[0], ps[1] = append(ps[0], r.p[ownPast]), append(ps[1], r.surprise)
		}
		if r.spoke[givenLoad] {
			loads[0], loads[1] = append(loads[0], r.p[givenLoad]), append(loads[1], r.surprise)
		}
	}
	if !ok {
		return v, false
	}
	v.Single, v.Load = merge(ps[0], ps[1], watched), merge(loads[0], loads[1], watched)
	if p, err := fdr.Cauchy([]float64{v.Single, v.Joint, v.Load}, nil); err == nil {
		v.P = p
	}
	return v, true
}
