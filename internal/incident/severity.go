package incident

import (
	"fmt"
	"math"
	"slices"

	"github.com/norn-aiops/norn/internal/ops"
)

// rung is one line of the table of severity: what alone is enough for a level.
type rung struct {
	level  ops.Level
	lo, hi float64 // the number between 0 and 1
	burn   float64 // of a declared objective, as the least that is proved
	spent  float64 // share of a budget that went since the onset
	impact float64 // share of the estate's requests that suffer
	wide   int     // entities that deviate, with impact or burn of the level below
}

// table is the table of severity, worst first. docs/slo.md shows it. The burn
// rates are those of the Site Reliability Workbook's alerts.
func table() [3]rung {
	return [3]rung{
		{ops.LevelCritical, .8, 1, 14.4, .1, .25, 10},
		{ops.LevelMajor, .55, .8, 6, .02, .05, 5},
		{ops.LevelMinor, .3, .55, 1, .002, .005, 3},
	}
}

// inferredWorth is the worth of an objective that nobody declared: what it
// burns counts half.
const inferredWorth = .5

// leastEvidence is the severity by evidence and impact under which an impact is
// not believed: the least that a full sign of one entity gives is 0.25.
const leastEvidence = .1

// grade sets the incident's level, number, grounds and team.
func (c *Correlator) grade(g *group, harm ops.Harm) {
	in := g.in
	in.Team = c.team(g, g.roots)
	in.Harm = harm
	s := Severity(g.evidence, in.Impact, len(g.entities), harm)
	if r := g.burns(); r != nil && s.Level == ops.LevelInfo { // what was declared is never nothing
		s.Level, s.Number, s.Grounds = ops.LevelMinor, max(s.Number, .3), "it burns a declared objective"
		if r.a.Kind == ops.AnomalyPredicted {
			s.Grounds = "a limit will be reached before one can act"
		}
	}
	in.Severity, in.Level, in.Grounds = s.Number, s.Level, s.Grounds
}

// Grade is how bad an incident is.
type Grade struct {
	Level   ops.Level
	Number  float64 // 0..1, within the level's range
	Grounds string
}

// Severity grades an incident: evidence (0..1) is the severity that cause
// analysis gave it, impact the share of the estate's requests that suffer,
// entities how many deviate. The worst line of the table that is reached by
// burn, by spent budget, or by impact gives the level. One that spreads over
// many entities is a level higher than its impact or burn alone, unless
// nothing is reached at all. Nothing here is reached by a few bad requests:
// burn rates are lower bounds, and impact needs evidence.
func Severity(evidence, impact float64, entities int, harm ops.Harm) Grade {
	if math.IsNaN(evidence) {
		evidence = 0
	}
	if evidence < leastEvidence {
		impact = 0
	}
	burn, spent, by := 0.0, 0.0, ops.SLOHarm{}
	for _, h := range harm.SLOs {
		worth := 1.0
		if h.Inferred {
			worth = inferredWorth
		}
		if b := worth * h.Burn; b > burn {
			burn, by = b, h
		}
		spent = max(spent, worth*h.Spent)
	}
	rungs := table()
	for i, r := range rungs {
		at, why := r.reached(burn, spent, impact, &by)
		if at == 0 && i+1 < len(rungs) && entities >= r.wide {
			if below, text := rungs[i+1].reached(burn, spent, impact, &by); below > 0 {
				at, why = 1, fmt.Sprintf("%s, and %d entities deviate", text, entities)
			}
		}
		if at > 0 {
			return Grade{r.level, r.lo + (r.hi-r.lo)*(1-1/at), why}
		}
	}
	return Grade{ops.LevelInfo, min(.29, max(0, evidence)), "no user is clearly seen to suffer"}
}

// reached is how far the rung is exceeded, 1 just so; 0 when it is not.
func (r rung) reached(burn, spent, impact float64, by *ops.SLOHarm) (at float64, why string) {
	for _, x := range []struct {
		v, limit float64
		why      string
	}{
		{burn, r.burn, fmt.Sprintf("%s burns its budget %.3g times too fast", by.SLO, by.Burn)},
		{spent, r.spent, fmt.Sprintf("%.2g %% of an error budget went", 100*spent)},
		{impact, r.impact, fmt.Sprintf("%.2g %% of the estate's requests suffer", 100*impact)},
	} {
		if v := x.v / x.limit; x.v >= x.limit && v > at && !math.IsNaN(v) {
			at, why = v, x.why
		}
	}
	return at, why
}

// burns is the group's anomaly of a declared objective's burn that lasts, or
// else of a limit that will be reached, or nil.
func (g *group) burns() *record {
	for _, kind := range []ops.AnomalyKind{ops.AnomalySLOBurn, ops.AnomalyPredicted} {
		i := slices.IndexFunc(g.records, func(r *record) bool { return r.a.Kind == kind && r.a.Ended == 0 })
		if i >= 0 {
			return g.records[i]
		}
	}
	return nil
}

// promised gives a group that burns a declared objective, or will reach a
// limit, a verdict of its own
// where cause analysis finds nothing that matters: a promise is broken all the
// same.
func (g *group) promised(j ops.Judgement) ops.Judgement {
	r := g.burns()
	if r == nil || j.Verdict != ops.VerdictNoIncident {
		return j
	}
	j.Verdict, j.Severity = ops.VerdictUnknown, max(j.Severity, r.a.Severity*.5)
	if r.a.Kind == ops.AnomalyPredicted {
		j.Title, j.Sentence = fmt.Sprintf("%s: %s", r.a.Entity.Name, r.a.Series), r.a.Text
		return j
	}
	j.Title = fmt.Sprintf("%s: error budget burns", r.a.Entity.Name)
	j.Sentence = r.a.Text + "; no cause stands out."
	return j
}
