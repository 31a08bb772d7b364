package topology

import (
	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// Names of the series that a [Builder] makes. Each has one sample per window,
// at the window's end.
const (
	RequestRate          = "norn_request_rate"                // {request}/s
	ErrorRatio           = "norn_error_ratio"                 // 1
	Latency              = "norn_latency_seconds"             // s, quantile 0.5 and 0.95
	SelfTime             = "norn_self_time_seconds"           // s, quantile 0.5
	EdgeRequestRate      = "norn_edge_request_rate"           // {request}/s
	EdgeErrorRatio       = "norn_edge_error_ratio"            // 1
	EdgeLatency          = "norn_edge_latency_seconds"        // s, quantile 0.95
	EdgeGap              = "norn_edge_gap_seconds"            // s, median of client minus server
	MeanLatency          = "norn_latency_mean_seconds"        // s
	MeanSelfTime         = "norn_self_time_mean_seconds"      // s
	EdgeMeanLatency      = "norn_edge_latency_mean_seconds"   // s
	OperationRequestRate = "norn_operation_request_rate"      // {request}/s
	OperationErrorRatio  = "norn_operation_error_ratio"       // 1
	EdgeCallRatio        = "norn_edge_call_ratio"             // 1, calls for each request that the caller serves
	OperationSelfTime    = "norn_operation_self_time_seconds" // s, mean
	OperationLatency     = "norn_operation_latency_seconds"   // s, quantile 0.95
)

// RequestRateLabels names the requests a second that e serves.
func RequestRateLabels(e telemetry.Entity) labels.Labels {
	return labels.FromStrings(labels.MetricName, RequestRate, "entity", e.String())
}

// ErrorRatioLabels names the share of e's requests that failed.
func ErrorRatioLabels(e telemetry.Entity) labels.Labels {
	return labels.FromStrings(labels.MetricName, ErrorRatio, "entity", e.String())
}

// LatencyLabels names a quantile ("0.5", "0.95") of the time that e takes.
func LatencyLabels(e telemetry.Entity, quantile string) labels.Labels {
	return labels.FromStrings(labels.MetricName, Latency, "entity", e.String(), "quantile", quantile)
}

// MeanLatencyLabels names the mean time that e takes. Means add up over a call
// tree, quantiles do not: cause analysis accounts with them.
func MeanLatencyLabels(e telemetry.Entity) labels.Labels {
	return labels.FromStrings(labels.MetricName, MeanLatency, "entity", e.String())
}

// MeanSelfTimeLabels names the mean time that e spends itself, its remote
// calls taken off.
func MeanSelfTimeLabels(e telemetry.Entity) labels.Labels {
	return labels.FromStrings(labels.MetricName, MeanSelfTime, "entity", e.String())
}

// EdgeMeanLatencyLabels names the mean time of the calls as the caller sees
// it.
func EdgeMeanLatencyLabels(caller, callee telemetry.Entity) labels.Labels {
	return labels.FromStrings(labels.MetricName, EdgeMeanLatency, "entity", caller.String(), "peer", callee.String())
}

// SelfTimeLabels names the median time that e spends itself, its remote calls
// taken off.
func SelfTimeLabels(e telemetry.Entity) labels.Labels {
	return labels.FromStrings(labels.MetricName, SelfTime, "entity", e.String(), "quantile", "0.5")
}

// EdgeRequestRateLabels names the calls a second from caller to callee.
func EdgeRequestRateLabels(caller, callee telemetry.Entity) labels.Labels {
	return labels.FromStrings(labels.MetricName, EdgeRequestRate, "entity", caller.String(), "peer", callee.String())
}

// EdgeErrorRatioLabels names the share of failed calls from caller to callee.
func EdgeErrorRatioLabels(caller, callee telemetry.Entity) labels.Labels {
	return labels.FromStrings(labels.MetricName, EdgeErrorRatio, "entity", caller.String(), "peer", callee.String())
}

// EdgeLatencyLabels names the 95th percentile of the calls' time as the caller
// sees it.
func EdgeLatencyLabels(caller, callee telemetry.Entity) labels.Labels {
	return labels.FromStrings(labels.MetricName, EdgeLatency, "entity", caller.String(), "peer", callee.String(), "quantile", "0.95")
}

// EdgeGapLabels names the median time that calls spend between caller and
// callee; for a consumer and its queue, the time that messages waited.
func EdgeGapLabels(caller, callee telemetry.Entity) labels.Labels {
	return labels.FromStrings(labels.MetricName, EdgeGap, "entity", caller.String(), "peer", callee.String())
}

// OperationRequestRateLabels names the requests a second for one operation of e.
func OperationRequestRateLabels(e telemetry.Entity, operation string) labels.Labels {
	return labels.FromStrings(labels.MetricName, OperationRequestRate, "entity", e.String(), "operation", operation)
}

// OperationErrorRatioLabels names the share of one operation's failed requests.
func OperationErrorRatioLabels(e telemetry.Entity, operation string) labels.Labels {
	return labels.FromStrings(labels.MetricName, OperationErrorRatio, "entity", e.String(), "operation", operation)
}

// OperationLatencyLabels names the 95th percentile of one operation's time.
func OperationLatencyLabels(e telemetry.Entity, operation string) labels.Labels {
	return labels.FromStrings(labels.MetricName, OperationLatency, "entity", e.String(), "operation", operation, "quantile", "0.95")
}

// OperationSelfTimeLabels names the mean time that e spends itself on one
// operation, its remote calls taken off.
func OperationSelfTimeLabels(e telemetry.Entity, operation string) labels.Labels {
	return labels.FromStrings(labels.MetricName, OperationSelfTime, "entity", e.String(), "operation", operation)
}

// EdgeCallRatioLabels names how many calls caller makes to callee for each
// request that it serves: retries and lost caches show in it whatever the load.
func EdgeCallRatioLabels(caller, callee telemetry.Entity) labels.Labels {
	return labels.FromStrings(labels.MetricName, EdgeCallRatio, "entity", caller.String(), "peer", callee.String())
}
