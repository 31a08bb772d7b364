package detect

import (
	"math"
	"math/bits"

	"github.com/norn-aiops/norn/internal/stats"
)

// shape is the member that knows a series by its habits: it cuts the stream
// into short blocks, writes each block as symbols, and counts which n-grams of
// symbols were never seen before. To that it adds the residual ratio (ratio).
//
// The idea of weighing an unseen word by how rarely unseen words come is Good
// (1953). The set of seen n-grams is one Bloom filter with a single hash, which
// forgets at random when it is fuller than fillLimit (Deng and Rafiei 2006,
// stable Bloom filters), so that endless streams need no more memory. The
// constants were chosen on the Numenta Anomaly Benchmark, whose score is
// therefore a figure of development, not of a hold-out.
type shape struct {
	// what every point needs; the rest is for the last of a block
	size   uint16  // points a block
	in     uint16  // points in the open block
	blocks uint16  // blocks read, saturating
	fill   uint16  // bits set
	base   float32 // range of the warm-up: minimum, width, lower end
	width  float32
	low    float32
	fade   float32 // factor a point by which a block's novelty fades
	sum    float32 // of the open block
	hi, lo float32
	now    float32     // novelty of the last blocks
	rng    uint32      // state of the forgetting
	grams8 [4][5]uint8 // last symbols of the 8-level alphabet, newest first
	gram16 [4][3]uint8
	rate   [4][8]uint16 // how often a stream's n-gram of each order is unseen, in 1/65535
	ext    stats.UnitMedian
	filter [filterBits / 32]uint32

	flat flat // another member that begins after the warm-up, and has room here
}

const (
	filterBits  = 6144
	fillLimit   = filterBits * 6 / 10
	rateOne     = math.MaxUint16
	leastLearn  = 1. / 50 // least rate of learning a rate
	shapeBlocks = 70      // blocks in the warm-up
	ratioWeight = .2      // of the residual ratio in the score
	nearMean    = .03     // an extreme this near to the mean counts as the mean
	nearMedian  = .06     // a value this near to the running median is the median
)

// newShape makes the member from the points of the warm-up, which must not be
// empty. offset is what must be added to a value to give the true one (values
// are kept relative to the series' first one): where zero lies decides how much
// room a non-negative series has below its minimum.
func newShape(warm []float32, offset float64) *shape {
	s := &shape{size: uint16(max(1, len(warm)/shapeBlocks)), rng: 1}
	used := warm[:len(warm)/int(s.size)*int(s.size)]
	a, b := used[0], used[0]
	for _, x := range used {
		a, b = min(a, x), max(b, x)
	}
	s.base, s.width, s.low = a, b-a, -1
	abs := float64(a) + offset
	if s.width <= 0 {
		s.width = float32(.1 * math.Max(math.Abs(abs), 1e-9))
	}
	if abs >= 0 {
		s.low = -float32(math.Min(1, abs/float64(s.width)))
	}
	s.fade = float32(math.Exp(-1 / (2 * float64(s.size))))
	s.derive()
	for i := range s.rate {
		for j := range s.rate[i] {
			s.rate[i][j] = rateOne / 2
		}
	}
	return s
}

// derive works out what follows from other fields.
func (s *shape) derive() {
	s.ext.Recount()
	s.fill = 0
	for _, w := range s.filter {
		s.fill += uint16(bits.OnesCount32(w))
	}
}

// warp maps a value to [0, 1]: linear over the range of the warm-up, then
// logarithmic, with room for one width below and the factor e above.
func (s *shape) warp(x float32) float32 {
	y := (x - s.base) / s.width
	switch {
	case y > 1:
		y = 1 + float32(math.Log(float64(y)))
	case y < 0:
		y = -float32(math.Log(1 - float64(y)))
	}
	return smaller(1, larger(0, (y-s.low)/(2-s.low)))
}

// step reads one value and returns the novelty, 0 (all seen) to 1.
func (s *shape) step(x float32) float32 {
	u := s.warp(x)
	if s.in == 0 {
		s.sum, s.hi, s.lo = 0, u, u
	}
	s.sum += u
	s.hi, s.lo = larger(s.hi, u), smaller(s.lo, u)
	s.in++
	s.now *= s.fade
	if s.in >= s.size {
		s.now = larger(s.now, s.block(s.sum/float32(s.in)))
		s.in = 0
	}
	return s.now
}

// block closes a block with the given mean and returns its novelty.
func (s *shape) block(mean float32) float32 {
	ext := s.lo
	if s.hi-mean >= mean-s.lo {
		ext = s.hi
	}
	if abs32(ext-mean) < nearMean {
		ext = mean
	}
	s.ext.Add(ext)
	med := s.ext.Median()
	learn := int(larger(1/float32(int(s.blocks)+2), leastLearn)*(1<<16) + .5)
	total := s.stream(0, mean, 0, learn) + s.stream(1, chomp(mean, med), .5, learn) +
		s.stream(2, ext, 0, learn) + s.stream(3, chomp(ext, med), .5, learn)
	s.forget()
	if s.blocks < math.MaxUint16 {
		s.blocks++
	}
	return total / 8
}

func chomp(v, med float32) float32 {
	if abs32(v-med) < nearMedian {
		return med
	}
	return v
}

// stream adds a value to stream i in both alphabets and returns the sum of
// their novelties (each 0..1).
func (s *shape) stream(i int, v, round float32, learn int) float32 {
	w8, w16 := &s.grams8[i], &s.gram16[i]
	copy(w8[1:], w8[:4])
	w8[0] = uint8(8*v + round)
	copy(w16[1:], w16[:2])
	w16[0] = uint8(16*v + round)
	return s.word(w8[:], uint32(2*i), s.rate[i][:5], learn) + s.word(w16[:], uint32(2*i+1), s.rate[i][5:], learn)
}

// word looks up the n-grams of all orders that end in the newest symbol, marks
// them as seen, and returns sum over unseen orders of log(rate)/log(.01),
// divided by the number of orders. learn is the rate's own rate of learning, in
// 1/65536.
func (s *shape) word(symbols []uint8, key uint32, rate []uint16, learn int) float32 {
	h := mix(0x9e3779b9, key)
	blocks := int(s.blocks)
	rate = rate[:len(symbols)]
	var un float32
	for q, symbol := range symbols {
		h = mix(h, uint32(symbol)+1)
		r, seen := int(rate[q]), 0
		if q <= blocks && s.mark(mix(h, uint32(77+q))%filterBits) {
			seen = rateOne
			un += smaller(1, (stats.FastLog2(float32(max(r, rateOne/100)))-16)*(1/-6.643856))
		}
		rate[q] = uint16(r + ((seen-r)*learn+1<<15)>>16)
	}
	if blocks < len(symbols) {
		return 0
	}
	return un / float32(len(symbols))
}

// mark sets a bit and reports whether it was unset.
func (s *shape) mark(b uint32) bool {
	w := &s.filter[b/32]
	if *w>>(b%32)&1 == 1 {
		return false
	}
	*w |= 1 << (b % 32)
	s.fill++
	return true
}

// forget clears random bits while the filter is too full.
func (s *shape) forget() {
	for s.fill > fillLimit {
		s.rng = s.rng*1664525 + 1013904223
		c := s.rng >> 8 % filterBits
		w := &s.filter[c/32]
		s.fill -= uint16(*w >> (c % 32) & 1)
		*w &^= 1 << (c % 32)
	}
}

// mix is one step of a multiplicative hash (constants of MurmurHash3's
// finaliser, public domain).
func mix(h, v uint32) uint32 {
	h = (h ^ (v + 1)) * 0x85ebca6b
	return h ^ h>>15
}

func abs32(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// ratio says how big the present residuals are against the largest of the last
// thousands of points: free of any assumption on their distribution.
type ratio struct {
	level    float32 // very slow mean
	s24, s48 float32 // smoothed signed residuals against the hour and the half-hour
	mean     [3]float32
	peak     [3]float32
	n        uint16 // saturating
}

const peakFade = 0.99966672221 // exp(-1/3000)

// step takes the value and its residuals against the hour's and half-hour's
// mean (NaN when there is none yet) and returns the mean ratio, 0..3.
func (r *ratio) step(x, e1, e2 float32) float32 {
	if r.n == 0 {
		r.level = x
	}
	e3 := x - r.level
	if e1 != e1 {
		e1 = e3
	}
	if e2 != e2 {
		e2 = e3
	}
	a := 1 / (float32(r.n) + 1)
	r.s24 += larger(a, 1./6) * (e1 - r.s24)
	r.s48 += larger(a, 1./3) * (e2 - r.s48)
	r.level += larger(a, 1./4000) * (x - r.level)
	var sum float32
	for i, e := range [3]float32{abs32(r.s24), abs32(r.s48), abs32(e3)} {
		sum += smaller(3, e/(r.peak[i]+.001*r.mean[i]+1e-12))
		r.mean[i] += larger(a, 1./2000) * (e - r.mean[i])
		r.peak[i] = larger(r.peak[i]*peakFade, e)
	}
	if r.n < math.MaxUint16 {
		r.n++
	}
	return sum / 3
}

// alarm turns the score into rare alarms. It first divides by 1.2 plus the
// decayed largest score of earlier blocks (the series' own sensitivity), then
// lets only scores through that exceed the last alarm's by 30 % until hold
// points have passed.
type alarm struct {
	past  float32 // decayed maximum of closed blocks
	block float32 // maximum of the open block
	last  float32 // score of the last alarm
	since uint16  // points since the last alarm, saturating
	in    uint16  // points in the open block
}

// step reads a raw score and returns the calibrated one and the alarm's score
// (0 when there is none). n is the number of points before this one, warm the
// length of the warm-up; nothing is raised before n = warm.
func (a *alarm) step(s float32, n, warm int, fade float32) (y, raised float32) {
	hold := uint16(max(5, warm*12/100))
	a.past *= fade
	y = s / (1.2 + a.past)
	a.block = larger(a.block, s)
	a.in++
	if a.in >= hold {
		if n >= warm/2 {
			a.past = max(a.past, a.block)
		}
		a.block, a.in = 0, 0
	}
	if a.since < math.MaxUint16 {
		a.since++
	}
	if n < warm {
		return y, 0
	}
	if a.since > hold {
		a.last = 0
	}
	if y <= 1.3*a.last {
		return y, 0
	}
	a.last, a.since = y, 0
	return y, y
}
