package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/common/model"

	"github.com/norn-aiops/norn/internal/capacity"
	"github.com/norn-aiops/norn/internal/forecast"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	maxFans      = 20   // series of one answer
	mostPast     = 6000 // values of history that are read for one series
	mostAhead    = 2000 // steps
	planWeeks    = 8
	planStep     = 5 * time.Minute
	longestAhead = 2 * 365 * day
)

type forecastInput struct {
	Query      string `query:"query" required:"true" maxLength:"10000" doc:"PromQL."`
	Horizon    string `query:"horizon" default:"1d" doc:"How far ahead: 6h, 14d."`
	Step       string `query:"step" doc:"Distance of two values; by the horizon when empty."`
	History    string `query:"history" doc:"How much of the past is used; by the step when empty."`
	At         string `query:"at" doc:"Where the past ends: Unix ms, RFC 3339 or an age such as -1h. Default: now."`
	Low        string `query:"low" doc:"The quantity is never below."`
	High       string `query:"high" doc:"The quantity is never above."`
	Limit      string `query:"limit" doc:"When is this value reached?"`
	Direction  string `query:"direction" enum:"up,down" default:"up" doc:"Whether the limit is reached rising or falling."`
	Points     int    `query:"points" minimum:"10" maximum:"5000" default:"600" doc:"Of the past that is sent."`
	Candidates bool   `query:"candidates" doc:"Whether to send the methods' errors."`
}

// Fan is one series with its forecast.
type Fan struct {
	Labels     map[string]string    `json:"labels"`
	Past       Curve                `json:"past"`
	T          []int64              `json:"t_unix_ms" nullable:"false"`
	Mean       []float64            `json:"mean" nullable:"false"`
	Low80      []float64            `json:"low80" nullable:"false"`
	High80     []float64            `json:"high80" nullable:"false"`
	Low95      []float64            `json:"low95" nullable:"false"`
	High95     []float64            `json:"high95" nullable:"false"`
	Seasons    []int64              `json:"seasons_ms" nullable:"false" doc:"Lengths of the cycles that were used."`
	Reason     string               `json:"reason"`
	Note       string               `json:"note,omitempty" doc:"Why there is no forecast."`
	Candidates []forecast.Candidate `json:"candidates,omitempty" doc:"Best first; weights add up to 1."`
	Limit      *forecast.Exhaustion `json:"limit,omitempty" doc:"When the limit is reached, if one was given."`
}

// ForecastResult is how the results of a query go on.
type ForecastResult struct {
	From   int64 `json:"from_unix_ms"`
	To     int64 `json:"to_unix_ms" doc:"Where the past ends and the forecast begins."`
	StepMS int64 `json:"step_ms"`
	Fans   []Fan `json:"result" nullable:"false"`
	Total  int   `json:"total" doc:"Series in the full result; at most 20 are forecast."`
}

// ahead is a forecast's grid.
type ahead struct{ from, to, step, horizon int64 }

func (in *forecastInput) grid(now time.Time) (g ahead, err error) {
	length := func(name, text string, def int64) int64 {
		if text == "" || err != nil {
			return def
		}
		d, bad := model.ParseDuration(text)
		if bad != nil || d <= 0 {
			err = fmt.Errorf("%w: %s=%q is not a length of time such as 6h or 14d", errBadRequest, name, text)
			return def
		}
		return time.Duration(d).Milliseconds()
	}
	g.horizon = length("horizon", in.Horizon, day.Milliseconds())
	g.step = length("step", in.Step, forecastStep(g.horizon))
	g.to = now.UnixMilli()
	if in.At != "" && err == nil {
		g.to, err = ParseTime("at", in.At, now)
	}
	g.to -= g.to % max(g.step, 1)
	past := length("history", in.History, min(max(8*g.horizon, 15*day.Milliseconds()), mostPast*g.step))
	g.from = max(g.to-past, 0)
	switch {
	case err != nil:
	case g.horizon > longestAhead.Milliseconds():
		err = fmt.Errorf("%w: a horizon of more than two years", errBadRequest)
	case g.step < 1000:
		err = fmt.Errorf("%w: a step of less than a second", errBadRequest)
	case g.horizon < g.step:
		err = fmt.Errorf("%w: the horizon is shorter than the step", errBadRequest)
	case g.horizon/g.step > mostAhead:
		err = fmt.Errorf("%w: %d steps ahead are more than %d: take a longer step", errBadRequest, g.horizon/g.step, mostAhead)
	case past/g.step > 2*mostPast:
		err = fmt.Errorf("%w: a history of %d steps is longer than %d: take a longer step", errBadRequest, past/g.step, 2*mostPast)
	}
	return g, err
}

// forecastStep is a step with about 340 of them to the horizon at most.
func forecastStep(horizon int64) int64 {
	return max(niceStep(horizon, 340), time.Minute.Milliseconds())
}

func optional(name, text string) (*float64, error) {
	if text == "" {
		return nil, nil
	}
	var v float64
	if _, err := fmt.Sscanf(text, "%g", &v); err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return nil, fmt.Errorf("%w: %s=%q is not a number", errBadRequest, name, text)
	}
	return &v, nil
}

func (s *Server) forecast(ctx context.Context, in *forecastInput) (*body[ForecastResult], error) {
	g, err := in.grid(s.now())
	if err != nil {
		return nil, err
	}
	var bounds [3]*float64
	for i, b := range []struct{ name, text string }{{"low", in.Low}, {"high", in.High}, {"limit", in.Limit}} {
		if bounds[i], err = optional(b.name, b.text); err != nil {
			return nil, err
		}
	}
	list, err := s.metrics.QueryRange(ctx, in.Query, g.from, g.to, g.step)
	if err != nil {
		return nil, fmt.Errorf("forecast: %w", blameQuery(ctx, err))
	}
	out := ForecastResult{From: g.from, To: g.to, StepMS: g.step, Fans: []Fan{}, Total: len(list)}
	for _, sd := range list[:min(len(list), maxFans)] {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		out.Fans = append(out.Fans, fan(in, g, sd, bounds))
	}
	return ok(out), nil
}

func fan(in *forecastInput, g ahead, sd store.SeriesData, bounds [3]*float64) Fan {
	f := Fan{Labels: sd.Labels.Map(), Past: toCurve(breakGaps(thin(sd.Samples, in.Points))), T: []int64{}, Mean: []float64{},
		Low80: []float64{}, High80: []float64{}, Low95: []float64{}, High95: []float64{}, Seasons: []int64{}}
	values := grid(sd.Samples, g)
	if bounds[2] != nil {
		e, err := forecast.Exhaust(forecast.Supply{Values: values, Step: g.step, Limit: *bounds[2], Falling: in.Direction == "down", Ahead: g.horizon, Seed: 1})
		if err != nil {
			f.Note = err.Error()
		} else {
			f.Limit = &e
		}
	}
	made, err := forecast.Make(forecast.Input{Values: values, Step: g.step, Horizon: int(g.horizon / g.step), Low: bounds[0], High: bounds[1]})
	if err != nil {
		f.Note = err.Error()
		return f
	}
	for k := range made.Mean {
		f.T = append(f.T, g.to+int64(k+1)*g.step)
	}
	f.Mean, f.Reason = made.Mean, made.Reason
	f.Low80, f.High80, f.Low95, f.High95 = made.Bands[0].Low, made.Bands[0].High, made.Bands[1].Low, made.Bands[1].High
	for _, p := range made.Seasons {
		f.Seasons = append(f.Seasons, int64(p)*g.step)
	}
	if in.Candidates {
		f.Candidates = made.Candidates
	}
	return f
}

// grid lays samples on the steps, NaN where there is none, from the first on.
func grid(samples []telemetry.Sample, g ahead) []float64 {
	if len(samples) == 0 {
		return nil
	}
	first := samples[0].T
	out := make([]float64, (g.to-first)/g.step+1)
	for i := range out {
		out[i] = math.NaN()
	}
	for _, s := range samples {
		if i := (s.T - first) / g.step; i >= 0 && int(i) < len(out) {
			out[i] = s.V
		}
	}
	return out
}

type capacityInput struct {
	Entity   string `query:"entity" doc:"kind/name"`
	Resource string `query:"resource" doc:"disk, certificate, a declaration's name..."`
	Urgent   bool   `query:"urgent" doc:"Only what will reach its limit before one can act."`
	Limit    int    `query:"limit" minimum:"1" maximum:"10000" default:"200"`
}

// CapacityList is what has a limit, by urgency.
type CapacityList struct {
	Capacity []ops.Capacity    `json:"capacity" nullable:"false"`
	Total    int               `json:"total"`
	State    ops.CapacityState `json:"state"`
}

func (s *Server) listCapacity(_ context.Context, in *capacityInput) (*body[CapacityList], error) {
	all, st := s.live.Capacity()
	e := telemetry.ParseEntity(in.Entity)
	out := CapacityList{Capacity: []ops.Capacity{}, State: st}
	for _, c := range all {
		if in.Urgent && !c.Urgent || in.Resource != "" && c.Resource != in.Resource || !e.IsZero() && c.Entity != e && c.Instance != e {
			continue
		}
		out.Total++
		if len(out.Capacity) < in.Limit {
			out.Capacity = append(out.Capacity, c)
		}
	}
	return ok(out), nil
}

type planInput struct {
	Query      string  `query:"query" required:"true" maxLength:"10000" doc:"PromQL with one result: the demand."`
	PerReplica float64 `query:"per_replica" required:"true" doc:"What one replica serves, in the query's unit."`
	Risk       float64 `query:"risk" default:"0.01" minimum:"0" maximum:"0.5" doc:"Share of time in which demand may exceed the plan."`
	Headroom   float64 `query:"headroom" default:"0" minimum:"0" maximum:"10" doc:"On top: 0.1 is a tenth."`
	Least      int     `query:"least" default:"1" minimum:"1" maximum:"100000" doc:"Replicas at any hour."`
	Zone       string  `query:"time_zone" default:"UTC" doc:"IANA name; the week is that of its wall clock."`
}

func (s *Server) planCapacity(ctx context.Context, in *planInput) (*body[capacity.Plan], error) {
	zone, err := time.LoadLocation(in.Zone)
	if err != nil {
		return nil, fmt.Errorf("%w: time_zone=%q: %w", errBadRequest, in.Zone, err)
	}
	step := planStep.Milliseconds()
	to := s.now().UnixMilli()
	to -= to % step
	list, err := s.metrics.QueryRange(ctx, in.Query, to-planWeeks*7*day.Milliseconds(), to, step)
	if err != nil {
		return nil, fmt.Errorf("plan: %w", blameQuery(ctx, err))
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("%w: the query gives %d series, a plan is made for one: add sum(...)", errBadRequest, len(list))
	}
	d := capacity.Demand{PerReplica: in.PerReplica, Risk: in.Risk, Headroom: in.Headroom, Least: in.Least, Zone: zone}
	for _, x := range list[0].Samples {
		d.Times, d.Values = append(d.Times, x.T), append(d.Values, x.V)
	}
	p, err := capacity.Make(d)
	if errors.Is(err, capacity.ErrTooShort) {
		return nil, fmt.Errorf("%w: %w", ErrConflict, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBadRequest, err)
	}
	return ok(p), nil
}
