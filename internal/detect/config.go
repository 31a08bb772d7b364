package detect

import (
	"fmt"

	"github.com/norn-aiops/norn/internal/detect/choice"
	"github.com/norn-aiops/norn/internal/detect/season"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Config sets what one engine watches and how sensitive it is. The zero value
// is usable.
type Config struct {
	// MaxSeries is how many series get a detector; later ones are counted as
	// not watched. 0 means 1,000,000.
	MaxSeries int
	// Sensitivity is the wished number of false alarms a week for each series
	// and member. 0 means 0.02: one in a year.
	Sensitivity float64
	// QuietBefore is a mark in Unix ms: points before it teach, but raise
	// nothing. It serves history that is read at start.
	QuietBefore int64
	// Adopt is the time in ms after which a steady new level is taken as
	// normal. 0 means 2 hours.
	Adopt int64
	// Warmup is the number of points after which the shape member speaks. 0
	// means 300.
	Warmup int
	// Forget is the time in ms without points after which a series is dropped.
	// 0 means 7 days.
	Forget int64
	// Full is how many series get the full tier, in which several detectors are
	// weighed by what the series is like: of those whose signal is not known,
	// the first that come. 0 means 10,000, less than 0 none.
	Full int
	// Choice weighs the detectors of the full tier. The zero value means
	// choice.DefaultRules.
	Choice choice.Rules
	// Seasons is how many series get a tracker of what they repeat, the first
	// that come. 0 means none.
	Seasons int
	// Calendar says what civil time the seasons go by. nil means UTC without
	// holidays.
	Calendar *season.Calendar
	// Hold is the time in ms that calm points may wait to be judged together,
	// which is cheaper: points that arrive regularly, well inside of the band.
	// 0 means not at all.
	Hold int64
	// Memory is how many bytes the state of all series may take, and CPU the
	// share of one core that judging may take, before series step down
	// (package ladder, [Engine.Balance]). 0 is no bound.
	Memory int64
	CPU    float64
	// UpdateEvery is the least event time in ms between two reports of one
	// anomaly that has not grown. 0 means 30 seconds.
	UpdateEvery int64
}

func (c Config) withDefaults() Config {
	def := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	if c.MaxSeries <= 0 {
		c.MaxSeries = 1_000_000
	}
	if c.Full == 0 {
		c.Full = 10_000
	}
	if c.Choice == (choice.Rules{}) {
		c.Choice = choice.DefaultRules()
	}
	if c.Sensitivity <= 0 {
		c.Sensitivity = .02
	}
	if c.Warmup <= 0 {
		c.Warmup = 256
	}
	def(&c.Adopt, 2*3600_000)
	def(&c.Forget, 7*86400_000)
	def(&c.UpdateEvery, 30_000)
	return c
}

// class is one of the few sets of options that series share.
type class uint8

// classOf packs what a series' signal says about its floor and direction.
func classOf(s *telemetry.Series) class {
	f := floorOther
	switch s.Signal {
	case telemetry.SignalLatency, telemetry.SignalSaturation, telemetry.SignalNetwork:
		f = floorRelative
	case telemetry.SignalErrors:
		f = floorCount
		if s.Unit == "1" || s.Unit == "" {
			f = floorRatio
		}
	case telemetry.SignalTraffic, telemetry.SignalLogs:
		f = floorCount
	}
	c := class(f)<<3 | class(s.Direction+1)<<1
	if s.Signal == telemetry.SignalUp {
		c |= 1
	}
	if s.Policy != nil {
		c += class(s.Policy.Sensitivity+1) << 5
	} else {
		c += 1 << 5
	}
	return c
}

const classes = 3 << 5

// options gives the detector's options of every class.
func (c Config) options() (out [classes]Options) {
	for i := range out {
		out[i] = Options{
			Warmup: c.Warmup, PerWeek: c.Sensitivity * sensitivityFactor(i>>5), Adopt: c.Adopt,
			rules: c.Choice, floor: floorKind(i >> 3 & 3), direction: int8(i>>1&3) - 1, up: i&1 == 1,
		}.withDefaults()
	}
	return out
}

// Stats are counters since the engine was made, and present numbers.
type Stats struct {
	Tiers       Tiers  `json:"tiers"`            // series by how they are judged
	Watched     int    `json:"watched"`          // series that have a detector
	Full        int    `json:"full"`             // of them those whose detectors are weighed by what they are like
	Seasons     int    `json:"seasons"`          // that have a tracker of what they repeat
	NotWatched  uint64 `json:"not_watched"`      // points of series beyond MaxSeries
	Points      uint64 `json:"points"`           // judged
	Refused     uint64 `json:"refused"`          // not finite, or without a series
	Late        uint64 `json:"late"`             // not after the series' last point
	Opened      uint64 `json:"anomalies_opened"` // since start
	Active      int    `json:"anomalies_active"`
	FeedStopped bool   `json:"feed_stopped"` // nearly everything fell silent at once
}

// String gives one line for logs.
func (s Stats) String() string {
	return fmt.Sprintf("watched=%d not_watched=%d points=%d refused=%d late=%d opened=%d active=%d feed_stopped=%t",
		s.Watched, s.NotWatched, s.Points, s.Refused, s.Late, s.Opened, s.Active, s.FeedStopped)
}
