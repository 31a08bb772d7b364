package detect

import (
	"encoding/json"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/detect/choice"
	"github.com/norn-aiops/norn/internal/detect/ladder"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// The walk functions name every field of the state once, in the order of the
// snapshot. A change of any of them needs a new snapshotVersion.

func (s *series) walk(c *codec) {
	if c.read {
		s.meta = &telemetry.Series{}
	}
	walkMeta(s.meta, c)
	c.flag(&s.gone)
	c.u8(&s.looks)
	s.det.walk(c)
	for _, r := range []**report{&s.level, &s.form, &s.silent} {
		walkReport(r, c)
	}
}

func walkMeta(m *telemetry.Series, c *codec) {
	id := uint64(m.ID)
	c.u64(&id)
	m.ID = telemetry.SeriesID(id)
	n := uint16(m.Labels.Len())
	c.u16(&n)
	if c.read {
		b := labels.NewScratchBuilder(min(int(n), 64))
		for range n {
			var name, value string
			c.text(&name)
			c.text(&value)
			if c.err != nil {
				return
			}
			b.Add(name, value)
		}
		b.Sort()
		m.Labels = b.Labels()
	} else {
		m.Labels.Range(func(l labels.Label) {
			c.text(&l.Name)
			c.text(&l.Value)
		})
	}
	c.text(&m.Expr)
	c.text(&m.Name)
	for _, e := range []*telemetry.Entity{&m.Entity, &m.Peer, &m.Instance} {
		c.text((*string)(&e.Kind))
		c.text(&e.Name)
	}
	c.text((*string)(&m.Signal))
	c.i8((*int8)(&m.Direction))
	c.check(m.Direction >= -1 && m.Direction <= 1)
	c.text(&m.Unit)
	c.flag(&m.Derived)
}

func walkReport(to **report, c *codec) {
	have := *to != nil
	c.flag(&have)
	if c.err != nil || !have {
		return
	}
	if *to == nil {
		*to = &report{}
	}
	r := *to
	var text []byte
	if !c.read {
		text, c.err = json.Marshal(&r.a)
	}
	c.blob(&text)
	if c.read && c.err == nil {
		c.err = json.Unmarshal(text, &r.a)
	}
	c.flag(&r.sent)
	c.flag(&r.due)
	c.i64(&r.lastSent)
	c.f64(&r.sevSent)
}

func (d *Detector) walk(c *codec) {
	d.base.walk(c)
	d.ratio.walk(c)
	d.alarm.walk(c)
	n := uint32(len(d.warm))
	c.u32(&n)
	c.check(n <= 1<<16)
	if c.read && c.err == nil && n > 0 {
		if len(c.buf) < 4*int(n) {
			c.err = errShort
			return
		}
		d.warm = make([]float32, n)
	}
	for i := range d.warm {
		c.f32(&d.warm[i])
	}
	ready := d.shape != nil
	c.flag(&ready)
	if ready && c.err == nil {
		if d.shape == nil {
			d.shape = &shape{}
		}
		d.shape.walk(c)
	}
	c.check(!ready || n == 0)
	for i := range d.cal {
		for j := range d.rings[i] {
			c.u8(&d.rings[i][j])
		}
		d.cal[i].walk(c)
	}
	d.clock.walk(c)
	c.i64(&d.t)
	c.u32(&d.clock.gap)
	c.f32(&d.z[0], &d.z[1], &d.z[2], &d.z[3], &d.base.slow)
	d.pace.walk(c)
	d.run.walk(c)
	d.level.walk(c)
	d.form.walk(c)
	walkPick(&d.pick, c)
	d.walkCount(c)
	d.base.walkSeason(c)
}

func (b *baseline) walk(c *codec) {
	c.f64(&b.offset)
	c.f32(&b.level, &b.shift, &b.other, &b.fast, &b.last, &b.errLevel, &b.errDay, &b.compared,
		&b.square[0], &b.square[1], &b.share, &b.step2, &b.granule)
	h := &b.hold
	c.f32(&h.scale[0], &h.scale[1], &h.cut[0], &h.cut[1], &h.spread, &h.leap, &h.widest)
	c.flag(&h.stale)
	c.u16(&b.seen[0])
	c.u16(&b.seen[1])
	c.u32(&b.n)
	for i := range b.bins {
		c.f32(&b.bins[i])
		c.u16(&b.binN[i])
	}
	c.u8(&b.bin)
	for _, f := range []*bool{&b.known, &b.daily, &b.weekend, &b.both, &b.negative} {
		c.flag(f)
	}
	c.u8(&b.settle)
	c.check(b.bin < dayBins && b.square[0] >= 0 && b.square[1] >= 0 && b.share >= 0 && b.share <= 1 && b.step2 >= 0 && b.granule >= 0 && b.compared >= 0)
	c.check(h.scale[0] >= 0 && h.scale[1] >= 0)
}

func (r *ratio) walk(c *codec) {
	c.f32(&r.level, &r.s24, &r.s48)
	for i := range r.mean {
		c.f32(&r.mean[i], &r.peak[i])
	}
	c.u16(&r.n)
}

func (a *alarm) walk(c *codec) {
	c.f32(&a.past, &a.block, &a.last)
	c.u16(&a.since)
	c.u16(&a.in)
	c.check(a.past >= 0)
}

// walk writes or reads what few series have.
func (x *extra) walk(c *codec) {
	walkLess(&x.less, c)
	walkReport(&x.still, c)
	walkChange(&x.change, c)
}

func (s *shape) walk(c *codec) {
	s.flat.walk(c)
	for i := range s.filter {
		c.u32(&s.filter[i])
	}
	c.u32(&s.rng)
	for i := range s.ext.UnitHistogram {
		c.u8(&s.ext.UnitHistogram[i])
	}
	for i := range s.rate {
		for j := range s.grams8[i] {
			c.u8(&s.grams8[i][j])
		}
		for j := range s.gram16[i] {
			c.u8(&s.gram16[i][j])
		}
		for j := range s.rate[i] {
			c.u16(&s.rate[i][j])
		}
	}
	c.u16(&s.blocks)
	c.u16(&s.size)
	c.u16(&s.in)
	c.f32(&s.base, &s.width, &s.low, &s.fade, &s.sum, &s.hi, &s.lo, &s.now)
	c.check(s.size > 0 && s.in < s.size && s.width > 0 && s.low <= 0 && s.low >= -1 && s.fade >= 0 && s.fade <= 1)
	s.derive()
}

func (k *calibrator) walk(c *codec) {
	c.f32(&k.cur, &k.limit, &k.mu)
	c.check(k.limit > 0 && k.cur >= 0)
}

func (b *blockClock) walk(c *codec) {
	c.i64(&b.start)
	c.u8(&b.filled)
	c.u8(&b.next)
	c.u8(&b.hours)
	c.check(b.filled <= ringSize && b.next < ringSize && b.hours <= lastBlockHours)
}

func (p *pace) walk(c *codec) {
	c.f32(&p.every, &p.longest, &p.irregular)
	c.u8(&p.odd)
	c.u8(&p.silences)
	c.u16(&p.gaps)
	c.check(p.every >= 0 && p.longest >= 0)
}

func (r *run) walk(c *codec) {
	c.i64(&r.start)
	c.i64(&r.slowStart)
	c.i8(&r.dir)
	c.i8(&r.slowDir)
	c.u8(&r.miss)
	c.u16(&r.still)
}

func (e *episode) walk(c *codec) {
	c.u8((*uint8)(&e.kind))
	c.u8((*uint8)(&e.ended))
	c.i8(&e.dir)
	c.u8(&e.calm)
	c.u8(&e.member)
	c.u8(&e.voice)
	c.u16(&e.points)
	c.i64(&e.onset)
	c.i64(&e.seen)
	c.f32(&e.size, &e.score)
	c.check(e.kind <= epDown && e.ended <= endStale && e.member < memCount && e.voice <= choice.Members)
}

// walkLess writes or reads what a series gave up.
func walkLess(to **less, c *codec) {
	have := *to != nil
	c.flag(&have)
	if c.err != nil || !have {
		return
	}
	if *to == nil {
		*to = &less{}
	}
	l := *to
	c.u8((*uint8)(&l.from))
	c.u8((*uint8)(&l.why))
	c.flag(&l.dropped)
	c.i64(&l.since)
	c.check(l.from <= ladder.Full && l.why < shortages)
	walkPick(&l.pick, c)
	walkTracker(&l.season, c)
}

func (x *counter) walk(c *codec) {
	if c.read {
		x.meta = &telemetry.Series{}
	}
	walkMeta(x.meta, c)
	walkReport(&x.silent, c)
	c.i64(&x.t)
	c.i64(&x.since)
	for _, v := range []*float64{&x.last, &x.low, &x.high, &x.mean} {
		c.f64(v)
	}
	c.u32(&x.n)
	x.pace.walk(c)
	c.u8((*uint8)(&x.why))
	c.u8(&x.looks)
	c.flag(&x.gone)
	c.check(x.why < shortages)
	parked := x.parked != nil
	c.flag(&parked)
	if c.err != nil || !parked {
		return
	}
	if c.read {
		x.parked = &series{}
	}
	x.parked.walk(c)
	walkLess(&x.less, c)
}

func (f *flat) walk(c *codec) {
	c.i64(&f.since)
	c.f32(&f.share, &f.longest, &f.zeros)
	c.u16(&f.again)
	c.u32(&f.from)
	c.u16(&f.zero)
	c.u8(&f.long)
	c.flag(&f.told)
	c.check(f.share >= 0 && f.longest >= 0)
}
