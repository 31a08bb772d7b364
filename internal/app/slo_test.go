package app

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/cli"
	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/ops"
)

// withSettings opens the pipeline offline with a configuration file's text.
func withSettings(t *testing.T, yaml string, log *slog.Logger) *Offline {
	t.Helper()
	cfg, err := config.Parse([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	o, err := newOffline(t.Context(), cfg, t.TempDir(), storyStart, false, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	return o
}

const declared = `
teams:
  - name: shop
    match: ['{service_name=~"frontend|orders"}']
    false_pages_per_week: 1
  - name: store
    match: ['{entity=~"database/.*"}']
slos:
  - {name: shop answers, entity: frontend, objective: 0.999}
  - {name: shop is quick, entity: service/frontend, objective: 0.95, latency: {below: 100ms}}
  - {name: everybody answers, match: '{entity=~"service/.*"}', objective: 0.9, window: 7d}
  - {name: own figures, entity: frontend, objective: 0.99, bad: 'sum(norn_request_rate{entity="service/frontend"} * on (entity) norn_error_ratio)', total: 'sum(norn_request_rate{entity="service/frontend"})'}
  - {name: nobody, entity: chekout, objective: 0.99}
`

// objective finds one by name and entity.
func objective(t *testing.T, o *Offline, name, entity string) ops.SLO {
	t.Helper()
	for _, s := range o.Pipeline.SLOs() {
		if s.Name == name && (entity == "" || s.Entity.Name == entity) {
			return s
		}
	}
	t.Fatalf("there is no objective %s of %s among %d", name, entity, len(o.Pipeline.SLOs()))
	return ops.SLO{}
}

// A third of all requests fail: the declared objective burns, takes the one
// road into the incident, and makes it critical; the incident is the team of its root, the database.
// An objective of a service that does not exist is told, counted, and harms
// nothing else.
func TestABurningObjectiveMakesAnIncidentCritical(t *testing.T) {
	var log strings.Builder
	o := withSettings(t, declared, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})))
	s := &smallShop{rnd: rand.New(rand.NewPCG(21, 21)), slow: 1}
	at := storyStart
	for range 27 {
		at = failing(t, o, s, at, 9, 60, 0)
		at = failing(t, o, s, at, 1, 60, 1)
	}
	calm := objective(t, o, "shop answers", "frontend")
	if calm.SLI == nil || *calm.SLI < .99 || calm.Requests < 15_000 || calm.AnomalyID != "" {
		t.Errorf("before: %+v", calm)
	}
	failing(t, o, s, at, 6*8, 60, 20)
	burning := objective(t, o, "shop answers", "frontend")
	if burning.AnomalyID == "" || burning.Left >= calm.Left || !burning.Burns[0].Burning || burning.Exhausted == nil {
		t.Errorf("after: %+v", burning)
	}
	got := incidents(t, o)
	if len(got) != 1 || got[0].Level != ops.LevelCritical || got[0].Team != "store" || len(got[0].Harm.SLOs) == 0 || got[0].Harm.SLOs[0].Inferred {
		t.Fatalf("%d incidents: %+v", len(got), got)
	}
	onRoad := false
	for _, a := range got[0].Anomalies {
		onRoad = onRoad || a.Kind == ops.AnomalySLOBurn && a.ID == burning.AnomalyID
	}
	if !onRoad {
		t.Errorf("the burn is not among the incident's anomalies")
	}
	own, rates := objective(t, o, "own figures", "frontend"), objective(t, o, "everybody answers", "frontend")
	if own.SLI == nil || rates.SLI == nil || *own.SLI-*rates.SLI > .01 || *rates.SLI-*own.SLI > .01 {
		t.Errorf("expressions give %+v, Norn's own rates %+v", own, rates)
	}
	if quick := objective(t, o, "shop is quick", ""); quick.SLI == nil || *quick.SLI < .99 || quick.AnomalyID != "" {
		t.Errorf("%+v", quick)
	}
	if n := objective(t, o, "nobody", ""); n.SLI != nil || !strings.Contains(n.Note, "no requests of chekout were ever seen") {
		t.Errorf("%+v", n)
	}
	if n := strings.Count(log.String(), "objective without requests"); n != 1 || !strings.Contains(log.String(), "chekout") {
		t.Errorf("warned %d times: %s", n, log.String())
	}
}

// One failure of two requests burns an objective at a rate of hundreds, and
// pages nobody.
func TestOneFailureOfTwoRequestsBurnsNoObjective(t *testing.T) {
	o := withSettings(t, declared, slog.New(slog.DiscardHandler))
	s := &smallShop{rnd: rand.New(rand.NewPCG(22, 22)), slow: 1}
	at := failing(t, o, s, storyStart, 6*45, 2, 0)
	for range 3 {
		at = failing(t, o, s, at, 1, 2, 1)
		at = failing(t, o, s, at, 6*5, 2, 0)
	}
	if x := objective(t, o, "shop answers", "frontend"); x.Burns[0].LongRate < 1 || x.Burns[0].Enough || x.AnomalyID != "" {
		t.Errorf("%+v", x.Burns[0])
	}
	if got := incidents(t, o); len(got) != 0 {
		t.Errorf("opened %v", titles(got))
	}
}

// What was counted survives a restart, and so does what happened meanwhile.
func TestObjectivesSurviveARestart(t *testing.T) {
	cfg, err := config.Parse([]byte(declared))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	open := func(start int64) *Offline {
		o, err := newOffline(t.Context(), cfg, dir, start, false, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	o := open(storyStart)
	s := &smallShop{rnd: rand.New(rand.NewPCG(23, 23)), slow: 1}
	at := failing(t, o, s, storyStart, 6*20, 60, 1)
	before := objective(t, o, "shop answers", "frontend")
	for _, saved := range []bool{true, false} { // a clean end, and a kill before anything was saved
		if saved {
			if err := o.Pipeline.Save(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
		o = open(at)
		for range 3 {
			at += 60_000
			if err := o.Pipeline.Tick(t.Context(), at); err != nil {
				t.Fatal(err)
			}
		}
		after := objective(t, o, "shop answers", "frontend")
		if after.Requests < before.Requests || after.Requests > before.Requests+2000 || after.Bad < before.Bad {
			t.Errorf("saved %v: %g requests, %g bad; before %g and %g", saved, after.Requests, after.Bad, before.Requests, before.Bad)
		}
		before = after
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
}

// Bad settings end the start with every fault named.
func TestBadTeamsAndObjectivesAreNamed(t *testing.T) {
	_, err := config.Parse([]byte(`
teams:
  - {name: a, match: ['{x']}
  - {name: a, match: [], false_pages_per_week: -1}
slos:
  - {name: x, entity: cart, objective: 99.9}
  - {name: y, objective: 0.9, match: '{'}
  - {name: z, entity: cart, objective: 0.9, good: up, total: 'rate('}
`))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"teams[0].match[0]", `teams[1].name: "a" is taken`, "teams[1].match: must name", "teams[1].false_pages_per_week",
		"slos[0] (x).objective: 99.9 is not between 0 and 1; write 99.9 % as 0.999", "slos[1] (y).match", "slos[2] (z).total"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %q", err, want)
		}
	}
}

// The terminal shows objectives, teams and what is held back for one of them.
func TestObjectivesAndTeamsAreShownAtTheTerminal(t *testing.T) {
	a := inProcess(t, func(c *config.Config) {
		parsed, err := config.Parse([]byte(declared))
		if err != nil {
			t.Fatal(err)
		}
		c.Teams, c.SLOs = parsed.Teams, parsed.SLOs
	})
	if err := a.Pipeline().Tick(context.Background(), a.Pipeline().Now()); err != nil {
		t.Fatal(err)
	}
	out, code := norn(t, a.Addr("http"), "slo")
	if code != cli.ExitOK || !strings.Contains(out, "shop answers") || !strings.Contains(out, "99.9 % in 30d") {
		t.Errorf("code %d and %q", code, out)
	}
	if out, code = norn(t, a.Addr("http"), "slo", "--declared", "--entity", "chekout", "-o", "json"); code != cli.ExitOK || strings.Count(out, `"name": "nobody"`) != 1 || strings.Contains(out, "shop answers") {
		t.Errorf("code %d and %q", code, out)
	}
	if out, code = norn(t, a.Addr("http"), "incidents", "suppressed", "--team", "shop"); code != cli.ExitOK || !strings.Contains(out, "Team shop: 1 false pages a week, 0.00 of them used") {
		t.Errorf("code %d and %q", code, out)
	}
	if out, code = norn(t, a.Addr("http"), "incidents", "list", "--team", "shop"); code != cli.ExitOK || !strings.Contains(out, "No incidents") {
		t.Errorf("code %d and %q", code, out)
	}
}
