package detect

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/norn-aiops/norn/internal/detect/ladder"
	"github.com/norn-aiops/norn/internal/detect/season"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// bandWidth is the half-width of the drawn band in units of the scale, at
// least; a higher limit of the level test widens it up to 1.7 times.
const bandWidth = 3

// band gives the expectation at t by what is known now. The low end of a
// series that was never negative is not negative.
func (d *Detector) band(t int64) ops.Band {
	if d.opt.up {
		return ops.Band{T: t, Expected: 1, Low: 1, High: 1}
	}
	b := &d.base
	mean := b.expectAt(t)
	dt, w := float64(d.pace.every), clamp(float64(d.cal[memLevel].limit), bandWidth, 1.7*bandWidth)
	out := ops.Band{T: t, Expected: mean + b.offset}
	out.Low = out.Expected - w*b.scale(0, mean, dt, d.opt.floor)
	out.High = out.Expected + w*b.scale(1, mean, dt, d.opt.floor)
	if !b.negative {
		out.Low = max(0, out.Low)
	}
	return out
}

// Bands gives the expected band of a series at from, from+step ... to (Unix
// ms), by what is known now; for the past too. Unknown series, and more than
// 20,000 moments, give nil.
func (e *Engine) Bands(id telemetry.SeriesID, from, to, step int64) []ops.Band {
	if step <= 0 || to < from || (to-from)/step >= 20_000 {
		return nil
	}
	s := e.lock(id)
	if s == nil {
		return nil
	}
	defer s.row.mu.Unlock()
	e.settleNow(s)
	looked(&s.looks)
	if s.det.base.n == 0 {
		return nil
	}
	out := make([]ops.Band, 0, (to-from)/step+1)
	for t := from; t <= to; t += step {
		out = append(out, s.det.band(t))
	}
	return out
}

// Explanation says in numbers and words what the detector of a series chose
// and expects.
type Explanation struct {
	Series          string             `json:"series"`
	SeriesID        telemetry.SeriesID `json:"series_id,string"`
	Points          uint32             `json:"points"`
	IntervalSeconds float64            `json:"interval_seconds"`
	Intermittent    bool               `json:"intermittent"`    // silence means nothing
	SilentAfter     float64            `json:"silent_after"`    // seconds, 0 when not judged
	Baseline        string             `json:"baseline"`        // level, daily, season, up, count, learning
	DailyGain       float64            `json:"daily_gain"`      // share by which the profile's error is below the level's
	ShapeReady      bool               `json:"shape_ready"`     // the shape member speaks
	HistoryHours    float64            `json:"history_hours"`   // of calibration
	LevelLimit      float64            `json:"level_limit"`     // in units of the scale
	SpikeLimit      float64            `json:"spike_limit"`     // in units of the scale
	ShapeLimit      float64            `json:"shape_limit"`     // of the shape's score
	Value           float64            `json:"value"`           // last
	Expected        float64            `json:"expected"`        // now
	Low             float64            `json:"low"`             // of the band
	High            float64            `json:"high"`            // of the band
	Scale           float64            `json:"scale"`           // unit of the upper half of the band
	Z               float64            `json:"z"`               // of the last value
	Anomalous       bool               `json:"anomalous"`       // an anomaly is open
	Choice          Choice             `json:"choice,omitzero"` // of the full tier
	Count           Counted            `json:"count,omitzero"`  // of a series with few points
	Season          season.Explanation `json:"season,omitzero"` // of what the series repeats
	Profile         Profile            `json:"profile"`         // what the series is like
	Tier            string             `json:"tier"`            // full, basic, counter
	Less            string             `json:"less,omitempty"`  // why it is watched less than it could be
	Sentence        string             `json:"sentence"`        // all of it in words
}

// Explain describes the detector of a series.
func (e *Engine) Explain(id telemetry.SeriesID) (Explanation, bool) {
	s := e.lock(id)
	if s == nil {
		return e.explainCounter(id)
	}
	defer s.row.mu.Unlock()
	e.settleNow(s)
	looked(&s.looks)
	d := &s.det
	x := d.explain()
	x.Tier, x.Less = s.tier().String(), s.extra().less.text()
	x.Profile = d.profile(s.meta)
	x.Profile.Reduced, x.Profile.Periods = x.Less, x.Season.Text
	x.Series, x.SeriesID, x.Value = s.meta.Name, s.meta.ID, d.base.value()
	x.Anomalous = d.level.kind != epNone || d.form.kind != epNone || s.silent != nil || s.extra().still != nil
	if d.count != nil && !d.opt.up {
		x.Count = d.count.explain(s.meta.Unit)
	}
	x.Sentence = x.sentence(s.meta.Unit)
	return x, true
}

func (d *Detector) explain() Explanation {
	b := &d.base
	mean := b.expectAt(d.t)
	band := d.band(d.t)
	x := Explanation{
		Points: b.n, IntervalSeconds: float64(d.pace.every), Baseline: "level",
		Intermittent: !d.pace.judged() && d.pace.gaps >= 20, ShapeReady: d.shape != nil,
		HistoryHours: float64(d.clock.filled) * float64(d.clock.hours),
		LevelLimit:   float64(d.cal[memLevel].limit), SpikeLimit: float64(d.cal[memSpike].limit),
		ShapeLimit: float64(d.cal[memShape].limit),
		Expected:   band.Expected, Low: band.Low, High: band.High,
		Scale: b.scale(1, mean, float64(d.pace.every), d.opt.floor), Z: float64(d.z[0]),
		Choice: d.explainChoice(),
	}
	if d.pace.judged() {
		x.SilentAfter = d.pace.limit()
	}
	if b.errLevel > 0 {
		x.DailyGain = 1 - float64(b.errDay/b.errLevel)
	}
	switch {
	case d.opt.up:
		x.Baseline = "up"
	case b.n < warmPoints && d.count != nil:
		x.Baseline = "count"
	case b.n < warmPoints:
		x.Baseline = "learning"
	case b.follows:
		x.Baseline = "season"
	case b.daily:
		x.Baseline = "daily"
	}
	if b.season != nil {
		x.Season = b.season.Explain(d.t)
	}
	return x
}

// looked counts that somebody asked for a series.
func looked(n *uint8) {
	if *n < math.MaxUint8 {
		*n++
	}
}

// explainCounter describes a series of the counter tier.
func (e *Engine) explainCounter(id telemetry.SeriesID) (x Explanation, ok bool) {
	ok = e.withCounter(id, func(c *counter) {
		looked(&c.looks)
		x = Explanation{Series: c.meta.Name, SeriesID: id, Points: c.n, IntervalSeconds: float64(c.pace.every), Baseline: "counted",
			Intermittent: !c.pace.judged() && c.pace.gaps >= 20, Value: c.last, Expected: c.mean, Low: c.low, High: c.high,
			Anomalous: c.silent != nil, Tier: ladder.Counter.String(), Less: c.text()}
		if c.pace.judged() {
			x.SilentAfter = c.pace.limit()
		}
		x.Profile = Profile{Kind: kindOfSeries(c.meta), Sparsity: float64(c.pace.irregular), Silence: c.pace.judged(), Reduced: x.Less, Members: "judged by silence alone: " + x.Less}
		unit := c.meta.Unit
		x.Sentence = fmt.Sprintf("A point about every %s. It is %s. Silence is judged, deviations are not; of %d points the lowest was %s, the highest %s, the last %s.",
			seconds(x.IntervalSeconds), x.Less, c.n, number(c.low, unit), number(c.high, unit), number(c.last, unit))
	})
	return x, ok
}

// sentence says it in plain language.
func (x *Explanation) sentence(unit string) string {
	var b strings.Builder
	if x.Less != "" {
		fmt.Fprintf(&b, "It %s. ", x.Less)
	}
	fmt.Fprintf(&b, "A point about every %s", seconds(x.IntervalSeconds))
	if x.Intermittent {
		b.WriteString(", with many gaps, so silence is not judged")
	} else if x.SilentAfter > 0 {
		fmt.Fprintf(&b, "; silent after %s", seconds(x.SilentAfter))
	}
	b.WriteString(". ")
	switch x.Baseline {
	case "up":
		b.WriteString("It says whether something lives: 0 is a fault at once.")
		return b.String()
	case "count":
		b.WriteString(x.Count.Text)
		return b.String()
	case "learning":
		fmt.Fprintf(&b, "Still learning: %d of %d points. It is %s; to be %s.", x.Points, warmPoints, x.Profile.Text, x.Profile.Members)
		return b.String()
	case "season":
		fmt.Fprintf(&b, "What it repeats is followed: %s; that errs %.0f %% less than without. ", x.Season.Text, 100*x.Season.Gain)
	case "daily":
		fmt.Fprintf(&b, "The time of day matters: the profile of the day errs %.0f %% less than a plain level, so it is used. ", 100*x.DailyGain)
	default:
		if x.DailyGain != 0 {
			fmt.Fprintf(&b, "A plain level is used: the profile of the day would err %s. ", lessMore(x.DailyGain))
		} else {
			b.WriteString("A plain level is used: the time of day cannot be judged before the second day. ")
		}
	}
	fmt.Fprintf(&b, "Expected now %s, usual between %s and %s; seen %s", number(x.Expected, unit), number(x.Low, unit), number(x.High, unit), number(x.Value, unit))
	if z := math.Abs(x.Z); z >= 1.5 {
		fmt.Fprintf(&b, ", %.1f units off (three of four points beyond %.1f raise an alarm)", z, x.LevelLimit)
	}
	fmt.Fprintf(&b, ". It is %s; %s.", x.Profile.Text, x.Profile.Members)
	for _, more := range [...]string{x.Choice.Text, x.Count.Text} {
		if more != "" {
			b.WriteString(" " + more)
		}
	}
	return b.String()
}

func lessMore(gain float64) string {
	switch percent := math.Round(100 * gain); {
	case percent == 0:
		return "as much"
	case percent < 0:
		return fmt.Sprintf("%.0f %% more", -percent)
	default:
		return fmt.Sprintf("only %.0f %% less", percent)
	}
}

func seconds(s float64) string {
	switch {
	case s >= 7200:
		return number(math.Round(s/360)/10, "h")
	case s >= 120:
		return number(math.Round(s/6)/10, "min")
	}
	return number(math.Round(s*10)/10, "s")
}

func number(v float64, unit string) string {
	if a := math.Abs(v); unit == "s" && a > 0 && a < 1 {
		if v, unit = v*1e3, "ms"; a < 1e-3 {
			v, unit = v*1e3, "µs"
		}
	}
	n := strconv.FormatFloat(v, 'g', 4, 64)
	if unit == "" || unit == "1" {
		return n
	}
	return n + " " + unit
}
