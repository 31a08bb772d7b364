package api

import (
	"context"
	"fmt"
	"time"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
)

// Status is what Norn does and, as honestly, what it does not do.
type Status struct {
	Version         string  `json:"version"`
	Now             int64   `json:"now_unix_ms" doc:"The pipeline's clock."`
	Started         int64   `json:"started_unix_ms"`
	UptimeMS        int64   `json:"uptime_ms"`
	SeriesWatched   int     `json:"series_watched"`
	SeriesLearning  int     `json:"series_learning" doc:"Too young to be judged."`
	SeriesUnwatched int     `json:"series_unwatched"`
	Tiers           Tiers   `json:"tiers"`
	Unwatched       []Count `json:"unwatched_reasons" nullable:"false"`
	Entities        int     `json:"entities"`
	Points          uint64  `json:"points" doc:"Samples since start."`
	Logs            uint64  `json:"logs"`
	Spans           uint64  `json:"spans"`
	ForeignAlerts   uint64  `json:"foreign_alerts" doc:"Alerts of other tools since start."`
	Rejected        uint64  `json:"rejected"`
	Rejects         []Count `json:"rejects" nullable:"false" doc:"Refused items by reason since start."`
	SecretsMasked   uint64  `json:"secrets_masked"`
	EventsDropped   uint64  `json:"events_dropped"`

	IncidentsOpen  int       `json:"incidents_open"`
	AlertsRaised   int       `json:"alerts_raised_24h" doc:"Incidents opened in the last 24 hours: what a person was told."`
	Anomalies24h   int       `json:"anomalies_24h"`
	AnomaliesMore  bool      `json:"anomalies_24h_is_lower_bound"`
	LastIncident   *Summary  `json:"last_incident,omitempty" doc:"The newest, whatever its state."`
	Feed           FeedState `json:"feed"`
	Skews          []Skew    `json:"skews" nullable:"false"`
	DetectionLagMS int64     `json:"detection_lag_ms"`
}

// FeedState says whether telemetry comes in.
type FeedState struct {
	State        string `json:"state" enum:"none,live,stalled" doc:"none: nothing came since start; stalled: nothing for a minute."`
	LastReceived int64  `json:"last_received_unix_ms"`
}

const (
	day           = 24 * time.Hour
	stalledAfter  = time.Minute
	anomalyCap    = 10_000
	incidentCap   = 1_000
	openStatesCap = 1_000
)

// openStates are the states of an incident that still wants attention.
var openStates = [...]ops.State{ops.StateOpen, ops.StateAcknowledged, ops.StateMitigating}

func isOpen(s ops.State) bool {
	return s == openStates[0] || s == openStates[1] || s == openStates[2]
}

func (s *Server) getStatus(ctx context.Context, _ *struct{}) (*body[Status], error) {
	now := s.now()
	ms := now.UnixMilli()
	st := s.live.Stats()
	out := Status{
		Version: s.version, Now: ms, Started: st.Started, UptimeMS: max(0, ms-st.Started),
		SeriesWatched: st.SeriesWatched, SeriesLearning: st.SeriesLearning, Tiers: st.Tiers, Unwatched: sortedCounts(st.SeriesUnwatched),
		Entities: st.Entities, Points: st.Points, Logs: st.Logs, Spans: st.Spans, ForeignAlerts: st.Alerts,
		Rejects: sortedCounts(st.Rejects), SecretsMasked: st.SecretsMasked, EventsDropped: st.EventsDropped,
		Skews: nonNil(st.Skews), DetectionLagMS: st.LagMS, Feed: feedState(st.LastReceived, ms),
	}
	for _, c := range out.Unwatched {
		out.SeriesUnwatched += int(c.Count)
	}
	for _, c := range out.Rejects {
		out.Rejected += c.Count
	}
	if err := s.countOutcomes(ctx, ms, &out); err != nil {
		return nil, err
	}
	return ok(out), nil
}

// countOutcomes fills in what the state store knows.
func (s *Server) countOutcomes(ctx context.Context, now int64, out *Status) error {
	dayAgo := now - day.Milliseconds()
	open, err := s.state.Incidents(ctx, store.IncidentFilter{States: openStates[:], Limit: openStatesCap})
	if err != nil {
		return fmt.Errorf("read open incidents: %w", err)
	}
	out.IncidentsOpen = len(open)
	recent, err := s.state.Incidents(ctx, store.IncidentFilter{From: dayAgo, Limit: incidentCap})
	if err != nil {
		return fmt.Errorf("read recent incidents: %w", err)
	}
	for i := range recent {
		if recent[i].Opened >= dayAgo && recent[i].MergedInto == "" {
			out.AlertsRaised++
		}
	}
	last, err := s.state.Incidents(ctx, store.IncidentFilter{Limit: 1})
	if err != nil {
		return fmt.Errorf("read the last incident: %w", err)
	}
	if len(last) > 0 {
		sum := summarise(&last[0])
		out.LastIncident = &sum
	}
	as, err := s.state.Anomalies(ctx, dayAgo, now, anomalyCap)
	if err != nil {
		return fmt.Errorf("read anomalies: %w", err)
	}
	out.Anomalies24h, out.AnomaliesMore = len(as), len(as) == anomalyCap
	return nil
}

func feedState(last, now int64) FeedState {
	f := FeedState{State: "live", LastReceived: last}
	switch {
	case last == 0:
		f.State = "none"
	case now-last > stalledAfter.Milliseconds():
		f.State = "stalled"
	}
	return f
}

// nonNil makes an empty list of a nil one, so that JSON shows [].
func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
