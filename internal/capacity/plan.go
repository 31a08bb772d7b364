package capacity

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// HoursAWeek is the length of a profile.
const HoursAWeek = 168

// Demand is what a plan is made for.
type Demand struct {
	Times      []int64   // Unix ms, ascending
	Values     []float64 // of the same length; NaN where nothing was measured
	PerReplica float64   // what one replica serves, in the unit of the values
	Risk       float64   // share of time in which demand may exceed the plan, 0..0.5
	Headroom   float64   // added to what the risk asks for: 0.1 is a tenth
	Least      int       // replicas at any hour; at least 1
	Zone       *time.Location
}

// Plan is a weekly schedule. Hours are counted from Monday 00:00 in the plan's
// time zone.
type Plan struct {
	Zone       string    `json:"time_zone"`
	PerReplica float64   `json:"per_replica"`
	Risk       float64   `json:"risk"`
	Demand     []float64 `json:"demand"`   // planned for, by hour of the week
	Replicas   []int     `json:"replicas"` // by hour of the week
	Static     int       `json:"static_replicas"`
	Saved      float64   `json:"saved"`           // share of replica hours saved against the static peak
	Headroom   float64   `json:"headroom"`        // used, so that the past would have been served
	Exceeded   float64   `json:"exceeded"`        // share of the last week in which demand exceeded a plan made before it
	StaticRisk float64   `json:"static_exceeded"` // the same of the static peak
	Weeks      int       `json:"weeks"`
	Reason     string    `json:"reason"`
}

// ErrTooShort is returned (wrapped) for less than two weeks of demand.
var ErrTooShort = errors.New("too little is known")

// Make makes a plan: for each hour of the week the quantile 1-risk of its
// demand in the weeks seen, at the present level, with a headroom that would
// have kept the risk in past weeks that the plan did not know. It needs two
// weeks; faults of the demand are named.
func Make(d Demand) (Plan, error) {
	switch {
	case !(d.PerReplica > 0) || math.IsInf(d.PerReplica, 0):
		return Plan{}, fmt.Errorf("what one replica serves is %v: must be positive", d.PerReplica)
	case !(d.Risk >= 0 && d.Risk <= .5):
		return Plan{}, fmt.Errorf("a risk of %v is not between 0 and 0.5", d.Risk)
	case !(d.Headroom >= 0 && d.Headroom <= 10):
		return Plan{}, fmt.Errorf("a headroom of %v is not between 0 and 10", d.Headroom)
	}
	if d.Zone == nil {
		d.Zone = time.UTC
	}
	ws := weeksOf(&d)
	if len(ws) < 2 {
		return Plan{}, fmt.Errorf("a plan by hours of the week from %d whole weeks, two are needed: %w", len(ws), ErrTooShort)
	}
	p := Plan{Zone: d.Zone.String(), PerReplica: d.PerReplica, Risk: d.Risk, Weeks: len(ws)}
	room := headroom(ws, d.Risk)
	p.Headroom = (1+room)*(1+d.Headroom) - 1
	p.Demand = scaled(profile(ws, d.Risk), 1+p.Headroom)
	least := max(d.Least, 1)
	peak, used := 0.0, 0
	for _, w := range ws {
		for _, vs := range w {
			for _, v := range vs {
				peak = max(peak, v)
			}
		}
	}
	count := func(v float64) int { return max(int(min(math.Ceil(v/d.PerReplica-1e-9), 1e6)), least) }
	p.Static = count(peak * (1 + d.Headroom))
	for _, v := range p.Demand {
		n := min(count(v), p.Static)
		p.Replicas = append(p.Replicas, n)
		used += n
	}
	p.Saved = 1 - float64(used)/float64(p.Static*HoursAWeek)
	p.judge(ws, &d, count)
	p.Reason = fmt.Sprintf("from %d weeks; for each hour of the week what served it in %.4g %% of the time, and %.1f %% on top that past weeks asked for", p.Weeks, 100*(1-d.Risk), 100*p.Headroom)
	return p, nil
}

// judge tries what would have been planned a week ago on the last week.
func (p *Plan) judge(ws []week, d *Demand, count func(float64) int) {
	last, before := ws[len(ws)-1], ws[:len(ws)-1]
	room := 0.0
	if len(before) > 1 {
		room = headroom(before, d.Risk)
	}
	prof := scaled(profile(before, d.Risk), (1+room)*(1+d.Headroom))
	peak := 0.0
	for _, w := range before {
		for _, vs := range w {
			for _, v := range vs {
				peak = max(peak, v)
			}
		}
	}
	over, above, n := 0, 0, 0
	for h, vs := range last {
		have := float64(count(prof[h])) * d.PerReplica
		for _, v := range vs {
			n++
			if v > have {
				over++
			}
			if v > float64(count(peak*(1+d.Headroom)))*d.PerReplica {
				above++
			}
		}
	}
	p.Exceeded, p.StaticRisk = float64(over)/float64(max(n, 1)), float64(above)/float64(max(n, 1))
}

// week is the demand by hour of the week.
type week [HoursAWeek][]float64

// weeksOf cuts the demand into weeks that end with the newest value, oldest
// first; a week of which less than half of the hours is known is left out.
func weeksOf(d *Demand) []week {
	if len(d.Times) == 0 {
		return nil
	}
	end := d.Times[len(d.Times)-1]
	by := map[int]*week{}
	for i, t := range d.Times {
		v := d.Values[i]
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		n := int((end - t) / (7 * day))
		if by[n] == nil {
			by[n] = &week{}
		}
		h := HourOfWeek(t, d.Zone)
		by[n][h] = append(by[n][h], v)
	}
	var out []week
	for n := len(by) + 52; n >= 0; n-- {
		w := by[n]
		if w == nil {
			continue
		}
		known := 0
		for _, vs := range w {
			if len(vs) > 0 {
				known++
			}
		}
		if known > HoursAWeek/2 {
			out = append(out, *w)
		}
	}
	return out
}

// HourOfWeek counts from Monday 00:00 in a zone.
func HourOfWeek(ms int64, zone *time.Location) int {
	t := time.UnixMilli(ms).In(zone)
	return (int(t.Weekday())+6)%7*24 + t.Hour()
}

// profile is the quantile 1-risk of each hour, weeks brought to the level of
// the last one; hours that nobody saw have that of their neighbours. The newest
// four weeks count.
func profile(ws []week, risk float64) []float64 {
	ws = ws[max(0, len(ws)-4):]
	now := level(ws[len(ws)-1])
	out := make([]float64, HoursAWeek)
	for h := range out {
		var vs []float64
		for _, w := range ws {
			f := 1.0
			if l := level(w); l > 0 && now > 0 {
				f = min(max(now/l, .5), 2)
			}
			for _, v := range w[h] {
				vs = append(vs, v*f)
			}
		}
		out[h] = math.NaN()
		if len(vs) > 0 {
			slices.Sort(vs)
			i := int(math.Ceil((1-risk)*float64(len(vs)))) - 1
			out[h] = vs[min(max(i, 0), len(vs)-1)]
		}
	}
	for h := range out {
		for k := 1; k < HoursAWeek && math.IsNaN(out[h]); k++ {
			out[h] = max(nan0(out[(h+k)%HoursAWeek]), nan0(out[(h-k+HoursAWeek)%HoursAWeek]))
			if out[h] == 0 && math.IsNaN(out[(h+k)%HoursAWeek]) && math.IsNaN(out[(h-k+HoursAWeek)%HoursAWeek]) {
				out[h] = math.NaN()
			}
		}
	}
	return out
}

func nan0(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

func level(w week) float64 {
	sum, n := 0.0, 0
	for _, vs := range w {
		for _, v := range vs {
			sum += v
			n++
		}
	}
	return sum / float64(max(n, 1))
}

// headroom is what must be added to the profile of earlier weeks so that at
// most the risk of the time of later weeks exceeds it.
func headroom(ws []week, risk float64) float64 {
	var ratios []float64
	for i := max(1, len(ws)-3); i < len(ws); i++ {
		prof := profile(ws[:i], risk)
		for h, vs := range ws[i] {
			for _, v := range vs {
				if prof[h] > 0 {
					ratios = append(ratios, v/prof[h]-1)
				}
			}
		}
	}
	if len(ratios) == 0 {
		return 0
	}
	slices.Sort(ratios)
	i := int(math.Ceil((1-risk)*float64(len(ratios)))) - 1
	return min(max(ratios[min(max(i, 0), len(ratios)-1)], 0), 5)
}

func scaled(xs []float64, f float64) []float64 {
	for i := range xs {
		xs[i] *= f
	}
	return xs
}

// Span is a stretch of hours with one number of replicas.
type Span struct {
	From, To int // hours of the week; To is after the last, up to 168
	Replicas int
}

// Spans joins hours of equal numbers, from Monday 00:00.
func (p *Plan) Spans() []Span {
	var out []Span
	for h, n := range p.Replicas {
		if k := len(out) - 1; k >= 0 && out[k].Replicas == n {
			out[k].To = h + 1
			continue
		}
		out = append(out, Span{h, h + 1, n})
	}
	return out
}
