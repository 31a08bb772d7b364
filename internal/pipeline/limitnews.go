package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/forecast"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// drive says which parts make a declared sum grow.
func (p *Pipeline) drive(ctx context.Context, x *limit, s *ops.Capacity, now int64) {
	s.Drivers = []ops.CapacityShare{}
	if x.rule.Breakdown == "" {
		return
	}
	to := now - now%(5*minuteMS)
	found, err := p.evalLimit(ctx, over(x.rule)+"(("+x.rule.Breakdown+")[1h:5m])", to-limitsPast, to, hourMS)
	if err != nil {
		s.Note = "its breakdown cannot be evaluated: " + err.Error()
		return
	}
	var parts []forecast.Part
	for _, d := range found[:min(len(found), limitsSeries)] {
		parts = append(parts, forecast.Part{Name: d.Labels.String(), Values: spaced([]store.SeriesData{d}, d.Labels, to-limitsPast, to, hourMS)})
	}
	for _, d := range forecast.Drivers(parts, hourMS, x.rule.Falling) {
		s.Drivers = append(s.Drivers, ops.CapacityShare(d))
	}
}

// limitSentence says in words when what is gone.
func limitSentence(s *ops.Capacity, now int64) string {
	what := s.Resource
	if !s.Entity.IsZero() {
		what += " of " + s.Entity.Name
	}
	for _, l := range []string{"mountpoint", "persistentvolumeclaim", "pool", "queue", "container", "device"} {
		if v := s.Labels[l]; v != "" {
			what += " (" + v + ")"
			break
		}
	}
	growth := fmt.Sprintf("%s a day", amount(s.Growth, s.Unit))
	if s.Growth > 0 {
		growth = "+" + growth
	}
	switch {
	case s.Note != "" && s.Reason == "":
		return fmt.Sprintf("%s: no forecast (%s).", what, s.Note)
	case s.Reached:
		return fmt.Sprintf("%s: at its limit of %s now; %s.", what, amount(s.Limit, s.Unit), growth)
	case s.P50 != nil:
		text := fmt.Sprintf("%s: reaches %s in %s more likely than not", what, amount(s.Limit, s.Unit), inWords(*s.P50-now))
		if s.P10 != nil {
			text += fmt.Sprintf(", one time in ten within %s", inWords(*s.P10-now))
		}
		text += fmt.Sprintf("; peak %s, %s", amount(s.Peak, s.Unit), growth)
		if len(s.Drivers) > 0 {
			text += fmt.Sprintf(", %.0f %% of it by %s", 100*s.Drivers[0].Share, s.Drivers[0].Name)
		}
		return text + "."
	case s.P10 != nil:
		return fmt.Sprintf("%s: not likely to reach %s, one time in ten within %s; peak %s, %s.", what, amount(s.Limit, s.Unit), inWords(*s.P10-now), amount(s.Peak, s.Unit), growth)
	}
	return fmt.Sprintf("%s: does not reach %s in the time looked ahead; peak %s, %s.", what, amount(s.Limit, s.Unit), amount(s.Peak, s.Unit), growth)
}

// amount writes a value with its unit.
func amount(v float64, unit string) string {
	switch unit {
	case "By":
		for _, u := range []struct {
			name string
			size float64
		}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
			if math.Abs(v) >= u.size {
				return fmt.Sprintf("%.3g %s", v/u.size, u.name)
			}
		}
		return fmt.Sprintf("%.3g B", v)
	case "1":
		return fmt.Sprintf("%.3g %%", 100*v)
	case "s":
		return fmt.Sprintf("%.3g d", v/86400)
	case "":
		return fmt.Sprintf("%.4g", v)
	}
	return fmt.Sprintf("%.4g %s", v, strings.Trim(unit, "{}"))
}

func inWords(ms int64) string {
	switch d := time.Duration(ms) * time.Millisecond; {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.0f days", d.Hours()/24)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	default:
		return fmt.Sprintf("%.0f min", max(d.Minutes(), 0))
	}
}

// anomaly is the one of kind predicted.
func (x *limit) anomaly(now int64) ops.Anomaly {
	s := &x.State
	dir := telemetry.UpBad
	if s.Falling {
		dir = telemetry.DownBad
	}
	severity := .5
	if s.Reached || s.P90 != nil && *s.P90-now <= s.Lead {
		severity = .8
	}
	a := ops.Anomaly{ID: fmt.Sprintf("cap-%s-%d", s.ID, x.Onset), Series: "capacity: " + s.Resource, Expr: s.Expr, Entity: s.Entity, Instance: s.Instance,
		Signal: telemetry.SignalSaturation, Unit: s.Unit, Kind: ops.AnomalyPredicted, Direction: dir, Onset: x.Onset, LastSeen: now,
		Severity: severity, P: max(1e-12, 1-s.InLead), Score: s.InLead, Member: "capacity", Source: "norn", Observed: s.Value, Expected: s.Limit, Low: s.Limit, High: s.Limit, Text: s.Sentence}
	if a.Entity.IsZero() {
		a.Entity = telemetry.Entity{Kind: telemetry.KindService, Name: s.Resource}
	}
	return a
}

// endUrgent ends the anomaly of what is not urgent any more.
func (p *Pipeline) endUrgent(x *limit, now int64) {
	if x.Onset == 0 {
		return
	}
	a := x.anomaly(now)
	a.Ended = now
	x.Onset = 0
	p.queue.push(a)
}

// remindUrgent says once a minute what is still urgent, so that its incident
// lasts.
func (p *Pipeline) remindUrgent(now int64) {
	l := &p.limits
	if now-l.reminded < minuteMS {
		return
	}
	l.reminded = now
	var list []ops.Anomaly
	l.mu.Lock()
	for _, x := range l.of {
		if x.State.Urgent {
			list = append(list, x.anomaly(now))
		}
	}
	l.mu.Unlock()
	for i := range list {
		p.queue.push(list[i])
	}
}

// saveLimits makes the schedule and its results durable.
func (p *Pipeline) saveLimits(ctx context.Context) error {
	l := &p.limits
	l.mu.Lock()
	raw, err := json.Marshal(l.of)
	l.mu.Unlock()
	if err != nil {
		return fmt.Errorf("cannot encode the forecasts of limits: %w", err)
	}
	if err := p.st.State.PutBlob(ctx, blobLimits, raw); err != nil {
		return fmt.Errorf("cannot store the forecasts of limits: %w", err)
	}
	return nil
}

// loadLimits takes what the last run computed. What cannot be read is
// computed anew.
func (p *Pipeline) loadLimits(ctx context.Context) {
	raw, err := p.st.State.Blob(ctx, blobLimits)
	if errors.Is(err, store.ErrNotFound) {
		return
	}
	of := map[string]*limit{}
	if err == nil {
		err = json.Unmarshal(raw, &of)
	}
	if err != nil {
		p.limits.log.Warn("forecasts of limits are computed anew", "err", err)
		return
	}
	l := &p.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, x := range of {
		if x == nil {
			continue
		}
		x.labels = labels.FromMap(x.State.Labels)
		for i := range l.rules {
			if l.rules[i].Query == x.Rule && l.rules[i].Name == x.State.Resource {
				x.rule = &l.rules[i]
			}
		}
		l.of[id] = x
	}
}
