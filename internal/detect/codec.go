package detect

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
		c.buf = append(c.buf, make([]byte, n)...)
		return c.buf[len(c.buf)-n:]
	}
	if len(c.buf) < n {
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

func (c *codec) u8(v *uint8) {
	if b := c.next(1); b != nil {
		if c.read {
			*v = b[0]
		} else {
			b[0] = *v
		}
	}
}

func (c *codec) u16(v *uint16) {
	if b := c.next(2); b != nil {
		if c.read {
			*v = binary.LittleEndian.Uint16(b)
		} else {
			binary.LittleEndian.PutUint16(b, *v)
		}
	}
}

func (c *codec) u32(v *uint32) {
	if b := c.next(4); b != nil {
		if c.read {
			*v = binary.LittleEndian.Uint32(b)
		} else {
			binary.LittleEndian.PutUint32(b, *v)
		}
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

func (c *codec) i8(v *int8) {
	u := uint8(*v)
	c.u8(&u)
	*v = int8(u)
}

func (c *codec) i64(v *int64) {
	u := uint64(*v)
	c.u64(&u)
	*v = int64(u)
}

func (c *codec) flag(v *bool) {
	var u uint8
	if *v {
		u = 1
	}
	c.u8(&u)
	c.check(u <= 1)
	*v = u == 1
}

// f32 accepts finite values only.
func (c *codec) f32(vs ...*float32) {
	for _, v := range vs {
		u := math.Float32bits(*v)
		c.u32(&u)
		f := math.Float32frombits(u)
		c.check(f-f == 0)
		if c.err == nil {
			*v = f
		}
	}
}

// f64 accepts finite values only.
func (c *codec) f64(v *float64) {
	u := math.Float64bits(*v)
	c.u64(&u)
	f := math.Float64frombits(u)
	c.check(f-f == 0)
	if c.err == nil {
		*v = f
	}
}

// text carries a string of at most 64 KiB.
func (c *codec) text(v *string) {
	n := uint32(len(*v))
	c.u32(&n)
	c.check(n <= 1<<16)
	if c.err != nil {
		return
	}
	if b := c.next(int(n)); b != nil {
		if c.read {
			*v = string(b)
		} else {
			copy(b, *v)
		}
	}
}

// blob carries a byte slice of at most 64 KiB.
func (c *codec) blob(v *[]byte) {
	s := string(*v)
	c.text(&s)
	if c.read {
		*v = []byte(s)
	}
}
