package detect

import (
	"math"
	"unsafe"

	"github.com/norn-aiops/norn/internal/detect/season"
	"github.com/norn-aiops/norn/internal/stats"
)

// A series that has been seen for a day gets a tracker of what it repeats
// (package season), as long as there is room. Where that predicts better than
// level and daily profile, its expectation takes their place; they go on
// learning beside it as its rival.

const (
	seasonEvery = 128       // points between two looks whether a series may have one
	seasonAfter = 24 * 3600 // seconds that a series must have been seen
)

// grant gives a series a season when it has been seen for long enough.
func (e *Engine) grant(s *series) {
	if e.cfg.Seasons > 0 && e.repeats(s) {
		e.assign(&s.det.base, season.New(e.cfg.Calendar))
	}
}

// repeats says that a series has no season and may have one: it has been seen
// for long enough and moves.
func (e *Engine) repeats(s *series) bool {
	b := &s.det.base
	return b.season == nil && s.extra().less == nil && !s.det.opt.up && float64(b.n)*float64(s.det.pace.every) >= seasonAfter && b.square[0]+b.square[1] != 0
}

// assign gives a baseline a tracker if there is room.
func (e *Engine) assign(b *baseline, t *season.Tracker) {
	if e.seasons.Add(1) > int64(e.cfg.Seasons) {
		e.seasons.Add(-1)
		b.season, b.follows = nil, false
		return
	}
	b.season = t
}

// release takes the season away.
func (e *Engine) release(b *baseline) {
	if b.season != nil {
		b.season, b.follows = nil, false
		e.seasons.Add(-1)
	}
}

// keepSeason counts the season of a detector from a snapshot.
func (e *Engine) keepSeason(b *baseline) {
	if t := b.season; t != nil {
		t.SetCalendar(e.cfg.Calendar)
		e.assign(b, t)
	}
}

// expectAt is the expectation at t (Unix ms), relative to the offset.
func (b *baseline) expectAt(t int64) float64 {
	if b.follows {
		return float64(b.season.Expect(t))
	}
	bin, pos := dayBin(t)
	mean, _, _ := b.expect(bin, pos)
	return mean
}

// seasonal gives the season's expectation at t in place of mean where it is
// followed, and the value as it would be without the change that was expected
// since the last point.
func (b *baseline) seasonal(t int64, mean float64, x float32) (float64, float32) {
	if !b.follows {
		return mean, x
	}
	now := b.season.Expect(t)
	still := x - (now - b.season.Last())
	b.hold.stale = true // the yardstick depends on what is expected
	return float64(now), still
}

// teach lets the season learn, and follows it or not. rival is what is
// expected without it.
func (b *baseline) teach(t int64, x float32, rival float64, learn bool) {
	b.season.Step(t, x, float32(rival), learn)
	use := b.season.InUse() && b.n >= warmPoints
	if use == b.follows {
		return
	}
	b.follows = use
	own, other := b.season.Errors()
	k := float32(1)
	if own > 0 && other > 0 {
		k = own / other
		if !use {
			k = 1 / k
		}
	}
	k = smaller(4, larger(.1, k))
	b.square[0], b.square[1] = b.square[0]*k*k, b.square[1]*k*k
	b.forget(30)
}

// room gives the bounds within which a value is calm until time t, when the
// expectation moves: what is calm at the beginning, in the middle, and at the
// end.
func (b *baseline) room(from, to int64, lo, hi float32) (float32, float32) {
	low, high := float32(-math.MaxFloat32), float32(math.MaxFloat32)
	for _, t := range [...]int64{from, (from + to) / 2, to} {
		mean := b.season.Expect(t)
		low, high = larger(low, mean+lo), smaller(high, mean+hi)
	}
	return low, high
}

// walkSeason writes or reads the season.
func (b *baseline) walkSeason(c *codec) {
	walkTracker(&b.season, c)
	if b.season != nil && c.err == nil {
		c.flag(&b.follows)
	}
}

// walkTracker writes or reads a tracker; keepSeason gives it the calendar.
func walkTracker(to **season.Tracker, c *codec) {
	have := *to != nil
	c.flag(&have)
	if c.err != nil || !have {
		return
	}
	var state []byte
	if !c.read {
		state, c.err = (*to).Append(nil)
	}
	c.blob(&state)
	if c.read && c.err == nil {
		*to = season.New(nil)
		c.err = (*to).Read(state)
	}
}

func (b *baseline) prefetchSeason() {
	if b.season != nil {
		stats.Prefetch(unsafe.Pointer(b.season))
		stats.Prefetch(unsafe.Add(unsafe.Pointer(b.season), 64))
	}
}
