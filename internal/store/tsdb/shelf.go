package tsdb

import (
	"context"
	"fmt"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// shelf is a view of some series; it implements store.Shelf.
type shelf struct {
	q        storage.Querier
	series   []storage.Series
	it       chunkenc.Iterator
	from, to int64
}

var _ store.Shelf = (*shelf)(nil)

// Shelf opens the series with samples in [from, to] (Unix ms) for which keep
// is true; nil keeps all. It holds about 50 bytes for each 120 samples until
// it is closed, and reads samples only when they are asked for.
func (d *DB) Shelf(ctx context.Context, from, to int64, keep func(labels.Labels) bool) (store.Shelf, error) {
	q, err := d.db.Querier(from, to)
	if err != nil {
		return nil, fmt.Errorf("metrics store: cannot select: %w", err)
	}
	s := &shelf{q: q, from: from, to: to}
	set := q.Select(ctx, false, &storage.SelectHints{Start: from, End: to}, &labels.Matcher{Type: labels.MatchEqual})
	for set.Next() {
		if x := set.At(); keep == nil || keep(x.Labels()) {
			s.series = append(s.series, x)
		}
	}
	if err := set.Err(); err != nil {
		_ = q.Close()
		return nil, fmt.Errorf("metrics store: cannot select: %w", err)
	}
	return s, nil
}

// Chunks is about how many chunks of samples the database holds.
func (d *DB) Chunks() int {
	n := 4 * d.db.Head().NumSeries() // of at most two hours and a half, as a rule
	for _, b := range d.db.Blocks() {
		n += b.Meta().Stats.NumChunks
	}
	return int(n)
}

func (s *shelf) Len() int                   { return len(s.series) }
func (s *shelf) Labels(i int) labels.Labels { return s.series[i].Labels() }
func (s *shelf) Close() error               { return s.q.Close() }

// Samples appends the float samples of series i, oldest first.
func (s *shelf) Samples(i int, buf []telemetry.Sample) ([]telemetry.Sample, error) {
	s.it = s.series[i].Iterator(s.it)
	for vt := s.it.Next(); vt != chunkenc.ValNone; vt = s.it.Next() {
		if vt != chunkenc.ValFloat {
			continue
		}
		t, v := s.it.At()
		if t < s.from || t > s.to || value.IsStaleNaN(v) {
			continue
		}
		buf = append(buf, telemetry.Sample{T: t, V: v})
	}
	if err := s.it.Err(); err != nil {
		return buf, fmt.Errorf("metrics store: cannot read series %s: %w", short(s.series[i].Labels()), err)
	}
	return buf, nil
}
