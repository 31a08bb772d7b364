package incident

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// thousand says that a thousand series are watched.
func thousand(Scope) int { return 1000 }

// signs makes two anomalies of one entity with the p-value.
func signs(c *Correlator, entity string, number uint64, at int64, p float64) {
	for i := range uint64(2) {
		a := anomaly(fmt.Sprintf("%s-%d-%d", entity, number, i), entity, 10*number+i, at, .5)
		a.P = p
		if i == 1 {
			a.Signal = telemetry.SignalSaturation
		}
		c.Anomaly(a)
	}
}

// weak is a judgement that would open an incident although nobody is seen to
// suffer.
func weak(entity string) ops.Judgement {
	j := verdict(.6, entity)
	j.Impact, j.Severity = 0, .25
	return j
}

// ask brings a candidate of the entity to its judgement.
func ask(t *testing.T, c *Correlator, at int64, j ops.Judgement) []ops.Incident {
	t.Helper()
	var out []ops.Incident
	for _, cand := range c.Tick(at, shop()) {
		out = append(out, c.Apply(at, cand.ID, j)...)
	}
	return out
}

// Signs that a thousand series give by chance open nothing and are listed with
// the reason; when the evidence grows, the same candidate opens and leaves the
// list.
func TestWhatMayBeChanceIsHeldBackUntilEvidenceGrows(t *testing.T) {
	c := New(Config{Budget: BudgetConfig{Watched: thousand}})
	signs(c, "batch", 1, t0, 1e-4)
	if ins := ask(t, c, t0+10_000, weak("batch")); len(ins) != 0 {
		t.Fatalf("opened %+v", ins)
	}
	held := c.Suppressed()
	if len(held) != 1 || held[0].P != 1 || held[0].Watched != 1000 || held[0].Ended != 0 || held[0].Anomalies != 2 {
		t.Fatalf("held back: %+v", held)
	}
	if !strings.Contains(held[0].Why, "1000 watched series") || !strings.Contains(held[0].Why, "3 false pages a week of the fleet") {
		t.Errorf("why: %s", held[0].Why)
	}
	level := held[0].Level
	signs(c, "batch", 2, t0+20_000, 1e-9)
	ins := ask(t, c, t0+40_000, weak("batch"))
	if len(ins) != 1 || ins[0].ID != held[0].ID {
		t.Fatalf("stronger evidence opened %+v, want %s", ins, held[0].ID)
	}
	if now := c.Suppressed(); len(now) != 0 {
		t.Errorf("still listed: %+v", now)
	}
	if b := c.Budget(t0 + 40_000); b.Suppressed != 1 || b.Pages < .99 || math.Abs(b.Spent-level) > .01 {
		t.Errorf("a candidate spends its level once: level %g, %+v", level, b)
	}
}

// A candidate that came to nothing stays listed, with its end.
func TestWhatCameToNothingIsListed(t *testing.T) {
	c := New(Config{Budget: BudgetConfig{Watched: thousand}})
	signs(c, "batch", 1, t0, 1e-4)
	ask(t, c, t0+10_000, weak("batch"))
	ask(t, c, t0+3_600_000, weak("batch"))
	if held := c.Suppressed(); len(held) != 1 || held[0].Ended == 0 || held[0].Title != "batch: slow" {
		t.Errorf("listed: %+v", held)
	}
}

// What must never be held back passes though the p-values say chance.
func TestWhatIsCertainAlwaysPasses(t *testing.T) {
	suffering := func(z, impact float64) ops.Judgement {
		j := weak("batch")
		j.Impact = impact
		j.Causes[0].Evidence = []ops.Evidence{{Signal: telemetry.SignalErrors, Z: z}}
		return j
	}
	weakSigns := func(c *Correlator) { signs(c, "batch", 1, t0, 1e-4) }
	for name, tc := range map[string]struct {
		bring func(*Correlator)
		j     ops.Judgement
		want  int
	}{
		"nothing but chance":           {weakSigns, weak("batch"), 0},
		"one failure of two":           {weakSigns, suffering(2, .5), 0},
		"far beyond chance":            {weakSigns, suffering(20, 0), 1},
		"a tenth of all requests":      {weakSigns, suffering(7, .1), 1},
		"far outside, but a bystander": {weakSigns, bystander(suffering(20, 0)), 0},
		"no budget":                    {func(c *Correlator) { c.budget.cfg.PagesPerWeek = -1; weakSigns(c) }, weak("batch"), 1},
		"another tool's alert":         {func(c *Correlator) { c.Anomaly(alert("batch", "critical")) }, weak("batch"), 1},
		"a process that stopped":       {func(c *Correlator) { c.Anomaly(stopped("batch")) }, weak("batch"), 1},
		"one odd reading of all metrics": {func(c *Correlator) {
			weakSigns(c)
			a := anomaly("joint-batch", "batch", 99, t0, .7)
			a.Kind, a.P = ops.AnomalyJoint, 1e-7
			c.Anomaly(a)
		}, weak("batch"), 0},
		"strong signs, though nobody suffers": {func(c *Correlator) { signs(c, "batch", 1, t0, 1e-10) }, weak("batch"), 1},
	} {
		c := New(Config{Budget: BudgetConfig{Watched: thousand}})
		tc.bring(c)
		if ins := ask(t, c, t0+10_000, tc.j); len(ins) != tc.want {
			t.Errorf("%s: %d incidents, want %d; held back %+v", name, len(ins), tc.want, c.Suppressed())
		}
	}
}

func bystander(j ops.Judgement) ops.Judgement {
	j.Causes[0].Role = ops.RoleBystander
	return j
}

func alert(entity, severity string) ops.Anomaly {
	return ops.Anomaly{ID: "alert-1", Series: "TooManyErrors", Entity: svc(entity), Signal: telemetry.SignalOther, Kind: ops.AnomalyAlert,
		Direction: 1, Onset: t0, LastSeen: t0, Severity: .9, P: 1, Source: "alertmanager", Severe: severity}
}

func stopped(entity string) ops.Anomaly {
	a := anomaly("silent", entity, 7, t0, .8)
	a.Kind, a.Signal, a.P = ops.AnomalySilence, telemetry.SignalSaturation, 3e-4
	return a
}

// Ten weeks of nothing but chance, with very many candidates: not more pages
// than the budget allows. Seeded.
func TestTheBudgetHoldsOverWeeksOfChance(t *testing.T) {
	const seed, weeks, perWeek, allowed = 5, 10, 150, 3.0
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	c := New(Config{MaxSeries: 1000, Budget: BudgetConfig{PagesPerWeek: allowed, Watched: func(Scope) int { return 2 }}})
	pages := 0
	for i := range uint64(weeks * perWeek) {
		at := t0 + int64(i)*week/perWeek
		a := anomaly(fmt.Sprint("n", i), "batch", 1000+i, at, .9)
		a.Signal, a.P = telemetry.SignalErrors, r.Float64()
		c.Anomaly(a)
		pages += len(ask(t, c, at+10_000, weak("batch")))
		c.Tick(at+3_000_000, shop())
		c.Resolve(at + 3_000_000)
	}
	if limit := allowed*weeks + 3*math.Sqrt(allowed*weeks); float64(pages) > limit {
		t.Errorf("%d pages in %d weeks, above %.0f", pages, weeks, limit)
	}
	if n := len(c.Suppressed()); n == 0 || n > maxHeld+perWeek {
		t.Errorf("%d listed as held back", n)
	}
}

// With a budget for each service, one noisy service does not use up the
// others'.
func TestABudgetForEachService(t *testing.T) {
	c := New(Config{Budget: BudgetConfig{PerService: true, Watched: thousand}})
	for i := range uint64(40) {
		at := t0 + int64(i)*3_600_000
		signs(c, "batch", 100+i, at, 1e-4)
		ask(t, c, at+10_000, weak("batch"))
	}
	at := t0 + 41*3_600_000
	signs(c, "cart", 1, at, 1e-4)
	ask(t, c, at+10_000, weak("cart"))
	levels := map[string]float64{}
	for _, h := range c.Suppressed() {
		if _, ok := levels[h.Scope.Name]; !ok { // newest first
			levels[h.Scope.Name] = h.Level
		}
	}
	if levels["cart"] < .29 || levels["batch"] > levels["cart"]/3 {
		t.Errorf("levels %v", levels)
	}
}

// What was spent survives a restart; what is not a budget is refused and
// changes nothing.
func TestTheBudgetSurvivesARestart(t *testing.T) {
	c := New(Config{Budget: BudgetConfig{Watched: thousand}})
	for i := range uint64(5) {
		signs(c, "batch", 1+i, t0+int64(i)*3_600_000, 1e-4)
		ask(t, c, t0+int64(i)*3_600_000+10_000, weak("batch"))
	}
	now := t0 + 5*3_600_000
	want := c.Budget(now)
	var buf bytes.Buffer
	if err := c.SaveBudget(&buf); err != nil {
		t.Fatal(err)
	}
	d := New(Config{})
	if err := d.LoadBudget(&buf); err != nil {
		t.Fatal(err)
	}
	if got := d.Budget(now); got.Spent != want.Spent || got.Level != want.Level || want.Spent < 1 {
		t.Errorf("after the restart %+v, before %+v", got, want)
	}
	for _, bad := range []string{"", "{", `[{"scope":{},"state":{"spent":-1}}]`, `[{"scope":{},"state":{"spent":"x"}}]`} {
		if d.LoadBudget(strings.NewReader(bad)) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if got := d.Budget(now); got.Spent != want.Spent {
		t.Errorf("after refused states %+v", got)
	}
}
