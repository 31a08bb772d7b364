package joint

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Members that may lead the joint score, and those beside them.
const (
	MemberLinear = "autoregression"
	MemberNeural = "network"
	MemberGraph  = "graph"
	MemberAxes   = "axes"
	MemberSpike  = "spike"
	MemberForest = "trees"
)

// Choice is the record of how the leading member was found. The figures are
// mean surprises (-log10 of the share of held-back rows that look as strange)
// of disturbances put into rows that no member had been fitted to.
type Choice struct {
	Member   string  `json:"member"`              // that leads the score
	Contests int     `json:"contests"`            // held so far
	Won      int     `json:"won"`                 // by the network
	Row      int     `json:"row"`                 // the last ones, won in a row
	Linear   float64 `json:"linear,omitempty"`    // of the last contest
	Neural   float64 `json:"neural,omitempty"`    // of the last contest
	T        float64 `json:"t,omitempty"`         // paired t of the difference
	HeldBack int     `json:"held_back,omitempty"` // rows
	Episodes int     `json:"episodes,omitempty"`  // disturbances
	At       int64   `json:"at,omitempty"`        // Unix ms
}

const (
	contestEpisodes = 240
	contestT        = 3.  // least paired t for the network
	contestGain     = .12 // least gain of mean surprise, as a share of the linear one
	contestRow      = 2   // contests in a row that must be won
	contestAgain    = 1.  // days from a contest to the next training
)

// TrainingDue says that [Model.Train] has something to do.
func (m *Model) TrainingDue() bool {
	switch {
	case m.past == nil || !m.fitted:
		return false
	case m.rival == nil:
		again := m.choice.Contests == 0 || float64(m.last-m.choice.At) >= contestAgain*day
		return again && m.past.blocks == m.past.capacity()
	case !m.rival.trained:
		return true
	}
	return m.past.since == len(m.past.trust)
}

// Train does up to steps small steps of the network's training, a few hundred
// microseconds each at 40 columns, and holds the contest when its time has
// come. It is for the background: the caller holds the model for a few steps
// at a time. It reports whether more is due now. Same rows, seed and order of
// calls give the same network.
func (m *Model) Train(steps int) (more bool) {
	for range steps {
		if !m.TrainingDue() {
			return false
		}
		switch {
		case m.rival == nil:
			m.rival = newNetwork(m.regress.clone(), m.cfg.Seed+uint64(m.choice.Contests))
			m.channels[chRival] = channel{}
		case !m.rival.trained:
			m.rival.learn(m.past)
			if m.rival.steps >= epochs*m.past.targets()/batch {
				m.rival.finish(m.past)
				m.past.mark()
			}
		default:
			m.contest()
		}
	}
	return m.TrainingDue()
}

// contest compares the trained rival with the autoregression on the rows that
// came after its training ended. Both judge the same disturbances: levels that
// shift, values from another hour, values that freeze, noise that grows, on
// one to a third of the columns. A disturbance is worth the surprise it makes
// among the undisturbed rows. The network leads with the autoregression where it
// wins clearly and more than once in a row; where it does not, the autoregression leads, whatever led before.
func (m *Model) contest() {
	n := len(m.past.trust)
	rows := make([][]float32, n)
	for i := range rows {
		rows[i] = make([]float32, len(m.cols))
		m.past.newest(i, n, rows[i])
	}
	linear := func(r, lag []float32) float32 { return m.regress.errorSquare(r, lag) }
	neural := func(r, lag []float32) float32 { return m.rival.meanSquare(r, lag, m.judged, m.work) }
	a, b := newJudge(rows, linear), newJudge(rows, neural)
	rnd := rand.New(rand.NewPCG(m.cfg.Seed, 0xc0de+uint64(m.choice.Contests)))
	var sumA, sumB, sumD, sumDD float64
	for range contestEpisodes {
		from, changed := disturb(rnd, rows, m.judged)
		x, y := a.surprise(from, changed), b.surprise(from, changed)
		sumA, sumB, sumD, sumDD = sumA+x, sumB+y, sumD+y-x, sumDD+(y-x)*(y-x)
	}
	k := float64(contestEpisodes)
	mean := sumD / k
	sd := math.Sqrt(max(sumDD/k-mean*mean, 1e-12))
	c := Choice{
		Member: MemberLinear, Contests: m.choice.Contests + 1, Won: m.choice.Won, Linear: sumA / k, Neural: sumB / k,
		T: mean / sd * math.Sqrt(k), HeldBack: n, Episodes: contestEpisodes, At: m.last,
	}
	m.net = nil
	if mean > contestGain*c.Linear && c.T > contestT {
		c.Won++
		c.Row = m.choice.Row + 1
	}
	if m.cfg.Neural == NeuralAlways || c.Row >= contestRow {
		c.Member = MemberNeural
		m.net, m.channels[chNet] = m.rival, m.channels[chRival]
	}
	m.rival = nil
	m.choice = c
}

// disturb copies a stretch of the rows and changes it.
func disturb(r *rand.Rand, rows [][]float32, judged []bool) (from int, changed [][]float32) {
	length := 4 + r.IntN(20)
	from = lags + 10 + r.IntN(len(rows)-length-lags-10)
	other := r.IntN(len(rows) - length)
	kind, d := r.IntN(4), len(judged)
	for i := range length {
		changed = append(changed, append([]float32(nil), rows[from+i]...))
	}
	for range 1 + r.IntN(max(1, d/3)) {
		j := r.IntN(d)
		if !judged[j] {
			continue
		}
		size := float32(r.NormFloat64())
		for i := range changed {
			switch kind {
			case 0:
				changed[i][j] += 1.5 * size
			case 1:
				changed[i][j] = rows[other+i][j]
			case 2:
				changed[i][j] = rows[from-1][j]
			default:
				changed[i][j] += float32(r.NormFloat64())
			}
		}
	}
	return from, changed
}

// judge scores rows for the contest by one member.
type judge struct {
	rows   [][]float32
	square func(r, lag []float32) float32
	smooth []float32 // of the undisturbed rows
	sorted []float64
	lag    []float32
}

func newJudge(rows [][]float32, square func(r, lag []float32) float32) *judge {
	d := len(rows[0])
	g := &judge{rows: rows, square: square, smooth: make([]float32, len(rows)), lag: make([]float32, lags*d)}
	q, a := float32(0), rates()[0]
	for i := lags; i < len(rows); i++ {
		g.past(i, i, nil)
		q += a * (square(rows[i], g.lag) - q)
		g.smooth[i] = q
		if i >= lags+10 {
			g.sorted = append(g.sorted, float64(q))
		}
	}
	slices.Sort(g.sorted)
	return g
}

// past fills lag with the rows before row i, from changed where they lie in it.
func (g *judge) past(i, from int, changed [][]float32) {
	d := len(g.rows[0])
	for k := range lags {
		row := g.rows[i-1-k]
		if at := i - 1 - k - from; at >= 0 && at < len(changed) {
			row = changed[at]
		}
		copy(g.lag[k*d:], row)
	}
}

// surprise is the mean surprise over a disturbed stretch.
func (g *judge) surprise(from int, changed [][]float32) float64 {
	q, a, sum := g.smooth[from-1], rates()[0], 0.
	for i, r := range changed {
		g.past(from+i, from, changed)
		q += a * (g.square(r, g.lag) - q)
		sum -= math.Log10(upperShare(g.sorted, float64(q)))
	}
	return sum / float64(len(changed))
}

// upperShare is the share of a sorted sample that is at least x, never 0.
func upperShare(sorted []float64, x float64) float64 {
	i, _ := slices.BinarySearch(sorted, x)
	return float64(len(sorted)-i+1) / float64(len(sorted)+1)
}

// Choice gives the record of how the leading member was found.
func (m *Model) Choice() Choice { return m.choice }
