package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/rules"
)

// ErrInvalid is returned (wrapped) for settings that cannot be used as they are.
var ErrInvalid = errors.New("invalid")

// Detection is what an operator sets for detection while Norn runs.
type Detection interface {
	// Wishes gives what the configuration file says, what was set through the
	// API, and the latter's revision.
	Wishes() (file, stored rules.Config, revision int64)
	// SetWishes replaces what was set through the API. It is durable when the
	// call returns. A revision that is not the latest gives ErrConflict
	// (wrapped), settings that cannot be used ErrInvalid (wrapped).
	SetWishes(ctx context.Context, c rules.Config, revision int64) error
	// Extensions tells how mutes and custom metrics do.
	Extensions() Extensions
	// Muted lists the anomalies that were not raised because of a mute, the
	// newest first.
	Muted(limit int) []Muted
	// General gives what holds for all series.
	General() GeneralDetection
}

// GeneralDetection is what the configuration file says of all series. It is
// read at start; a backtest may try other values.
type GeneralDetection struct {
	FalseAlarms float64        `json:"false_alarms_per_series_week"`
	MaxSeries   int            `json:"max_series" doc:"Beyond this, series are stored but not watched."`
	FullSeries  int            `json:"full_series" doc:"Of those whose signal is not known, so many get detectors chosen by their profile."`
	Seasons     SeasonSettings `json:"seasons"`
}

// SeasonSettings says how the periods of series are followed.
type SeasonSettings struct {
	MaxSeries int      `json:"max_series" doc:"So many series are followed; 0: none."`
	TimeZone  string   `json:"timezone" doc:"Of the civil day and week; Local is the machine's."`
	Holidays  string   `json:"holidays" doc:"Country whose public holidays are unlike other days; empty: none."`
	Countries []string `json:"countries" nullable:"false" doc:"That may be given."`
}

// Extensions is how what an operator added to detection does.
type Extensions struct {
	Mutes         []MuteState         `json:"mutes" nullable:"false"`
	CustomMetrics []CustomMetricState `json:"custom_metrics" nullable:"false"`
	Plugins       []PluginState       `json:"plugins" nullable:"false"`
	RefusedValues uint64              `json:"refused_values" doc:"Values outside of their rule's range, since start."`
}

// MuteState is how one mute does.
type MuteState struct {
	Name  string `json:"name"`
	Open  bool   `json:"open" doc:"Whether it mutes now."`
	Muted uint64 `json:"muted" doc:"Anomalies that it kept from being raised."`
}

// CustomMetricState is how one custom metric does.
type CustomMetricState struct {
	Name     string `json:"name"`
	Series   int    `json:"series" doc:"Of the last evaluation."`
	LastRun  int64  `json:"last_run_unix_ms" doc:"0 before the first."`
	NextRun  int64  `json:"next_run_unix_ms"`
	TookMS   int64  `json:"took_ms"`
	Runs     uint64 `json:"runs"`
	Failures uint64 `json:"failures"`
	Error    string `json:"error,omitempty" doc:"Of the last evaluation."`
}

// PluginState is how one plugin does.
type PluginState struct {
	Name        string `json:"name"`
	Title       string `json:"title,omitempty" doc:"What the module calls itself."`
	Path        string `json:"path"`
	Off         string `json:"off,omitempty" doc:"Why it is switched off."`
	Series      int    `json:"series" doc:"That it was asked about."`
	Points      uint64 `json:"points" doc:"That it scored, or had no opinion of."`
	Unserved    uint64 `json:"unserved" doc:"Points of series beyond its limit."`
	Dropped     uint64 `json:"dropped" doc:"Points that it was too slow for."`
	Raised      uint64 `json:"raised" doc:"Words on anomalies."`
	MemoryBytes uint64 `json:"memory_bytes" doc:"Of all instances."`
	NSPerPoint  int64  `json:"ns_per_point" doc:"On the mean."`
}

// Muted is an anomaly that was not raised.
type Muted struct {
	Mute    string      `json:"mute"`
	Anomaly ops.Anomaly `json:"anomaly" doc:"The last word on it."`
}

// DetectionSettings is all that is set for detection.
type DetectionSettings struct {
	Revision int64        `json:"revision" doc:"Of what is stored; give it back with a change."`
	File     rules.Config `json:"file" doc:"What the configuration file says; it cannot be changed here, and goes before what is stored."`
	Stored   rules.Config `json:"stored" doc:"What was set here."`
	State    Extensions   `json:"state"`

	General GeneralDetection `json:"general"`
}

func (s *Server) getDetection(context.Context, *struct{}) (*body[DetectionSettings], error) {
	return ok(s.detection()), nil
}

func (s *Server) detection() DetectionSettings {
	file, stored, revision := s.live.Wishes()
	state := s.live.Extensions()
	state.Mutes, state.CustomMetrics, state.Plugins = nonNil(state.Mutes), nonNil(state.CustomMetrics), nonNil(state.Plugins)
	general := s.live.General()
	general.Seasons.Countries = nonNil(general.Seasons.Countries)
	return DetectionSettings{Revision: revision, File: filled(file), Stored: filled(stored), State: state, General: general}
}

func filled(c rules.Config) rules.Config {
	c.Rules, c.Mutes, c.CustomMetrics = nonNil(c.Rules), nonNil(c.Mutes), nonNil(c.CustomMetrics)
	return c
}

type setDetectionInput struct {
	Body struct {
		Revision int64 `json:"revision" doc:"As it was read; 0 when nothing was ever stored."`
		rules.Config
	}
}

func (s *Server) setDetection(ctx context.Context, in *setDetectionInput) (*body[DetectionSettings], error) {
	if err := s.live.SetWishes(ctx, in.Body.Config, in.Body.Revision); err != nil {
		return nil, atFields("body", err)
	}
	return ok(s.detection()), nil
}

// atFields names the fields of the body that are at fault, beside the text.
func atFields(prefix string, err error) error {
	faults := rules.Faults(err)
	if len(faults) == 0 {
		return err
	}
	details := make([]error, len(faults))
	for i, f := range faults {
		details[i] = &huma.ErrorDetail{Location: prefix + "." + f.Path(), Message: f.Message}
	}
	return huma.NewError(statusOf(err), err.Error(), details...)
}

type mutedInput struct {
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

// MutedList is the anomalies that were muted, the newest first.
type MutedList struct {
	Muted []Muted `json:"muted" nullable:"false"`
}

func (s *Server) listMuted(_ context.Context, in *mutedInput) (*body[MutedList], error) {
	return ok(MutedList{Muted: nonNil(s.live.Muted(in.Limit))}), nil
}

const maxSettings = 4 << 20 // bytes

func (s *Server) registerDetection() {
	get(s, "get-detection", "detection", "What is set for detection, and how it does", s.getDetection)
	get(s, "list-muted", "detection/muted", "Anomalies that were not raised because of a mute", s.listMuted)
	huma.Register(s.api, huma.Operation{
		OperationID: "set-detection", Method: http.MethodPut, Path: apiPrefix + "detection", Tags: []string{"detection"},
		Summary: "Replace the stored rules, mutes and custom metrics", MaxBodyBytes: maxSettings,
		Description: fmt.Sprintf("At most %d bytes. A revision that is not the latest gives 409; settings that cannot be used give 400 with every fault named, and its field as location.", maxSettings),
	}, mapErrors(s, s.setDetection))
}
