package joint

import (
	"math"
	"math/rand/v2"

	"github.com/norn-aiops/norn/internal/stats"
)

const (
	trees      = 25
	treeDepth  = 7
	treeNodes  = 1<<(treeDepth+1) - 1
	treeWindow = 512 // rows that make one mass profile
	treeFew    = treeWindow / 50
)

// forest are half-space trees (Tan, Ting and Liu, "Fast Anomaly Detection for
// Streaming Data", IJCAI 2011): random cuts of random columns, made without
// looking at data, and counts of the rows that fell into each half-space in
// the last full window. Rows in half-spaces of little mass are strange. Nothing
// is assumed of the kinds of the columns; memory is fixed.
type forest struct {
	column []uint16  // trees * treeNodes: column that a node cuts
	cut    []float32 // where, on the squashed scale
	old    []uint16  // mass in the last full window
	fresh  []uint16  // mass in the open one
	rows   int       // of the open window
	full   bool      // a window has been closed
}

func newForest(d int, seed uint64) *forest {
	f := &forest{
		column: make([]uint16, trees*treeNodes), cut: make([]float32, trees*treeNodes),
		old: make([]uint16, trees*treeNodes), fresh: make([]uint16, trees*treeNodes),
	}
	if d == 0 {
		return f
	}
	r := rand.New(rand.NewPCG(seed, 0x7ee5))
	for t := range trees {
		low, high := make([]float64, d), make([]float64, d)
		for j := range d {
			s := r.Float64()
			w := 2 * max(s, 1-s)
			low[j], high[j] = s-w, s+w
		}
		f.plant(r, t*treeNodes, 0, low, high)
	}
	return f
}

// plant sets the cuts of the node and of those below it.
func (f *forest) plant(r *rand.Rand, base, node int, low, high []float64) {
	if 2*node+2 >= treeNodes {
		return
	}
	j := r.IntN(len(low))
	cut := (low[j] + high[j]) / 2
	f.column[base+node], f.cut[base+node] = uint16(j), float32(cut)
	was := high[j]
	high[j] = cut
	f.plant(r, base, 2*node+1, low, high)
	high[j] = was
	was, low[j] = low[j], cut
	f.plant(r, base, 2*node+2, low, high)
	low[j] = was
}

// squash brings a residual into (0, 1), finest around 0.
func squash(r float32) float32 { return .5 + r/(2*(2+float32(math.Abs(float64(r))))) }

// strangeness is the mean over the trees of how many halvings of the usual
// mass the row's half-space lacks, at least 0. It does not change the trees.
func (f *forest) strangeness(r []float32) float32 {
	if !f.full {
		return 0
	}
	return f.descend(r, false)
}

// observe gives the strangeness of a row and counts it.
func (f *forest) observe(r []float32) float32 {
	if len(r) == 0 {
		return 0
	}
	q := f.descend(r, true)
	if !f.full {
		q = 0
	}
	if f.rows++; f.rows == treeWindow {
		f.old, f.fresh = f.fresh, f.old
		clear(f.fresh)
		f.rows, f.full = 0, true
	}
	return q
}

func (f *forest) descend(r []float32, count bool) float32 {
	sum := float32(0)
	for t := range trees {
		base, node, depth := t*treeNodes, 0, float32(0)
		mass, settled := f.old[base], false
		for {
			at := base + node
			if !settled {
				mass = f.old[at]
				settled = mass <= treeFew
				if !settled {
					depth++
				}
			}
			if count {
				f.fresh[at]++
			} else if settled {
				break
			}
			if 2*node+2 >= treeNodes {
				break
			}
			if squash(r[f.column[at]]) < f.cut[at] {
				node = 2*node + 1
			} else {
				node = 2*node + 2
			}
		}
		full := stats.FastLog2(treeWindow * (1 << treeDepth))
		sum += max(0, full-stats.FastLog2(float32(mass)+1)-depth)
	}
	return sum / trees
}
