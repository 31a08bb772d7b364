package storm

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/cause"
	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/incident"
	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// target is correlation and cause analysis without stores.
type target struct {
	corr  *incident.Correlator
	edges []graph.Edge
	open  map[string]ops.Incident
	fail  error
}

func (t *target) ObserveEdges(es []graph.Edge) { t.edges = append(t.edges, es...) }

func (t *target) Alerts(_ context.Context, as []telemetry.Alert) (ingest.Result, error) {
	for i := range as {
		t.corr.Anomaly(ops.Anomaly{ID: as[i].Labels["series"], Series: as[i].Name, Entity: as[i].Entity, Kind: ops.AnomalyAlert,
			Onset: as[i].StartsAt, LastSeen: as[i].StartsAt, Severity: .6, Source: "storm", Severe: "warning"})
	}
	return ingest.Result{Accepted: len(as)}, t.fail
}

func (t *target) Tick(_ context.Context, now int64) error {
	view := graph.NewView(t.edges)
	for _, c := range t.corr.Tick(now, view) {
		j := cause.Rank(cause.Input{Onset: c.Onset, Now: now, Suspect: c.Suspect, View: view, Anomalies: c.Anomalies}, cause.Config{})
		for _, in := range t.corr.Apply(now, c.ID, j) {
			t.note(in)
		}
	}
	for _, in := range t.corr.Resolve(now) {
		t.note(in)
	}
	return nil
}

func (t *target) note(in ops.Incident) {
	if t.open[in.ID] = in; in.State == ops.StateResolved {
		delete(t.open, in.ID)
	}
}

func (t *target) OpenIncidents() []ops.Incident {
	var out []ops.Incident
	for _, in := range t.open {
		out = append(out, in)
	}
	return out
}

func TestAStormIsFewIncidents(t *testing.T) {
	to := &target{corr: incident.New(incident.Config{}), open: map[string]ops.Incident{}}
	r, err := Run(context.Background(), to, Options{Alerts: 6000, Services: 200, Start: 1_700_000_000_000})
	if err != nil {
		t.Fatal(err)
	}
	if s := to.corr.Stats(); s.Received != 6000 || s.Overflow != 0 {
		t.Errorf("stats %+v", s)
	}
	if r.Incidents == 0 || r.Incidents > 20 || r.MostListed > 300 || r.InIncidents < 4000 {
		t.Errorf("%+v", *r)
	}
	var text bytes.Buffer
	if err := r.Print(&text); err != nil || !strings.Contains(text.String(), "seed 1") {
		t.Errorf("%v %q", err, text.String())
	}
	to.fail = errors.New("the disk is full")
	if _, err := Run(context.Background(), to, Options{Alerts: 10}); !errors.Is(err, to.fail) {
		t.Errorf("error %v", err)
	}
}
