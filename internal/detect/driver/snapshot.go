package driver

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/norn-aiops/norn/internal/telemetry"
)

const version = 1

type saved struct {
	Version int           `json:"version"`
	Targets []savedTarget `json:"targets"`
}

type savedTarget struct {
	ID     telemetry.SeriesID `json:"id,string"`
	Best   int                `json:"best"`
	Habit  habit              `json:"habit"`
	Curves []savedCurve       `json:"curves"`
}

type savedCurve struct {
	ID     telemetry.SeriesID `json:"id,string"`
	Name   string             `json:"name"`
	Unit   string             `json:"unit"`
	Entity telemetry.Entity   `json:"entity"`
	Seen   int64              `json:"seen_unix_ms"`
	Curve  curve              `json:"curve"`
}

// Snapshot writes what was learned.
func (b *Book) Snapshot(w io.Writer) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := saved{Version: version, Targets: make([]savedTarget, 0, len(b.targets))}
	for _, id := range b.sorted() {
		t := b.targets[id]
		st := savedTarget{ID: id, Best: t.Best, Habit: t.habit}
		for i := range t.Curves {
			c := &t.Curves[i]
			st.Curves = append(st.Curves, savedCurve{c.Series.ID, c.Series.Name, c.Series.Unit, c.Series.Entity, c.seen, c.Curve})
		}
		out.Targets = append(out.Targets, st)
	}
	if err := json.NewEncoder(w).Encode(&out); err != nil {
		return fmt.Errorf("cannot write the drivers of series: %w", err)
	}
	return nil
}

// Restore replaces what was learned by a snapshot. A damaged one changes
// nothing and gives an error.
func (b *Book) Restore(r io.Reader) error {
	var in saved
	if err := json.NewDecoder(r).Decode(&in); err != nil {
		return fmt.Errorf("cannot read the drivers of series: %w", err)
	}
	if in.Version != version {
		return fmt.Errorf("cannot read the drivers of series: version %d, this build reads %d", in.Version, version)
	}
	targets := make(map[telemetry.SeriesID]*target, len(in.Targets))
	for i := range in.Targets {
		st := &in.Targets[i]
		if st.Best < -1 || st.Best >= len(st.Curves) || len(targets) >= b.cfg.MaxTargets {
			return fmt.Errorf("cannot read the drivers of series: target %d is damaged", st.ID)
		}
		t := &target{Best: st.Best, habit: st.Habit}
		for k := range st.Curves {
			sc := &st.Curves[k]
			if len(sc.Curve.Bins) > maxBins {
				return fmt.Errorf("cannot read the drivers of series: target %d has %d bins", st.ID, len(sc.Curve.Bins))
			}
			t.Curves = append(t.Curves, candidate{Series: &telemetry.Series{ID: sc.ID, Name: sc.Name, Unit: sc.Unit, Entity: sc.Entity}, Curve: sc.Curve, seen: sc.Seen})
		}
		targets[st.ID] = t
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.targets = targets
	return nil
}
