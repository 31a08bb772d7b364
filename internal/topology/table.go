package topology

import "github.com/norn-aiops/norn/internal/telemetry"

// nodeKey finds a span. side is 1 for spans that take a request in (server,
// consumer), 0 for all others, so that tracers that give client and server
// span the same id (Zipkin) can be read too.
type nodeKey struct {
	trace, span uint64
	side        uint8
}

type parentKey struct{ trace, span uint64 }

// node is a span that waits for its relatives, or the place of a parent that
// has not come (ghost).
type node struct {
	key      nodeKey
	parent   uint64 // span id, 0 for a root
	kind     telemetry.SpanKind
	entity   telemetry.Entity
	peer     peer
	start    int64
	end      int64
	deadline int64 // ns; when it stops waiting
	failed   bool
	receive  bool
	settled  bool   // its edge is counted
	presumed bool   // ... on the word of its address alone
	selfDone bool   // its self time is counted
	op       *tally // of its operation; nil when it is counted for none
	ghost    bool

	up         *node
	child      *node // first of its children
	prev, next *node // siblings
}

func (n *node) seconds() float64 { return float64(n.end-n.start) / 1e9 }

// inSide reports whether the span takes a request in.
func inSide(k telemetry.SpanKind) bool {
	return k == telemetry.SpanServer || k == telemetry.SpanConsumer
}

// outSide reports whether the span sends a request out.
func outSide(k telemetry.SpanKind) bool {
	return k == telemetry.SpanClient || k == telemetry.SpanProducer
}

// table holds the spans that can still meet relatives, in order of arrival.
// Every operation takes constant time, whatever the spans claim about their
// parents.
type table struct {
	nodes  map[nodeKey]*node
	ghosts map[parentKey]*node
	queue  []*node
	head   int
}

// maxDepth bounds how far up a chain of parents is followed.
const maxDepth = 1000

func newTable() *table {
	return &table{nodes: map[nodeKey]*node{}, ghosts: map[parentKey]*node{}}
}

func (t *table) len() int { return len(t.queue) - t.head }

// add puts n in, links it to its parent and children that have come, and
// returns those whose parent it became (in scratch). ok is false when the span
// is there already.
func (t *table) add(n *node, scratch []*node) (adopted []*node, ok bool) {
	if t.nodes[n.key] != nil {
		return scratch, false
	}
	t.nodes[n.key] = n
	t.queue = append(t.queue, n)
	if p := t.parentOf(n); p != nil {
		link(p, n)
	} else if n.parent != 0 {
		k := parentKey{n.key.trace, n.parent}
		g := t.ghosts[k]
		if g == nil {
			g = &node{ghost: true, key: nodeKey{trace: k.trace, span: k.span}}
			t.ghosts[k] = g
		}
		link(g, n)
	}
	k := parentKey{n.key.trace, n.key.span}
	if g := t.ghosts[k]; g != nil && n.up != g {
		delete(t.ghosts, k)
		for c := g.child; c != nil; c = g.child {
			unlink(c)
			if link(n, c) {
				scratch = append(scratch, c)
			}
		}
	}
	if n.key.side == 0 { // Zipkin: the server span that shares this id
		if c := t.nodes[nodeKey{n.key.trace, n.key.span, 1}]; c != nil && c.parentNode() == nil && c.entity != n.entity {
			t.leave(c)
			if link(n, c) {
				scratch = append(scratch, c)
			}
		}
	}
	return scratch, true
}

func (t *table) parentOf(n *node) *node {
	if n.key.side == 1 { // a shared id is a closer relation than the parent's id
		if p := t.nodes[nodeKey{n.key.trace, n.key.span, 0}]; p != nil && p.entity != n.entity {
			return p
		}
	}
	if n.parent == 0 {
		return nil
	}
	// under a shared id, requests come from the client's side, the rest is
	// work inside the server
	near, far := uint8(1), uint8(0)
	if n.key.side == 1 {
		near, far = 0, 1
	}
	if p := t.nodes[nodeKey{n.key.trace, n.parent, near}]; p != nil {
		return p
	}
	return t.nodes[nodeKey{n.key.trace, n.parent, far}]
}

// parentNode returns the parent when it has come.
func (n *node) parentNode() *node {
	if n.up == nil || n.up.ghost {
		return nil
	}
	return n.up
}

// link makes c the first child of p, unless that would close a circle: garbage
// can claim to be its own ancestor.
func link(p, c *node) bool {
	depth := 0
	for a := p; a != nil; a = a.up {
		if depth++; a == c || depth > maxDepth {
			return false
		}
	}
	c.up, c.next, c.prev = p, p.child, nil
	if p.child != nil {
		p.child.prev = c
	}
	p.child = c
	return true
}

func unlink(c *node) {
	switch {
	case c.prev != nil:
		c.prev.next = c.next
	case c.up != nil:
		c.up.child = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.up, c.next, c.prev = nil, nil, nil
}

// leave takes n from its parent, and frees the place of a parent that never
// came with its last child.
func (t *table) leave(n *node) {
	up := n.up
	if up == nil {
		return
	}
	unlink(n)
	if up.ghost && up.child == nil {
		delete(t.ghosts, parentKey{up.key.trace, up.key.span})
	}
}

// oldest returns the node that came first, nil when there is none.
func (t *table) oldest() *node {
	if t.head == len(t.queue) {
		return nil
	}
	return t.queue[t.head]
}

// drop takes the oldest node out.
func (t *table) drop() {
	n := t.queue[t.head]
	t.queue[t.head] = nil
	t.head++
	if t.head > 1024 && t.head > len(t.queue)/2 {
		t.queue = append([]*node(nil), t.queue[t.head:]...)
		t.head = 0
	}
	delete(t.nodes, n.key)
	t.leave(n)
	for n.child != nil {
		unlink(n.child)
	}
}
