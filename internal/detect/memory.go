package detect

import (
	"unsafe"

	"github.com/norn-aiops/norn/internal/stats"
)

// StateBytes is the memory that the state of all series takes: detectors,
// warm-ups, open anomalies and the tables that find them. The series' descriptions are not
// counted: they belong to the caller.
func (e *Engine) StateBytes() int {
	total := 0
	for i := range e.shards {
		e.shards[i].mu.Lock()
		total += slotBytes * len(e.shards[i].m.slots)
		e.shards[i].mu.Unlock()
	}
	total += rowBytes * len(e.allRows())
	total += counterRowBytes*len(e.counters.all()) + counterEntry*int(e.counters.count.Load())
	e.eachCounter(func(_ uint32, c *counter) bool {
		if c.parked != nil {
			total += c.parked.bytes()
		}
		return true
	})
	e.each(func(s *series) bool {
		total += int(unsafe.Sizeof(*s)) + 4*cap(s.det.warm)
		if s.det.shape != nil {
			total += int(unsafe.Sizeof(*s.det.shape))
		}
		if s.det.pick != nil {
			total += int(unsafe.Sizeof(*s.det.pick))
		}
		if s.det.count != nil {
			total += int(unsafe.Sizeof(*s.det.count))
		}
		if s.det.base.season != nil {
			total += s.det.base.season.Bytes()
		}
		x := s.extra()
		total += x.less.bytes()
		if x.change != nil {
			total += changeBytes
		}
		for _, r := range s.reports() {
			if r != nil {
				total += int(unsafe.Sizeof(*r)) + len(r.a.ID)
			}
		}
		return true
	})
	return total
}

// prefetch asks for the part of the state that every point needs. Asked for
// a few series ahead it hides the wait for memory, which is longer than the
// judging of a point.
func (s *series) prefetch() {
	prefetchState(unsafe.Pointer(s), unsafe.Pointer(&s.det.t))
}

// prefetchRest asks for what lies at addresses that the state itself holds. It
// should come some points after prefetch.
func (s *series) prefetchRest() {
	d := &s.det
	bin := int(d.base.bin)
	low, high := max(bin, 1)-1, min(bin, dayBins-2)+1 // the neighbours are read too
	prefetchLines(unsafe.Pointer(&d.base.binN[bin]), unsafe.Pointer(&d.base.bins[low]), unsafe.Pointer(&d.base.bins[high]))
	if d.level.kind != epNone || s.level != nil { // its severity follows from the description
		stats.Prefetch(unsafe.Pointer(&s.meta.Signal))
		if r := s.level; r != nil {
			stats.Prefetch(unsafe.Pointer(&r.a.Ended))
			stats.Prefetch(unsafe.Pointer(&r.sent))
		}
	}
	d.base.prefetchSeason()
	if p := d.pick; p != nil {
		stats.Prefetch(unsafe.Pointer(p))
		stats.Prefetch(unsafe.Add(unsafe.Pointer(p), 64))
	}
	if m := d.shape; m != nil {
		stats.Prefetch(unsafe.Pointer(m))
	} else if n := len(d.warm); n > 0 {
		stats.Prefetch(unsafe.Pointer(&d.warm[n-1]))
	}
}

// prefetchBlock asks for the whole shape member when one of the next n+1 points
// ends a block. It should come some points after prefetchRest.
func (s *series) prefetchBlock(n uint8) {
	if m := s.det.shape; m != nil && m.in+uint16(n)+1 >= m.size {
		prefetchShape(unsafe.Pointer(m))
	}
}
