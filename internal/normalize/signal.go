package normalize

import (
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// signalOf tells what a series says about its entity and which way is bad, by
// its name, labels and base unit. rate tells that the points are the rate of a
// counter. Norn's own series are known by name; for others the order is: up;
// errors (by word, or by a label that says that the outcome was bad); latency
// (time per operation); saturation (resources); traffic (rates); other.
func signalOf(name string, ls labels.Labels, base string, rate bool) (telemetry.Signal, telemetry.Direction) {
	return signalKeyOf(name, ls, base, rate).signal()
}

func (k signalKey) signal() (telemetry.Signal, telemetry.Direction) {
	name, base, rate := k.name, k.base, k.rate
	if s, d, ok := ownSignal(name); ok {
		return s, d
	}
	low := strings.ToLower(name)
	switch {
	case isUpName(low):
		return telemetry.SignalUp, telemetry.DownBad
	case hasWord(low, "success", "successes", "succeeded", "hit_ratio", "hitratio", "hit_rate", "availability"):
		if rate {
			return telemetry.SignalTraffic, telemetry.BothBad
		}
		// not errors: the share is of what went well
		return telemetry.SignalSaturation, telemetry.DownBad
	case isErrorName(low) || k.bad:
		return telemetry.SignalErrors, telemetry.UpBad
	}
	if !rate && base == "s" && !hasWord(low, "uptime", "age", "ttl", "timeout", "interval", "time_since", "cpu", "gc", "remaining") {
		return telemetry.SignalLatency, telemetry.UpBad
	}
	if !rate && base != "By" && hasWord(low, "latency", "duration", "response_time", "responsetime", "elapsed", "rtt", "lag_seconds", "delay") {
		return telemetry.SignalLatency, telemetry.UpBad
	}
	if s, d, ok := saturationOf(low, k.idle, rate); ok {
		return s, d
	}
	if rate || hasWord(low, "requests", "request", "rps", "qps", "throughput", "rate", "calls", "messages", "users", "sessions", "orders", "tps", "hits") {
		return telemetry.SignalTraffic, telemetry.BothBad
	}
	return telemetry.SignalOther, telemetry.BothBad
}

func ownSignal(name string) (telemetry.Signal, telemetry.Direction, bool) {
	switch name {
	case "norn_request_rate", "norn_edge_request_rate", "norn_operation_request_rate":
		return telemetry.SignalTraffic, telemetry.BothBad, true
	case "norn_error_ratio", "norn_edge_error_ratio", "norn_operation_error_ratio":
		return telemetry.SignalErrors, telemetry.UpBad, true
	case "norn_latency_seconds", "norn_self_time_seconds", "norn_edge_latency_seconds", "norn_operation_latency_seconds", "norn_operation_self_time_seconds":
		return telemetry.SignalLatency, telemetry.UpBad, true
	case "norn_edge_gap_seconds":
		return telemetry.SignalNetwork, telemetry.UpBad, true
	case "norn_edge_call_ratio":
		return telemetry.SignalTraffic, telemetry.BothBad, true
	case "norn_log_rate", "norn_log_template_rate", "norn_log_param", "norn_log_param_seconds", "norn_log_param_bytes":
		return telemetry.SignalLogs, telemetry.BothBad, true
	}
	return "", 0, false
}

// ownUnit is the unit of Norn's own series, "" for others.
func ownUnit(name string) string {
	switch name {
	case "norn_request_rate", "norn_edge_request_rate", "norn_operation_request_rate":
		return "{request}/s"
	case "norn_error_ratio", "norn_edge_error_ratio", "norn_operation_error_ratio", "norn_edge_call_ratio":
		return "1"
	case "norn_log_rate", "norn_log_template_rate":
		return "{line}/s"
	}
	return ""
}

func isUpName(low string) bool {
	return low == "up" || low == "probe_success" || strings.HasSuffix(low, "_up") || strings.HasSuffix(low, "_healthy") ||
		strings.HasSuffix(low, "_status_ready") || strings.HasSuffix(low, "_alive")
}

func isErrorName(low string) bool {
	return hasWord(low, "error", "errors", "errs", "fail", "failed", "failure", "failures", "fails", "exception", "exceptions",
		"timeouts", "rejected", "rejections", "dropped", "drop", "drops", "aborted", "aborts", "retries", "5xx", "panics", "oom",
		"oom_events", "restarts", "deadlocks", "evicted", "unhealthy", "retransmits", "retranssegs", "refused", "denied", "lost", "overflow", "unreachable", "deadletter", "dead_letter", "throttled")
}

// isErrorLabels reports whether a label says that what is counted went wrong.
func isErrorLabels(ls labels.Labels) bool {
	bad := false
	ls.Range(func(l labels.Label) {
		switch l.Name {
		case "code", "status", "status_code", "http_status_code", "http_response_status_code", "response_code", "code_class", "status_class":
			bad = bad || isServerError(l.Value)
		case "result", "outcome", "state_result", "status_text", "otel_status_code", "grpc_code", "rpc_grpc_status_code", "error_type", "exception":
			bad = bad || isBadOutcome(l.Name, l.Value)
		}
	})
	return bad
}

func isServerError(v string) bool {
	if len(v) == 3 && v[0] == '5' {
		return isDigits(v[1:]) || strings.EqualFold(v[1:], "xx")
	}
	return strings.EqualFold(v, "error") || strings.EqualFold(v, "failed") || strings.EqualFold(v, "failure") || strings.EqualFold(v, "status_code_error")
}

func isBadOutcome(name, v string) bool {
	if v == "" {
		return false
	}
	v = strings.ToLower(v)
	switch name {
	case "error_type":
		return true
	case "exception":
		return v != "none"
	case "grpc_code", "rpc_grpc_status_code":
		switch v {
		case "internal", "unavailable", "deadlineexceeded", "resourceexhausted", "dataloss", "unknown", "aborted", "13", "14", "4", "8", "15", "2", "10":
			return true
		}
		return false
	}
	switch v {
	case "error", "failed", "failure", "fail", "server_error", "timeout", "exception", "rejected", "status_code_error":
		return true
	}
	return false
}

// isIdle reports whether a label says that the series counts what is free.
func isIdle(ls labels.Labels) bool {
	return ls.Get("mode") == "idle" || ls.Get("state") == "idle" || ls.Get("state") == "free"
}

func saturationOf(low string, idle, rate bool) (telemetry.Signal, telemetry.Direction, bool) {
	dir := telemetry.UpBad
	if hasWord(low, "free", "available", "avail", "memavailable", "memfree", "idle", "remaining") || idle {
		dir = telemetry.DownBad
	}
	if hasWord(low, "cpu", "load1", "load5", "load15", "gc", "throttling", "throttle", "pressure", "utilization", "utilisation", "usage", "saturation") {
		return telemetry.SignalSaturation, dir, true
	}
	if rate { // the rates of bytes and operations on disks and networks are traffic
		return "", 0, false
	}
	if hasWord(low, "memory", "mem", "memfree", "memavailable", "rss", "heap", "swap", "disk", "filesystem", "volume", "queue", "queued", "backlog", "pending",
		"lag", "connections", "connection", "conns", "threads", "thread", "goroutines", "fds", "sockets", "pool", "inflight", "in_flight",
		"active", "waiting", "waiters", "inodes", "files", "depth", "buffer", "buffers", "cache", "resident", "virtual", "alloc", "sys",
		"limit", "capacity", "temperature", "celsius", "battery", "handles", "processes", "procs", "blocked", "open") {
		return telemetry.SignalSaturation, dir, true
	}
	return "", 0, false
}

// hasWord reports whether one of the words occurs in name between separators.
func hasWord(name string, words ...string) bool {
	for _, w := range words {
		for from := 0; ; {
			i := strings.Index(name[from:], w)
			if i < 0 {
				break
			}
			i += from
			end := i + len(w)
			if (i == 0 || isSeparator(name[i-1])) && (end == len(name) || isSeparator(name[end])) {
				return true
			}
			from = i + 1
		}
	}
	return false
}

func isSeparator(b byte) bool { return b == '_' || b == ':' || b == '.' || b == '-' || b == '/' }
