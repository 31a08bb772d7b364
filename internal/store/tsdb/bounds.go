package tsdb

import "math"

// Bounds returns the times (Unix ms) of the oldest and the newest sample; ok
// is false when the database is empty.
func (d *DB) Bounds() (oldest, newest int64, ok bool) {
	oldest, newest = d.db.Head().MinTime(), d.db.Head().MaxTime()
	for _, b := range d.db.Blocks() {
		oldest, newest = min(oldest, b.MinTime()), max(newest, b.MaxTime())
	}
	ok = oldest <= newest && oldest != math.MaxInt64 && newest != math.MinInt64
	return oldest, newest, ok
}
