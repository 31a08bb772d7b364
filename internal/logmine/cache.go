package logmine

const (
	cacheStart = 64
	cacheLimit = 32_768 // entries of one generation
)

// cache maps a pattern's key to the slot of its template. It has two
// generations: when the young one is full it becomes the old one, and a hit in
// the old one is copied. So what is in use stays, at a bounded size (two
// tables of at most 64 K places, 1.5 MiB), without bookkeeping on a hit.
type cache struct {
	young, old table
}

func (c *cache) get(key uint64) (slot uint32, ok bool) {
	if slot, ok = c.young.get(key); ok {
		return slot, true
	}
	if slot, ok = c.old.get(key); ok {
		c.put(key, slot)
	}
	return slot, ok
}

func (c *cache) put(key uint64, slot uint32) {
	if c.young.n >= cacheLimit {
		c.young, c.old = c.old, c.young
		c.young.clear()
	}
	c.young.put(key, slot)
}

// bytes returns what the tables hold.
func (c *cache) bytes() int {
	return 12 * (len(c.young.keys) + len(c.old.keys))
}

// rewrite passes every slot through f; those for which f says false go.
func (c *cache) rewrite(f func(slot uint32) (uint32, bool)) {
	c.young.rewrite(f)
	c.old.rewrite(f)
}

// table is an open-addressing hash table with linear probing. The keys are
// hashes already; key 0 marks an empty place.
type table struct {
	keys  []uint64
	slots []uint32
	n     int
}

func (t *table) get(key uint64) (uint32, bool) {
	if t.n == 0 {
		return 0, false
	}
	mask := uint64(len(t.keys) - 1)
	for i := key & mask; ; i = (i + 1) & mask {
		switch t.keys[i] {
		case key:
			return t.slots[i], true
		case 0:
			return 0, false
		}
	}
}

func (t *table) put(key uint64, slot uint32) {
	if 2*(t.n+1) > len(t.keys) {
		t.grow()
	}
	mask := uint64(len(t.keys) - 1)
	i := key & mask
	for t.keys[i] != 0 && t.keys[i] != key {
		i = (i + 1) & mask
	}
	if t.keys[i] == 0 {
		t.n++
	}
	t.keys[i], t.slots[i] = key, slot
}

func (t *table) grow() {
	old := *t
	size := max(cacheStart, 2*len(old.keys))
	*t = table{keys: make([]uint64, size), slots: make([]uint32, size)}
	for i, k := range old.keys {
		if k != 0 {
			t.put(k, old.slots[i])
		}
	}
}

func (t *table) clear() {
	clear(t.keys)
	t.n = 0
}

func (t *table) rewrite(f func(uint32) (uint32, bool)) {
	old := *t
	if old.n == 0 {
		return
	}
	*t = table{keys: make([]uint64, len(old.keys)), slots: make([]uint32, len(old.keys))}
	for i, k := range old.keys {
		if k == 0 {
			continue
		}
		if slot, keep := f(old.slots[i]); keep {
			t.put(k, slot)
		}
	}
}
