package rules

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// Zones finds a time zone by its IANA name.
type Zones func(name string) (*time.Location, error)

type report func(key, format string, args ...any)

// Compile checks a configuration and makes a Set of it. Several parts (of the
// configuration file, of the API) make one: names are unique over all of them,
// and later parts come after earlier ones. The error names every fault, see
// [Faults].
func Compile(zones Zones, parts ...Config) (*Set, error) {
	s := &Set{custom: map[string]*Custom{}}
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, &Fault{Key: key, Message: fmt.Sprintf(format, args...)})
	}
	p := parser.NewParser(parser.Options{})
	rules, mutes := map[string]bool{}, map[string]bool{}
	for _, c := range parts {
		for i, r := range c.Rules {
			key := place("rules", i, r.Name)
			unique(rules, r.Name, key, bad)
			s.rules = append(s.rules, r.compile(p, key, bad))
		}
		for i, m := range c.Mutes {
			key := place("mutes", i, m.Name)
			unique(mutes, m.Name, key, bad)
			s.mutes = append(s.mutes, m.compile(p, zones, key, bad))
		}
		for i, m := range c.CustomMetrics {
			key := place("custom_metrics", i, m.Name)
			if s.custom[m.Name] != nil {
				bad(key, "the name is taken")
				continue
			}
			x := m.compile(p, key, bad)
			s.custom[m.Name] = x
			s.order = append(s.order, x)
		}
	}
	most("rules", len(s.rules), MaxRules, bad)
	most("mutes", len(s.mutes), MaxMutes, bad)
	most("custom_metrics", len(s.order), MaxCustomMetrics, bad)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

func place(list string, i int, name string) string {
	if name == "" {
		return fmt.Sprintf("%s[%d]", list, i)
	}
	return fmt.Sprintf("%s[%d] (%s)", list, i, name)
}

func most(list string, n, limit int, bad report) {
	if n > limit {
		bad(list, "%d are too many, at most %d", n, limit)
	}
}

func unique(taken map[string]bool, name, key string, bad report) {
	switch {
	case strings.TrimSpace(name) == "":
		bad(key, "name is missing")
	case taken[name]:
		bad(key, "the name is taken")
	}
	taken[name] = true
}

// matchers reads a selector; "{}" gives none, which match everything.
func matchers(p parser.Parser, text, key string, bad report) []*labels.Matcher {
	switch t := strings.Join(strings.Fields(text), ""); t {
	case "{}":
		return nil
	case "":
		bad(key+".match", `is missing: a selector like {service_name="cart"}, or {} for everything`)
		return nil
	}
	ms, err := p.ParseMetricSelector(text)
	if err != nil {
		bad(key+".match", "%q: %v", text, err)
		return nil
	}
	return ms
}

func direction(word, key string, bad report) (d telemetry.Direction, set bool) {
	switch word {
	case "":
		return 0, false
	case "up":
		return telemetry.UpBad, true
	case "down":
		return telemetry.DownBad, true
	case "both":
		return telemetry.BothBad, true
	}
	bad(key+".direction", "%q is not one of up, down, both", word)
	return 0, false
}

const maxWeight = 10

func number(v *float64, lo, hi float64, key string, bad report) {
	if v != nil && !(*v >= lo && *v <= hi) {
		bad(key, "%g is not between %g and %g", *v, lo, hi)
	}
}

func (r Rule) compile(p parser.Parser, key string, bad report) rule {
	out := rule{Rule: r, ms: matchers(p, r.Match, key, bad)}
	out.direction, out.directed = direction(r.Direction, key, bad)
	number(r.Weight, 0, maxWeight, key+".weight", bad)
	number(r.MinDeviation.Absolute, 0, math.MaxFloat64, key+".min_deviation.absolute", bad)
	number(r.MinDeviation.Relative, 0, math.MaxFloat64, key+".min_deviation.relative", bad)
	number(r.Range.Min, -math.MaxFloat64, math.MaxFloat64, key+".range.min", bad)
	number(r.Range.Max, -math.MaxFloat64, math.MaxFloat64, key+".range.max", bad)
	if lo, hi := r.Range.Min, r.Range.Max; lo != nil && hi != nil && *lo > *hi {
		bad(key+".range", "min %g is above max %g", *lo, *hi)
	}
	for name, w := range r.Members {
		if !isMember(name) {
			bad(key+".member_weights", "%q is not one of %s, plugin:NAME", name, strings.Join(members(), ", "))
		}
		number(&w, 0, maxWeight, key+".member_weights."+name, bad)
	}
	switch r.Sensitivity {
	case "", "low", "normal", "high":
	default:
		bad(key+".sensitivity", "%q is not one of low, normal, high", r.Sensitivity)
	}
	return out
}

// members are the names of detection's members, as anomalies carry them.
func members() []string {
	return []string{"level", "drift", "spike", "shape", "silence", "flat", "up", "load", "joint", "variance", "trend", "jump", "distance", "run", "novelty", "size"}
}

func isMember(name string) bool {
	return slices.Contains(members(), name) || strings.HasPrefix(name, "plugin:") && len(name) > len("plugin:")
}

func (m Mute) compile(p parser.Parser, zones Zones, key string, bad report) mute {
	out := mute{Mute: m, ms: matchers(p, m.Match, key, bad), from: math.MinInt64, to: math.MaxInt64}
	if t, set := instant(m.Start, key+".start", bad); set {
		out.from = t
	}
	if t, set := instant(m.End, key+".end", bad); set {
		out.to = t
	}
	if out.from >= out.to {
		bad(key+".end", "%q is not after start %q", m.End, m.Start)
	}
	if m.Weekly != nil {
		out.weekly = m.Weekly.compile(zones, key+".weekly", bad)
	} else if m.Start == "" && m.End == "" {
		bad(key, "needs start, end or weekly; to leave series out for good, use a rule with weight 0")
	}
	return out
}

func instant(text, key string, bad report) (ms int64, set bool) {
	if text == "" {
		return 0, false
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		bad(key, "%q is not a time like 2026-03-01T22:00:00Z", text)
		return 0, false
	}
	return t.UnixMilli(), true
}

func (w Weekly) compile(zones Zones, key string, bad report) *weekly {
	out := &weekly{zone: time.UTC}
	for _, d := range w.Days {
		i := slices.Index([]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}, strings.ToLower(d))
		if i < 0 {
			bad(key+".days", "%q is not one of mon, tue, wed, thu, fri, sat, sun", d)
			continue
		}
		out.days[i] = true
	}
	if len(w.Days) == 0 {
		out.days = [7]bool{true, true, true, true, true, true, true}
	}
	out.from, out.to = wallClock(w.From, key+".from", bad), wallClock(w.To, key+".to", bad)
	if out.from == 24*60 {
		bad(key+".from", "24:00 is no time to begin: 00:00 of the next day is")
	}
	if w.TimeZone != "" {
		z, err := zones(w.TimeZone)
		if err != nil || w.TimeZone == "Local" {
			bad(key+".time_zone", "%q is not a time zone like Europe/Berlin", w.TimeZone)
			return out
		}
		out.zone = z
	}
	return out
}

// wallClock reads HH:MM as minutes of the day.
func wallClock(text, key string, bad report) int {
	if text == "24:00" {
		return 24 * 60
	}
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		bad(key, "%q is not a time of the day like 22:00", text)
		return 0
	}
	return t.Hour()*60 + t.Minute()
}

func (c CustomMetric) compile(p parser.Parser, key string, bad report) *Custom {
	out := &Custom{
		CustomMetric: c, Every: time.Duration(cmp.Or(c.Interval, model.Duration(time.Minute))).Milliseconds(),
		Patience: time.Duration(cmp.Or(c.Timeout, model.Duration(2*time.Second))),
	}
	switch {
	case !model.LegacyValidation.IsValidMetricName(c.Name):
		bad(key+".name", "%q is not a metric's name: letters, digits, _ and :", c.Name)
	case strings.HasPrefix(c.Name, "norn_"):
		bad(key+".name", "names that begin with norn_ are Norn's own")
	}
	if (c.Expr == "") == (c.Logs == "") {
		bad(key, "needs expr (PromQL) or logs (LogsQL), one of them")
	}
	if c.Expr != "" {
		expr, err := p.ParseExpr(c.Expr)
		if err != nil {
			bad(key+".expr", "%v", err)
		} else if t := expr.Type(); t != parser.ValueTypeVector && t != parser.ValueTypeScalar {
			bad(key+".expr", "gives a %s, not one value for each series", parser.DocumentedType(t))
		}
		if len(c.By) > 0 {
			bad(key+".by", "belongs to logs; in PromQL write sum by (...)")
		}
	}
	if out.Every < 5_000 || out.Every > 24*3600_000 {
		bad(key+".interval", "must be between 5s and 1d")
	}
	if out.Patience < 10*time.Millisecond || out.Patience > 30*time.Second {
		bad(key+".timeout", "must be between 10ms and 30s")
	}
	for _, l := range append([]string{c.EntityLabel}, c.By...) {
		if l != "" && !model.UTF8Validation.IsValidLabelName(l) {
			bad(key, "%q is not a label's name", l)
		}
	}
	if c.EntityLabel != "" && c.Entity != "" {
		bad(key, "entity and entity_label exclude each other")
	}
	signals := []telemetry.Signal{"", telemetry.SignalLatency, telemetry.SignalErrors, telemetry.SignalTraffic,
		telemetry.SignalSaturation, telemetry.SignalNetwork, telemetry.SignalLogs, telemetry.SignalOther}
	if !slices.Contains(signals, telemetry.Signal(c.Signal)) {
		bad(key+".signal", "%q is not one of latency, errors, traffic, saturation, network, logs, other", c.Signal)
	}
	out.direction, out.directed = direction(c.Direction, key, bad)
	return out
}
