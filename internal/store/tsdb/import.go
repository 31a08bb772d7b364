package tsdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/norn-aiops/norn/internal/store"
)

// Import writes samples of the past into a database, in blocks of their own
// beside the head, so that neither their age nor their order matters. It does
// not call the tap: detection learns from them as from history. What the
// database holds already is left out and counted, so that an import that was
// broken off is simply run again; when two values are given for one moment,
// the first one counts.
//
// Samples are collected in memory up to a limit and become durable with Flush.
// A process that is killed loses what was not flushed; blocks are written whole
// or not at all. An Import belongs to one goroutine; several may run at once,
// but then samples that both bring are stored twice, which readers do not see.
type Import struct {
	d       *DB
	span    int64 // ms of one block
	oldest  int64 // Unix ms; what is older would not be kept
	newest  int64 // Unix ms; what is later is refused
	windows map[int64]*importWindow
	held    int
	stats   store.ImportStats
}

var _ store.Import = (*Import)(nil)

// maxImportHeld is how many samples are in memory before blocks are written:
// about 24 bytes each.
const maxImportHeld = 6_000_000

// importWindow is what was collected for one block.
type importWindow struct {
	series map[uint64]*importSeries // by hash of the labels
}

type importSeries struct {
	ls      labels.Labels
	samples []importSample
	sorted  bool
}

type importSample struct {
	t int64
	v float64
	h *importHistogram // nil for floats
}

type importHistogram struct {
	i *histogram.Histogram
	f *histogram.FloatHistogram
}

// NewImport begins an import. now (Unix ms) and the retention say what is too
// old to be kept.
func (d *DB) NewImport(now int64) store.Import {
	m := &Import{d: d, windows: map[int64]*importWindow{}, oldest: math.MinInt64, newest: math.MaxInt64}
	ranges := tsdb.ExponentialBlockRanges(d.opts.BlockDuration.Milliseconds(), 10, 3)
	m.span = ranges[0]
	for _, r := range ranges {
		if r <= min(31*24*time.Hour, d.opts.Retention/10).Milliseconds() {
			m.span = r
		}
	}
	m.oldest = now - d.opts.Retention.Milliseconds()
	if d.opts.MaxFuture > 0 {
		m.newest = now + d.opts.MaxFuture.Milliseconds()
	}
	m.stats = store.ImportStats{Refused: map[string]int{}, From: math.MaxInt64}
	return m
}

// Add takes samples of one series, in any order. All are counted; the error (a
// *RefusedError) names the first that was refused. ls is copied if it is kept.
func (m *Import) Add(ls labels.Labels, xs []store.ImportSample) (err error) {
	refuse := func(bad *RefusedError, n int) {
		m.stats.Refused[bad.Reason] += n
		if err == nil {
			err = bad
		}
	}
	if bad := m.check(ls); bad != nil {
		refuse(bad, len(xs))
		return err
	}
	hash, own := ls.Hash(), labels.EmptyLabels()
	var at int64
	var s *importSeries
	for i := range xs {
		x := &xs[i]
		if bad := m.misplaced(x.T); bad != nil {
			refuse(bad, 1)
			continue
		}
		begin := x.T - ((x.T%m.span)+m.span)%m.span
		if s == nil || begin != at {
			if s == nil {
				own = ls.Copy()
			}
			s, at = m.place(begin, hash, own), begin
		}
		if n := len(s.samples); n > 0 && x.T <= s.samples[n-1].t {
			s.sorted = false
		}
		row := importSample{t: x.T, v: x.V}
		if x.H != nil || x.FH != nil {
			row.h = &importHistogram{i: x.H, f: x.FH}
		}
		s.samples = append(s.samples, row)
		m.held++
	}
	return err
}

// Full reports that Flush is due.
func (m *Import) Full() bool { return m.held >= maxImportHeld }

// Stats returns what became of the samples so far.
func (m *Import) Stats() store.ImportStats {
	out := m.stats
	out.Refused = maps.Clone(out.Refused)
	return out
}

func (m *Import) place(begin int64, hash uint64, ls labels.Labels) *importSeries {
	w := m.windows[begin]
	if w == nil {
		w = &importWindow{series: map[uint64]*importSeries{}}
		m.windows[begin] = w
	}
	s := w.series[hash]
	for s != nil && !labels.Equal(s.ls, ls) { // two label sets of one hash
		hash++
		s = w.series[hash]
	}
	if s == nil {
		s = &importSeries{ls: ls, sorted: true}
		w.series[hash] = s
	}
	return s
}

// check applies the limits on labels.
func (m *Import) check(ls labels.Labels) *RefusedError {
	if ls.Get(labels.MetricName) == "" || !ls.IsValid(model.UTF8Validation) {
		return &RefusedError{ReasonInvalidLabels, fmt.Sprintf("labels %.200s do not name a metric", ls)}
	}
	if dup, ok := ls.HasDuplicateLabelNames(); ok {
		return &RefusedError{ReasonInvalidLabels, fmt.Sprintf("series %s has label %.64q twice", short(ls), dup)}
	}
	return m.d.opts.badLabels(ls)
}

func (m *Import) misplaced(t int64) *RefusedError {
	switch {
	case t < m.oldest:
		return &RefusedError{ReasonTooOld, fmt.Sprintf("sample at %s is older than what is kept (storage.metrics.retention is %s)", stamp(t), m.d.opts.Retention)}
	case t > m.newest:
		return &RefusedError{ReasonFarFuture, fmt.Sprintf("sample at %s is in the future", stamp(t))}
	}
	return nil
}

func stamp(t int64) string { return time.UnixMilli(t).UTC().Format(time.RFC3339) }

// Flush makes everything durable and readable.
func (m *Import) Flush(ctx context.Context) error {
	begins := make([]int64, 0, len(m.windows))
	for b := range m.windows {
		begins = append(begins, b)
	}
	slices.Sort(begins)
	before := m.stats.Blocks
	for _, b := range begins {
		w := m.windows[b]
		if err := m.without(ctx, w, b, b+m.span-1); err != nil {
			return fmt.Errorf("metrics store: cannot compare with what is stored: %w", err)
		}
		if err := m.block(ctx, w, b, b+m.span); err != nil {
			return fmt.Errorf("metrics store: cannot write a block of the past: %w", err)
		}
		delete(m.windows, b)
	}
	m.held = 0
	if m.stats.Blocks == before {
		return nil
	}
	return m.d.showBlocks(ctx)
}

// without drops samples of a window that come twice, here or in the store.
func (m *Import) without(ctx context.Context, w *importWindow, from, to int64) error {
	for _, s := range w.series {
		if !s.sorted {
			slices.SortStableFunc(s.samples, func(a, b importSample) int { return cmp.Compare(a.t, b.t) })
		}
		n := len(s.samples)
		s.samples = slices.CompactFunc(s.samples, func(a, b importSample) bool { return a.t == b.t })
		m.stats.Duplicates += n - len(s.samples)
	}
	q, err := m.d.db.Querier(from, to)
	if err != nil {
		return err
	}
	defer q.Close()
	set := q.Select(ctx, false, &storage.SelectHints{Start: from, End: to}, &labels.Matcher{Type: labels.MatchEqual})
	var it chunkenc.Iterator
	for set.Next() {
		x := set.At()
		s := w.find(x.Labels())
		if s == nil {
			continue
		}
		it = x.Iterator(it)
		m.stats.Duplicates += s.subtract(it)
		if err := it.Err(); err != nil {
			return err
		}
	}
	return set.Err()
}

func (w *importWindow) find(ls labels.Labels) *importSeries {
	for hash := ls.Hash(); ; hash++ {
		s := w.series[hash]
		if s == nil || labels.Equal(s.ls, ls) {
			return s
		}
	}
}

// subtract drops the samples at moments that it has.
func (s *importSeries) subtract(it chunkenc.Iterator) (gone int) {
	kept, i := s.samples[:0], 0
	for vt := it.Next(); vt != chunkenc.ValNone && i < len(s.samples); vt = it.Next() {
		t := it.AtT()
		for i < len(s.samples) && s.samples[i].t < t {
			kept = append(kept, s.samples[i])
			i++
		}
		if i < len(s.samples) && s.samples[i].t == t {
			i++
			gone++
		}
	}
	s.samples = append(kept, s.samples[i:]...)
	return gone
}

// block writes one window.
func (m *Import) block(ctx context.Context, w *importWindow, mint, maxt int64) (err error) {
	list := make([]*importSeries, 0, len(w.series))
	for _, s := range w.series {
		if len(s.samples) > 0 {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		return nil
	}
	dir, err := os.MkdirTemp("", "norn-import-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	o := tsdb.DefaultHeadOptions()
	o.ChunkRange = 4 * m.span // it takes what is at most half of this behind the newest: series come one after another
	o.ChunkDirRoot, o.StripeSize = dir, 1<<10
	head, err := tsdb.NewHead(nil, m.d.opts.Logger, nil, nil, o, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, head.Close()) }()
	if err := head.Init(math.MinInt64); err != nil {
		return err
	}
	for _, s := range list {
		if err := s.appendTo(ctx, head); err != nil {
			return err
		}
	}
	c, err := tsdb.NewLeveledCompactor(ctx, nil, m.d.opts.Logger, []int64{m.span}, nil, nil)
	if err != nil {
		return err
	}
	// The mark keeps the database from taking the block's end for the time from
	// which its log counts: the head may hold older samples.
	var beside tsdb.BlockMeta
	beside.Compaction.SetOutOfOrder()
	ids, err := c.Write(m.d.db.Dir(), head, mint, maxt, &beside)
	if err != nil {
		return err
	}
	m.stats.Blocks += len(ids)
	for _, s := range list {
		m.stats.Samples += len(s.samples)
		m.stats.From = min(m.stats.From, s.samples[0].t)
		m.stats.To = max(m.stats.To, s.samples[len(s.samples)-1].t)
	}
	return nil
}

func (s *importSeries) appendTo(ctx context.Context, head *tsdb.Head) error {
	app := head.AppenderV2(ctx)
	var ref storage.SeriesRef
	for i := range s.samples {
		x := &s.samples[i]
		var h importHistogram
		if x.h != nil {
			h = *x.h
		}
		var err error
		if ref, err = app.Append(ref, s.ls, 0, x.t, x.v, h.i, h.f, storage.AOptions{}); err != nil {
			return errors.Join(fmt.Errorf("series %s at %s: %w", short(s.ls), stamp(x.t), err), app.Rollback())
		}
	}
	return app.Commit()
}

// showBlocks has the database look for new blocks.
func (d *DB) showBlocks(ctx context.Context) error {
	// Writing out what came out of order ends with a look at the directory.
	if err := d.db.CompactOOOHead(ctx); err != nil {
		return fmt.Errorf("metrics store: cannot load new blocks: %w", err)
	}
	return nil
}
