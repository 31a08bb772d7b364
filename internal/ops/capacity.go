package ops

import "github.com/norn-aiops/norn/internal/telemetry"

// Capacity is one thing with a limit, and when the limit will be reached.
// Dates are Unix ms, null when not within the time looked ahead.
type Capacity struct {
	ID        string            `json:"id"`
	Resource  string            `json:"resource"` // disk, certificate, or the declaration's name
	Entity    telemetry.Entity  `json:"entity"`
	Instance  telemetry.Entity  `json:"instance"`
	Labels    map[string]string `json:"labels" nullable:"false"`
	Expr      string            `json:"expr"` // PromQL that draws it
	Unit      string            `json:"unit"`
	Limit     float64           `json:"limit"`
	Falling   bool              `json:"falling"` // it is gone when it falls to the limit
	Value     float64           `json:"value"`   // newest
	Peak      float64           `json:"peak"`    // of the newest day (hour, in a short history); the low, when falling
	Reached   bool              `json:"reached"`
	P10       *int64            `json:"p10_unix_ms"`
	P50       *int64            `json:"p50_unix_ms"`
	P90       *int64            `json:"p90_unix_ms"`
	InLead    float64           `json:"probability_within_lead_time"` // 0..1
	Lead      int64             `json:"lead_time_ms"`                 // what acting takes
	Growth    float64           `json:"growth_per_day"`               // in unit
	Drivers   []CapacityShare   `json:"drivers" nullable:"false"`     // what makes it grow, largest first
	Urgent    bool              `json:"urgent"`                       // the limit will more likely than not be reached before one can act
	AnomalyID string            `json:"anomaly_id,omitempty"`         // while urgent
	Computed  int64             `json:"computed_unix_ms"`
	Next      int64             `json:"next_unix_ms"` // when it is computed again, unless it does what was not expected
	Reason    string            `json:"reason"`
	Note      string            `json:"note,omitempty"` // why there is no forecast
	Sentence  string            `json:"sentence"`
}

// CapacityShare is the part of one sub-series in the growth.
type CapacityShare struct {
	Name   string  `json:"name"`
	Growth float64 `json:"growth_per_day"`
	Share  float64 `json:"share"` // of all that grows, 0..1
}

// CapacityState is how forecasting of limits goes.
type CapacityState struct {
	Series   int      `json:"series"`                  // with a limit
	Waiting  int      `json:"waiting"`                 // due and not yet computed
	Computed uint64   `json:"computed"`                // since start
	LastMS   int64    `json:"last_unix_ms"`            // newest computation
	Refused  int      `json:"refused"`                 // beyond the bound of series
	Errors   []string `json:"errors" nullable:"false"` // rules that cannot be evaluated
}
