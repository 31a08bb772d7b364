package ops

import "github.com/norn-aiops/norn/internal/telemetry"

// Level is how bad an incident is, in a word.
type Level string

// Levels of severity, worst first.
const (
	LevelCritical Level = "critical" // many users suffer, or the error budget is gone within days
	LevelMajor    Level = "major"
	LevelMinor    Level = "minor"
	LevelInfo     Level = "info" // something is unusual, nobody is seen to suffer
)

// Harm is what the service level objectives say of an incident.
type Harm struct {
	SLOs []SLOHarm `json:"slos"` // of the entities that have a part in it, worst first
}

// SLOHarm is what an incident does to one objective.
type SLOHarm struct {
	SLO       string           `json:"slo"`
	Entity    telemetry.Entity `json:"entity"`
	Inferred  bool             `json:"inferred"`        // of the service's own past, nobody declared it
	Objective float64          `json:"objective"`       // 0..1
	Burn      float64          `json:"burn_rate"`       // 1 uses the budget up exactly by the end of the window; a lower bound
	Spent     float64          `json:"spent"`           // share of the window's budget that went since the onset
	Left      float64          `json:"left"`            // share of the window's budget that is left; below 0: overspent
	Exhausted *int64           `json:"exhausted_in_ms"` // at this rate; null when it lasts
	Text      string           `json:"text"`            // one line of plain language
}

// SLO is one service level objective and how it is kept.
type SLO struct {
	Name      string           `json:"name"`
	Entity    telemetry.Entity `json:"entity"`
	Kind      string           `json:"kind" enum:"availability,latency,ratio"` // ratio: of the operator's own expressions
	Inferred  bool             `json:"inferred"`                               // of the service's own past, nobody declared it
	Objective float64          `json:"objective"`                              // share of requests that are to be good, 0..1
	Threshold float64          `json:"threshold_seconds"`                      // of latency: good is below; else 0
	Window    int64            `json:"window_ms"`
	SLI       *float64         `json:"sli"`             // share of requests of the window that were good; null without any
	Requests  float64          `json:"requests"`        // of the window, as far as they were seen
	Bad       float64          `json:"bad"`             // of them
	Covered   int64            `json:"covered_ms"`      // how much of the window was seen
	Left      float64          `json:"left"`            // share of the budget that is left; below 0: overspent
	Exhausted *int64           `json:"exhausted_in_ms"` // at the last hour's rate, 0 when it is gone; null when it lasts
	Burns     []Burn           `json:"burns" nullable:"false"`
	AnomalyID string           `json:"anomaly_id,omitempty"` // while it burns too fast
	Note      string           `json:"note,omitempty"`       // what is wrong with it, or missing
	Sentence  string           `json:"sentence"`
}

// Burn is how fast the budget goes over two windows: a rate of 1 uses it up
// exactly by the end of the objective's window.
type Burn struct {
	Name      string  `json:"name" enum:"fast,medium,slow"`
	Long      int64   `json:"long_ms"`
	Short     int64   `json:"short_ms"`
	Limit     float64 `json:"limit"` // both must reach it
	LongRate  float64 `json:"long_rate"`
	ShortRate float64 `json:"short_rate"`
	Enough    bool    `json:"enough_evidence"` // bad requests are too many to be chance
	Burning   bool    `json:"burning"`
}
