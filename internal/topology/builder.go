package topology

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Config configures a [Builder]. Zero fields take the default in brackets.
type Config struct {
	Window        time.Duration // length of a window (10 s)
	Lag           time.Duration // a window stays open this long after its end (5 s)
	PairTimeout   time.Duration // how long a span waits for its relatives (30 s)
	Quiet         time.Duration // how long a silent entity or edge is reported with rate 0 (5 min)
	MaxPending    int           // spans that wait (200,000); beyond it the oldest stops waiting
	MaxEntities   int           // entities that are active (10,000)
	MaxEdges      int           // edges that are active (50,000)
	MaxOperations int           // operations of one entity that become series (50)
	Seed          uint64        // of the samples that quantiles are taken from
}

func (c Config) withDefaults() Config {
	dur := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	num := func(n *int, def int) {
		if *n <= 0 {
			*n = def
		}
	}
	dur(&c.Window, 10*time.Second)
	c.Window = max(c.Window.Truncate(time.Millisecond), time.Millisecond)
	dur(&c.Lag, 5*time.Second)
	dur(&c.PairTimeout, 30*time.Second)
	dur(&c.Quiet, 5*time.Minute)
	num(&c.MaxPending, 200_000)
	num(&c.MaxEntities, 10_000)
	num(&c.MaxEdges, 50_000)
	num(&c.MaxOperations, 50)
	return c
}

// maxOpenWindows bounds the windows that wait to be flushed.
const maxOpenWindows = 720

// Sample is one value of one of Norn's own series.
type Sample struct {
	Labels labels.Labels
	T      int64 // Unix milliseconds, the window's end
	V      float64
}

// Stats counts what a [Builder] met and holds.
type Stats struct {
	Spans      uint64 // taken in
	Duplicates uint64 // spans that were there already
	NoEntity   uint64 // spans of nobody
	Late       uint64 // counts that came after their window was flushed
	Unmatched  uint64 // client spans whose callee did not report in time
	Evicted    uint64 // spans that stopped waiting early, because too many waited
	Dropped    uint64 // counts beyond a limit (entities, edges, operations, windows)
	Pending    int    // spans that wait
	Entities   int
	Edges      int
}

// Builder turns spans into edges and golden signals. It is safe for concurrent
// use, and deterministic: the same calls give the same results, and within a
// window the order in which spans come does not matter (but for which of
// several callees under one client span counts as the one it waited for).
type Builder struct {
	cfg Config

	mu        sync.Mutex
	table     *table
	windows   map[int64]*window // by start, ms
	open      int64             // start of the oldest window that may be open, 0 before the first flush
	now       int64             // ns, of the last flush
	entities  map[telemetry.Entity]*entityState
	edges     map[edgeKey]int64           // end of the last window with calls, ms
	externals map[string]int64            // addresses that proved to report no spans, ms
	addresses map[string]telemetry.Entity // whose spans answered at an address
	resources map[resourceKey]int64       // relations seen since the last flush, ms
	lastAttrs *telemetry.Attr             // the last resource, as batches repeat it
	lastOwner [2]telemetry.Entity         // whose it was
	scratch   []*node
	stats     Stats
}

// entityState is what is kept of an entity between windows.
type entityState struct {
	last int64            // end of the last window with requests, ms
	ops  map[string]int64 // operations that are series: end of their last window
}

type resourceKey struct {
	from, to telemetry.Entity
	kind     graph.EdgeKind
}

// New makes a Builder.
func New(cfg Config) *Builder {
	return &Builder{
		cfg: cfg.withDefaults(), table: newTable(), windows: map[int64]*window{},
		entities: map[telemetry.Entity]*entityState{}, edges: map[edgeKey]int64{},
		externals: map[string]int64{}, addresses: map[string]telemetry.Entity{}, resources: map[resourceKey]int64{},
	}
}

// Stats returns the current counts.
func (b *Builder) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := b.stats
	st.Pending, st.Entities, st.Edges = b.table.len(), len(b.entities), len(b.edges)
	return st
}

// Spans takes spans in. They must be normalised (entity, times, lower-case
// ids) and are not kept. Their resources count as [Builder.Resource] calls.
func (b *Builder) Spans(spans []telemetry.Span) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range spans {
		s := &spans[i]
		b.stats.Spans++
		if s.Entity.IsZero() {
			b.stats.NoEntity++
			continue
		}
		b.span(s)
		if len(s.Resource) > 0 && (b.lastAttrs != &s.Resource[0] || b.lastOwner != [2]telemetry.Entity{s.Entity, s.Instance}) {
			b.lastAttrs, b.lastOwner = &s.Resource[0], [2]telemetry.Entity{s.Entity, s.Instance}
			b.resource(s.Entity, s.Instance, s.Resource, s.End/1e6)
		}
	}
	b.lastAttrs = nil // the slices go back to the sender
}

// idOf reads a span id (16 hex digits), or hashes what is none. It is never 0
// but for the empty id.
func idOf(s string) uint64 {
	if s == "" {
		return 0
	}
	if len(s) == 16 {
		if v, err := strconv.ParseUint(s, 16, 64); err == nil && v != 0 {
			return v
		}
	}
	return max(xxhash.Sum64String(s), 1)
}

func (b *Builder) span(s *telemetry.Span) {
	n := &node{
		key:    nodeKey{trace: xxhash.Sum64String(s.TraceID), span: idOf(s.SpanID)},
		parent: idOf(s.ParentID), kind: s.Kind, entity: s.Entity, start: s.Start, end: max(s.Start, s.End), failed: s.Error,
	}
	if inSide(n.kind) {
		n.key.side = 1
	}
	if outSide(n.kind) || n.kind == telemetry.SpanConsumer {
		n.peer = peerOf(s.Attributes)
		n.receive = n.kind == telemetry.SpanConsumer || n.kind == telemetry.SpanClient && n.peer.entity.Kind == telemetry.KindQueue && isReceive(s.Attributes)
	}
	n.deadline = b.deadline(n.end)
	adopted, ok := b.table.add(n, b.scratch[:0])
	b.scratch = adopted[:0]
	if !ok {
		b.stats.Duplicates++
		return
	}
	if inSide(n.kind) {
		b.request(n, n.entity)
		b.operation(n, s.Name)
	}
	b.settleAtOnce(n)
	if p := n.parentNode(); p != nil {
		b.relate(p, n)
	}
	for _, c := range adopted {
		b.relate(n, c)
	}
	for b.table.len() > b.cfg.MaxPending {
		b.stats.Evicted++
		n := b.table.oldest()
		for up, i := n.parentNode(), 0; up != nil && i < 32; up, i = up.parentNode(), i+1 {
			b.selfTime(up) // while its children are known
		}
		b.retire(n)
	}
}

// deadline is when a span stops waiting: PairTimeout after its end or arrival
// on the event clock, whichever is later; a span from the future does not wait
// for its own time.
func (b *Builder) deadline(end int64) int64 {
	base := max(end, b.now)
	if b.now > 0 {
		base = min(base, b.now+int64(10*time.Minute))
	}
	return base + int64(b.cfg.PairTimeout)
}

// settleAtOnce counts the edges of spans that need no counterpart: to
// databases, caches and queues, and to addresses that proved to report none.
func (b *Builder) settleAtOnce(n *node) {
	p := n.peer
	switch {
	case p.entity.IsZero() || p.entity == n.entity:
		return
	case n.kind == telemetry.SpanConsumer:
		if p.entity.Kind == telemetry.KindQueue {
			n.settled = true
			b.call(n.entity, p.entity, n, n.failed)
		}
		return
	case p.final:
	case b.isExternal(p.addr):
	default:
		return
	}
	n.settled = true
	b.call(n.entity, p.entity, n, n.failed)
	if !n.receive {
		b.request(n, p.entity)
	}
}

func (b *Builder) isExternal(addr string) bool {
	t, ok := b.externals[addr]
	return ok && b.now/1e6-t < int64(time.Hour/time.Millisecond)
}

// relate counts what parent p and child c say together.
func (b *Builder) relate(p, c *node) {
	switch {
	case c.kind == telemetry.SpanConsumer && (p.peer.entity.Kind == telemetry.KindQueue || c.peer.entity.Kind == telemetry.KindQueue):
		b.message(p, c)
	case !inSide(c.kind):
		// work of another service without a span that takes it in
		if p.entity != c.entity && c.kind != telemetry.SpanClient && c.kind != telemetry.SpanProducer {
			b.request(c, c.entity)
			b.call(p.entity, c.entity, c, c.failed)
			p.settled = p.settled || outSide(p.kind)
		}
	case p.presumed: // it came after all
		b.learn(p, c)
		if t := b.edge(p.entity, c.entity, p); t != nil {
			t.gap.add(max(0, p.seconds()-c.seconds()), b.priority(p))
		}
		p.presumed = false
	case outSide(p.kind) && !p.settled:
		p.settled = true
		b.learn(p, c)
		if t := b.call(p.entity, c.entity, p, p.failed || c.failed); t != nil {
			t.gap.add(max(0, p.seconds()-c.seconds()), b.priority(p))
		}
	case p.entity != c.entity:
		b.learn(p, c)
		b.call(p.entity, c.entity, c, c.failed)
	}
}

// message joins a producer with a consumer through their queue: the gap is how
// long the message waited.
func (b *Builder) message(p, c *node) {
	q := c.peer.entity
	if q.Kind != telemetry.KindQueue {
		q = p.peer.entity
	}
	if !c.settled {
		c.settled = true
		b.call(c.entity, q, c, c.failed)
	}
	if outSide(p.kind) {
		if t := b.edge(c.entity, q, c); t != nil {
			t.gap.add(max(0, float64(c.start-p.end)/1e9), b.priority(c))
		}
	}
}

// learn remembers that c's service answered at the address that p called.
func (b *Builder) learn(p, c *node) {
	if p.peer.addr == "" {
		return
	}
	delete(b.externals, p.peer.addr)
	if len(b.addresses) >= b.cfg.MaxEdges {
		clear(b.addresses)
	}
	b.addresses[p.peer.addr] = c.entity
}

// presume counts the call of a client span whose window closes and whose
// callee is known by its address: a dead callee sends no spans, and its
// callers' errors must not wait.
func (b *Builder) presume(n *node) {
	if !outSide(n.kind) || n.settled || n.peer.entity.IsZero() {
		return
	}
	if peer := b.resolve(n.peer); peer.Kind == telemetry.KindService {
		n.settled, n.presumed = true, true
		b.stats.Unmatched++
		b.call(n.entity, peer, n, n.failed)
	}
}

// retire ends a span's wait.
func (b *Builder) retire(n *node) {
	b.presume(n)
	if outSide(n.kind) && !n.settled && !n.peer.entity.IsZero() {
		b.stats.Unmatched++
		if n.peer.entity != n.entity {
			b.call(n.entity, n.peer.entity, n, n.failed)
			b.request(n, n.peer.entity)
		}
		if len(b.externals) >= b.cfg.MaxEdges {
			clear(b.externals)
		}
		b.externals[n.peer.addr] = max(n.end, b.now) / 1e6
	}
	b.selfTime(n)
	b.table.drop()
}

// resolve finds the service behind an address: the one whose spans answered
// there before, else one that reports under that name, or under the first part
// of that domain name, as in Kubernetes.
func (b *Builder) resolve(p peer) telemetry.Entity {
	if p.entity.Kind != telemetry.KindExternal {
		return p.entity
	}
	if e, ok := b.addresses[p.addr]; ok {
		return e
	}
	host, _, _ := strings.Cut(p.entity.Name, ":")
	for _, name := range []string{p.entity.Name, host, strings.SplitN(host, ".", 2)[0]} {
		s := telemetry.Entity{Kind: telemetry.KindService, Name: name}
		if b.entities[s] != nil {
			return s
		}
	}
	return p.entity
}

func (b *Builder) priority(n *node) uint64 { return priority(n.key.trace, n.key.span, b.cfg.Seed) }

// windowAt returns the window that something that ended at t ns counts in, nil
// when there are too many or t is more than an hour ahead.
func (b *Builder) windowAt(t int64) *window {
	if b.now > 0 && t > b.now+int64(time.Hour) {
		b.stats.Dropped++
		return nil
	}
	size := b.cfg.Window.Milliseconds()
	start := t / 1e6 / size * size
	if start < b.open {
		b.stats.Late++
		start = b.open
	}
	w := b.windows[start]
	if w == nil {
		if len(b.windows) >= maxOpenWindows {
			b.stats.Dropped++
			return nil
		}
		w = newWindow()
		b.windows[start] = w
	}
	return w
}

// request counts n as a request that e served.
func (b *Builder) request(n *node, e telemetry.Entity) {
	if b.entities[e] == nil && len(b.entities) >= b.cfg.MaxEntities {
		b.stats.Dropped++
		return
	}
	w := b.windowAt(n.end)
	if w == nil {
		return
	}
	if b.entities[e] == nil {
		b.entities[e] = &entityState{last: n.end / 1e6}
	}
	t := w.entities[e]
	if t == nil {
		t = &tally{}
		w.entities[e] = t
	}
	t.add(n.seconds(), n.failed, b.priority(n))
}

// call counts n as a call from one entity to another.
func (b *Builder) call(from, to telemetry.Entity, n *node, failed bool) *tally {
	t := b.edge(from, to, n)
	if t != nil {
		t.add(n.seconds(), failed, b.priority(n))
	}
	return t
}

func (b *Builder) edge(from, to telemetry.Entity, n *node) *tally {
	k := edgeKey{from, to}
	if from == to {
		return nil
	}
	if _, ok := b.edges[k]; !ok && len(b.edges) >= b.cfg.MaxEdges {
		b.stats.Dropped++
		return nil
	}
	w := b.windowAt(n.end)
	if w == nil {
		return nil
	}
	if _, ok := b.edges[k]; !ok {
		b.edges[k] = n.end / 1e6
	}
	t := w.edges[k]
	if t == nil {
		t = &tally{}
		w.edges[k] = t
	}
	return t
}

// opsFactor is how many operations are counted in a window for each that can
// become a series.
const opsFactor = 4

func (b *Builder) operation(n *node, name string) {
	if b.entities[n.entity] == nil {
		return // beyond the limit of entities
	}
	w := b.windowAt(n.end)
	if w == nil {
		return
	}
	k := opKey{n.entity, generalise(name)}
	t := w.ops[k]
	if t == nil {
		if w.perOps[n.entity] >= opsFactor*b.cfg.MaxOperations {
			b.stats.Dropped++
			return
		}
		w.perOps[n.entity]++
		t = &tally{}
		w.ops[k] = t
	}
	n.op = t
	t.add(n.seconds(), n.failed, b.priority(n))
}
