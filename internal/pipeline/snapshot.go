package pipeline

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/normalize"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
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
)

const (
	catchUpOverlap = 5 * 60_000      // ms read again before the snapshot, so that counters have a last value
	catchUpSlice   = 60_000          // ms of samples handed over at a time
	seedSlice      = 30 * 60_000     // the same when whole history is read
	maxCatchUp     = 30 * 24 * 3.6e6 // ms; older history does not help a model
)

// Save writes the state of all models, so that a restart goes on from here.
func (p *Pipeline) Save(ctx context.Context) error {
	p.tickMu.Lock()
	defer p.tickMu.Unlock()
	return p.save(ctx)
}

func (p *Pipeline) save(ctx context.Context) error {
	at := p.clock.Load()
	for _, m := range p.models() {
		if err := p.saveBlob(ctx, m.key, m.save); err != nil {
			return err
		}
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
		{blobDrivers, p.drivers.Snapshot, p.drivers.Restore},
		{blobJoint, p.joint.Snapshot, p.joint.Restore},
		{blobBudget, p.corr.SaveBudget, p.corr.LoadBudget},
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
	restored := false
	for _, m := range p.models() {
		ok := p.loadBlob(ctx, m.key, m.load)
		restored = restored || ok && m.key == blobDetect
	}
	p.dropUnwatched()
	return p.catchUp(ctx, restored, now)
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
	h, ok := p.st.Metrics.(History)
	if !ok {
		return nil
	}
	oldest, newest, ok := h.Bounds()
	if !ok {
		return nil
	}
	from, slice := max(oldest, newest-int64(maxCatchUp)), int64(seedSlice)
	if raw, err := p.st.State.Blob(ctx, blobClock); err == nil && restored && len(raw) == 8 {
		from, slice = max(from, int64(binary.BigEndian.Uint64(raw))-catchUpOverlap), catchUpSlice
	}
	p.Quiet(true)
	defer p.Quiet(false)
	r := reader{derive: normalize.NewDeriver(), refs: map[uint64]storage.SeriesRef{}}
	r.derive.SetDescribe(p.describe)
	for t := from; t <= newest; t += slice {
		batch, err := r.slice(ctx, h, t, min(t+slice-1, newest))
		if err != nil {
			return fmt.Errorf("cannot read back history: %w", err)
		}
		p.observe(r.derive, batch)
		if !restored {
			p.learnDrivers(min(t+slice-1, newest))
		}
	}
	p.log.Info("detectors have read back stored samples", "from_ms", from, "to_ms", newest, "restored", restored, "now_ms", now)
	return nil
}

// reader turns stored samples back into what the tap would have seen. It has
// a deriver and references of its own: those of the store may mean other
// series by now.
type reader struct {
	derive *normalize.Deriver
	refs   map[uint64]storage.SeriesRef // by label hash
}

// slice returns the samples in [from, to] in order of time.
func (r *reader) slice(ctx context.Context, h History, from, to int64) ([]store.Committed, error) {
	var batch []store.Committed
	err := h.SelectAll(ctx, from, to, func(ls labels.Labels, samples []telemetry.Sample) {
		hash := ls.Hash()
		ref, ok := r.refs[hash]
		if !ok {
			ref = storage.SeriesRef(len(r.refs) + 1)
			r.refs[hash] = ref
		}
		typ, unit := h.Metadata(ls.Get(labels.MetricName))
		for _, x := range samples {
			batch = append(batch, store.Committed{Ref: ref, Labels: ls, T: x.T, V: x.V, Type: typ, Unit: unit})
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(batch, func(a, b store.Committed) int { return cmp.Compare(a.T, b.T) })
	return batch, nil
}
