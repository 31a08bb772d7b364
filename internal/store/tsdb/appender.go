package tsdb

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/store"
)

var (
	_ store.Metrics              = (*DB)(nil)
	_ storage.ExemplarAppenderV2 = (*appender)(nil)
	_ storage.GetRef             = (*appender)(nil)
)

// fullAppender is what TSDB's appender can do and an embedded AppenderV2
// would hide.
type fullAppender interface {
	storage.ExemplarAppenderV2
	storage.GetRef
}

// batch is what one appender collects for the tap; it is pooled, so a warm
// store allocates nothing per sample.
type batch struct {
	samples []store.Committed
	stale   []int // indexes into samples that are stale markers
	rich    bool  // some have a histogram, a type or a unit
}

// next makes room for one sample more. Of what an earlier commit left there,
// reference, labels, time and value are to be written over; the rest is zero
// (see release). Labels that are left keep alive what the head mostly holds
// too, until the pool forgets the buffer.
func (b *batch) next() *store.Committed {
	n := len(b.samples)
	if n == cap(b.samples) {
		b.samples = slices.Grow(b.samples, max(64, n))
	}
	b.samples = b.samples[:n+1]
	return &b.samples[n]
}

// appender wraps TSDB's appender and remembers what it took. It is not pooled
// itself: a caller's late Rollback after Commit must stay harmless.
type appender struct {
	fullAppender
	d    *DB
	b    *batch // nil after Commit or Rollback
	maxT int64  // Unix ms
}

// AppenderV2 returns an appender whose Commit makes the samples durable and
// then calls the tap. Samples that are refused give an error for themselves
// alone; the others can be committed.
func (d *DB) AppenderV2(ctx context.Context) storage.AppenderV2 {
	a := &appender{d: d, b: d.bufs.Get().(*batch), maxT: 1<<63 - 1}
	a.fullAppender = d.db.AppenderV2(ctx).(fullAppender)
	if d.opts.MaxFuture > 0 {
		a.maxT = time.Now().Add(d.opts.MaxFuture).UnixMilli()
	}
	return a
}

// Append takes one sample; see storage.AppenderV2 for the arguments. ls may be
// empty when ref is one that an earlier Append returned.
func (a *appender) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AOptions) (storage.SeriesRef, error) {
	if t > a.maxT {
		return 0, a.d.refuse(ReasonFarFuture, "sample of series %s at %s is more than %s in the future",
			short(ls), time.UnixMilli(t).UTC().Format(time.RFC3339), a.d.opts.MaxFuture)
	}
	out, err := a.fullAppender.Append(ref, ls, st, t, v, h, fh, opts)
	if out == 0 {
		if err != nil {
			a.d.rejected.Add(1)
		}
		return out, err
	}
	// An error beside a ref is about exemplars only: the sample was taken.
	if ls.IsEmpty() {
		ls = a.d.labelsOf(out)
	}
	c := a.b.next()
	c.Ref, c.Labels, c.T, c.V = out, ls, t, v
	stale := false
	switch {
	case fh != nil:
		if stale = value.IsStaleNaN(fh.Sum); !stale {
			c.H, c.V, a.b.rich = nativeHistogram{fh.Copy()}, 0, true
		}
	case h != nil:
		if stale = value.IsStaleNaN(h.Sum); !stale {
			c.H, c.V, a.b.rich = nativeHistogram{h.ToFloat(nil)}, 0, true
		}
	default:
		stale = value.IsStaleNaN(v)
	}
	if stale {
		a.b.stale = append(a.b.stale, len(a.b.samples)-1)
	}
	if !opts.Metadata.IsEmpty() {
		a.b.rich = true
		if opts.Metadata.Type != model.MetricTypeUnknown {
			c.Type = string(opts.Metadata.Type)
		}
		c.Unit = opts.Metadata.Unit
		if out != ref {
			a.d.remember(ls, opts.Metadata)
		}
	}
	return out, err
}

// AppendExemplars passes exemplars on.
func (a *appender) AppendExemplars(ref storage.SeriesRef, ls labels.Labels, es []exemplar.Exemplar) (storage.SeriesRef, error) {
	return a.fullAppender.AppendExemplars(ref, ls, es)
}

// GetRef passes the question on.
func (a *appender) GetRef(ls labels.Labels, hash uint64) (storage.SeriesRef, labels.Labels) {
	return a.fullAppender.GetRef(ls, hash)
}

// Commit makes the samples durable, then calls the tap.
func (a *appender) Commit() error {
	err := a.fullAppender.Commit()
	if a.b == nil {
		return err
	}
	if err == nil {
		a.d.tap(a.b)
	}
	a.release()
	return err
}

// Rollback forgets the samples.
func (a *appender) Rollback() error {
	a.release()
	return a.fullAppender.Rollback()
}

func (a *appender) release() {
	b := a.b
	if b == nil {
		return
	}
	a.b = nil
	if b.rich {
		clear(b.samples)
	}
	b.samples, b.stale, b.rich = b.samples[:0], b.stale[:0], false
	a.d.bufs.Put(b)
}

func (d *DB) tap(b *batch) {
	d.samples.Add(uint64(len(b.samples)))
	d.stale.Add(uint64(len(b.stale)))
	live := b.samples
	if len(b.stale) > 0 {
		live = live[:0]
		next := 0
		for i := range b.samples {
			if next < len(b.stale) && b.stale[next] == i {
				next++
				if c := &b.samples[i]; d.opts.OnStale != nil {
					d.opts.OnStale(c.Ref, c.Labels, c.T)
				}
				continue
			}
			live = append(live, b.samples[i])
		}
	}
	if d.opts.OnCommit != nil && len(live) > 0 {
		d.opts.OnCommit(live)
	}
}

// labelsOf finds the labels of a series in the head. It is used only for
// callers that pass a ref without labels.
func (d *DB) labelsOf(ref storage.SeriesRef) labels.Labels {
	if ls, ok := d.refLabels.Load(ref); ok {
		return ls.(labels.Labels)
	}
	ix, err := d.db.Head().Index()
	if err != nil {
		return labels.EmptyLabels()
	}
	defer ix.Close()
	var b labels.ScratchBuilder
	if err := ix.Series(ref, &b, nil); err != nil {
		return labels.EmptyLabels()
	}
	ls := b.Labels()
	d.refLabels.Store(ref, ls)
	return ls
}

func (d *DB) remember(ls labels.Labels, m metadata.Metadata) {
	name := ls.Get(labels.MetricName)
	d.metaMu.RLock()
	old, ok := d.meta[name]
	d.metaMu.RUnlock()
	if ok && old.Equals(m) {
		return
	}
	d.metaMu.Lock()
	defer d.metaMu.Unlock()
	if !ok && len(d.meta) >= maxMetaNames {
		return
	}
	d.meta[name] = m
	if err := d.metaFile.append(name, m); err != nil {
		d.opts.Logger.Warn("metric metadata not kept for a restart", "err", err)
	}
}
