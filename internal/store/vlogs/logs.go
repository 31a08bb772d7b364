package vlogs

import (
	"context"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

var _ store.Logs = (*Logs)(nil)

// Logs is a store of log records. Make one with [OpenLogs].
type Logs struct{ e *engine }

// OpenLogs opens or creates a log store in dir, which no other store may use.
// What the last run left in the spool is in the storage when it returns.
func OpenLogs(dir string, o Options) (*Logs, error) {
	e, err := openEngine("log store", dir, o)
	if err != nil {
		return nil, err
	}
	return &Logs{e}, nil
}

// AppendLogs returns when the records are in the spool: they survive SIGKILL.
// Records that are Retryable and whose Hash was appended within the dedup
// window are dropped. Equal hashes inside one batch are told apart by their
// count, because a batch that is sent again is sent whole: three equal lines
// stay three. Records outside the retention are dropped and counted in Stats.
// It blocks while the storage is behind; a ctx that ends then gives an error,
// and nothing was taken.
func (l *Logs) AppendLogs(ctx context.Context, recs []telemetry.LogRecord) ([]bool, error) {
	rows := make([]row, len(recs))
	var seen map[uint64]uint64
	for i := range recs {
		var clipped bool
		rows[i], clipped = logRow(&recs[i])
		if clipped {
			l.e.shortened.Add(1)
		}
		if id := rows[i].id; id != 0 {
			if seen == nil {
				seen = make(map[uint64]uint64, len(recs))
			}
			n := seen[id]
			seen[id] = n + 1
			rows[i].id = id + n*0x9e3779b97f4a7c15
		}
	}
	return l.e.append(ctx, rows)
}

// SearchLogs visits matching rows, newest first unless the query sorts or
// aggregates. A text that is not LogsQL gives store.ErrBadQuery. Without a
// limit the matching rows are sorted in memory.
func (l *Logs) SearchLogs(ctx context.Context, q store.LogQuery, visit func(store.Row) bool) error {
	return l.e.search(ctx, q, func(r map[string]string) bool { return visit(r) })
}

// LogContext returns a record between its neighbours in its stream. The engine
// knows a stream by service and instance.
func (l *Logs) LogContext(ctx context.Context, id string, before, after int) ([]store.Row, error) {
	return l.e.around(ctx, id, before, after)
}

// TailLogs visits matching records as they arrive, at most 1,000 a second,
// whose time is at most an hour before the newest stored one's. A record is
// visited once, within about two seconds.
func (l *Logs) TailLogs(ctx context.Context, query string, visit func(rows []store.Row, missed bool) error) error {
	return l.e.tail(ctx, query, visit)
}

// FlushLogs makes everything appended so far visible.
func (l *Logs) FlushLogs() { l.e.flush() }

// Stats returns sizes and counters.
func (l *Logs) Stats() Stats { return l.e.stats() }

// Close feeds what is queued, writes it to files and releases the directory.
// Closing twice is allowed.
func (l *Logs) Close() error { return l.e.close() }
