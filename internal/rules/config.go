// Package rules is what an operator says about detection: which series matter
// how much, which way and how far they must deviate, which values are bad
// data, when nothing is to be raised, and which further metrics to compute.
//
// It exists so that the configuration file, the API and the pipeline share one
// set of words and one place where they are checked. A [Config] is plain data;
// [Compile] turns it into a [Set], which answers questions about one series or
// one anomaly. It does not detect, evaluate queries, store or ask the time. A
// Set never changes but for a cache and is safe for concurrent use.
package rules

import (
	"github.com/prometheus/common/model"
)

// Limits on what one configuration may hold.
const (
	MaxRules         = 1000
	MaxMutes         = 1000
	MaxCustomMetrics = 200
)

// Config is the part of detection's configuration that may change while Norn
// runs.
type Config struct {
	Rules         []Rule         `yaml:"rules" json:"rules" nullable:"false" doc:"What is set for series. All that match apply, in order; what a later one names wins."`
	Mutes         []Mute         `yaml:"mutes" json:"mutes" nullable:"false" doc:"When new anomalies are not raised."`
	CustomMetrics []CustomMetric `yaml:"custom_metrics" json:"custom_metrics" nullable:"false" doc:"Metrics that Norn computes and watches."`
}

// Rule sets what is named for the series that match.
type Rule struct {
	Name         string             `yaml:"name" json:"name" maxLength:"200" doc:"Unique; shown where the rule applies."`
	Match        string             `yaml:"match" json:"match" maxLength:"4096" doc:"Prometheus selector on the series' labels, and on entity, peer, instance, service_name and signal as Norn knows them."`
	Direction    string             `yaml:"direction,omitempty" json:"direction,omitempty" doc:"Which way is bad: up, down or both."`
	MinDeviation MinDeviation       `yaml:"min_deviation,omitempty" json:"min_deviation,omitzero"`
	Range        Range              `yaml:"range,omitempty" json:"range,omitzero"`
	Weight       *float64           `yaml:"weight,omitempty" json:"weight,omitempty" doc:"Factor on severity, 0 to 10; 0: not watched."`
	Members      map[string]float64 `yaml:"member_weights,omitempty" json:"member_weights,omitempty" doc:"Factor on the severity of what one member says: level, drift, spike, shape, silence, up, plugin:NAME..."`
	Sensitivity  string             `yaml:"sensitivity,omitempty" json:"sensitivity,omitempty" doc:"low, normal or high: a twentieth of, as much as, or twenty times the wished false alarms."`
}

// MinDeviation is how far a value must be from what is expected. Both must be
// reached where both are set.
type MinDeviation struct {
	Absolute *float64 `yaml:"absolute,omitempty" json:"absolute,omitempty" doc:"In the series' unit."`
	Relative *float64 `yaml:"relative,omitempty" json:"relative,omitempty" doc:"Share of what is expected: 0.2 is 20 %."`
}

// Range is which values are data. Others are refused and counted.
type Range struct {
	Min *float64 `yaml:"min,omitempty" json:"min,omitempty" doc:"In the series' unit."`
	Max *float64 `yaml:"max,omitempty" json:"max,omitempty" doc:"In the series' unit."`
}

// Mute is a window of time, once or weekly, in which new anomalies of what
// matches are counted and listed but not raised.
type Mute struct {
	Name    string  `yaml:"name" json:"name" maxLength:"200" doc:"Unique."`
	Match   string  `yaml:"match" json:"match" maxLength:"4096" doc:"Prometheus selector as in a rule, and on kind, member and source of the anomaly. {} is everything."`
	Start   string  `yaml:"start,omitempty" json:"start,omitempty" doc:"RFC 3339. Without it the window has always been open."`
	End     string  `yaml:"end,omitempty" json:"end,omitempty" doc:"RFC 3339. Without it the window stays open."`
	Weekly  *Weekly `yaml:"weekly,omitempty" json:"weekly,omitempty"`
	Comment string  `yaml:"comment,omitempty" json:"comment,omitempty" maxLength:"1000" doc:"Why, for those who list it."`
}

// Weekly is a span of the wall clock on some days of every week. It follows
// the clock through changes of summer time.
type Weekly struct {
	Days     []string `yaml:"days" json:"days,omitempty" doc:"mon, tue, wed, thu, fri, sat, sun; none: every day. A span over midnight belongs to the day on which it begins."`
	From     string   `yaml:"from" json:"from" doc:"HH:MM"`
	To       string   `yaml:"to" json:"to" doc:"HH:MM, not included; 24:00 is the end of the day. Not after from: over midnight."`
	TimeZone string   `yaml:"time_zone" json:"time_zone,omitempty" doc:"IANA name, as Europe/Berlin; UTC when empty."`
}

// CustomMetric is an expression whose results become series.
type CustomMetric struct {
	Name        string         `yaml:"name" json:"name" maxLength:"200" doc:"Name of the metric."`
	Expr        string         `yaml:"expr,omitempty" json:"expr,omitempty" maxLength:"8192" doc:"PromQL."`
	Logs        string         `yaml:"logs,omitempty" json:"logs,omitempty" maxLength:"8192" doc:"LogsQL; the metric is the number of matching records a second."`
	By          []string       `yaml:"by,omitempty" json:"by,omitempty" maxItems:"8" doc:"With logs: fields by which records are counted apart; they become labels."`
	Interval    model.Duration `yaml:"interval,omitempty" json:"interval,omitempty" doc:"How often; 1m when empty."`
	Timeout     model.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty" doc:"How long one evaluation may take; 2s when empty."`
	Unit        string         `yaml:"unit,omitempty" json:"unit,omitempty" maxLength:"64" doc:"UCUM, as s, By, 1, {request}/s."`
	Signal      string         `yaml:"signal,omitempty" json:"signal,omitempty" doc:"latency, errors, traffic, saturation, network, logs or other; guessed from the name when empty."`
	Direction   string         `yaml:"direction,omitempty" json:"direction,omitempty" doc:"Which way is bad: up, down or both; guessed when empty."`
	EntityLabel string         `yaml:"entity_label,omitempty" json:"entity_label,omitempty" doc:"Label of the result that names the entity, as a service's name or kind/name."`
	Entity      string         `yaml:"entity,omitempty" json:"entity,omitempty" maxLength:"500" doc:"Entity of all results: a service's name or kind/name."`
}
