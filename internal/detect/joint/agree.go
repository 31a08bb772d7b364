package joint

import (
	"math"

	"github.com/norn-aiops/norn/internal/stats/fdr"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Constants of agreement, chosen on SKAB, seven machines of SMD and MSL with
// all columns (see docs/benchmarks.md).
const (
	// AgreeLimit is the agreement from which metrics speak as one.
	AgreeLimit = .3
	agreeCap   = 20 // of the score
	agreeGrow  = .4 // by which power evidence is divided as more metrics speak at times
)

// Agreement weighs what single metrics say by what all say together: said is
// the sum of the severities of the metrics that speak, score that of the row
// (see [Verdict]), and speakers the number of metrics that speak at times: one
// of many always does.
func Agreement(said, score float64, speakers int) float64 {
	if said <= 0 {
		return 0
	}
	return said * (1 + min(agreeCap, max(score, 0))) / math.Pow(float64(max(speakers, 1)), agreeGrow)
}

const (
	agreeLeast   = 2             // signs that must be there by themselves to agree
	speakerFor   = 7 * day       // ms for which a metric counts as one that speaks at times
	readings     = 1000          // of a row in the hours that a single series' p-value is of
	sensitive    = 1.30102999566 // log10 of the 20 by which sensitivity changes false alarms
	leastJoint   = .15           // severity below which nothing is raised
	jointPenalty = .5            // power of the agreement by which what is missing to severity 1 falls
)

// voice is what the metrics of one row say by themselves.
type voice struct {
	said    float64 // severities of those that speak, the largest of each sign
	signs   int     // different ones
	p       float64 // least p-value of a metric for the number of metrics, of one reading; 1 when none speaks
	speaker int     // metrics that speak at times
}

// hear notes who speaks at now (Unix ms).
func (m *member) hear(now int64, r *Row) (v voice) {
	v.p = 1
	if r.Severity == nil {
		return v
	}
	loud := map[string]float64{}
	for i, s := range r.Series {
		if _, column := m.seen[s.ID]; !column || r.Severity[i] <= 0 {
			continue
		}
		if m.spoke == nil {
			m.spoke = map[uint64]int64{}
		}
		m.spoke[uint64(s.ID)] = now
		loud[signOf(s)] = max(loud[signOf(s)], r.Severity[i])
		v.p = min(v.p, r.P[i]*float64(len(r.Series))/readings)
	}
	for _, s := range loud {
		v.said += s
		v.signs++
	}
	for id, at := range m.spoke {
		if now-at > speakerFor {
			delete(m.spoke, id)
		}
	}
	v.speaker = len(m.spoke)
	return v
}

// signOf names what deviates: latencies of one entity, in whatever quantile and
// of whichever instance, are one sign, as are errors and traffic; of resources
// each metric is one.
func signOf(s *telemetry.Series) string {
	switch s.Signal {
	case telemetry.SignalSaturation, telemetry.SignalOther:
		return s.Name
	}
	return string(s.Signal)
}

// agreed gives severity and p-value of a row of the given score and p-value.
// Metrics that deviate by themselves make it graver when there are at least two
// signs: one deviates in its own and in the joint view alike.
// Their tests depend on the joint one, so that they are combined by [fdr.Cauchy].
func (v *voice) agreed(score, p float64) (severity, together float64, agrees bool) {
	severity = 1 - math.Exp(-(score-severeFrom)/5)
	if v.signs < agreeLeast {
		return severity, p, false
	}
	if q, err := fdr.Cauchy([]float64{p, v.p}, nil); err == nil {
		p = min(p, q)
	}
	if a := Agreement(v.said, score, v.speaker) / AgreeLimit; a > 1 {
		return 1 - (1-severity)/math.Pow(a, jointPenalty), p, true
	}
	return severity, p, false
}

// wish is what operators' rules make of a row: a factor on its severity and a
// shift of the score from which it is strange, by the shares of the metrics to
// blame.
func (m *member) wish(list []Blame) (factor, shift float64) {
	if len(m.policies) == 0 || len(list) == 0 {
		return 1, 0
	}
	factor, sum := 0., 0.
	for i := range list {
		b := &list[i]
		sum += b.Share
		pol := m.policies[m.columns[b.Column]]
		if pol == nil {
			factor += b.Share
			continue
		}
		shift -= b.Share * sensitive * float64(pol.Sensitivity)
		way := pol.OnlyWay != 0 && float64(pol.OnlyWay)*(b.Observed-b.Expected) < 0
		if !way && pol.Matters(b.Observed, b.Expected) {
			factor += b.Share * pol.Factor(memberName)
		}
	}
	if sum <= 0 {
		return 1, 0
	}
	return factor / sum, shift / sum
}

// memberName is what rules call the joint judgement.
const memberName = "joint"
