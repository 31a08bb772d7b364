package detect

import (
	"math"
	"sync"
	"unsafe"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	seatSize = 6   // points that a seat holds back
	rowSize  = 256 // seats of a row
	waiting  = 255 // as seat.n: the seat is in a list of what is due
	maxStray = 127 // ms by which a held interval may differ from the last one
)

// seat is one cache line beside a series' state. It holds calm points back, so
// that the state, twenty lines and more, is fetched once for several of them.
// Points are held while they come about as regularly as before and lie well
// inside of the band: they could not raise anything but by a slow drift or by
// their shape, which are told as much later as the points waited (Config.Hold).
// A held point is judged as it would have been at once, and in its place: see
// the test that compares both.
type seat struct {
	meta   uintptr           // address of the series' description, which the series keeps alive
	t      int64             // Unix ms of the last point, held or judged
	lo, hi float32           // bounds of a calm value, relative to offset; lo > hi: nothing is held
	offset float32           // of the baseline
	step   uint32            // ms from the last judged point to the one before it
	x      [seatSize]float32 // held values, relative to offset
	stray  [seatSize]int8    // held intervals, ms more than step
	n      uint8             // held points
	most   uint8             // that may be held
}

// push holds a point back if it is calm.
func (c *seat) push(t int64, v float64) bool {
	stray, x, n := t-c.t-int64(c.step), float32(v-float64(c.offset)), c.n
	if n >= c.most || stray > maxStray || stray < -maxStray || !(x >= c.lo && x <= c.hi) {
		return false
	}
	c.x[n], c.stray[n], c.t, c.n = x, int8(stray), t, n+1
	return true
}

// first is about the time (Unix ms) of the first held point.
func (c *seat) first() int64 { return c.t - int64(c.step)*int64(c.n-1) }

// row is a number of seats that share a lock: series that were first seen
// together sit together, and their points come together again. The lock guards
// the state of the series too. Two rows are never locked at once.
type row struct {
	mu     sync.Mutex
	seats  *[rowSize]seat
	of     [rowSize]*series
	extras map[uint8]extra // by place: what few series have
	n      uint64          // points judged
	moment moment          // of the last point
	number uint32
}

const rowBytes = int(unsafe.Sizeof(row{}) + unsafe.Sizeof([rowSize]seat{}))

// extra is what few series have, so that it has no room in the state of all.
type extra struct {
	less   *less   // what it gave up when it stepped down
	still  *report // an open flat line
	change *change // of the full tier
}

// extra gives what a series has beside its state. The row is locked.
func (s *series) extra() extra {
	if !s.more {
		return extra{}
	}
	return s.row.extras[s.pos]
}

// setExtra replaces it.
func (s *series) setExtra(x extra) {
	if x == (extra{}) {
		if s.more {
			delete(s.row.extras, s.pos)
		}
		s.more = false
		return
	}
	if s.row.extras == nil {
		s.row.extras = map[uint8]extra{}
	}
	s.more = true
	s.row.extras[s.pos] = x
}

func (s *series) setStill(r *report) {
	x := s.extra()
	x.still = r
	s.setExtra(x)
}

func (s *series) setLess(l *less) {
	x := s.extra()
	x.less = l
	if l != nil {
		x.change = nil // it begins anew when the series is back in the full tier
	}
	s.setExtra(x)
}

// seat gives the seat of a series.
func (s *series) seat() *seat { return &s.row.seats[s.pos] }

// mark is what a telemetry.Seat says of a series.
func (s *series) mark() uint32 { return s.row.number*rowSize + uint32(s.pos) + 1 }

// find gives a series by its ID, nil when unknown. Nothing is locked.
func (e *Engine) find(id telemetry.SeriesID) *series {
	sh := e.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.m.get(id)
}

// lock gives a series with its row locked, nil when unknown.
func (e *Engine) lock(id telemetry.SeriesID) *series {
	s := e.find(id)
	if s == nil {
		return nil
	}
	s.row.mu.Lock()
	if s.row.of[s.pos] != s { // it was dropped meanwhile
		s.row.mu.Unlock()
		return nil
	}
	return s
}

// enter gives the series of a description with its row locked, making it when
// it is new; nil when there are too many, or when there is room for no more
// than a counter, which it then has.
func (e *Engine) enter(meta *telemetry.Series) *series {
	for {
		if s := e.lock(meta.ID); s != nil {
			return s
		}
		if e.count.Add(1) > int64(e.cfg.MaxSeries) {
			e.count.Add(-1)
			e.notWatched.Add(1)
			e.unseen.note(meta.ID)
			return nil
		}
		if short := e.crowded(); short != shortNone {
			if !e.enroll(counter{meta: meta, why: short}) {
				e.count.Add(-1)
			}
			return nil
		}
		s := &series{meta: meta}
		s.det.init(&e.options[classOf(meta)])
		e.promote(&s.det)
		if e.sit(s) {
			return s
		}
		e.count.Add(-1) // another goroutine made it first
		e.demote(&s.det)
		if _, counted := e.counterOf(meta.ID); counted {
			return nil
		}
	}
}

// sit gives a new series a seat and leaves its row locked; false, and nothing
// is changed, when the ID is known already.
func (e *Engine) sit(s *series) bool {
	s.row, s.pos = e.free()
	s.row.mu.Lock()
	sh := e.shard(s.meta.ID)
	sh.mu.Lock()
	known := sh.m.get(s.meta.ID) != nil
	if _, counted := sh.counters[s.meta.ID]; counted {
		known = true
	}
	if !known {
		sh.m.put(s.meta.ID, s)
	}
	sh.mu.Unlock()
	if known {
		s.row.mu.Unlock()
		e.vacate(s)
		return false
	}
	s.row.of[s.pos] = s
	*s.seat() = seat{meta: uintptr(unsafe.Pointer(s.meta)), t: s.det.t, lo: 1, hi: -1}
	return true
}

// leave drops a series, whose row is locked.
func (e *Engine) leave(s *series) {
	sh := e.shard(s.meta.ID)
	sh.mu.Lock()
	sh.m.remove(s.meta.ID)
	sh.mu.Unlock()
	s.row.of[s.pos] = nil
	*s.seat() = seat{}
	e.count.Add(-1)
	e.demote(&s.det)
	s.setExtra(extra{})
	e.vacate(s)
}

// free gives a seat that nobody has.
func (e *Engine) free() (*row, uint8) {
	e.seatMu.Lock()
	defer e.seatMu.Unlock()
	if n := len(e.vacant); n > 0 {
		s := e.vacant[n-1]
		e.vacant = e.vacant[:n-1]
		return e.allRows()[s/rowSize], uint8(s % rowSize)
	}
	rows := e.allRows()
	if e.taken == uint32(len(rows))*rowSize {
		r := &row{seats: new([rowSize]seat), number: uint32(len(rows))}
		rows = append(rows, r) // readers keep the shorter slice
		e.rows.Store(&rows)
	}
	e.taken++
	return rows[(e.taken-1)/rowSize], uint8((e.taken - 1) % rowSize)
}

func (e *Engine) vacate(s *series) {
	e.seatMu.Lock()
	defer e.seatMu.Unlock()
	e.vacant = append(e.vacant, s.mark()-1)
}

func (e *Engine) allRows() []*row {
	if p := e.rows.Load(); p != nil {
		return *p
	}
	return nil
}

// settle judges the n points that a series' seat held back. The row is locked.
func (e *Engine) settle(s *series, c *seat, n uint8, emit func(*ops.Anomaly)) {
	p := telemetry.Point{Series: s.meta, T: s.det.t}
	for i := range n {
		p.T += int64(c.step) + int64(c.stray[i])
		p.V = float64(c.offset) + float64(c.x[i])
		if a := e.judge(s, &p); a != nil {
			emit(a)
		}
	}
	c.n = 0
}

// settleNow judges what is held of a series outside of a batch; what must be
// told goes with the next batch or Tick. The row is locked.
func (e *Engine) settleNow(s *series) {
	if c := s.seat(); c.n > 0 {
		e.settle(s, c, c.n, e.tellLater)
		e.bound(s, c)
	}
}

// Settle judges all that is held back. What must be told goes with the next
// batch of points or Tick.
func (e *Engine) Settle() {
	e.each(func(s *series) bool {
		e.settleNow(s)
		return true
	})
}

func (e *Engine) tellLater(a *ops.Anomaly) {
	e.laterMu.Lock()
	defer e.laterMu.Unlock()
	e.later = append(e.later, *a)
	e.waiting.Store(true)
}

// takeLater gives what was to be told later.
func (e *Engine) takeLater() []ops.Anomaly {
	e.laterMu.Lock()
	defer e.laterMu.Unlock()
	out := e.later
	e.later = nil
	e.waiting.Store(false)
	return out
}

// bound says which of the next points may be held back. The row is locked.
func (e *Engine) bound(s *series, c *seat) {
	d := &s.det
	c.t, c.lo, c.hi = d.t, 1, -1
	gap := d.clock.gap
	if gap <= 2*maxStray || int64(gap)*3 > e.cfg.Hold || s.busy() || d.opt.up || d.base.settle > 0 {
		return
	}
	if every := d.pace.every * 1000; float32(gap) > 1.1*every || float32(gap) < .9*every {
		return
	}
	b := &d.base
	c.step, c.offset, c.most = gap, float32(b.offset), seatSize
	if b.n+2 < warmPoints { // nothing is judged yet
		c.lo, c.hi, c.most = -math.MaxFloat32, math.MaxFloat32, uint8(min(seatSize, warmPoints-2-b.n))
		return
	}
	if b.n <= warmPoints {
		return
	}
	width := .8 * smaller(d.cal[memLevel].limit, d.cal[memSpike].limit)
	mean, _, _ := b.expect(int(b.bin), .5)
	c.lo = float32(mean) - width*b.hold.scale[0]
	c.hi = float32(mean) + width*b.hold.scale[1]
	if b.follows {
		c.lo, c.hi = b.room(d.t, d.t+seatSize*int64(gap), -width*b.hold.scale[0], width*b.hold.scale[1])
	}
	if b.hold.leap > 0 { // two held points are less than a leap apart
		near := .4 * d.cal[memSpike].limit / b.hold.leap
		c.lo, c.hi = larger(c.lo, b.last-near), smaller(c.hi, b.last+near)
	}
}

// busy reports that something is open, so that every point matters at once.
func (s *series) busy() bool {
	return s.det.level.kind != epNone || s.det.form.kind != epNone || s.silent != nil || s.extra().still != nil || s.level != nil || s.form != nil
}
