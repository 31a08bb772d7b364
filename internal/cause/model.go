package cause

import (
	"cmp"
	"math"
	"slices"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/stats"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// node is one entity of the estate with everything that is known of it.
type node struct {
	e       telemetry.Entity
	ev      [nKinds]*evidence
	lats    map[string]*evidence // latency by statistic
	mean    *evidence            // mean latency over all requests, for accounting; nil unknown
	self    *evidence            // mean time in the entity itself; nil unknown
	all     []*evidence          // everything measured, for the report
	callees []int
	callers []int
	hosts   []int // what it runs on
	tenants []int // what runs on it

	req, reqBase float64    // requests a second in the window and before; 0 unknown
	observed     bool       // some series has data in the window
	newDep       bool       // every golden signal is too young to judge
	u            [2]float64 // unexplained share of latency and of errors
	hosted       float64    // share of its own time that its host does not explain
	explained    []ops.Explained
	imp          [nKinds]float64
	dist         float64 // relevance of the path from the target
	via          int     // previous node on that path, -1 at the target
	score        float64
	dark         bool
	changes      []telemetry.Change
	role         ops.Role
}

// excess is the extra seconds (latency) or failures (errors) a second.
func (n *node) excess(k kind, stat string) float64 {
	if k == kLat && n.mean != nil && !n.newDep {
		return max(0, n.mean.raw) * n.volume(n.mean)
	}
	ev := n.ev[k]
	if k == kLat && n.lats[stat] != nil {
		ev = n.lats[stat]
	}
	if ev == nil || n.newDep {
		return 0
	}
	return max(0, ev.d) * n.volume(ev)
}

// volume is the requests a second that suffer from ev, 1 when unknown.
func (n *node) volume(ev *evidence) float64 {
	if ev.kind == kErr && !isRatio(ev.meta, stats.Summary{Q975: ev.high}) {
		return 1 // already failures a second
	}
	if n.req > 0 {
		return n.req
	}
	return 1
}

// strength is the best evidence that the entity is unwell in the sense of k,
// counting its silence.
func (n *node) strength(k kind) float64 {
	a := 0.0
	if n.ev[k] != nil {
		a = n.ev[k].a
	}
	if n.ev[kUp] != nil {
		a = max(a, n.ev[kUp].a)
	}
	return a
}

// anomalous is the largest evidence of any kind but traffic.
func (n *node) anomalous() float64 {
	a := 0.0
	for k, ev := range n.ev {
		if ev != nil && kind(k) != kReq && kind(k) != kOther {
			a = max(a, ev.a)
		}
	}
	return a
}

// link is what is known of one caller-callee pair.
type link struct {
	rate float64 // calls a second in the window, 0 unknown
	ev   [nKinds]*evidence
	lats map[string]*evidence
	mean *evidence // mean latency, for accounting
}

// model is the estate around one incident.
type model struct {
	cfg    Config
	in     *Input
	w      span
	nodes  []*node
	index  map[telemetry.Entity]int
	links  map[[2]int]*link
	parent map[telemetry.Entity]telemetry.Entity // instance -> service
	target int                                   // -1 when unknown or well
	kinds  []kind                                // latency and errors as far as they deviate at the target
}

func newModel(in *Input, cfg Config) *model {
	m := &model{cfg: cfg, in: in, index: map[telemetry.Entity]int{}, links: map[[2]int]*link{},
		parent: map[telemetry.Entity]telemetry.Entity{}, target: -1}
	var edges []graph.Edge
	if in.View != nil {
		edges = in.View.Edges()
	}
	for _, e := range edges {
		if e.Kind == graph.PartOf {
			m.parent[e.To] = e.From
		}
	}
	for i := range in.Series {
		m.add(in.Series[i].Meta.Entity)
		m.add(in.Series[i].Meta.Peer)
	}
	for i := range in.Anomalies {
		m.add(in.Anomalies[i].Entity)
	}
	m.add(in.Target)
	for _, e := range edges {
		m.connect(e)
	}
	m.w = cfg.window(in, m.fold)
	return m
}

func (m *model) fold(e telemetry.Entity) telemetry.Entity {
	if p, ok := m.parent[e]; ok {
		return p
	}
	return e
}

func (m *model) add(e telemetry.Entity) int {
	e = m.fold(e)
	if e.IsZero() {
		return -1
	}
	i, ok := m.index[e]
	if !ok {
		i = len(m.nodes)
		m.index[e] = i
		m.nodes = append(m.nodes, &node{e: e, lats: map[string]*evidence{}, u: [2]float64{1, 1}, hosted: 1, via: -1})
	}
	return i
}

func (m *model) connect(e graph.Edge) {
	from, to := m.fold(e.From), m.fold(e.To)
	if from == to || from.IsZero() || to.IsZero() {
		return
	}
	switch e.Kind {
	case graph.Calls, graph.DependsOn:
		i, j := m.add(from), m.add(to)
		if !slices.Contains(m.nodes[i].callees, j) {
			m.nodes[i].callees = append(m.nodes[i].callees, j)
			m.nodes[j].callers = append(m.nodes[j].callers, i)
		}
		l := m.link(i, j)
		if l.rate == 0 {
			l.rate = e.Weight
		}
	case graph.RunsOn:
		i, j := m.add(from), m.add(to)
		if !slices.Contains(m.nodes[i].hosts, j) {
			m.nodes[i].hosts = append(m.nodes[i].hosts, j)
			m.nodes[j].tenants = append(m.nodes[j].tenants, i)
		}
	}
}

func (m *model) link(i, j int) *link {
	l := m.links[[2]int{i, j}]
	if l == nil {
		l = &link{lats: map[string]*evidence{}}
		m.links[[2]int{i, j}] = l
	}
	return l
}

// rate is a sum of request rates over instances and label sets.
type rate struct{ now, usual float64 }

// load reads traffic first, because everything else is measured against it.
// Series of one name add up (instances, status codes); of several names that
// count the same requests the one that Norn makes itself wins, else the
// largest.
func (m *model) load() {
	byName := map[int]map[string]rate{}
	for i := range m.in.Series {
		s := &m.in.Series[i]
		if k, ok := kindOf(s.Meta); !ok || k != kReq || !isRequests(s.Meta) || ofOperation(s.Meta) {
			continue
		}
		b := stats.Summarise(values(s.Baseline, always))
		usual := b.Median
		if avg := mean(values(s.Baseline, always)); usual < avg/3 { // now and then a request
			usual = avg
		}
		st := step(s)
		x := mean(values(s.Window, span{m.w.from - st/2, m.w.to + st/2}))
		if math.IsNaN(x) {
			continue
		}
		ni := m.add(s.Meta.Entity)
		if !s.Meta.Peer.IsZero() {
			m.link(ni, m.add(s.Meta.Peer)).rate = x
			continue
		}
		if byName[ni] == nil {
			byName[ni] = map[string]rate{}
		}
		r := byName[ni][s.Meta.Name]
		byName[ni][s.Meta.Name] = rate{r.now + x, r.usual + usual}
	}
	for ni, names := range byName {
		n := m.nodes[ni]
		best, ok := names["norn_request_rate"]
		if !ok {
			for _, r := range names {
				if r.now > best.now || r.now == best.now && r.usual > best.usual {
					best = r
				}
			}
		}
		n.req, n.reqBase = best.now, best.usual
	}
	for _, key := range m.sortedLinks() { // a callee without a counter of its own
		if n := m.nodes[key[1]]; n.reqBase == 0 && m.links[key].rate > 0 {
			n.req += m.links[key].rate
		}
	}
}

// growth is the entity's traffic in the window over its usual traffic. Where
// the entity has no counter, that of what it calls stands in; 1 when unknown.
func (m *model) growth(n *node) float64 {
	if n.reqBase > 0 && n.req > 0 {
		return n.req / n.reqBase
	}
	now, before := 0.0, 0.0
	for _, c := range n.callees {
		if cn := m.nodes[c]; cn.reqBase > 0 {
			now, before = now+cn.req, before+cn.reqBase
		}
	}
	if before > 0 && now > 0 {
		return now / before
	}
	return 1
}

// sortedLinks gives the links in a fixed order.
func (m *model) sortedLinks() [][2]int {
	keys := make([][2]int, 0, len(m.links))
	for k := range m.links {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b [2]int) int {
		return cmp.Or(cmpEntity(m.nodes[a[0]].e, m.nodes[b[0]].e), cmpEntity(m.nodes[a[1]].e, m.nodes[b[1]].e))
	})
	return keys
}

func cmpEntity(a, b telemetry.Entity) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}
