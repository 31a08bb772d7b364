package replay

import (
	"math"
	"strconv"

	"github.com/prometheus/otlptranslator"
	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// metrics converts to Prometheus names and labels as the OTLP receiver does:
// unit and _total suffixes, all resource attributes as labels. Histograms
// become classic buckets; exponential histograms become count and sum.
func (o *otlpReader) metrics(md pmetric.Metrics) {
	for _, rm := range md.ResourceMetrics().All() {
		res := rm.Resource().Attributes()
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				o.metric(res, m)
			}
		}
	}
}

func (o *otlpReader) metric(res pcommon.Map, m pmetric.Metric) {
	kind, typ := otlptranslator.MetricType(otlptranslator.MetricTypeGauge), "gauge"
	switch m.Type() {
	case pmetric.MetricTypeSum:
		kind = otlptranslator.MetricTypeNonMonotonicCounter
		if m.Sum().IsMonotonic() {
			kind, typ = otlptranslator.MetricTypeMonotonicCounter, "counter"
		}
	case pmetric.MetricTypeHistogram, pmetric.MetricTypeExponentialHistogram:
		kind, typ = otlptranslator.MetricTypeHistogram, "histogram"
	case pmetric.MetricTypeSummary:
		kind, typ = otlptranslator.MetricTypeSummary, "summary"
	}
	namer := otlptranslator.MetricNamer{WithMetricSuffixes: true}
	name, err := namer.Build(otlptranslator.Metric{Name: m.Name(), Unit: m.Unit(), Type: kind})
	if err != nil || name == "" {
		o.bad++
		return
	}
	p := otlpPoints{o: o, res: res, name: name, typ: typ, unit: m.Unit()}
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		p.numbers(m.Gauge().DataPoints())
	case pmetric.MetricTypeSum:
		p.numbers(m.Sum().DataPoints())
	case pmetric.MetricTypeHistogram:
		for _, d := range m.Histogram().DataPoints().All() {
			p.histogram(d)
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, d := range m.ExponentialHistogram().DataPoints().All() {
			p.put(d.Timestamp(), d.Attributes(), "_count", float64(d.Count()))
			if d.HasSum() {
				p.put(d.Timestamp(), d.Attributes(), "_sum", d.Sum())
			}
		}
	case pmetric.MetricTypeSummary:
		for _, d := range m.Summary().DataPoints().All() {
			p.put(d.Timestamp(), d.Attributes(), "_count", float64(d.Count()))
			p.put(d.Timestamp(), d.Attributes(), "_sum", d.Sum())
			for _, q := range d.QuantileValues().All() {
				p.put(d.Timestamp(), d.Attributes(), "", q.Value(), "quantile", strconv.FormatFloat(q.Quantile(), 'g', -1, 64))
			}
		}
	}
}

// otlpPoints writes the points of one metric.
type otlpPoints struct {
	o               *otlpReader
	res             pcommon.Map
	name, typ, unit string
}

func (p *otlpPoints) numbers(ds pmetric.NumberDataPointSlice) {
	for _, d := range ds.All() {
		v := d.DoubleValue()
		if d.ValueType() == pmetric.NumberDataPointValueTypeInt {
			v = float64(d.IntValue())
		}
		p.put(d.Timestamp(), d.Attributes(), "", v)
	}
}

func (p *otlpPoints) histogram(d pmetric.HistogramDataPoint) {
	total := uint64(0)
	for i, n := range d.BucketCounts().AsRaw() {
		total += n
		le := "+Inf"
		if i < d.ExplicitBounds().Len() {
			le = strconv.FormatFloat(d.ExplicitBounds().At(i), 'g', -1, 64)
		}
		p.put(d.Timestamp(), d.Attributes(), "_bucket", float64(total), "le", le)
	}
	p.put(d.Timestamp(), d.Attributes(), "_count", float64(d.Count()))
	if d.HasSum() {
		p.put(d.Timestamp(), d.Attributes(), "_sum", d.Sum())
	}
}

func (p *otlpPoints) put(ts pcommon.Timestamp, attrs pcommon.Map, suffix string, v float64, extra ...string) {
	t := int64(ts) / 1e6
	if t <= 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return
	}
	lb := labels.NewBuilder(labels.EmptyLabels())
	namer := otlptranslator.LabelNamer{}
	for _, m := range []pcommon.Map{p.res, attrs} {
		for k, val := range m.All() {
			if n, err := namer.Build(k); err == nil {
				lb.Set(n, val.AsString())
			}
		}
	}
	for i := 0; i+1 < len(extra); i += 2 {
		lb.Set(extra[i], extra[i+1])
	}
	lb.Set(labels.MetricName, p.name+suffix)
	it := p.o.b.at(t)
	it.Samples = append(it.Samples, Sample{Labels: lb.Labels(), T: t, V: v, Type: p.typ, Unit: p.unit})
}
