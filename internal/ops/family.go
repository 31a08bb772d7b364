package ops

import "strings"

// Family names what an alert is about, coarsely: call, log, or the resource or
// golden signal that its name speaks of. Alerts of one family and entity say
// much the same.
func (a *Anomaly) Family() string {
	if !a.Peer.IsZero() {
		return "call"
	}
	if a.Kind != AnomalyAlert {
		return string(a.Signal)
	}
	name := strings.ToLower(a.Series)
	for _, f := range families() {
		for _, w := range f.words {
			if strings.Contains(name, w) {
				return f.name
			}
		}
	}
	return "other"
}

type family struct {
	name  string
	words []string
}

func families() []family {
	return []family{
		{"log", []string{"log template", "log_", "logs"}},
		{"errors", []string{"error", "fail", "5xx", "exception", "success"}},
		{"latency", []string{"latency", "duration", "response_time", "slow", "mrt", "p95", "p99"}},
		{"memory", []string{"mem", "oom", "heap", "swap"}},
		{"cpu", []string{"cpu", "load"}},
		{"disk", []string{"disk", "fs_", "filesystem", "system.io", "inode", "volume"}},
		{"network", []string{"net", "packet", "tcp", "socket"}},
	}
}
