package logmine

import "sync"

// aliases maps the ids of merged templates to those that carry their lines.
// It is bounded: the oldest entries go first, and with them the way from an id
// that was stored long ago to its template of today.
type aliases struct {
	mu    sync.RWMutex
	limit int
	to    map[uint64]uint64
	order []uint64 // ring of keys, oldest at next
	next  int
}

func (a *aliases) add(old, survivor uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.to == nil {
		a.to = make(map[uint64]uint64)
	}
	if old == survivor {
		return
	}
	if _, known := a.to[old]; !known {
		if len(a.order) < a.limit {
			a.order = append(a.order, old)
		} else {
			delete(a.to, a.order[a.next])
			a.order[a.next] = old
			a.next = (a.next + 1) % a.limit
		}
	}
	a.to[old] = survivor
	delete(a.to, survivor) // an id that lives again is no alias
}

func (a *aliases) resolve(id uint64) uint64 {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for range len(a.to) {
		to, ok := a.to[id]
		if !ok {
			break
		}
		id = to
	}
	return id
}

// all gives the final target of every alias.
func (a *aliases) all() map[uint64]uint64 {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := make(map[uint64]uint64, len(a.to))
	for old, to := range a.to {
		for range len(a.to) {
			next, ok := a.to[to]
			if !ok {
				break
			}
			to = next
		}
		out[old] = to
	}
	return out
}

func (a *aliases) size() int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return len(a.to)
}

// pairs returns old and new ids in turn, oldest first.
func (a *aliases) pairs() []uint64 {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := make([]uint64, 0, 2*len(a.to))
	for k := range a.order {
		old := a.order[(a.next+k)%len(a.order)]
		if to, ok := a.to[old]; ok {
			out = append(out, old, to)
		}
	}
	return out
}

// replace takes the entries of b, which is not used any more.
func (a *aliases) replace(b *aliases) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.to, a.order, a.next = b.to, b.order, b.next
}
