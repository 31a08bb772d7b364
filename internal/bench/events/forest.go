package events

import "math/rand/v2"

// Size of the random cut forest; the values that its authors' service and the
// usual streaming examples take.
const (
	forestTrees     = 40
	forestSample    = 256
	forestShingle   = 8
	forestKeep      = .1 // share of the points that enter a full tree's sample
	forestThreshold = 100
)

// cutForest is a random cut forest: Guha, Mishra, Roy and Schrijvers, "Robust
// Random Cut Forest Based Anomaly Detection On Streams" (ICML 2016). Each tree
// holds a sample of the last points (shingles of eight values) that forgets
// with time; the score is the collusive displacement, the mean over trees.
func cutForest(int) func(int64, float64) float64 {
	trees := make([]cutTree, forestTrees)
	for i := range trees {
		trees[i] = cutTree{rng: rand.New(rand.NewPCG(2016, uint64(i))), root: -1, slots: make([]int32, 0, forestSample)}
	}
	var p shingle
	n := 0
	return func(_ int64, v float64) float64 {
		copy(p[:], p[1:])
		p[forestShingle-1] = max(-1e30, min(1e30, v))
		if n++; n < forestShingle {
			return 0
		}
		var sum float64
		for i := range trees {
			sum += trees[i].see(&p)
		}
		return clean(sum / forestTrees)
	}
}

type shingle [forestShingle]float64

// cutNode is a leaf (left < 0) or an inner node with a cut.
type cutNode struct {
	left, right, parent int32
	points              int32 // below, repeated ones too
	dim                 int32
	cut                 float64
	lo, hi              shingle // bounding box; of a leaf its point
}

type cutTree struct {
	rng   *rand.Rand
	root  int32
	nodes []cutNode
	free  []int32
	slots []int32 // leaves of the sample
}

// see measures how far a point displaces others, and keeps it or lets it go.
func (t *cutTree) see(p *shingle) float64 {
	full := len(t.slots) == forestSample
	if full && t.rng.Float64() >= forestKeep {
		return t.probe(p)
	}
	leaf := t.insert(p)
	score := t.displacement(leaf)
	if !full {
		t.slots = append(t.slots, leaf)
		return score
	}
	i := t.rng.IntN(len(t.slots))
	out := t.slots[i]
	t.slots[i] = leaf
	t.remove(out)
	return score
}

// probe gives the displacement that insert and displacement would, and leaves
// the tree as it is.
func (t *cutTree) probe(p *shingle) float64 {
	var top float64
	for i := t.root; ; {
		n := &t.nodes[i]
		if n.left < 0 && n.lo == *p {
			return top
		}
		if _, _, apart := t.draw(n, p); apart {
			return max(top, float64(n.points))
		}
		next, sib := n.right, n.left
		if p[n.dim] <= n.cut {
			next, sib = n.left, n.right
		}
		top = max(top, float64(t.nodes[sib].points)/float64(t.nodes[next].points+1))
		i = next
	}
}

// displacement is the largest ratio, over the ancestors, of the points that
// the removal of the leaf's side would move to the points on that side.
func (t *cutTree) displacement(i int32) float64 {
	var top float64
	for up := t.nodes[i].parent; up >= 0; i, up = up, t.nodes[up].parent {
		sib := t.nodes[up].left
		if sib == i {
			sib = t.nodes[up].right
		}
		top = max(top, float64(t.nodes[sib].points)/float64(t.nodes[i].points))
	}
	return top
}

func (t *cutTree) alloc(n cutNode) int32 {
	if k := len(t.free); k > 0 {
		i := t.free[k-1]
		t.free = t.free[:k-1]
		t.nodes[i] = n
		return i
	}
	t.nodes = append(t.nodes, n)
	return int32(len(t.nodes) - 1)
}

// insert adds a point as the paper's algorithm 2 does and returns its leaf.
func (t *cutTree) insert(p *shingle) int32 {
	if t.root < 0 {
		t.root = t.alloc(cutNode{left: -1, right: -1, parent: -1, points: 1, lo: *p, hi: *p})
		return t.root
	}
	for i := t.root; ; {
		n := &t.nodes[i]
		if n.left < 0 && n.lo == *p {
			t.grow(i, p)
			return i
		}
		if dim, cut, apart := t.draw(n, p); apart {
			return t.split(i, p, dim, cut)
		}
		if p[n.dim] <= n.cut {
			i = n.left
		} else {
			i = n.right
		}
	}
}

// draw takes a random cut of the box of n and p; apart says that it parts the
// two. For a leaf it always does.
func (t *cutTree) draw(n *cutNode, p *shingle) (dim int, cut float64, apart bool) {
	var span float64
	for d, x := range p {
		span += larger(n.hi[d], x) - smaller(n.lo[d], x)
	}
	r := t.rng.Float64() * span
	for d := range p {
		lo, hi := smaller(n.lo[d], p[d]), larger(n.hi[d], p[d])
		if hi == lo {
			continue
		}
		r -= hi - lo
		dim, cut = d, min(max(hi+min(r, 0), lo), hi) // rounding may leave r > 0 after the last
		if cut >= hi {
			cut = lo
		}
		if r <= 0 {
			break
		}
	}
	return dim, cut, n.left < 0 || cut < n.lo[dim] && p[dim] <= cut || cut >= n.hi[dim] && p[dim] > cut
}

// larger and smaller are for numbers that are never NaN.
func larger(a, b float64) float64 {
	if a < b {
		return b
	}
	return a
}

func smaller(a, b float64) float64 {
	if b < a {
		return b
	}
	return a
}

// split puts a new inner node above node i, with a leaf for p beside i.
func (t *cutTree) split(i int32, p *shingle, dim int, cut float64) int32 {
	up := t.nodes[i].parent
	leaf := t.alloc(cutNode{left: -1, right: -1, points: 1, lo: *p, hi: *p})
	in := t.alloc(cutNode{parent: up, points: t.nodes[i].points, dim: int32(dim), cut: cut, lo: t.nodes[i].lo, hi: t.nodes[i].hi})
	n := &t.nodes[in]
	n.left, n.right = i, leaf
	if p[dim] <= cut {
		n.left, n.right = leaf, i
	}
	t.nodes[i].parent, t.nodes[leaf].parent = in, in
	switch {
	case up < 0:
		t.root = in
	case t.nodes[up].left == i:
		t.nodes[up].left = in
	default:
		t.nodes[up].right = in
	}
	t.grow(in, p)
	return leaf
}

// grow counts p in at node i and above, and widens the boxes.
func (t *cutTree) grow(i int32, p *shingle) {
	for ; i >= 0; i = t.nodes[i].parent {
		n := &t.nodes[i]
		n.points++
		for d, x := range p {
			if x < n.lo[d] {
				n.lo[d] = x
			}
			if x > n.hi[d] {
				n.hi[d] = x
			}
		}
	}
}

// remove takes one point of leaf i away (the paper's algorithm 1).
func (t *cutTree) remove(i int32) {
	up := t.nodes[i].parent
	if t.nodes[i].points > 1 {
		for ; i >= 0; i = t.nodes[i].parent {
			t.nodes[i].points--
		}
		return
	}
	t.free = append(t.free, i)
	if up < 0 {
		t.root = -1
		return
	}
	sib, above := t.nodes[up].left, t.nodes[up].parent
	if sib == i {
		sib = t.nodes[up].right
	}
	t.free = append(t.free, up)
	t.nodes[sib].parent = above
	switch {
	case above < 0:
		t.root = sib
	case t.nodes[above].left == up:
		t.nodes[above].left = sib
	default:
		t.nodes[above].right = sib
	}
	tight := true // until a box no longer shrinks
	for ; above >= 0; above = t.nodes[above].parent {
		n := &t.nodes[above]
		n.points--
		if !tight {
			continue
		}
		l, r := &t.nodes[n.left], &t.nodes[n.right]
		tight = false
		for d := range n.lo {
			lo, hi := smaller(l.lo[d], r.lo[d]), larger(l.hi[d], r.hi[d])
			tight = tight || lo != n.lo[d] || hi != n.hi[d]
			n.lo[d], n.hi[d] = lo, hi
		}
	}
}
