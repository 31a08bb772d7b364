// Package forecast says how a series goes on, how sure that is, and when it
// reaches a limit.
//
// It exists so that capacity, schedules and early warnings rest on one
// forecaster that needs no settings: gaps are filled, single wrong values and
// level shifts repaired, cheap candidates compared by their errors at some
// forty past origins, and combined by those errors; the same errors give the
// intervals. It does not read series from anywhere, does not know the time and
// finds no causes.
//
// [Make] is a pure function: same input, same output; safe for concurrent use.
package forecast

import (
	"errors"
	"fmt"
	"math"
)

// ErrTooShort is returned (wrapped) when a series holds fewer than three
// measured values.
var ErrTooShort = errors.New("too few values")

// Input is a series and what is asked of it.
type Input struct {
	Values  []float64 // equally spaced, oldest first; NaN or infinite where nothing was measured
	Step    int64     // ms between two values; names the usual seasons, 0 when unknown
	Seasons []int     // lengths of possible seasons in steps, shortest first; nil means by Step and by what the series shows
	Horizon int       // steps to forecast, at least 1
	Low     *float64  // the quantity is never below
	High    *float64  // the quantity is never above
}

// Band is an interval forecast.
type Band struct {
	Level float64   `json:"level"` // probability that the value lies inside, 0..1
	Low   []float64 `json:"low"`   // one per step of the horizon
	High  []float64 `json:"high"`
}

// Candidate is one method with its part in the forecast.
type Candidate struct {
	Name   string  `json:"name"`
	Text   string  `json:"text"`   // what it does, in words
	MAE    float64 `json:"mae"`    // mean absolute error at past origins, in the series' unit
	Weight float64 `json:"weight"` // share in the forecast, 0..1
}

// Shift is a level shift that was repaired.
type Shift struct {
	At int     `json:"at"` // index of the first value at the new level
	By float64 `json:"by"` // in the series' unit
}

// Forecast is the answer. All slices over the horizon have its length.
type Forecast struct {
	Mean       []float64   `json:"mean"`
	Bands      []Band      `json:"bands"` // 80 % and 95 %
	Candidates []Candidate `json:"candidates"`
	Seasons    []int       `json:"seasons"`  // used, in steps
	Filled     int         `json:"filled"`   // gaps that were filled
	Outliers   int         `json:"outliers"` // wrong values that were repaired
	Shifts     []Shift     `json:"shifts"`
	Origins    int         `json:"origins"` // past origins that the errors come from
	Reason     string      `json:"reason"`  // one sentence
	Errors     Errors      `json:"-"`
}

// Errors are the combined forecast's errors at past origins: what measured
// minus what was forecast, one row per origin, one value per step.
type Errors struct {
	Origins []int // index of the first forecast value
	Of      [][]float64
}

// maxHorizon bounds what is computed for one series.
const maxHorizon = 20_000

// Make forecasts. It fails when the horizon is not positive or too long, or
// with [ErrTooShort]; no input makes it panic, and no answer is NaN or infinite.
func Make(in Input) (Forecast, error) {
	if in.Horizon < 1 || in.Horizon > maxHorizon {
		return Forecast{}, fmt.Errorf("forecast %d steps: between 1 and %d are possible", in.Horizon, maxHorizon)
	}
	y, filled, err := fill(in.Values)
	if err != nil {
		return Forecast{}, err
	}
	y, unit := scale(y)
	seasons := in.Seasons
	if seasons == nil {
		seasons = usual(in.Step, y)
	}
	used := fitting(seasons, len(y))
	r := repair(y, used)
	s := newSample(r.y, used, seasons, in.Horizon)
	out := s.combine(s.candidates())
	out.Filled, out.Outliers, out.Shifts, out.Seasons = filled, r.outliers, r.shifts, used
	out.Bands = s.bands(&out)
	out.rescale(unit)
	out.bound(in, y)
	out.Reason = out.sentence(len(y))
	return out, nil
}

// fill replaces what is missing by the line between its neighbours; values at
// the ends are repeated.
func fill(vs []float64) ([]float64, int, error) {
	y := make([]float64, len(vs))
	last, good := -1, 0
	for i, v := range vs {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		y[i] = v
		good++
		if last < 0 {
			last = i
			for j := range i {
				y[j] = v
			}
		}
		for j := last + 1; j < i; j++ {
			f := float64(j-last) / float64(i-last)
			y[j] = y[last]*(1-f) + v*f
		}
		last = i
	}
	if good < 3 {
		return nil, 0, fmt.Errorf("forecast from %d measured values: %w", good, ErrTooShort)
	}
	for j := last + 1; j < len(y); j++ {
		y[j] = y[last]
	}
	return y, len(y) - good, nil
}

// scale divides by the largest size, so that no product overflows.
func scale(y []float64) ([]float64, float64) {
	top := 0.0
	for _, v := range y {
		top = max(top, math.Abs(v))
	}
	if top < math.SmallestNonzeroFloat64*1e16 {
		return make([]float64, len(y)), 1
	}
	for i := range y {
		y[i] /= top
	}
	return y, top
}

func (f *Forecast) rescale(unit float64) {
	mul := func(xs []float64) {
		for i := range xs {
			xs[i] = min(max(xs[i]*unit, -math.MaxFloat64), math.MaxFloat64)
		}
	}
	mul(f.Mean)
	for _, b := range f.Bands {
		mul(b.Low)
		mul(b.High)
	}
	for i := range f.Candidates {
		f.Candidates[i].MAE *= unit
	}
	for i := range f.Shifts {
		f.Shifts[i].By *= unit
	}
	for _, e := range f.Errors.Of {
		mul(e)
	}
}

// bound keeps the forecast inside of the quantity's bounds; what never was
// negative does not become so.
func (f *Forecast) bound(in Input, y []float64) {
	lo, hi := math.Inf(-1), math.Inf(1)
	if least := minOf(y); least >= 0 {
		lo = 0
	}
	if in.Low != nil {
		lo = *in.Low
	}
	if in.High != nil {
		hi = *in.High
	}
	clip := func(xs []float64) {
		for i := range xs {
			xs[i] = max(min(xs[i], hi), lo)
		}
	}
	clip(f.Mean)
	for _, b := range f.Bands {
		clip(b.Low)
		clip(b.High)
	}
}

func minOf(xs []float64) float64 {
	m := math.Inf(1)
	for _, x := range xs {
		m = min(m, x)
	}
	return m
}

func maxOf(xs []float64) float64 {
	m := math.Inf(-1)
	for _, x := range xs {
		m = max(m, x)
	}
	return m
}
