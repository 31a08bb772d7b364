// Package capacity knows what has limits, and how to follow demand that comes
// again every week.
//
// It exists so that limits need not be declared: [Conventions] finds those that
// common exporters and SDKs tell about, and [Config] declares the others. A
// [Plan] is a schedule of replicas by hour of the week. It reads no store and
// knows no clock; forecasts come from package forecast. All functions are pure
// and safe for concurrent use.
package capacity

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Config declares something with a limit.
type Config struct {
	Name      string         `yaml:"name"`
	Query     string         `yaml:"query"`     // PromQL: one result for each thing
	Limit     string         `yaml:"limit"`     // a number, or PromQL with one value, or one for each result by its labels
	Direction string         `yaml:"direction"` // up (default): it is gone at the limit; down: it falls to it
	LeadTime  model.Duration `yaml:"lead_time"` // what acting takes: 3d when empty
	Entity    string         `yaml:"entity"`    // whose it is; else what the labels say
	Unit      string         `yaml:"unit"`      // shown only
	Breakdown string         `yaml:"breakdown"` // PromQL: the parts that the query adds up, to say what drives it
}

// MaxDeclared bounds the declarations of a configuration.
const MaxDeclared = 200

// Rule is one kind of thing with a limit.
type Rule struct {
	Name      string // "disk"
	Query     string // PromQL of what is used or free
	Limit     float64
	LimitExpr string // of declared rules: PromQL in place of Limit
	Falling   bool
	Lead      int64 // ms
	Unit      string
	Entity    string
	Breakdown string
	Own       bool // the query is ours, so that one series of it can be selected
	Share     bool // a ratio by its name: 0..1, or percent, told by its values
}

const (
	hour = int64(3600_000)
	day  = 24 * hour
)

// Conventions are the rules that need no configuration. The names are those of
// Prometheus' exporters, cAdvisor, kubelet, client libraries, Micrometer and
// OpenTelemetry's semantic conventions.
func Conventions() []Rule {
	const real = `fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660|devtmpfs|autofs|nsfs|proc|sysfs"`
	free := func(name, query, unit string, lead int64) Rule {
		return Rule{Name: name, Query: query, Falling: true, Lead: lead, Unit: unit, Own: true}
	}
	part := func(name, query string, lead int64) Rule {
		return Rule{Name: name, Query: query, Limit: 1, Lead: lead, Unit: "1", Own: true}
	}
	return []Rule{
		free("disk", "node_filesystem_avail_bytes{"+real+"}", "By", 3*day),
		free("inodes", "node_filesystem_files_free{"+real+"} and node_filesystem_files{"+real+"} > 0", "{inode}", 3*day),
		free("volume", "kubelet_volume_stats_available_bytes", "By", 3*day),
		free("volume inodes", "kubelet_volume_stats_inodes_free", "{inode}", 3*day),
		free("memory", "node_memory_MemAvailable_bytes", "By", day),
		part("container memory", `container_memory_working_set_bytes{container!=""} / (container_spec_memory_limit_bytes{container!=""} > 0)`, day),
		part("container CPU", `rate(container_cpu_usage_seconds_total{container!=""}[5m]) / ((container_spec_cpu_quota{container!=""} > 0) / container_spec_cpu_period{container!=""})`, day),
		part("heap", `sum without (id) (jvm_memory_used_bytes{area="heap"}) / sum without (id) (jvm_memory_max_bytes{area="heap"} > 0)`, day),
		part("file handles", "process_open_fds / (process_max_fds > 0)", day),
		part("file handles of the host", "node_filefd_allocated / (node_filefd_maximum > 0 < 1e15)", day),
		part("database connections", "sum without (datname, state, usename, application_name, wait_event, wait_event_type) (pg_stat_activity_count) / pg_settings_max_connections", day),
		part("database connections", "mysql_global_status_threads_connected / mysql_global_variables_max_connections", day),
		part("clients of the cache", "redis_connected_clients / (redis_config_maxclients > 0)", day),
		part("memory of the cache", "redis_memory_used_bytes / (redis_memory_max_bytes > 0)", day),
		part("connection pool", "hikaricp_connections_active / (hikaricp_connections_max > 0)", day),
		part("connection pool", `db_client_connections_usage{state="used"} / ignoring (state) (db_client_connections_max > 0)`, day),
		part("connection pool", `db_client_connection_count{db_client_connection_state="used"} / ignoring (db_client_connection_state) (db_client_connection_max > 0)`, day),
		part("queue", "otelcol_exporter_queue_size / (otelcol_exporter_queue_capacity > 0)", day),
		part("queue", "queue_length / (queue_limit > 0)", day),
		part("queue", "rabbitmq_queue_messages / (rabbitmq_queue_max_length > 0)", day),
		free("task queue", "executor_queue_remaining_tasks < 2e9", "{task}", day),
		free("certificate", "probe_ssl_earliest_cert_expiry - time()", "s", 14*day),
		free("certificate", "x509_cert_not_after - time()", "s", 14*day),
		free("certificate", "certmanager_certificate_expiration_timestamp_seconds - time()", "s", 14*day),
		{Name: "utilisation", Query: `{__name__=~".+_(utilization|utilisation|used_percent|usage_percent)(_ratio|_percent)?",state!~"idle|free|available|cached|buffered",mode!~"idle"}`,
			Limit: 1, Lead: day, Unit: "1", Own: true, Share: true},
	}
}

// Rule makes a rule of a declaration that was checked.
func (c *Config) Rule() Rule {
	r := Rule{Name: c.Name, Query: c.Query, Falling: c.Direction == "down", Lead: time.Duration(c.LeadTime).Milliseconds(), Unit: c.Unit, Entity: c.Entity, Breakdown: c.Breakdown}
	if r.Lead == 0 {
		r.Lead = 3 * day
	}
	if _, err := fmt.Sscanf(strings.TrimSpace(c.Limit), "%g", &r.Limit); err != nil || !number(c.Limit) {
		r.LimitExpr = c.Limit
	}
	return r
}

func number(text string) bool {
	e, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return false
	}
	switch x := e.(type) {
	case *parser.NumberLiteral:
		return true
	case *parser.UnaryExpr:
		_, ok := x.Expr.(*parser.NumberLiteral)
		return ok
	}
	return false
}

// Check names every fault of a list of declarations.
func Check(list []Config, bad func(key, format string, args ...any)) {
	if len(list) > MaxDeclared {
		bad("capacity", "%d are too many, at most %d", len(list), MaxDeclared)
	}
	taken := map[string]bool{}
	for i := range list {
		c := &list[i]
		key := fmt.Sprintf("capacity[%d]", i)
		switch {
		case strings.TrimSpace(c.Name) == "":
			bad(key, "name is missing")
		case len(c.Name) > 200:
			bad(key, "the name is longer than 200 bytes")
		case taken[c.Name]:
			bad(key, "the name %q is taken", c.Name)
		}
		taken[c.Name] = true
		for _, q := range []struct {
			name, text string
			needed     bool
		}{{"query", c.Query, true}, {"limit", c.Limit, true}, {"breakdown", c.Breakdown, false}} {
			if q.text == "" {
				if q.needed {
					bad(key, "%s is missing", q.name)
				}
				continue
			}
			if _, err := parser.NewParser(parser.Options{}).ParseExpr(q.text); err != nil {
				bad(key+"."+q.name, "%v", err)
			}
		}
		if c.Direction != "" && c.Direction != "up" && c.Direction != "down" {
			bad(key+".direction", "%q is not up or down", c.Direction)
		}
		if d := time.Duration(c.LeadTime); d < 0 || d > 365*24*time.Hour {
			bad(key+".lead_time", "%s is not between 0 and 1y", c.LeadTime)
		}
	}
}

// Select narrows one of our own queries to the series with these labels: each
// selector gets them as matchers.
func Select(query string, ls labels.Labels) (string, error) {
	e, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return "", fmt.Errorf("cannot narrow %q: %w", query, err)
	}
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		ls.Range(func(l labels.Label) {
			if l.Name == labels.MetricName && v.Name != "" {
				return
			}
			v.LabelMatchers = append(v.LabelMatchers, labels.MustNewMatcher(labels.MatchEqual, l.Name, l.Value))
		})
		return nil
	})
	return e.String(), nil
}

// ShareLimit tells whether a ratio is of 1 or of 100 by the largest value that
// it had; ok is false when it is neither.
func ShareLimit(values []float64) (limit float64, ok bool) {
	top := math.Inf(-1)
	for _, v := range values {
		if !math.IsNaN(v) {
			top = max(top, v)
		}
	}
	switch {
	case top <= 1.05:
		return 1, true
	case top <= 105:
		return 100, true
	}
	return 0, false
}
