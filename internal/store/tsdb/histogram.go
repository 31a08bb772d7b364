package tsdb

import (
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser/posrange"

	"github.com/norn-aiops/norn/internal/store"
)

// nativeHistogram is one committed native histogram. It is its own copy and
// never changes.
type nativeHistogram struct{ h *histogram.FloatHistogram }

// Quantile estimates the q-quantile by interpolation inside the bucket, as
// PromQL's histogram_quantile does; NaN when empty.
func (n nativeHistogram) Quantile(q float64) float64 {
	v, _ := promql.HistogramQuantile(q, n.h, "", posrange.PositionRange{})
	return v
}

// Count is the number of observations.
func (n nativeHistogram) Count() float64 { return n.h.Count }

// Sum is the sum of the observations.
func (n nativeHistogram) Sum() float64 { return n.h.Sum }

// Sub gives the observations since prev at the coarser resolution of the two;
// nil when a counter reset lies between them or the buckets cannot be
// compared.
func (n nativeHistogram) Sub(prev store.Histogram) store.Histogram {
	p, ok := prev.(nativeHistogram)
	if !ok || n.h.DetectReset(p.h) {
		return nil
	}
	d, _, _, err := n.h.Copy().Sub(p.h)
	if err != nil || d.Count < 0 {
		return nil
	}
	return nativeHistogram{d}
}
