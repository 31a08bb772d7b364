package api

import (
	"context"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Live is what the API reads from, and asks of, the running pipeline. All
// methods are safe for concurrent use and return values that belong to the
// caller. Times are Unix milliseconds on the pipeline's clock (in a replay,
// the data's own).
type Live interface {
	Watcher
	Estate
	Operator
	Detection
	Backtester
}

// Watcher answers what detection knows of single series.
type Watcher interface {
	// Series lists the watched series that match, at most m.Limit of them,
	// those that deviate now first, then by entity and name. total counts all
	// that match.
	Series(m SeriesMatch) (list []SeriesInfo, total int)
	// Explain says how the series is judged and what it does now; ok is false
	// for a series that detection does not hold.
	Explain(id telemetry.SeriesID) (e Explanation, ok bool)
	// Bands gives the expected band at from, from+step ... to; empty while
	// the series is still being learnt or is unknown.
	Bands(id telemetry.SeriesID, from, to, step int64) []ops.Band
	// Templates lists the mined log templates of an entity, or of all
	// entities for the zero Entity, the most frequent first.
	Templates(entity telemetry.Entity) []Template
	// TemplateAliases gives, for the ids of templates that were merged into
	// others, the id that carries their lines now.
	TemplateAliases() map[uint64]uint64
}

// Estate answers what is there and how it fares.
type Estate interface {
	// Stats gives the counters since start.
	Stats() Stats
	// Services lists the cells of the health grid: every service, database,
	// cache and queue seen lately. The API adds rate, error ratio and latency
	// from Norn's own series.
	Services() []ServiceState
	// GraphAt gives the dependency graph as it was at t.
	GraphAt(t int64) *graph.View
	// Suppressed lists the incident candidates that the budget of false pages
	// holds back, newest first, and the state of the budget.
	Suppressed() ([]ops.Suppressed, ops.Budget)
	// SLOs lists the objectives, declared ones first, then by how little of
	// the error budget is left.
	SLOs() []ops.SLO
	// Capacity lists what has a limit, the most urgent first, and how
	// forecasting goes.
	Capacity() ([]ops.Capacity, ops.CapacityState)
	// TeamOf names whose an entity is, "" when it is nobody's.
	TeamOf(telemetry.Entity) string
	// Subscribe streams changes until ctx ends, then closes the channel. The
	// channel is bounded: for a reader that is too slow events are dropped
	// and counted in Stats.EventsDropped; the reader is not told otherwise,
	// so events are hints to read again, not the data itself.
	Subscribe(ctx context.Context) <-chan Event
}

// Operator is what a person does to an incident. An incident that does not
// exist gives store.ErrNotFound (wrapped), one in a state that does not allow
// the step gives [ErrConflict] (wrapped). The returned incident is durable.
type Operator interface {
	Acknowledge(ctx context.Context, id, who, text string) (*ops.Incident, error)
	Mitigate(ctx context.Context, id, who, text string) (*ops.Incident, error)
	Resolve(ctx context.Context, id, who, text string) (*ops.Incident, error)
	// Merge moves everything of an incident into another and returns both, the
	// one that ended first.
	Merge(ctx context.Context, id, into, who string) ([]ops.Incident, error)
	// Split moves anomalies of an incident into a new one and returns both, the
	// old one first.
	Split(ctx context.Context, id string, anomalies []string, who string) ([]ops.Incident, error)
	Comment(ctx context.Context, id, who, text string) (*ops.Incident, error)
	// Mark notes whether an incident was real or noise, in any state; an empty
	// mark takes it back.
	Mark(ctx context.Context, id, who string, mark ops.Mark) (*ops.Incident, error)
	// Why says why the anomaly was put into the incident. An unknown incident
	// or anomaly gives store.ErrNotFound (wrapped).
	Why(ctx context.Context, incident, anomaly string) (Why, error)
}

// SeriesMatch selects series. Empty fields match everything.
type SeriesMatch struct {
	ID     telemetry.SeriesID // exactly this series; 0 means any
	Text   string             // every space-separated word must occur, in any case, in the name, a label's value or the entity
	Entity telemetry.Entity   // as Entity, Peer or Instance
	Signal telemetry.Signal
	Limit  int // at least 1
}

// SeriesInfo is one watched series and its newest value.
type SeriesInfo struct {
	Meta      *telemetry.Series
	LastTime  int64   // 0 when no point came yet
	Last      float64 // may be NaN
	AnomalyID string  // "" while normal
	Tier      string  // full, basic, counter
	Less      string  // why it is watched less than it could be, "" when it is not
}

// Explanation says in words and numbers how a series is judged.
type Explanation struct {
	Sentence   string   `json:"sentence" doc:"One or two sentences of plain language."`
	Phase      string   `json:"phase" enum:"learning,watching,silent,counted,not_watched" doc:"Whether detection judges the series already."`
	Points     int64    `json:"points" doc:"Points seen so far."`
	IntervalMS int64    `json:"interval_ms" doc:"Usual distance of points; 0 when unknown."`
	LastTime   int64    `json:"last_time_unix_ms"`
	Last       float64  `json:"last"`
	Expected   float64  `json:"expected"`
	Low        float64  `json:"low"`
	High       float64  `json:"high"`
	P          float64  `json:"p_value" doc:"Of the newest point against the series' own past."`
	AnomalyID  string   `json:"anomaly_id,omitempty" doc:"Of the anomaly that lasts now."`
	Members    []Member `json:"members" nullable:"false" doc:"Detectors that judge this series."`
	Facts      []Fact   `json:"facts" nullable:"false" doc:"What was learnt of the series: season, trend, discreteness."`
	Rules      []string `json:"rules" nullable:"false" doc:"Names of the rules that apply to it."`

	Driver   *Driver   `json:"driver,omitempty" doc:"When a load explains it."`
	Together *Together `json:"together,omitempty" doc:"When its entity's metrics are judged together."`
}

// Member is one detector's word on the newest point.
type Member struct {
	Name  string  `json:"name"`
	Score float64 `json:"score" doc:"Raw score."`
	P     float64 `json:"p_value"`
	Text  string  `json:"text"`

	Weight float64 `json:"weight" doc:"Chosen for this series: evidence for each e-fold of deviation; 0 when it judges by itself."`
}

// Fact is one thing that was learnt of a series.
type Fact struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Template is one mined log pattern of one entity.
type Template struct {
	ID        uint64
	Entity    telemetry.Entity
	Text      string // with <*> for what varies
	Example   string // one full line
	Severity  telemetry.Severity
	Count     uint64 // since start
	FirstSeen int64
	LastSeen  int64
	Params    []TemplateParam
	Versions  []TemplateVersion // oldest first; the last is Text
}

// TemplateParam is one place of a template that varies.
type TemplateParam struct {
	Type    string `json:"type" doc:"number, size, duration, address, host, time, id, hex, path, url, mail, bool, text or word."`
	Name    string `json:"name,omitempty" doc:"The key, of key=value."`
	Example string `json:"example"`
}

// TemplateVersion is the text that a template had from some time on.
type TemplateVersion struct {
	Text string `json:"text"`
	From int64  `json:"from_unix_ms"`
}

// Tiers counts series by how they are judged.
type Tiers struct {
	Full       int    `json:"full" doc:"With detectors weighed by the series' profile, or with what it repeats."`
	Basic      int    `json:"basic" doc:"Baseline, level, drift, spike, shape, flat line, silence."`
	Counter    int    `json:"counter" doc:"Counted only: last value, extremes, silence."`
	Reduced    int    `json:"reduced" doc:"Of basic and counter: would be judged better if there were room."`
	NotWatched int    `json:"not_watched" doc:"About how many series beyond detection.max_series sent lately."`
	Short      string `json:"short" doc:"What is short; empty when nothing is reduced."`
}

// Stats are the counters of the pipeline.
type Stats struct {
	Started         int64             // Unix ms, of this process
	SeriesWatched   int               // judged now
	SeriesLearning  int               // too young to be judged
	Tiers           Tiers             // how the series are judged
	SeriesUnwatched map[string]int    // not judged, by reason: "limit", "not_numeric"...
	Entities        int               // seen lately
	Points          uint64            // samples since start
	Logs            uint64            // log records since start
	Spans           uint64            // spans since start
	Alerts          uint64            // other tools' alerts since start
	Rejects         map[string]uint64 // refused items by reason since start
	SecretsMasked   uint64            // secrets taken out of log lines since start
	EventsDropped   uint64            // events that slow subscribers missed
	LastReceived    int64             // Unix ms of the newest arrival of anything; 0 when none yet
	LagMS           int64             // how far detection is behind what was stored
	Skews           []Skew            // senders whose clocks are off, worst first
}

// Skew is how far a sender's clock is from Norn's.
type Skew struct {
	Sender   string `json:"sender"`
	OffsetMS int64  `json:"offset_ms" doc:"Sender minus Norn; positive is ahead."`
}

// ServiceState is the health of one cell of the grid.
type ServiceState struct {
	Entity     telemetry.Entity
	Health     float64 // 1 is well, 0 is down
	State      string  // ok, degraded, failing, silent, unknown
	Text       string  // a few words: "p95 4x of usual"
	IncidentID string  // open incident that it belongs to, "" if none
	LastSeen   int64   // Unix ms
}

// EventKind says what changed.
type EventKind string

// Kinds of event.
const (
	EventIncident EventKind = "incident" // ID is the incident
	EventAnomaly  EventKind = "anomaly"  // ID is the anomaly
	EventChange   EventKind = "change"   // ID is the change
	EventStatus   EventKind = "status"   // feed or services changed
	EventPing     EventKind = "ping"     // keeps the connection; made by the API
)

// Event is a hint that something changed.
type Event struct {
	Kind   EventKind        `json:"kind" enum:"incident,anomaly,change,status,ping"`
	ID     string           `json:"id"`
	Time   int64            `json:"time_unix_ms"`
	Entity telemetry.Entity `json:"entity"`
	Text   string           `json:"text"`
}

// Why says why an anomaly was put into an incident.
type Why struct {
	IncidentID string   `json:"incident_id"`
	AnomalyID  string   `json:"anomaly_id"`
	Sentence   string   `json:"sentence"`
	Reasons    []Reason `json:"reasons" doc:"Strongest first."`
}

// Reason is one ground for putting things together.
type Reason = ops.Reason
