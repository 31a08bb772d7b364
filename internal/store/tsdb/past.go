package tsdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// Past reads the database of a directory without changing anything in it:
// blocks, and what is only in the write-ahead log. It shows what was there
// when it was opened. Make one with [OpenPast]; it is safe for concurrent use.
type Past struct {
	db      *tsdb.DBReadOnly
	dir     string
	sandbox string
	head    storage.Querier // the newest, with the log's samples
	oldest  int64
	newest  int64
	meta    map[string]metadata.Metadata
}

// OpenPast opens the database in dir, which may be one that a server has open.
// The write-ahead log is read into memory.
func OpenPast(dir string) (_ *Past, err error) {
	if _, err := os.Stat(filepath.Join(dir, "wal")); err != nil {
		return nil, fmt.Errorf("metrics store: %s holds no database: %w", dir, err)
	}
	p := &Past{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("metrics store: cannot read %s: %w", dir, err), p.Close())
		}
	}()
	if p.sandbox, err = os.MkdirTemp("", "norn-past-"); err != nil {
		return nil, err
	}
	if p.db, err = tsdb.OpenDBReadOnly(dir, p.sandbox, promslog.NewNopLogger()); err != nil {
		return nil, err
	}
	if p.meta, err = readMeta(filepath.Join(dir, metaName)); err != nil {
		return nil, err
	}
	return p, p.bounds()
}

// bounds finds the oldest and the newest sample.
func (p *Past) bounds() error {
	blocks, err := p.db.Blocks()
	if err != nil {
		return err
	}
	p.oldest, p.newest = 1<<62, 0
	for _, b := range blocks {
		p.oldest, p.newest = min(p.oldest, b.Meta().MinTime), max(p.newest, b.Meta().MaxTime)
	}
	// Only now: asking for the blocks again would wait for this reader's end.
	if p.head, err = p.db.Querier(0, 1<<62); err != nil {
		return err
	}
	// What lies behind the blocks is known only by reading it.
	return visit(context.Background(), p.head, p.newest, 1<<62, false, func(_ labels.Labels, ss []telemetry.Sample) {
		p.oldest, p.newest = min(p.oldest, ss[0].T), max(p.newest, ss[len(ss)-1].T)
	})
}

// Bounds returns the times (Unix ms) of the oldest and the newest sample; ok
// is false when the database is empty.
func (p *Past) Bounds() (oldest, newest int64, ok bool) {
	return p.oldest, p.newest, p.oldest <= p.newest
}

// SelectAll visits every float series with samples in [from, to] (Unix ms).
// The slice is reused.
func (p *Past) SelectAll(ctx context.Context, from, to int64, f func(labels.Labels, []telemetry.Sample)) error {
	if from > to {
		return nil
	}
	return visit(ctx, p.head, from, to, false, f)
}

// Metadata returns the type ("" when unknown) and unit that senders gave the
// metric.
func (p *Past) Metadata(name string) (typ, unit string) {
	m := p.meta[name]
	if m.Type == model.MetricTypeUnknown {
		m.Type = ""
	}
	return string(m.Type), m.Unit
}

// Close releases memory and temporary files.
func (p *Past) Close() error {
	var errs []error
	if p.head != nil {
		errs = append(errs, p.head.Close())
	}
	if p.db != nil {
		errs = append(errs, p.db.Close())
	}
	if p.sandbox != "" {
		errs = append(errs, os.RemoveAll(p.sandbox))
	}
	return errors.Join(errs...)
}
