package app

import (
	"time"

	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/detect/season"
	"github.com/norn-aiops/norn/internal/holiday"
	"github.com/norn-aiops/norn/internal/incident"
	"github.com/norn-aiops/norn/internal/logmine"
	"github.com/norn-aiops/norn/internal/normalize"
	"github.com/norn-aiops/norn/internal/pipeline"
	"github.com/norn-aiops/norn/internal/topology"
)

// detectHold is how long a calm point may wait for detection.
const detectHold = time.Minute

// alertBudget turns the budget's words into the correlator's own.
func alertBudget(b config.Budget) incident.BudgetConfig {
	out := incident.BudgetConfig{PagesPerWeek: b.FalsePagesPerWeek, PerService: b.Per == "service"}
	if out.PagesPerWeek == 0 {
		out.PagesPerWeek = -1
	}
	return out
}

// stageConfig turns the configuration file's words into the stages' own.
func stageConfig(c config.Config) pipeline.Config {
	logs := normalize.DefaultLogConfig()
	logs.MaxAge, logs.MaxFuture = time.Duration(c.Normalize.MaxLogAge), time.Duration(c.Normalize.MaxFuture)
	logs.MaxHistory = time.Duration(c.Storage.Logs.Retention)
	logs.NoMask, logs.MaskPatterns = !c.Normalize.Mask.Enabled, c.Normalize.Mask.Patterns
	window := time.Duration(c.Topology.Window)
	return pipeline.Config{
		Normalize: logs,
		Topology:  topology.Config{Window: window, Lag: time.Duration(c.Topology.Lag)},
		Logmine:   logmine.Config{Window: window},
		Detect: detect.Config{MaxSeries: c.Detect.MaxSeries, Full: fullSeries(c.Detect.FullSeries), Memory: c.Detect.Memory, CPU: c.Detect.CPU, Sensitivity: c.Detect.Sensitivity, Hold: detectHold.Milliseconds(),
			Seasons: c.Detect.Seasons.MaxSeries, Calendar: calendar(c.Detect.Seasons)},
		Incident:    incident.Config{Quiet: time.Duration(c.Incident.QuietPeriod).Milliseconds(), MaxGroups: c.Incident.MaxOpen, Budget: alertBudget(c.Alerts.Budget)},
		Rules:       c.Detect.Config,
		Teams:       teams(c.Teams),
		SLOs:        c.SLOs,
		Capacity:    c.Capacity,
		GraphExpiry: time.Duration(c.Topology.Expiry),
	}
}

// teams turns the configuration's teams into the pipeline's.
func teams(list []config.Team) []pipeline.Team {
	out := make([]pipeline.Team, len(list))
	for i, t := range list {
		out[i] = pipeline.Team{Name: t.Name, Match: t.Match, PagesPerWeek: t.FalsePagesPerWeek}
	}
	return out
}

// calendar makes the seasons' calendar. The settings have been checked; what
// is not known is UTC without holidays.
func calendar(s config.Seasons) *season.Calendar {
	out := &season.Calendar{}
	if zone, err := time.LoadLocation(s.Timezone); err == nil {
		out.Zone = zone
	}
	if h, ok := holiday.New(s.Holidays); ok {
		out.Holiday = h.Name
	}
	return out
}

// fullSeries turns the setting into the detector's, for which 0 is the default.
func fullSeries(n int) int {
	if n == 0 {
		return -1
	}
	return n
}
