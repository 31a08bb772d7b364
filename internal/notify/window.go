package notify

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// Maintenance is a window, once or recurring, in which nobody is told of what
// matches. Incidents are opened and shown all the same.
type Maintenance struct {
	Name      string           `yaml:"name" json:"name" maxLength:"200" doc:"Unique."`
	Match     []string         `yaml:"match" json:"match" nullable:"false" doc:"Alertmanager matchers, all must hold; none is everything."`
	Start     string           `yaml:"start" json:"start,omitempty" doc:"RFC 3339; empty: always begun."`
	End       string           `yaml:"end" json:"end,omitempty" doc:"RFC 3339; empty: never ends."`
	Intervals []map[string]any `yaml:"time_intervals" json:"time_intervals,omitempty" doc:"When it recurs, as Alertmanager's time_intervals: times, weekdays, days_of_month, months, years, location. Any is enough; none: all the time from start to end."`
	Comment   string           `yaml:"comment" json:"comment,omitempty" maxLength:"1000"`
}

type window struct {
	name       string
	match      labels.Matchers
	start, end int64
	intervals  []timeinterval.TimeInterval
}

func (m Maintenance) compile(key string, bad report) window {
	w := window{name: m.Name, match: matchers(key+".match", m.Match, bad), end: 1<<63 - 1}
	if m.Name == "" {
		bad(key+".name", "must not be empty")
	}
	for _, x := range []struct {
		key, text string
		into      *int64
	}{{"start", m.Start, &w.start}, {"end", m.End, &w.end}} {
		if x.text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, x.text)
		if err != nil {
			bad(key+"."+x.key, "%q is not a time like 2026-03-01T22:00:00Z", x.text)
			continue
		}
		*x.into = t.UnixMilli()
	}
	if m.Start == "" && m.End == "" && len(m.Intervals) == 0 {
		bad(key, "would never end: give end or time_intervals")
	}
	for i, raw := range m.Intervals {
		var ti timeinterval.TimeInterval
		text, err := json.Marshal(raw) // which is YAML, too
		if err == nil {
			dec := yaml.Unmarshal(text, &ti)
			err = dec
		}
		if err != nil {
			bad(fmt.Sprintf("%s.time_intervals[%d]", key, i), "%v", err)
			continue
		}
		w.intervals = append(w.intervals, ti)
	}
	return w
}

func (w *window) holds(ls model.LabelSet, t int64) bool {
	if t < w.start || t >= w.end || !w.match.Matches(ls) {
		return false
	}
	at := time.UnixMilli(t).UTC()
	return len(w.intervals) == 0 || slices.ContainsFunc(w.intervals, func(ti timeinterval.TimeInterval) bool { return ti.ContainsTime(at) })
}

// Windows are maintenance windows that came by the API.
type Windows struct {
	list []Maintenance
	made []window
}

// NewWindows checks and compiles a list.
func NewWindows(list []Maintenance) (*Windows, error) {
	var err error
	bad := func(key, format string, args ...any) {
		if err == nil {
			err = fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...))
		}
	}
	w := &Windows{list: list}
	names := map[string]bool{}
	for i, m := range list {
		key := fmt.Sprintf("maintenance[%d]", i)
		if names[m.Name] {
			bad(key+".name", "%q is taken", m.Name)
		}
		names[m.Name] = true
		w.made = append(w.made, m.compile(key, bad))
	}
	return w, err
}

// List gives the windows as they were set.
func (w *Windows) List() []Maintenance { return slices.Clone(w.list) }

// In names the window of the configuration or of more that holds back what has
// these labels at t (Unix ms), "" when none does.
func (p *Policy) In(ls model.LabelSet, t int64, more *Windows) string {
	for i := range p.maintenance {
		if p.maintenance[i].holds(ls, t) {
			return p.maintenance[i].name
		}
	}
	if more != nil {
		for i := range more.made {
			if more.made[i].holds(ls, t) {
				return more.made[i].name
			}
		}
	}
	return ""
}

// Maintenance lists the windows of the configuration.
func (p *Policy) Maintenance() []Maintenance { return slices.Clone(p.cfg.Maintenance) }
