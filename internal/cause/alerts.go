package cause

import (
	"cmp"
	"math"
	"slices"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Ranking by alerts alone: nothing was measured, other tools only say that
// something is wrong somewhere. Each alert speaks for the entities that its
// trouble may come from (graph.Blame), the more the rarer it is, the less the
// later it came, and the less the more alerts of the same kind the entity has.
const (
	alertTau      = 120_000.0 // ms in which a later alert says e times less
	alertBefore   = 30_000    // ms before the onset that an alert may come
	alertPower    = 1.5       // of the surprise
	alertOwn      = .25       // what having most alerts counts beside being the best explanation
	alertBurst    = 90_000    // ms of the stretch that the onset begins
	alertBurstMin = .3        // share of the largest stretch's weight
)

// accused is an entity with what the alerts say of it.
type accused struct {
	e     telemetry.Entity
	score float64
	own   float64 // weight of its own alerts and its parts'
	speak []word  // the alerts that speak for it, best first
}

// word is what one alert says for a suspect.
type word struct {
	i   int
	v   float64
	how graph.Relation
}

// signs are the alerts of an incident with their weights.
type signs struct {
	list  []*ops.Anomaly
	w     []float64 // surprise
	rank  []float64 // among the alerts of its entity and family: 1, 2, ...
	blame *graph.Blame
}

func newSigns(as []*ops.Anomaly, view *graph.View) *signs {
	s := &signs{list: as, blame: graph.NewBlame(view)}
	known := slices.ContainsFunc(as, func(a *ops.Anomaly) bool { return a.Surprise > 0 })
	for _, a := range as {
		w := a.Surprise
		if !known { // all come all the time: then none is better than another
			w = 1
		}
		s.w = append(s.w, w)
	}
	type key struct {
		e telemetry.Entity
		f string
	}
	order := make([]int, len(as))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(s.w[j], s.w[i]), cmp.Compare(as[i].Onset, as[j].Onset), cmp.Compare(as[i].ID, as[j].ID))
	})
	s.rank = make([]float64, len(as))
	seen := map[key]float64{}
	for _, i := range order {
		k := key{subject(as[i]), as[i].Family()}
		seen[k]++
		s.rank[i] = seen[k]
	}
	return s
}

// subject is the entity that an alert is about: of a call the callee.
func subject(a *ops.Anomaly) telemetry.Entity {
	if !a.Peer.IsZero() {
		return a.Peer
	}
	return a.Entity
}

func (s *signs) suspects(a *ops.Anomaly) []graph.Suspect {
	if !a.Peer.IsZero() {
		return s.blame.OfCall(a.Entity, a.Peer)
	}
	return s.blame.Suspects(a.Entity)
}

// onset is the earliest time whose next 90 s hold at least 30 % of the largest
// weight that any 90 s hold.
func (s *signs) onset() int64 {
	order := make([]int, len(s.list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(s.list[i].Onset, s.list[j].Onset) })
	mass := make([]float64, len(order))
	top := 0.0
	for i, j, sum := 0, 0, 0.0; i < len(order); i++ {
		for ; j < len(order) && s.list[order[j]].Onset <= s.list[order[i]].Onset+alertBurst; j++ {
			sum += s.w[order[j]]
		}
		mass[i] = sum
		top = max(top, sum)
		sum -= s.w[order[i]]
	}
	for i := range order {
		if mass[i] >= alertBurstMin*top {
			return s.list[order[i]].Onset
		}
	}
	return 0
}

// rankAll scores every suspect, best first; the best has 1. Part of the score
// is how many alerts an entity has itself, whatever the graph says: where
// trouble does not travel along known edges that is the better guide.
func (s *signs) rankAll() []accused {
	o := s.onset()
	at := map[telemetry.Entity]*accused{}
	of := func(e telemetry.Entity) *accused {
		c := at[e]
		if c == nil {
			c = &accused{e: e}
			at[e] = c
		}
		return c
	}
	for i, a := range s.list {
		if s.w[i] <= 0 {
			continue
		}
		of(subject(a)).own += s.w[i] / math.Sqrt(s.rank[i])
		if a.Onset < o-alertBefore {
			continue
		}
		v := math.Pow(s.w[i], alertPower) / s.rank[i] * math.Exp(-max(0, float64(a.Onset-o))/alertTau)
		for _, x := range s.suspects(a) {
			c := of(x.Entity)
			c.score += v * x.Value
			if x.Value > 0 {
				c.speak = append(c.speak, word{i, v * x.Value, x.Relation})
			}
		}
	}
	topScore, topOwn := 1e-9, 1e-9
	for _, c := range at {
		topScore, topOwn = max(topScore, c.score), max(topOwn, c.own)
	}
	out := make([]accused, 0, len(at))
	for _, c := range at {
		c.score = (c.score/topScore + alertOwn*c.own/topOwn) / (1 + alertOwn)
		slices.SortFunc(c.speak, func(a, b word) int { return cmp.Or(cmp.Compare(b.v, a.v), cmp.Compare(a.i, b.i)) })
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b accused) int { return cmp.Or(cmp.Compare(b.score, a.score), cmpEntity(a.e, b.e)) })
	for i := len(out) - 1; i >= 0 && out[0].score > 0; i-- {
		out[i].score /= out[0].score
	}
	return out
}
