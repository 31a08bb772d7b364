package detect

import (
	"github.com/norn-aiops/norn/internal/telemetry"
)

// table finds the state of a series by its ID: open addressing with linear
// probing, so that a look-up reads one cache line. The zero value is empty.
type table struct {
	slots []slot // a power of two, at most three quarters full
	n     int
	shift uint8 // 64 - log2(len(slots))
}

type slot struct {
	id telemetry.SeriesID
	s  *series // nil: free
}

const (
	leastSlots = 8
	slotBytes  = 16
)

// home is where an ID is looked for first (Fibonacci hashing, Knuth).
func (t *table) home(id telemetry.SeriesID) int {
	return int(uint64(id) * 0x9e3779b97f4a7c15 >> t.shift)
}

// get returns nil for an unknown series.
func (t *table) get(id telemetry.SeriesID) *series {
	if t.n == 0 {
		return nil
	}
	mask := len(t.slots) - 1
	for i := t.home(id); ; i++ {
		c := &t.slots[i&mask]
		if c.s == nil || c.id == id {
			return c.s
		}
	}
}

// put adds a series, or replaces the one of the same ID.
func (t *table) put(id telemetry.SeriesID, s *series) {
	if 4*(t.n+1) > 3*len(t.slots) {
		t.grow()
	}
	mask := len(t.slots) - 1
	for i := t.home(id); ; i++ {
		c := &t.slots[i&mask]
		if c.s == nil {
			t.n++
		}
		if c.s == nil || c.id == id {
			*c = slot{id, s}
			return
		}
	}
}

func (t *table) grow() {
	old := t.slots
	n := max(leastSlots, 2*len(old))
	t.slots, t.n, t.shift = make([]slot, n), 0, 64
	for ; n > 1; n /= 2 {
		t.shift--
	}
	for _, c := range old {
		if c.s != nil {
			t.put(c.id, c.s)
		}
	}
}

// remove takes a series out; those that had to make way move back.
func (t *table) remove(id telemetry.SeriesID) {
	if t.n == 0 {
		return
	}
	mask := len(t.slots) - 1
	i := t.home(id) & mask
	for t.slots[i].id != id || t.slots[i].s == nil {
		if t.slots[i].s == nil {
			return
		}
		i = (i + 1) & mask
	}
	t.n--
	for j := (i + 1) & mask; t.slots[j].s != nil; j = (j + 1) & mask {
		if (j-t.home(t.slots[j].id))&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = slot{}
}
