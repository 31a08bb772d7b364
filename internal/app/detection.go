package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/holiday"
	"github.com/norn-aiops/norn/internal/pipeline"
	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Wishes gives what operators set for detection.
func (l *live) Wishes() (file, stored rules.Config, revision int64) { return l.pipe.Wishes() }

// SetWishes replaces what was set through the API.
func (l *live) SetWishes(ctx context.Context, c rules.Config, revision int64) error {
	_, err := l.pipe.SetWishes(ctx, c, revision)
	switch {
	case errors.Is(err, pipeline.ErrStale):
		return fmt.Errorf("%w: %w", api.ErrConflict, err)
	case errors.Is(err, pipeline.ErrWish):
		return fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	return err
}

// Extensions tells how mutes and custom metrics do.
func (l *live) Extensions() api.Extensions {
	out := api.Extensions{RefusedValues: l.pipe.RefusedValues()}
	for _, m := range l.pipe.Mutes() {
		out.Mutes = append(out.Mutes, api.MuteState(m))
	}
	for _, m := range l.pipe.CustomMetrics() {
		out.CustomMetrics = append(out.CustomMetrics, api.CustomMetricState{
			Name: m.Name, Series: m.Series, LastRun: m.LastRun, NextRun: m.NextTime, TookMS: m.TookMS,
			Runs: m.Runs, Failures: m.Errors, Error: m.Error,
		})
	}
	out.Plugins = pluginStates(l.plugins, l.pipe)
	return out
}

// General gives what the configuration file says of all series.
func (l *live) General() api.GeneralDetection {
	d := &l.cfg.Detect
	return api.GeneralDetection{FalseAlarms: d.Sensitivity, MaxSeries: d.MaxSeries, FullSeries: d.FullSeries,
		Seasons: api.SeasonSettings{MaxSeries: d.Seasons.MaxSeries, TimeZone: d.Seasons.Timezone, Holidays: d.Seasons.Holidays, Countries: holiday.Countries()}}
}

// Muted lists what was not raised because of a mute.
func (l *live) Muted(limit int) []api.Muted {
	list, _ := l.pipe.Muted(limit)
	out := make([]api.Muted, len(list))
	for i, m := range list {
		out[i] = api.Muted(m)
	}
	return out
}

// policyFacts says which rules apply to a series, and what they come to.
func policyFacts(p *telemetry.Policy) []api.Fact {
	if p == nil || len(p.Rules) == 0 {
		return nil
	}
	var says []string
	if p.Weight != 1 {
		says = append(says, fmt.Sprintf("weight %g", p.Weight))
	}
	switch p.OnlyWay {
	case telemetry.UpBad:
		says = append(says, "only rises are told")
	case telemetry.DownBad:
		says = append(says, "only falls are told")
	}
	if p.MinAbsolute > 0 {
		says = append(says, fmt.Sprintf("deviations below %g are not told", p.MinAbsolute))
	}
	if p.MinRelative > 0 {
		says = append(says, fmt.Sprintf("deviations below %g %% are not told", 100*p.MinRelative))
	}
	if p.Guards() && p.Weight > 0 {
		says = append(says, fmt.Sprintf("values outside of %g to %g are bad data", p.Low, p.High))
	}
	if p.Sensitivity != 0 {
		says = append(says, "sensitivity "+map[int8]string{-1: "low", 1: "high"}[p.Sensitivity])
	}
	for _, name := range slices.Sorted(maps.Keys(p.Members)) {
		says = append(says, fmt.Sprintf("member %s counts %g", name, p.Members[name]))
	}
	return []api.Fact{{Name: "rules", Text: strings.Join(p.Rules, "; ") + ": " + strings.Join(says, ", ")}}
}
