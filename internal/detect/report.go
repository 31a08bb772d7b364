package detect

import (
	"encoding/hex"
	"fmt"
	"math"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// report is an anomaly that is open for a series. It stays unsent while the
// deviation goes the good way or lies before the quiet mark.
type report struct {
	a        ops.Anomaly
	sent     bool
	lastSent int64   // Unix ms of event time
	sevSent  float64 // severity at the last sending
	due      bool    // could not be sent with the last point because another went first
}

// growth is the rise in severity that is reported at once.
const growth = .1

// report moves the series' anomalies with its detector's episodes and returns
// the one that must be told. One point tells one anomaly; a second waits for
// the next point. The shard is locked.
func (e *Engine) report(s *series, p telemetry.Point, sc *Scores) *ops.Anomaly {
	var out *ops.Anomaly
	if s.silent != nil {
		s.silent.a.Ended, s.silent.a.LastSeen = p.T, p.T
		out = e.tell(s.silent, p.T, out)
		s.silent = nil
	}
	out = e.move(s, &s.level, &s.det.level, p, sc, out)
	return e.move(s, &s.form, &s.det.form, p, sc, out)
}

// move brings one anomaly up to date with its episode.
func (e *Engine) move(s *series, to **report, ep *episode, p telemetry.Point, sc *Scores, out *ops.Anomaly) *ops.Anomaly {
	r := *to
	if ep.kind == epNone {
		if r != nil && r.due && out == nil { // its end had to wait
			out = e.tell(r, p.T, nil)
		}
		if r != nil && !r.due {
			*to = nil
		}
		return out
	}
	if r != nil && r.a.Ended != 0 {
		r = nil // a new episode began before the old one's end could be told
	}
	sev := wished(severity(s.meta, ep), s.meta, ep, p, sc.Expected)
	if ep.ended == endNone && e.nothingNew(r, ep, sev, p.T) {
		return out
	}
	if ep.ended != endNone && (r == nil || !r.sent) { // it was never told
		*to = nil
		return out
	}
	if r == nil {
		r = &report{a: newAnomaly(s.meta, ep.onset, ep.kind)}
		*to = r
	}
	e.fill(r, s, ep, p, sc, sev)
	out = e.tell(r, p.T, out)
	if r.a.Ended != 0 && !r.due {
		*to = nil
	}
	return out
}

// nothingNew is the cheap answer for nearly every point of an episode: it is
// too weak to be told, or was told lately and has not grown.
func (e *Engine) nothingNew(r *report, ep *episode, sev float64, now int64) bool {
	if r == nil || !r.sent {
		return sev < minSeverity || now < e.quiet.Load()
	}
	r.a.LastSeen = ep.seen
	return !r.due && sev < r.sevSent+growth && now-r.lastSent < e.cfg.UpdateEvery
}

// tell decides whether an anomaly is to be sent now, and copies it when no
// other goes with this point.
func (e *Engine) tell(r *report, now int64, other *ops.Anomaly) *ops.Anomaly {
	switch {
	case !r.sent && (r.a.Severity < minSeverity || now < e.quiet.Load() || r.a.Ended != 0):
		r.due = false
		return other
	case r.due, !r.sent, r.a.Ended != 0:
	case r.a.Severity < r.sevSent+growth && now-r.lastSent < e.cfg.UpdateEvery:
		return other
	}
	if other != nil {
		r.due = true
		return other
	}
	if !r.sent {
		e.opened.Add(1)
	}
	r.sent, r.due, r.lastSent, r.sevSent = true, false, now, max(r.sevSent, r.a.Severity)
	a := r.a
	return &a
}

// newAnomaly fills what does not change over an anomaly's life.
func newAnomaly(m *telemetry.Series, onset int64, kind epKind) ops.Anomaly {
	return ops.Anomaly{
		ID: anomalyID(m.ID, onset, kind == epShape), SeriesID: m.ID, Series: m.Name, Expr: m.Expr,
		Entity: m.Entity, Peer: m.Peer, Instance: m.Instance, Signal: m.Signal, Unit: m.Unit,
		Onset: onset, Source: "norn",
	}
}

// anomalyID is a hash of the series and the onset in hex, so that a replay or
// a restart gives the same name to the same thing (FNV-1a, 64 bits).
func anomalyID(id telemetry.SeriesID, onset int64, shape bool) string {
	h := uint64(14695981039346656037)
	add := func(v uint64) {
		for range 8 {
			h = (h ^ v&0xff) * 1099511628211
			v >>= 8
		}
	}
	add(uint64(id))
	add(uint64(onset))
	if shape {
		add(1)
	}
	var b [8]byte
	for i := range b {
		b[i] = byte(h >> (56 - 8*i))
	}
	return hex.EncodeToString(b[:])
}

// fill writes what the episode and the newest point say into the anomaly.
func (e *Engine) fill(r *report, s *series, ep *episode, p telemetry.Point, sc *Scores, sev float64) {
	a := &r.a
	a.LastSeen, a.Direction = ep.seen, telemetry.Direction(ep.dir)
	if ep.ended != endNone {
		a.Ended = p.T
	}
	a.Kind, a.Member = kindOf(ep)
	if ep.ended == endAdopted {
		unit := s.meta.Unit
		a.Text = fmt.Sprintf("moved from %s to %s and stayed there for %s: the new normal", number(a.Expected, unit),
			number(float64(s.det.base.fast)+s.det.base.offset, unit), seconds(float64(p.T-ep.onset)/1000))
	}
	if c := s.det.count; c != nil && c.open {
		a.Member = "count"
		if text := c.text(); text != "" {
			a.Text = text
		}
	}
	a.Score = float64(ep.score)
	a.Severity = max(a.Severity, sev)
	a.P = s.det.cal[ep.member].p(ep.score, memberBases()[ep.member], s.det.opt.PerWeek, s.det.clock.hours)
	if ep.kind == epDown {
		a.P = 0
	}
	// the newest deviating value, with what was expected then
	if ep.ended == endNone && ep.seen == p.T {
		b := s.det.band(p.T)
		a.Observed, a.Expected = s.det.base.value(), sc.Expected
		a.Low, a.High = b.Low, b.High
	}
}

func kindOf(ep *episode) (ops.AnomalyKind, string) {
	switch {
	case ep.voice > 0:
		return voiceOf(ep)
	case ep.kind == epShape:
		return ops.AnomalyShape, "shape"
	case ep.kind == epDown:
		return ops.AnomalyDip, "up"
	case ep.kind == epSpike && ep.dir < 0:
		return ops.AnomalyDip, "spike"
	case ep.kind == epSpike:
		return ops.AnomalySpike, "spike"
	case ep.member == memSlow:
		return ops.AnomalyLevel, "drift"
	}
	return ops.AnomalyLevel, "level"
}

// minSeverity is the least severity that is reported: deviations for the good
// lie below it.
const minSeverity = .15

// severity is 0..1 by evidence: how far the level lies outside in units of the
// scale, how long it has lasted, and whether this is the way that hurts. A
// spike stays under .34 and a novelty of shape under .45; a shift reaches 1.
func severity(m *telemetry.Series, ep *episode) float64 {
	size := 1 - math.Exp(-max(0, float64(ep.size)-baseLevel)/6)
	lasted := min(1, float64(ep.points)/10)
	var s float64
	switch ep.kind {
	case epDown:
		return .9
	case epSpike:
		s = .15 + .18*size
		if ep.voice > 0 { // the series itself says that this much is rare
			s = .22 + .11*size
		}
	case epShape:
		s = .22 + .23*min(1, max(0, float64(ep.score)-baseShape))
	default:
		s = .35 + .4*size + .25*lasted*max(size, .5)
	}
	return s * weight(m, ep)
}

// weight is how much a deviation of this signal and direction matters.
func weight(m *telemetry.Series, ep *episode) float64 {
	if ep.kind != epShape && m.Direction != telemetry.BothBad && telemetry.Direction(ep.dir) != m.Direction {
		return .1 // it got better
	}
	switch m.Signal {
	case telemetry.SignalErrors, telemetry.SignalLatency, telemetry.SignalSaturation:
		return 1
	case telemetry.SignalTraffic:
		if ep.dir > 0 {
			return .5 // more work is not a fault
		}
		return .9
	case telemetry.SignalLogs, telemetry.SignalOther:
		return .7
	}
	return .85
}
