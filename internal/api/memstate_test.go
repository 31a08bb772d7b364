package api_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

type memState struct {
	mu  sync.Mutex
	in  map[string][]byte
	an  []ops.Anomaly
	chs []telemetry.Change
	ed  []graph.Edge
}

func (m *memState) PutIncident(_ context.Context, in *ops.Incident) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.in[in.ID], _ = json.Marshal(in)
	return nil
}
func (m *memState) Incident(_ context.Context, id string) (*ops.Incident, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.in[id]
	if !ok {
		return nil, fmt.Errorf("incident %s: %w", id, store.ErrNotFound)
	}
	var in ops.Incident
	return &in, json.Unmarshal(b, &in)
}
func (m *memState) Incidents(_ context.Context, f store.IncidentFilter) ([]ops.Incident, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []ops.Incident
	for _, b := range m.in {
		var in ops.Incident
		if err := json.Unmarshal(b, &in); err != nil {
			return nil, err
		}
		if (len(f.States) == 0 || slices.Contains(f.States, in.State)) && in.Updated >= f.From && (f.To == 0 || in.Onset <= f.To) {
			out = append(out, in)
		}
	}
	slices.SortFunc(out, func(a, b ops.Incident) int { return cmp.Compare(b.Onset, a.Onset) })
	return out[:min(len(out), cmp.Or(f.Limit, 200))], nil
}
func (m *memState) PutAnomaly(_ context.Context, a *ops.Anomaly) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.an = append(m.an, *a)
	return nil
}
func (m *memState) Anomalies(_ context.Context, from, to int64, limit int) ([]ops.Anomaly, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []ops.Anomaly
	for _, a := range m.an {
		if a.Onset <= to && (a.Ended == 0 || a.Ended >= from) {
			out = append(out, a)
		}
	}
	return out, nil
}
func (m *memState) PutChange(_ context.Context, c *telemetry.Change) error {
	m.chs = append(m.chs, *c)
	return nil
}
func (m *memState) Changes(_ context.Context, from, to int64) ([]telemetry.Change, error) {
	var out []telemetry.Change
	for _, c := range m.chs {
		if c.Time >= from && c.Time <= to {
			out = append(out, c)
		}
	}
	return out, nil
}
func (m *memState) PutAlert(context.Context, *telemetry.Alert) error { return nil }
func (m *memState) Alerts(context.Context, int64) ([]telemetry.Alert, error) {
	return nil, nil
}
func (m *memState) PutEdges(_ context.Context, e []graph.Edge) error { m.ed = e; return nil }
func (m *memState) Edges(context.Context) ([]graph.Edge, error)      { return m.ed, nil }
func (m *memState) PutBlob(context.Context, string, []byte) error    { return nil }
func (m *memState) Blob(context.Context, string) ([]byte, error)     { return nil, store.ErrNotFound }
func (m *memState) Close() error                                     { return nil }
