package detect

import (
	"fmt"
	"math"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// flat knows how long a series repeats one value, so that a sensor that is
// stuck, or a counter that stands still while its entity works, is told from a
// series that repeats by nature.
type flat struct {
	since   int64   // Unix ms of the first point of the present run
	share   float32 // of points that equal the one before, without runs that were told
	longest float32 // longest run lately, fading; repeats
	again   uint16  // repeats of the open block
	from    uint32  // points before the open block
	zeros   float32 // share of points that are exactly 0
	zero    uint16  // of the open block
	long    uint8   // runs that were long enough to tell
	told    bool    // the present run is long enough to be told
}

const (
	leastStill   = 20         // repeats
	leastFlat    = 10 * 60000 // ms
	flatHistory  = 24         // hours of calibration
	alwaysMoving = .1         // share of repeats from which a series does not always move
)

// flat is nil during the warm-up.
func (d *Detector) flat() *flat {
	if d.shape == nil {
		return nil
	}
	return &d.shape.flat
}

// nought counts a value of 0.
func (d *Detector) nought() {
	if f := d.flat(); f != nil && f.zero < math.MaxUint16 {
		f.zero++
	}
}

// stands says that the present run is long enough to be told.
func (d *Detector) stands() bool { return d.shape != nil && d.shape.flat.told }

// still takes a point that equals the one before.
func (d *Detector) still(t int64) {
	if d.run.still < math.MaxUint16 {
		d.run.still++
	}
	f := d.flat()
	if f == nil {
		return
	}
	n := d.run.still
	if f.again < math.MaxUint16 {
		f.again++
	}
	if n == 1 {
		f.since = t - int64(d.clock.gap)
	}
	if n >= leastStill && !f.told {
		f.told = t-f.since >= leastFlat && d.flatP() <= d.opt.PerWeek/7
	}
}

// moved takes a point that ends a run.
func (d *Detector) moved() {
	f, n := d.flat(), float32(d.run.still)
	d.run.still = 0
	if f == nil {
		return
	}
	if f.told {
		f.told = false
		if f.long++; f.long < 3 { // it was a fault of its own
			return
		}
		f.long = 0
	}
	f.longest = larger(f.longest, n)
}

// closeFlat takes the open block into the past.
func (d *Detector) closeFlat() {
	f := d.flat()
	if f == nil {
		return
	}
	if n := d.base.n - f.from; !f.told && d.base.n > f.from {
		k := larger(.1, 1/float32(d.clock.filled+1))
		f.share += k * (float32(f.again)/float32(n) - f.share)
		f.zeros += k * (float32(f.zero)/float32(n) - f.zeros)
	}
	f.again, f.zero, f.from = 0, 0, d.base.n
	f.longest *= .99
}

// flatP is the probability that a day of the series' life holds a run as long
// as the present one: runs end at random, as slowly as the longest of late and
// the share of repeats allow. 1 for a series that does not always move.
func (d *Detector) flatP() float64 {
	f, b := d.flat(), &d.base
	if f == nil {
		return 1
	}
	hours := float64(d.clock.filled) * float64(d.clock.hours)
	if hours < flatHistory || f.share > alwaysMoving || !d.pace.judged() {
		return 1
	}
	n := float64(d.run.still)
	if n < 3*float64(f.longest)+10 {
		return 1
	}
	if grain := math.Abs(float64(b.last)) / (1 << 22); math.Sqrt(float64(b.step2)) < 20*grain {
		return 1 // its steps are near to what a number of 32 bits holds
	}
	scale := larger(1, float64(f.longest)/math.Log(float64(larger(float32(b.n), 3))))
	if f.share > 0 {
		scale = larger(scale, -1/math.Log(float64(f.share)))
	}
	day := 86400 / larger(float64(d.pace.every), 1)
	return math.Min(1, day*math.Exp(-n/scale))
}

// idle says that the value is one at which standing still can mean that there
// is nothing to do: 0, or the low end of what the day knows.
func (d *Detector) idle() bool {
	b := &d.base
	if float64(b.last)+b.offset == 0 {
		return true
	}
	low, high := float32(math.Inf(1)), float32(math.Inf(-1))
	for i, n := range b.binN {
		if n > 0 {
			low, high = smaller(low, b.bins[i]), larger(high, b.bins[i])
		}
	}
	return b.last <= low+.1*(high-low)
}

// standing is a series that stands still, or did.
type standing struct {
	s    *series
	idle bool
}

// tickFlats looks at the series that stand still, or did. No row is locked.
func (e *Engine) tickFlats(list []standing, now int64, out []ops.Anomaly) []ops.Anomaly {
	var busy map[telemetry.Entity]bool
	for _, x := range list {
		if x.idle && busy == nil {
			busy = e.withTraffic(now)
		}
	}
	for _, x := range list {
		s := x.s
		s.row.mu.Lock()
		if s.row.of[s.pos] == s {
			out = e.tickFlat(s, now, busy[s.meta.Entity], out)
		}
		s.row.mu.Unlock()
	}
	return out
}

// tickFlat opens, tells again or ends a flat line. busy says that the series'
// entity has work, as far as that is known. One that lasts for hours is known.
func (e *Engine) tickFlat(s *series, now int64, busy bool, out []ops.Anomaly) []ops.Anomaly {
	f, r := s.det.flat(), s.extra().still
	if f == nil {
		return out
	}
	if f.told && now-f.since >= goneAfter {
		f.told, f.longest = false, float32(s.det.run.still)
	}
	switch {
	case !f.told && r == nil:
		return out
	case !f.told:
		r.a.Ended = s.det.t
		out = e.tellTick(r, now, out)
		s.setStill(nil)
		return out
	case r == nil:
		if e.quiet.Load() > now || s.det.level.kind != epNone || s.det.idle() && !busy {
			return out
		}
		r = &report{a: newAnomaly(s.meta, f.since, epShape)}
		r.a.ID = anomalyID(s.meta.ID^hash("flat"), f.since, true)
		r.a.Kind, r.a.Member = ops.AnomalyFlat, "flat"
		s.setStill(r)
	}
	b := s.det.band(s.det.t)
	a := &r.a
	a.LastSeen, a.Observed, a.Expected, a.Low, a.High = s.det.t, s.det.base.value(), b.Expected, b.Low, b.High
	a.Score, a.P = float64(s.det.run.still), s.det.flatP()
	a.Text = fmt.Sprintf("the same value for %d points; before, never more than %d in a row", int(s.det.run.still)+1, int(f.longest)+1)
	a.Severity = max(a.Severity, flatSeverity(s.meta, s.det.idle())*s.meta.Policy.Factor("flat"))
	return e.tellTick(r, now, out)
}

// flatSeverity: a sensor that is stuck is bad data; a count that stands still
// while there is work is a fault.
func flatSeverity(m *telemetry.Series, idle bool) float64 {
	if idle && (m.Signal == telemetry.SignalTraffic || m.Signal == telemetry.SignalOther) {
		return .45
	}
	return .3
}

// dayMean is the mean of the profile of the day, relative to the offset.
func (b *baseline) dayMean() float64 {
	sum, n := 0., 0.
	for i := range b.bins {
		if b.binN[i] > 0 {
			sum, n = sum+float64(b.bins[i]), n+1
		}
	}
	return sum / larger(n, 1)
}

// withTraffic gives the entities that have work now: at least half of what is
// expected of one of their traffic series, and of what it has over the day.
func (e *Engine) withTraffic(now int64) map[telemetry.Entity]bool {
	busy := map[telemetry.Entity]bool{}
	e.each(func(s *series) bool {
		d := &s.det
		if s.meta.Signal != telemetry.SignalTraffic || !s.meta.Peer.IsZero() || d.base.n < warmPoints || float64(now-s.seat().t) > 3000*float64(d.pace.every) {
			return true
		}
		v := float64(d.base.last) + d.base.offset
		if want := larger(d.base.expectAt(d.t), d.base.dayMean()) + d.base.offset; v > 0 && d.run.still < leastStill && v >= .5*want {
			busy[s.meta.Entity] = true
		}
		return true
	})
	return busy
}
