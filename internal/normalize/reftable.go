package normalize

import (
	"sync"
	"sync/atomic"
)

const (
	pageBits = 10
	pageSize = 1 << pageBits
	minPages = 4096 // refs below this many pages always go to the table
	sparsity = 64   // above it, at most this many page slots per live page
)

type page struct {
	slots [pageSize]atomic.Pointer[entry]
	live  int
}

// refTable finds the entry of a series by its reference without a lock. It
// relies on references being handed out densely and in order, as the
// Prometheus head does; those that are not go to a map. Pages are freed when
// all their series are gone, so that churn does not grow it.
type refTable struct {
	mu    sync.Mutex // guards writes
	dir   atomic.Pointer[[]atomic.Pointer[page]]
	pages int
	rest  sync.Map // uint64 -> *entry, references that don't fit a table
	nrest atomic.Int64
}

// pageOf gives the page that a reference lies on, nil when there is none.
func (t *refTable) pageOf(ref uint64) *page {
	if dir := t.dir.Load(); dir != nil && ref>>pageBits < uint64(len(*dir)) {
		return (*dir)[ref>>pageBits].Load()
	}
	return nil
}

func (t *refTable) get(ref uint64) *entry {
	if p := t.pageOf(ref); p != nil {
		if e := p.slots[ref&(pageSize-1)].Load(); e != nil {
			return e
		}
	}
	if t.nrest.Load() == 0 {
		return nil
	}
	if e, ok := t.rest.Load(ref); ok {
		return e.(*entry)
	}
	return nil
}

// swap stores e under ref and returns what was there. A nil e deletes.
func (t *refTable) swap(ref uint64, e *entry) *entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old, ok := t.rest.Load(ref); ok {
		if e == nil {
			t.rest.Delete(ref)
			t.nrest.Add(-1)
		} else {
			t.rest.Store(ref, e)
		}
		return old.(*entry)
	}
	p := t.page(ref, e != nil)
	if p == nil {
		if e != nil {
			t.rest.Store(ref, e)
			t.nrest.Add(1)
		}
		return nil
	}
	old := p.slots[ref&(pageSize-1)].Swap(e)
	switch {
	case old == nil && e != nil:
		p.live++
	case old != nil && e == nil:
		p.live--
		if p.live == 0 {
			(*t.dir.Load())[ref>>pageBits].Store(nil)
			t.pages--
		}
	}
	return old
}

func (t *refTable) page(ref uint64, create bool) *page {
	i := ref >> pageBits
	dir := t.dir.Load()
	if dir == nil || i >= uint64(len(*dir)) {
		if !create || i >= uint64(max(minPages, sparsity*(t.pages+1))) {
			return nil
		}
		grown := make([]atomic.Pointer[page], max(64, 2*i))
		if dir != nil {
			for j := range *dir {
				grown[j].Store((*dir)[j].Load())
			}
		}
		dir = &grown
		t.dir.Store(dir)
	}
	p := (*dir)[i].Load()
	if p == nil && create {
		p = &page{}
		(*dir)[i].Store(p)
		t.pages++
	}
	return p
}
