package pipeline

import (
	"fmt"
	"sync"

	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Team is who looks after a part of the estate.
type Team struct {
	Name         string
	Match        []string // selectors; an entity is the team's when any matches it or one of its series
	PagesPerWeek *float64 // budget of its own, in expected false pages; nil: it shares the fleet's
}

// membership knows which of a list of selectors match an entity, or any series
// of it. Series are asked when they are described, entities without one when
// somebody asks. Safe for concurrent use.
type membership struct {
	list [][]*rules.Matcher

	mu sync.RWMutex
	of map[telemetry.Entity]map[int]struct{} // places in list; by series that were described
}

// maxMembers bounds the entities that are remembered; others are asked anew.
const maxMembers = 100_000

func newMembership(selectors [][]string) (*membership, error) {
	m := &membership{of: map[telemetry.Entity]map[int]struct{}{}}
	for _, texts := range selectors {
		var ms []*rules.Matcher
		for _, text := range texts {
			x, err := rules.NewMatcher(text)
			if err != nil {
				return nil, fmt.Errorf("selector %s: %w", text, err)
			}
			ms = append(ms, x)
		}
		m.list = append(m.list, ms)
	}
	return m, nil
}

// describe takes note of a series.
func (m *membership) describe(s *telemetry.Series) {
	if len(m.list) == 0 || s.Entity.IsZero() {
		return
	}
	for i := range m.list {
		if m.selects(i, s) {
			m.note(s.Entity, i)
		}
	}
}

func (m *membership) selects(i int, s *telemetry.Series) bool {
	for _, x := range m.list[i] {
		if x.Matches(s) {
			return true
		}
	}
	return false
}

func (m *membership) note(e telemetry.Entity, i int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	set := m.of[e]
	if set == nil {
		if len(m.of) >= maxMembers {
			clear(m.of)
		}
		set = map[int]struct{}{}
		m.of[e] = set
	}
	set[i] = struct{}{}
}

// has reports whether selector i matches the entity or a series of it.
func (m *membership) has(e telemetry.Entity, i int) bool {
	m.mu.RLock()
	_, ok := m.of[e][i]
	m.mu.RUnlock()
	return ok || m.selects(i, &telemetry.Series{Entity: e})
}

// first is the first selector in the list that matches, -1 when none does.
func (m *membership) first(e telemetry.Entity) int {
	if e.IsZero() {
		return -1
	}
	for i := range m.list {
		if m.has(e, i) {
			return i
		}
	}
	return -1
}

// owners knows whose an entity is.
type owners struct {
	teams []Team
	*membership
}

func newOwners(teams []Team) (*owners, error) {
	var selectors [][]string
	for _, t := range teams {
		selectors = append(selectors, t.Match)
	}
	m, err := newMembership(selectors)
	if err != nil {
		return nil, fmt.Errorf("teams: %w", err)
	}
	return &owners{teams, m}, nil
}

// team names whose the entity is, "" when it is nobody's.
func (o *owners) team(e telemetry.Entity) string {
	if i := o.first(e); i >= 0 {
		return o.teams[i].Name
	}
	return ""
}

// budgets gives the budgets of the teams that have one.
func (o *owners) budgets() map[string]float64 {
	out := map[string]float64{}
	for _, t := range o.teams {
		if t.PagesPerWeek != nil {
			out[t.Name] = *t.PagesPerWeek
		}
	}
	return out
}

// TeamOf names whose an entity is, "" when it is nobody's.
func (p *Pipeline) TeamOf(e telemetry.Entity) string { return p.owners.team(e) }

// ofTeam counts the watched series of a team's entities.
func (o *owners) ofTeam(e *detect.Engine, team string) int {
	known := map[telemetry.Entity]bool{}
	return len(e.List(func(s *telemetry.Series) bool {
		mine, ok := known[s.Entity]
		if !ok {
			mine = o.team(s.Entity) == team
			known[s.Entity] = mine
		}
		return mine
	}, 0))
}
