package cause

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/norn-aiops/norn/internal/stats"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// binWidth is the least time (ms) over which lines and calls are counted: over
// shorter ones counts are mostly 0 and 1.
const binWidth = 60_000

// leastRequests is how many requests a bin needs to say anything per request.
const leastRequests = 3

// mixDrift is the error of lines or calls a request that comes from the mix of
// requests: none where each request gives one (or none), most where half of
// them do. No count of requests makes them surer than that.
func mixDrift(perRequest float64) float64 {
	_, share := math.Modf(math.Abs(perRequest))
	return .25 * share * (1 - share)
}

// counts sums rates into bins: events per bin.
type counts map[int64]float64

// inOrder gives the bins in order of time: sums must not depend on the order of a map.
func (c counts) inOrder() []int64 { return slices.Sorted(maps.Keys(c)) }

// sum is the number of events in all bins.
func (c counts) sum() float64 {
	t := 0.0
	for _, b := range c.inOrder() {
		t += c[b]
	}
	return t
}

// bins counts events of a rate series, bin by bin from the window's start, so
// that no bin mixes the window with what was before.
func bins(ss []telemetry.Sample, from int64, step int64, out counts) {
	width := max(binWidth, step)
	for _, p := range ss {
		if !(math.Abs(p.V) < absurd) {
			continue
		}
		b := (p.T - from) / width
		if p.T < from {
			b = -1 - (from-1-p.T)/width
		}
		out[b] += p.V * float64(max(step, 1)) / 1000
	}
}

// series bins the whole of s around the window w: bins >= 0 and up to last are
// in the window.
func (m *model) series(s *Series) (before, during counts) {
	st := step(s)
	before, during = counts{}, counts{}
	from := m.w.from - st/2
	bins(s.Baseline, from, st, before)
	for _, p := range s.Window {
		if p.T >= from && p.T <= m.w.to+st/2 {
			bins([]telemetry.Sample{p}, from, st, during)
		}
	}
	return before, during
}

// perRequest measures lines of a template, or calls to a peer, per request of
// the entity: load cancels out. It is two-sided: a line that vanished says as
// much as one that appeared.
func (m *model) perRequest(s *Series, k kind, requests *Series) (*evidence, bool) {
	before, during := m.series(s)
	reqB, reqD := counts{}, counts{}
	if requests != nil {
		reqB, reqD = m.series(requests)
	}
	var base []float64
	for _, b := range reqB.inOrder() {
		n := reqB[b]
		if n >= leastRequests {
			base = append(base, before[b]/n)
		}
	}
	lines, n := 0.0, 0.0
	for _, b := range reqD.inOrder() {
		lines, n = lines+during[b], n+reqD[b]
	}
	if len(base) < 3 || n < leastRequests {
		return nil, false
	}
	slices.Sort(base)
	sum := stats.Summarise(base)
	mean := mean(base)
	if sum.Median == 0 { // rare lines: the mean says more
		sum.Median = min(mean, sum.Q95)
	}
	ev := &evidence{kind: k, meta: s.Meta, n: m.cfg.MinBaseline, scale: 1, perRequest: true, entity: s.Meta.Entity, instance: s.Meta.Instance,
		x: lines / n, med: sum.Median}
	tail := max(sum.Q95-sum.Median, sum.Median-sum.Q05)
	p := max(sum.Median, ev.x)
	ev.s = max(sum.IQR()/1.349, tail/1.645, .02, mixDrift(sum.Median), math.Sqrt(max(p*math.Abs(1-p), .05*max(p, .2))/n))
	ev.low, ev.high = max(0, ev.med-1.96*ev.s), ev.med+1.96*ev.s
	ev.d = math.Abs(ev.x - ev.med)
	ev.raw, ev.z = ev.d, ev.d/ev.s
	ev.a = m.cfg.logistic(ev.z)
	ev.onset = m.w.from
	return ev, true
}

// requestSeries finds the entity's own request rate.
func (m *model) requestSeries() map[int]*Series {
	out := map[int]*Series{}
	for i := range m.in.Series {
		s := &m.in.Series[i]
		if s.Meta.Name == "norn_request_rate" {
			out[m.add(s.Meta.Entity)] = s
		}
	}
	return out
}

// ofOperation tells series of one operation from those of the whole entity,
// and the call ratio, which the model works out itself: they would be counted
// twice.
func ofOperation(s *telemetry.Series) bool {
	return strings.HasPrefix(s.Name, "norn_operation_") || s.Name == "norn_edge_call_ratio"
}
