package detect

import "math"

// epKind is what an open episode is about.
type epKind uint8

const (
	epNone  epKind = iota
	epSpike        // one to three extreme points
	epLevel        // a stretch of points, or a slow drift
	epShape
	epDown // an up series at 0
)

// endReason says why an episode ended.
type endReason uint8

const (
	endNone    endReason = iota
	endCalm              // back inside the band
	endAdopted           // the new level became normal
	endStale             // no more points
)

// episode is one deviation from its first point to its end. The detector moves
// it with every point; the engine turns it into an anomaly.
type episode struct {
	onset  int64   // Unix ms of the first deviating point
	seen   int64   // of the last deviating point
	size   float32 // largest score of the level test (spike: of z)
	score  float32 // of the member that spoke, at its height
	points uint16  // deviating points, saturating
	kind   epKind
	ended  endReason // set for the one point at which it ended
	dir    int8
	calm   uint8 // points inside in a row
	member uint8 // index of the calibrator that spoke
	voice  uint8 // of the full tier: 1 + the chooser's member that spoke loudest
}

const (
	calmSpike = 3
	calmLevel = 5
)

// moveLevel opens, grows or ends the episode of the residual.
func (d *Detector) moveLevel(t int64, s *Scores, up, down float32, w said) {
	e := &d.level
	if e.ended != endNone {
		*e = episode{}
	}
	if e.kind == epNone {
		d.openLevel(t, s, up, down, w)
		return
	}
	dir := float32(e.dir)
	lv := up
	if e.dir < 0 {
		lv = down
	}
	d.growLevel(t, e, lv, dir*s.Slow, dir*s.Z)
	if e.kind == epLevel && t-e.onset >= d.opt.Adopt && (d.steady(s) || t-e.onset >= 3*d.opt.Adopt) {
		d.base.adopt(t, e.onset)
		d.z, d.base.slow, d.run = [4]float32{}, 0, run{}
		e.ended = endAdopted
	}
}

// steady reports whether the value stays near its mean of the last minutes.
func (d *Detector) steady(s *Scores) bool {
	return math.Abs(float64(d.base.last-d.base.fast)) <= 3*s.Scale
}

// burstyFactor is by how much the limits of level and drift are higher in a
// series of the full tier that comes in bursts: a scale says little of it.
const burstyFactor = 2

// openLevel opens an episode when a test exceeds its limit. While the interval
// has just changed the limits are doubled.
func (d *Detector) openLevel(t int64, s *Scores, up, down float32, w said) {
	k := float32(1)
	if d.base.settle > 0 {
		k = 2
	}
	dir, lv := int8(1), up
	if down > up || (down == up && s.Slow < 0) {
		dir, lv = -1, down
	}
	if lv <= 0 && s.Slow != 0 { // the level test is silent: follow the slow one
		dir = int8(math.Copysign(1, float64(s.Slow)))
	}
	slow, z := float32(dir)*s.Slow, s.Spike
	if d.pick != nil && d.pick.Bursty() {
		k *= burstyFactor
	}
	switch {
	case lv >= k*d.cal[memLevel].limit:
		d.level = episode{kind: epLevel, dir: dir, onset: d.run.start, member: memLevel, score: lv}
	case slow >= k*d.cal[memSlow].limit && slow > 0:
		d.level = episode{kind: epLevel, dir: dir, onset: d.run.slowStart, member: memSlow, score: slow}
	case abs32(z) >= k*d.cal[memSpike].limit && d.pick == nil:
		dir = int8(math.Copysign(1, float64(z)))
		d.level = episode{kind: epSpike, dir: dir, onset: t, member: memSpike, score: abs32(z)}
	case w.spike():
		dir = int8(math.Copysign(1, float64(s.Z)))
		d.level = episode{kind: epSpike, dir: dir, onset: t, member: memShape, score: w.y, voice: w.voice}
	default:
		return
	}
	e := &d.level
	if e.onset == 0 || e.onset > t {
		e.onset = t
	}
	e.seen, e.points = t, 1
	d.measure(e, lv, slow, float32(dir)*z)
}

// growLevel takes one more point into an open episode. lv, slow and z are
// signed so that the episode's direction is positive.
func (d *Detector) growLevel(t int64, e *episode, lv, slow, z float32) {
	if e.kind == epSpike && lv >= d.cal[memLevel].limit {
		e.kind, e.member, e.voice = epLevel, memLevel, 0
		if d.run.dir == e.dir && d.run.start < e.onset {
			e.onset = d.run.start
		}
	}
	d.measure(e, lv, slow, z)
	if e.member == memSlow && lv >= d.cal[memLevel].limit {
		e.member = memLevel
	}
	inside := z < max(1.5, .4*d.cal[memLevel].limit)
	if e.member == memSlow {
		inside = slow < .5*d.cal[memSlow].limit
	}
	if !inside {
		e.calm, e.seen = 0, t
		if e.points < math.MaxUint16 {
			e.points++
		}
		return
	}
	e.calm++
	if (e.kind == epSpike && e.calm >= calmSpike) || e.calm >= calmLevel {
		e.ended = endCalm
		d.base.slow = 0 // what it remembers has been told
	}
}

// measure keeps the episode's largest scores.
func (d *Detector) measure(e *episode, lv, slow, z float32) {
	e.size = max(e.size, lv)
	if e.kind == epSpike {
		e.size = max(e.size, z)
	}
	switch e.member {
	case memLevel:
		e.score = max(e.score, lv)
	case memSlow:
		e.score = max(e.score, slow)
	case memSpike:
		e.score = max(e.score, z)
	}
}

// moveShape opens an episode at an alarm of the shape member and ends it when
// for a while no score was above half of that alarm's.
func (d *Detector) moveShape(t int64, s *Scores) {
	e := &d.form
	if e.ended != endNone {
		*e = episode{}
	}
	if e.kind == epNone {
		if s.Alarm < d.cal[memShape].limit || d.base.settle > 0 || d.base.sparse(d.opt.floor) {
			return
		}
		*e = episode{kind: epShape, onset: t, seen: t, points: 1, member: memShape, score: s.Alarm, size: s.Alarm}
		e.dir = 1
		if s.Z < 0 {
			e.dir = -1
		}
		return
	}
	e.size = max(e.size, s.Shape)
	e.score = e.size
	if s.Shape > .5*e.score {
		e.calm, e.seen = 0, t
		e.points++
		return
	}
	if e.calm++; int(e.calm) >= min(255, max(5, d.opt.Warmup*12/100)) {
		e.ended = endCalm
	}
}

// stepUp judges a series that says whether something lives: under one half is
// a fault from the first point on.
func (d *Detector) stepUp(t int64, v float64) Scores {
	e := &d.level
	if e.ended != endNone {
		*e = episode{}
	}
	b := &d.base
	b.offset, b.last = 0, float32(v)
	if b.n < math.MaxUint32 {
		b.n++
	}
	s := Scores{Expected: 1, Scale: .1}
	if v >= .5 {
		if e.kind != epNone {
			e.ended = endCalm
		}
		return s
	}
	s.Z, s.Level = -10, -10
	if e.kind == epNone {
		*e = episode{kind: epDown, dir: -1, onset: t, size: 10, score: 1}
	}
	e.seen = t
	if e.points < math.MaxUint16 {
		e.points++
	}
	return s
}
