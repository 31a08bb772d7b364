package joint

import (
	"math"

	"github.com/norn-aiops/norn/internal/stats"
)

// A channel is one member's way from errors to surprise: the mean square q of
// its standardised errors, smoothed over three half-lives, each with the law
// of its own past.
type channel struct {
	q     [smooths]float32
	s     [smooths]float32 // surprise, -log10 p
	tails [smooths]tail
}

const smooths = 3

// The first two half-lives, 3 and 10 rows, make the score; the third, 60
// rows, tells lasting strangeness from normal life for the guard.
func rates() [smooths]float32 { return [smooths]float32{.2062995, .0669670, .0114860} }

// The channels of a model.
const (
	chRegress = iota
	chAxes
	chSpike // not smoothed: all three are the same
	chForest
	chNet
	chGraph
	chRival
	channelCount
)

// push smooths a new mean square and looks up its surprise.
func (c *channel) push(q float32) {
	for k, a := range rates() {
		c.q[k] += a * (q - c.q[k])
		c.s[k] = c.tails[k].surprise(lnOf(c.q[k]))
	}
}

// pushOnce is push without smoothing.
func (c *channel) pushOnce(q float32) {
	c.q[0] = q
	c.s[0] = c.tails[0].surprise(lnOf(q))
}

// count adds the present scores to the past with weight w.
func (c *channel) count(w, keep float32) {
	for k := range c.tails {
		if c.q[k] > 0 {
			c.tails[k].add(lnOf(c.q[k]), w, keep)
		}
	}
}

func (c *channel) renew() {
	for k := range c.tails {
		c.tails[k].renew(leastExcess)
	}
}

// score is the mean surprise of the two short half-lives.
func (c *channel) score() float32 { return (c.s[0] + c.s[1]) / 2 }

// ready says that the past is known.
func (c *channel) ready() bool { return c.tails[1].ready }

// lnOf is the natural logarithm of q > 0, with a floor below what the tails
// tell apart.
func lnOf(q float32) float32 { return .6931472 * stats.FastLog2(q+1e-5) }

// judge scores the row in r, far and lag.
func (m *Model) judge() Verdict {
	q, n := m.errors()
	if n == 0 {
		return Verdict{P: 1, Trust: 1}
	}
	if m.cold == 0 {
		m.channels[chRegress].push(q)
	}
	m.channels[chAxes].push(m.axes.meanSquare(m.r))
	m.channels[chGraph].push(m.graph.meanSquare(m.r))
	m.channels[chSpike].pushOnce(m.spike())
	if m.net != nil && m.cold == 0 {
		m.channels[chNet].push(m.net.meanSquare(m.r, m.lag, m.there, m.work))
	}
	if m.rival != nil && m.rival.trained && m.cold == 0 {
		m.channels[chRival].push(m.rival.meanSquare(m.r, m.lag, m.there, m.work))
	}
	m.guard()
	if m.forest != nil {
		m.channels[chForest].push(m.forest.observe(m.r, m.trust >= .5))
	}
	j := m.combined()
	joint := m.verdict.surprise(j * math.Ln10)
	w := max(m.sure, doubtCount/float32(1+m.doubted/doubtRows)*min(1, m.seen/doubtFull))
	if m.rows < m.open {
		w = 1
	}
	m.seen = min(m.seen+w, doubtFull)
	keep := min(tailKeep, max(tailLeast, float32(m.rows)*tailShareKept))
	for i := range m.channels {
		m.channels[i].count(w, keep)
	}
	if m.channels[chRegress].ready() {
		m.verdict.add(j*math.Ln10, w, keep)
	}
	return m.say(joint, graphWeight*m.channels[chGraph].score(), spikeWeight*m.channels[chSpike].s[0])
}

// combined joins the surprises of the members that are in use.
func (m *Model) combined() float32 {
	first := m.channels[chRegress].score()
	if m.net != nil && m.channels[chNet].ready() {
		first = (first + m.channels[chNet].score()) / 2
	}
	return first + axesWeight*m.channels[chAxes].score()
}

// say makes the verdict. The probability is tripled because three may speak.
func (m *Model) say(joint, tie, spike float32) Verdict {
	v := Verdict{Ready: m.verdict.ready, P: 1, Trust: float64(m.trust)}
	if !v.Ready {
		return v
	}
	v.Joint, v.Tie, v.Spike = float64(max(joint, 0)), float64(max(tie, 0)), float64(max(spike, 0))
	v.Score = max(v.Joint, v.Tie, v.Spike)
	v.P = max(math.SmallestNonzeroFloat64, min(1, 3*math.Pow(10, -v.Score)))
	if v.Score >= m.cfg.BlameFrom {
		v.Blame = m.blamed()
	}
	return v
}

// errors fills e with the standardised errors of the autoregression, moves the
// blame, and returns their mean square and how many columns took part.
func (m *Model) errors() (q float32, n int) {
	const (
		follow    = .1294494 // half-life of 5 rows
		blameNear = 10       // errors beyond blame no more
	)
	for j := range m.cols {
		m.e[j] = 0
		part := float32(0)
		if m.there[j] && m.judged[j] {
			e := float32(0)
			if m.cold == 0 {
				e = clip((m.r[j] - m.regress.foretell(j, m.lag)) * m.regress.inv[j])
			}
			m.e[j] = e
			q += e * e
			n++
			near, far := min(max(e, -blameNear), blameNear), min(max(m.far[j], -zCap), zCap)
			part = near*near + 2*far*far
		}
		m.blame[j] += follow * (part - m.blame[j])
	}
	return q / float32(max(n, 1)), n
}

func clip(e float32) float32 { return min(max(e, -zCap), zCap) }

// spike is the square of the largest single deviation.
func (m *Model) spike() float32 {
	q := float32(0)
	for _, z := range m.far {
		q = max(q, z*z)
	}
	return q
}

// guard sets trust: the weight with which the row may teach. What is strange
// by any member, now or lastingly, does not, until it has lasted so long that
// it is the new normal: AdoptAfter, and for a young model half of its age,
// because it cannot know yet what a day looks like.
func (m *Model) guard() {
	w := float32(1)
	for _, i := range [...]int{chRegress, chAxes} {
		for _, s := range m.channels[i].s {
			w = min(w, max(0, (doubtTo-s)/(doubtTo-doubtFrom)))
		}
	}
	m.sure = w
	if m.seen >= doubtFull {
		w = max(w, doubtTeach/float32(1+m.doubted/doubtTeachRows))
	}
	limit := min(float64(m.cfg.AdoptAfter)/max(m.every, 1), max(leastAdopt, float64(m.rows-m.born)/2))
	m.doubted = min(max(0, m.doubted+1-2*float64(m.sure)), limit)
	switch {
	case m.doubted >= limit:
		m.adopting = true
	case m.doubted <= limit/2:
		m.adopting = false
	}
	if m.adopting {
		w, m.sure = max(w, .5), max(m.sure, .5)
	}
	m.trust = w
}
