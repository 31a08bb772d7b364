package detect

import (
	"math"
	"slices"

	"github.com/norn-aiops/norn/internal/stats"
)

// ringSize is how many block maxima a calibrator remembers.
const ringSize = 32

// calibrator learns which scores are normal for one series and one member: it
// keeps the largest score of each of the last blocks of time and derives the
// score that a block exceeds with the wished probability.
type calibrator struct {
	ring  [ringSize]uint8 // block maxima, encoded
	cur   float32         // maximum of the open block
	limit float32         // the alarm's threshold, from the closed blocks
	mu    float32         // location of the fitted law, for p-values
}

// blockClock is shared by the calibrators of one series. Blocks widen: they
// begin with an hour; when the ring is full, pairs are merged and the length
// doubles, up to four hours. So a young series is judged by what little it
// has, and an old one by its last five days.
type blockClock struct {
	start  int64 // Unix ms of the open block, 0 before the first point
	filled uint8 // closed blocks in the ring
	next   uint8 // where the next goes
	hours  uint8 // length of a block
}

const (
	firstBlockHours = 1
	lastBlockHours  = 4
	gumbelY50       = 0.36651292058166435
)

// tick says whether the open block has ended at time t, and whether the rings
// must be merged first.
func (b *blockClock) tick(t int64) (closed bool) {
	if b.start == 0 || t < b.start {
		b.start, b.hours = t, max(b.hours, firstBlockHours)
		return false
	}
	return t-b.start >= int64(b.hours)*3600_000
}

// close stores every calibrator's block maximum, moves the clock on, and
// renews the limits. bases are the least limits; perWeek the wished false
// alarms a week.
func (b *blockClock) close(t int64, cals []*calibrator, bases []float32, perWeek float64) {
	for _, c := range cals {
		c.ring[b.next] = encodeScore(min(c.cur, 1.3*c.limit))
		c.cur = 0
	}
	b.start = t
	b.next = (b.next + 1) % ringSize
	b.filled = min(b.filled+1, ringSize)
	if b.filled == ringSize && b.hours < lastBlockHours {
		for _, c := range cals {
			c.halve(int(b.next))
		}
		b.filled, b.next = ringSize/2, ringSize/2
		b.hours *= 2
	}
	for i, c := range cals {
		c.renew(int(b.filled), float64(b.hours), float64(bases[i]), perWeek)
	}
}

// halve merges neighbours in time by their maximum, oldest first.
func (c *calibrator) halve(oldest int) {
	var out [ringSize]uint8
	for i := range ringSize / 2 {
		out[i] = max(c.ring[(oldest+2*i)%ringSize], c.ring[(oldest+2*i+1)%ringSize])
	}
	c.ring = out
}

// renew sets the limit to the largest of
//   - base, raised by half while there are no blocks, falling to base at six;
//   - the level that a block exceeds with probability perWeek / blocks a week,
//     by a Gumbel law through the 50 % and 80 % quantile of the maxima;
//   - 1.1 times the third largest maximum: what came on three occasions lately
//     is the series' habit (a nightly job), whatever the law says.
func (c *calibrator) renew(filled int, hours, base, perWeek float64) {
	var buf [ringSize]uint8
	s := buf[:copy(buf[:], c.ring[:filled])]
	slices.Sort(s)
	limit := base * (1 + .5*float64(max(0, 6-filled))/6)
	if filled > 0 {
		q50, q80 := decodeScore(s[(filled-1)/2]), decodeScore(s[(filled-1)*4/5])
		g := stats.GumbelFit(q50, q80, .02*base)
		p := math.Min(.5, perWeek*hours/168)
		limit = math.Max(limit, g.Level(p))
		limit = math.Max(limit, 1.1*decodeScore(s[max(0, filled-3)]))
		c.mu = float32(g.Mu)
	}
	c.limit = float32(limit)
}

// p is the probability that a block of normal life holds a score of s or
// more, by the law that has the location mu and gives the limit its wished
// probability.
func (c *calibrator) p(s float32, perWeek float64, hours uint8) float64 {
	want := math.Min(.5, perWeek*float64(max(hours, 1))/168)
	y := -math.Log(-math.Log1p(-want))
	beta := math.Max(float64(c.limit-c.mu)/y, 1e-6)
	return stats.Gumbel{Mu: float64(c.mu), Beta: beta}.Tail(float64(s))
}

// encodeScore packs a score >= 0 into a byte: 24 log2(1+s), which resolves 3 %
// and reaches 1500.
func encodeScore(s float32) uint8 {
	return uint8(math.Min(255, math.Round(24*math.Log2(1+float64(max(0, s))))))
}

func decodeScore(b uint8) float64 { return math.Exp2(float64(b)/24) - 1 }
