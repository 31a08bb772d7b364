package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/norn-aiops/norn/internal/telemetry"
)

type alertsInput struct {
	Range
	Unresolved bool   `query:"unresolved" doc:"Only alerts that no entity was found for."`
	Firing     bool   `query:"firing" doc:"Only alerts that have not ended."`
	Source     string `query:"source" maxLength:"100" doc:"Only this tool's." example:"grafana"`
	Limit      int    `query:"limit" minimum:"1" maximum:"5000" default:"500"`
}

// AlertList is other tools' alerts that were active in a range, newest first.
type AlertList struct {
	Alerts     []telemetry.Alert `json:"alerts" nullable:"false"`
	Total      int               `json:"total" doc:"That match; at most limit are sent."`
	Unresolved int               `json:"unresolved" doc:"Of them, alerts that no entity was found for: they join incidents by time and text only."`
}

func (s *Server) listAlerts(ctx context.Context, in *alertsInput) (*body[AlertList], error) {
	from, to, err := in.resolve(s.now(), 24*time.Hour)
	if err != nil {
		return nil, err
	}
	list, err := s.state.Alerts(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	list = slices.DeleteFunc(list, func(a telemetry.Alert) bool {
		return a.StartsAt > to || in.Firing && a.EndsAt != 0 || in.Unresolved && !a.Entity.IsZero() || in.Source != "" && a.Source != in.Source
	})
	slices.Reverse(list)
	out := AlertList{Total: len(list)}
	for i := range list {
		if list[i].Entity.IsZero() {
			out.Unresolved++
		}
	}
	out.Alerts = nonNil(list[:min(len(list), in.Limit)])
	return ok(out), nil
}
