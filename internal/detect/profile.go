package detect

import (
	"fmt"
	"math"
	"strings"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// Profile says what a series is like, by what the detector has learned of it.
type Profile struct {
	Kind     string  `json:"kind"`               // counter (its rate), gauge, up, derived
	Sparsity float64 `json:"sparsity"`           // share of intervals more than twice the usual
	Repeats  float64 `json:"repeats"`            // share of values equal to the one before
	Zeros    float64 `json:"zeros"`              // share of values that are 0
	Step     float64 `json:"step"`               // smallest step seen, 0 unknown
	Discrete bool    `json:"discrete"`           // few different values
	Trend    float64 `json:"trend"`              // of late against long ago, in units of the scale
	Burst    float64 `json:"burst"`              // root mean square over mean deviation: 1.25 Gaussian, more for bursts; 0 unknown
	Weekend  float64 `json:"weekend"`            // by how much weekends differ, as a share or absolute; 0 unknown or none
	Longest  float64 `json:"longest_flat"`       // points in a row with one value
	Text     string  `json:"text"`               // all of it in words
	Members  string  `json:"members"`            // which judge it, and why those
	Periods  string  `json:"periods,omitempty"`  // in words
	Always   bool    `json:"always_moves"`       // so that a flat line says something
	Silence  bool    `json:"silence_is_judged"`  // gaps are rare
	Reduced  string  `json:"reduced,omitempty"`  // why it is watched less than it could be
	Full     bool    `json:"choice_is_possible"` // its signal is not known
}

func (d *Detector) profile(m *telemetry.Series) Profile {
	b := &d.base
	p := Profile{Kind: kindOfSeries(m), Sparsity: float64(d.pace.irregular), Step: float64(b.granule), Silence: d.pace.judged(), Full: d.opt.floor == floorOther && !d.opt.up}
	if f := d.flat(); f != nil {
		p.Repeats, p.Zeros, p.Longest = float64(f.share), float64(f.zeros), float64(f.longest)
		p.Always = f.share <= alwaysMoving && float64(d.clock.filled)*float64(d.clock.hours) >= flatHistory
	}
	s := math.Sqrt(float64(larger(b.square[0], b.square[1])))
	if s > 0 {
		p.Trend = clamp(float64(b.level-d.ratio.level)/s, -1e6, 1e6)
		p.Discrete = p.Step > .5*s && p.Repeats > alwaysMoving
		if dev := float64(b.errLevel); dev > 0 && b.compared > 0 {
			if b.daily {
				dev = float64(b.errDay)
			}
			if dev > 0 {
				p.Burst = math.Min(1e3, s/dev)
			}
		}
	}
	if b.both && b.daily {
		p.Weekend = math.Abs(float64(b.shift - b.other))
	}
	p.Text = p.text(b)
	p.Members = d.membersText(&p)
	return p
}

// kindOfSeries tells counters, which come as their rate, from gauges.
func kindOfSeries(m *telemetry.Series) string {
	switch {
	case m.Signal == telemetry.SignalUp:
		return "up"
	case strings.HasPrefix(m.Expr, "rate(") || strings.HasPrefix(m.Expr, "increase(") || strings.HasPrefix(m.Name, "rate("):
		return "counter"
	case m.Derived:
		return "derived"
	}
	return "gauge"
}

// text says in words what stands out.
func (p *Profile) text(b *baseline) string {
	says := []string{map[string]string{"counter": "the rate of a counter", "up": "a sign of life", "derived": "a figure derived from others", "gauge": "a gauge"}[p.Kind]}
	add := func(when bool, format string, args ...any) {
		if when {
			says = append(says, fmt.Sprintf(format, args...))
		}
	}
	add(p.Sparsity >= intermitted, "comes with gaps")
	add(p.Zeros >= .2, "is 0 in %.0f %% of points", 100*p.Zeros)
	add(p.Discrete, "moves in steps of %.3g", p.Step)
	add(!p.Discrete && p.Repeats >= .2, "repeats its last value in %.0f %% of points", 100*p.Repeats)
	add(p.Always && !p.Discrete, "always moves")
	add(p.Trend > 2, "has been rising")
	add(p.Trend < -2, "has been falling")
	add(p.Burst > 2, "comes in bursts")
	add(p.Weekend > .1 && !b.negative, "differs by %.0f %% between working days and weekends", 100*p.Weekend)
	return strings.Join(says, ", ")
}

// membersText says which members judge the series and why those.
func (d *Detector) membersText(p *Profile) string {
	switch {
	case d.opt.up:
		return "nothing but its value is needed"
	case d.pick != nil:
		return "judged by several detectors that are weighed by what it is like, as its signal is not known"
	}
	who := "level, drift, spike and shape"
	if d.base.sparse(d.opt.floor) {
		who = "level, drift and spike (it is mostly 0, so its shape means nothing)"
	} else if d.shape == nil {
		who = "level, drift and spike, later shape"
	}
	if p.Always {
		who += ", and a flat line"
	}
	if p.Silence {
		who += ", and silence"
	}
	why := "what matters in its signal is known, and a choice by profile has raised more false alarms there"
	if p.Full {
		why = "no place of the full tier is free for it"
	}
	return fmt.Sprintf("judged by %s: %s", who, why)
}
