// Package graph is the time-travelling dependency graph: which entity depends
// on which, since when and until when.
//
// It exists so that cause analysis can read the graph as it was at an
// incident's onset. It does no I/O and knows no clock: times are arguments in
// Unix milliseconds. A [Graph] is safe for concurrent use; a [View] is an
// immutable copy.
package graph

import (
	"cmp"
	"slices"
	"sync"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// EdgeKind names the relation. An edge always points from the dependent thing
// to what it depends on.
type EdgeKind string

// Kinds of edge.
const (
	Calls     EdgeKind = "calls"      // caller -> callee
	RunsOn    EdgeKind = "runs_on"    // instance -> host, service -> host
	PartOf    EdgeKind = "part_of"    // service -> its instance: a service is as well as its instances
	DependsOn EdgeKind = "depends_on" // declared or imported
)

// Edge is one dependency. Weight is the calls per second when last seen (0
// when unknown).
type Edge struct {
	From      telemetry.Entity `json:"from"`
	To        telemetry.Entity `json:"to"`
	Kind      EdgeKind         `json:"kind"`
	FirstSeen int64            `json:"first_seen_unix_ms"`
	LastSeen  int64            `json:"last_seen_unix_ms"`
	Weight    float64          `json:"weight"`
}

type key struct {
	from, to telemetry.Entity
	kind     EdgeKind
}

// Graph collects edges over time.
type Graph struct {
	mu     sync.RWMutex
	expiry int64
	edges  map[key]*Edge
}

// New makes an empty graph. An edge counts as present at time t when it was
// first seen at or before t and last seen at or after t - expiry (ms).
func New(expiry int64) *Graph {
	return &Graph{expiry: expiry, edges: map[key]*Edge{}}
}

// Observe records that the edge was seen at time t (ms) with the given weight
// and reports whether it is new.
func (g *Graph) Observe(from, to telemetry.Entity, kind EdgeKind, t int64, weight float64) bool {
	if from.IsZero() || to.IsZero() || from == to {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	k := key{from, to, kind}
	e, ok := g.edges[k]
	if !ok {
		g.edges[k] = &Edge{From: from, To: to, Kind: kind, FirstSeen: t, LastSeen: t, Weight: weight}
		return true
	}
	e.FirstSeen = min(e.FirstSeen, t)
	if t >= e.LastSeen {
		e.LastSeen, e.Weight = t, weight
	}
	return false
}

// Load adds edges that were stored before, keeping the wider time span.
func (g *Graph) Load(edges []Edge) {
	for _, e := range edges {
		g.Observe(e.From, e.To, e.Kind, e.FirstSeen, e.Weight)
		g.Observe(e.From, e.To, e.Kind, e.LastSeen, e.Weight)
	}
}

// Edges returns a copy of all edges ever seen, in a fixed order.
func (g *Graph) Edges() []Edge {
	g.mu.RLock()
	defer g.mu.RUnlock()
	out := make([]Edge, 0, len(g.edges))
	for _, e := range g.edges {
		out = append(out, *e)
	}
	sortEdges(out)
	return out
}

// Forget drops edges last seen before t and returns how many.
func (g *Graph) Forget(t int64) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for k, e := range g.edges {
		if e.LastSeen < t {
			delete(g.edges, k)
			n++
		}
	}
	return n
}

// AsOf returns the graph as it was at time t (ms).
func (g *Graph) AsOf(t int64) *View {
	g.mu.RLock()
	var edges []Edge
	for _, e := range g.edges {
		if e.FirstSeen <= t && e.LastSeen >= t-g.expiry {
			edges = append(edges, *e)
		}
	}
	g.mu.RUnlock()
	return NewView(edges)
}

// View is the graph at one moment.
type View struct {
	edges []Edge
	out   map[telemetry.Entity][]int
	in    map[telemetry.Entity][]int
}

// NewView makes a view of the given edges.
func NewView(edges []Edge) *View {
	v := &View{edges: slices.Clone(edges), out: map[telemetry.Entity][]int{}, in: map[telemetry.Entity][]int{}}
	sortEdges(v.edges)
	for i, e := range v.edges {
		v.out[e.From] = append(v.out[e.From], i)
		v.in[e.To] = append(v.in[e.To], i)
	}
	return v
}

// Edges returns all edges, in a fixed order. The caller must not change them.
func (v *View) Edges() []Edge { return v.edges }

// Dependencies returns the edges that leave e: what e depends on.
func (v *View) Dependencies(e telemetry.Entity) []Edge { return v.pick(v.out[e]) }

// Dependents returns the edges that arrive at e: what depends on e.
func (v *View) Dependents(e telemetry.Entity) []Edge { return v.pick(v.in[e]) }

// Neighbourhood returns every entity within hops of the seeds, following
// edges both ways, the seeds included, in a fixed order.
func (v *View) Neighbourhood(seeds []telemetry.Entity, hops int) []telemetry.Entity {
	seen := map[telemetry.Entity]bool{}
	for _, s := range seeds {
		seen[s] = true
	}
	frontier := slices.Clone(seeds)
	for range hops {
		var next []telemetry.Entity
		for _, e := range frontier {
			for _, ed := range v.Dependencies(e) {
				if !seen[ed.To] {
					seen[ed.To] = true
					next = append(next, ed.To)
				}
			}
			for _, ed := range v.Dependents(e) {
				if !seen[ed.From] {
					seen[ed.From] = true
					next = append(next, ed.From)
				}
			}
		}
		frontier = next
	}
	out := make([]telemetry.Entity, 0, len(seen))
	for e := range seen {
		out = append(out, e)
	}
	slices.SortFunc(out, compareEntities)
	return out
}

func (v *View) pick(idx []int) []Edge {
	out := make([]Edge, len(idx))
	for i, j := range idx {
		out[i] = v.edges[j]
	}
	return out
}

func compareEntities(a, b telemetry.Entity) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

func sortEdges(es []Edge) {
	slices.SortFunc(es, func(a, b Edge) int {
		return cmp.Or(compareEntities(a.From, b.From), compareEntities(a.To, b.To), cmp.Compare(a.Kind, b.Kind))
	})
}
