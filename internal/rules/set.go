package rules

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Set is a checked configuration. The zero value says nothing about anything.
type Set struct {
	rules  []rule
	mutes  []mute
	custom map[string]*Custom
	order  []*Custom

	policies sync.Map // names of rules -> *telemetry.Policy
}

type rule struct {
	Rule
	ms        []*labels.Matcher
	direction telemetry.Direction
	directed  bool
}

type mute struct {
	Mute
	ms       []*labels.Matcher
	from, to int64 // Unix ms
	weekly   *weekly
}

type weekly struct {
	days     [7]bool // from Sunday
	from, to int     // minutes of the wall clock
	zone     *time.Location
}

// Custom is a custom metric with its defaults filled in.
type Custom struct {
	CustomMetric
	Every     int64 // ms
	Patience  time.Duration
	direction telemetry.Direction
	directed  bool
}

// Custom gives the custom metrics in their order.
func (s *Set) Custom() []*Custom { return s.order }

// Mutes gives the names of all mutes in their order.
func (s *Set) Mutes() []string {
	out := make([]string, len(s.mutes))
	for i := range s.mutes {
		out[i] = s.mutes[i].Name
	}
	return out
}

// Unwatches reports whether a rule takes series out of detection.
func (s *Set) Unwatches() bool {
	return slices.ContainsFunc(s.rules, func(r rule) bool { return r.Weight != nil && *r.Weight == 0 })
}

// Describe changes a new description of a series as the custom metrics and
// rules say: signal, direction, unit, entity, policy.
func (s *Set) Describe(m *telemetry.Series) {
	if c := s.custom[m.Labels.Get(labels.MetricName)]; c != nil {
		c.describe(m)
	}
	if len(s.rules) == 0 {
		return
	}
	var names []string
	var applied []*rule
	about := subject{labels: m.Labels, series: m, derived: m.Derived}
	for i := range s.rules {
		r := &s.rules[i]
		if !about.matches(r.ms) {
			continue
		}
		names, applied = append(names, r.Name), append(applied, r)
		if r.directed {
			m.Direction = r.direction
		}
	}
	if len(applied) == 0 {
		return
	}
	key := strings.Join(names, "\x00")
	if p, ok := s.policies.Load(key); ok {
		m.Policy = p.(*telemetry.Policy)
		return
	}
	p, _ := s.policies.LoadOrStore(key, policy(names, applied))
	m.Policy = p.(*telemetry.Policy)
}

// policy joins rules: what a later one names wins.
func policy(names []string, rules []*rule) *telemetry.Policy {
	p := &telemetry.Policy{Rules: names, Weight: 1, Low: math.Inf(-1), High: math.Inf(1)}
	set := func(to, from *float64) {
		if from != nil {
			*to = *from
		}
	}
	for _, r := range rules {
		if r.directed {
			p.OnlyWay = r.direction
		}
		set(&p.Weight, r.Weight)
		set(&p.MinAbsolute, r.MinDeviation.Absolute)
		set(&p.MinRelative, r.MinDeviation.Relative)
		set(&p.Low, r.Range.Min)
		set(&p.High, r.Range.Max)
		switch r.Sensitivity {
		case "low":
			p.Sensitivity = -1
		case "normal":
			p.Sensitivity = 0
		case "high":
			p.Sensitivity = 1
		}
		for k, v := range r.Members {
			if p.Members == nil {
				p.Members = map[string]float64{}
			}
			p.Members[k] = v
		}
	}
	return p
}

func (c *Custom) describe(m *telemetry.Series) {
	if c.Signal != "" {
		m.Signal = telemetry.Signal(c.Signal)
		m.Direction = telemetry.BothBad
		switch m.Signal {
		case telemetry.SignalLatency, telemetry.SignalErrors, telemetry.SignalSaturation, telemetry.SignalNetwork:
			m.Direction = telemetry.UpBad
		}
	}
	if c.directed {
		m.Direction = c.direction
	}
	switch {
	case c.Entity != "":
		m.Entity, m.Instance = telemetry.ParseEntity(c.Entity), telemetry.Entity{}
	case c.EntityLabel != "":
		if v := m.Labels.Get(c.EntityLabel); v != "" {
			m.Entity, m.Instance = telemetry.ParseEntity(v), telemetry.Entity{}
		}
	}
}

// Muted tells which mute keeps an anomaly from being raised at t (Unix ms).
// series is its description, nil when it has none.
func (s *Set) Muted(a *ops.Anomaly, series *telemetry.Series, t int64) (name string, muted bool) {
	if len(s.mutes) == 0 {
		return "", false
	}
	about := subject{anomaly: a, series: series}
	if series != nil {
		about.labels, about.derived = series.Labels, series.Derived
	}
	for i := range s.mutes {
		if m := &s.mutes[i]; m.open(t) && about.matches(m.ms) {
			return m.Name, true
		}
	}
	return "", false
}

// Open reports whether the mute of this name is open at t (Unix ms).
func (s *Set) Open(name string, t int64) bool {
	for i := range s.mutes {
		if s.mutes[i].Name == name {
			return s.mutes[i].open(t)
		}
	}
	return false
}

func (m *mute) open(t int64) bool {
	return t >= m.from && t < m.to && (m.weekly == nil || m.weekly.open(t))
}

// open goes by the wall clock: an hour that summer time skips never comes, and
// one that comes twice is open twice.
func (w *weekly) open(t int64) bool {
	now := time.UnixMilli(t).In(w.zone)
	minute, today := now.Hour()*60+now.Minute(), int(now.Weekday())
	if w.from < w.to {
		return w.days[today] && minute >= w.from && minute < w.to
	}
	return w.days[today] && minute >= w.from || w.days[(today+6)%7] && minute < w.to
}

// Matcher selects series.
type Matcher struct{ ms []*labels.Matcher }

// NewMatcher reads a selector as rules have it; {} is everything.
func NewMatcher(text string) (*Matcher, error) {
	var err error
	ms := matchers(parser.NewParser(parser.Options{}), text, "", func(key, format string, args ...any) {
		err = errors.New(strings.TrimPrefix(key+": "+fmt.Sprintf(format, args...), ".match: "))
	})
	return &Matcher{ms}, err
}

// Matches reports whether a series is selected.
func (m *Matcher) Matches(s *telemetry.Series) bool {
	about := subject{labels: s.Labels, series: s, derived: s.Derived}
	return about.matches(m.ms)
}

// subject is what matchers are asked about: the labels of a series, and beside
// them what Norn knows of it.
type subject struct {
	labels  labels.Labels
	series  *telemetry.Series
	anomaly *ops.Anomaly
	derived bool
}

func (s *subject) matches(ms []*labels.Matcher) bool {
	for _, m := range ms {
		if !s.one(m) {
			return false
		}
	}
	return true
}

// one asks one matcher. The name of a derived series (x:rate, x:p99) is also
// that of the metric it is derived from.
func (s *subject) one(m *labels.Matcher) bool {
	v := s.get(m.Name)
	if m.Name == labels.MetricName && s.derived {
		if raw, ok := rawName(v); ok {
			if m.Type == labels.MatchNotEqual || m.Type == labels.MatchNotRegexp {
				return m.Matches(v) && m.Matches(raw)
			}
			return m.Matches(v) || m.Matches(raw)
		}
	}
	return m.Matches(v)
}

// rawName takes the suffix of a derived series from its name.
func rawName(name string) (raw string, ok bool) {
	for _, suffix := range []string{":rate", ":p50", ":p99", ":mean"} {
		if raw, ok = strings.CutSuffix(name, suffix); ok {
			return raw, true
		}
	}
	return name, false
}

// get gives a label, or what Norn knows under this name.
func (s *subject) get(name string) string {
	if v := s.labels.Get(name); v != "" {
		return v
	}
	var entity, peer, instance telemetry.Entity
	var signal telemetry.Signal
	switch {
	case s.anomaly != nil:
		entity, peer, instance, signal = s.anomaly.Entity, s.anomaly.Peer, s.anomaly.Instance, s.anomaly.Signal
	case s.series != nil:
		entity, peer, instance, signal = s.series.Entity, s.series.Peer, s.series.Instance, s.series.Signal
	}
	switch name {
	case "entity":
		return entity.String()
	case "peer":
		return peer.String()
	case "instance":
		return instance.Name
	case "signal":
		return string(signal)
	case "service_name":
		if entity.Kind == telemetry.KindService {
			return entity.Name
		}
	}
	if s.anomaly != nil {
		switch name {
		case "kind":
			return string(s.anomaly.Kind)
		case "member":
			return s.anomaly.Member
		case "source":
			return s.anomaly.Source
		}
	}
	return ""
}
