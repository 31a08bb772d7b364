package detect

import (
	"math/bits"
	"unsafe"

	"github.com/norn-aiops/norn/internal/detect/ladder"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func onesCount(w uint64) int { return bits.OnesCount64(w) }

// Load is what the caller knows of the present.
type Load struct {
	// CPU is the processor time that the engine took since the last Balance,
	// as a share of one core; below 0 when unknown.
	CPU float64
	// Notable are the entities at which something happens: incidents, changes.
	Notable map[telemetry.Entity]bool
	// Named says that somebody named a series: as a custom metric, or an
	// objective's. nil: nobody did. It must not call the engine.
	Named func(*telemetry.Series) bool
}

// Balanced says what Balance did.
type Balanced struct {
	Down, Up int
	Short    string // what was short
}

// rankEvery is how often (ms) places are given anew to the most important.
const rankEvery = 600_000

// Nanoseconds of a point in each tier, in proportion: what norn bench detect
// measures. The true price follows from Load.CPU.
const (
	nanosCounter = 22
	nanosBasic   = 160
	nanosFull    = 330
)

// Balance lets series step down when memory (Config.Memory) or processor time
// (Config.CPU) is short at now (Unix ms), and up again when there has been room
// for ten minutes. It should be called every half minute or so. Points may
// arrive meanwhile.
func (e *Engine) Balance(now int64, l Load) Balanced {
	e.ladder.mu.Lock()
	defer e.ladder.mu.Unlock()
	e.unseen.renew(now)
	e.age(now)
	bytes := e.StateBytes()
	if n := e.count.Load() - e.counters.count.Load(); n > 100 {
		e.ladder.per.Store(int64(bytes) / n)
	}
	var use ladder.Use
	if e.cfg.Memory > 0 {
		use.Bytes = float64(bytes) / float64(e.cfg.Memory)
	}
	if e.cfg.CPU > 0 && l.CPU >= 0 {
		use.CPU = l.CPU / e.cfg.CPU
	}
	t := e.Tiers()
	o := e.ladder.governor.Govern(now, use, t.Reduced > 0)
	var out Balanced
	switch {
	case o.Down:
		out = e.stepDown(now, &l, o, use)
	case t.Reduced > 0 && (o.Up || now-e.ladder.ranked >= rankEvery):
		e.ladder.ranked = now
		out = e.exchange(now, &l, o, use, t)
	case now-e.ladder.ranked >= rankEvery:
		e.ladder.ranked = now
		e.rankPlaces(&l)
		e.rankSeasons(&l)
	}
	if t = e.Tiers(); t.Reduced == 0 {
		e.ladder.tight.Store(uint32(shortNone))
	}
	return out
}

// age halves once a day how often series were looked at.
func (e *Engine) age(now int64) {
	if now-e.ladder.aged < 86400_000 {
		return
	}
	e.ladder.aged = now
	e.each(func(s *series) bool { s.looks /= 2; return true })
	e.eachCounter(func(_ uint32, c *counter) bool { c.looks /= 2; return true })
}

// stepDown makes room.
func (e *Engine) stepDown(now int64, l *Load, o ladder.Order, use ladder.Use) Balanced {
	why := shortCPU
	if o.ShortBytes {
		why = shortMemory
		e.dropKept()
		use.Bytes = float64(e.StateBytes()) / float64(e.cfg.Memory)
	}
	e.ladder.tight.Store(uint32(why))
	limit := ladder.Use{Bytes: o.Bytes, CPU: o.CPU}
	if use.Bytes > 0 && use.Bytes <= limit.Bytes {
		limit.Bytes = 0 // it is not what is short
	}
	out := e.apply(now, e.plan(l, limit, use, true, 0), why)
	out.Short = why.String()
	return out
}

// exchange lets series step up where there is room, and gives places to those
// that have become more important than others.
func (e *Engine) exchange(now int64, l *Load, o ladder.Order, use ladder.Use, t Tiers) Balanced {
	limit := ladder.Use{Bytes: o.Bytes, CPU: o.CPU}
	if !o.Up {
		limit = use
	}
	why := shortage(e.ladder.tight.Load())
	if why == shortNone {
		why = shortMemory
	}
	return e.apply(now, e.plan(l, limit, use, false, max(1, t.Reduced/10)), why)
}

// dropKept lets go of what series keep for the time when they step up again.
func (e *Engine) dropKept() {
	e.each(func(s *series) bool { s.extra().less.drop(); return true })
	e.eachCounter(func(_ uint32, c *counter) bool { c.parked, c.less = nil, nil; return true })
}

// plan asks which series should move so that the use falls or rises to limit,
// both as shares of the budget.
func (e *Engine) plan(l *Load, limit, use ladder.Use, downOnly bool, maxUp int) []ladder.Move {
	items, model := e.items(l, downOnly)
	var b ladder.Budget
	if limit.Bytes > 0 && e.cfg.Memory > 0 {
		// what the model does not see, such as free places, stays
		b.Bytes = max(1, model.Bytes+(limit.Bytes-use.Bytes)*float64(e.cfg.Memory))
	}
	if limit.CPU > 0 && e.cfg.CPU > 0 && use.CPU > 0 {
		b.Nanos = max(1e-9, model.Nanos*limit.CPU/use.CPU)
	}
	return ladder.Plan(items, b, maxUp)
}

// items describes all series to the ladder, and what they use now.
func (e *Engine) items(l *Load, downOnly bool) (out []ladder.Item, model ladder.Budget) {
	out = make([]ladder.Item, 0, e.count.Load())
	add := func(it ladder.Item) {
		if downOnly {
			it.Top = it.Now
		}
		model.Bytes += it.Bytes[it.Now]
		model.Nanos += it.Nanos[it.Now]
		out = append(out, it)
	}
	e.each(func(s *series) bool {
		it := ladder.Item{ID: uint64(s.meta.ID), Importance: importance(s.meta, s.looks, l), Now: s.tier(), Pinned: s.busy()}
		it.Top = it.Now
		if l := s.extra().less; l != nil {
			it.Top = max(it.Top, l.from)
		}
		price(&it, &s.det.pace, s.bytes(), s.fullBytes())
		add(it)
		return true
	})
	e.eachCounter(func(_ uint32, c *counter) bool {
		it := ladder.Item{ID: uint64(c.meta.ID), Importance: importance(c.meta, c.looks, l), Now: ladder.Counter, Top: ladder.Basic,
			Pinned: c.silent != nil || c.n == 0}
		price(&it, &c.pace, usualBytes, 0)
		add(it)
		return true
	})
	return out, model
}

// price says what a series takes in each tier: basic bytes, and more in the
// full tier.
func price(it *ladder.Item, p *pace, basic, more int) {
	rate := 1 / float64(larger(p.every, 1e-3))
	if p.every == 0 {
		rate = 1. / 60
	}
	counting := float64(counterRowBytes)/rowSize + counterEntry
	it.Bytes = [3]float64{counting, float64(basic), float64(basic + more)}
	it.Nanos = [3]float64{nanosCounter * rate, nanosBasic * rate, nanosFull * rate}
}

// counterEntry is about what a place in a table of counters takes.
const counterEntry = 40

// bytes is what a series takes beside the full tier.
func (s *series) bytes() int {
	n := int(unsafe.Sizeof(*s)) + 4*cap(s.det.warm) + rowBytes/rowSize + 2*slotBytes
	if s.det.shape != nil {
		n += int(unsafe.Sizeof(*s.det.shape))
	}
	return n
}

// fullBytes is what the full tier takes.
func (s *series) fullBytes() int {
	n := 0
	if s.det.pick != nil {
		n += int(unsafe.Sizeof(*s.det.pick))
	}
	if s.det.base.season != nil {
		n += s.det.base.season.Bytes()
	}
	if n == 0 {
		n = 450
	}
	if s.extra().change != nil {
		n += changeBytes
	}
	return n
}

// apply makes the moves. What a series has learned is kept, unless memory is
// what is short.
func (e *Engine) apply(now int64, moves []ladder.Move, why shortage) (out Balanced) {
	for _, m := range moves {
		id := telemetry.SeriesID(m.ID)
		if s := e.lock(id); s != nil {
			was := s.tier()
			switch {
			case m.To < was && e.lower(s, m.To, now, why):
				out.Down++
			case m.To > was && s.extra().less != nil:
				e.restoreFull(s)
				out.Up++
			}
			s.row.mu.Unlock()
		} else if m.To > ladder.Counter && e.takeUp(id) {
			out.Up++
		}
	}
	return out
}

// lower moves a series, whose row is locked, to a lower tier.
func (e *Engine) lower(s *series, to ladder.Tier, now int64, why shortage) bool {
	e.settleNow(s)
	if s.busy() {
		return false
	}
	keep := why != shortMemory
	if d := &s.det; s.tier() == ladder.Full {
		l := &less{from: ladder.Full, why: why, since: now, dropped: !keep}
		if keep {
			l.pick, l.season = d.pick, d.base.season
		}
		d.base.unfollow()
		e.demote(d)
		s.setLess(l)
	}
	if to > ladder.Counter {
		return true
	}
	c := counter{meta: s.meta, t: s.det.t, pace: s.det.pace, last: s.det.base.value(), looks: s.looks, gone: s.gone, why: why, since: now}
	if keep {
		c.parked, c.less = s, s.extra().less
	}
	c.low, c.high, c.mean, c.n = c.last, c.last, c.last, 1
	if !e.enroll(c) {
		return false
	}
	sh := e.shard(s.meta.ID)
	sh.mu.Lock()
	sh.m.remove(s.meta.ID)
	sh.mu.Unlock()
	s.row.of[s.pos] = nil
	s.setExtra(extra{})
	*s.seat() = seat{}
	e.vacate(s)
	return true
}

// unfollow makes the rival's errors the measure again, as when the season is
// found to be the worse.
func (b *baseline) unfollow() {
	if !b.follows {
		return
	}
	if own, other := b.season.Errors(); own > 0 && other > 0 {
		k := smaller(4, larger(1, other/own))
		b.square[0], b.square[1] = b.square[0]*k*k, b.square[1]*k*k
	}
	b.follows = false
	b.forget(30)
}

// restoreFull gives a series, whose row is locked, the full tier back.
func (e *Engine) restoreFull(s *series) {
	e.settleNow(s)
	l := s.extra().less
	s.setLess(nil)
	if l.season != nil && s.det.base.season == nil {
		l.season.SetCalendar(e.cfg.Calendar)
		e.assign(&s.det.base, l.season)
	}
	e.promote(&s.det)
	if s.det.pick != nil && l.pick != nil {
		l.pick.SetRules(&s.det.opt.rules)
		s.det.pick = l.pick
	}
	e.bound(s, s.seat())
}

// takeUp gives a series of the counter tier a detector again: the one that it
// had, if that was kept.
func (e *Engine) takeUp(id telemetry.SeriesID) bool {
	at, ok := e.counterOf(id)
	if !ok {
		return false
	}
	s := &series{}
	s.row, s.pos = e.free()
	s.row.mu.Lock()
	defer s.row.mu.Unlock()
	r, c := e.counterAt(at, id)
	if c == nil || c.silent != nil {
		if r != nil {
			r.mu.Unlock()
		}
		e.vacate(s)
		return false
	}
	defer r.mu.Unlock()
	s.resume(e, c)
	if c.parked != nil && c.less != nil {
		s.setLess(c.less)
	}
	sh := e.shard(id)
	sh.mu.Lock()
	delete(sh.counters, id)
	sh.m.put(id, s)
	sh.mu.Unlock()
	*c = counter{}
	e.counters.free(at)
	s.row.of[s.pos] = s
	*s.seat() = seat{meta: uintptr(unsafe.Pointer(s.meta)), t: s.det.t, lo: 1, hi: -1}
	return true
}

// resume fills a series with what a counter kept.
func (s *series) resume(e *Engine, c *counter) {
	s.meta, s.looks, s.gone = c.meta, c.looks, c.gone
	d := &s.det
	if c.parked == nil {
		d.init(&e.options[classOf(c.meta)])
		d.pace = c.pace
		e.promote(d)
		return
	}
	s.det = c.parked.det
	d.opt = &e.options[classOf(c.meta)]
	d.t, d.pace, d.clock.gap = c.t, c.pace, 0
	d.z, d.base.slow, d.run, d.level, d.form = [4]float32{}, 0, run{}, episode{}, episode{}
	d.base.last = float32(clamp(c.last, -maxAbs, maxAbs) - d.base.offset)
	d.base.settle = settlePoint
}

// rankPlaces gives the places of the full tier, of which there are a limited
// number, to the most important of those that could use one.
func (e *Engine) rankPlaces(l *Load) {
	var wishes []ladder.Wish
	e.each(func(s *series) bool {
		if e.choosable(&s.det) {
			wishes = append(wishes, ladder.Wish{ID: uint64(s.meta.ID), Importance: importance(s.meta, s.looks, l), Has: s.det.pick != nil})
		}
		return true
	})
	if len(wishes) <= e.cfg.Full {
		return
	}
	take, give := ladder.Keep(wishes, e.cfg.Full)
	for _, id := range take {
		e.with(telemetry.SeriesID(id), func(s *series) {
			if s.det.pick != nil && !s.busy() {
				s.det.pick = nil
				e.full.Add(-1)
			}
		})
	}
	for _, id := range give {
		e.with(telemetry.SeriesID(id), func(s *series) { e.promote(&s.det) })
	}
}

// rankSeasons gives trackers of the series' own rhythm, of which there are a
// limited number, to the most important of the series that are old enough. Who
// loses one loses what it has learned; so the new one must be half as important
// again, and the old one must not be at work on an anomaly.
func (e *Engine) rankSeasons(l *Load) {
	if e.cfg.Seasons <= 0 || e.seasons.Load() < int64(e.cfg.Seasons) {
		return // who comes finds a place
	}
	var wishes []ladder.Wish
	e.each(func(s *series) bool {
		if has := s.det.base.season != nil; has || e.repeats(s) {
			wishes = append(wishes, ladder.Wish{ID: uint64(s.meta.ID), Importance: importance(s.meta, s.looks, l), Has: has})
		}
		return true
	})
	if len(wishes) <= e.cfg.Seasons {
		return
	}
	take, give := ladder.Keep(wishes, e.cfg.Seasons)
	for _, id := range take {
		e.with(telemetry.SeriesID(id), func(s *series) {
			if !s.busy() {
				e.release(&s.det.base)
			}
		})
	}
	for _, id := range give {
		e.with(telemetry.SeriesID(id), e.grant)
	}
}

// with calls f with a series, its row locked and nothing held.
func (e *Engine) with(id telemetry.SeriesID, f func(*series)) {
	if s := e.lock(id); s != nil {
		defer s.row.mu.Unlock()
		e.settleNow(s)
		f(s)
		e.bound(s, s.seat())
	}
}
