package backtest

import (
	"slices"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Marked is an incident on which an operator gave a verdict.
type Marked struct {
	ID, Title string
	Mark      ops.Mark
	From, To  int64 // Unix ms of its first and last sign
	Series    []telemetry.SeriesID
	Entities  []telemetry.Entity // of the series
}

// MarkedOf takes from incidents those that are marked.
func MarkedOf(ins []ops.Incident) []Marked {
	var out []Marked
	for i := range ins {
		in := &ins[i]
		if in.Mark == "" {
			continue
		}
		m := Marked{ID: in.ID, Title: in.Title, Mark: in.Mark, From: in.Onset, To: max(in.Onset, in.Opened)}
		for j := range in.Anomalies {
			a := &in.Anomalies[j]
			m.From, m.To = min(m.From, a.Onset), max(m.To, a.LastSeen, a.Ended)
			if a.SeriesID == 0 {
				continue
			}
			m.Series = append(m.Series, a.SeriesID)
			if !slices.Contains(m.Entities, a.Entity) {
				m.Entities = append(m.Entities, a.Entity)
			}
		}
		out = append(out, m)
	}
	return out
}

// Marks is how both sides fare on the incidents that operators marked.
type Marks struct {
	Real        int          `json:"real" doc:"Incidents of the range that are marked real and show in metrics."`
	RealBefore  int          `json:"real_before" doc:"Of them: seen by the present settings."`
	RealAfter   int          `json:"real_after"`
	RealLost    int          `json:"real_lost" doc:"Seen by the present settings, not by the proposed."`
	RealGained  int          `json:"real_gained"`
	Noise       int          `json:"noise"`
	NoiseBefore int          `json:"noise_before"`
	NoiseAfter  int          `json:"noise_after"`
	NoiseSaved  int          `json:"noise_saved" doc:"Raised by the present settings, not by the proposed."`
	NoiseAdded  int          `json:"noise_added"`
	Beside      int          `json:"beside_metrics" doc:"Marked incidents that no metric shows: logs, other tools' alerts. The change does not touch them."`
	Incidents   []MarkedPair `json:"incidents" nullable:"false"`
}

// MarkedPair is one marked incident.
type MarkedPair struct {
	ID     string   `json:"id"`
	Title  string   `json:"title"`
	Mark   ops.Mark `json:"mark" enum:"real,noise"`
	Onset  int64    `json:"onset_unix_ms"`
	Before bool     `json:"before" doc:"An alarm of the present settings lies in it."`
	After  bool     `json:"after"`
}

func judgeMarks(list []Marked, o *Options, before, after *side) Marks {
	out := Marks{Incidents: []MarkedPair{}}
	for i := range list {
		m := &list[i]
		if m.To < o.From || m.From > o.To {
			continue
		}
		if len(m.Series) == 0 {
			out.Beside++
			continue
		}
		p := MarkedPair{ID: m.ID, Title: m.Title, Mark: m.Mark, Onset: m.From, Before: before.sees(m), After: after.sees(m)}
		out.Incidents = append(out.Incidents, p)
		out.add(p)
	}
	return out
}

func (m *Marks) add(p MarkedPair) {
	all, before, after, gone, come := &m.Real, &m.RealBefore, &m.RealAfter, &m.RealLost, &m.RealGained
	if p.Mark == ops.MarkNoise {
		all, before, after, gone, come = &m.Noise, &m.NoiseBefore, &m.NoiseAfter, &m.NoiseSaved, &m.NoiseAdded
	}
	count := func(n *int, is bool) {
		if is {
			*n++
		}
	}
	*all++
	count(before, p.Before)
	count(after, p.After)
	count(gone, p.Before && !p.After)
	count(come, !p.Before && p.After)
}

// sees reports whether an alarm lies in the incident: of one of its series, or
// of an entity that they are about.
func (s *side) sees(m *Marked) bool {
	return slices.ContainsFunc(s.alarms, func(a *alarm) bool {
		return a.touches(m.From, m.To) && (slices.Contains(m.Series, a.id) || slices.Contains(m.Entities, a.entity))
	})
}
