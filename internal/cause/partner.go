package cause

import (
	"cmp"
	"math"
	"slices"

	"github.com/norn-aiops/norn/internal/stats"
)

// maxPartners bounds the templates of one entity that are compared with each
// other; the most frequent are.
const maxPartners = 80

// lineCounts is one template of an entity, counted in bins.
type lineCounts struct {
	s              *Series
	before, during counts
	total          float64 // lines in the baseline
}

// pairLines finds lines that used to come together and no longer do. For every
// template of an entity it takes, on the baseline alone, the companion to
// which its ratio is steadiest, and measures the ratio in the window: an
// exception or an early return makes the lines behind it vanish while those
// before it stay, however few requests there were. It returns the strongest
// evidence per entity.
func (m *model) pairLines() map[int]*evidence {
	byNode := map[int][]lineCounts{}
	for i := range m.in.Series {
		s := &m.in.Series[i]
		if s.Meta.Labels.Get("template") == "" {
			continue
		}
		lc := lineCounts{s: s}
		lc.before, lc.during = m.series(s)
		lc.total = lc.before.sum()
		if lc.total >= 10 {
			ni := m.add(s.Meta.Entity)
			byNode[ni] = append(byNode[ni], lc)
		}
	}
	out := map[int]*evidence{}
	for ni, lines := range byNode {
		slices.SortFunc(lines, func(a, b lineCounts) int {
			return cmp.Or(cmp.Compare(b.total, a.total), cmp.Compare(a.s.Meta.ID, b.s.Meta.ID))
		})
		lines = lines[:min(len(lines), maxPartners)]
		correction := math.Sqrt(2 * math.Log(float64(max(len(lines), 1))))
		for i := range lines {
			ev := m.pairLine(lines, i)
			if ev == nil {
				continue
			}
			ev.z -= correction
			ev.a = m.cfg.logistic(ev.z)
			if out[ni] == nil || better(ev, out[ni]) {
				out[ni] = ev
			}
		}
	}
	return out
}

// pairLine measures template i against its steadiest companion.
func (m *model) pairLine(lines []lineCounts, i int) *evidence {
	var best *evidence
	for j := range lines {
		if j == i || lines[j].total < lines[i].total/3 || lines[j].total > 3*lines[i].total {
			continue
		}
		if ev := m.pairRatio(&lines[i], &lines[j]); ev != nil && (best == nil || ev.s < best.s) {
			best = ev
		}
	}
	return best
}

func (m *model) pairRatio(a, b *lineCounts) *evidence {
	var base []float64
	for _, k := range b.before.inOrder() {
		if n := b.before[k]; n >= leastRequests {
			base = append(base, a.before[k]/n)
		}
	}
	la, lb := a.during.sum(), b.during.sum()
	if len(base) < 5 || lb < leastRequests {
		return nil
	}
	slices.Sort(base)
	sum := stats.Summarise(base)
	x := la / lb
	p := max(sum.Median, x)
	ev := &evidence{kind: kLog, meta: a.s.Meta, n: m.cfg.MinBaseline, scale: 1, perRequest: true, entity: a.s.Meta.Entity,
		instance: a.s.Meta.Instance, x: x, med: sum.Median, onset: m.w.from}
	tail := max(sum.Q95-sum.Median, sum.Median-sum.Q05)
	ev.s = max(sum.IQR()/1.349, tail/1.645, .02, mixDrift(sum.Median), math.Sqrt(max(p*math.Abs(1-p), .05*max(p, .2))/lb))
	ev.low, ev.high = max(0, ev.med-1.96*ev.s), ev.med+1.96*ev.s
	ev.d = math.Abs(ev.x - ev.med)
	ev.raw, ev.z = ev.d, ev.d/ev.s
	return ev
}

// binomialZ is the normal quantile of seeing at least k failures among n
// requests when the usual share is p: the guard against one failure of one.
// It is +Inf where the tail underflows. k and n may be fractions.
func binomialZ(k, n, p float64) float64 {
	if k <= 0 || n <= 0 {
		return 0
	}
	k, n = math.Max(1, math.Round(k)), math.Max(1, math.Round(n))
	k = math.Min(k, n)
	if n > 2000 {
		return math.Inf(1) // the plain error scale is exact enough
	}
	tail := 0.0
	lp, lq := math.Log(p), math.Log1p(-p)
	ln, _ := math.Lgamma(n + 1)
	for i := k; i <= n; i++ {
		li, _ := math.Lgamma(i + 1)
		lr, _ := math.Lgamma(n - i + 1)
		tail += math.Exp(ln - li - lr + i*lp + (n-i)*lq)
	}
	if tail < 1e-15 {
		return math.Inf(1)
	}
	return math.Sqrt2 * math.Erfinv(1-2*min(tail, .5))
}
