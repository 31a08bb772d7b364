package joint

import (
	"math"
	"math/rand/v2"
)

const (
	trees       = 25
	treeSample  = 128 // rows that a tree is grown from
	treeNodes   = 2*treeSample - 1
	poolRows    = 512 // rows that the samples are drawn from
	poolOdds    = 8   // a full pool takes over one row in so many
	growEvery   = 64  // rows after which the oldest tree is grown anew
	leafColumn  = math.MaxUint16
	sharpness   = 8 // power of the score, so that its tail is told apart
	squashScale = 30_000
)

// forest are random cut trees over a sample of the past: a cut takes a column
// with odds proportional to the range that it spans in the node, and a uniform
// place in it (the cuts of Guha et al., "Robust Random Cut Forest Based Anomaly
// Detection on Streams", ICML 2016; scored by the depth at which a row is alone,
// Liu, Ting and Zhou, "Isolation Forest", ICDM 2008). Values are squashed first,
// so that counts, ratios, flags and latencies weigh alike. The trees of a fixed
// number are grown anew one after the other; memory is fixed.
type forest struct {
	d      int
	nodes  []treeNode // trees * treeNodes
	grown  int        // trees grown, at most trees
	next   int        // tree to grow next
	pool   []int16    // poolRows * d, squashed
	filled int        // rows in the pool
	rows   int        // since the last tree was grown
	random rand.PCG
	u      []int16 // the row, squashed
}

// treeNode is a cut, or a leaf with the number of its rows.
type treeNode struct {
	column uint16 // leafColumn: a leaf
	cut    int16
	left   uint16 // children; of a leaf: number of rows
	right  uint16
}

func newForest(d int, seed uint64) *forest {
	f := &forest{d: d, nodes: make([]treeNode, trees*treeNodes), pool: make([]int16, poolRows*d), u: make([]int16, d)}
	f.random.Seed(seed, 0x7ee5)
	clearTree(f.nodes)
	return f
}

// clearTree makes every node an empty leaf.
func clearTree(nodes []treeNode) {
	for i := range nodes {
		nodes[i] = treeNode{column: leafColumn}
	}
}

// squash brings a residual into a bounded range, finest around 0.
func squash(r float32) int16 {
	return int16(squashScale * r / (2 + float32(math.Abs(float64(r)))))
}

// observe gives the strangeness of a row, then lets it into the pool. Doubted
// rows stay outside.
func (f *forest) observe(r []float32, trusted bool) float32 {
	if len(r) == 0 {
		return 0
	}
	for j, v := range r {
		f.u[j] = squash(v)
	}
	q := f.strangeness()
	if !trusted {
		return q
	}
	at := f.filled
	if f.filled < poolRows {
		f.filled++
	} else if at = poolRows; f.random.Uint64()%poolOdds == 0 {
		at = int(f.random.Uint64() % poolRows)
	}
	if at < poolRows {
		copy(f.pool[at*f.d:(at+1)*f.d], f.u)
	}
	if f.rows++; f.rows >= growEvery && f.filled >= treeSample {
		f.rows = 0
		f.grow()
	}
	return q
}

// strangeness is 2^(-sharpness * depth / usual depth), 0 before the first tree.
func (f *forest) strangeness() float32 {
	if f.grown == 0 {
		return 0
	}
	sum := 0.
	for t := range f.grown {
		sum += depth(f.nodes[t*treeNodes:(t+1)*treeNodes], f.u)
	}
	return float32(math.Exp2(-sharpness * sum / float64(f.grown) / usualDepth(treeSample)))
}

// depth is where a row ends in a tree, with the depth that its leaf's rows
// would still add.
func depth(nodes []treeNode, u []int16) float64 {
	at, d := uint16(0), 0.
	for nodes[at].column != leafColumn {
		n := nodes[at]
		if at = n.right; u[n.column] <= n.cut {
			at = n.left
		}
		d++
	}
	return d + usualDepth(float64(nodes[at].left))
}

// usualDepth is the mean depth of an unsuccessful search in a binary tree of n
// rows, 2 H(n-1) - 2 (n-1)/n.
func usualDepth(n float64) float64 {
	if n <= 1 {
		return 0
	}
	return 2*(math.Log(n-1)+.5772156649) - 2*(n-1)/n
}

// grow makes one tree from random rows of the pool.
func (f *forest) grow() {
	var rows [treeSample]int
	for i := range rows {
		rows[i] = int(f.random.Uint64() % uint64(f.filled))
	}
	nodes := f.nodes[f.next*treeNodes : (f.next+1)*treeNodes]
	clearTree(nodes)
	used := uint16(1)
	f.split(nodes, 0, &used, rows[:])
	f.next = (f.next + 1) % trees
	f.grown = max(f.grown, f.next)
	if f.next == 0 {
		f.grown = trees
	}
}

// split cuts the rows of a node and those of its children, which take the next
// free nodes. n rows need at most 2n-1 nodes.
func (f *forest) split(nodes []treeNode, at uint16, used *uint16, rows []int) {
	column, cut, ok := f.choose(rows)
	if !ok {
		nodes[at] = treeNode{column: leafColumn, left: uint16(len(rows))}
		return
	}
	k := 0
	for i, r := range rows {
		if f.pool[r*f.d+column] <= cut {
			rows[i], rows[k] = rows[k], rows[i]
			k++
		}
	}
	left := *used
	*used += 2
	nodes[at] = treeNode{column: uint16(column), cut: cut, left: left, right: left + 1}
	f.split(nodes, left, used, rows[:k])
	f.split(nodes, left+1, used, rows[k:])
}

// choose draws a cut that leaves rows on both sides; false when all rows are
// alike.
func (f *forest) choose(rows []int) (column int, cut int16, ok bool) {
	if len(rows) < 2 {
		return 0, 0, false
	}
	total := uint64(0)
	for j := range f.d {
		low, high := f.span(rows, j)
		total += uint64(int(high) - int(low))
	}
	if total == 0 {
		return 0, 0, false
	}
	place := f.random.Uint64() % total
	for j := range f.d {
		low, high := f.span(rows, j)
		if w := uint64(int(high) - int(low)); place >= w {
			place -= w
			continue
		}
		return j, int16(int(low) + int(place)), true // low <= cut < high
	}
	return 0, 0, false
}

func (f *forest) span(rows []int, j int) (low, high int16) {
	low, high = math.MaxInt16, math.MinInt16
	for _, r := range rows {
		v := f.pool[r*f.d+j]
		low, high = min(low, v), max(high, v)
	}
	return low, high
}

func (f *forest) walk(c *codec) {
	c.count(&f.grown, trees)
	c.count(&f.next, trees-1)
	c.count(&f.filled, poolRows)
	c.count(&f.rows, max(growEvery, treeSample))
	c.i16s(f.pool)
	walkRandom(c, &f.random)
	for i := range f.nodes {
		n := &f.nodes[i]
		word := uint64(n.column)<<48 | uint64(uint16(n.cut))<<32 | uint64(n.left)<<16 | uint64(n.right)
		c.u64(&word)
		*n = treeNode{uint16(word >> 48), int16(uint16(word >> 32)), uint16(word >> 16), uint16(word)}
		at := uint16(i % treeNodes)
		if c.read && n.column != leafColumn { // children come after their parent: a descent ends
			c.check(int(n.column) < f.d && n.left > at && n.right > at && int(n.left) < treeNodes && int(n.right) < treeNodes)
		}
	}
}
