package choice

import (
	"encoding/binary"
	"errors"
	"math"
)

// ErrState says that bytes are not the state of a Chooser.
var ErrState = errors.New("not the state of a chooser")

// stateBytes is the length of a written state.
const stateBytes = 8*7 + 4*(2+3*gauges+1+3+2) + 2*(tailBins+2) + 4 + 1

// Append writes the state behind b, in a form that Read understands.
func (c *Chooser) Append(b []byte) []byte {
	w := walker{b: b, write: true}
	c.walk(&w)
	return w.b
}

// Read takes the state from b, which Append has written. It returns ErrState,
// and leaves the Chooser as it was, when b is anything else.
func (c *Chooser) Read(b []byte) error {
	if len(b) != stateBytes {
		return ErrState
	}
	n := Chooser{rules: c.rules}
	w := walker{b: b}
	n.walk(&w)
	if w.bad || !n.sound() {
		return ErrState
	}
	*c = n
	return nil
}

// sound says whether a state can have come about.
func (c *Chooser) sound() bool {
	total := 0
	for _, x := range c.tail.bins {
		total += int(x)
	}
	for i := range c.g {
		if g := &c.g[i]; g.peak < 0 || g.mean < 0 || g.rms < 0 {
			return false
		}
	}
	share := func(x float32) bool { return x >= 0 && x <= 1.001 }
	return total == int(c.tail.total) && total <= tailFull && c.raise >= 0 && c.habit >= 0 && share(c.repeat) && share(c.tail.share)
}

// walk names every field once.
func (c *Chooser) walk(w *walker) {
	for i := range c.ring {
		w.f64(&c.ring[i])
	}
	w.f64(&c.slow)
	t := uint64(c.t)
	w.u64(&t)
	c.t = int64(t)
	w.f32(&c.off[0])
	w.f32(&c.off[1])
	for i := range c.g {
		w.f32(&c.g[i].peak)
		w.f32(&c.g[i].mean)
		w.f32(&c.g[i].rms)
	}
	h := &c.tail
	for i := range h.bins {
		w.u16(&h.bins[i])
	}
	top := uint16(h.top)
	w.u16(&top)
	h.top = int16(top)
	w.u16(&h.total)
	w.u8(&h.tick)
	w.f32(&h.share)
	w.f32(&h.q90)
	w.f32(&h.q99)
	w.f32(&c.raise)
	w.f32(&c.repeat)
	w.f32(&c.habit)
	w.u32(&c.n)
}

// walker writes or reads numbers, little-endian; read numbers must be finite.
type walker struct {
	b     []byte
	write bool
	bad   bool
}

func (w *walker) u64(v *uint64) {
	if w.write {
		w.b = binary.LittleEndian.AppendUint64(w.b, *v)
		return
	}
	*v = binary.LittleEndian.Uint64(w.b)
	w.b = w.b[8:]
}

func (w *walker) u32(v *uint32) {
	if w.write {
		w.b = binary.LittleEndian.AppendUint32(w.b, *v)
		return
	}
	*v = binary.LittleEndian.Uint32(w.b)
	w.b = w.b[4:]
}

func (w *walker) u16(v *uint16) {
	if w.write {
		w.b = binary.LittleEndian.AppendUint16(w.b, *v)
		return
	}
	*v = binary.LittleEndian.Uint16(w.b)
	w.b = w.b[2:]
}

func (w *walker) u8(v *uint8) {
	if w.write {
		w.b = append(w.b, *v)
		return
	}
	*v = w.b[0]
	w.b = w.b[1:]
}

func (w *walker) f64(v *float64) {
	u := math.Float64bits(*v)
	w.u64(&u)
	*v = math.Float64frombits(u)
	w.bad = w.bad || !finite(*v)
}

func (w *walker) f32(v *float32) {
	u := math.Float32bits(*v)
	w.u32(&u)
	*v = math.Float32frombits(u)
	w.bad = w.bad || !finite(float64(*v))
}
