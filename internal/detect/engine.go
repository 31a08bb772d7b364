// Package detect judges every series against its own past.
//
// It exists so that one point in, at most one anomaly out, is all that the
// pipeline needs to know about detection. Each series has a [Detector]: a
// baseline with a band (level or profile of the day), tests for a shift, a
// slow drift and a spike, a member that knows the series' habits of shape, and
// a watch for silence; each is calibrated against the series' own past scores.
// It does not group anomalies, read stores, start goroutines or ask the time:
// time comes in with points and with Tick. An [Engine] is safe for concurrent
// use; points of one series must come in order from one goroutine at a time to
// be judged in order.
package detect

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/norn-aiops/norn/internal/detect/ladder"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const shardCount = 16

// Engine holds the detectors of all series. Make it with New.
type Engine struct {
	cfg      Config
	options  [classes]Options
	shards   [shardCount]shard
	counters counters // of the series in the counter tier
	ladder   ladderState
	unseen   unwatched
	quiet    atomic.Int64 // Unix ms: nothing is raised for earlier points

	count, full, seasons              atomic.Int64
	notWatched, refused, late, opened atomic.Uint64
	feedStopped                       atomic.Bool

	tickMu   sync.Mutex
	feedBack int64 // Unix ms at which the feed came back; guarded by tickMu
	lastTick int64 // Unix ms, 0 before the first; guarded by tickMu

	rows   atomic.Pointer[[]*row]
	seatMu sync.Mutex // guards what follows, and the growth of rows
	taken  uint32     // seats that were ever given away
	vacant []uint32   // those that are free again

	laterMu sync.Mutex
	later   []ops.Anomaly // waits for the next batch or Tick
	waiting atomic.Bool   // later is not empty

	batches sync.Pool // of *batch
}

// shard is one part of the table that finds series by their ID. Its lock is
// held for a look-up only; it may be taken while a row is locked.
type shard struct {
	mu       sync.Mutex
	m        table
	counters map[telemetry.SeriesID]uint32 // places in the counter tier
	_        [64]byte                      // keep shards on cache lines of their own
}

// series is the state of one watched series.
type series struct {
	meta   *telemetry.Series
	level  *report // open anomalies, nil nearly always
	form   *report
	silent *report
	row    *row
	pos    uint8 // of its seat in the row
	gone   bool  // silent for so long that it is no longer news
	looks  uint8 // how often somebody asked for it lately
	more   bool  // it has an extra in its row
	det    Detector
}

// New makes an engine without series.
func New(cfg Config) *Engine {
	e := &Engine{cfg: cfg.withDefaults()}
	e.options = e.cfg.options()
	e.quiet.Store(cfg.QuietBefore)
	e.batches.New = func() any { return &batch{} }
	return e
}

// SetQuietBefore moves the mark before which points raise nothing (Unix ms).
func (e *Engine) SetQuietBefore(t int64) {
	e.Settle()
	e.quiet.Store(t)
}

func (e *Engine) shard(id telemetry.SeriesID) *shard { return &e.shards[uint64(id)%shardCount] }

// Observe judges one point. It returns nil nearly always; else a new anomaly,
// or a known one (same ID) that has grown, has not been reported for
// UpdateEvery, or has ended. The caller owns the result. Points that are not
// finite, or not after their series' last point, are counted and dropped.
// p.Series is kept: it must not be changed afterwards.
func (e *Engine) Observe(p telemetry.Point) *ops.Anomaly {
	if p.Series == nil || math.IsNaN(p.V) || math.IsInf(p.V, 0) {
		e.refused.Add(1)
		return nil
	}
	var told *ops.Anomaly
	tell := func(a *ops.Anomaly) { told = a }
	if e.counters.count.Load() > 0 && e.tally(&p, tell) {
		return told
	}
	s := e.enter(p.Series)
	if s == nil {
		e.tally(&p, tell) // it may have become a counter
		return told
	}
	defer s.row.mu.Unlock()
	e.describe(s, p.Series)
	e.settleNow(s)
	a := e.judge(s, &p)
	e.bound(s, s.seat())
	return a
}

// judge judges one finite point of a series, whose row is locked.
func (e *Engine) judge(s *series, p *telemetry.Point) *ops.Anomaly {
	var scores Scores
	if !s.det.step(p.T, p.V, &s.row.moment, &scores) {
		e.late.Add(1)
		return nil
	}
	s.gone = false
	s.row.n++
	if s.det.base.n%seasonEvery == 0 {
		e.grant(s)
		e.watchChange(s, p.T)
	}
	if !s.busy() {
		return nil
	}
	return e.report(s, *p, &scores)
}

// LastSeen gives the time (Unix ms) of a series' last point.
func (e *Engine) LastSeen(id telemetry.SeriesID) (t int64, ok bool) {
	if s := e.lock(id); s != nil {
		defer s.row.mu.Unlock()
		return s.seat().t, true
	}
	ok = e.withCounter(id, func(c *counter) { t = c.t })
	return t, ok
}

// SeriesInfo is one line of a list of series.
type SeriesInfo struct {
	Series    *telemetry.Series
	T         int64   // Unix ms of the last point
	V         float64 // last value
	Expected  float64 // now
	Low, High float64
	Anomalous bool // an anomaly is open
	Severity  float64
	P         float64 // least p-value of the open anomalies, 1 without any
	Tier      ladder.Tier
	Less      string // why it is watched less than it could be, "" when it is not
}

// List gives the series that match (nil matches all), at most limit (0: all).
// The order is unspecified. match must not call the engine.
func (e *Engine) List(match func(*telemetry.Series) bool, limit int) []SeriesInfo {
	var out []SeriesInfo
	e.each(func(s *series) bool {
		if match != nil && !match(s.meta) {
			return true
		}
		e.settleNow(s)
		b := s.det.band(s.det.t)
		in := SeriesInfo{Series: s.meta, T: s.det.t, V: s.det.base.value(), Expected: b.Expected, Low: b.Low, High: b.High, P: 1, Tier: s.tier(), Less: s.extra().less.text()}
		for _, r := range s.reports() {
			if r != nil && r.sent {
				in.Anomalous, in.Severity, in.P = true, max(in.Severity, r.a.Severity), min(in.P, r.a.P)
			}
		}
		out = append(out, in)
		return limit <= 0 || len(out) < limit
	})
	e.eachCounter(func(_ uint32, c *counter) bool {
		if limit > 0 && len(out) >= limit {
			return false
		}
		if c.n > 0 && (match == nil || match(c.meta)) {
			out = append(out, c.info())
		}
		return true
	})
	return out
}

// Active gives all open anomalies that were reported.
func (e *Engine) Active() []ops.Anomaly {
	var out []ops.Anomaly
	e.each(func(s *series) bool {
		for _, r := range s.reports() {
			if r != nil && r.sent {
				out = append(out, r.a)
			}
		}
		return true
	})
	e.eachCounter(func(_ uint32, c *counter) bool {
		if c.silent != nil && c.silent.sent {
			out = append(out, c.silent.a)
		}
		return true
	})
	return out
}

// Stats gives the counters.
func (e *Engine) Stats() Stats {
	var points uint64
	for _, r := range e.allRows() {
		r.mu.Lock()
		points += r.n
		for i := range r.seats {
			points += uint64(r.seats[i].n)
		}
		r.mu.Unlock()
	}
	for _, r := range e.counters.all() {
		r.mu.Lock()
		points += r.n
		r.mu.Unlock()
	}
	t := e.Tiers()
	return Stats{
		Tiers:   t,
		Watched: t.Full + t.Basic, Full: int(e.full.Load()), Seasons: int(e.seasons.Load()), NotWatched: e.notWatched.Load(), Points: points,
		Refused: e.refused.Load(), Late: e.late.Load(), Opened: e.opened.Load(),
		Active: len(e.Active()), FeedStopped: e.feedStopped.Load(),
	}
}

// each calls f with every series, its row locked, until f returns false.
func (e *Engine) each(f func(*series) bool) {
	for _, r := range e.allRows() {
		if !r.each(f) {
			return
		}
	}
}

func (r *row) each(f func(*series) bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.of {
		if s != nil && !f(s) {
			return false
		}
	}
	return true
}

func (s *series) reports() [4]*report { return [4]*report{s.level, s.form, s.silent, s.extra().still} }
