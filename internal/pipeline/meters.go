package pipeline

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/norn-aiops/norn/internal/normalize"
)

// meters are the pipeline's own metrics.
type meters struct {
	samples, points, dropped prometheus.Counter
	explained                prometheus.Counter
	judged                   *prometheus.CounterVec
	items                    *prometheus.CounterVec
	rejected                 *prometheus.CounterVec
	muted                    *prometheus.CounterVec
	customErrors             *prometheus.CounterVec
	pluginsOff               *prometheus.GaugeVec
	tiers                    *prometheus.GaugeVec
	reduced                  prometheus.Gauge
	detectCPU, detectBytes   prometheus.Gauge
}

func newMeters(reg prometheus.Registerer) *meters {
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return &meters{
		samples:      counter("norn_pipeline_samples_total", "Metric samples that were committed."),
		points:       counter("norn_pipeline_points_total", "Detection points derived from samples."),
		dropped:      counter("norn_pipeline_anomalies_dropped_total", "Anomalies dropped because too many waited for the next tick."),
		explained:    counter("norn_pipeline_anomalies_explained_total", "Anomalies held back because the load of their series explains them."),
		judged:       vec("norn_pipeline_judgements_total", "Judgements of incident candidates by verdict.", "verdict"),
		items:        vec("norn_pipeline_items_total", "Logs, spans, alerts and changes by outcome.", "signal", "outcome"),
		rejected:     vec("norn_pipeline_rejected_total", "Items that normalisation refused, by reason.", "signal", "reason"),
		muted:        vec("norn_detection_muted_total", "Anomalies that were not raised because of a mute.", "mute"),
		customErrors: vec("norn_custom_metric_errors_total", "Evaluations of custom metrics that failed.", "metric"),
		pluginsOff: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "norn_plugin_off", Help: "1 for a plugin that is switched off.",
		}, []string{"plugin"}),
		tiers: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "norn_detect_series", Help: "Series by how they are judged: full, basic, counter (count, extremes and silence alone), none (beyond detection.max_series, about).",
		}, []string{"tier"}),
		reduced:     f.NewGauge(prometheus.GaugeOpts{Name: "norn_detect_series_reduced", Help: "Series that would be judged better if there were more memory or processor time."}),
		detectCPU:   f.NewGauge(prometheus.GaugeOpts{Name: "norn_detect_cpu_cores", Help: "Processor time that judging takes, in cores."}),
		detectBytes: f.NewGauge(prometheus.GaugeOpts{Name: "norn_detect_state_bytes", Help: "Memory that the state of all series takes."}),
	}
}

// refusedValues shows what the deriver counts.
func refusedValues(reg prometheus.Registerer, d *normalize.Deriver) {
	promauto.With(reg).NewCounterFunc(prometheus.CounterOpts{
		Name: "norn_detection_refused_values_total", Help: "Values outside of the range that a rule gives their series.",
	}, func() float64 { return float64(d.Stats().OutOfRange) })
}

// maskedSecrets shows what the masker counts.
func maskedSecrets(reg prometheus.Registerer, n *normalize.LogNormalizer) {
	for kind := range n.Masked() {
		promauto.With(reg).NewCounterFunc(prometheus.CounterOpts{
			Name: "norn_masked_total", Help: "Secrets that were hidden before logs were stored, by kind.", ConstLabels: prometheus.Labels{"kind": kind},
		}, func() float64 { return float64(n.Masked()[kind]) })
	}
}
