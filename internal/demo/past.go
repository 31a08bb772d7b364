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

// settleTime is how long the shop runs before it is measured.
const settleTime = 12 * time.Second

// fineHistory is the last part of the past, made at the live interval.
const fineHistory = 3 * time.Hour

// measurement is what a live run of the shop was seen to produce.
type measurement struct {
	series []store.SeriesData
	demand func(time.Time) float64
}

// past measures the shop against the throw-away Norn and gives the real one
// its two weeks. The shop is measured elsewhere, and not in the Norn that gets
// the past, because a store takes samples of a series in time order.
func (d *demo) past(ctx context.Context) error {
	if d.o.Append == nil || d.o.Calibrate == nil {
		return nil
	}
	var m measurement
	err := d.o.Calibrate(ctx, func(ctx context.Context, otlp, api string) (err error) {
		m, err = d.measure(ctx, otlp, api)
		return err
	})
	if err != nil {
		return fmt.Errorf("demo: cannot measure the shop: %w", err)
	}
	gen, err := model.New(model.Config{
		Plan: d.plan, Live: m.series, Demand: m.demand, Rate: d.o.Rate, Seed: d.o.Seed,
		From: time.Now().Add(-d.o.History), Fine: fineHistory, Zone: time.Local,
	})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	const phase = "making two weeks of history"
	d.o.Progress(phase, 0)
	if err := gen.Until(ctx, time.Now(), d.o.Append, func(x float64) { d.o.Progress(phase, x) }); err != nil {
		return err
	}
	// Making it took a while; catch up, so that the past ends where the live
	// samples begin.
	return gen.Until(ctx, time.Now(), d.o.Append, func(float64) {})
}

// measure runs the shop at two levels of demand and reads its series back.
func (d *demo) measure(ctx context.Context, otlp, api string) (m measurement, err error) {
	const phase = "measuring the shop"
	var levels schedule
	m.demand = levels.at
	err = d.withShop(ctx, otlp, "starting the shop to measure it", func(ctx context.Context, _ *processes, us *users) error {
		begin := time.Now()
		set := func(factor float64) {
			us.Surge(factor)
			levels.set(time.Now(), factor)
		}
		set(1)
		settle := min(settleTime, d.o.MeasureFor)
		total := settle + d.o.MeasureFor
		for {
			t := time.Since(begin)
			d.o.Progress(phase, math.Min(1, float64(t)/float64(total)))
			switch {
			case t >= total:
				series, err := newNorn(api).Series(ctx, d.o.MeasureFor)
				if err != nil {
					return err
				}
				m.series = since(series, begin.Add(settle))
				return nil
			case t >= settle+d.o.MeasureFor/2 && levels.last() == 1:
				set(0.6)
			}
			if !pause(ctx, 500*time.Millisecond) {
				return ctx.Err()
			}
		}
	})
	return m, err
}

// since keeps the samples of the measured time, and the last sample of series
// that have none there.
func since(series []store.SeriesData, from time.Time) []store.SeriesData {
	out := make([]store.SeriesData, 0, len(series))
	for _, s := range series {
		kept := store.SeriesData{Labels: s.Labels}
		for _, v := range s.Samples {
			if v.T >= from.UnixMilli() {
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
