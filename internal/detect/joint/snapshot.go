package joint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A snapshot is: magic with a version byte, the walked state, little-endian,
// and its CRC-32C.
const (
	snapshotMagic = "NORNJNT\x01"
	maxColumns    = 4096
	maxSnapshot   = 1 << 28
)

// ErrSnapshot is returned (wrapped) when a snapshot cannot be used.
var ErrSnapshot = errors.New("snapshot of a joint detector is damaged or of another version")

// Snapshot writes the whole state. A model restored from it goes on exactly as
// this one.
func (m *Model) Snapshot(w io.Writer) error {
	c := codec{buf: []byte(snapshotMagic)}
	m.walk(&c)
	if c.err != nil {
		return fmt.Errorf("write joint snapshot: %w", c.err)
	}
	c.buf = binary.LittleEndian.AppendUint32(c.buf, crc32.Checksum(c.buf, crc32.MakeTable(crc32.Castagnoli)))
	if _, err := w.Write(c.buf); err != nil {
		return fmt.Errorf("write joint snapshot: %w", err)
	}
	return nil
}

// Restore reads a model from a snapshot, which brings its columns. Trees, a
// network and its memory that cfg does not ask for any more are dropped; where
// cfg asks for them anew, they begin empty.
func Restore(cfg Config, r io.Reader) (*Model, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxSnapshot))
	if err != nil {
		return nil, fmt.Errorf("read joint snapshot: %w", err)
	}
	if len(b) < len(snapshotMagic)+4 || string(b[:len(snapshotMagic)]) != snapshotMagic {
		return nil, fmt.Errorf("%w: it begins with %q", ErrSnapshot, b[:min(len(b), len(snapshotMagic))])
	}
	end := len(b) - 4
	if crc32.Checksum(b[:end], crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(b[end:]) {
		return nil, fmt.Errorf("%w: its checksum does not fit", ErrSnapshot)
	}
	cfg.Columns = nil
	m := New(cfg)
	c := codec{buf: b[len(snapshotMagic):end], read: true}
	m.walk(&c)
	c.check(len(c.buf) == 0)
	if c.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshot, c.err)
	}
	m.suit()
	return m, nil
}

// suit makes the members what the settings ask for.
func (m *Model) suit() {
	d := len(m.cols)
	switch {
	case !m.cfg.Forest:
		m.forest = nil
	case m.forest == nil:
		m.forest = newForest(d, m.cfg.Seed)
	}
	switch {
	case m.cfg.Neural == NeuralOff:
		m.net, m.rival, m.past = nil, nil, nil
		m.choice = Choice{Member: MemberLinear}
	case m.past == nil && d > 0:
		m.past = newHistory(d, m.cfg.HistoryRows, m.cfg.Seed)
	}
}

// walk carries the state both ways.
func (m *Model) walk(c *codec) {
	n := len(m.cols)
	c.count(&n, maxColumns)
	if c.err != nil {
		return
	}
	if c.read {
		m.cols = make([]column, n)
		m.size()
		m.mom = newMoments(n)
		m.forest, m.past, m.net, m.rival = nil, nil, nil, nil
	}
	for j := range m.cols {
		m.cols[j].walk(c)
	}
	m.mom.walk(c)
	m.regress.walk(c, lags*n)
	m.graph.walk(c, n)
	m.axes.walk(c, n)
	for i := range m.channels {
		m.channels[i].walk(c)
	}
	m.verdict.walk(c)
	c.i64(&m.rows)
	c.i64(&m.last)
	c.i64(&m.nextFit)
	c.i64(&m.open)
	c.i64(&m.born)
	c.count(&m.cold, lags)
	c.f64(&m.every, &m.doubted)
	c.flag(&m.fitted)
	c.flag(&m.adopting)
	c.f32(&m.trust)
	c.f32(&m.seen)
	c.flags(m.judged)
	c.flags(m.there)
	for _, v := range [...][]float32{m.r, m.far, m.lag, m.e, m.blame} {
		c.f32s(v)
	}
	m.choice.walk(c)
	m.walkMembers(c, n)
	c.check(!m.fitted || m.regress.out == n && m.graph.out == n && m.axes.out <= n)
}

// walkMembers carries what a model may have or not.
func (m *Model) walkMembers(c *codec, n int) {
	has := [...]bool{m.forest != nil, m.past != nil, m.net != nil, m.rival != nil}
	c.flags(has[:])
	if c.err != nil {
		return
	}
	if has[0] {
		if c.read {
			m.forest = newForest(n, 0)
		}
		m.forest.walk(c)
	}
	if has[1] {
		if c.read {
			m.past = newHistory(max(n, 1), m.cfg.HistoryRows, 0)
		}
		m.past.walk(c)
	}
	for i, at := range [...]**network{&m.net, &m.rival} {
		if !has[2+i] || c.err != nil {
			continue
		}
		if c.read {
			*at = newNetwork(m.regress.clone(), 0)
			c.check(m.regress.out == n)
		}
		if c.err == nil {
			(*at).walk(c)
		}
	}
}

func (col *column) walk(c *codec) {
	c.text(&col.name)
	c.f64(&col.centre, &col.scale, &col.n, &col.mean, &col.m2, &col.big, &col.wideN, &col.wideMean, &col.wide)
	c.f32(&col.level)
}

func (m *moments) walk(c *codec) {
	c.f64(&m.half[0], &m.half[1], &m.top[0], &m.top[1])
	for h := range m.g {
		c.f32s(m.g[h])
		c.f64s(m.sum[h])
		c.f64s(m.n[h])
	}
	c.f32s(m.buf)
	c.f32s(m.seen)
	c.count(&m.fill, block-1)
}

func (l *linear) walk(c *codec, in int) {
	c.count(&l.out, maxColumns)
	if c.err != nil {
		return
	}
	if c.read {
		l.in = in
		c.check(len(c.buf) >= 4*l.out*in)
		if c.err != nil {
			return
		}
		l.w, l.bias, l.inv = make([]float32, l.out*in), make([]float32, l.out), make([]float32, l.out)
	}
	c.f32s(l.w)
	c.f32s(l.bias)
	c.f32s(l.inv)
}

func (h *channel) walk(c *codec) {
	c.f32s(h.q[:])
	c.f32s(h.s[:])
	for k := range h.tails {
		h.tails[k].walk(c)
	}
}

func (t *tail) walk(c *codec) {
	c.f32s(t.count[:])
	c.f32s(t.table[:])
	c.f32(&t.total)
	c.f32(&t.u)
	c.f32(&t.h)
	c.flag(&t.ready)
	c.check(!t.ready || t.h > 0)
}

func (x *Choice) walk(c *codec) {
	c.text(&x.Member)
	for _, n := range [...]*int{&x.Contests, &x.Won, &x.Row, &x.HeldBack, &x.Episodes} {
		c.count(n, 1<<40)
	}
	c.f64(&x.Linear, &x.Neural, &x.T)
	c.i64(&x.At)
}

func (h *history) walk(c *codec) {
	size := len(h.trust)
	c.count(&size, 1<<24)
	blocks := h.capacity()
	c.count(&blocks, 1<<24)
	c.check(!c.read || len(c.buf) >= 2*h.d*(size+blocks*blockRows) && size > 0 && blocks > 0)
	if c.err != nil {
		return
	}
	if c.read {
		h.recent, h.trust = make([]int16, size*h.d), make([]bool, size)
		h.old = make([]int16, blocks*blockRows*h.d)
	}
	c.i16s(h.recent)
	c.flags(h.trust)
	c.i16s(h.old)
	c.i16s(h.open)
	c.count(&h.at, size-1)
	c.count(&h.n, size)
	c.count(&h.since, size)
	c.count(&h.blocks, blocks)
	c.count(&h.opened, blockRows-1)
	c.u64(&h.met)
	walkRandom(c, &h.random)
}

func (n *network) walk(c *codec) {
	n.skip.walk(c, lags*n.d)
	c.check(n.skip.out == n.d)
	c.f32s(n.w1)
	c.f32s(n.w2)
	c.f32s(n.gain)
	c.count(&n.steps, 1<<40)
	c.flag(&n.trained)
	walkRandom(c, &n.random)
	if n.trained {
		n.opt = nil
		return
	}
	c.f32s(n.opt.m)
	c.f32s(n.opt.v)
}
