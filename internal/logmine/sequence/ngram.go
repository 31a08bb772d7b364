package sequence

import (
	"math"
	"slices"
)

// order is how many steps the n-gram model looks at: the step and the two
// before it.
const order = 3

// NGram judges whole sequences of steps (the lines of a request, a session, a
// process) by how surprising each step is after those before it. It is a
// trigram model with start and end marks in which each order is mixed with the
// next lower one by Witten and Bell's weights ("The zero-frequency problem",
// IEEE Trans. Inf. Theory 1991): a step that never followed these two is judged
// by the one before, then by how frequent it is, then as one of the steps that
// are not known yet.
//
// The zero value knows nothing. It is not safe for concurrent use.
type NGram struct {
	counts [order]map[gram]float64 // of contexts with their step, by order
	totals [order]map[gram]float64 // of contexts
	kinds  [order]map[gram]float64 // distinct steps behind a context
	known  map[uint64]struct{}
	seqs   int
}

// gram is up to two steps of context and, in counts, the step behind them.
type gram struct{ a, b, c uint64 }

// Marks around a sequence. Ids of templates are below them.
const (
	startMark = math.MaxUint64
	endMark   = math.MaxUint64 - 1
)

// Learn adds a normal sequence with a weight: 1 to learn it, -1 to forget one
// that was learned.
func (m *NGram) Learn(seq []uint64, weight float64) {
	if m.known == nil {
		m.known = map[uint64]struct{}{}
		for n := range order {
			m.counts[n], m.totals[n], m.kinds[n] = map[gram]float64{}, map[gram]float64{}, map[gram]float64{}
		}
	}
	if weight > 0 {
		m.seqs++
	} else {
		m.seqs--
	}
	walk(seq, func(a, b, c uint64) {
		m.known[c] = struct{}{}
		for n := range order {
			ctx := context(n, a, b)
			g := gram{ctx.a, ctx.b, c}
			before := m.counts[n][g]
			m.counts[n][g] = before + weight
			m.totals[n][ctx] += weight
			switch {
			case before == 0 && weight > 0:
				m.kinds[n][ctx]++
			case before+weight == 0:
				m.kinds[n][ctx]--
				delete(m.counts[n], g)
			}
		}
	})
}

// walk visits each step of a sequence, and its end, with the two before it.
func walk(seq []uint64, visit func(a, b, c uint64)) {
	a, b := uint64(startMark), uint64(startMark)
	for _, c := range seq {
		visit(a, b, c)
		a, b = b, c
	}
	visit(a, b, endMark)
}

// context keeps the n last of the two steps.
func context(n int, a, b uint64) gram {
	switch n {
	case 0:
		return gram{}
	case 1:
		return gram{b: b}
	}
	return gram{a: a, b: b}
}

// p is the probability of c after a and b, mixed over the orders up to n.
func (m *NGram) p(n int, a, b, c uint64) float64 {
	if n < 0 {
		return 1 / float64(len(m.known)+1)
	}
	lower := m.p(n-1, a, b, c)
	ctx := context(n, a, b)
	total, kinds := m.totals[n][ctx], m.kinds[n][ctx]
	if total <= 0 {
		return lower
	}
	return (m.counts[n][gram{ctx.a, ctx.b, c}] + kinds*lower) / (total + kinds)
}

// Surprise is what is unusual about a sequence.
type Surprise struct {
	Mean  float64 // bits a step
	Max   float64 // bits of the most surprising step
	At    int     // its index; the length of the sequence for its end
	Pairs int     // steps that never followed the one before
}

// Judge compares a sequence with those that were learned.
func (m *NGram) Judge(seq []uint64) Surprise {
	s := Surprise{}
	if len(m.known) == 0 {
		return s
	}
	i := 0
	walk(seq, func(a, b, c uint64) {
		bits := -math.Log2(m.p(order-1, a, b, c))
		s.Mean += bits
		if bits > s.Max {
			s.Max, s.At = bits, i
		}
		if m.counts[1][gram{0, b, c}] <= 0 {
			s.Pairs++
		}
		i++
	})
	s.Mean /= float64(i)
	return s
}

// Limits are the bounds above which a sequence is unusual.
type Limits struct {
	Mean  float64
	Max   float64
	Pairs int
}

// share is the part of normal sequences that limits leave below them.
const share = 0.98

// Calibrate finds the limits for a share of false alarms of two percent, by
// judging each normal sequence by the others (leave one out). The sequences
// must have been learned before; they are afterwards again. With few sequences
// a quantile says little: each one met for the first time would be unusual for
// a mean that has seen all others, so the limits of the mean and the maximum
// are the largest that was seen, and as much more as sequences are few.
func (m *NGram) Calibrate(normal [][]uint64) Limits {
	means, tops, pairs := make([]float64, 0, len(normal)), make([]float64, 0, len(normal)), make([]float64, 0, len(normal))
	for _, seq := range normal {
		m.Learn(seq, -1)
		s := m.Judge(seq)
		m.Learn(seq, 1)
		means, tops, pairs = append(means, s.Mean), append(tops, s.Max), append(pairs, float64(s.Pairs))
	}
	return Limits{Mean: limit(means), Max: limit(tops), Pairs: int(math.Ceil(limit(pairs)))}
}

// limit is the quantile of [share], or above the largest where there are few
// values.
func limit(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	k := int(math.Ceil(share*float64(len(v)))) - 1
	return v[k] * (1 + 1/math.Sqrt(float64(len(v))))
}

// Score is how far a sequence is above the limits: over 1 is unusual.
func (l Limits) Score(s Surprise) float64 {
	score := s.Mean / max(l.Mean, 1e-9)
	if s.Pairs > l.Pairs {
		score = max(score, 1+float64(s.Pairs-l.Pairs)/10)
	}
	return score
}
