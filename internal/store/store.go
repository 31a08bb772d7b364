// Package store holds the storage contracts, and nothing else.
//
// Each contract says who owns what, what an empty answer looks like, and when
// a write is durable. Implementations are in the packages below this one (one
// technology each); every one of them passes the suite in store/storetest and
// lists there what it cannot do.
//
// Durable means: the data survives SIGKILL of the process at any later moment.
// It does not promise to survive the loss of power of the machine unless the
// implementation says so.
//
// All methods are safe for concurrent use. All slices that a method returns
// belong to the caller.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// ErrNotFound is returned (wrapped) when a thing that was named does not exist.
var ErrNotFound = errors.New("not found")

// ErrBadQuery is returned (wrapped) when a query text cannot be understood.
var ErrBadQuery = errors.New("bad query")

// SeriesData is one series with the samples of a time range, oldest first.
type SeriesData struct {
	Labels  labels.Labels
	Samples []telemetry.Sample
}

// Committed is one sample as it was committed: a float in V, or a native
// histogram in H (then V is unused).
type Committed struct {
	Ref    storage.SeriesRef
	T      int64
	V      float64
	Labels labels.Labels
	H      Histogram // nil for floats
	Type   string    // counter, gauge, histogram, summary; "" when the sender did not say
	Unit   string    // as sent, "" when the sender did not say
}

// ImportSample is one sample of the past: a float, or one of the two kinds of
// native histograms.
type ImportSample struct {
	T  int64 // Unix ms
	V  float64
	H  *histogram.Histogram
	FH *histogram.FloatHistogram
}

// ImportStats says what became of imported samples.
type ImportStats struct {
	Samples    int            `json:"samples"`    // stored
	Duplicates int            `json:"duplicates"` // at a moment at which the series has a value already
	Refused    map[string]int `json:"refused"`    // by reason
	Blocks     int            `json:"blocks"`     // written
	From       int64          `json:"from"`       // Unix ms of the oldest stored one
	To         int64          `json:"to"`         // of the newest; before From when there is none
}

// Import takes samples of the past into a metric store, whatever their age and
// order. What is there already is left out. It belongs to one goroutine.
type Import interface {
	// Add takes samples of one series. The error names the first that was refused;
	// the others are taken.
	Add(ls labels.Labels, xs []ImportSample) error
	// Full reports that so much is in memory that Flush is due.
	Full() bool
	// Flush makes everything so far durable and readable.
	Flush(ctx context.Context) error
	Stats() ImportStats
}

// Shelf is a view of some series of a metric store, whose samples are read one
// series after another. It belongs to one goroutine; several shelves of one
// store may be used at the same time.
type Shelf interface {
	Len() int
	Labels(i int) labels.Labels
	// Samples appends the float samples of series i (0 to Len-1) to buf, oldest
	// first. Stale markers are left out.
	Samples(i int, buf []telemetry.Sample) ([]telemetry.Sample, error)
	Close() error
}

// Histogram is what detection needs of a native histogram.
type Histogram interface {
	// Quantile estimates the q-quantile (0..1) of the observations since the
	// histogram began; NaN when empty.
	Quantile(q float64) float64
	// Count and Sum are the number and the sum of the observations.
	Count() float64
	Sum() float64
	// Sub gives the observations made since prev, an earlier state of the same
	// series; nil when that cannot be told (a reset, other buckets). Neither
	// is changed, so a Committed histogram must stay as it is for good.
	Sub(prev Histogram) Histogram
}

// Metrics stores samples and answers PromQL.
//
// Samples go in through AppenderV2; Commit returns when they are durable. A
// sample that is older than the newest of its series by more than the
// out-of-order window is refused with storage.ErrTooOldSample.
type Metrics interface {
	storage.AppendableV2
	// Select returns the raw float samples in [from, to] (Unix ms, both
	// inclusive) of all series that match. No match gives an empty slice.
	Select(ctx context.Context, from, to int64, ms ...*labels.Matcher) ([]SeriesData, error)
	// QueryRange evaluates PromQL at from, from+step ... to (Unix ms). A text
	// that does not parse gives ErrBadQuery. A scalar result is one series
	// without labels.
	QueryRange(ctx context.Context, expr string, from, to, step int64) ([]SeriesData, error)
	// LabelValues lists the values of a label, sorted.
	LabelValues(ctx context.Context, name string) ([]string, error)
	Close() error
}

// Row is one result row of a log query: field name to value. "_time" is
// RFC 3339 with nanoseconds, "_msg" the body.
type Row map[string]string

// LogQuery selects log records.
type LogQuery struct {
	Query    string // LogsQL; "" or "*" is everything
	From, To int64  // Unix nanoseconds, inclusive; zero means unbounded
	Limit    int    // 0 means no limit
	Oldest   bool   // oldest first instead of newest first
	Beyond   string // RowID of a record: only those that come behind it in this order
}

// RowID is the field of a [Row] that names the record for good. Rows of
// queries that aggregate, or that leave out _time, have none.
const RowID = "_id"

// Logs stores log records and answers LogsQL.
type Logs interface {
	// AppendLogs returns when the records are durable. Records whose Hash was
	// appended within the dedup window and that are marked Retryable are
	// dropped; accepted tells which were new (same length as recs).
	AppendLogs(ctx context.Context, recs []telemetry.LogRecord) (accepted []bool, err error)
	// SearchLogs visits matching rows, newest first unless the query sorts.
	// visit runs on one goroutine; returning false stops. Pipes that
	// aggregate ("| stats ...") are allowed. Fields written by AppendLogs:
	// _time, _msg, service, instance, severity, severity_number, template,
	// trace_id, span_id, source and every attribute under its own key
	// (resource attributes likewise); RowID is added to records.
	SearchLogs(ctx context.Context, q LogQuery, visit func(Row) bool) error
	// LogContext returns the record with the given RowID between up to before
	// records that came before it and up to after that came after it in its
	// stream (service and instance), oldest first. No such record gives
	// ErrNotFound, a text that is no RowID ErrBadQuery.
	LogContext(ctx context.Context, id string, before, after int) ([]Row, error)
	// TailLogs visits matching records that arrive from now on until ctx ends or
	// visit fails, about once a second, in the order of their arrival; it returns
	// visit's error or that of ctx. missed says that more came than are shown. A
	// query with pipes gives ErrBadQuery.
	TailLogs(ctx context.Context, query string, visit func(rows []Row, missed bool) error) error
	// FlushLogs makes everything appended so far visible to SearchLogs.
	FlushLogs()
	Close() error
}

// SpanQuery selects spans.
type SpanQuery struct {
	Service     string
	Operation   string
	From, To    int64 // Unix nanoseconds
	MinDuration time.Duration
	OnlyErrors  bool
	Limit       int // 0 means 100
}

// Traces stores spans.
type Traces interface {
	// AppendSpans returns when the spans are durable. Spans already seen
	// (trace and span id) within the dedup window are dropped; accepted tells
	// which were new.
	AppendSpans(ctx context.Context, spans []telemetry.Span) (accepted []bool, err error)
	// Trace returns the spans of one trace by start time; none gives ErrNotFound.
	Trace(ctx context.Context, traceID string) ([]telemetry.Span, error)
	// SearchSpans returns matching spans, newest first.
	SearchSpans(ctx context.Context, q SpanQuery) ([]telemetry.Span, error)
	// FlushSpans makes everything appended so far visible.
	FlushSpans()
	Close() error
}

// IncidentFilter selects incidents.
type IncidentFilter struct {
	States []ops.State // empty means all
	From   int64       // updated at or after, Unix ms; 0 means unbounded
	To     int64       // onset at or before, Unix ms; 0 means unbounded
	Limit  int         // 0 means 200
}

// State stores what Norn concluded and what it needs to go on after a
// restart. Every Put returns when the write is durable, and replaces what had
// the same key.
type State interface {
	PutIncident(ctx context.Context, in *ops.Incident) error
	Incident(ctx context.Context, id string) (*ops.Incident, error)
	// Incidents returns the newest onset first.
	Incidents(ctx context.Context, f IncidentFilter) ([]ops.Incident, error)

	PutAnomaly(ctx context.Context, a *ops.Anomaly) error
	// Anomalies returns those that overlap [from, to] (Unix ms), oldest onset
	// first, at most limit (0 means 1000).
	Anomalies(ctx context.Context, from, to int64, limit int) ([]ops.Anomaly, error)

	PutChange(ctx context.Context, c *telemetry.Change) error
	// Changes returns those in [from, to] (Unix ms), oldest first.
	Changes(ctx context.Context, from, to int64) ([]telemetry.Change, error)

	// PutAlert stores the latest word on an alert, by fingerprint.
	PutAlert(ctx context.Context, a *telemetry.Alert) error
	// PutAlerts stores many at once, all or none. Of equal fingerprints in one
	// call the last counts.
	PutAlerts(ctx context.Context, as []telemetry.Alert) error
	// Alerts returns those active at or after from (Unix ms), by start.
	Alerts(ctx context.Context, from int64) ([]telemetry.Alert, error)

	// PutEdges stores graph edges by (From, To, Kind).
	PutEdges(ctx context.Context, edges []graph.Edge) error
	Edges(ctx context.Context) ([]graph.Edge, error)

	// PutBlob stores an opaque value: model snapshots, template tables.
	PutBlob(ctx context.Context, key string, data []byte) error
	// Blob returns ErrNotFound when the key was never put.
	Blob(ctx context.Context, key string) ([]byte, error)

	Close() error
}
