package detect

import (
	"math"

	"github.com/norn-aiops/norn/internal/detect/choice"
	"github.com/norn-aiops/norn/internal/ops"
)

// The full tier: a series whose signal is not known, so that nothing says in
// advance what matters in it, gets a chooser that weighs several detectors by
// what the series is like. It speaks in place of the spike test and the shape
// member; the level and slow tests stay. Its score runs through the shape
// member's calibrator, scaled so that the least limits agree.

// promote gives a detector the full tier, as long as there is room.
func (e *Engine) promote(d *Detector) {
	if d.pick != nil || !e.choosable(d) {
		return
	}
	if e.full.Add(1) > int64(e.cfg.Full) {
		e.full.Add(-1)
		return
	}
	d.pick = choice.New(&d.opt.rules)
}

// choosable says that a chooser is of use to a detector.
func (e *Engine) choosable(d *Detector) bool {
	return d.opt.floor == floorOther && !d.opt.up
}

// demote takes the full tier and the season away.
func (e *Engine) demote(d *Detector) {
	e.release(&d.base)
	if d.pick != nil {
		d.pick = nil
		e.full.Add(-1)
	}
}

// keepTier counts a detector of a snapshot: it stays in the full tier if there
// is room, and joins it if there is now.
func (e *Engine) keepTier(d *Detector) {
	old := d.pick
	d.pick = nil
	e.promote(d)
	if d.pick != nil && old != nil {
		old.SetRules(&d.opt.rules)
		d.pick = old
	}
}

// said is what a chooser says of the present point.
type said struct {
	y     float32 // its score on the shape member's scale
	voice uint8   // 1 + the member that spoke loudest; 0 when it is not loud
}

// choose lets the chooser judge the point. It is loud when its score exceeds
// the limit that the series' own past sets. rel is the value relative to the
// first.
func (d *Detector) choose(t int64, rel float32, s *Scores) (out said) {
	verdict, ok := d.pick.Step(t, float64(rel), math.Abs(float64(s.Level))*s.Scale, s.Shape)
	if !ok {
		return out
	}
	s.Choice = verdict.Score
	out.y = smaller(baseShape*verdict.Score, 1e6)
	if d.base.n <= warmPoints {
		return out
	}
	d.cal[memShape].see(out.y, 0)
	if out.y >= d.cal[memShape].limit && d.base.settle == 0 && int(d.pick.Points()) > d.opt.Warmup {
		out.voice = uint8(verdict.Member) + 1
	}
	return out
}

// spike says whether the loudest member is one that speaks of values.
func (w said) spike() bool { return w.voice > 0 && w.voice-1 != choice.Novelty }

// moveNovelty opens an episode when the chooser is loud because of novelty,
// and ends it when for a while no score was above half of the highest.
func (d *Detector) moveNovelty(t int64, w said, z float32) {
	e := &d.form
	if e.ended != endNone {
		*e = episode{}
	}
	if e.kind == epNone {
		if w.voice == 0 || w.spike() {
			return
		}
		*e = episode{kind: epShape, onset: t, seen: t, points: 1, member: memShape, score: w.y, size: w.y, dir: 1, voice: w.voice}
		if z < 0 {
			e.dir = -1
		}
		return
	}
	e.size = max(e.size, w.y)
	e.score = e.size
	if w.y > .5*e.score {
		e.calm, e.seen = 0, t
		if e.points < math.MaxUint16 {
			e.points++
		}
		return
	}
	if e.calm++; int(e.calm) >= min(255, max(5, d.opt.Warmup*12/100)) {
		e.ended = endCalm
	}
}

// voiceOf gives the kind and the member of an episode that a chooser opened.
func voiceOf(ep *episode) (ops.AnomalyKind, string) {
	name := choice.Names()[ep.voice-1]
	switch ep.voice - 1 {
	case choice.Novelty:
		return ops.AnomalyShape, name
	case choice.Distance, choice.Run, choice.Level:
		return ops.AnomalyLevel, name
	}
	if ep.dir < 0 {
		return ops.AnomalyDip, name
	}
	return ops.AnomalySpike, name
}

// Choice says what the full tier chose for a series.
type Choice struct {
	Profile choice.Profile `json:"profile"`
	Weights choice.Weights `json:"weights"` // evidence for each e-fold of deviation
	Limit   float64        `json:"limit"`   // evidence at which an alarm is due
	Text    string         `json:"text"`
}

func (d *Detector) explainChoice() Choice {
	if d.pick == nil {
		return Choice{}
	}
	return Choice{Profile: d.pick.Profile(), Weights: d.pick.Weights(), Limit: float64(d.pick.Limit()), Text: d.pick.Sentence()}
}

// walkPick writes or reads a chooser; keepTier gives it the rules.
func walkPick(to **choice.Chooser, c *codec) {
	have := *to != nil
	c.flag(&have)
	if c.err != nil || !have {
		return
	}
	var state []byte
	if !c.read {
		state = (*to).Append(nil)
	}
	c.blob(&state)
	if c.read && c.err == nil {
		*to = choice.New(nil)
		c.err = (*to).Read(state)
	}
}
