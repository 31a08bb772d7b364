package detect

import (
	"math"
	"unsafe"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// batch is what ObserveBatch has in hand: one locked row and the points of it
// that cannot wait any longer.
type batch struct {
	e     *Engine
	emit  func(*ops.Anomaly)
	row   *row
	due   [64]due
	n     int
	wrong uint64 // points that cannot be judged
}

// due is a series whose held points, and then one point more, are to be
// judged.
type due struct {
	s     *series
	seat  *seat
	point *telemetry.Point
	held  uint8
}

// ObserveBatch judges many points as [Engine.Observe] does, and hands what
// must be told to emit, which must not call the engine. Calm points may be held
// back for a while (Config.Hold). Points of one series are judged in their
// order; between series the order is unspecified. It is several times cheaper
// than Observe for each point, the more so when points carry their Seat.
func (e *Engine) ObserveBatch(pts []telemetry.Point, emit func(*ops.Anomaly)) {
	b := e.batches.Get().(*batch)
	b.e, b.emit = e, emit
	if e.waiting.Load() { // it is older than what these points say
		for _, a := range e.takeLater() {
			emit(&a)
		}
	}
	rows := e.allRows()
	for i := range pts {
		p := &pts[i]
		var mark uint32
		if p.Seat != nil {
			mark = p.Seat.Load() - 1
		} else {
			mark--
		}
		if k := int(mark / rowSize); k < len(rows) {
			b.turn(rows[k])
			c := &b.row.seats[mark%rowSize]
			if c.meta == uintptr(unsafe.Pointer(p.Series)) && c.meta != 0 {
				if !c.push(p.T, p.V) {
					b.await(b.row.of[mark%rowSize], c, p)
				}
				continue
			}
		}
		b.seek(p)
		rows = e.allRows()
	}
	b.turn(nil)
	if b.wrong > 0 {
		e.refused.Add(b.wrong)
	}
	b.e, b.emit, b.wrong = nil, nil, 0
	e.batches.Put(b)
}

// turn locks another row, or none.
func (b *batch) turn(r *row) {
	if r == b.row {
		return
	}
	if b.row != nil {
		b.judge()
		b.row.mu.Unlock()
	}
	if b.row = r; r != nil {
		r.mu.Lock()
	}
}

// seek takes a point whose series has no known seat.
func (b *batch) seek(p *telemetry.Point) {
	if p.Series == nil || math.IsNaN(p.V) || math.IsInf(p.V, 0) {
		b.wrong++
		return
	}
	if b.e.counters.count.Load() > 0 && b.e.tally(p, b.emit) {
		return
	}
	b.turn(nil)
	s := b.e.enter(p.Series)
	if s == nil {
		b.e.tally(p, b.emit) // it may have become a counter
		return
	}
	b.row = s.row
	if p.Seat != nil {
		p.Seat.Store(s.mark())
	}
	b.e.describe(s, p.Series)
	if c := s.seat(); !c.push(p.T, p.V) {
		b.await(s, c, p)
	}
}

// describe gives a series a new description, when it has one. What is held
// belongs to the old one. The row is locked.
func (e *Engine) describe(s *series, meta *telemetry.Series) {
	if s.meta == meta {
		return
	}
	e.settleNow(s)
	s.meta = meta
	s.seat().meta = uintptr(unsafe.Pointer(meta))
}

// await puts a series on the list of those that are due.
func (b *batch) await(s *series, c *seat, p *telemetry.Point) {
	if math.IsNaN(p.V) || math.IsInf(p.V, 0) {
		b.wrong++
		return
	}
	if b.n == len(b.due) || c.n == waiting {
		b.judge()
		if c.push(p.T, p.V) {
			return
		}
	}
	if b.n < 2*ahead { // those that will be judged first
		s.prefetch()
	}
	b.due[b.n] = due{s, c, p, c.n}
	b.n++
	c.n = waiting
}

// judge judges all that is due. The state of the next series is fetched while
// one is judged.
func (b *batch) judge() {
	n := b.n
	list := b.due[:n]
	b.n = 0
	for i := -ahead; i < n; i++ {
		if k := i + 2*ahead; k < n && i >= 0 {
			list[k].s.prefetch()
		}
		if k := i + ahead; k < n {
			list[k].s.prefetchRest()
		}
		if i < 0 {
			continue
		}
		d := &list[i]
		if k := i + 1; k < n {
			list[k].s.prefetchBlock(list[k].held)
		}
		b.e.settle(d.s, d.seat, d.held, b.emit)
		if a := b.e.judge(d.s, d.point); a != nil {
			b.emit(a)
		}
		b.e.bound(d.s, d.seat)
	}
	clear(list)
}

// ahead is how many series pass between two steps of fetching a series' state:
// about the time that memory needs.
const ahead = 2
