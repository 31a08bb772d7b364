package detect

import (
	"math"
	"unsafe"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// ahead is how many points pass between two steps of fetching a series'
// state: about the time that memory needs.
const ahead = 3

// batch is the room in which ObserveBatch sorts points by shard.
type batch struct {
	start [shardCount + 1]int32
	shard []uint8
	items []item
	found []*series
}

// item is one point of a batch, sorted.
type item struct {
	id    telemetry.SeriesID
	point int32
}

// ObserveBatch judges many points as [Engine.Observe] does, and hands what
// must be told to emit, which must not call the engine. Points of one series
// are judged in their order; between series the order is unspecified. It is
// several times cheaper than Observe for each point, because a lock serves
// all points of its shard and the memory of many series is fetched at once.
func (e *Engine) ObserveBatch(pts []telemetry.Point, emit func(*ops.Anomaly)) {
	b := e.batches.Get().(*batch)
	e.sort(b, pts)
	for i := range e.shards {
		if lo, hi := b.start[i], b.start[i+1]; lo < hi {
			e.observeShard(&e.shards[i], b, b.items[lo:hi], pts, emit)
		}
	}
	clear(b.found)
	e.batches.Put(b)
}

// sort orders the points by shard and leaves out what cannot be judged.
func (e *Engine) sort(b *batch, pts []telemetry.Point) {
	if cap(b.shard) < len(pts) {
		b.shard, b.items, b.found = make([]uint8, len(pts)), make([]item, len(pts)), make([]*series, len(pts))
	}
	b.shard, b.items = b.shard[:len(pts)], b.items[:len(pts)]
	clear(b.start[:])
	var bad uint64
	for i := range pts {
		if k := i + 16; k < len(pts) {
			prefetchLine(unsafe.Pointer(pts[k].Series))
		}
		p := &pts[i]
		if p.Series == nil || math.IsNaN(p.V) || math.IsInf(p.V, 0) {
			b.shard[i] = shardCount
			bad++
			continue
		}
		k := uint8(uint64(p.Series.ID) % shardCount)
		b.shard[i] = k
		b.start[k+1]++
	}
	if bad > 0 {
		e.refused.Add(bad)
	}
	next := [shardCount]int32{}
	for k := range next {
		next[k] = b.start[k]
		b.start[k+1] += b.start[k]
	}
	for i, k := range b.shard {
		if k < shardCount {
			b.items[next[k]] = item{pts[i].Series.ID, int32(i)}
			next[k]++
		}
	}
}

// observeShard judges the points of one shard.
func (e *Engine) observeShard(sh *shard, b *batch, items []item, pts []telemetry.Point, emit func(*ops.Anomaly)) {
	found := b.found[:len(items)]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for i := range items {
		sh.m.prefetch(items[i].id)
	}
	for i := range items {
		found[i] = sh.m.get(items[i].id)
	}
	for i := -3 * ahead; i < len(items); i++ {
		if k := i + 3*ahead; k < len(items) {
			found[k].prefetch()
		}
		if k := i + 2*ahead; k >= 0 && k < len(items) {
			found[k].prefetchRest()
		}
		if k := i + ahead; k >= 0 && k < len(items) {
			found[k].prefetchBlock()
		}
		if i < 0 {
			continue
		}
		s := found[i]
		if s == nil { // new, or an earlier point of this batch was its first
			s = sh.m.get(items[i].id)
		}
		if a := e.observe(sh, s, &pts[items[i].point]); a != nil {
			emit(a)
		}
	}
}
