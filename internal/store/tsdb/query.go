package tsdb

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// maxSteps bounds the points of one range query per series.
const maxSteps = 100_000

// Select returns the raw float samples in [from, to] (Unix ms, inclusive) of
// the series that match, sorted by labels. Stale markers and native
// histograms are left out, and so are series that have nothing else.
func (d *DB) Select(ctx context.Context, from, to int64, ms ...*labels.Matcher) ([]store.SeriesData, error) {
	out := []store.SeriesData{}
	err := d.each(ctx, from, to, true, func(ls labels.Labels, ss []telemetry.Sample) {
		out = append(out, store.SeriesData{Labels: ls, Samples: append([]telemetry.Sample(nil), ss...)})
	}, ms...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// SelectAll visits every series that has float samples in [from, to] (Unix
// ms, inclusive) with these samples, oldest first. It is how detection catches
// up after a restart. The slice is reused after visit returns; the labels may
// be kept. Series come in no fixed order.
func (d *DB) SelectAll(ctx context.Context, from, to int64, visit func(labels.Labels, []telemetry.Sample)) error {
	return d.each(ctx, from, to, false, visit)
}

func (d *DB) each(ctx context.Context, from, to int64, sorted bool, f func(labels.Labels, []telemetry.Sample), ms ...*labels.Matcher) error {
	if from > to {
		return nil
	}
	q, err := d.db.Querier(from, to)
	if err != nil {
		return fmt.Errorf("metrics store: cannot select: %w", err)
	}
	defer q.Close()
	return visit(ctx, q, from, to, sorted, f, ms...)
}

// visit reads the float samples in [from, to] of all series that match.
func visit(ctx context.Context, q storage.Querier, from, to int64, sorted bool, f func(labels.Labels, []telemetry.Sample), ms ...*labels.Matcher) error {
	if len(ms) == 0 {
		ms = []*labels.Matcher{{Type: labels.MatchEqual}} // TSDB's word for everything
	}
	set := q.Select(ctx, sorted, &storage.SelectHints{Start: from, End: to}, ms...)
	var (
		buf []telemetry.Sample
		it  chunkenc.Iterator
	)
	for set.Next() {
		s := set.At()
		it = s.Iterator(it)
		buf = buf[:0]
		for vt := it.Next(); vt != chunkenc.ValNone; vt = it.Next() {
			if vt != chunkenc.ValFloat {
				continue
			}
			t, v := it.At()
			if t < from || t > to || value.IsStaleNaN(v) {
				continue
			}
			buf = append(buf, telemetry.Sample{T: t, V: v})
		}
		if err := it.Err(); err != nil {
			return fmt.Errorf("metrics store: cannot read series %s: %w", short(s.Labels()), err)
		}
		if len(buf) > 0 {
			f(s.Labels(), buf)
		}
	}
	if err := set.Err(); err != nil {
		return fmt.Errorf("metrics store: cannot select: %w", err)
	}
	return ctx.Err()
}

// QueryRange evaluates PromQL at from, from+step ... to (Unix ms). A text
// that does not parse, a step that is not positive, or more than 100,000 steps
// give store.ErrBadQuery. Native histograms in the result are left out.
func (d *DB) QueryRange(ctx context.Context, expr string, from, to, step int64) ([]store.SeriesData, error) {
	if step <= 0 || to < from || (to-from)/step > maxSteps {
		return nil, fmt.Errorf("%w: range [%d, %d] ms with step %d ms (the step must be positive, the end after the start, at most %d steps)",
			store.ErrBadQuery, from, to, step, maxSteps)
	}
	q, err := d.engine.NewRangeQuery(ctx, d.queryable(), nil, expr, time.UnixMilli(from), time.UnixMilli(to), time.Duration(step)*time.Millisecond)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrBadQuery, err)
	}
	defer q.Close()
	res := q.Exec(ctx)
	m, err := res.Matrix()
	if err != nil {
		return nil, fmt.Errorf("metrics store: cannot evaluate %q: %w", expr, err)
	}
	out := make([]store.SeriesData, 0, len(m))
	for _, s := range m {
		if len(s.Floats) == 0 {
			continue
		}
		out = append(out, store.SeriesData{Labels: s.Metric, Samples: samplesOf(s.Floats)})
	}
	return out, nil
}

func samplesOf(ps []promql.FPoint) []telemetry.Sample {
	out := make([]telemetry.Sample, len(ps))
	for i, p := range ps {
		out[i] = telemetry.Sample{T: p.T, V: p.F}
	}
	return out
}

// LabelValues lists the values of a label over all stored data, sorted; an
// unknown label has none.
func (d *DB) LabelValues(ctx context.Context, name string) ([]string, error) {
	q, err := d.db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, fmt.Errorf("metrics store: cannot list values of label %q: %w", name, err)
	}
	defer q.Close()
	vs, _, err := q.LabelValues(ctx, name, nil)
	if err != nil {
		return nil, fmt.Errorf("metrics store: cannot list values of label %q: %w", name, err)
	}
	return append(make([]string, 0, len(vs)), vs...), nil
}

func (d *DB) compact() error {
	if err := d.db.Compact(context.Background()); err != nil {
		return fmt.Errorf("metrics store: cannot compact: %w", err)
	}
	return nil
}

// readOnly is the part of the database that may be given to others: nothing
// in it can write.
type readOnly struct {
	storage.Queryable
	storage.ChunkQueryable
	storage.ExemplarQueryable
}

func (d *DB) queryable() readOnly { return readOnly{d.db, d.db, d.db} }

// Queryable gives read access in Prometheus's own terms, for rule evaluation
// and remote read.
func (d *DB) Queryable() storage.SampleAndChunkQueryable { return d.queryable() }
