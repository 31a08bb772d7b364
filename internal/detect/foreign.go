package detect

import (
	"fmt"
	"math"
	"sync"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// ForeignConfig says how the scores of a detector that is not the engine's own
// are judged.
type ForeignConfig struct {
	Member    string  // name of the member in anomalies
	Threshold float64 // scores below it never raise anything; must be above 0
	Weight    float64 // factor on severity; 0 means 1
	PerWeek   float64 // wished false alarms a week and series; 0 means 0.02
	MaxSeries int     // 0 means 10,000; points of further ones are not judged
}

// Foreign turns the scores of a detector of the user's own into anomalies, by
// the same road as the engine's members: what is usual for a series raises its
// limit (see calibrator), an anomaly grows with its size and length, is told
// again as the engine's are, and ends when the scores are calm. It is safe for
// concurrent use; points of one series must come in order.
type Foreign struct {
	cfg ForeignConfig

	mu     sync.Mutex
	quiet  int64 // Unix ms: nothing is raised for earlier points
	series map[telemetry.SeriesID]*foreign
}

// foreign is the state of one series.
type foreign struct {
	meta  *telemetry.Series
	cal   calibrator
	ring  ring
	clock blockClock
	n     int
	t     int64 // Unix ms of the last point
	gap   int64 // ms between the last two points
	mean  float64
	dev   float64 // mean distance from the mean
	ep    episode
	open  *report
}

// NewForeign makes a judge without series.
func NewForeign(c ForeignConfig) *Foreign {
	if c.Weight <= 0 {
		c.Weight = 1
	}
	if c.PerWeek <= 0 {
		c.PerWeek = .02
	}
	if c.MaxSeries <= 0 {
		c.MaxSeries = 10_000
	}
	return &Foreign{cfg: c, series: map[telemetry.SeriesID]*foreign{}}
}

// SetQuietBefore moves the mark before which points raise nothing (Unix ms).
func (f *Foreign) SetQuietBefore(t int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.quiet = t
}

const (
	calmMean   = .02 // weight of a calm point in the mean
	foreignEnd = 5   // calm points that end an anomaly
)

// Observe judges the score of one point. A score that is negative or not
// finite is no opinion. It returns nil nearly always, else an anomaly as
// Engine.Observe does.
func (f *Foreign) Observe(p telemetry.Point, score float64) *ops.Anomaly {
	if p.Series == nil || math.IsNaN(p.V) || math.IsInf(p.V, 0) || !(score >= 0) || math.IsInf(score, 1) {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.series[p.Series.ID]
	if s == nil {
		if len(f.series) >= f.cfg.MaxSeries {
			return nil
		}
		s = &foreign{mean: p.V}
		s.cal.limit = float32(f.cfg.Threshold)
		f.series[p.Series.ID] = s
	}
	s.meta = p.Series
	if s.n > 0 && p.T <= s.t {
		return nil
	}
	s.n, s.gap, s.t = s.n+1, p.T-s.t, p.T
	return f.judge(s, p, float32(min(score, math.MaxFloat32/8)))
}

func (f *Foreign) judge(s *foreign, p telemetry.Point, score float32) *ops.Anomaly {
	base := float32(f.cfg.Threshold)
	s.cal.see(score, 0)
	if s.clock.tick(p.T) {
		f.closeBlock(s, p.T)
	}
	size := score / max(s.cal.limit, base)
	if s.ep.kind == epNone {
		if size < 1 {
			s.learn(p.V)
			return nil
		}
		s.ep = episode{kind: epSpike, onset: p.T, dir: side(float32(p.V-s.mean), 0)}
	}
	e := &s.ep
	if size >= .7 {
		e.seen, e.calm = p.T, 0
		if e.points < math.MaxUint16 {
			e.points++
		}
		if e.points > calmSpike {
			e.kind = epLevel
		}
		if size > e.size {
			e.size, e.score = size, score
		}
	} else if e.calm++; e.calm >= foreignEnd {
		return f.end(s, p.T)
	}
	return f.tell(s, p)
}

// learn moves mean and distance by a calm point.
func (s *foreign) learn(v float64) {
	k := max(calmMean, 1/float64(s.n))
	s.dev += k * (math.Abs(v-s.mean) - s.dev)
	s.mean += k * (v - s.mean)
}

// closeBlock stores the block's largest score and renews the limit.
func (f *Foreign) closeBlock(s *foreign, t int64) {
	c, base := &s.clock, float32(f.cfg.Threshold)
	s.ring[c.next] = encodeScore(min(s.cal.cur, 4*s.cal.limit), base)
	s.cal.cur = 0
	c.start, c.next, c.filled = t, (c.next+1)%ringSize, min(c.filled+1, ringSize)
	if c.filled == ringSize && c.hours < lastBlockHours {
		s.ring.halve(int(c.next))
		c.filled, c.next = ringSize/2, ringSize/2
		c.hours *= 2
	}
	s.cal.renew(s.ring[:c.filled], float64(c.hours), base, f.cfg.PerWeek, 1)
	s.cal.limit = max(s.cal.limit, base)
}

// severity is as the engine's: a few points stay under .34, what lasts reaches
// 1. The sign of a foreign score is not known, so no way is the better one.
func (f *Foreign) severity(s *foreign) float64 {
	e := &s.ep
	size := 1 - math.Exp(-float64(e.size-1))
	v := .15 + .18*size
	if e.kind == epLevel {
		v = .35 + .4*size + .25*min(1, float64(e.points)/10)*max(size, .5)
	}
	return min(1, v*f.cfg.Weight*weight(s.meta, &episode{kind: epShape, dir: e.dir}))
}

// tell reports an open anomaly when it is news.
func (f *Foreign) tell(s *foreign, p telemetry.Point) *ops.Anomaly {
	sev := f.severity(s)
	if s.open == nil {
		if sev < minSeverity || p.T < f.quiet {
			return nil
		}
		s.open = &report{a: newAnomaly(s.meta, s.ep.onset, epShape), sevSent: -1}
		s.open.a.ID = anomalyID(s.meta.ID^hash(f.cfg.Member), s.ep.onset, true)
	}
	r := s.open
	r.a.Severity = max(r.a.Severity, sev)
	if r.sent && r.a.Severity < r.sevSent+growth && p.T-r.lastSent < 30_000 {
		return nil
	}
	f.fill(s, p)
	r.sent, r.lastSent, r.sevSent = true, p.T, r.a.Severity
	a := r.a
	return &a
}

func (f *Foreign) fill(s *foreign, p telemetry.Point) {
	a, e := &s.open.a, &s.ep
	a.Kind, a.Member, a.LastSeen, a.Direction = ops.AnomalyShape, f.cfg.Member, e.seen, telemetry.Direction(e.dir)
	a.Score = float64(e.score)
	a.P = s.cal.p(e.score, float32(f.cfg.Threshold), f.cfg.PerWeek, s.clock.hours)
	if e.seen == p.T {
		a.Observed, a.Expected, a.Low, a.High = p.V, s.mean, s.mean-3*s.dev, s.mean+3*s.dev
	}
	a.Text = fmt.Sprintf("score %.3g, limit %.3g", e.score, max(s.cal.limit, float32(f.cfg.Threshold)))
}

// end closes the episode and tells it when it was told before.
func (f *Foreign) end(s *foreign, now int64) *ops.Anomaly {
	r := s.open
	s.ep, s.open = episode{}, nil
	if r == nil {
		return nil
	}
	r.a.Ended = now
	return &r.a
}

// Tick ends the anomalies of series that send no more, and forgets series that
// were not heard of for a week.
func (f *Foreign) Tick(now int64) []ops.Anomaly {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []ops.Anomaly
	for id, s := range f.series {
		if s.ep.kind != epNone && now-s.t >= max(staleAfter, 10*s.gap) {
			if a := f.end(s, now); a != nil {
				out = append(out, *a)
			}
		}
		if now-s.t > 7*86400_000 {
			delete(f.series, id)
		}
	}
	return out
}

// hash is FNV-1a of a text, 64 bits.
func hash(text string) telemetry.SeriesID {
	h := uint64(14695981039346656037)
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return telemetry.SeriesID(h)
}
