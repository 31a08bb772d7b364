package demo

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/norn-aiops/norn/internal/demo/model"
	"github.com/norn-aiops/norn/internal/demo/plan"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// fineHistory is the last part of the past, made at the live interval.
const fineHistory = 3 * time.Hour

// quieter is the factor of the demand in the measurement's first part. It
// tells a process's idle use of the processor from the cost of a request.
const quieter = 0.75

// measurement is what a live run of the shop was seen to produce.
type measurement struct {
	series []store.SeriesData
	demand func(time.Time) float64
}

// past measures the shop against the throw-away Norn and gives the real one
// its two weeks, up to about now. The shop is measured elsewhere, and not in
// the Norn that gets the past, because a store takes the samples of a series
// in time order. Without a way to do so it returns nil.
func (d *demo) past(ctx context.Context, ps *processes, us *users) (*model.Generator, error) {
	if d.o.Append == nil || d.o.Calibrate == nil {
		return nil, nil
	}
	var m measurement
	err := d.o.Calibrate(ctx, func(ctx context.Context, otlp, api string) (err error) {
		m, err = d.measure(ctx, ps, us, otlp, api)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("demo: cannot measure the shop: %w", err)
	}
	gen, err := model.New(model.Config{
		Plan: d.plan, Live: m.series, Demand: m.demand, Rate: d.o.Rate, Seed: d.o.Seed,
		From: time.Now().Add(-d.o.History), Fine: fineHistory, Zone: time.Local,
		Opened: ps.Opened(),
	})
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	const phase = "making the shop's past"
	d.o.Progress(phase, 0)
	return gen, gen.Until(ctx, time.Now(), d.o.Append, func(x float64) { d.o.Progress(phase, x) })
}

// measure shows the shop to the throw-away Norn at two levels of demand and
// reads its series back.
func (d *demo) measure(ctx context.Context, ps *processes, us *users, otlp, api string) (measurement, error) {
	const phase = "measuring the shop"
	var levels schedule
	begin := time.Now()
	set := func(factor float64) {
		us.Surge(factor)
		levels.set(time.Now(), factor)
	}
	set(quieter)
	defer us.Surge(1)
	m := measurement{demand: levels.at}
	if err := ps.Connect(ctx, otlp, begin); err != nil {
		return m, err
	}
	for {
		t := time.Since(begin)
		d.o.Progress(phase, math.Min(1, float64(t)/float64(d.o.MeasureFor)))
		if t >= d.o.MeasureFor {
			break
		}
		if t >= d.o.MeasureFor*2/5 && levels.last() != 1 {
			set(1)
		}
		if !pause(ctx, 500*time.Millisecond) {
			return m, ctx.Err()
		}
	}
	var err error
	if m.series, err = newNorn(api).Series(ctx, d.o.MeasureFor); err != nil {
		return m, err
	}
	m.series = whole(m.series, begin.Truncate(d.o.Window).Add(d.o.Window))
	return m, ps.Connect(ctx, "", time.Now())
}

// whole drops the samples of windows that were under way when the measurement
// began; a series that has no others keeps its last.
func whole(series []store.SeriesData, first time.Time) []store.SeriesData {
	out := make([]store.SeriesData, 0, len(series))
	for _, s := range series {
		kept := store.SeriesData{Labels: s.Labels}
		for _, v := range s.Samples {
			if v.T > first.UnixMilli() {
				kept.Samples = append(kept.Samples, v)
			}
		}
		if n := len(s.Samples); len(kept.Samples) == 0 && n > 0 {
			kept.Samples = []telemetry.Sample{s.Samples[n-1]}
		}
		out = append(out, kept)
	}
	return out
}

// schedule remembers which factor the demand had when. Safe for concurrent
// use.
type schedule struct {
	mu      sync.Mutex
	from    []time.Time
	factors []float64
}

func (s *schedule) set(t time.Time, factor float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from = append(s.from, t)
	s.factors = append(s.factors, factor)
}

func (s *schedule) last() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.factors[len(s.factors)-1]
}

// at is the demand at a time, as a factor of the mean over the day.
func (s *schedule) at(t time.Time) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := 1.0
	for i, from := range s.from {
		if !t.Before(from) {
			f = s.factors[i]
		}
	}
	return f * plan.Load(t)
}
