package vlogs

// dedup remembers identities for at least one window and at most two: two
// generations, the older of which is forgotten when the newer is one window
// old. It is not safe for concurrent use; the engine guards it.
type dedup struct {
	window    int64 // ms; <= 0: off
	limit     int   // entries in both generations
	now, last map[uint64]struct{}
	began     int64 // Unix ms when now was begun
}

func newDedup(window int64, limit int) *dedup {
	return &dedup{window: window, limit: max(limit, 2), now: map[uint64]struct{}{}}
}

// seen reports whether id was marked within the window.
func (d *dedup) seen(id uint64) bool {
	if _, ok := d.now[id]; ok {
		return true
	}
	_, ok := d.last[id]
	return ok
}

// mark remembers id as of t (Unix ms).
func (d *dedup) mark(id uint64, t int64) {
	if d.window <= 0 {
		return
	}
	d.turn(t)
	d.now[id] = struct{}{}
}

// turn forgets what is too old at t.
func (d *dedup) turn(t int64) {
	switch {
	case d.began == 0:
		d.began = t
	case t-d.began >= 2*d.window:
		d.last, d.now, d.began = nil, map[uint64]struct{}{}, t
	case t-d.began >= d.window || len(d.now) >= d.limit/2:
		d.last, d.now, d.began = d.now, map[uint64]struct{}{}, t
	}
}

func (d *dedup) len() int { return len(d.now) + len(d.last) }
