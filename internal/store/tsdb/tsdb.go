// Package tsdb is store.Metrics on Prometheus TSDB inside the process.
//
// It exists so that every sample, whatever protocol brought it, passes one
// appender whose Commit first makes the samples durable in the write-ahead log
// and then hands them to detection (the tap). It does not parse protocols,
// derive rates or judge. The older V1 appender is not reachable from outside:
// nothing can bypass the tap.
//
// Times are Unix milliseconds. After Commit returned, the samples survive
// SIGKILL: the write-ahead log was handed to the kernel. It is synced to the
// disk when a segment (128 MiB) ends, so loss of power may lose the last of it.
//
// [DB] is the main type; it is safe for concurrent use, its appenders are not
// (one goroutine each). The tap is called on the committing goroutine, so
// concurrent commits call it concurrently.
package tsdb

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/norn-aiops/norn/internal/store"
)

// Options of a DB. The zero value of each field means the default in brackets.
type Options struct {
	Retention        time.Duration // how long blocks are kept, counted back from the newest data (15 days)
	OutOfOrderWindow time.Duration // how late a sample may be behind its series' newest (0: not at all)
	BlockDuration    time.Duration // time range of the head before it is written to a block (2 h)
	MaxFuture        time.Duration // how far ahead of the wall clock a sample may be (10 min); negative switches the check off, for replay
	MaxLabels        int           // labels of one series, the name included (128); negative: no limit
	MaxLabelBytes    int           // bytes of one label's name and value together (16 KiB); negative: no limit
	MaxSeries        int           // series in the head (0: no limit)
	MaxExemplars     int           // exemplars kept in memory (10,000); negative: none
	QueryTimeout     time.Duration // of one PromQL evaluation (2 min)
	QueryMaxSamples  int           // held in memory by one PromQL evaluation (50 million)
	Logger           *slog.Logger  // (discards)
	Registerer       prometheus.Registerer

	// OnCommit is the tap: it is called after each Commit that succeeded, with
	// the committed samples in append order. The slice is reused after the
	// call returns; its Labels are immutable and may be kept. Stale markers
	// are left out. TSDB re-checks duplicates and races between concurrent
	// writers of one series inside Commit and drops such samples silently, so
	// the tap may, in that case, see a sample that was not stored.
	OnCommit func([]store.Committed)
	// OnStale is called for each committed stale marker: the sender says that
	// the series ended at t.
	OnStale func(ref storage.SeriesRef, ls labels.Labels, t int64)
	// OnDelete is called when a series left the head; its ref is never used
	// again. It must be quick and must not call the DB.
	OnDelete func(ref storage.SeriesRef)
}

func (o Options) withDefaults() Options {
	def := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	defInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&o.Retention, 15*24*time.Hour)
	def(&o.BlockDuration, 2*time.Hour)
	def(&o.MaxFuture, 10*time.Minute)
	def(&o.QueryTimeout, 2*time.Minute)
	defInt(&o.MaxLabels, 128)
	defInt(&o.MaxLabelBytes, 16<<10)
	defInt(&o.MaxExemplars, 10_000)
	defInt(&o.QueryMaxSamples, 50_000_000)
	if o.Logger == nil {
		o.Logger = promslog.NewNopLogger()
	}
	return o
}

// RefusedError says why a sample or series was refused by one of Norn's own
// limits. It matches storage.ErrOutOfBounds, so that the protocol handlers of
// Prometheus answer it as the sender's error and keep the rest of the batch.
type RefusedError struct {
	Reason string // stable, a counter label: far_future, too_many_labels, label_too_long, series_limit
	Detail string
}

// Error names what was refused and the limit.
func (e *RefusedError) Error() string { return e.Detail }

// Is reports true for storage.ErrOutOfBounds.
func (e *RefusedError) Is(target error) bool { return target == storage.ErrOutOfBounds }

// RefusalReason returns the stable reason, for counters.
func (e *RefusedError) RefusalReason() string { return e.Reason }

// Reasons of a RefusedError.
const (
	ReasonFarFuture     = "far_future"
	ReasonTooManyLabels = "too_many_labels"
	ReasonLabelTooLong  = "label_too_long"
	ReasonSeriesLimit   = "series_limit"
	ReasonTooOld        = "too_old"        // of imports: beyond the retention
	ReasonInvalidLabels = "invalid_labels" // of imports
)

// Stats are counters since the DB was opened, and sizes now.
type Stats struct {
	Samples  uint64            // floats and histograms committed, stale markers included
	Stale    uint64            // stale markers among them
	Refused  map[string]uint64 // samples by RefusedError reason
	Rejected uint64            // samples that TSDB itself refused (too old, duplicate, out of order)
	Series   uint64            // in the head
	Blocks   int
	MinTime  int64 // Unix ms of the oldest sample in the head
	MaxTime  int64 // Unix ms of the newest
}

// DB is a metrics store. Make one with [Open].
type DB struct {
	db     *tsdb.DB
	engine *promql.Engine
	parser parser.Parser
	opts   Options
	dir    string

	ready    atomic.Bool // the log was replayed: limits apply to new series
	closed   atomic.Bool
	bufs     sync.Pool // *batch
	samples  atomic.Uint64
	stale    atomic.Uint64
	rejected atomic.Uint64
	refused  [4]atomic.Uint64 // in the order of reasons

	refLabels sync.Map // storage.SeriesRef -> labels.Labels, for callers that pass a ref alone

	metaMu   sync.RWMutex
	meta     map[string]metadata.Metadata // by metric name, as last sent
	metaFile *metaFile
}

var reasons = [...]string{ReasonFarFuture, ReasonTooManyLabels, ReasonLabelTooLong, ReasonSeriesLimit}

// Open opens or creates the database in dir. It replays the write-ahead log,
// which takes about a second per million samples. The tap is not called for
// replayed samples; use [DB.SelectAll] to catch up.
func Open(dir string, o Options) (*DB, error) {
	o = o.withDefaults()
	d := &DB{opts: o, dir: dir}
	d.bufs.New = func() any { return &batch{} }

	to := tsdb.DefaultOptions()
	to.RetentionDuration = o.Retention.Milliseconds()
	to.MinBlockDuration = o.BlockDuration.Milliseconds()
	to.MaxBlockDuration = max(to.MinBlockDuration, min(31*24*time.Hour, o.Retention/10).Milliseconds())
	to.OutOfOrderTimeWindow = max(1, o.OutOfOrderWindow.Milliseconds()) // at 0 it would not load new blocks when asked to
	to.WALCompression = compression.Snappy
	to.EnableExemplarStorage = o.MaxExemplars > 0
	to.MaxExemplars = int64(max(o.MaxExemplars, 0))
	to.SeriesLifecycleCallback = lifecycle{d}

	db, err := tsdb.Open(dir, o.Logger, o.Registerer, to, nil)
	if err != nil {
		return nil, fmt.Errorf("metrics store: cannot open %s: %w", dir, err)
	}
	d.db = db
	if d.metaFile, d.meta, err = openMetaFile(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("metrics store: %w", err), db.Close())
	}
	d.parser = parser.NewParser(parser.Options{})
	d.engine = promql.NewEngine(promql.EngineOpts{
		Logger:               o.Logger,
		Reg:                  o.Registerer,
		MaxSamples:           o.QueryMaxSamples,
		Timeout:              o.QueryTimeout,
		LookbackDelta:        5 * time.Minute,
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
		Parser:               d.parser,
	})
	d.ready.Store(true)
	return d, nil
}

// Close writes out what is in memory and releases the directory. Closing
// twice is allowed.
func (d *DB) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	err := errors.Join(d.engine.Close(), d.db.Close(), d.metaFile.f.Close())
	if err != nil {
		return fmt.Errorf("metrics store: cannot close %s: %w", d.dir, err)
	}
	return nil
}

// Stats returns the counters.
func (d *DB) Stats() Stats {
	s := Stats{
		Samples:  d.samples.Load(),
		Stale:    d.stale.Load(),
		Rejected: d.rejected.Load(),
		Refused:  map[string]uint64{},
		Series:   d.db.Head().NumSeries(),
		Blocks:   len(d.db.Blocks()),
		MinTime:  d.db.Head().MinTime(),
		MaxTime:  d.db.Head().MaxTime(),
	}
	for i, r := range reasons {
		s.Refused[r] = d.refused[i].Load()
	}
	return s
}

// Compact writes finished ranges of the head to blocks and merges blocks. It
// runs by itself too; bulk loads may call it.
func (d *DB) Compact() error { return d.compact() }

func (d *DB) refuse(reason, format string, args ...any) error {
	for i, r := range reasons {
		if r == reason {
			d.refused[i].Add(1)
		}
	}
	return &RefusedError{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// lifecycle hears of series that come and go in the head.
type lifecycle struct{ d *DB }

// PreCreation applies the limits on labels and series. It costs nothing on
// the samples of series that exist.
func (l lifecycle) PreCreation(ls labels.Labels) error {
	d := l.d
	if !d.ready.Load() {
		return nil // what was accepted once is not lost to a tighter limit
	}
	if bad := d.opts.badLabels(ls); bad != nil {
		return d.refuse(bad.Reason, "%s", bad.Detail)
	}
	if limit := d.opts.MaxSeries; limit > 0 && d.db.Head().NumSeries() >= uint64(limit) {
		return d.refuse(ReasonSeriesLimit, "new series %s refused: the limit of %d series is reached", short(ls), limit)
	}
	return nil
}

// badLabels says which limit the labels of a series break, nil when none.
func (o *Options) badLabels(ls labels.Labels) *RefusedError {
	if n := ls.Len(); o.MaxLabels > 0 && n > o.MaxLabels {
		return &RefusedError{ReasonTooManyLabels, fmt.Sprintf("series %s has %d labels, the limit is %d", short(ls), n, o.MaxLabels)}
	}
	if limit := o.MaxLabelBytes; limit > 0 {
		var long string
		ls.Range(func(lb labels.Label) {
			if len(lb.Name)+len(lb.Value) > limit {
				long = lb.Name
			}
		})
		if long != "" {
			return &RefusedError{ReasonLabelTooLong, fmt.Sprintf("label %.64q of series %s is longer than the limit of %d bytes", long, short(ls), limit)}
		}
	}
	return nil
}

// PostCreation does nothing: the appender sees the ref.
func (l lifecycle) PostCreation(labels.Labels) {}

// PostDeletion passes refs that will never come again.
func (l lifecycle) PostDeletion(gone map[chunks.HeadSeriesRef]labels.Labels) {
	for ref := range gone {
		l.d.refLabels.Delete(storage.SeriesRef(ref))
		if l.d.opts.OnDelete != nil {
			l.d.opts.OnDelete(storage.SeriesRef(ref))
		}
	}
}

// short names a series in an error without repeating megabytes of labels.
func short(ls labels.Labels) string {
	name := ls.Get(labels.MetricName)
	if len(name) > 100 {
		name = name[:100] + "..."
	}
	return fmt.Sprintf("%q", name)
}
