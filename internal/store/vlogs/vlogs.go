// Package vlogs is store.Logs and store.Traces on VictoriaLogs' storage inside
// the process.
//
// It exists because that storage compresses and searches logs very well but
// has no write-ahead log: alone it would lose the last seconds at a crash. A
// spool (Prometheus's wlog format) stands in front. An append returns when its
// rows were written to the spool, so they survive SIGKILL; one goroutine feeds
// the storage from a bounded queue; a checkpoint moves forward when the
// storage has written its memory to files; at start everything behind the
// checkpoint is fed again, except the rows that the storage already holds,
// which it knows by a sequence number in every row. So each appended row is
// there exactly once. The spool is also the memory of the dedup window across
// restarts.
//
// The package does not normalise, mine or judge. Times are Unix nanoseconds.
//
// [Logs] and [Traces] are the main types, each with a directory of its own;
// both are safe for concurrent use. Appends block while the storage is behind:
// that is the back-pressure.
//
// Limits to know: VictoriaLogs ends the process when it cannot write its files
// (its Must functions); what was acknowledged is then in the spool and comes
// back at the next start. When free disk space is short, feeding waits and so
// do the appends. A record of the spool is synced to the disk when a segment
// ends, so loss of power may lose the last of it.
package vlogs

import (
	"errors"
	"flag"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logger"
)

// ErrClosed is returned by methods of a store that was closed.
var ErrClosed = errors.New("the store is closed")

// Options of a store. The zero value of each field means the default in
// brackets.
type Options struct {
	Retention       time.Duration // oldest time that is kept, back from now (30 days); give 100 years for recorded data
	FutureRetention time.Duration // newest time that is kept, ahead of now (2 days)
	DedupWindow     time.Duration // how long identities are remembered (10 min); negative switches dedup off
	DedupEntries    int           // identities remembered at most; the oldest go first (4 million, about 100 MB)
	QueueBytes      int64         // rows waiting for the storage; appends block when it is full (64 MiB)
	SegmentBytes    int64         // spool file size (16 MiB)
	SpoolBytes      int64         // spool kept for the dedup window beyond what the storage needs (256 MiB)
	Checkpoint      time.Duration // at most this long between checkpoints while rows arrive (10 s)
	MinFreeBytes    int64         // free disk space below which feeding waits (64 MiB)
	Readers         int           // parallel readers of one query (2)
	Logger          *slog.Logger  // (slog.Default)
}

func (o Options) withDefaults() Options {
	def := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def64 := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&o.Retention, 30*24*time.Hour)
	def(&o.FutureRetention, 48*time.Hour)
	def(&o.DedupWindow, 10*time.Minute)
	def(&o.Checkpoint, 10*time.Second)
	def64(&o.QueueBytes, 64<<20)
	def64(&o.SegmentBytes, 16<<20)
	def64(&o.SpoolBytes, 256<<20)
	def64(&o.MinFreeBytes, 64<<20)
	if o.DedupEntries <= 0 {
		o.DedupEntries = 4_000_000
	}
	if o.Readers <= 0 {
		o.Readers = 2
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// Stats are sizes now, and counters since the store was opened.
type Stats struct {
	Rows         uint64 // searchable rows in the storage
	Bytes        uint64 // of the storage, compressed
	SpoolBytes   int64  // of the spool files, uncompressed
	LagRows      uint64 // rows in the spool that the storage has not been given yet
	QueueBytes   int64  // of these rows
	Appended     uint64 // rows accepted
	Duplicates   uint64 // rows dropped by the dedup window
	OutOfRange   uint64 // rows refused because their time is outside the retention
	Shortened    uint64 // rows that lost part of a value or attribute to the storage's limits
	Replayed     uint64 // rows fed from the spool when the store was opened
	Skipped      uint64 // rows found in the storage when the store was opened, not fed again
	Checkpoints  uint64
	DedupEntries int
}

// libraryLog brings VictoriaLogs' own log lines into slog. The library keeps
// its settings in process-wide flags; there is no other way in.
var libraryLog sync.Once

func routeLibraryLog(l *slog.Logger) {
	libraryLog.Do(func() {
		// The library panics when flags were never parsed; Norn's command line
		// is not the flag package's.
		if !flag.Parsed() {
			if err := flag.CommandLine.Parse(nil); err != nil {
				l.Warn("cannot set the log storage library's defaults", "err", err)
			}
		}
		if f := flag.Lookup("loggerLevel"); f != nil {
			if err := f.Value.Set("WARN"); err != nil {
				l.Warn("cannot quieten the log storage library", "err", err)
			}
		}
		logger.SetOutputForTests(lineLogger{l})
	})
}

type lineLogger struct{ l *slog.Logger }

// Write takes one line of the library.
func (w lineLogger) Write(p []byte) (int, error) {
	const limit = 2000
	s := strings.TrimSpace(string(p))
	if len(s) > limit {
		s = s[:limit] + "..."
	}
	w.l.Warn("log storage library", "line", s)
	return len(p), nil
}
