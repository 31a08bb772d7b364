// Package season measures what following a series' periods and the calendar
// is worth: false alarms and missed faults of the engine with and without it,
// on simulated series whose truth is known.
//
// It asserts nothing, and is deterministic for a seed. The main type is
// [Report].
package season

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"text/tabwriter"
	"time"

	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/detect/season"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Options says how much work there is; 0 means the default in brackets.
type Options struct {
	Series int // a kind; 5
	Weeks  int // judged, after five of learning; 6
	Seed   uint64
}

// Report is the result; JSON names are stable.
type Report struct {
	Series int    `json:"series"` // a kind
	Weeks  int    `json:"weeks"`  // judged
	Kinds  []Kind `json:"kinds"`
	Mean   Kind   `json:"mean"`
}

// Kind is one kind of series.
type Kind struct {
	Name    string `json:"name"`
	With    Score  `json:"with"`
	Without Score  `json:"without"`
	Follows int    `json:"follows"` // series whose expectation followed a season at the end
}

// Score counts for one way of detecting. Alarms are anomalies that page
// (severity .35 and more).
type Score struct {
	FalseAWeek float64 `json:"false_per_series_week"`
	Missed     float64 `json:"missed"` // share of the faults
	Faults     int     `json:"faults"`
}

const (
	step       = 5 * 60_000 // ms
	day        = 86_400_000
	learning   = 35 * day
	faultLasts = 90 * 60_000
	faultEvery = 3 * day // about
	grace      = 3 * 3600_000
	pages      = .35
)

// life is what a kind of series would be without noise and faults: its value
// at a civil time, in units of its range.
type life struct {
	name string
	zone string
	from time.Time // of the first point
	f    func(t int64, now time.Time) float64
}

func wave(t int64, period time.Duration) float64 {
	p := float64(period.Milliseconds())
	return .5 + .5*math.Sin(2*math.Pi*math.Mod(float64(t), p)/p)
}

// office is the load of people at work.
func office(now time.Time) float64 {
	h := float64(now.Hour()) + float64(now.Minute())/60
	x := .1 + .6*math.Exp(-(h-13)*(h-13)/18)
	switch now.Weekday() {
	case time.Saturday, time.Sunday:
		return .1 + .15*x
	case time.Monday:
		return 1.4 * x
	}
	return x
}

// rest is the holiday of the simulated country: the 100th, 107th ... day.
func rest(now time.Time) bool { return now.YearDay() >= 100 && now.YearDay()%14 == 2 }

func lives() []life {
	spring := time.Date(2024, 2, 5, 0, 0, 0, 0, time.UTC)
	autumn := time.Date(2024, 9, 16, 0, 0, 0, 0, time.UTC)
	change := spring.Add(49 * 24 * time.Hour).UnixMilli()
	return []life{
		{"period of 5 h", "UTC", spring, func(t int64, _ time.Time) float64 { return wave(t, 5*time.Hour) }},
		{"period of 6 h", "UTC", spring, func(t int64, _ time.Time) float64 { return wave(t, 6*time.Hour) }},
		{"100 min and 7 h", "UTC", spring, func(t int64, _ time.Time) float64 {
			return .5*wave(t, 100*time.Minute) + .5*wave(t, 7*time.Hour)
		}},
		{"a period that changes", "UTC", spring, func(t int64, _ time.Time) float64 {
			if t < change {
				return wave(t, 5*time.Hour)
			}
			return wave(t, 7*time.Hour)
		}},
		{"office week", "UTC", spring, func(_ int64, now time.Time) float64 { return office(now) }},
		{"office, Berlin, March", "Europe/Berlin", spring, func(_ int64, now time.Time) float64 { return office(now) }},
		{"office, New York, November", "America/New_York", autumn, func(_ int64, now time.Time) float64 { return office(now) }},
		{"office with holidays", "UTC", spring.AddDate(0, 1, 0), func(_ int64, now time.Time) float64 {
			if rest(now) {
				return .1 + .15*office(now)
			}
			return office(now)
		}},
		{"office, end of month", "UTC", spring, func(_ int64, now time.Time) float64 {
			if now.AddDate(0, 0, 1).Day() == 1 && now.Hour() >= 6 {
				return office(now) + .5
			}
			return office(now)
		}},
		{"noise", "UTC", spring, func(int64, time.Time) float64 { return .5 }},
	}
}

// Run plays every kind with and without seasons.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Series <= 0 {
		o.Series = 5
	}
	if o.Weeks <= 0 {
		o.Weeks = 6
	}
	r := &Report{Series: o.Series, Weeks: o.Weeks, Mean: Kind{Name: "mean"}}
	all := lives()
	for ki, l := range all {
		zone, err := time.LoadLocation(l.zone)
		if err != nil {
			return nil, fmt.Errorf("cannot load the zone of %q: %w", l.name, err)
		}
		k := Kind{Name: l.name}
		for i := range o.Series {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			seed := o.Seed<<16 + uint64(ki)<<8 + uint64(i)
			k.With.add(l.play(zone, seed, o.Weeks, true, &k.Follows), o)
			k.Without.add(l.play(zone, seed, o.Weeks, false, nil), o)
		}
		r.Kinds = append(r.Kinds, k)
		r.Mean.With.mean(k.With, len(all))
		r.Mean.Without.mean(k.Without, len(all))
		r.Mean.Follows += k.Follows
	}
	return r, nil
}

// counted is what one series came to.
type counted struct{ alarms, missed, faults int }

func (s *Score) add(c counted, o Options) {
	s.FalseAWeek += float64(c.alarms) / float64(o.Weeks*o.Series)
	s.Missed = (s.Missed*float64(s.Faults) + float64(c.missed)) / float64(max(1, s.Faults+c.faults))
	s.Faults += c.faults
}

func (s *Score) mean(k Score, of int) {
	s.FalseAWeek += k.FalseAWeek / float64(of)
	s.Missed += k.Missed / float64(of)
	s.Faults += k.Faults
}

// play lives one series through.
func (l *life) play(zone *time.Location, seed uint64, weeks int, with bool, follows *int) (out counted) {
	from := l.from.UnixMilli()
	begin, end := from+learning, from+learning+int64(weeks)*7*day
	cfg := detect.Config{QuietBefore: begin}
	if with {
		cfg.Seasons = 1
		cfg.Calendar = &season.Calendar{Zone: zone, Holiday: func(y int, m time.Month, d int) string {
			if rest(time.Date(y, m, d, 0, 0, 0, 0, time.UTC)) && l.name == "office with holidays" {
				return "Rest"
			}
			return ""
		}}
	}
	e := detect.New(cfg)
	meta := &telemetry.Series{ID: 1, Name: "simulated", Signal: telemetry.SignalSaturation}
	r := rand.New(rand.NewPCG(seed, 11))
	fault, sign, seen := begin+int64(r.Float64()*faultEvery), 1., false
	known := map[string]bool{}
	for t := from; t < end; t += step {
		v := 100 + 100*l.f(t, time.UnixMilli(t).In(zone)) + 4*r.NormFloat64()
		if t >= fault+faultLasts+grace { // the next fault
			out.fault(seen)
			fault, sign, seen = t+int64((.5+r.Float64())*faultEvery), float64(1-2*r.IntN(2)), false
		}
		if t >= fault && t < fault+faultLasts {
			v += 40 * sign
		}
		a := e.Observe(telemetry.Point{Series: meta, T: t, V: v})
		if a == nil || a.Severity < pages || known[a.ID] {
			continue
		}
		known[a.ID] = true
		switch {
		case t >= fault && t < fault+faultLasts+step:
			seen = true
		case t < fault: // after a fault its consequences do not count
			out.alarms++
		}
	}
	if x, ok := e.Explain(1); ok && follows != nil && x.Season.InUse {
		*follows++
	}
	return out
}

func (c *counted) fault(seen bool) {
	c.faults++
	if !seen {
		c.missed++
	}
}

// Print writes the table.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "kind\tfalse a week, without\twith\tmissed, without\twith\tfaults\tfollows\t\n")
	for _, k := range append(r.Kinds[:len(r.Kinds):len(r.Kinds)], r.Mean) {
		fmt.Fprintf(t, "%s\t%.3f\t%.3f\t%.0f %%\t%.0f %%\t%d\t%d\t\n", k.Name, k.Without.FalseAWeek, k.With.FalseAWeek,
			100*k.Without.Missed, 100*k.With.Missed, k.With.Faults, k.Follows)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("cannot write the table: %w", err)
	}
	return nil
}
