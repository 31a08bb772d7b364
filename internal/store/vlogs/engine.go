package vlogs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
	"golang.org/x/sync/semaphore"
)

// seqField carries a row's sequence number; searches do not show it.
const seqField = "_norn_seq"

const queueBatches = 1024

// engine is a spool, a storage behind it and the goroutine between them. Logs
// and Traces differ only in how they turn their records into rows.
type engine struct {
	name string
	dir  string
	opts Options
	st   *logstorage.Storage
	log  *slog.Logger

	mu     sync.Mutex // guards what follows, and the order of spool and queue
	wal    *wlog.WL
	segs   []segment // the last one is being written
	opened int64     // Unix ms when the last segment was begun
	seq    uint64    // of the last row appended
	ckpt   uint64    // what the checkpoint file says
	dedup  *dedup
	rec    []byte
	torn   bool        // the last write failed: the current spool file may end in half a record
	voids  [][2]uint64 // sequence numbers of writes that failed, first and last
	closed bool

	slots *semaphore.Weighted // batches in the queue
	bytes *semaphore.Weighted // bytes in the queue
	queue chan batch          // never blocks: slots bounds it
	done  chan struct{}       // closed when the feeder ended

	reading sync.RWMutex // held for reading by queries, for writing by close

	fed                                         atomic.Uint64 // sequence number of the last row given to the storage
	queued                                      atomic.Int64
	appended, duplicates, outOfRange, shortened atomic.Uint64
	replayed, skipped, checkpoints              atomic.Uint64
}

// openEngine opens storage and spool below dir and feeds what the last run
// left in the spool.
func openEngine(name, dir string, o Options) (e *engine, err error) {
	o = o.withDefaults()
	routeLibraryLog(o.Logger)
	e = &engine{
		name: name, dir: dir, opts: o, log: o.Logger.With("store", name),
		dedup: newDedup(o.DedupWindow.Milliseconds(), o.DedupEntries),
		slots: semaphore.NewWeighted(queueBatches),
		bytes: semaphore.NewWeighted(o.QueueBytes),
		queue: make(chan batch, queueBatches),
		done:  make(chan struct{}),
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("%s: cannot make directory: %w", name, err)
	}
	if err := e.openStorage(); err != nil {
		return nil, fmt.Errorf("%s: cannot open %s: %w", name, dir, err)
	}
	if err := e.replay(); err != nil {
		e.st.MustClose()
		return nil, fmt.Errorf("%s: cannot recover the spool in %s: %w", name, dir, err)
	}
	go e.feeder()
	return e, nil
}

// openStorage turns the library's panic (a directory in use, damaged files)
// into an error.
func (e *engine) openStorage() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("log storage: %v", p)
		}
	}()
	e.st = logstorage.MustOpenStorage(filepath.Join(e.dir, "data"), &logstorage.StorageConfig{
		Retention:              e.opts.Retention,
		MaxBackfillAge:         e.opts.Retention,
		FutureRetention:        e.opts.FutureRetention,
		DefaultParallelReaders: e.opts.Readers,
		MinFreeDiskSpaceBytes:  e.opts.MinFreeBytes,
		// Checkpoints write the memory to files much sooner than this.
		FlushInterval: max(time.Minute, 4*e.opts.Checkpoint),
	})
	for _, p := range e.st.PartitionSnapshotList() { // of a checkpoint that was killed
		if err := e.st.PartitionSnapshotDelete(p); err != nil {
			e.log.Warn("cannot delete a leftover snapshot", "path", p, "err", err)
		}
	}
	return nil
}

// replay rebuilds the dedup window from the spool, feeds what is behind the
// checkpoint and not in the storage, and begins a new spool file.
func (e *engine) replay() error {
	c, err := readCheckpoint(e.dir)
	if err != nil {
		return err
	}
	e.seq, e.ckpt, e.voids = c.Seq, c.Seq, c.Voids
	r := replayer{e: e, c: c, feed: newFeed(e), since: time.Now().UnixMilli() - e.opts.DedupWindow.Milliseconds()}
	segs, damaged, err := readSegments(e.spoolDir(), r.batch)
	if err != nil {
		return err
	}
	for _, d := range damaged {
		// The normal trace of a kill in the middle of a write: such a batch was
		// never acknowledged.
		e.log.Info("passed over the torn end of a spool file", "err", d)
	}
	r.feed.flush()
	r.feed.close()
	e.fed.Store(e.seq)
	if e.wal, err = wlog.NewSize(e.log, nil, e.spoolDir(), 128<<20, compression.Snappy); err != nil {
		return err
	}
	index := 0
	if n := len(segs); n > 0 {
		index = segs[n-1].index + 1
	}
	e.segs, e.opened = append(segs, segment{index: index}), time.Now().UnixMilli()
	if e.replayed.Load() > 0 {
		e.checkpoint(r.feed.days, e.seq)
	}
	return nil
}

// replayer takes the batches of the last run's spool.
type replayer struct {
	e       *engine
	c       checkpoint
	feed    *feed
	since   int64               // Unix ms where the dedup window begins
	present map[uint64]struct{} // rows behind the checkpoint that the storage holds; nil before it was asked
}

func (r *replayer) batch(b batch) error {
	e := r.e
	if len(b.rows) == 0 {
		return nil
	}
	last := b.first + uint64(len(b.rows)) - 1
	e.seq = max(e.seq, last)
	if r.c.void(b.first) {
		return nil
	}
	for i := range b.rows {
		if id := b.rows[i].id; id != 0 && b.wall > r.since {
			e.dedup.mark(id, b.wall)
		}
	}
	if last <= r.c.Seq {
		return nil
	}
	if r.present == nil {
		var err error
		if r.present, err = e.present(r.c.Seq); err != nil {
			return err
		}
	}
	for i := range b.rows {
		seq := b.first + uint64(i)
		if _, ok := r.present[seq]; ok {
			e.skipped.Add(1)
		} else if seq > r.c.Seq {
			r.feed.add(&b.rows[i], seq)
			e.replayed.Add(1)
		}
	}
	return nil
}

func (e *engine) spoolDir() string { return filepath.Join(e.dir, "spool") }

// present returns the sequence numbers beyond seq that the storage holds.
func (e *engine) present(seq uint64) (map[uint64]struct{}, error) {
	out := map[uint64]struct{}{}
	q := fmt.Sprintf("%s:>%d | fields %s", seqField, seq, seqField)
	err := e.run(context.Background(), q, math.MinInt64, math.MaxInt64, nil, func(r map[string]string) bool {
		var n uint64
		if _, err := fmt.Sscan(r[seqField], &n); err == nil {
			out[n] = struct{}{}
		}
		return true
	})
	return out, err
}

// append makes rows durable and queues them. accepted tells which were new.
// It blocks while the queue is full; when ctx ends first, nothing was taken.
func (e *engine) append(ctx context.Context, rows []row) (accepted []bool, err error) {
	accepted = make([]bool, len(rows))
	if len(rows) == 0 {
		return accepted, nil
	}
	var size int64
	for i := range rows {
		size += rows[i].size()
	}
	size = min(size, e.opts.QueueBytes)
	if err := e.slots.Acquire(ctx, 1); err != nil {
		return accepted, fmt.Errorf("%s: storage is behind: %w", e.name, err)
	}
	if err := e.bytes.Acquire(ctx, size); err != nil {
		e.slots.Release(1)
		return accepted, fmt.Errorf("%s: storage is behind: %w", e.name, err)
	}
	b, err := e.spool(rows, accepted, size)
	if err != nil || len(b.rows) == 0 {
		e.bytes.Release(size)
		e.slots.Release(1)
		if err != nil {
			clear(accepted)
			return accepted, fmt.Errorf("%s: cannot write the spool: %w", e.name, err)
		}
	}
	return accepted, nil
}

// spool drops what is known or out of range, writes the rest to the spool and
// puts it in the queue, all in one order.
func (e *engine) spool(rows []row, accepted []bool, held int64) (b batch, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return b, ErrClosed
	}
	now := time.Now()
	oldest, newest := now.Add(-e.opts.Retention).UnixNano(), now.Add(e.opts.FutureRetention).UnixNano()
	if e.opts.Retention > time.Duration(now.UnixNano()) {
		oldest = math.MinInt64
	}
	e.dedup.turn(now.UnixMilli())
	b = batch{first: e.seq + 1, wall: now.UnixMilli(), held: held, rows: make([]row, 0, len(rows))}
	for i := range rows {
		r := &rows[i]
		if r.time < oldest || r.time > newest {
			e.outOfRange.Add(1)
			continue
		}
		if r.id != 0 && e.dedup.seen(r.id) {
			e.duplicates.Add(1)
			continue
		}
		accepted[i] = true
		b.rows = append(b.rows, *r)
	}
	if len(b.rows) == 0 {
		return b, nil
	}
	if err := e.write(&b); err != nil {
		return b, err
	}
	for i := range b.rows {
		if id := b.rows[i].id; id != 0 {
			e.dedup.mark(id, b.wall)
		}
		b.size += b.rows[i].size()
	}
	e.appended.Add(uint64(len(b.rows)))
	e.queued.Add(b.size)
	e.queue <- b
	return b, nil
}

// write encodes the batch into records and writes them. The caller holds mu.
func (e *engine) write(b *batch) error {
	var recs [][]byte
	e.rec = appendHeader(e.rec[:0], b.first, b.wall)
	begin := 0
	for i := range b.rows {
		if len(e.rec)-begin > maxRecord {
			recs = append(recs, e.rec[begin:len(e.rec):len(e.rec)])
			begin = len(e.rec)
			e.rec = appendHeader(e.rec, b.first+uint64(i), b.wall)
		}
		e.rec = appendRow(e.rec, &b.rows[i])
	}
	recs = append(recs, e.rec[begin:])
	if e.torn { // records behind half a record could not be read again
		if err := e.nextSegment(b.wall); err != nil {
			return fmt.Errorf("after a failed write: %w", err)
		}
		e.torn = false
	}
	e.seq += uint64(len(b.rows))
	err := e.wal.Log(recs...)
	s := &e.segs[len(e.segs)-1]
	s.last, s.wall = e.seq, b.wall
	s.bytes += int64(len(e.rec))
	if err != nil {
		// The file may or may not have these rows now. Their numbers are never
		// used again, and the next checkpoint tells a replay to leave them out.
		e.torn = true
		e.voids = append(e.voids, [2]uint64{b.first, e.seq})
		return err
	}
	if cap(e.rec) > 4*maxRecord {
		e.rec = nil
	}
	if s.bytes >= e.opts.SegmentBytes {
		if err := e.nextSegment(b.wall); err != nil {
			e.log.Warn("cannot begin a new spool file; the old one grows", "err", err)
		}
	}
	return nil
}

func (e *engine) nextSegment(now int64) error {
	index, err := e.wal.NextSegment()
	if err != nil {
		return err
	}
	e.segs, e.opened = append(e.segs, segment{index: index}), now
	return nil
}

// tidy begins a new spool file when the current one is old, and deletes files
// that neither the storage nor the dedup window needs.
func (e *engine) tidy(now int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	window := e.opts.DedupWindow.Milliseconds()
	if cur := e.segs[len(e.segs)-1]; cur.last > 0 && now-e.opened > max(window/2, 1000) && !e.closed {
		if err := e.nextSegment(now); err != nil {
			e.log.Warn("cannot begin a new spool file", "err", err)
		}
	}
	var total int64
	for _, s := range e.segs {
		total += s.bytes
	}
	drop := 0
	for _, s := range e.segs[:len(e.segs)-1] {
		if s.last > e.ckpt || (now-s.wall < window && total <= e.opts.SpoolBytes) {
			break
		}
		total -= s.bytes
		drop++
	}
	if drop == 0 {
		return
	}
	if err := e.wal.Truncate(e.segs[drop].index); err != nil {
		e.log.Warn("cannot delete old spool files", "err", err)
		return
	}
	e.segs = append([]segment(nil), e.segs[drop:]...)
}

// flush returns when everything appended so far can be searched.
func (e *engine) flush() {
	ch := make(chan struct{})
	if err := e.slots.Acquire(context.Background(), 1); err != nil {
		return
	}
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		e.slots.Release(1)
		return
	}
	e.queue <- batch{flush: ch}
	e.mu.Unlock()
	<-ch
}

func (e *engine) close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		<-e.done
		return nil
	}
	e.closed = true
	close(e.queue)
	e.mu.Unlock()
	<-e.done
	e.reading.Lock() // waits for queries
	defer e.reading.Unlock()
	e.st.MustClose()
	err := errors.Join(checkpoint{Seq: e.fed.Load(), Voids: e.voids}.write(e.dir), e.wal.Close())
	if err != nil {
		return fmt.Errorf("%s: cannot close: %w", e.name, err)
	}
	return nil
}

func (e *engine) stats() Stats {
	var ss logstorage.StorageStats
	e.reading.RLock()
	if !e.isClosed() {
		e.st.UpdateStats(&ss)
	}
	e.reading.RUnlock()
	s := Stats{
		Rows: ss.RowsCount(), Bytes: ss.CompressedInmemorySize + ss.CompressedSmallPartSize + ss.CompressedBigPartSize + ss.IndexdbSizeBytes,
		QueueBytes: e.queued.Load(),
		Appended:   e.appended.Load(), Duplicates: e.duplicates.Load(), OutOfRange: e.outOfRange.Load(), Shortened: e.shortened.Load(),
		Replayed: e.replayed.Load(), Skipped: e.skipped.Load(), Checkpoints: e.checkpoints.Load(),
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, g := range e.segs {
		s.SpoolBytes += g.bytes
	}
	if fed := e.fed.Load(); e.seq > fed {
		s.LagRows = e.seq - fed
	}
	s.DedupEntries = e.dedup.len()
	return s
}

func (e *engine) isClosed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed
}
