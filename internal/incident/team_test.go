package incident

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// teams says that batch and nightly belong to two teams, and all else to
// nobody.
func teams(e telemetry.Entity) string {
	switch e.Name {
	case "batch":
		return "data"
	case "orders", "orders-db":
		return "shop"
	}
	return ""
}

func teamed(budgets map[string]float64) *Correlator {
	return New(Config{Budget: BudgetConfig{Watched: thousand, Team: teams, Teams: budgets}})
}

// A team that bears no false page: even evidence that is hardly chance is held
// back for it, and the reason says so; what is certain opens, and so does the
// same evidence elsewhere.
func TestATeamWithBudgetZeroBearsOnlyWhatIsCertain(t *testing.T) {
	c := teamed(map[string]float64{"data": 0})
	signs(c, "batch", 1, t0, 1e-12)
	if ins := ask(t, c, t0+10_000, weak("batch")); len(ins) != 0 {
		t.Fatalf("opened %+v", ins)
	}
	held := c.Suppressed()
	if len(held) != 1 || held[0].Team != "data" || held[0].ScopeTeam != "data" || held[0].Level != 0 ||
		!strings.Contains(held[0].Why, "team data bears no false page") {
		t.Fatalf("held back: %+v", held)
	}
	if b := c.Budget(t0); len(b.Teams) != 1 || b.Teams[0].PagesPerWeek != 0 || b.Spent != 0 {
		t.Errorf("%+v", b)
	}
	c.Anomaly(stopped("batch"))
	if ins := ask(t, c, t0+60_000, weak("batch")); len(ins) != 1 || ins[0].Team != "data" {
		t.Errorf("a process that stopped: %+v", ins)
	}
	c = teamed(map[string]float64{"data": 0})
	signs(c, "frontend", 2, t0, 1e-12)
	if ins := ask(t, c, t0+20_000, weak("frontend")); len(ins) != 1 || ins[0].Team != "" {
		t.Errorf("nobody's entity shares the fleet's budget: %+v", ins)
	}
}

// A team's own budget is spent by its own candidates alone, and survives a
// restart.
func TestEachTeamSpendsItsOwnBudget(t *testing.T) {
	budgets := map[string]float64{"data": 2}
	c := teamed(budgets)
	for i := range uint64(5) {
		at := t0 + int64(i)*3_600_000
		signs(c, "batch", 1+i, at, 1e-4)
		ask(t, c, at+10_000, weak("batch"))
		c.Tick(at+3_000_000, shop())
	}
	b := c.Budget(t0 + 5*3_600_000)
	if b.Spent != 0 || len(b.Teams) != 1 || b.Teams[0].Spent < .5 || b.Teams[0].Level >= .2 {
		t.Errorf("%+v", b)
	}
	var kept bytes.Buffer
	if err := c.SaveBudget(&kept); err != nil {
		t.Fatal(err)
	}
	again := teamed(budgets)
	if err := again.LoadBudget(bytes.NewReader(kept.Bytes())); err != nil {
		t.Fatal(err)
	}
	if a := again.Budget(t0 + 5*3_600_000); math.Abs(a.Teams[0].Spent-b.Teams[0].Spent) > 1e-9 {
		t.Errorf("after a restart %+v, before %+v", a, b)
	}
	other := teamed(nil) // the team lost its budget
	if err := other.LoadBudget(bytes.NewReader(kept.Bytes())); err != nil || other.Budget(t0).Spent != 0 {
		t.Errorf("%+v %v", other.Budget(t0), err)
	}
}

// The incident is the root's team's, whoever feels it.
func TestAnIncidentBelongsToTheTeamOfItsRoot(t *testing.T) {
	c := teamed(nil)
	signs(c, "frontend", 1, t0, 1e-12)
	signs(c, "orders", 2, t0, 1e-12)
	j := verdict(.8, "orders")
	j.Impact, j.Severity = .3, .8
	if ins := ask(t, c, t0+10_000, j); len(ins) != 1 || ins[0].Team != "shop" {
		t.Errorf("%+v", ins)
	}
}

// A declared objective burns: it is never held back, and it is an incident also
// when cause analysis finds nothing that matters.
func TestABurningObjectiveIsAnIncident(t *testing.T) {
	c := teamed(map[string]float64{"shop": 0})
	a := anomaly("slo-1", "orders", 1, t0, .5)
	a.Kind, a.Signal, a.Text, a.P = ops.AnomalySLOBurn, telemetry.SignalLatency, "99 % of requests are to be quick: 3 % were not", 1e-6
	c.Anomaly(a)
	ins := ask(t, c, t0+10_000, ops.Judgement{Verdict: ops.VerdictNoIncident, Title: "nothing that matters"})
	if len(ins) != 1 || ins[0].Title != "orders: error budget burns" || ins[0].Team != "shop" || ins[0].Level != ops.LevelMinor || !strings.Contains(ins[0].Sentence, "3 % were not") {
		t.Fatalf("%+v", ins)
	}
}

// Everything that speaks for one entity is one verdict: single series count
// for their number, silent tests neither for nor against, and two tests of the
// same series are not two signs.
func TestAllTestsOfAnEntityAreOneVerdict(t *testing.T) {
	c := New(Config{Budget: BudgetConfig{Watched: func(s Scope) int {
		if s.Entity.Name == "batch" {
			return 10
		}
		return 1000
	}}})
	cpu := anomaly("a", "batch", 1, t0, .5)
	cpu.Signal, cpu.P = telemetry.SignalSaturation, 1e-5
	dear := cpu
	dear.ID, dear.Member, dear.P = "b", "load", 1e-4
	together := anomaly("c", "batch", 3, t0, .9)
	together.Kind, together.Signal, together.P = ops.AnomalyJoint, telemetry.SignalOther, 1e-8
	for _, a := range []ops.Anomaly{cpu, dear, together} {
		c.Anomaly(a)
	}
	ask(t, c, t0+10_000, weak("batch"))
	held := c.Suppressed()
	if len(held) != 1 || len(held[0].Verdicts) != 1 {
		t.Fatalf("%+v", held)
	}
	v := held[0].Verdicts[0]
	single, joint, load := 4.0*100*1e-5, 1e-5, 4.0*100*1e-4
	want := 3 / (1/single + 1/joint + 1/load) // small values: Cauchy's combination is the harmonic mean
	if math.Abs(v.Single/single-1) > .5 || math.Abs(v.Load/load-1) > .5 || math.Abs(v.Joint/joint-1) > 1e-3 || math.Abs(v.P/want-1) > .1 || v.Series != 10 {
		t.Errorf("%+v, want p %g of %g, %g, %g", v, want, single, joint, load)
	}
	alone := 4e6 / math.Pow(math.Sqrt(.5*1e5+.5*1e4)+math.Sqrt(1e5), 2)
	if p := held[0].P; p < 1 && math.Abs(p/alone-1) > .5 {
		t.Errorf("the candidate has p = %g, want about %g", p, alone)
	}
}

// The table of severity, line by line.
func TestSeverityComesFromEvidenceAndHarm(t *testing.T) {
	burning := func(rate, spent float64, inferred bool) ops.Harm {
		return ops.Harm{SLOs: []ops.SLOHarm{{SLO: "x", Burn: rate, Spent: spent, Inferred: inferred}}}
	}
	for name, tc := range map[string]struct {
		evidence, impact float64
		entities         int
		harm             ops.Harm
		want             ops.Level
	}{
		"a fast burn":                  {.3, 0, 1, burning(15, .01, false), ops.LevelCritical},
		"the same of an inferred one":  {.3, 0, 1, burning(15, .001, true), ops.LevelMajor},
		"a medium burn":                {.3, 0, 1, burning(6, .001, false), ops.LevelMajor},
		"a slow burn":                  {.3, 0, 1, burning(1.2, .001, false), ops.LevelMinor},
		"a slow burn that lasted":      {.3, 0, 1, burning(1.2, .12, false), ops.LevelCritical},
		"a quarter of all requests":    {.8, .25, 1, ops.Harm{}, ops.LevelCritical},
		"a twentieth":                  {.4, .05, 1, ops.Harm{}, ops.LevelMajor},
		"a twentieth without evidence": {.05, .05, 1, ops.Harm{}, ops.LevelInfo},
		"a hundredth":                  {.3, .01, 1, ops.Harm{}, ops.LevelMinor},
		"a hundredth in many places":   {.3, .01, 6, ops.Harm{}, ops.LevelMajor},
		"a twentieth in very many":     {.4, .06, 12, ops.Harm{}, ops.LevelCritical},
		"unusual, nobody suffers":      {.25, 0, 1, ops.Harm{}, ops.LevelInfo},
		"the same in many places":      {.25, 0, 30, ops.Harm{}, ops.LevelInfo},
		"numbers that cannot be":       {math.NaN(), math.NaN(), 0, burning(math.NaN(), math.NaN(), false), ops.LevelInfo},
	} {
		g := Severity(tc.evidence, tc.impact, tc.entities, tc.harm)
		if g.Level != tc.want || !(g.Number >= 0 && g.Number <= 1) || g.Grounds == "" {
			t.Errorf("%s: %+v, want %s", name, g, tc.want)
		}
	}
}
