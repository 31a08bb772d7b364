package detect

import (
	"math"
	"slices"

	"github.com/norn-aiops/norn/internal/stats"
)

// ringSize is how many block maxima a ring remembers.
const ringSize = 32

// calibrator learns which scores are normal for one series and one member: it
// keeps the largest score of each of the last blocks of time and derives the
// score that a block exceeds with the wished probability.
type calibrator struct {
	cur   float32 // maximum of the open block
	limit float32 // the alarm's threshold, from the closed blocks
	mu    float32 // location of the fitted law, for p-values
}

// ring holds the maxima of a calibrator's closed blocks, packed. It lies apart
// from the calibrator because it is read once in hours.
type ring [ringSize]uint8

// blockClock is shared by the calibrators of one series. Blocks widen: they
// begin with an hour; when the ring is full, pairs are merged and the length
// doubles, up to four hours. So a young series is judged by what little it
// has, and an old one by its last five days.
type blockClock struct {
	start  int64  // Unix ms of the open block, 0 before the first point
	filled uint8  // closed blocks in the ring
	next   uint8  // where the next goes
	hours  uint8  // length of a block
	gap    uint32 // ms between the last two points; it is here because here is room
}

const (
	firstBlockHours = 1
	lastBlockHours  = 4
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

// close stores every calibrator's block maximum in its ring, moves the clock
// on, and renews the limits. bases are the least limits; perWeek the wished
// false alarms a week.
func (b *blockClock) close(t int64, cals *[memCount]calibrator, rings *[memCount]ring, bases [memCount]float32, perWeek float64) {
	for i := range cals {
		c := &cals[i]
		rings[i][b.next] = encodeScore(min(c.cur, 4*c.limit), bases[i])
		c.cur = 0
	}
	b.start = t
	b.next = (b.next + 1) % ringSize
	b.filled = min(b.filled+1, ringSize)
	if b.filled == ringSize && b.hours < lastBlockHours {
		for i := range rings {
			rings[i].halve(int(b.next))
		}
		b.filled, b.next = ringSize/2, ringSize/2
		b.hours *= 2
	}
	for i := range cals {
		young := 12.
		if i == memSlow { // a day must have passed before a drift means anything
			young = 24
		}
		cals[i].renew(rings[i][:b.filled], float64(b.hours), bases[i], perWeek, young)
	}
}

// halve merges neighbours in time by their maximum, oldest first.
func (r *ring) halve(oldest int) {
	var out ring
	for i := range ringSize / 2 {
		out[i] = max(r[(oldest+2*i)%ringSize], r[(oldest+2*i+1)%ringSize])
	}
	*r = out
}

// renew sets the limit to the largest of
//   - base times baseFactor, doubled while there are no blocks, falling to base
//     after young hours;
//   - the level that a block exceeds with probability perWeek / blocks a week,
//     by a Gumbel law through the 50 % and 80 % quantile of the packed maxima
//     (packing is logarithmic beyond base, because scores of skewed noise have
//     heavy tails), but no more than 1.8 times the largest maximum;
//   - 1.15 times the third largest maximum (of few blocks, the largest): what
//     came on three occasions lately is the series' habit (a nightly job),
//     whatever the law says.
func (c *calibrator) renew(closed []uint8, hours float64, base float32, perWeek, young float64) {
	var buf ring
	filled := copy(buf[:], closed)
	s := buf[:filled]
	slices.Sort(s)
	limit := base * baseFactor(perWeek) * (1 + float32(max(0, young-hours*float64(filled))/young))
	if filled > 0 {
		q50, q80 := float64(s[(filled-1)/2]), float64(s[(filled-1)*4/5])
		g := stats.GumbelFit(q50, q80, .5)
		level := decodeScore(g.Level(blockP(perWeek, hours)), base)
		limit = max(limit, min(level, 1.8*decodeScore(float64(s[filled-1]), base)))
		limit = max(limit, 1.15*decodeScore(float64(s[filled-1-min(2, filled/4)]), base))
		c.mu = float32(g.Mu)
	}
	c.limit = limit
}

// baseFactor lowers the least limits for a reader who wishes to see more, and
// raises them for one who wishes to see less: by 15 % for every factor of ten
// from the default of 0.02 false alarms a week, within .7 and 1.5.
func baseFactor(perWeek float64) float32 {
	return float32(clamp(1-.15*math.Log10(perWeek/.02), .7, 1.5))
}

// blockP is the wished probability that one block of normal life exceeds the
// limit.
func blockP(perWeek, hours float64) float64 { return min(.5, perWeek*hours/168) }

// p is the probability that a block of normal life holds a score of s or
// more, by the law (of packed scores) that has the location mu and gives the
// limit its wished probability.
func (c *calibrator) p(s, base float32, perWeek float64, hours uint8) float64 {
	y := -math.Log(-math.Log1p(-blockP(perWeek, float64(max(hours, 1)))))
	beta := max((scoreCode(c.limit, base)-float64(c.mu))/y, .5)
	return stats.Gumbel{Mu: float64(c.mu), Beta: beta}.Tail(scoreCode(s, base))
}

// scoreCode is the scale on which scores are packed and their law is fitted:
// 24 log2(1 + s/base), about linear up to base and logarithmic beyond. A byte
// reaches 1500 times base and resolves 3 % of it.
func scoreCode(s, base float32) float64 { return 24 * math.Log2(1+float64(max(0, s)/base)) }

// encodeScore packs a score >= 0 into a byte.
func encodeScore(s, base float32) uint8 {
	return uint8(min(255, math.Round(scoreCode(s, base))))
}

// decodeScore undoes scoreCode.
func decodeScore(code float64, base float32) float32 {
	return base * float32(math.Exp2(min(code, 400)/24)-1)
}
