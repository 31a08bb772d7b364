// Package joint detects what is strange about all metrics of one entity
// together, and says which of them are to blame.
//
// It exists because many faults leave every metric inside its own band and
// break what ties them together, and because ten metrics that are a little off
// at once are worth one alarm, not ten whispers. A [Model] takes one row of
// values a step and answers with a score, a p-value against the entity's own
// past, and blame by metric. Its members are a vector autoregression over a
// long horizon (what follows from what), principal axes over a short one
// (where the entity stands these days), the largest single deviation (spikes),
// random cut trees (for vectors of mixed kinds), and a small neural network
// that is used only where it beat the autoregression on rows it had not seen.
//
// It does not align series into rows, keep thresholds, or combine its verdict
// with that of single series; the flow does. It is pure: time and seed are
// arguments, it starts no goroutine. A Model belongs to one goroutine at a
// time; different models share nothing.
package joint

import "math"

// Config sets up one model. The zero value with columns is usable.
type Config struct {
	Columns []string // names of the metrics, in the order of the rows
	Seed    uint64   // of the network and the trees
	Neural  Neural   // whether a network may be trained
	// Forest says whether random cut trees are grown. They cost 50 KiB, and 1 KiB
	// a column.
	Forest bool
	// HistoryRows bounds the rows that are kept to train and to judge the
	// network: 2 bytes a value. 0 means 4608. They are kept only with Neural.
	HistoryRows int
	// AdoptAfter is the time in ms after which lasting strangeness begins to be
	// taken as the new normal. 0 means 12 hours.
	AdoptAfter int64
	// BlameFrom is the score from which a verdict carries blame. 0 means 2,
	// that is p = 0.01.
	BlameFrom float64
}

// Neural says what a network may do.
type Neural uint8

// The network is off by default; with Auto it is trained by [Model.Train] and
// used where it wins; with Always it is used as soon as it is trained, which
// is for measurements.
const (
	NeuralOff Neural = iota
	NeuralAuto
	NeuralAlways
)

// Phases of a model.
const (
	Learning = "learning" // too few rows to say anything
	Ready    = "ready"
)

// Verdict is what a model says of one row.
type Verdict struct {
	Ready bool // false: still learning, Score is 0 and P is 1
	// Score is -log10 of the probability that normal life of this entity looks
	// as strange, at least 0. It is a score that ranks; P is what it means.
	Score float64
	P     float64 // in (0, 1]
	Joint float64 // the joint members' part of Score
	Tie   float64 // of metrics that do not fit together any more, part of Score
	Spike float64 // the largest single deviation's part of Score
	// Trust is the weight with which the row taught the model: 0 while it is
	// held for an anomaly, 1 in normal life.
	Trust float64
	// Blame lists metrics by falling share when Score is at least
	// Config.BlameFrom. It is valid until the next call.
	Blame []Blame
}

// Blame is one metric's part in a verdict.
type Blame struct {
	Column   int     // index of the column
	Name     string  // of the column
	Share    float64 // of the whole blame, all columns add up to 1
	Observed float64 // last value
	Expected float64 // what the autoregression foretold
	Z        float64 // observed less expected, in units of the usual error
}

// Horizons and constants, chosen on SMD machine-1-* (see docs/benchmarks.md).
const (
	day            = 86400_000 // ms
	slowDays       = 30.       // half-life of the autoregression's moments and of scales
	fastDays       = 2.        // half-life of the principal axes' moments
	levelDays      = 3.        // half-life of the levels
	slowRows       = 2000.     // least half-lives in rows
	fastRows       = 1000.
	levelRows      = 500.
	refitDays      = .5
	refitRows      = 200.
	gap            = 4.     // intervals without a row that break the past
	firstFit       = 128    // rows
	tailsOften     = 2048   // rows up to which tails are renewed between refits
	tailKeep       = 30_000 // weight of the scores that a tail remembers, at most
	tailLeast      = 512    // and at least
	tailShareKept  = .5     // of the rows there have been
	axesWeight     = .5     // of the principal axes beside the autoregression
	graphWeight    = .6     // of the surprise about how metrics fit together now
	spikeWeight    = .5     // of the spike's surprise: its tail is heavy
	doubtFrom      = 2      // surprise from which a row teaches less
	doubtTo        = 3      // surprise from which it teaches nothing
	doubtCount     = 1      // weight of a doubted row in the calibration
	doubtRows      = 3      // of lasting doubt after which that weight has halved: what lasts is one event
	doubtTeach     = .3     // weight with which a single doubted row teaches
	doubtBound     = 4      // of a residual that teaches in doubt
	doubtTeachRows = 5      // of lasting doubt after which that has halved
	doubtFull      = 5000   // scores counted from which that weight is whole: a young past is not watered down
	leastAdopt     = 150    // rows of doubt before strangeness is adopted, at least
	unguarded      = 300    // rows from the first fit in which every row teaches
	minSD          = .05    // least usual error, in units of a column's scale
)

// Model is the joint detector of one entity. Make it with [New].
type Model struct {
	cfg  Config
	cols []column
	mom  *moments

	regress  linear // autoregression over the slow horizon
	graph    linear // each metric from the others now
	axes     linear // principal axes over the fast one
	channels [channelCount]channel
	verdict  tail // of the combined joint surprise
	forest   *forest
	net      *network // leads, or nil
	rival    *network // learns, or waits for its contest, or nil
	past     *history
	choice   Choice

	rows     int64 // observed
	every    float64
	last     int64
	nextFit  int64
	cold     int   // rows for which the past is across a gap
	open     int64 // rows before this one all teach
	born     int64 // row at which the columns last changed
	fitted   bool
	doubted  float64 // rows for which strangeness has lasted
	adopting bool
	seen     float32 // weight of the scores counted, at most doubtFull
	sure     float32 // 1 in normal life, 0 for what is strange
	trust    float32 // weight with which the row teaches

	there  []bool    // columns with a value in this row
	judged []bool    // columns that take part in scores
	x      []float64 // last row
	r      []float32 // its residuals to the levels
	far    []float32 // its deviations for the spike
	lag    []float32 // residuals of the three rows before, newest first
	e      []float32 // standardised errors of the autoregression
	blame  []float32 // smoothed blame
	list   []Blame
	work   []float32
}

// New returns a model that knows nothing yet.
func New(cfg Config) *Model {
	if cfg.HistoryRows <= 0 {
		cfg.HistoryRows = 4608
	}
	if cfg.AdoptAfter <= 0 {
		cfg.AdoptAfter = day / 2
	}
	if cfg.BlameFrom <= 0 {
		cfg.BlameFrom = 2
	}
	m := &Model{cfg: cfg, nextFit: firstFit, open: firstFit + unguarded, trust: 1, choice: Choice{Member: MemberLinear}}
	for _, n := range cfg.Columns {
		m.cols = append(m.cols, column{name: n})
	}
	m.cfg.Columns = nil
	m.size()
	m.mom = newMoments(len(m.cols))
	m.grow()
	return m
}

// size makes the buffers that depend on the number of columns.
func (m *Model) size() {
	d := len(m.cols)
	m.there, m.judged = make([]bool, d), make([]bool, d)
	m.x, m.r, m.far = make([]float64, d), make([]float32, d), make([]float32, d)
	m.lag, m.e, m.blame = make([]float32, lags*d), make([]float32, d), make([]float32, d)
	m.list, m.work = make([]Blame, 0, d), make([]float32, 2*hidden+lags*d)
}

// grow makes the members that begin anew when columns change.
func (m *Model) grow() {
	d := len(m.cols)
	if m.cfg.Forest {
		m.forest = newForest(d, m.cfg.Seed)
	}
	m.net, m.rival, m.past = nil, nil, nil
	if m.cfg.Neural != NeuralOff && d > 0 {
		m.past = newHistory(d, m.cfg.HistoryRows, m.cfg.Seed)
	}
	m.choice = Choice{Member: MemberLinear}
}

// rowsIn turns days into rows, at least least.
func (m *Model) rowsIn(days, least float64) float64 {
	return max(least, days*day/max(m.every, 1))
}

// Observe judges one row and learns from it. t is in Unix ms; x has one value
// a column, NaN and infinities are missing values. A row that has not one
// value a column, or does not come after the last, is refused: ok is false and
// nothing changes.
func (m *Model) Observe(t int64, x []float64) (v Verdict, ok bool) {
	v.P, v.Trust = 1, 1
	if len(x) != len(m.cols) || m.rows > 0 && t <= m.last {
		return v, false
	}
	m.clock(t)
	copy(m.x, x)
	m.residuals()
	m.trust, m.sure = 1, 1
	if m.fitted {
		v = m.judge()
		if m.rows < m.open {
			m.trust, m.sure = 1, 1
		}
		v.Trust = float64(m.trust)
	}
	m.learn()
	m.rows++
	if m.rows == young || m.rows >= m.nextFit {
		m.refit()
	} else if m.rows < tailsOften && m.rows%32 == 0 {
		m.renew()
	}
	return v, true
}

// clock follows the pace of the rows. A long gap says nothing of it; after one,
// the rows before are no past to foretell from.
func (m *Model) clock(t int64) {
	m.cold = max(0, m.cold-1)
	if m.rows > 0 {
		dt := float64(t) - float64(m.last)
		if m.rows > young && dt > gap*m.every {
			m.cold = lags
		}
		if m.rows == 1 {
			m.every = dt
		} else {
			a := max(.01, 1/float64(m.rows))
			m.every += a * (min(dt, 5*m.every) - m.every)
		}
	}
	m.last = t
}

// residuals fills r and far from x. A missing value stands at what the
// autoregression foretold, so that it weighs on nothing.
func (m *Model) residuals() {
	for j := range m.cols {
		c := &m.cols[j]
		x := m.x[j]
		m.r[j], m.far[j] = 0, 0
		m.there[j] = x-x == 0
		if c.scale == 0 {
			continue
		}
		if !m.there[j] {
			if m.fitted {
				m.r[j] = m.regress.foretell(j, m.lag)
			}
			continue
		}
		off := (x - c.centre) / c.scale
		m.r[j] = float32(min(max(off, -zCap), zCap)) - c.level
		if c.wide > 0 {
			far := (x-c.centre)/max(c.scale, math.Sqrt(c.wide)) - float64(c.level)*c.scale/max(c.scale, math.Sqrt(c.wide))
			m.far[j] = float32(min(max(far, -1e9), 1e9))
		}
	}
}

// learn moves columns, levels, moments and lags by the row.
func (m *Model) learn() {
	horizon := 1.44 * m.rowsIn(slowDays, slowRows)
	a := m.trust * float32(1-math.Exp2(-1/m.rowsIn(levelDays, levelRows)))
	bound := float64(zCap)
	if m.sure < .5 {
		bound = doubtBound
	}
	for j := range m.cols {
		c := &m.cols[j]
		if !m.there[j] {
			continue
		}
		w := m.trust
		if c.scale == 0 {
			w = 1
		}
		c.learn(m.x[j], float64(w), horizon, bound)
		c.level += a * min(max(m.r[j], -rStep), rStep)
		m.there[j] = c.scale > 0
	}
	m.mom.half = [2]float64{m.rowsIn(slowDays, slowRows), m.rowsIn(fastDays, fastRows)}
	u := m.r
	if m.sure < .5 {
		u = m.work[:len(m.cols)]
		for j, v := range m.r {
			u[j] = min(max(v, -doubtBound), doubtBound)
		}
	}
	m.mom.add(u, m.there, m.trust)
	if m.past != nil && m.rows > firstFit {
		m.past.add(m.r, m.trust)
	}
	d := len(m.cols)
	copy(m.lag[d:], m.lag[:2*d])
	copy(m.lag[:d], m.r)
}

// refit takes over scales and levels and solves for the members anew.
func (m *Model) refit() {
	m.mom.flush()
	for j := range m.cols {
		m.rescale(j)
	}
	if m.rows < firstFit {
		return
	}
	m.nextFit = m.rows + int64(min(m.rowsIn(refitDays, refitRows), float64(m.rows)))
	for j := range m.cols {
		m.judged[j] = m.cols[j].scale > 0 && m.mom.n[0][j] >= max(settled/2, m.wait())
		if !m.judged[j] && m.cols[j].wideN > 0 {
			m.nextFit = min(m.nextFit, m.rows+max(young, m.rows/16))
		}
	}
	if len(m.cols) == 0 {
		return
	}
	ridge := 10 / max(1, m.mom.most(0))
	l, err := m.mom.autoregression(0, m.judged, ridge)
	g, err2 := m.mom.graphical(0, m.judged)
	k, ok := m.mom.principal(1, m.judged)
	if err != nil || err2 != nil || !ok {
		return // the maps of before stay; the next refit tries again
	}
	m.regress, m.graph, m.axes = l, g, k
	m.fitted = true
	m.renew()
}

// renew takes the scores counted so far into the laws of the tails.
func (m *Model) renew() {
	for i := range m.channels {
		m.channels[i].renew()
	}
	m.verdict.renew(leastVerdict)
}

// wait is how many rows a column that joins must have been seen before it gets
// its scale, and again before it is judged and foretells others: a day where
// the model knows days, a quarter of its age where it is young.
func (m *Model) wait() float64 { return min(m.rowsIn(1, young), float64(m.rows)/4) }

// rescale gives column j its present scale and folds its level into the
// centre; what is kept in units of the old scale is translated.
func (m *Model) rescale(j int) {
	c := &m.cols[j]
	if c.scale == 0 {
		if c.n >= young-1 && c.wideN >= m.wait() {
			c.centre, c.scale, c.level = c.mean, c.spread(), 0
		}
		return
	}
	c.centre += float64(c.level) * c.scale
	c.level = 0
	s := c.spread()
	f := float32(min(max(c.scale/s, 1e-6), 1e6))
	c.scale = s
	m.mom.rescale(j, f)
	for k := range lags {
		m.lag[k*len(m.cols)+j] *= f
	}
	if m.past != nil {
		m.past.rescale(j, f)
	}
	for _, n := range [...]*network{m.net, m.rival} {
		if n != nil {
			n.rescale(j, f)
		}
	}
}
