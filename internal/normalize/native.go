package normalize

import (
	"math"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// nativeState is what a native histogram series carries beyond its entry.
type nativeState struct {
	prev                 store.Histogram
	p50, p99, mean, rate *telemetry.Series
	guard                bool // a policy says which values are taken
	seats                [4]telemetry.Seat
}

// observeNative takes one native histogram and emits quantiles, mean and rate
// of what was observed since the last one. After a reset or a change of
// buckets that cannot be bridged, the next one is the new start. The stripe of
// the reference is locked.
func (e *entry) observeNative(d *Deriver, t int64, h store.Histogram, out []telemetry.Point) []telemetry.Point {
	if e.has && t <= e.prevT {
		d.outOfOrder.Add(1)
		return out
	}
	prevT, had := e.prevT, e.has
	e.prevT, e.has = t, true
	if e.native == nil {
		e.native = &nativeState{}
	}
	prev := e.native.prev
	e.native.prev = h
	if !had || prev == nil {
		return out
	}
	diff := h.Sub(prev)
	if diff == nil {
		d.resets.Add(1)
		return out
	}
	n := diff.Count()
	if !finite(n) || n < 0 {
		return out
	}
	if e.native.rate == nil {
		e.describeNative(d, t-prevT)
	}
	guard := e.native.guard
	out = d.put(out, guard, telemetry.Point{Series: e.native.rate, Seat: &e.native.seats[0], T: t, V: n * 1000 / float64(t-prevT)})
	if n == 0 {
		return out
	}
	add := func(i int, s *telemetry.Series, v float64) {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			out = d.put(out, guard, telemetry.Point{Series: s, Seat: &e.native.seats[i], T: t, V: v * e.factor})
		}
	}
	add(1, e.native.p50, diff.Quantile(0.5))
	add(2, e.native.p99, diff.Quantile(0.99))
	add(3, e.native.mean, diff.Sum()/n)
	return out
}

func (e *entry) describeNative(d *Deriver, interval int64) {
	name := e.labels.Get(labels.MetricName)
	rate := "rate(" + selector(e.labels) + rangeFor(interval) + ")"
	value := func(short, expr string) *telemetry.Series {
		s := derived(e.labels, name+":"+short, short+"("+name+")", scaled(expr, e.factor), e.unit)
		s.Signal, s.Direction = signalOf(name, e.labels, e.unit, false)
		return s
	}
	e.native.p50 = value("p50", "histogram_quantile(0.5, "+rate+")")
	e.native.p99 = value("p99", "histogram_quantile(0.99, "+rate+")")
	e.native.mean = value("mean", "histogram_avg("+rate+")")
	e.native.rate = derived(e.labels, name+":rate", "rate("+name+")", "histogram_count("+rate+")", "1/s")
	e.native.rate.Signal, e.native.rate.Direction = signalOf(name+"_count", e.labels, "", true)
	for _, s := range []*telemetry.Series{e.native.p50, e.native.p99, e.native.mean, e.native.rate} {
		e.native.guard = guards(d.described(s)) || e.native.guard
	}
}
