package backtest

import (
	"cmp"
	"slices"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Report is what a change would have done.
type Report struct {
	From       int64    `json:"from_unix_ms"`
	To         int64    `json:"to_unix_ms"`
	WarmupFrom int64    `json:"warmup_from_unix_ms" doc:"Oldest sample that the models learnt from."`
	Samples    uint64   `json:"samples"`
	Present    Side     `json:"present"`
	Proposed   Side     `json:"proposed"`
	Sums       Sums     `json:"sums"`
	Marks      Marks    `json:"marks"`
	Entities   []Group  `json:"entities" nullable:"false" doc:"By entity, most changed first."`
	Series     []Group  `json:"series" nullable:"false" doc:"By series, most changed first."`
	Alarms     []Pair   `json:"alarms" nullable:"false" doc:"Those that differ first, then by time."`
	LeftOut    int      `json:"alarms_left_out" doc:"Pairs beyond the length of the list."`
	Notes      []string `json:"notes" nullable:"false" doc:"What limits the comparison."`
}

// Side is what one set of settings did and took.
type Side struct {
	Alarms         int      `json:"alarms"`
	Muted          int      `json:"muted" doc:"Anomalies that a mute held back."`
	Explained      int      `json:"explained_by_load" doc:"Anomalies that are what the load of their series makes of it."`
	Series         int      `json:"series" doc:"That were watched."`
	Driven         int      `json:"series_with_driver" doc:"That are judged given their load."`
	Jointly        int      `json:"entities_jointly" doc:"Whose metrics are judged together."`
	NotWatched     uint64   `json:"points_not_watched"`
	Points         uint64   `json:"points"`
	StateBytes     int      `json:"state_bytes"`
	JointBytes     int      `json:"joint_bytes" doc:"State of what judges metrics together."`
	BytesPerSeries float64  `json:"bytes_per_series"`
	CPUSeconds     float64  `json:"cpu_seconds"`
	NsPerPoint     float64  `json:"ns_per_point"`
	NotKept        int      `json:"alarms_not_kept" doc:"Alarms beyond what is held for the comparison."`
	PluginsOff     []string `json:"plugins_off,omitempty" doc:"Plugins that gave no scores, or stopped to, and why."`
}

// Sums counts the pairs.
type Sums struct {
	Both       int `json:"both"`
	Same       int `json:"same_time" doc:"Of both: at the same moment."`
	Earlier    int `json:"earlier" doc:"Of both: the proposed settings are earlier."`
	Later      int `json:"later" doc:"Of both: the proposed settings are later."`
	OnlyBefore int `json:"only_before" doc:"The change would miss them."`
	OnlyAfter  int `json:"only_after" doc:"The change would add them."`
}

// Outcome tells the pairs apart.
type Outcome string

// Outcomes.
const (
	Both       Outcome = "both"
	OnlyBefore Outcome = "only_before"
	OnlyAfter  Outcome = "only_after"
)

// Moment is one side's alarm.
type Moment struct {
	Time     int64           `json:"time_unix_ms" doc:"When it was raised."`
	Onset    int64           `json:"onset_unix_ms"`
	Ended    int64           `json:"ended_unix_ms" doc:"0 when it outlasts the range."`
	Kind     ops.AnomalyKind `json:"kind"`
	Severity float64         `json:"severity"`
	Observed float64         `json:"observed"`
	Expected float64         `json:"expected"`
}

// Pair is one trouble of one series as both sides saw it.
type Pair struct {
	Outcome  Outcome            `json:"outcome" enum:"both,only_before,only_after"`
	SeriesID telemetry.SeriesID `json:"series_id,string"`
	Series   string             `json:"series"`
	Entity   telemetry.Entity   `json:"entity"`
	Signal   telemetry.Signal   `json:"signal"`
	Unit     string             `json:"unit"`
	Before   *Moment            `json:"before,omitempty"`
	After    *Moment            `json:"after,omitempty"`
	Earlier  int64              `json:"earlier_ms" doc:"How much earlier the proposed settings are; negative is later."`
}

// Group counts the alarms of one entity or series.
type Group struct {
	Name       string `json:"name"`
	Before     int    `json:"before"`
	After      int    `json:"after"`
	OnlyBefore int    `json:"only_before"`
	OnlyAfter  int    `json:"only_after"`
}

const (
	slack     = 15 * 60_000 // ms that two alarms of one trouble may lie apart
	maxPairs  = 2000        // in a report
	maxGroups = 500
)

// compare pairs the alarms of both sides: those of one series whose times
// touch, the nearest first.
func compare(before, after *side) *Report {
	r := &Report{Present: before.cost(), Proposed: after.cost(), Notes: []string{}}
	match(before.alarms, after.alarms)
	pairs := make([]Pair, 0, len(before.alarms))
	for _, a := range before.alarms {
		pairs = append(pairs, pairOf(a, a.mate))
	}
	for _, b := range after.alarms {
		if b.mate == nil {
			pairs = append(pairs, pairOf(nil, b))
		}
	}
	entities, series := groups{}, groups{}
	for i := range pairs {
		p := &pairs[i]
		r.Sums.add(p)
		entities.add(p.Entity.String(), p)
		series.add(p.Series, p)
	}
	rank := map[Outcome]int{OnlyBefore: 0, OnlyAfter: 0, Both: 1}
	slices.SortStableFunc(pairs, func(a, b Pair) int {
		return cmp.Or(cmp.Compare(rank[a.Outcome], rank[b.Outcome]), cmp.Compare(a.at(), b.at()), cmp.Compare(a.SeriesID, b.SeriesID))
	})
	r.Alarms, r.LeftOut = pairs[:min(len(pairs), maxPairs)], max(0, len(pairs)-maxPairs)
	r.Entities, r.Series = entities.list(), series.list()
	for i, side := range []*Side{&r.Present, &r.Proposed} {
		for _, off := range side.PluginsOff {
			r.Notes = append(r.Notes, "under the "+[]string{"present", "proposed"}[i]+" settings the plugin "+off+"; what it would have said is missing")
		}
	}
	if r.Present.NotKept+r.Proposed.NotKept > 0 {
		r.Notes = append(r.Notes, "more alarms were raised than are kept: sums of pairs are of those kept")
	}
	return r
}

func match(before, after []*alarm) {
	type of struct {
		id   telemetry.SeriesID
		name string // of what is said of a whole entity
	}
	key := func(x *alarm) of {
		if x.id != 0 {
			return of{id: x.id}
		}
		return of{name: x.series}
	}
	bySeries := map[of][]*alarm{}
	for _, b := range after {
		bySeries[key(b)] = append(bySeries[key(b)], b)
	}
	for _, a := range before {
		var best *alarm
		for _, b := range bySeries[key(a)] {
			if b.mate == nil && a.touches(b.Onset, b.end()) && (best == nil || a.apart(b) < a.apart(best)) {
				best = b
			}
		}
		if best != nil {
			a.mate, best.mate = best, a
		}
	}
}

// apart puts alarms of another kind behind those of the same.
func (m *alarm) apart(b *alarm) int64 {
	d := max(m.Time-b.Time, b.Time-m.Time)
	if m.Kind != b.Kind {
		d += slack
	}
	return d
}

func (m *Moment) end() int64 { return max(m.Time, m.Ended) }

// touches reports whether the alarm lies within slack of a span of time.
func (m *Moment) touches(from, to int64) bool {
	return min(m.Onset, m.Time)-slack <= to && from <= m.end()+slack
}

func pairOf(before, after *alarm) Pair {
	either := before
	if either == nil {
		either = after
	}
	p := Pair{SeriesID: either.id, Series: either.series, Entity: either.entity, Signal: either.signal, Unit: either.unit, Outcome: Both}
	if before != nil {
		p.Before = &before.Moment
	}
	if after != nil {
		p.After = &after.Moment
	}
	switch {
	case after == nil:
		p.Outcome = OnlyBefore
	case before == nil:
		p.Outcome = OnlyAfter
	default:
		p.Earlier = before.Time - after.Time
	}
	return p
}

func (p *Pair) at() int64 {
	if p.Before != nil {
		return p.Before.Time
	}
	return p.After.Time
}

func (s *Sums) add(p *Pair) {
	switch {
	case p.Outcome == OnlyBefore:
		s.OnlyBefore++
	case p.Outcome == OnlyAfter:
		s.OnlyAfter++
	default:
		s.Both++
		switch {
		case p.Earlier > 0:
			s.Earlier++
		case p.Earlier < 0:
			s.Later++
		default:
			s.Same++
		}
	}
}

type groups map[string]*Group

func (g groups) add(name string, p *Pair) {
	x := g[name]
	if x == nil {
		x = &Group{Name: name}
		g[name] = x
	}
	if p.Before != nil {
		x.Before++
	}
	if p.After != nil {
		x.After++
	}
	switch p.Outcome {
	case OnlyBefore:
		x.OnlyBefore++
	case OnlyAfter:
		x.OnlyAfter++
	}
}

func (g groups) list() []Group {
	out := make([]Group, 0, len(g))
	for _, x := range g {
		out = append(out, *x)
	}
	slices.SortFunc(out, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.OnlyBefore+b.OnlyAfter, a.OnlyBefore+a.OnlyAfter), cmp.Compare(b.Before+b.After, a.Before+a.After), cmp.Compare(a.Name, b.Name))
	})
	return out[:min(len(out), maxGroups)]
}
