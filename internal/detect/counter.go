package detect

import (
	"math"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// counter is all that is kept of a series in the counter tier: enough to show
// it, to judge its silence, and to take it up again.
type counter struct {
	meta   *telemetry.Series
	parked *series // its detector, where memory is not what is short
	less   *less   // what the parked one gave up before
	silent *report
	t      int64 // Unix ms of the last point
	since  int64 // Unix ms at which it came here
	last   float64
	low    float64 // since then
	high   float64
	mean   float64
	n      uint32 // points here, saturating
	pace   pace
	why    shortage
	looks  uint8
	gone   bool
}

// counters is a slab of counters with a lock each row. A row of detectors may
// be locked while one of counters is taken, never the other way round.
type counters struct {
	rows  atomic.Pointer[[]*counterRow]
	count atomic.Int64

	mu     sync.Mutex // guards what follows, and the growth of rows
	taken  uint32
	vacant []uint32
}

type counterRow struct {
	mu sync.Mutex
	of [rowSize]counter // meta nil: free
	n  uint64           // points counted
}

const counterRowBytes = int(unsafe.Sizeof(counterRow{}))

// counterMark tells marks of counters from those of seats.
const counterMark = 1 << 31

func (c *counters) all() []*counterRow {
	if p := c.rows.Load(); p != nil {
		return *p
	}
	return nil
}

// place gives a free place.
func (c *counters) place() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count.Add(1)
	if n := len(c.vacant); n > 0 {
		at := c.vacant[n-1]
		c.vacant = c.vacant[:n-1]
		return at
	}
	rows := c.all()
	if c.taken == uint32(len(rows))*rowSize {
		rows = append(rows, &counterRow{}) // readers keep the shorter slice
		c.rows.Store(&rows)
	}
	c.taken++
	return c.taken - 1
}

func (c *counters) free(at uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count.Add(-1)
	c.vacant = append(c.vacant, at)
}

// clear takes everything out.
func (c *counters) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rows.Store(nil)
	c.count.Store(0)
	c.taken, c.vacant = 0, nil
}

// step counts one finite point; false when it is late.
func (c *counter) step(t int64, v float64) bool {
	if t <= c.t && c.t != 0 {
		return false
	}
	if c.t != 0 {
		if gap := float64(t-c.t) / 1000; !c.pace.steady(gap) {
			c.pace.see(gap)
		}
	}
	if c.n == 0 {
		c.low, c.high, c.mean = v, v, v
	}
	if c.n < math.MaxUint32 {
		c.n++
	}
	c.low, c.high = smaller(c.low, v), larger(c.high, v)
	c.mean += (v - c.mean) / float64(c.n)
	c.t, c.last, c.gone = t, v, false
	return true
}

// counterOf gives the place of a series in the counter tier.
func (e *Engine) counterOf(id telemetry.SeriesID) (at uint32, ok bool) {
	if e.counters.count.Load() == 0 {
		return 0, false
	}
	sh := e.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	at, ok = sh.counters[id]
	return at, ok
}

// counterAt gives the counter of a series with its row locked; nil when it has
// left.
func (e *Engine) counterAt(at uint32, id telemetry.SeriesID) (*counterRow, *counter) {
	rows := e.counters.all()
	if int(at/rowSize) >= len(rows) {
		return nil, nil
	}
	r := rows[at/rowSize]
	r.mu.Lock()
	if c := &r.of[at%rowSize]; c.meta != nil && c.meta.ID == id {
		return r, c
	}
	r.mu.Unlock()
	return nil, nil
}

// tally counts a finite point of a series in the counter tier; ok is false
// when the series is not there. The point may end a silence.
func (e *Engine) tally(p *telemetry.Point, emit func(*ops.Anomaly)) (ok bool) {
	var at uint32
	if p.Seat != nil {
		at = p.Seat.Load() - 1
	}
	if p.Seat != nil && at&counterMark != 0 && at != math.MaxUint32 {
		at &^= counterMark
		if e.tallyAt(at, p, emit) {
			return true
		}
	}
	if at, ok = e.counterOf(p.Series.ID); !ok || !e.tallyAt(at, p, emit) {
		return false
	}
	if p.Seat != nil {
		p.Seat.Store(at | counterMark + 1)
	}
	return true
}

func (e *Engine) tallyAt(at uint32, p *telemetry.Point, emit func(*ops.Anomaly)) bool {
	r, c := e.counterAt(at, p.Series.ID)
	if c == nil {
		return false
	}
	defer r.mu.Unlock()
	c.meta = p.Series
	if !c.step(p.T, p.V) {
		e.late.Add(1)
		return true
	}
	r.n++
	if c.silent != nil {
		c.silent.a.Ended, c.silent.a.LastSeen = p.T, p.T
		if a := e.tell(c.silent, p.T, nil); a != nil {
			emit(a)
		}
		c.silent = nil
	}
	return true
}

// eachCounter calls f with every counter, its row locked, until f returns
// false.
func (e *Engine) eachCounter(f func(at uint32, c *counter) bool) {
	for i, r := range e.counters.all() {
		r.mu.Lock()
		for k := range r.of {
			if c := &r.of[k]; c.meta != nil && !f(uint32(i*rowSize+k), c) {
				r.mu.Unlock()
				return
			}
		}
		r.mu.Unlock()
	}
}

// withCounter calls f with a series' counter, its row locked.
func (e *Engine) withCounter(id telemetry.SeriesID, f func(*counter)) bool {
	at, ok := e.counterOf(id)
	if !ok {
		return false
	}
	r, c := e.counterAt(at, id)
	if c == nil {
		return false
	}
	defer r.mu.Unlock()
	f(c)
	return true
}

// enroll puts a series into the counter tier; false, and nothing is changed,
// when its ID is there already. A row of detectors may be locked.
func (e *Engine) enroll(c counter) bool {
	id := c.meta.ID
	at := e.counters.place()
	r := e.counters.all()[at/rowSize]
	r.mu.Lock()
	defer r.mu.Unlock()
	sh := e.shard(id)
	sh.mu.Lock()
	_, known := sh.counters[id]
	if !known {
		if sh.counters == nil {
			sh.counters = map[telemetry.SeriesID]uint32{}
		}
		sh.counters[id] = at
	}
	sh.mu.Unlock()
	if known {
		e.counters.free(at)
		return false
	}
	r.of[at%rowSize] = c
	return true
}

// strike takes a series out of the counter tier and gives what was kept. A row
// of detectors may be locked.
func (e *Engine) strike(id telemetry.SeriesID) (counter, bool) {
	at, ok := e.counterOf(id)
	if !ok {
		return counter{}, false
	}
	r, c := e.counterAt(at, id)
	if c == nil {
		return counter{}, false
	}
	defer r.mu.Unlock()
	sh := e.shard(id)
	sh.mu.Lock()
	delete(sh.counters, id)
	sh.mu.Unlock()
	out := *c
	*c = counter{}
	e.counters.free(at)
	return out, true
}

// tickCounters judges the silence of the counter tier.
func (e *Engine) tickCounters(now int64, out []ops.Anomaly) []ops.Anomaly {
	var old []telemetry.SeriesID
	e.eachCounter(func(_ uint32, c *counter) bool {
		if now-c.t > e.cfg.Forget {
			if c.silent != nil {
				c.silent.a.Ended = now
				out = e.tellTick(c.silent, now, out)
				c.silent = nil
			}
			old = append(old, c.meta.ID)
			return true
		}
		out = e.silence(quiet{c.meta, &c.pace, c.t, &c.silent, &c.gone}, now, out)
		return true
	})
	for _, id := range old {
		if _, ok := e.strike(id); ok {
			e.count.Add(-1)
		}
	}
	return out
}
