package drilldown

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// candidates are looked at closely before the search gives up.
const candidates = 60

// cuboid is one subset of the dimensions: the sums of each of its elements.
type cuboid struct {
	mask    uint
	code    []uint32 // element of each leaf
	n       []int32
	w, wd   []float64
	exc     []float64
	obs     []float64
	penalty float64 // what the largest of so many elements gains by chance
}

// scan holds the sums of all elements of all cuboids, less those of the leaves
// that were taken.
type scan struct {
	in      *Input
	m       *model
	cfg     Config
	cuboids []cuboid
	taken   []bool
	sign    float64
}

func newScan(in *Input, m *model, cfg Config) *scan {
	s := &scan{in: in, m: m, cfg: cfg, taken: make([]bool, len(m.leaf)), sign: math.Copysign(1, m.total)}
	codes, sizes := s.encode()
	most := len(in.Dims)
	if cfg.MaxDims > 0 {
		most = min(most, cfg.MaxDims)
	}
	for mask := uint(1); mask < 1<<len(in.Dims); mask++ {
		if bits.OnesCount(mask) <= most && !s.idle(mask, sizes) {
			s.cuboids = append(s.cuboids, s.cuboid(mask, codes, sizes))
		}
	}
	return s
}

// idle reports a dimension with one value in mask: it narrows nothing.
func (s *scan) idle(mask uint, sizes []int) bool {
	for d, size := range sizes {
		if mask&(1<<d) != 0 && size < 2 {
			return true
		}
	}
	return false
}

// encode numbers the values of each dimension.
func (s *scan) encode() (codes [][]uint32, sizes []int) {
	for d := range s.in.Dims {
		known := map[string]uint32{}
		col := make([]uint32, len(s.m.leaf))
		for i, row := range s.m.leaf {
			v := s.in.Leaves[row][d]
			c, ok := known[v]
			if !ok {
				c = uint32(len(known))
				known[v] = c
			}
			col[i] = c
		}
		codes, sizes = append(codes, col), append(sizes, len(known))
	}
	return codes, sizes
}

// cuboid numbers the elements of one subset of the dimensions and adds them up.
func (s *scan) cuboid(mask uint, codes [][]uint32, sizes []int) cuboid {
	c := cuboid{mask: mask, code: make([]uint32, len(s.m.leaf))}
	size := 1
	for d := range codes {
		if mask&(1<<d) == 0 {
			continue
		}
		size = join(c.code, codes[d], size, sizes[d])
	}
	c.n = make([]int32, size)
	c.w, c.wd, c.exc, c.obs = make([]float64, size), make([]float64, size), make([]float64, size), make([]float64, size)
	for i := range s.m.leaf {
		c.add(s.m, i, 1)
	}
	some := 0
	for _, n := range c.n {
		if n > 0 {
			some++
		}
	}
	c.penalty = math.Log(float64(max(some, 1)))
	return c
}

// join numbers the pairs of two codes in place. Where there are many more
// possible pairs than leaves it numbers those that occur.
func join(code, with []uint32, size, by int) int {
	if size*by <= 4*len(code)+64 {
		for i, v := range with {
			code[i] = code[i]*uint32(by) + v
		}
		return size * by
	}
	known := map[uint64]uint32{}
	for i, v := range with {
		k := uint64(code[i])*uint64(by) + uint64(v)
		c, ok := known[k]
		if !ok {
			c = uint32(len(known))
			known[k] = c
		}
		code[i] = c
	}
	return len(known)
}

func (c *cuboid) add(m *model, i int, by float64) {
	e := c.code[i]
	c.n[e] += int32(by)
	c.w[e] += by * m.weight[i]
	c.wd[e] += by * m.weight[i] * m.dev[i]
	c.exc[e] += by * m.excess[i]
	c.obs[e] += by * m.observed[i]
}

// found is one element of one cuboid.
type found struct {
	cuboid  *cuboid
	code    uint32
	gain    float64
	members []int
}

// best gives the strongest element whose leaves deviate together.
func (s *scan) best() (found, bool) {
	var list []found
	floor := s.cfg.MinGain
	for i := range s.cuboids {
		c := &s.cuboids[i]
		for e, n := range c.n {
			if n == 0 || c.exc[e]*s.sign <= 0 || math.Abs(c.wd[e]) < s.cfg.MinChange*c.w[e] || c.wd[e]*s.sign <= 0 {
				continue
			}
			g := s.m.gain(c.w[e], c.wd[e], c.obs[e], c.obs[e]-c.exc[e]) - c.penalty
			if g <= floor {
				continue
			}
			list = append(list, found{cuboid: c, code: uint32(e), gain: g})
			if len(list) >= 4*candidates {
				list = strongest(list)
				floor = max(floor, list[len(list)-1].gain)
			}
		}
	}
	for _, f := range strongest(list) {
		f.members = s.members(f)
		if s.pure(f) {
			return f, true
		}
	}
	return found{}, false
}

func strongest(list []found) []found {
	slices.SortFunc(list, func(a, b found) int {
		return cmp.Or(cmp.Compare(b.gain, a.gain), cmp.Compare(bits.OnesCount(a.cuboid.mask), bits.OnesCount(b.cuboid.mask)),
			cmp.Compare(a.cuboid.mask, b.cuboid.mask), cmp.Compare(a.code, b.code))
	})
	return list[:min(len(list), candidates)]
}

func (s *scan) members(f found) []int {
	var out []int
	for i, e := range f.cuboid.code {
		if e == f.code && !s.taken[i] {
			out = append(out, i)
		}
	}
	return out
}

// apart is how much more than the rest an element must deviate.
const apart = 2

// pure reports that most leaves deviate as the element's mean does. Leaves of
// counts are too small to ask; there the element must deviate more than the
// rest, or all is what deviates.
func (s *scan) pure(f found) bool {
	if s.m.kind != Values {
		w, wd := -f.cuboid.w[f.code], -f.cuboid.wd[f.code]
		in := wd / w * s.sign
		for i := range s.m.leaf {
			if !s.taken[i] {
				w, wd = w+s.m.weight[i], wd+s.m.weight[i]*s.m.dev[i]
			}
		}
		return w <= 1e-9 || in >= apart*wd/w*s.sign
	}
	mean := f.cuboid.wd[f.code] / f.cuboid.w[f.code]
	with := 0
	for _, i := range f.members {
		if s.m.dev[i]*s.sign > math.Abs(mean)/2 {
			with++
		}
	}
	return float64(with) >= s.cfg.Purity*float64(len(f.members))
}

// take reports an element and removes its leaves from all sums.
func (s *scan) take(f found) Element {
	out := Element{Leaves: len(f.members), Gain: f.gain}
	for d, name := range s.in.Dims {
		if f.cuboid.mask&(1<<d) != 0 {
			out.Pairs = append(out.Pairs, Pair{name, s.in.Leaves[s.m.leaf[f.members[0]]][d]})
		}
	}
	var per float64
	out.Observed, out.Expected, per = s.m.sums(f.members)
	for _, i := range f.members {
		out.Excess += s.m.excess[i]
		s.taken[i] = true
		for c := range s.cuboids {
			s.cuboids[c].add(s.m, i, -1)
		}
	}
	out.Share = out.Excess / s.m.total
	if s.m.perAll > 0 {
		out.Traffic = per / s.m.perAll
	}
	return out
}
