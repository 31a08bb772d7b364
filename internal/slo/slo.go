// Package slo keeps service level objectives: what share of requests was good,
// how fast the error budget goes, and when that deserves a person.
//
// It exists so that the worth of an incident comes from what was promised to
// users, and so that the burn of a promise takes the same road into incidents
// as everything else: an anomaly of kind slo_burn. It reads no store: the
// caller hands over counts of requests minute by minute. It does no I/O and
// knows no clock. An [Objective] is for one goroutine at a time.
//
// Burn rates and their windows are those of the Site Reliability Workbook
// (Beyer and others, 2018, chapter 5: multiwindow, multi-burn-rate alerts); the
// rule of least evidence is an exact binomial test.
package slo

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// MaxDeclared bounds the objectives of a configuration.
const MaxDeclared = 500

// RateWindow replaces {{.window}} in the operator's expressions.
const RateWindow = "5m"

// Config declares an objective: of one entity, or of each that matches. What
// is good is told by exactly one of: nothing (requests that do not fail),
// Latency, or Total with Good or Bad.
type Config struct {
	Name      string         `yaml:"name"`
	Entity    string         `yaml:"entity"`    // a service's name or kind/name
	Match     string         `yaml:"match"`     // selector: every entity that matches has the objective for itself
	Objective float64        `yaml:"objective"` // share of requests that are to be good: 0.999
	Window    model.Duration `yaml:"window"`    // 30d when empty
	Latency   *Latency       `yaml:"latency"`
	Good      string         `yaml:"good"`  // PromQL: good requests a second
	Bad       string         `yaml:"bad"`   // PromQL: bad requests a second
	Total     string         `yaml:"total"` // PromQL: all requests a second
}

// Latency says that requests are good when they are quick.
type Latency struct {
	Below model.Duration `yaml:"below"`
}

// Kinds of objective.
const (
	Availability = "availability"
	Slow         = "latency"
	Ratio        = "ratio"
)

// Kind says how good requests are told.
func (c *Config) Kind() string {
	switch {
	case c.Total != "" || c.Good != "" || c.Bad != "":
		return Ratio
	case c.Latency != nil:
		return Slow
	}
	return Availability
}

// Length is the objective's window.
func (c *Config) Length() time.Duration {
	if c.Window == 0 {
		return 30 * day
	}
	return time.Duration(c.Window)
}

// Expression fills in the rate window, as Sloth writes it.
func Expression(text string) string {
	for _, w := range []string{"{{.window}}", "{{ .window }}"} {
		text = strings.ReplaceAll(text, w, RateWindow)
	}
	return text
}

const (
	day        = 24 * time.Hour
	leastSpan  = day
	longest    = 90 * day
	leastFast  = time.Millisecond
	slowestFor = time.Hour
)

// Check names every fault of a list of objectives. matcher tells whether a
// selector can be used.
func Check(list []Config, matcher func(string) error, bad func(key, format string, args ...any)) {
	if len(list) > MaxDeclared {
		bad("slos", "%d are too many, at most %d", len(list), MaxDeclared)
	}
	taken := map[string]bool{}
	for i := range list {
		c := &list[i]
		key := fmt.Sprintf("slos[%d]", i)
		if c.Name != "" {
			key += " (" + c.Name + ")"
		}
		switch {
		case strings.TrimSpace(c.Name) == "":
			bad(key, "name is missing")
		case len(c.Name) > 200:
			bad(key, "the name is longer than 200 bytes")
		case taken[c.Name]:
			bad(key, "the name is taken")
		}
		taken[c.Name] = true
		c.check(key, matcher, bad)
	}
}

func (c *Config) check(key string, matcher func(string) error, bad func(key, format string, args ...any)) {
	if !(c.Objective > 0 && c.Objective < 1) {
		bad(key+".objective", "%g is not between 0 and 1; write 99.9 %% as 0.999", c.Objective)
	}
	if w := c.Length(); w < leastSpan || w > longest || w%time.Hour != 0 {
		bad(key+".window", "%s is not a number of whole hours between 1d and 90d", model.Duration(w))
	}
	switch {
	case (c.Entity == "") == (c.Match == ""):
		bad(key, "needs entity or match, one of them")
	case c.Match != "":
		if err := matcher(c.Match); err != nil {
			bad(key+".match", "%v", err)
		}
	}
	if c.Latency != nil {
		if d := time.Duration(c.Latency.Below); d < leastFast || d > slowestFor {
			bad(key+".latency.below", "%s is not between 1ms and 1h", c.Latency.Below)
		}
	}
	if c.Kind() != Ratio {
		return
	}
	switch {
	case c.Latency != nil:
		bad(key, "latency does not go with good, bad and total")
	case c.Match != "":
		bad(key, "match does not go with expressions: name the entity that they are of")
	case c.Total == "" || (c.Good == "") == (c.Bad == ""):
		bad(key, "needs total, and good or bad, one of them")
	}
	p := parser.NewParser(parser.Options{})
	for _, x := range []struct{ key, text string }{{"good", c.Good}, {"bad", c.Bad}, {"total", c.Total}} {
		if x.text == "" {
			continue
		}
		expr, err := p.ParseExpr(Expression(x.text))
		if err != nil {
			bad(key+"."+x.key, "%v", err)
		} else if t := expr.Type(); t != parser.ValueTypeVector && t != parser.ValueTypeScalar {
			bad(key+"."+x.key, "gives a %s, not one value for each series", parser.DocumentedType(t))
		}
	}
}

// SlowShare estimates the share of requests that take threshold or longer from
// their median and 95th percentile (s): a log-normal law through both; with
// both the same, all or none. NaN and values that cannot be give 0.
func SlowShare(p50, p95, threshold float64) float64 {
	if !(p95 > 0) || !(threshold > 0) {
		return 0
	}
	if !(p50 > 0) || p50 >= p95*.999 {
		if p95 >= threshold {
			return 1
		}
		return 0
	}
	const z95 = 1.6448536269514722
	z := z95 * math.Log(threshold/p50) / math.Log(p95/p50)
	return .5 * math.Erfc(z/math.Sqrt2)
}
