package correlate

import (
	"cmp"
	"math"
	"slices"

	"github.com/norn-aiops/norn/internal/cause"
	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/incident"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// cluster is one incident that a method made of an episode.
type cluster struct {
	members []int // into the episode's events
	roots   []telemetry.Entity
	opened  int64
}

// method groups the alerts of one episode. Methods keep what they learn from
// one episode to the next.
type method interface {
	name() string
	group(ep *episode) []cluster
}

// heavy is the surprise from which a "+w" method sees an alert.
const heavy = .15

// simple is a baseline: rule says which alerts go together.
type simple struct {
	title    string
	filtered bool
	rule     func(s *system, ep *episode, use []int) [][]int
	s        *system
	view     *graph.View
}

func (m *simple) name() string { return m.title }

// group ranks the roots of every cluster with at least two series with Norn's
// own ranking of alerts: the methods differ in the grouping alone.
func (m *simple) group(ep *episode) []cluster {
	var use []int
	for i := range ep.events {
		if !m.filtered || ep.events[i].weight >= heavy {
			use = append(use, i)
		}
	}
	slices.SortStableFunc(use, func(i, j int) int { return cmp.Compare(ep.events[i].a.Onset, ep.events[j].a.Onset) })
	var out []cluster
	for _, members := range m.rule(m.s, ep, use) {
		seen := map[string]bool{}
		var as []ops.Anomaly
		opened := int64(math.MaxInt64)
		for _, i := range members {
			a := ep.events[i].a
			a.Surprise = ep.events[i].weight
			if k := seriesOf(&a); !seen[k] {
				seen[k] = true
				as = append(as, a)
			}
			opened = min(opened, ep.events[i].arrive)
		}
		if len(seen) < 2 {
			continue
		}
		j := cause.Rank(cause.Input{Onset: as[0].Onset, Now: ep.to, View: m.view, Anomalies: as}, cause.Config{})
		out = append(out, cluster{members: members, roots: order(j.Causes), opened: opened})
	}
	return out
}

func order(cs []ops.Cause) []telemetry.Entity {
	cs = slices.Clone(cs)
	slices.SortStableFunc(cs, func(a, b ops.Cause) int { return cmp.Compare(b.Score, a.Score) })
	out := make([]telemetry.Entity, 0, len(cs))
	for i := range cs {
		out = append(out, cs[i].Entity)
	}
	return out
}

// baselines are the methods that Norn is compared with.
func baselines(s *system) []method {
	view := graph.NewView(s.set.Edges)
	mk := func(title string, filtered bool, rule func(*system, *episode, []int) [][]int) method {
		return &simple{title: title, filtered: filtered, rule: rule, s: s, view: view}
	}
	return []method{
		mk("time gap 120 s", false, byGap),
		mk("time window 300 s", false, byWindow),
		mk("same entity", false, byKey(func(_ *system, a *ops.Anomaly) telemetry.Entity { return about(a) })),
		mk("group by service", false, byKey(func(s *system, a *ops.Anomaly) telemetry.Entity { return s.serviceOf(about(a)) })),
		mk("surprise filter + group by service", true, byKey(func(s *system, a *ops.Anomaly) telemetry.Entity { return s.serviceOf(about(a)) })),
		mk("connected components", false, byNeighbours),
		mk("surprise filter + connected components", true, byNeighbours),
		mk("temporal IoU", false, byOverlap),
	}
}

// about is the entity that an alert is about: of a call the callee.
func about(a *ops.Anomaly) telemetry.Entity {
	if !a.Peer.IsZero() {
		return a.Peer
	}
	return a.Entity
}

const (
	gapMS    = 120e3
	windowMS = 300e3
)

// byGap begins a new cluster after 120 s of calm.
func byGap(_ *system, ep *episode, use []int) (out [][]int) {
	last := int64(math.MinInt64)
	for _, i := range use {
		if t := ep.events[i].a.Onset; len(out) == 0 || t-last > gapMS {
			out = append(out, nil)
		}
		last = ep.events[i].a.Onset
		out[len(out)-1] = append(out[len(out)-1], i)
	}
	return out
}

// byWindow cuts time into windows of 300 s.
func byWindow(_ *system, ep *episode, use []int) (out [][]int) {
	return groupBy(use, func(_, i int) int64 { return ep.events[i].a.Onset / windowMS })
}

// groupBy puts together what has one key, in order of first appearance; key is
// given the place in use and what stands there.
func groupBy[K comparable](use []int, key func(x, i int) K) (out [][]int) {
	at := map[K]int{}
	for x, i := range use {
		g := key(x, i)
		k, ok := at[g]
		if !ok {
			k = len(out)
			at[g] = k
			out = append(out, nil)
		}
		out[k] = append(out[k], i)
	}
	return out
}

// byKey puts alerts of one key together that are at most 300 s apart.
func byKey(key func(*system, *ops.Anomaly) telemetry.Entity) func(*system, *episode, []int) [][]int {
	return func(s *system, ep *episode, use []int) (out [][]int) {
		at, last := map[telemetry.Entity]int{}, map[telemetry.Entity]int64{}
		for _, i := range use {
			e, t := key(s, &ep.events[i].a), ep.events[i].a.Onset
			k, ok := at[e]
			if !ok || t-last[e] > windowMS {
				k = len(out)
				at[e] = k
				out = append(out, nil)
			}
			last[e] = t
			out[k] = append(out[k], i)
		}
		return out
	}
}

// byNeighbours joins alerts at most 120 s apart of the same or neighbouring
// entities.
func byNeighbours(s *system, ep *episode, use []int) [][]int {
	near := map[telemetry.Entity]map[telemetry.Entity]bool{}
	link := func(a, b telemetry.Entity) {
		if near[a] == nil {
			near[a] = map[telemetry.Entity]bool{}
		}
		near[a][b] = true
	}
	for _, e := range s.set.Edges {
		link(e.From, e.To)
		link(e.To, e.From)
	}
	u := newUnion(len(use))
	for x := range use {
		a := &ep.events[use[x]].a
		for y := x + 1; y < len(use); y++ {
			b := &ep.events[use[y]].a
			if b.Onset-a.Onset > gapMS {
				break
			}
			if p, q := about(a), about(b); p == q || near[p][q] {
				u.join(x, y)
			}
		}
	}
	return u.groups(use)
}

// byOverlap joins entities whose alerts' stretches of time overlap by half of
// their union.
func byOverlap(_ *system, ep *episode, use []int) [][]int {
	type span struct{ from, to int64 }
	at := map[telemetry.Entity]int{}
	var spans []span
	var of []int
	for _, i := range use {
		a := &ep.events[i].a
		k, ok := at[about(a)]
		if !ok {
			k = len(spans)
			at[about(a)] = k
			spans = append(spans, span{a.Onset, a.Onset + 60_000})
		}
		spans[k].to = max(spans[k].to, a.Onset+60_000)
		of = append(of, k)
	}
	u := newUnion(len(spans))
	for i := range spans {
		for j := i + 1; j < len(spans); j++ {
			a, b := spans[i], spans[j]
			if both := min(a.to, b.to) - max(a.from, b.from); both > 0 && float64(both) >= .5*float64(max(a.to, b.to)-min(a.from, b.from)) {
				u.join(i, j)
			}
		}
	}
	return groupBy(use, func(x, _ int) int { return u.find(of[x]) })
}

// union is a union-find structure.
type union struct{ parent []int }

func newUnion(n int) *union {
	u := &union{parent: make([]int, n)}
	for i := range u.parent {
		u.parent[i] = i
	}
	return u
}

func (u *union) find(i int) int {
	for u.parent[i] != i {
		u.parent[i] = u.parent[u.parent[i]]
		i = u.parent[i]
	}
	return i
}

func (u *union) join(i, j int) { u.parent[u.find(j)] = u.find(i) }

// groups lists what belongs together, in order of the first.
func (u *union) groups(items []int) [][]int {
	return groupBy(items, func(x, _ int) int { return u.find(x) })
}

// product is Norn itself: the correlator and cause analysis as the pipeline
// runs them.
type product struct {
	corr *incident.Correlator
	view *graph.View
}

func newProduct(s *system) *product {
	return &product{corr: incident.New(incident.Config{}), view: graph.NewView(s.set.Edges)}
}

func (p *product) name() string { return "norn" }

// tickMS is the time between two ticks.
const tickMS = 10_000

// judgeMS is how long after an episode's end its incidents are read.
const judgeMS = 240_000

func (p *product) group(ep *episode) []cluster {
	now := ep.events[0].arrive / tickMS * tickMS
	seen := map[string]ops.Incident{}
	step := func() {
		for _, c := range p.corr.Tick(now, p.view) {
			j := cause.Rank(cause.Input{Onset: c.Onset, Now: now, Target: c.Target, Suspect: c.Suspect, View: p.view, Anomalies: c.Anomalies, Changes: c.Changes}, cause.Config{})
			for _, in := range p.corr.Apply(now, c.ID, j) {
				seen[in.ID] = in
			}
		}
		for _, in := range p.corr.Resolve(now) {
			seen[in.ID] = in
		}
	}
	next := 0
	for end := ep.to + judgeMS; now < end; now += tickMS {
		for ; next < len(ep.events) && ep.events[next].arrive <= now; next++ {
			p.corr.Anomaly(ep.events[next].a)
		}
		step()
	}
	out := p.read(ep, seen)
	for end := now + 30*60_000; now < end; now += 60_000 { // all comes to its end
		step()
	}
	return out
}

// read finds which incident holds which alert.
func (p *product) read(ep *episode, seen map[string]ops.Incident) []cluster {
	at := map[string]int{}
	var out []cluster
	for i := range ep.events {
		id, ok := p.corr.Holder(ep.events[i].a.ID)
		in, known := seen[id]
		if !ok || !known || in.MergedInto != "" {
			continue
		}
		k, ok := at[id]
		if !ok {
			k = len(out)
			at[id] = k
			out = append(out, cluster{roots: order(in.Causes), opened: in.Opened})
		}
		out[k].members = append(out[k].members, i)
	}
	return out
}

// most orders entities by count.
func most(n map[telemetry.Entity]float64) []telemetry.Entity {
	out := make([]telemetry.Entity, 0, len(n))
	for e := range n {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b telemetry.Entity) int {
		return cmp.Or(cmp.Compare(n[b], n[a]), cmp.Compare(a.String(), b.String()))
	})
	return out
}

// unique keeps the first of each.
func unique(es []telemetry.Entity) (out []telemetry.Entity) {
	for _, e := range es {
		if !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}
