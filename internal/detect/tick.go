package detect

import (
	"math"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	feedShare  = .8 // share of overdue series from which the feed is taken as stopped
	feedSeries = 10 // with fewer series no feed is taken as stopped
	overdue    = 2.5
	pauseAfter = 2 * 60_000   // ms between two ticks from which the process was not there
	goneAfter  = 6 * 3600_000 // ms after which a silence ends as "gone"
	staleAfter = 10 * 60_000  // an anomaly ends this long (ms) after its last point, at least
)

// census counts how many series are overdue.
type census struct{ watched, overdue int }

// Tick judges silence at time now (Unix ms) and returns the anomalies that
// opened, must be told again, or ended for lack of points. When more than
// 80 % of the series that should have sent are overdue, the feed itself is
// taken as stopped (Stats.FeedStopped) and no series is called silent; when it
// comes back, at the first Tick and after a pause of more than two minutes
// between Ticks, every series gets its own limit again before it is judged. A
// silence of six hours ends: the series is gone.
// Series that were silent for longer than Forget are dropped.
func (e *Engine) Tick(now int64) []ops.Anomaly {
	e.tickMu.Lock()
	defer e.tickMu.Unlock()
	e.judgeFeed(now)
	out := e.takeLater()
	var flat []standing
	for _, r := range e.allRows() {
		out = e.tickRow(r, now, out, &flat)
	}
	out = e.tickFlats(flat, now, out)
	return e.tickCounters(now, out)
}

// judgeFeed decides whether the feed as a whole has stopped.
func (e *Engine) judgeFeed(now int64) {
	var c census
	e.each(func(s *series) bool {
		if p, t := &s.det.pace, s.seat().t; p.judged() && s.silent == nil && !s.gone && now-t < e.cfg.Forget {
			c.watched++
			if float64(now-t) > 1000*max(overdue*float64(p.every), 1.5*float64(p.longest)) {
				c.overdue++
			}
		}
		return true
	})
	e.eachCounter(func(_ uint32, x *counter) bool {
		if p := &x.pace; p.judged() && x.silent == nil && !x.gone && now-x.t < e.cfg.Forget {
			c.watched++
			if float64(now-x.t) > 1000*max(overdue*float64(p.every), 1.5*float64(p.longest)) {
				c.overdue++
			}
		}
		return true
	})
	// after a start, or a pause of the process, nobody could have sent
	if e.lastTick == 0 || now-e.lastTick > pauseAfter {
		e.feedBack = now
	}
	e.lastTick = now
	stopped := c.watched >= feedSeries && float64(c.overdue) > feedShare*float64(c.watched)
	if e.feedStopped.Swap(stopped) && !stopped {
		e.feedBack = now
	}
}

func (e *Engine) tickRow(r *row, now int64, out []ops.Anomaly, still *[]standing) []ops.Anomaly {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.of {
		if s == nil {
			continue
		}
		if c := s.seat(); c.n > 0 {
			if now-c.first() < e.cfg.Hold && now-c.t < 2*int64(c.step) {
				continue // it is calm and on time
			}
			e.settle(s, c, c.n, func(a *ops.Anomaly) { out = append(out, *a) })
			e.bound(s, c)
		}
		open := s.busy()
		out = e.stale(s, now, out)
		if s.det.stands() || s.extra().still != nil {
			*still = append(*still, standing{s, s.det.idle()})
		}
		out = e.silence(quiet{s.meta, &s.det.pace, s.det.t, &s.silent, &s.gone}, now, out)
		if now-s.det.t > e.cfg.Forget {
			if s.silent != nil {
				s.silent.a.Ended = now
				out = e.tellTick(s.silent, now, out)
			}
			e.leave(s)
		} else if s.busy() != open {
			e.bound(s, s.seat())
		}
	}
	return out
}

// stale ends anomalies of a series that sends no more.
func (e *Engine) stale(s *series, now int64, out []ops.Anomaly) []ops.Anomaly {
	if s.level == nil && s.form == nil || now-s.det.t < max(staleAfter, int64(10_000*s.det.pace.every)) {
		return out
	}
	for _, x := range []struct {
		r  **report
		ep *episode
	}{{&s.level, &s.det.level}, {&s.form, &s.det.form}} {
		if r := *x.r; r != nil {
			r.a.Ended = now
			out = e.tellTick(r, now, out)
			*x.r, *x.ep = nil, episode{}
		}
	}
	return out
}

// quiet is what silence is judged by.
type quiet struct {
	meta *telemetry.Series
	pace *pace
	t    int64 // Unix ms of the last point
	open **report
	gone *bool
}

// silence opens, tells again, or leaves alone a series' silence.
func (e *Engine) silence(q quiet, now int64, out []ops.Anomaly) []ops.Anomaly {
	if r := *q.open; r != nil {
		r.a.LastSeen = now
		r.a.Observed = float64(now-q.t) / 1000
		r.a.Severity = q.severity(now)
		if now-q.t < goneAfter {
			return e.tellTick(r, now, out)
		}
		r.a.Ended = now
		out = e.tellTick(r, now, out)
		*q.open, *q.gone = nil, true
		return out
	}
	limit := q.pace.limit()
	since := max(q.t, e.feedBack)
	if *q.gone || e.feedStopped.Load() || !q.pace.judged() || float64(now-since) <= 1000*limit {
		return out
	}
	// the first missing point is the onset
	onset := q.t + int64(1000*float64(q.pace.every))
	r := &report{a: newAnomaly(q.meta, onset, epNone)}
	a := &r.a
	a.Kind, a.Member, a.Direction = ops.AnomalySilence, "silence", telemetry.DownBad
	a.Unit, a.LastSeen = "s", now
	a.Observed, a.Expected, a.High = float64(now-q.t)/1000, float64(q.pace.every), limit
	a.Score = a.Observed / limit
	a.P = min(1, e.cfg.Sensitivity/168)
	a.Severity = q.severity(now)
	if e.quiet.Load() > now {
		return out
	}
	*q.open = r
	return e.tellTick(r, now, out)
}

// severity grows from .4 to .7 with the length of the silence; a series of one
// instance counts less than one of a whole service.
func (q *quiet) severity(now int64) float64 {
	over := float64(now-q.t) / (1000 * max(q.pace.limit(), 1))
	v := .4 + .3*(1-math.Exp(-max(0, over-1)/3))
	if !q.meta.Instance.IsZero() {
		v *= .8
	}
	return min(1, v*q.meta.Policy.Factor("silence"))
}

// tellTick sends an anomaly by the rules of tell.
func (e *Engine) tellTick(r *report, now int64, out []ops.Anomaly) []ops.Anomaly {
	if a := e.tell(r, now, nil); a != nil {
		out = append(out, *a)
	}
	return out
}
