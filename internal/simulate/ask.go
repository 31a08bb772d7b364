package simulate

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/norn-aiops/norn/internal/stats"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// ErrQuestion is returned (wrapped) when a question makes no sense, or names
// what the estate does not hold.
var ErrQuestion = errors.New("cannot be asked")

const (
	usualLimit = 3
	usualDraws = 200
)

// Ask answers a question about an estate. The error wraps [ErrQuestion].
func Ask(e *Estate, q Question) (Answer, error) {
	if q.Limit == 0 {
		q.Limit = usualLimit
	}
	if q.Draws == 0 {
		q.Draws = usualDraws
	}
	if q.Kind == Users && q.Factor == 0 {
		q.Factor = 2
	}
	w := &world{e: e, q: q, net: networkOf(e), answer: Answer{Kind: q.Kind, Entity: q.Entity, Effects: []Effect{}, Unknown: []Effect{}}}
	if err := w.check(); err != nil {
		return Answer{}, err
	}
	if q.Kind == Slow {
		w.slow()
	} else if err := w.load(); err != nil {
		return Answer{}, err
	}
	w.conclude()
	return w.answer, nil
}

// world is one question at work.
type world struct {
	e      *Estate
	q      Question
	net    *network
	answer Answer
}

func (w *world) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrQuestion, fmt.Sprintf(format, args...))
	}
	q := &w.q
	positive := func(v float64) bool { return v > 0 && v <= 1e9 }
	switch {
	case !(q.Limit > 1 && q.Limit <= 100):
		return bad("limit %g: a multiple of the usual own time from above 1 to 100", q.Limit)
	case (q.Kind == Surge || q.Kind == Users) && !positive(q.Factor):
		return bad("factor %g: must be above 0", q.Factor)
	case q.Kind == Flood && !positive(q.Extra):
		return bad("rps %g: must be above 0", q.Extra)
	case q.Kind == Slow && !positive(q.By):
		return bad("by %g s: must be above 0", q.By)
	case (q.Kind == Flood || q.Kind == Loss || q.Kind == Slow) && q.Entity.IsZero():
		return bad("%s needs an entity", q.Kind)
	case q.Operation != "" && q.Entity.IsZero():
		return bad("an operation needs its entity")
	case q.Kind == Users && !q.Entity.IsZero():
		return bad("users come to the whole estate; ask surge for one entity")
	case !slices.Contains([]Kind{Surge, Users, Flood, Loss, Slow}, q.Kind):
		return bad("%q is not one of surge, ddos, loss, slow, users", q.Kind)
	}
	if _, known := w.net.index[q.Entity]; !known && !q.Entity.IsZero() && q.Kind != Loss {
		return bad("%s has no requests in the past that was read", q.Entity)
	}
	return nil
}

// load answers everything that changes load or capacity.
func (w *world) load() error {
	more, err := w.more()
	if err != nil {
		return err
	}
	left := w.left()
	if w.q.Kind == Loss && left == nil {
		return fmt.Errorf("%w: nothing with requests is known to run on %s", ErrQuestion, w.q.Entity)
	}
	for i := range w.e.Services {
		s := &w.e.Services[i]
		keep := 1.0
		if left != nil {
			keep = left[i]
		}
		if w.q.Kind == Loss && keep == 1 || w.q.Kind != Loss && more[i] <= 1e-9 {
			continue
		}
		w.put(w.effect(Fit(s, w.q.Limit, w.q.Draws, w.q.Seed+uint64(i)), more[i], keep))
	}
	return nil
}

// more is the load that one unit of what is asked brings to each service: of a
// factor, the present load; of extra requests, the calls that each causes.
func (w *world) more() ([]float64, error) {
	n := len(w.e.Services)
	out := make([]float64, n)
	usual := func(v []float64) float64 { return orZero(stats.Quantile(v, .95)) }
	if w.q.Entity.IsZero() || w.q.Kind == Loss {
		for i := range out {
			out[i] = usual(w.e.Services[i].Load)
		}
		return out, nil
	}
	i := w.net.index[w.q.Entity]
	s := &w.e.Services[i]
	unit, load := make([]float64, n), usual(s.Load)
	unit[i] = 1
	each := w.net.carry(unit)
	if w.q.Operation != "" {
		op := slices.IndexFunc(s.Operations, func(o Operation) bool { return o.Name == w.q.Operation })
		if op < 0 {
			return nil, fmt.Errorf("%w: %s has no operation %q in the past that was read", ErrQuestion, s.Entity, w.q.Operation)
		}
		each, load = w.net.fromOperation(w.e, i, op), usual(s.Operations[op].Load)
	}
	if w.q.Kind == Flood {
		return each, nil
	}
	for k := range each {
		out[k] = each[k] * load
	}
	return out, nil
}

// left is the share of each service that a loss leaves, nil for other
// questions and when nothing is hit.
func (w *world) left() []float64 {
	if w.q.Kind != Loss {
		return nil
	}
	lost := map[telemetry.Entity]bool{w.q.Entity: true}
	for grown := true; grown; {
		grown = false
		for _, p := range w.e.Places {
			if lost[p.On] && !lost[p.What] {
				lost[p.What], grown = true, true
			}
		}
	}
	out, hit := make([]float64, len(w.e.Services)), false
	for i := range w.e.Services {
		s := &w.e.Services[i]
		all, gone := 0, 0
		for _, p := range w.e.Parts {
			if p.On == s.Entity {
				all++
				if lost[p.What] {
					gone++
				}
			}
		}
		out[i] = 1
		switch {
		case all > 0 && gone > 0:
			out[i] = 1 - float64(gone)/float64(all)
		case lost[s.Entity] && (all == 0 || s.Entity == w.q.Entity):
			out[i] = 0
		}
		hit = hit || out[i] < 1
	}
	if !hit {
		return nil
	}
	return out
}

// amount is how many units of change are asked.
func (w *world) amount() float64 {
	switch w.q.Kind {
	case Surge, Users:
		return w.q.Factor - 1
	case Flood:
		return w.q.Extra
	}
	return 0
}

// effect is what becomes of one service when each unit brings it more.
func (w *world) effect(c Curve, more, keep float64) Effect {
	f := Effect{Entity: c.Entity, Load: c.Load, LoadThen: math.Max(0, c.Load+w.amount()*more), Curve: c, Gone: keep == 0}
	if f.Gone {
		f.Probability, f.Add = 1, c.Instances
		return f
	}
	if !c.Known {
		return f
	}
	at := make([]float64, len(c.draws))
	for i, d := range c.draws {
		d *= keep
		if d < f.LoadThen {
			f.Probability += 1 / float64(len(c.draws))
		}
		at[i] = (d - c.Load) / more
		if w.q.Kind != Flood {
			at[i]++
		}
		at[i] = math.Max(0, at[i])
	}
	f.BreakingLoad = Range{c.Breaks.P10 * keep, c.Breaks.P50 * keep, c.Breaks.P90 * keep}
	f.BreakingAt = rangeOf(at)
	if f.LoadThen > f.BreakingLoad.P10 {
		each := c.Breaks.P10 / float64(c.Instances)
		f.Add = max(1, int(math.Ceil(f.LoadThen/each-float64(c.Instances)*keep-1e-9)))
	}
	return f
}

// put files an effect.
func (w *world) put(f Effect) {
	if f.Curve.Known || f.Gone || f.BreakingAt.P50 > 0 {
		w.answer.Effects = append(w.answer.Effects, f)
		return
	}
	w.answer.Unknown = append(w.answer.Unknown, f)
}

// slow carries a delay to all callers: each waits for every call that it makes
// for a request. Calls that run side by side wait less: what is said is the
// most that it can be.
func (w *world) slow() {
	delay := make([]float64, len(w.e.Services))
	at := w.net.index[w.q.Entity]
	wave := map[int]float64{at: w.q.By}
	for range rounds {
		next := map[int]float64{}
		for i := range w.net.ratio {
			for _, s := range w.net.ratio[i] {
				if d := wave[s.to] * s.ratio; d > 1e-9 && i != at {
					next[i] += d
				}
			}
		}
		for i, d := range next {
			delay[i] += d
		}
		if wave = next; len(wave) == 0 {
			break
		}
	}
	for i, d := range delay {
		if d > 0 {
			w.put(w.delayed(i, d))
		}
	}
}

// delayed is what becomes of a caller whose requests take d seconds longer.
func (w *world) delayed(i int, d float64) Effect {
	s := &w.e.Services[i]
	times := dropBad(s.Whole)
	if len(times) == 0 {
		times = dropBad(s.Latency)
	}
	usual := orZero(stats.Median(times))
	load := orZero(stats.Quantile(s.Load, .95))
	f := Effect{Entity: s.Entity, Load: load, LoadThen: load, Curve: Curve{Entity: s.Entity, Load: load, Usual: usual, Instances: max(1, s.Instances), Points: len(times), Refusal: "its time is not known"}}
	if usual <= 0 {
		return f
	}
	f.Curve.Refusal = ""
	f.Latency, f.Waiting = usual+d, load*(usual+d)
	// The delay of the dependency at which this caller takes limit times as long.
	edge := (w.q.Limit - 1) * usual * w.q.By / d
	draws := make([]float64, 0, len(times))
	for _, v := range times {
		draws = append(draws, math.Max(0, (w.q.Limit*usual-v)*w.q.By/d))
		if v+d > w.q.Limit*usual {
			f.Probability++
		}
	}
	f.Probability /= float64(len(draws))
	f.BreakingAt = rangeOf(draws)
	f.BreakingAt.P50 = edge
	f.BreakingAt.P10, f.BreakingAt.P90 = math.Min(edge, f.BreakingAt.P10), math.Max(edge, f.BreakingAt.P90)
	return f
}

func dropBad(v []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(v), func(x float64) bool { return !(x > 0) || math.IsInf(x, 0) })
}
