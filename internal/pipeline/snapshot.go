package pipeline

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
)

// Keys of the state store's blobs.
const (
	blobDetect  = "detect"
	blobLogmine = "logmine"
	blobOrder   = "log_sequence"
	blobDrivers = "drivers"
	blobJoint   = "joint"
	blobClock   = "clock"
	blobBudget  = "alert_budget"
	blobSLOs    = "slos"
	blobSpoken  = "alert_presence"
	blobLimits  = "capacity"
)

const (
	catchUpOverlap = 5 * 60_000      // ms read again before the snapshot, so that counters have a last value
	maxCatchUp     = 30 * 24 * 3.6e6 // ms; older history does not help a model
)

// Save writes the state of all models, so that a restart goes on from here.
func (p *Pipeline) Save(ctx context.Context) error {
	p.tickMu.Lock()
	defer p.tickMu.Unlock()
	return errors.Join(p.save(ctx), p.saveSLOs(ctx, true))
}

func (p *Pipeline) save(ctx context.Context) error {
	at := p.clock.Load()
	for _, m := range p.models() {
		if err := p.saveBlob(ctx, m.key, m.save); err != nil {
			return err
		}
	}
	if err := p.saveSLOs(ctx, false); err != nil {
		return err
	}
	if err := p.saveMuted(ctx); err != nil {
		return fmt.Errorf("cannot store the muted anomalies: %w", err)
	}
	if err := p.st.State.PutEdges(ctx, p.graph.Edges()); err != nil {
		return fmt.Errorf("cannot store the graph: %w", err)
	}
	clock := binary.BigEndian.AppendUint64(nil, uint64(at))
	if err := p.st.State.PutBlob(ctx, blobClock, clock); err != nil {
		return fmt.Errorf("cannot store the time of the snapshot: %w", err)
	}
	return nil
}

// kept is what learns and survives a restart.
type kept struct {
	key  string
	save func(io.Writer) error
	load func(io.Reader) error
}

func (p *Pipeline) models() []kept {
	return []kept{
		{blobLogmine, p.miner.Snapshot, p.miner.Restore},
		{blobOrder, p.order.Snapshot, p.order.Restore},
		{blobDrivers, p.both.Drivers.Snapshot, p.both.Drivers.Restore},
		{blobJoint, p.both.Joint.Snapshot, p.both.Joint.Restore},
		{blobBudget, p.corr.SaveBudget, p.corr.LoadBudget},
		{blobSpoken, p.corr.SavePresence, p.corr.LoadPresence},
		{blobDetect, p.engine.Snapshot, p.engine.Restore},
	}
}

func (p *Pipeline) saveBlob(ctx context.Context, key string, write func(io.Writer) error) error {
	var buf bytes.Buffer
	if err := write(&buf); err != nil {
		return fmt.Errorf("cannot snapshot %s: %w", key, err)
	}
	if err := p.st.State.PutBlob(ctx, key, buf.Bytes()); err != nil {
		return fmt.Errorf("cannot store the snapshot of %s: %w", key, err)
	}
	return nil
}

// restore loads what the last run saved. A snapshot that cannot be read is
// reported and left aside: the models then learn from stored history.
func (p *Pipeline) restore(ctx context.Context, now int64) error {
	edges, err := p.st.State.Edges(ctx)
	if err != nil {
		return fmt.Errorf("cannot load the graph: %w", err)
	}
	p.graph.Load(edges)
	open, err := p.st.State.Incidents(ctx, store.IncidentFilter{
		States: []ops.State{ops.StateOpen, ops.StateAcknowledged, ops.StateMitigating}, Limit: 1000,
	})
	if err != nil {
		return fmt.Errorf("cannot load open incidents: %w", err)
	}
	slices.Reverse(open)
	p.corr.Load(open)
	for i := range open {
		p.windows.note(&open[i])
		p.openNow.note(&open[i])
	}
	if err := p.loadWishes(ctx); err != nil {
		return err
	}
	p.loadMuted(ctx)
	p.loadSLOs(ctx)
	restored := false
	for _, m := range p.models() {
		ok := p.loadBlob(ctx, m.key, m.load)
		restored = restored || ok && m.key == blobDetect
	}
	p.dropUnwatched()
	if err := p.catchUp(ctx, restored, now); err != nil {
		return err
	}
	return p.learnWaiting(ctx, restored)
}

func (p *Pipeline) loadBlob(ctx context.Context, key string, read func(io.Reader) error) bool {
	raw, err := p.st.State.Blob(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return false
	}
	if err == nil {
		err = read(bytes.NewReader(raw))
	}
	if err != nil {
		p.log.Error("snapshot left aside", "of", key, "err", err)
		return false
	}
	return true
}

// catchUp hands to the detectors what the metric store has received since the
// snapshot; without one, all that it holds. No alarm is raised for the past.
func (p *Pipeline) catchUp(ctx context.Context, restored bool, now int64) error {
	h, ok := p.st.Metrics.(Archive)
	if !ok {
		return nil
	}
	oldest, newest, ok := h.Bounds()
	if !ok {
		return nil
	}
	from := max(oldest, newest-int64(maxCatchUp))
	if raw, err := p.st.State.Blob(ctx, blobClock); err == nil && restored && len(raw) == 8 {
		from = max(from, int64(binary.BigEndian.Uint64(raw))-catchUpOverlap)
	}
	p.Quiet(true)
	defer p.Quiet(false)
	s := p.seeder(h)
	if err := s.run(ctx, from, newest); err != nil {
		return fmt.Errorf("cannot read back history: %w", err)
	}
	p.met.samples.Add(float64(s.samples.Load()))
	p.log.Info("detectors have read back stored samples", "from_ms", from, "to_ms", newest, "restored", restored, "now_ms", now,
		"series", s.series.Load(), "samples", s.samples.Load())
	return nil
}
