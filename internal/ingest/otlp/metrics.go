package otlp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote/otlptranslator/prometheusremotewrite"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/norn-aiops/norn/internal/ingest"
)

// promoted are the resource attributes that become labels of every series.
var promoted = [...]string{
	"service.name", "service.instance.id", "service.namespace", "service.version",
	"deployment.environment", "deployment.environment.name", "host.name",
	"k8s.cluster.name", "k8s.namespace.name", "k8s.deployment.name", "k8s.statefulset.name",
	"k8s.daemonset.name", "k8s.pod.name", "k8s.node.name", "k8s.container.name", "container.id",
	"db.system", "db.system.name", "db.name", "db.namespace", "db.instance.id", "db.collection.name",
	"faas.name", "device.id", "cloud.region", "cloud.availability_zone",
}

// maxSpan is the longest time between two points of one resource for which
// target_info is written: the translation writes a sample of it for every 150 s
// in between, so that two times far apart would make millions.
const maxSpan = pcommon.Timestamp(24 * time.Hour)

func (r *Receiver) settings(md pmetric.Metrics) prometheusremotewrite.Settings {
	return prometheusremotewrite.Settings{
		AddMetricSuffixes:                    true,
		DisableTargetInfo:                    r.opts.NoTargetInfo || widest(md) > maxSpan,
		KeepIdentifyingResourceAttributes:    true,
		LookbackDelta:                        5 * time.Minute,
		LabelNameUnderscoreSanitization:      true,
		LabelNamePreserveMultipleUnderscores: true,
		PromoteResourceAttributes: prometheusremotewrite.NewPromoteResourceAttributes(
			config.OTLPConfig{PromoteResourceAttributes: promoted[:]}),
	}
}

// consumeMetrics appends a batch in one transaction.
//
// Points that cannot be translated or are refused by the store are left out and
// counted. Refused points are counted as data points, not as the several series
// that a histogram makes.
func (r *Receiver) consumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	total := md.DataPointCount()
	if err := r.tooMany(ctx, total); err != nil {
		return err
	}
	guard := ingest.NewGuard(r.opts.Metrics, r.limits, r.opts.Now())
	guard.Lenient = true
	failed := func(err error) error {
		r.opts.Counters.Items(protocol, ingest.OutcomeFailed, total)
		return retryable(fmt.Errorf("store metrics: %w", err))
	}
	if err := r.retryPending(ctx); err != nil {
		return failed(err)
	}
	pre := map[string]int{}
	detail := r.screen(md, pre)
	old, delta := r.cumulate(md)
	dropUnconverted(md, pre, &detail)
	dropEmpty(md)
	if err := r.write(ctx, md, guard, pre, &detail); err != nil {
		if delta {
			r.pending.add(md, r.opts.Counters)
		}
		return failed(err)
	}
	for reason, n := range pre {
		guard.Reject(reason, detail, n)
	}
	rejected := min(guard.Total(), total-old)
	for reason, n := range guard.Rejected {
		r.opts.Counters.Reject(protocol, reason, n)
	}
	r.opts.Counters.Items(protocol, ingest.OutcomeDuplicate, old)
	r.opts.Counters.Items(protocol, ingest.OutcomeAccepted, total-old-rejected)
	return answer(ctx, rejected, total, guard.Detail)
}

// cumulate converts delta points. old is how many were left out because they are
// not newer than what is in the running total already: sent again, most likely.
func (r *Receiver) cumulate(md pmetric.Metrics) (old int, delta bool) {
	if r.opts.Cumulate == nil || !hasDelta(md) {
		return 0, false
	}
	before := md.DataPointCount()
	r.opts.Cumulate(md)
	return max(0, before-md.DataPointCount()), true
}

// write translates and commits. When the translation fails somewhere, the points
// that cause it are found one by one and the rest is written.
func (r *Receiver) write(ctx context.Context, md pmetric.Metrics, guard *ingest.Guard, pre map[string]int, detail *string) error {
	if md.DataPointCount() == 0 {
		return nil
	}
	terr, err := r.translate(ctx, md, guard)
	if err != nil || terr == nil {
		return err
	}
	if *detail == "" {
		*detail = terr.Error()
	}
	guard.Forget()
	pre["untranslatable"] += r.prune(ctx, md)
	if md.DataPointCount() == 0 {
		return nil
	}
	terr, err = r.translate(ctx, md, guard)
	if err == nil && terr != nil {
		// Every point can be translated alone and yet not all together: a
		// resource's own attributes are bad. Nothing of it can be kept.
		guard.Forget()
		pre["untranslatable"] += md.DataPointCount()
	}
	return err
}

// translate runs one transaction. terr is the data's fault (rolled back), err
// the store's or the context's.
func (r *Receiver) translate(ctx context.Context, md pmetric.Metrics, guard *ingest.Guard) (terr, err error) {
	app := guard.AppenderV2(ctx)
	_, terr = prometheusremotewrite.NewPrometheusConverter(app).FromMetrics(ctx, md, r.settings(md))
	switch {
	case guard.Fatal != nil:
		return nil, errors.Join(guard.Fatal, app.Rollback())
	case ctx.Err() != nil:
		return nil, errors.Join(ctx.Err(), app.Rollback())
	case terr != nil:
		return terr, app.Rollback()
	}
	return nil, app.Commit()
}

// screen removes what no translation could save, counting reasons in pre.
func (r *Receiver) screen(md pmetric.Metrics, pre map[string]int) (detail string) {
	for _, rm := range md.ResourceMetrics().All() {
		cleanMap(rm.Resource().Attributes())
	}
	eachMetric(md, func(m pmetric.Metric, _ func(pmetric.Metric) pmetric.Metrics) {
		nameless := m.Name() == "" || len(m.Name()) > r.limits.LabelBytes
		removePoints(m, func(attrs pcommon.Map, _ pcommon.Timestamp, _ func() pmetric.Metric) bool {
			reason := ""
			switch {
			case nameless:
				reason = "invalid_name"
			case attrs.Len() > r.limits.Labels:
				reason = "too_many_labels"
			default:
				for k, v := range attrs.All() {
					if len(k)+valueLen(v) > r.limits.LabelBytes {
						reason = "label_too_long"
						break
					}
				}
			}
			if reason == "" {
				cleanMap(attrs)
				return false
			}
			pre[reason]++
			if detail == "" {
				detail = fmt.Sprintf("metric %.100q: %s", m.Name(), reason)
			}
			return true
		})
	})
	return detail
}

func valueLen(v pcommon.Value) int {
	if v.Type() == pcommon.ValueTypeStr {
		return len(v.Str())
	}
	return len(v.AsString())
}

// cleanMap makes string values valid UTF-8, so that one bad byte does not cost
// the point.
func cleanMap(m pcommon.Map) {
	for _, v := range m.All() {
		if v.Type() == pcommon.ValueTypeStr {
			if s := v.Str(); ingest.Clean(s) != s {
				v.SetStr(ingest.Clean(s))
			}
		}
	}
}

// dropUnconverted removes delta points that nobody made cumulative and points
// without temporality.
func dropUnconverted(md pmetric.Metrics, pre map[string]int, detail *string) {
	eachMetric(md, func(m pmetric.Metric, _ func(pmetric.Metric) pmetric.Metrics) {
		t, ok := temporality(m)
		if !ok || t == pmetric.AggregationTemporalityCumulative {
			return
		}
		reason := "unspecified_temporality"
		if t == pmetric.AggregationTemporalityDelta {
			reason = "delta_not_converted"
		}
		removePoints(m, func(pcommon.Map, pcommon.Timestamp, func() pmetric.Metric) bool {
			pre[reason]++
			if *detail == "" {
				*detail = fmt.Sprintf("metric %.100q: %s", m.Name(), reason)
			}
			return true
		})
	})
}

func temporality(m pmetric.Metric) (pmetric.AggregationTemporality, bool) {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		return m.Sum().AggregationTemporality(), true
	case pmetric.MetricTypeHistogram:
		return m.Histogram().AggregationTemporality(), true
	case pmetric.MetricTypeExponentialHistogram:
		return m.ExponentialHistogram().AggregationTemporality(), true
	}
	return 0, false
}

// prune removes the points that cannot be translated alone and tells how many.
func (r *Receiver) prune(ctx context.Context, md pmetric.Metrics) int {
	removed := 0
	ok := func(one pmetric.Metrics) bool {
		_, err := prometheusremotewrite.NewPrometheusConverter(nowhere{}).FromMetrics(ctx, one, r.settings(one))
		return err == nil
	}
	eachMetric(md, func(m pmetric.Metric, alone func(pmetric.Metric) pmetric.Metrics) {
		if ok(alone(m)) {
			return
		}
		removePoints(m, func(_ pcommon.Map, _ pcommon.Timestamp, single func() pmetric.Metric) bool {
			if ok(alone(single())) {
				return false
			}
			removed++
			return true
		})
	})
	dropEmpty(md)
	return removed
}

// nowhere is an appender that keeps nothing.
type nowhere struct{ storage.AppenderV2 }
