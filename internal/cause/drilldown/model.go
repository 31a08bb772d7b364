package drilldown

import (
	"math"
	"slices"
)

// model is a table made ready: a relative deviation and a weight (one over its
// variance) for each leaf that has anything to say.
type model struct {
	kind     Kind
	leaf     []int     // row of the input
	dev      []float64 // relative deviation
	weight   []float64
	excess   []float64 // of the numerator
	observed []float64 // numerator
	expected []float64 // numerator
	per      []float64 // denominator; of Values and Counts what was expected
	phi      float64   // variance of a count by its mean
	total    float64   // excess of all
	perAll   float64
}

func (in *Input) model() *model {
	m := &model{kind: in.Kind, phi: 1}
	num, den := in.overall()
	for i := range in.Leaves {
		o, e, per := in.Observed[i], in.Expected[i], in.Expected[i]
		if in.Per != nil {
			if per = in.Per[i]; per <= 0 {
				continue
			}
			if e = 0; den > 0 {
				e = per * (in.Expected[i] + shrink*num/den) / (in.PerExpected[i] + shrink)
			}
		}
		if o == 0 && e == 0 {
			continue
		}
		m.leaf = append(m.leaf, i)
		m.observed, m.expected, m.per = append(m.observed, o), append(m.expected, e), append(m.per, per)
		m.excess = append(m.excess, o-e)
		m.total += o - e
		m.perAll += per
	}
	if m.kind == Values {
		m.relative()
	} else {
		m.counting(in)
	}
	return m
}

// shrink is how many requests of the whole's past a leaf's own past is mixed
// with: a leaf that is new is expected to behave as all do.
const shrink = 20

// overall is the ratio of all in the time compared with; 0, 0 for other kinds.
func (in *Input) overall() (num, den float64) {
	for i := range in.Expected {
		if in.PerExpected != nil {
			num += in.Expected[i]
			den += in.PerExpected[i]
		}
	}
	return num, den
}

// relative weighs leaves whose error grows with their size: all alike, by the
// scatter of most of them. The deviation is by the larger of both numbers: by
// their mean, which the literature takes, noise has a heavy tail near 2.
func (m *model) relative() {
	abs := make([]float64, len(m.leaf))
	m.dev = make([]float64, len(m.leaf))
	for i := range m.leaf {
		m.dev[i] = m.excess[i] / max(math.Abs(m.observed[i]), math.Abs(m.expected[i]))
	}
	mid := quantile(slices.Clone(m.dev), .5)
	for i, d := range m.dev {
		abs[i] = math.Abs(d - mid)
	}
	mad := 1.4826 * quantile(abs, .5)
	for i, d := range m.dev {
		abs[i] = math.Abs(d)
	}
	sigma := min(max(mad, .7*quantile(abs, .683), .01), .3)
	m.weight = make([]float64, len(m.leaf))
	for i := range m.weight {
		m.weight[i] = 1 / (sigma * sigma)
	}
}

// lasting is the relative error that even a large count has: at least 3 %, more
// where most of the large leaves of plain counts show it.
func (m *model) lasting() float64 {
	var large []float64
	for i, e := range m.expected {
		if m.kind == Counts && e >= 100 {
			large = append(large, m.excess[i]/e)
		}
	}
	mid := quantile(slices.Clone(large), .5)
	for i := range large {
		large[i] = math.Abs(large[i] - mid)
	}
	return max(.03, 1.4826*quantile(large, .5))
}

// few leaves tell nothing of how counts scatter.
const few = 8

// counting weighs leaves by what they may count: the variance is phi times the
// mean, phi being that of most leaves, and at least that of independent events.
func (m *model) counting(in *Input) {
	floor, least := 1., .25
	if in.Kind == Mean {
		if num, den := in.overall(); den > 0 {
			floor = .5 * num / den
		}
		least = 0
	}
	chi := make([]float64, 0, len(m.leaf))
	for i, e := range m.expected {
		e = max(e, least)
		if in.Kind == Share && e >= 1 || in.Kind == Mean && e > 0 {
			chi = append(chi, m.excess[i]*m.excess[i]/e)
		}
	}
	// A few leaves do not tell scatter from what is looked for.
	m.phi = max(floor, quantile(chi, .5)/.455)
	if m.kind == Counts {
		m.phi = 1
	} else if len(chi) < few && m.kind == Share {
		m.phi = 2
	} else if len(chi) < few {
		m.phi = max(floor, quantile(chi, .25)/.1)
	}
	own := m.lasting()
	m.dev, m.weight = make([]float64, len(m.leaf)), make([]float64, len(m.leaf))
	for i, e := range m.expected {
		if e = max(e, least); e <= 0 {
			continue
		}
		m.dev[i] = m.excess[i] / e
		m.weight[i] = 1 / (m.phi/e + own*own)
	}
}

// gain is the evidence of leaves with the sums w of weights and wd of weighted
// deviations; o and e are what they count and were expected to.
func (m *model) gain(w, wd, o, e float64) float64 {
	g := wd * wd / (2 * w)
	if m.kind != Counts && m.kind != Share {
		return g
	}
	// Few events are skewed: those of a Poisson distribution say less.
	exact := e - o
	if o > 0 {
		exact += o * math.Log(o/max(e, 1e-9))
	}
	return min(g, exact/m.phi)
}

// sums gives the figures of an element (nil: of all leaves) for people.
func (m *model) sums(members []int) (observed, expected, per float64) {
	add := func(i int) {
		observed += m.observed[i]
		expected += m.expected[i]
		per += m.per[i]
	}
	if members == nil {
		for i := range m.leaf {
			add(i)
		}
	}
	for _, i := range members {
		add(i)
	}
	if m.kind == Share || m.kind == Mean {
		if per > 0 {
			observed, expected = observed/per, expected/per
		}
	}
	return observed, expected, per
}

// quantile is the q-quantile of x by nearest rank, 0 when there are none. It
// reorders x.
func quantile(x []float64, q float64) float64 {
	if len(x) == 0 {
		return 0
	}
	slices.Sort(x)
	return x[int(q*float64(len(x)-1))]
}
