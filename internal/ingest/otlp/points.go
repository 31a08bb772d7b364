package otlp

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Append implements [storage.AppenderV2].
func (nowhere) Append(storage.SeriesRef, labels.Labels, int64, int64, float64, *histogram.Histogram, *histogram.FloatHistogram, storage.AOptions) (storage.SeriesRef, error) {
	return 1, nil
}

// eachMetric visits every metric; alone wraps a metric in a batch of its own
// with the same resource and scope.
func eachMetric(md pmetric.Metrics, visit func(m pmetric.Metric, alone func(pmetric.Metric) pmetric.Metrics)) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			alone := func(m pmetric.Metric) pmetric.Metrics {
				one := pmetric.NewMetrics()
				r := one.ResourceMetrics().AppendEmpty()
				rm.Resource().CopyTo(r.Resource())
				s := r.ScopeMetrics().AppendEmpty()
				sm.Scope().CopyTo(s.Scope())
				m.CopyTo(s.Metrics().AppendEmpty())
				return one
			}
			for _, m := range sm.Metrics().All() {
				visit(m, alone)
			}
		}
	}
}

// dropEmpty removes metrics without points: the translation takes offence at
// some of them.
func dropEmpty(md pmetric.Metrics) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			sm.Metrics().RemoveIf(func(m pmetric.Metric) bool { return points(m) == 0 })
		}
	}
}

// widest is the longest time between two points of one resource.
func widest(md pmetric.Metrics) pcommon.Timestamp {
	var out pcommon.Timestamp
	for _, rm := range md.ResourceMetrics().All() {
		first, last := pcommon.Timestamp(math.MaxUint64), pcommon.Timestamp(0)
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				removePoints(m, func(_ pcommon.Map, at pcommon.Timestamp, _ func() pmetric.Metric) bool {
					first, last = min(first, at), max(last, at)
					return false
				})
			}
		}
		if last > first {
			out = max(out, last-first)
		}
	}
	return out
}

// points is the number of data points of a metric.
func points(m pmetric.Metric) int {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return m.Gauge().DataPoints().Len()
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints().Len()
	case pmetric.MetricTypeHistogram:
		return m.Histogram().DataPoints().Len()
	case pmetric.MetricTypeExponentialHistogram:
		return m.ExponentialHistogram().DataPoints().Len()
	case pmetric.MetricTypeSummary:
		return m.Summary().DataPoints().Len()
	}
	return 0
}

// removePoints removes the data points for which bad is true. single makes a
// metric that has only that point.
func removePoints(m pmetric.Metric, bad func(attrs pcommon.Map, at pcommon.Timestamp, single func() pmetric.Metric) bool) {
	head := func() pmetric.Metric {
		one := pmetric.NewMetric()
		one.SetName(m.Name())
		one.SetUnit(m.Unit())
		return one
	}
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		m.Gauge().DataPoints().RemoveIf(func(dp pmetric.NumberDataPoint) bool {
			return bad(dp.Attributes(), dp.Timestamp(), func() pmetric.Metric {
				one := head()
				dp.CopyTo(one.SetEmptyGauge().DataPoints().AppendEmpty())
				return one
			})
		})
	case pmetric.MetricTypeSum:
		m.Sum().DataPoints().RemoveIf(func(dp pmetric.NumberDataPoint) bool {
			return bad(dp.Attributes(), dp.Timestamp(), func() pmetric.Metric {
				one := head()
				sum := one.SetEmptySum()
				sum.SetIsMonotonic(m.Sum().IsMonotonic())
				sum.SetAggregationTemporality(m.Sum().AggregationTemporality())
				dp.CopyTo(sum.DataPoints().AppendEmpty())
				return one
			})
		})
	case pmetric.MetricTypeHistogram:
		m.Histogram().DataPoints().RemoveIf(func(dp pmetric.HistogramDataPoint) bool {
			return bad(dp.Attributes(), dp.Timestamp(), func() pmetric.Metric {
				one := head()
				h := one.SetEmptyHistogram()
				h.SetAggregationTemporality(m.Histogram().AggregationTemporality())
				dp.CopyTo(h.DataPoints().AppendEmpty())
				return one
			})
		})
	case pmetric.MetricTypeExponentialHistogram:
		m.ExponentialHistogram().DataPoints().RemoveIf(func(dp pmetric.ExponentialHistogramDataPoint) bool {
			return bad(dp.Attributes(), dp.Timestamp(), func() pmetric.Metric {
				one := head()
				h := one.SetEmptyExponentialHistogram()
				h.SetAggregationTemporality(m.ExponentialHistogram().AggregationTemporality())
				dp.CopyTo(h.DataPoints().AppendEmpty())
				return one
			})
		})
	case pmetric.MetricTypeSummary:
		m.Summary().DataPoints().RemoveIf(func(dp pmetric.SummaryDataPoint) bool {
			return bad(dp.Attributes(), dp.Timestamp(), func() pmetric.Metric {
				one := head()
				dp.CopyTo(one.SetEmptySummary().DataPoints().AppendEmpty())
				return one
			})
		})
	}
}
