package incident

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/stats/fdr"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// BudgetConfig says how many false pages are allowed. The zero value means
// the defaults in brackets.
type BudgetConfig struct {
	PagesPerWeek float64 // expected false pages a week, at most [3]; below 0: no budget
	PerService   bool    // each service has the budget for itself, not all of the fleet together
	// Team tells whose an entity is, "" when it is nobody's [nobody's].
	Team func(telemetry.Entity) string
	// Teams are the budgets of teams that have one of their own, in expected
	// false pages a week; a team with 0 bears none. Those of the others come
	// out of the fleet's or the service's.
	Teams map[string]float64
	// Watched counts the series that are watched in a scope [as many as ever
	// spoke].
	Watched func(Scope) int
}

// Scope is a part of the estate: an entity, a team, or for the zero value all.
type Scope struct {
	Entity telemetry.Entity
	Team   string
}

const (
	week = 7 * 24 * 3600_000 // ms

	budgetRate  = .1  // share of all pages that may be false where there are very many
	budgetShare = .1  // of what is left of the budget that one candidate may use
	budgetMost  = .5  // a candidate that is as likely chance as not never opens by the budget
	maxScopes   = 500 // services with a budget of their own; the others share the fleet's
	maxHeld     = 500 // held-back candidates that are remembered after they ended
)

// Evidence beyond which the budget is not asked: users suffer, and far beyond
// chance.
const (
	clearImpact = .05 // share of the estate's requests that suffer...
	clearZ      = 6   // ...when latency or failures lie this many scales outside
	beyondZ     = 15  // latency or failures this far outside need no impact on all of the estate
)

// budget decides which candidates may open. It is guarded by the correlator's
// mutex.
type budget struct {
	cfg    BudgetConfig
	scopes map[Scope]*fdr.Control
	ended  []ops.Suppressed // oldest first
	kept   int              // candidates ever held back
}

func newBudget(cfg BudgetConfig) *budget {
	if cfg.PagesPerWeek == 0 {
		cfg.PagesPerWeek = 3
	}
	return &budget{cfg: cfg, scopes: map[Scope]*fdr.Control{}}
}

// allowance is how many false pages a week a scope bears; below 0: any.
func (b *budget) allowance(scope Scope) float64 {
	if n, ok := b.cfg.Teams[scope.Team]; ok && scope.Team != "" {
		return n
	}
	return b.cfg.PagesPerWeek
}

// control is the budget of a scope, or nil when there is none.
func (b *budget) control(scope Scope) *fdr.Control {
	if c := b.scopes[scope]; c != nil {
		return c
	}
	c, err := fdr.New(fdr.Config{Allowance: b.allowance(scope), Rate: budgetRate, Share: budgetShare, Memory: week, Most: budgetMost})
	if err != nil { // no budget was wished
		return nil
	}
	b.scopes[scope] = c
	return c
}

// affordable reports whether the candidate may become an incident: always for
// what must never be held back, else when the p-value of its evidence is
// within the level that the budget gave it when it first asked. One that may
// not is remembered with the reason, and asks again when it is judged again.
func (c *Correlator) affordable(now int64, g *group, j ops.Judgement) bool {
	b := c.budget
	team := c.team(g, rootsOf(j))
	scope := b.scope(c, g, j, team)
	if b.allowance(scope) < 0 || g.certain() || evident(j) {
		g.held = nil
		return true
	}
	ctl := b.control(scope) // nil when the scope bears no false page at all
	first := g.held == nil
	if first {
		g.held = &ops.Suppressed{ID: g.id, Team: team, Scope: scope.Entity, ScopeTeam: scope.Team, First: now}
		if ctl != nil {
			g.held.Level = ctl.Test(float64(now))
		}
	}
	h := g.held
	h.Watched = c.watched(scope)
	h.P, h.Verdicts = g.chance(h.Watched), c.verdicts(g)
	if ctl != nil && h.P <= h.Level {
		ctl.Report(float64(now))
		g.held = nil
		return true
	}
	if first {
		b.kept++
	}
	h.Last, h.Onset, h.Title, h.Sentence = now, g.began(now), j.Title, j.Sentence
	h.Severity, h.Impact = j.Severity, j.Impact
	h.Anomalies, h.Entities = len(g.records), g.names()
	h.Why = b.why(h)
	return false
}

// scope is whose budget the candidate uses: that of its team where it has one,
// else its service's or the fleet's.
func (b *budget) scope(c *Correlator, g *group, j ops.Judgement, team string) Scope {
	if _, own := b.cfg.Teams[team]; own && team != "" {
		return Scope{Team: team}
	}
	if !b.cfg.PerService {
		return Scope{}
	}
	e := g.founder
	if r := firstRoot(j); !r.IsZero() {
		e = r
	}
	s := Scope{Entity: c.service(e)}
	if b.scopes[s] == nil && len(b.scopes) >= maxScopes {
		return Scope{}
	}
	return s
}

// team is whose the group is: the first root's, else that of the entity that
// deviates most and is anybody's.
func (c *Correlator) team(g *group, roots []telemetry.Entity) string {
	if c.cfg.Budget.Team == nil {
		return ""
	}
	for _, e := range append(slices.Clone(roots), g.names()...) {
		for _, e := range []telemetry.Entity{e, c.service(e)} {
			if t := c.cfg.Budget.Team(e); t != "" {
				return t
			}
		}
	}
	return ""
}

func (c *Correlator) watched(scope Scope) int {
	if c.budget.cfg.Watched == nil {
		return len(c.series)
	}
	return c.budget.cfg.Watched(scope)
}

// why says in words why a candidate was held back.
func (b *budget) why(h *ops.Suppressed) string {
	whose := "the fleet"
	switch {
	case h.ScopeTeam != "":
		whose = "team " + h.ScopeTeam
	case !h.Scope.IsZero():
		whose = h.Scope.Name
	}
	chance := fmt.Sprintf("among %d watched series, signs this strong come by chance with p = %.2g", h.Watched, h.P)
	if h.P >= 1 {
		chance = fmt.Sprintf("among %d watched series, signs this strong are to be expected by chance", h.Watched)
	}
	allowed := b.allowance(Scope{h.Scope, h.ScopeTeam})
	if allowed == 0 {
		return fmt.Sprintf("%s bears no false page: only what is certain opens, and no user is clearly seen to suffer; %s", whose, chance)
	}
	return fmt.Sprintf("%s; the budget of %g false pages a week of %s allowed p = %.2g, and no user is clearly seen to suffer", chance, allowed, whose, h.Level)
}

// certain names groups that the budget never holds back: other tools' alerts,
// processes that stopped or say that they are down, the burn of an objective
// that somebody declared, and a limit that will be reached.
func (g *group) certain() bool {
	return slices.ContainsFunc(g.records, func(r *record) bool {
		switch {
		case r.a.Kind == ops.AnomalyAlert:
			return r.surprise >= contextOnly
		case r.a.Kind == ops.AnomalySLOBurn, r.a.Kind == ops.AnomalyPredicted:
			return true
		case r.a.Kind == ops.AnomalySilence:
			return !weakSilence(&r.a) && r.a.Severity >= .5
		}
		return r.a.Signal == telemetry.SignalUp && r.a.Direction <= 0
	})
}

// evident reports whether the judgement shows that users suffer, far beyond
// chance: the scale of its evidence grows when requests are few, so that one
// failure of two is not evident.
func evident(j ops.Judgement) bool {
	z := 0.0
	for i := range j.Causes {
		if j.Causes[i].Role == ops.RoleBystander {
			continue
		}
		for _, e := range j.Causes[i].Evidence {
			if e.Signal == telemetry.SignalLatency || e.Signal == telemetry.SignalErrors {
				z = max(z, e.Z)
			}
		}
	}
	return z >= beyondZ || z >= clearZ && j.Impact >= clearImpact
}

// release moves a held-back candidate that came to nothing to the past.
func (b *budget) release(now int64, g *group) {
	if g.held == nil {
		return
	}
	h := *g.held
	h.Ended, g.held = now, nil
	if len(b.ended) >= maxHeld {
		b.ended = append(b.ended[:0], b.ended[1:]...)
	}
	b.ended = append(b.ended, h)
}

// Suppressed lists the candidates that the budget holds back now, and the last
// ones that came to nothing while held back; newest first. Those that opened
// later are incidents and are not listed.
func (c *Correlator) Suppressed() []ops.Suppressed {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := slices.Clone(c.budget.ended)
	for _, g := range c.groups {
		if g.held != nil {
			h := *g.held
			h.Entities, h.Verdicts = slices.Clone(h.Entities), slices.Clone(h.Verdicts)
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b ops.Suppressed) int {
		return cmp.Or(cmp.Compare(b.First, a.First), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Budget says how much of the fleet's and of the teams' budgets is used at now
// (Unix ms).
func (c *Correlator) Budget(now int64) ops.Budget {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.budget
	out := ops.Budget{PagesPerWeek: max(0, b.cfg.PagesPerWeek), PerService: b.cfg.PerService, Suppressed: b.kept, Teams: []ops.TeamBudget{}}
	if ctl := b.control(Scope{}); ctl != nil && !b.cfg.PerService {
		s := ctl.State(float64(now))
		out.Spent, out.Pages, out.Level = s.Spent, s.Reports, ctl.Level(float64(now))
	}
	for _, name := range slices.Sorted(maps.Keys(b.cfg.Teams)) {
		t := ops.TeamBudget{Team: name, PagesPerWeek: b.cfg.Teams[name]}
		if ctl := b.control(Scope{Team: name}); ctl != nil {
			s := ctl.State(float64(now))
			t.Spent, t.Pages, t.Level = s.Spent, s.Reports, ctl.Level(float64(now))
		}
		out.Teams = append(out.Teams, t)
	}
	return out
}

// ledger is what of a scope's budget is kept over a restart.
type ledger struct {
	Scope telemetry.Entity `json:"scope"`
	Team  string           `json:"team,omitempty"`
	State fdr.State        `json:"state"`
}

// SaveBudget writes what was spent, for LoadBudget after a restart.
func (c *Correlator) SaveBudget(w io.Writer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]ledger, 0, len(c.budget.scopes))
	for s, ctl := range c.budget.scopes {
		out = append(out, ledger{s.Entity, s.Team, ctl.State(0)})
	}
	slices.SortFunc(out, func(a, b ledger) int {
		return cmp.Or(cmp.Compare(a.Team, b.Team), cmp.Compare(a.Scope.String(), b.Scope.String()))
	})
	if err := json.NewEncoder(w).Encode(out); err != nil {
		return fmt.Errorf("write the alert budget: %w", err)
	}
	return nil
}

// LoadBudget takes what SaveBudget wrote. After an error nothing has changed.
func (c *Correlator) LoadBudget(r io.Reader) error {
	var in []ledger
	if err := json.NewDecoder(r).Decode(&in); err != nil {
		return fmt.Errorf("read the alert budget: %w", err)
	}
	fresh := newBudget(c.budget.cfg)
	for _, l := range in {
		if _, known := fresh.cfg.Teams[l.Team]; l.Team != "" && !known {
			continue // the team has no budget of its own any more
		}
		if ctl := fresh.control(Scope{l.Scope, l.Team}); ctl != nil && len(fresh.scopes) <= maxScopes+1 {
			if err := ctl.Restore(l.State); err != nil {
				return fmt.Errorf("read the alert budget: %w", err)
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.budget.scopes = fresh.scopes
	return nil
}
