// Package report says how operations fare, from the incidents that were: how
// long it takes to notice, to answer and to repair, how often things break and
// come back, whether that changes, and where effort pays most.
//
// It exists because a mean without its uncertainty makes people act on chance:
// every figure has an interval, every trend a test, and few incidents say "too
// few to tell". It reads no store and knows no clock. All functions are pure
// and safe for concurrent use. The main type is [Report], made by [Make];
// [HTML] writes it as one page.
//
// Sources: H. Mann, Nonparametric tests against trend (1945); P. Sen, Estimates
// of the regression coefficient based on Kendall's tau (1968); J. Przyborowski
// and H. Wilenski (1940) for the ratio of two Poisson rates; E. Wilson (1927)
// for shares; S. Holm (1979) for many tests at once.
package report

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/norn-aiops/norn/internal/ops"
)

// ErrOptions is returned (wrapped) when a report cannot be made as asked.
var ErrOptions = errors.New("cannot report")

// By lists what incidents can be grouped by.
func By() []string { return []string{"service", "team", "kind", "cause"} }

// Options says what is reported.
type Options struct {
	From, To int64  // Unix ms; incidents that opened in [From, To)
	By       string // one of [By]; "" is cause
	Seed     uint64 // of the bootstrap
}

// Stat is a duration over several incidents, in seconds.
type Stat struct {
	N      int     `json:"n"`
	Mean   float64 `json:"mean_seconds"`
	Low    float64 `json:"mean_low_seconds"` // 90 % interval of the mean, by bootstrap; equal to the mean below 5 incidents
	High   float64 `json:"mean_high_seconds"`
	Median float64 `json:"median_seconds"`
	P90    float64 `json:"p90_seconds"`
}

// Share is a share with its 90 % interval.
type Share struct {
	Of    int     `json:"of"` // incidents that count
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Measures are the figures of some incidents. Incidents that are marked as
// noise count in Noise and Alerts only.
type Measures struct {
	Incidents         int     `json:"incidents"` // real ones
	Open              int     `json:"open"`      // of them, not yet resolved
	PerMonth          float64 `json:"per_30_days"`
	Detect            Stat    `json:"mttd"`                // onset to opened
	Acknowledge       Stat    `json:"mtta"`                // opened to acknowledged
	Repair            Stat    `json:"mttr"`                // opened to resolved
	Between           float64 `json:"mtbf_seconds"`        // time in order for each incident; 0 without any
	AlertsPerIncident float64 `json:"alerts_per_incident"` // raw alerts and anomalies
	Noise             Share   `json:"noise"`               // of the marked ones
	Repeats           Share   `json:"repeats"`             // the same cause within 30 days
	AfterChange       Share   `json:"after_change"`        // a change is suspected
	Unattended        Share   `json:"resolved_unattended"` // resolved without that anybody acknowledged
	LostHours         float64 `json:"lost_hours"`          // onset to resolved, overlaps counted each
	ImpactHours       float64 `json:"impact_hours"`        // the same times the share of requests that suffered
}

// Trend is how a figure changes over the report's time.
type Trend struct {
	Figure   string  `json:"figure" enum:"incidents,mttd,mtta,mttr"`
	Verdict  string  `json:"verdict" enum:"rises,falls,no change shown,too few to tell"`
	N        int     `json:"n"`
	Test     string  `json:"test"`
	P        float64 `json:"p_value"`           // two-sided, corrected for all trends of the report; 1 when too few
	Slope    float64 `json:"slope_per_30_days"` // Sen's slope in seconds; of incidents: rate of the second half by that of the first
	Low      float64 `json:"slope_low"`         // 90 % interval
	High     float64 `json:"slope_high"`
	Sentence string  `json:"sentence"`

	raw float64 // p-value of this test alone
}

// Group is the incidents of one service, team, kind or cause.
type Group struct {
	Name     string   `json:"name"`
	Measures Measures `json:"measures"`
	Share    float64  `json:"lost_share"`            // of all lost time
	Sum      float64  `json:"lost_share_cumulative"` // in the list's order
	Trends   []Trend  `json:"trends" nullable:"false"`
}

// Effort is what could be won.
type Effort struct {
	Cause    string  `json:"cause"`
	Hours    float64 `json:"hours_per_30_days"` // lost to it
	Low      float64 `json:"hours_low"`         // 90 % interval
	High     float64 `json:"hours_high"`
	Phase    string  `json:"phase" enum:"detect,acknowledge,repair"` // which takes most of the lost time
	Part     float64 `json:"phase_share"`
	Sentence string  `json:"sentence"`
}

// Week is one bar of the history.
type Week struct {
	From      int64   `json:"from_unix_ms"`
	Incidents int     `json:"incidents"`
	LostHours float64 `json:"lost_hours"`
}

// Report is how operations fared.
type Report struct {
	From     int64    `json:"from_unix_ms"`
	To       int64    `json:"to_unix_ms"`
	By       string   `json:"by" enum:"service,team,kind,cause"`
	Whole    Measures `json:"whole"`
	Trends   []Trend  `json:"trends" nullable:"false"`
	Groups   []Group  `json:"groups" nullable:"false"` // most lost time first: the Pareto
	Effort   []Effort `json:"effort" nullable:"false"` // what pays most first, at most 5
	Weeks    []Week   `json:"weeks" nullable:"false"`
	Sentence string   `json:"sentence"`
	Notes    []string `json:"notes" nullable:"false"` // what is missing, or to be known
}

const (
	day   = 24 * 3600_000
	month = 30 * day
	week  = 7 * day
)

// Make reports. The incidents may be in any order and hold others; those that
// were merged into others, or are outside the time, are left out.
func Make(list []ops.Incident, o Options) (Report, error) {
	if o.By == "" {
		o.By = "cause"
	}
	switch {
	case !slices.Contains(By(), o.By):
		return Report{}, fmt.Errorf("%w: by %q is not one of %s", ErrOptions, o.By, strings.Join(By(), ", "))
	case o.To <= o.From || o.To-o.From > 10*366*day:
		return Report{}, fmt.Errorf("%w: from %d to %d is no time of up to ten years", ErrOptions, o.From, o.To)
	}
	cases := gather(list, o)
	r := Report{From: o.From, To: o.To, By: o.By, Whole: measure(cases, o), Trends: trends(cases, o), Groups: []Group{}, Effort: []Effort{}, Notes: []string{}}
	by := map[string][]*incident{}
	for _, c := range cases {
		by[c.key(o.By)] = append(by[c.key(o.By)], c)
	}
	for name, part := range by {
		r.Groups = append(r.Groups, Group{Name: name, Measures: measure(part, o), Trends: trends(part, o)})
	}
	slices.SortFunc(r.Groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Measures.LostHours, a.Measures.LostHours), cmp.Compare(b.Measures.Incidents, a.Measures.Incidents), cmp.Compare(a.Name, b.Name))
	})
	sum := 0.0
	for i := range r.Groups {
		if r.Whole.LostHours > 0 {
			r.Groups[i].Share = r.Groups[i].Measures.LostHours / r.Whole.LostHours
		}
		sum += r.Groups[i].Share
		r.Groups[i].Sum = math.Min(1, sum)
	}
	r.correct()
	r.Effort = efforts(cases, o)
	r.Weeks = weeks(cases, o)
	r.conclude()
	return r, nil
}

// incident is what the report takes from one.
type incident struct {
	*ops.Incident
	acked, end int64 // Unix ms; 0: never; end is To while open
	repeat     bool
}

func (c *incident) noise() bool { return c.Mark == ops.MarkNoise }

// root is the cause that carries it, nil when none stands out.
func (c *incident) root() *ops.Cause {
	for i := range c.Causes {
		if c.Causes[i].Role == ops.RoleRoot {
			return &c.Causes[i]
		}
	}
	return nil
}

func (c *incident) key(by string) string {
	root := c.root()
	switch {
	case by == "team" && c.Team != "":
		return c.Team
	case by == "team":
		return "nobody's"
	case root == nil:
		return "unknown"
	case by == "service":
		return root.Entity.String()
	case by == "kind":
		return cmp.Or(string(root.Signal), "unknown")
	}
	return strings.TrimSpace(root.Entity.String() + " " + string(root.Signal))
}

// gather picks the incidents of the report's time, oldest first, and tells
// which repeat an earlier one.
func gather(list []ops.Incident, o Options) []*incident {
	var all []*incident
	for i := range list {
		in := &list[i]
		if in.MergedInto != "" || in.Opened >= o.To || in.Opened <= 0 {
			continue
		}
		c := &incident{Incident: in, end: in.Resolved}
		if c.end <= 0 || c.end > o.To {
			c.end = o.To
		}
		for _, ev := range in.Timeline {
			if ev.Kind == "acknowledged" && (c.acked == 0 || ev.Time < c.acked) {
				c.acked = ev.Time
			}
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *incident) int { return cmp.Or(cmp.Compare(a.Opened, b.Opened), cmp.Compare(a.ID, b.ID)) })
	last := map[string]int64{}
	for _, c := range all {
		if c.noise() || c.root() == nil {
			continue
		}
		if at, seen := last[c.key("cause")]; seen && c.Opened-at <= month {
			c.repeat = true
		}
		last[c.key("cause")] = c.end
	}
	return slices.DeleteFunc(all, func(c *incident) bool { return c.Opened < o.From })
}

// measure works out the figures.
func measure(cases []*incident, o Options) Measures {
	var m Measures
	var detect, ack, repair []float64
	var noise, marked, repeats, changed, alone, resolved, alerts, rooted int
	var down [][2]int64
	for _, c := range cases {
		alerts += max(c.Alerts, 1)
		if c.Mark != "" {
			marked++
		}
		if c.noise() {
			noise++
			continue
		}
		m.Incidents++
		detect = append(detect, seconds(c.Onset, c.Opened))
		if c.acked > 0 {
			ack = append(ack, seconds(c.Opened, c.acked))
		}
		if c.Resolved > 0 && c.Resolved <= o.To {
			resolved++
			repair = append(repair, seconds(c.Opened, c.Resolved))
			alone += one(c.acked == 0)
		} else {
			m.Open++
		}
		if root := c.root(); root != nil {
			rooted++
			repeats += one(c.repeat)
			changed += one(len(root.Changes) > 0)
		}
		lost := seconds(c.Onset, c.end) / 3600
		m.LostHours += lost
		m.ImpactHours += lost * math.Min(1, math.Max(0, c.Impact))
		down = append(down, [2]int64{max(c.Onset, o.From), c.end})
	}
	m.PerMonth = float64(m.Incidents) * month / float64(o.To-o.From)
	m.Detect, m.Acknowledge, m.Repair = statOf(detect, o.Seed), statOf(ack, o.Seed+1), statOf(repair, o.Seed+2)
	if m.Incidents > 0 {
		m.Between = math.Max(0, float64(o.To-o.From-covered(down))) / 1000 / float64(m.Incidents)
	}
	if len(cases) > 0 {
		m.AlertsPerIncident = float64(alerts) / float64(len(cases))
	}
	m.Noise, m.Repeats, m.AfterChange, m.Unattended = wilson(noise, marked), wilson(repeats, rooted), wilson(changed, rooted), wilson(alone, resolved)
	return m
}

// covered is the length of the union of spans, in ms.
func covered(spans [][2]int64) (sum int64) {
	slices.SortFunc(spans, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	var until int64 = math.MinInt64
	for _, s := range spans {
		if from := max(s[0], until); s[1] > from {
			sum += s[1] - from
			until = s[1]
		}
	}
	return sum
}

// seconds from a to b; a clock that went backwards gives 0.
func seconds(a, b int64) float64 { return float64(max(0, b-a)) / 1000 }

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func weeks(cases []*incident, o Options) []Week {
	out := []Week{}
	for at := o.From; at < o.To; at += week {
		out = append(out, Week{From: at})
	}
	for _, c := range cases {
		if !c.noise() {
			w := &out[(c.Opened-o.From)/week]
			w.Incidents++
			w.LostHours += seconds(c.Onset, c.end) / 3600
		}
	}
	return out
}
