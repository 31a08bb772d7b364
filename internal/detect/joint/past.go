package joint

import (
	"iter"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// Learn teaches an entity's model rows of the past, oldest first; at (Unix ms)
// is when a row was read. Nothing is raised. Rows before the newest that the
// model knows are left out. While it learns, the fleet has no model of the
// entity. Rows are read on the calling goroutine, several of which may learn
// different entities at once.
func (f *Fleet) Learn(e telemetry.Entity, rows iter.Seq2[int64, *Row]) {
	m := f.lend(e)
	if m == nil {
		m = &member{}
	}
	known, own := m.lastSeen(), m.model != nil
	for at, r := range rows {
		if at <= known || !own && len(r.Series) < f.cfg.Least {
			continue
		}
		if !own {
			if m = f.join(); m == nil {
				return
			}
			m.born, own = at, true
		}
		f.teach(m, at, r)
	}
	if own {
		f.giveBack(e, m)
	}
}

// lend takes the member of an entity out of the fleet, nil when there is none.
func (f *Fleet) lend(e telemetry.Entity) *member {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[e]
	delete(f.members, e)
	if m != nil {
		f.lent++
	}
	return m
}

// join makes a member that is not yet in the fleet, nil when there is no room.
func (f *Fleet) join() *member {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.members)+f.lent >= f.cfg.MaxEntities {
		f.overflow++
		return nil
	}
	f.lent++
	return f.newMember()
}

func (f *Fleet) giveBack(e telemetry.Entity, m *member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lent--
	f.members[e] = m
}

// Adopt takes the models of another fleet, which must not be used any more,
// where they have seen more of the past. Alarms that are open stay open.
func (f *Fleet) Adopt(from *Fleet) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for e, m := range from.members {
		old := f.members[e]
		switch {
		case old == nil && len(f.members)+f.lent >= f.cfg.MaxEntities:
			f.overflow++
			continue
		case old != nil && old.born <= m.born:
			continue
		case old != nil:
			m.active, m.since, m.strange, m.calm = old.active, old.since, old.strange, old.calm
		case m.model.cfg.Neural != NeuralOff:
			f.neural++
		}
		f.members[e] = m
	}
}
