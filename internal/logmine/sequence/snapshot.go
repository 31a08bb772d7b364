package sequence

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// version of the snapshot format.
const version = 1

type saved struct {
	Version  int         `json:"version"`
	Entities []savedFlow `json:"entities"`
}

type savedFlow struct {
	Entity telemetry.Entity `json:"entity"`
	Last   int64            `json:"last_unix_ms"`
	Steps  []stepKey        `json:"steps"` // from number 2 on
	Rows   []savedRow       `json:"rows"`
}

type savedRow struct {
	From  int32     `json:"from"`
	N     float64   `json:"n"`
	To    []int32   `json:"to"`
	Count []float64 `json:"count"`
}

// Snapshot writes what was learned. The minute that is being watched and the
// spans that are open are left out: they are seconds old.
func (m *Model) Snapshot(w io.Writer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := saved{Version: version, Entities: make([]savedFlow, 0, len(m.entities))}
	for _, e := range m.sorted() {
		f := m.entities[e]
		sf := savedFlow{Entity: e, Last: f.last, Steps: f.steps[firstStep:]}
		for _, from := range sortedKeys(f.past) {
			r := f.past[from]
			sr := savedRow{From: from, N: r.n}
			for _, to := range sortedKeys(r.to) {
				sr.To, sr.Count = append(sr.To, to), append(sr.Count, r.to[to])
			}
			sf.Rows = append(sf.Rows, sr)
		}
		out.Entities = append(out.Entities, sf)
	}
	if err := json.NewEncoder(w).Encode(&out); err != nil {
		return fmt.Errorf("cannot write the order of log lines: %w", err)
	}
	return nil
}

// Restore replaces what was learned by a snapshot. A snapshot that is damaged
// changes nothing and gives an error.
func (m *Model) Restore(r io.Reader) error {
	var in saved
	if err := json.NewDecoder(r).Decode(&in); err != nil {
		return fmt.Errorf("cannot read the order of log lines: %w", err)
	}
	if in.Version != version {
		return fmt.Errorf("cannot read the order of log lines: version %d, this build reads %d", in.Version, version)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	entities := make(map[telemetry.Entity]*flow, len(in.Entities))
	for i := range in.Entities {
		f, err := in.Entities[i].flow(&m.cfg)
		if err != nil {
			return fmt.Errorf("cannot read the order of log lines of %s: %w", in.Entities[i].Entity, err)
		}
		if len(entities) < m.cfg.MaxEntities {
			entities[f.entity] = f
		}
	}
	m.entities = entities
	return nil
}

func (s *savedFlow) flow(cfg *Config) (*flow, error) {
	if s.Entity.IsZero() || len(s.Steps) > cfg.MaxSteps {
		return nil, fmt.Errorf("%d steps of %q", len(s.Steps), s.Entity)
	}
	f := newFlow(s.Entity)
	f.last = s.Last
	for i, k := range s.Steps {
		f.steps = append(f.steps, k)
		f.index[k] = firstStep + int32(i)
	}
	known := func(n int32) bool { return n >= 0 && int(n) < len(f.steps) }
	for _, sr := range s.Rows {
		if !known(sr.From) || len(sr.To) != len(sr.Count) || len(sr.To) > maxFollowers || !(sr.N >= 0) {
			return nil, fmt.Errorf("row of step %d is damaged", sr.From)
		}
		r := &row{n: sr.N, to: make(map[int32]float64, len(sr.To))}
		for i, to := range sr.To {
			if !known(to) || !(sr.Count[i] >= 0) || sr.Count[i] > sr.N+1e-6 {
				return nil, fmt.Errorf("row of step %d is damaged", sr.From)
			}
			r.to[to] = sr.Count[i]
		}
		f.past[sr.From] = r
	}
	return f, nil
}
