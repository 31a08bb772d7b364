//go:build wasip1

// Package main is a detector for Norn that scores how far a value lies from
// its exponentially weighted mean, in units of its usual distance. It shows
// the functions of docs/plugins.md in Go; build it with `make plugins`.
package main

import (
	"math"
	"unsafe"
)

const (
	memory = .02 // weight of the newest point
	young  = 30  // points before there is an opinion
)

type series struct {
	n         int
	mean, dev float64
}

// detector is all that the module keeps. The host calls one function at a time.
type detector struct {
	known   map[uint64]*series
	buffers map[uint32][]byte // keeps what was given to the host alive
	title   []byte
}

// the host knows exported functions only, so the detector hangs on a variable
var self = &detector{known: map[uint64]*series{}, buffers: map[uint32][]byte{}, title: []byte("ewma")}

// main is never called: the module is a library.
func main() {}

//go:wasmexport alloc
func alloc(bytes uint32) uint32 { return self.alloc(bytes) }

//go:wasmexport name
func name() uint64 { return uint64(address(self.title))<<32 | uint64(len(self.title)) }

//go:wasmexport describe
func describe(_ uint64, at, _ uint32) { self.free(at) }

//go:wasmexport observe
func observe(id uint64, _ int64, v float64) float64 { return self.observe(id, v) }

func address(b []byte) uint32 { return uint32(uintptr(unsafe.Pointer(&b[0]))) }

func (d *detector) alloc(bytes uint32) uint32 {
	b := make([]byte, max(bytes, 1))
	at := address(b)
	d.buffers[at] = b
	return at
}

func (d *detector) free(at uint32) { delete(d.buffers, at) }

func (d *detector) observe(id uint64, v float64) float64 {
	s := d.known[id]
	if s == nil {
		s = &series{mean: v}
		d.known[id] = s
	}
	s.n++
	k := max(memory, 1/float64(s.n))
	distance := math.Abs(v - s.mean)
	usual := s.dev
	s.mean += k * (v - s.mean)
	s.dev += k * (distance - s.dev)
	if s.n < young {
		return math.NaN()
	}
	return distance / max(usual, 1e-9*math.Abs(s.mean), 1e-12)
}
