package incident

import (
	"cmp"
	"math"
	"slices"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Facility location over alerts: which few roots, each with a time at which
// its trouble began, explain all alerts best? A root costs something, so that
// an alert that a chosen root explains opens no other; the root of an incident
// that is open costs less. Greedy choice, as usual for such problems, with the
// removal of what later choices made superfluous.
const (
	costNew    = 1.5       // of a root
	costMore   = .4        // and for each that was chosen before
	costOpen   = .7        // of the root of an open incident
	tauNew     = 150_000.0 // ms: a later alert speaks less for a new root's onset
	tauKept    = 600_000.0 // ms: but may still come of it
	tauUnknown = 300_000.0 // ms: an alert without a known relation
	relNowhere = .2        // worth of time alone
	earlyNew   = 5_000     // ms that an alert may precede its root's onset
	earlyKept  = 60_000    // the same once the root is chosen
	grid       = 30_000    // ms between onsets that are tried
	maxRoots   = 12
	leastWorth = .02 // under which an alert belongs to no root
	sameLeast  = 8   // evidence alerts per entity and family
)

// evidence is one alert as the fit sees it.
type evidence struct {
	r     *record
	w     float64         // surprise
	at    int64           // ms
	who   []graph.Suspect // best first
	share float64         // 1/rank^2, rank among those of its entity and family
}

// opening is a root that is in use.
type opening struct {
	root  telemetry.Entity
	onset int64
	group *group
}

// hypothesis is a root that the fit chose.
type hypothesis struct {
	opening
	kept    bool // it is an opening
	cost    float64
	score   float64 // worth of its members
	members []int   // into the evidence
}

// fitting is one run.
type fitting struct {
	ev     []evidence
	roots  []telemetry.Entity
	index  map[telemetry.Entity]int
	of     [][]term  // by root: the alerts that it may explain
	cur    []float64 // by alert: worth of the best chosen root
	chosen []*hypothesis
}

// term is one alert with the value of a root for it.
type term struct {
	i   int
	rel float64
}

// fit chooses roots for the evidence. open are the roots in use.
func fit(ev []evidence, open []opening) []*hypothesis {
	f := &fitting{ev: ev, index: map[telemetry.Entity]int{}, cur: make([]float64, len(ev))}
	for i := range ev {
		for _, s := range ev[i].who {
			if s.Value <= 0 {
				continue
			}
			k := f.root(s.Entity)
			f.of[k] = append(f.of[k], term{i, s.Value})
		}
	}
	for _, o := range open {
		f.root(o.root)
	}
	f.choose(open)
	f.remove()
	f.assign()
	return f.chosen
}

func (f *fitting) root(e telemetry.Entity) int {
	k, ok := f.index[e]
	if !ok {
		k = len(f.roots)
		f.index[e] = k
		f.roots = append(f.roots, e)
		f.of = append(f.of, nil)
	}
	return k
}

// choose adds roots as long as one is worth its cost.
func (f *fitting) choose(open []opening) {
	bound := make([]float64, len(f.roots)) // gains only fall: what a root was worth bounds what it is worth
	for i := range bound {
		bound[i] = math.Inf(1)
	}
	left := slices.Clone(open)
	for len(f.chosen) < maxRoots {
		best := f.bestNew(bound)
		used := -1
		for i, o := range left {
			h := &hypothesis{opening: o, kept: true, cost: costOpen}
			h.score = f.gain(h) - h.cost
			if h.score > 0 && (best == nil || h.score > best.score) {
				best, used = h, i
			}
		}
		if best == nil || best.score <= 0 {
			return
		}
		if used >= 0 {
			left = slices.Delete(left, used, used+1)
		}
		f.take(best)
	}
}

// bestNew is the new root and onset that are worth most beyond their cost, or
// nil.
func (f *fitting) bestNew(bound []float64) *hypothesis {
	order := make([]int, len(f.roots))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(bound[b], bound[a]) })
	cost := costNew + costMore*float64(len(f.chosen))
	var best *hypothesis
	for _, k := range order {
		if best != nil && bound[k]-cost <= best.score || bound[k] <= cost {
			break
		}
		gain, onset := f.bestOnset(k)
		bound[k] = gain
		if s := gain - cost; s > 0 && (best == nil || s > best.score || s == best.score && f.roots[k].String() < best.root.String()) {
			best = &hypothesis{opening: opening{root: f.roots[k], onset: onset}, cost: cost, score: s}
		}
	}
	return best
}

// bestOnset tries the onsets at which an alert of the root came.
func (f *fitting) bestOnset(k int) (gain float64, onset int64) {
	tried := map[int64]bool{}
	for _, t := range f.of[k] {
		o := f.ev[t.i].at / grid * grid
		if tried[o] {
			continue
		}
		tried[o] = true
		sum := 0.0
		for _, x := range f.of[k] {
			e := &f.ev[x.i]
			if e.at < o-earlyNew {
				continue
			}
			v := x.rel * e.w * e.share * math.Exp(-max(0, float64(e.at-o))/tauNew)
			sum += max(0, v-f.cur[x.i])
		}
		if sum > gain || sum == gain && o < onset {
			gain, onset = sum, o
		}
	}
	return gain, onset
}

// gain is what an open root adds to what is explained.
func (f *fitting) gain(h *hypothesis) float64 {
	sum := 0.0
	for _, x := range f.of[f.index[h.root]] {
		sum += max(0, f.worth(x.i, x.rel, h.onset)*f.ev[x.i].share-f.cur[x.i])
	}
	return sum
}

// worth of a chosen root for an alert.
func (f *fitting) worth(i int, rel float64, onset int64) float64 {
	e := &f.ev[i]
	d := math.Abs(float64(e.at - onset))
	v := 0.0
	if rel > 0 && e.at >= onset-earlyKept {
		v = rel * e.w * math.Exp(-d/tauKept)
	}
	return max(v, relNowhere*e.w*math.Exp(-d/tauUnknown))
}

func (f *fitting) take(h *hypothesis) {
	f.chosen = append(f.chosen, h)
	f.cover(h)
}

func (f *fitting) cover(h *hypothesis) {
	rel := f.values(h)
	for i := range f.ev {
		f.cur[i] = max(f.cur[i], f.worth(i, rel[i], h.onset)*f.ev[i].share)
	}
}

func (f *fitting) values(h *hypothesis) []float64 {
	rel := make([]float64, len(f.ev))
	for _, x := range f.of[f.index[h.root]] {
		rel[x.i] = max(rel[x.i], x.rel)
	}
	return rel
}

// remove drops roots whose loss the others make good for less than their
// cost, the least worthy first.
func (f *fitting) remove() {
	for len(f.chosen) > 1 {
		first := make([]float64, len(f.ev))
		second := make([]float64, len(f.ev))
		by := make([]int, len(f.ev))
		for k, h := range f.chosen {
			rel := f.values(h)
			for i := range f.ev {
				v := f.worth(i, rel[i], h.onset) * f.ev[i].share
				if v > first[i] {
					first[i], second[i], by[i] = v, first[i], k
				} else if v > second[i] {
					second[i] = v
				}
			}
		}
		loss := make([]float64, len(f.chosen))
		for i := range f.ev {
			loss[by[i]] += first[i] - second[i]
		}
		worst, least := -1, 0.0
		for k, h := range f.chosen {
			if d := loss[k] - h.cost; d < least {
				worst, least = k, d
			}
		}
		if worst < 0 {
			return
		}
		f.chosen = slices.Delete(f.chosen, worst, worst+1)
	}
}

// assign gives every alert to the root that explains it best.
func (f *fitting) assign() {
	best := make([]float64, len(f.ev))
	by := make([]int, len(f.ev))
	for k, h := range f.chosen {
		h.members, h.score = nil, 0
		rel := f.values(h)
		for i := range f.ev {
			if v := f.worth(i, rel[i], h.onset); v > best[i] {
				best[i], by[i] = v, k
			}
		}
	}
	for i := range f.ev {
		if best[i] > leastWorth {
			h := f.chosen[by[i]]
			h.members = append(h.members, i)
			h.score += best[i] * f.ev[i].share
		}
	}
}
