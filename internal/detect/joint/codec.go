package joint

import (
	"encoding/binary"
	"errors"
	"math"
)

// codec reads or writes little-endian values in place: one function walks a
// struct both ways, so that what is written and what is read cannot differ.
// The first error sticks; after it nothing is changed.
type codec struct {
	buf  []byte // write: grows; read: what is left
	read bool
	err  error
}

var (
	errShort   = errors.New("data ends too early")
	errInvalid = errors.New("value out of range")
)

// next gives the next n bytes to read, or n new bytes to write, or nil.
func (c *codec) next(n int) []byte {
	if c.err != nil {
		return nil
	}
	if !c.read {
		at := len(c.buf)
		c.buf = append(c.buf, make([]byte, n)...)
		return c.buf[at:]
	}
	if n < 0 || len(c.buf) < n {
		c.err = errShort
		return nil
	}
	b := c.buf[:n]
	c.buf = c.buf[n:]
	return b
}

// check makes a value that was read but cannot be an error.
func (c *codec) check(ok bool) {
	if c.err == nil && !ok {
		c.err = errInvalid
	}
}

func (c *codec) u64(v *uint64) {
	if b := c.next(8); b != nil {
		if c.read {
			*v = binary.LittleEndian.Uint64(b)
		} else {
			binary.LittleEndian.PutUint64(b, *v)
		}
	}
}

func (c *codec) i64(v *int64) {
	u := uint64(*v)
	c.u64(&u)
	*v = int64(u)
}

// count carries a whole number within 0 and most.
func (c *codec) count(v *int, most int) {
	u := uint64(*v)
	c.u64(&u)
	c.check(u <= uint64(most))
	if c.err == nil {
		*v = int(u)
	}
}

func (c *codec) flag(v *bool) {
	n := 0
	if *v {
		n = 1
	}
	c.count(&n, 1)
	*v = n == 1
}

// f64 accepts finite values only.
func (c *codec) f64(vs ...*float64) {
	for _, v := range vs {
		u := math.Float64bits(*v)
		c.u64(&u)
		f := math.Float64frombits(u)
		c.check(f-f == 0)
		if c.err == nil {
			*v = f
		}
	}
}

func (c *codec) f32(v *float32) {
	f := float64(*v)
	c.f64(&f)
	c.check(math.Abs(f) <= math.MaxFloat32)
	*v = float32(f)
}

// f64s carries finite values of a slice whose length is known.
func (c *codec) f64s(v []float64) {
	for i := range v {
		c.f64(&v[i])
	}
}

// f32s carries finite values of a slice whose length is known, four bytes each.
func (c *codec) f32s(v []float32) {
	b := c.next(4 * len(v))
	if b == nil {
		return
	}
	for i := range v {
		if !c.read {
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v[i]))
			continue
		}
		f := math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		c.check(f-f == 0)
		v[i] = f
	}
}

func (c *codec) i16s(v []int16) {
	b := c.next(2 * len(v))
	for i := range len(b) / 2 {
		if c.read {
			v[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
		} else {
			binary.LittleEndian.PutUint16(b[2*i:], uint16(v[i]))
		}
	}
}

func (c *codec) flags(v []bool) {
	b := c.next(len(v))
	for i := range b {
		if c.read {
			c.check(b[i] <= 1)
			v[i] = b[i] == 1
		} else if v[i] {
			b[i] = 1
		}
	}
}

// text carries a string of at most 64 KiB.
func (c *codec) text(v *string) {
	n := len(*v)
	c.count(&n, 1<<16)
	if c.err != nil {
		return
	}
	if b := c.next(n); b != nil {
		if c.read {
			*v = string(b)
		} else {
			copy(b, *v)
		}
	}
}
