package slo

import (
	"math"
	"slices"
	"time"

	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	inferWindow  = 30 * day
	leastPast    = 48     // hours before anything is inferred
	freshHours   = 24     // newest hours that nothing is inferred from: they may be the trouble
	weekHours    = 7 * 24 // stretches that are looked at, from two weeks of past on; days before
	leastPerSpan = 100    // requests that a stretch must hold
	keptShare    = .01    // of the stretches may have been worse
	latencyShare = .95    // objective of latency: that the 95th percentile stays below
	latencyRoom  = 1.25   // above the slowest hours
	changedBy    = 1.5    // factor from which another threshold is worth beginning anew
)

// Past learns what a service keeps by itself, where nobody declared an
// objective: one of availability, one of latency.
type Past struct {
	Availability, Latency *Objective // Target 0, Threshold 0 until enough is known

	p95  []p95Hour // by hour mod len
	hour int64     // newest hour
}

type p95Hour struct{ sum, weight float32 }

// NewPast begins to learn an entity.
func NewPast(e telemetry.Entity) *Past {
	p := &Past{Availability: New("usual availability", e, Availability, 0, 0, inferWindow),
		Latency: New("usual latency", e, Slow, 0, 0, inferWindow), p95: make([]p95Hour, int(inferWindow/time.Hour)+1)}
	p.Availability.Inferred, p.Latency.Inferred = true, true
	return p
}

// Add counts requests of a minute: how many, how many failed, and the median
// and 95th percentile (s) of their time; NaN where it is not known.
func (p *Past) Add(minute int64, total, failed, p50, p95 float64) {
	p.Availability.Add(minute, Counts{failed, total})
	if !(p95 > 0) || !(total > 0) || math.IsInf(p95, 0) {
		return
	}
	p.at(minute / hourMinutes)
	if hr, n := minute/hourMinutes, int64(len(p.p95)); p.hour-hr < n {
		c := &p.p95[hr%n]
		c.sum, c.weight = c.sum+float32(p95*total), c.weight+float32(total)
	}
	if p.Latency.Threshold > 0 {
		p.Latency.Add(minute, Counts{total * SlowShare(p50, p95, p.Latency.Threshold), total})
	}
}

func (p *Past) at(hour int64) {
	n := int64(len(p.p95))
	for h := max(p.hour+1, hour-n+1); h <= hour; h++ {
		p.p95[h%n] = p95Hour{}
	}
	p.hour = max(p.hour, hour)
}

// Learn looks at the past again. It costs some microseconds and is meant for
// once an hour.
func (p *Past) Learn() {
	if t, ok := p.availability(); ok {
		p.Availability.Target = t
	}
	if t, ok := p.threshold(); ok {
		old := p.Latency
		if old.Threshold == 0 || t > old.Threshold*changedBy || t < old.Threshold/changedBy {
			p.Latency = New(old.Name, old.Entity, Slow, latencyShare, t, inferWindow)
			p.Latency.Inferred = true
		}
	}
}

// Known gives the objectives of which enough is known.
func (p *Past) Known() []*Objective {
	var out []*Objective
	if p.Availability.Target > 0 {
		out = append(out, p.Availability)
	}
	if p.Latency.Threshold > 0 {
		out = append(out, p.Latency)
	}
	return out
}

// targets are the objectives that people promise, best first.
func targets() []float64 {
	return []float64{.9999, .9995, .999, .998, .995, .99, .98, .95, .9, .8, .5}
}

// availability is the best usual objective that was kept in 99 of 100 weeks of
// the past (days, before there were two weeks), sliding by the hour. The
// newest day is left out.
func (p *Past) availability() (float64, bool) {
	h := &p.Availability.h
	n := int64(len(h.hours))
	now := h.last / hourMinutes
	from, to := max(h.first/hourMinutes, now-n+1), now-freshHours
	if h.last == 0 || to-from+1 < leastPast {
		return 0, false
	}
	width := int64(24)
	if to-from+1 >= 2*weekHours {
		width = weekHours
	}
	var shares []float64
	var c Counts
	for hr := from; hr <= to; hr++ {
		x := h.hours[hr%n]
		c.add(Counts{float64(x.bad), float64(x.total)})
		if old := hr - width; old >= from {
			x := h.hours[old%n]
			c.add(Counts{-float64(x.bad), -float64(x.total)})
		}
		if hr-from+1 >= width && c.Total >= leastPerSpan {
			shares = append(shares, max(0, c.Bad)/c.Total)
		}
	}
	if len(shares) == 0 {
		return 0, false
	}
	slices.Sort(shares)
	worst := shares[int(math.Ceil((1-keptShare)*float64(len(shares))))-1]
	for _, t := range targets() {
		if 1-worst >= t {
			return t, true
		}
	}
	return 0, false // what fails half of the time promises nothing
}

// threshold is somewhat above the 95th percentile of the slowest hours of the
// past, in two digits. The newest day is left out.
func (p *Past) threshold() (float64, bool) {
	var hours []float64
	n := int64(len(p.p95))
	for hr := max(0, p.hour-n+1); hr <= p.hour-freshHours; hr++ {
		if c := p.p95[hr%n]; c.weight > 0 {
			hours = append(hours, float64(c.sum/c.weight))
		}
	}
	if len(hours) < leastPast {
		return 0, false
	}
	slices.Sort(hours)
	v := latencyRoom * hours[int(math.Ceil((1-keptShare)*float64(len(hours))))-1]
	unit := math.Pow(10, math.Floor(math.Log10(v))-1)
	return math.Ceil(v/unit-1e-3) * unit, true
}

// Save gives what must be kept over a restart.
func (p *Past) Save() (availability, latency Saved) {
	availability, latency = p.Availability.Save(), p.Latency.Save()
	availability.Threshold, latency.Threshold = p.Availability.Target, p.Latency.Threshold
	latency.P95 = append(latency.P95, float32(p.hour/65536), float32(p.hour%65536))
	for _, c := range p.p95 {
		latency.P95 = append(latency.P95, c.sum, c.weight)
	}
	return availability, latency
}

// Load takes what Save gave.
func (p *Past) Load(availability, latency Saved) error {
	if len(latency.P95) != 2*len(p.p95)+2 || !(latency.Threshold >= 0) || !(availability.Threshold >= 0 && availability.Threshold < 1) {
		return errSaved
	}
	fresh := NewPast(p.Availability.Entity)
	if err := fresh.Availability.Load(availability); err != nil {
		return err
	}
	fresh.Availability.Target = availability.Threshold
	if latency.Threshold > 0 {
		fresh.Latency.Threshold, fresh.Latency.Target = latency.Threshold, latencyShare
		if err := fresh.Latency.Load(latency); err != nil {
			return err
		}
	}
	fresh.hour = int64(latency.P95[0])*65536 + int64(latency.P95[1])
	for i := range fresh.p95 {
		fresh.p95[i] = p95Hour{latency.P95[2*i+2], latency.P95[2*i+3]}
	}
	*p = *fresh
	return nil
}
