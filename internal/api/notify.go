package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/norn-aiops/norn/internal/notify"
	"github.com/norn-aiops/norn/internal/notify/chart"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Notifier is what the API asks of whoever tells people about incidents.
type Notifier interface {
	Deliveries(ctx context.Context, f store.DeliveryFilter) ([]ops.Delivery, error)
	// Test sends a message at once. An unknown receiver gives store.ErrNotFound.
	Test(ctx context.Context, receiver string) error
	// Receivers lists the receivers and how they fare.
	Receivers(ctx context.Context) ([]ReceiverState, error)
	OnCall() []notify.OnCall
	// Maintenance lists the windows of the configuration file and of the API.
	Maintenance() (file, stored []notify.Maintenance)
	PutMaintenance(ctx context.Context, m notify.Maintenance) error
	RemoveMaintenance(ctx context.Context, name string) error
}

// ReceiverState is one receiver and how it fares.
type ReceiverState struct {
	Name   string `json:"name"`
	Kind   string `json:"kind" doc:"email, webhook, slack, pagerduty, opsgenie, teams, telegram or ntfy."`
	Queued int    `json:"queued" doc:"Messages that wait."`
	Oldest int64  `json:"oldest_unix_ms" doc:"Of those that wait; 0 when none does."`
	Error  string `json:"error,omitempty" doc:"Of the last attempt of the oldest that waits."`
}

func (s *Server) registerNotify() {
	get(s, "list-deliveries", "notify/deliveries", "Messages about incidents: what was sent, waits, failed or was held back, and why", s.listDeliveries)
	get(s, "list-receivers", "notify/receivers", "Who can be told, and how the channels fare", s.listReceivers)
	post(s, "test-receiver", "notify/receivers/{name}/test", "Send a test message to a receiver", s.testReceiver)
	get(s, "on-call", "notify/oncall", "Who is on call now", s.getOnCall)
	get(s, "list-maintenance", "notify/maintenance", "Maintenance windows", s.listMaintenance)
	post(s, "put-maintenance", "notify/maintenance", "Add a maintenance window, or replace the one of its name", s.putMaintenance)
	huma.Register(s.api, huma.Operation{OperationID: "remove-maintenance", Method: http.MethodDelete, Path: apiPrefix + "notify/maintenance/{name}",
		Summary: "End a maintenance window", Tags: []string{"notify"}, DefaultStatus: http.StatusNoContent}, mapErrors(s, s.removeMaintenance))
	huma.Register(s.api, huma.Operation{OperationID: "incident-chart", Method: http.MethodGet, Path: apiPrefix + "incidents/{id}/chart.png",
		Summary: "The cause's series with its expected band, as a PNG", Tags: []string{"incidents"},
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{"image/png": {Schema: &huma.Schema{Type: "string", Format: "binary"}}}}},
	}, mapErrors(s, s.getChart))
}

type deliveriesInput struct {
	Receiver string `query:"receiver" maxLength:"200"`
	Incident string `query:"incident" maxLength:"200"`
	State    string `query:"state" enum:"queued,sent,failed,held,digest,told"`
	Limit    int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

// DeliveryList is a page of deliveries, newest first.
type DeliveryList struct {
	Deliveries []ops.Delivery `json:"deliveries" nullable:"false"`
}

func (s *Server) listDeliveries(ctx context.Context, in *deliveriesInput) (*body[DeliveryList], error) {
	list, err := s.notify.Deliveries(ctx, store.DeliveryFilter{Receiver: in.Receiver, Incident: in.Incident, State: in.State, Limit: in.Limit})
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return ok(DeliveryList{Deliveries: nonNil(list)}), nil
}

// ReceiverList is all receivers.
type ReceiverList struct {
	Receivers []ReceiverState `json:"receivers" nullable:"false"`
}

func (s *Server) listReceivers(ctx context.Context, _ *struct{}) (*body[ReceiverList], error) {
	list, err := s.notify.Receivers(ctx)
	if err != nil {
		return nil, fmt.Errorf("list receivers: %w", err)
	}
	return ok(ReceiverList{Receivers: nonNil(list)}), nil
}

type receiverInput struct {
	Name string `path:"name" maxLength:"200"`
}

// TestResult says what came of a test message.
type TestResult struct {
	Receiver string `json:"receiver"`
	Sent     bool   `json:"sent"`
	Error    string `json:"error,omitempty"`
}

func (s *Server) testReceiver(ctx context.Context, in *receiverInput) (*body[TestResult], error) {
	err := s.notify.Test(ctx, in.Name)
	if err != nil && statusOf(err) == http.StatusNotFound {
		return nil, err
	}
	out := TestResult{Receiver: in.Name, Sent: err == nil}
	if err != nil {
		out.Error = err.Error()
	}
	return ok(out), nil
}

// OnCallList is who is on call, by schedule.
type OnCallList struct {
	OnCall []notify.OnCall `json:"on_call" nullable:"false"`
}

func (s *Server) getOnCall(context.Context, *struct{}) (*body[OnCallList], error) {
	return ok(OnCallList{OnCall: nonNil(s.notify.OnCall())}), nil
}

// MaintenanceList is all maintenance windows.
type MaintenanceList struct {
	File   []notify.Maintenance `json:"file" nullable:"false" doc:"Of the configuration file."`
	Stored []notify.Maintenance `json:"stored" nullable:"false" doc:"Set here."`
}

func (s *Server) listMaintenance(context.Context, *struct{}) (*body[MaintenanceList], error) {
	file, stored := s.notify.Maintenance()
	return ok(MaintenanceList{File: nonNil(file), Stored: nonNil(stored)}), nil
}

type maintenanceInput struct {
	Body notify.Maintenance
}

func (s *Server) putMaintenance(ctx context.Context, in *maintenanceInput) (*body[notify.Maintenance], error) {
	if _, err := notify.NewWindows([]notify.Maintenance{in.Body}); err != nil {
		return nil, fmt.Errorf("%w: %w", errBadRequest, err)
	}
	if err := s.notify.PutMaintenance(ctx, in.Body); err != nil {
		return nil, err
	}
	return ok(in.Body), nil
}

func (s *Server) removeMaintenance(ctx context.Context, in *receiverInput) (*struct{}, error) {
	return nil, s.notify.RemoveMaintenance(ctx, in.Name)
}

type pngOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (s *Server) getChart(ctx context.Context, in *incidentInput) (*pngOutput, error) {
	png, err := s.Chart(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &pngOutput{"image/png", png}, nil
}

// How much a chart shows before and after the trouble, and how finely.
const (
	chartBefore = 45 * time.Minute
	chartAfter  = 10 * time.Minute
	chartPoints = 500
)

// Chart draws the series that speaks most for an incident's cause. One without
// such a series gives store.ErrNotFound (wrapped).
func (s *Server) Chart(ctx context.Context, id string) ([]byte, error) {
	in, err := s.state.Incident(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read incident %q: %w", id, err)
	}
	to := s.now().UnixMilli()
	if in.Resolved > 0 {
		to = min(to, in.Resolved+chartAfter.Milliseconds())
	}
	from := max(in.Onset-chartBefore.Milliseconds(), to-(24*time.Hour).Milliseconds())
	for _, e := range chartLines(in) {
		p := chart.Picture{Title: e.title, Unit: e.unit, Onset: in.Onset}
		if info, err := s.findSeries(e.series); err == nil {
			p.Samples, _ = s.readSamples(ctx, info.Meta, from, to) // a broken one is left out
			step := niceStep(to-from, chartPoints)
			p.Band = s.live.Bands(e.series, alignUp(from, step), to, step)
		} else if e.expr != "" {
			step := fineStep(to - from)
			if list, err := s.metrics.QueryRange(ctx, e.expr, alignUp(from, step), to, step); err == nil && len(list) > 0 {
				p.Samples = list[0].Samples
			}
		}
		if p.Samples = breakGaps(thin(p.Samples, chartPoints)); len(p.Samples) > 1 {
			return chart.PNG(p)
		}
	}
	return nil, fmt.Errorf("incident %q has no series to draw: %w", id, store.ErrNotFound)
}

// chartLine is a series that may be drawn.
type chartLine struct {
	series            telemetry.SeriesID
	title, unit, expr string
}

// maxChartLines bounds how many series are tried.
const maxChartLines = 8

// chartLines lists what may be drawn of an incident: the evidence of its causes,
// best first, then its anomalies.
func chartLines(in *ops.Incident) []chartLine {
	byID := map[string]*ops.Anomaly{}
	for i := range in.Anomalies {
		byID[in.Anomalies[i].ID] = &in.Anomalies[i]
	}
	var out []chartLine
	add := func(e telemetry.Entity, series, unit, expr string, id telemetry.SeriesID) {
		if len(out) < maxChartLines && (id != 0 || expr != "") {
			out = append(out, chartLine{id, e.Name + ": " + series, unit, expr})
		}
	}
	for i := range in.Causes {
		for _, e := range in.Causes[i].Evidence {
			var id telemetry.SeriesID
			if a := byID[e.AnomalyID]; a != nil {
				id = a.SeriesID
			}
			add(e.Entity, e.Series, e.Unit, e.Expr, id)
		}
	}
	for i := range in.Anomalies {
		a := &in.Anomalies[i]
		add(a.Entity, a.Series, a.Unit, a.Expr, a.SeriesID)
	}
	return out
}
