package vlogs

import (
	"slices"
	"strconv"
	"time"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"
)

const day = int64(24 * time.Hour)

// maxVoids bounds the failed writes that a checkpoint remembers although the
// storage is beyond them (for the dedup window).
const maxVoids = 1000

// partitionDay is how the storage names the partition of a day.
const partitionDay = "20060102"

// maxStreams bounds the memory of streams already registered; beyond it the
// memory starts anew, which costs a few more checkpoints.
const maxStreams = 100_000

type stream struct {
	day               int64
	service, instance string
}

// feed gives rows to the storage. One goroutine uses it.
type feed struct {
	e       *engine
	lr      *logstorage.LogRows
	fields  []logstorage.Field
	days    map[int64]struct{} // written since the last checkpoint
	streams map[stream]struct{}
	fresh   bool // a stream was seen for the first time since the last checkpoint
	bytes   int64
	free    time.Time // until when free disk space need not be asked for
	gone    bool      // closed while disk space was short: rows stay in the spool
}

func newFeed(e *engine) *feed {
	return &feed{
		e: e, days: map[int64]struct{}{}, streams: map[stream]struct{}{},
		lr: logstorage.GetLogRows([]string{"service", "instance"}, nil, nil, nil, ""),
	}
}

func (f *feed) add(r *row, seq uint64) {
	var num [20]byte
	fields := append(f.fields[:0], r.fields...)
	fields = append(fields, logstorage.Field{Name: seqField, Value: string(strconv.AppendUint(num[:0], seq, 10))})
	f.fields = fields
	f.lr.MustAdd(logstorage.TenantID{}, r.time, fields, -1)
	s := stream{day: r.time / day}
	for i := range r.fields {
		switch r.fields[i].Name {
		case "service":
			s.service = r.fields[i].Value
		case "instance":
			s.instance = r.fields[i].Value
		}
	}
	if _, ok := f.streams[s]; !ok {
		if len(f.streams) >= maxStreams {
			clear(f.streams)
		}
		f.streams[s] = struct{}{}
		f.fresh = true
	}
	f.days[s.day] = struct{}{}
	if f.lr.NeedFlush() {
		f.flush()
	}
}

// flush hands the collected rows over. It waits while free disk space is
// short, because the storage would end the process when the disk is full.
func (f *feed) flush() {
	if f.lr.RowsCount() == 0 {
		return
	}
	for time.Now().After(f.free) {
		if !f.e.st.IsReadOnly() {
			f.free = time.Now().Add(time.Second)
			break
		}
		f.e.log.Warn("free disk space is short: log rows wait in the spool", "dir", f.e.dir, "min_free_bytes", f.e.opts.MinFreeBytes)
		if f.e.waitClosed(2 * time.Second) {
			f.gone = true
			f.lr.ResetKeepSettings()
			return
		}
	}
	f.e.st.MustAddRows(f.lr)
	f.lr.ResetKeepSettings()
}

func (f *feed) close() { logstorage.PutLogRows(f.lr) }

// waitClosed sleeps for d and reports whether the store was closed.
func (e *engine) waitClosed(d time.Duration) bool {
	time.Sleep(d)
	return e.isClosed()
}

// feeder moves rows from the queue into the storage until the queue is
// closed. close() owns it.
func (e *engine) feeder() {
	defer close(e.done)
	f := newFeed(e)
	defer f.close()
	tick := time.NewTicker(min(time.Second, e.opts.Checkpoint))
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case b, ok := <-e.queue:
			if !ok {
				return
			}
			e.take(f, b)
			if f.bytes < max(4*e.opts.QueueBytes, 64<<20) {
				continue
			}
		case <-tick.C:
			if len(f.days) == 0 || !(f.fresh || time.Since(last) >= e.opts.Checkpoint) {
				e.tidy(time.Now().UnixMilli())
				continue
			}
		}
		e.checkpoint(f.days, e.fed.Load())
		clear(f.days)
		f.fresh, f.bytes, last = false, 0, time.Now()
	}
}

func (e *engine) take(f *feed, b batch) {
	defer e.slots.Release(1)
	if b.flush != nil {
		e.st.DebugFlush()
		close(b.flush)
		return
	}
	defer e.bytes.Release(b.held)
	for i := 0; i < len(b.rows) && !f.gone; i++ {
		f.add(&b.rows[i], b.first+uint64(i))
	}
	f.flush()
	if f.gone {
		return // the next start feeds them
	}
	e.fed.Store(b.first + uint64(len(b.rows)) - 1)
	f.bytes += b.size
	e.queued.Add(-b.size)
}

// checkpoint makes the storage write its memory of the given days to files,
// and then notes that everything up to seq is there. A snapshot of a partition
// is the storage's way to do that: it writes the stream index first and the
// rows second, so that no row is ever in a file without its stream.
func (e *engine) checkpoint(days map[int64]struct{}, seq uint64) {
	e.st.DebugFlush()
	for d := range days {
		name := time.Unix(0, d*day).UTC().Format(partitionDay)
		for _, path := range e.st.PartitionSnapshotMustCreate(name) {
			if err := e.st.PartitionSnapshotDelete(path); err != nil {
				e.log.Warn("cannot delete a snapshot", "path", path, "err", err)
			}
		}
	}
	e.mu.Lock()
	for len(e.voids) > 0 && e.voids[0][1] <= seq && len(e.voids) > maxVoids {
		e.voids = e.voids[1:]
	}
	c := checkpoint{Seq: seq, Voids: slices.Clone(e.voids)}
	e.mu.Unlock()
	if err := c.write(e.dir); err != nil {
		e.log.Warn("cannot move the checkpoint; the next start replays more", "err", err)
		return
	}
	e.checkpoints.Add(1)
	e.mu.Lock()
	e.ckpt = seq
	e.mu.Unlock()
	e.tidy(time.Now().UnixMilli())
}
