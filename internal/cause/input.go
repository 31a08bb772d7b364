package cause

import (
	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Series is one series with the three stretches of time that matter. Samples
// are oldest first; NaN counts as missing.
type Series struct {
	Meta     *telemetry.Series
	Baseline []telemetry.Sample // hours to days before, without earlier incidents of the entity
	Pre      []telemetry.Sample // the minutes directly before the window
	Window   []telemetry.Sample // may be wider than the deviation: Rank finds the run
}

// Input is everything that a judgement rests on. Rank changes none of it.
type Input struct {
	Onset, Now int64            // Unix milliseconds
	Target     telemetry.Entity // where users feel it; zero when unknown
	Suspect    telemetry.Entity // root by which other tools' alerts were grouped; zero when they were not
	View       *graph.View      // the graph as of the onset; nil means no edges
	Series     []Series
	Anomalies  []ops.Anomaly
	Changes    []telemetry.Change
	Templates  map[string]string // optional: text by the "template" label of log series, for sentences
}

// Config holds the constants of the method. The zero value of a field means
// its default, given in brackets; the defaults were chosen on the PetShop
// development issues and hold over wide ranges (see docs).
type Config struct {
	Z0, ZScale    float64 // logistic of evidence: a = 1/(1+exp(-(z-Z0)/ZScale)) [3, 0.75]
	RelativeFloor float64 // smallest error scale as a share of the median [0.05]
	ErrorFloor    float64 // smallest error scale of a failure share [0.002]
	LatencyFloor  float64 // seconds [0.0005]
	RatioFloor    float64 // of saturation series whose unit is 1 [0.005]
	FewRequests   float64 // the error scale of latencies grows by sqrt(1 + this/requests) [8]
	MinBaseline   int     // fewer samples than this make a new dependency [8]
	Gate          float64 // score from which an entity may be a root [0.35]
	MaxCauses     int     // roots reported [5]
	ChangeWindow  int64   // ms before the onset in which a change counts [30 min]
	ChangeOdds    float64 // factor on the odds of a changed entity [3]
	SurgeFactor   float64 // traffic growth from which load may explain all [1.3]
}

// WithDefaults fills in the zero fields.
func (c Config) WithDefaults() Config {
	def := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.Z0, 3)
	def(&c.ZScale, .75)
	def(&c.RelativeFloor, .05)
	def(&c.ErrorFloor, .002)
	def(&c.LatencyFloor, .0005)
	def(&c.RatioFloor, .005)
	def(&c.FewRequests, 8)
	def(&c.Gate, .35)
	def(&c.ChangeOdds, 3)
	def(&c.SurgeFactor, 1.3)
	if c.MinBaseline == 0 {
		c.MinBaseline = 8
	}
	if c.MaxCauses == 0 {
		c.MaxCauses = 5
	}
	if c.ChangeWindow == 0 {
		c.ChangeWindow = 30 * 60_000
	}
	return c
}
