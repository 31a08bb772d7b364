package detect

import (
	"math"
	"unsafe"
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
	e.each(func(s *series) bool {
		total += int(unsafe.Sizeof(*s)) + 4*cap(s.det.warm)
		if s.det.shape != nil {
			total += int(unsafe.Sizeof(*s.det.shape))
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

// touch reads what the next point of the series will need and returns a
// number without meaning. Called for many series in a row it lets the
// processor fetch their memory side by side, where judging point by point
// would wait for every line in turn.
func (s *series) touch() uint64 {
	d := &s.det
	b := &d.base
	sum := uint64(math.Float64bits(s.value)) + uint64(d.t) + uint64(d.run.dir) + uint64(d.cal[memLevel].limit) +
		uint64(d.ratio.n) + uint64(d.level.kind) + uint64(d.form.kind) + uint64(b.n)
	return sum
}

// touchFar reads what touch made known the addresses of.
func (s *series) touchFar() uint64 {
	d := &s.det
	b := &d.base
	sum := uint64(b.binN[b.bin]) + uint64(math.Float32bits(b.bins[b.bin]))
	if m := d.shape; m != nil {
		sum += m.touch()
	} else if n := len(d.warm); n > 0 {
		sum += uint64(math.Float32bits(d.warm[n-1]))
	}
	return sum
}

// touch reads what the next value needs; at the end of a block that is all.
func (s *shape) touch() uint64 {
	sum := uint64(s.in)
	if s.in+1 >= s.size {
		sum += uint64(s.rate[0][0]) + uint64(s.ext[0]) + uint64(s.ext[64])
		for i := 0; i < len(s.filter); i += 16 {
			sum += uint64(s.filter[i])
		}
	}
	return sum
}
