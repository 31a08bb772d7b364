package detect

import (
	"fmt"
	"math"
	"slices"
	"unsafe"

	"github.com/norn-aiops/norn/internal/detect/ladder"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// change watches what a level does not show of a series that is watched fully:
// that its noise grew or shrank and stayed so, and that it rises or falls day
// after day. It looks every two hours at what the baseline keeps anyway, so that
// points cost nothing. What it tells is told once; then the past begins anew, and
// what was new is normal.
type change struct {
	at    int64 // Unix ms of the last look
	since int64 // Unix ms at which the present stretch of other noise began
	noise [changeLooks]float32
	days  [changeDays]float32 // means of whole days, relative to the baseline's offset
	sum   float32             // of the open day
	n     uint8               // noises kept
	d     uint8               // days kept
	in    uint8               // looks in the open day
	same  int8                // looks in a row whose noise is larger (above 0) or smaller
	open  *report             // told, and not ended yet
}

const (
	changeLooks = 120           // ten days
	changeDays  = 21            //
	changeEvery = 2 * 3600_000  // ms between two looks
	changePause = 12 * 3600_000 // ms without a look after which the open day is left out
	perDay      = 12            // looks
	noisePast   = 60            // looks that must be known before those that are judged
	noiseLasts  = 9             // looks for which other noise must last: 18 hours
	noiseZ      = 6             // usual deviations of the logarithm of noise
	noiseLeast  = .45           // and at least this much, a factor of about one and a half
	trendDays   = 4             // differences of days that must go one way
	trendPast   = 8             // differences that must be known before them
	trendZ      = 5             // usual differences of days that they must add up to, times the root of their number
	changeIs    = .34           // most severity: it is a change, not yet a fault
)

const changeBytes = int(unsafe.Sizeof(change{}))

// watchChange looks at a series, whose row is locked, when it is time.
func (e *Engine) watchChange(s *series, t int64) {
	x := s.extra()
	c := x.change
	if s.tier() != ladder.Full || s.det.opt.up {
		if c != nil {
			x.change = nil
			s.setExtra(x)
		}
		return
	}
	if c == nil {
		c = &change{at: t}
		x.change = c
		s.setExtra(x)
		return
	}
	if t-c.at < changeEvery {
		return
	}
	if r := c.open; r != nil {
		r.a.Ended = t
		e.tellLater(&r.a)
		c.open = nil
	}
	if t-c.at > changePause {
		c.sum, c.in, c.same = 0, 0, 0
	}
	c.at = t
	b := &s.det.base
	if a := c.look(t, b); a != nil {
		e.tellChange(s, c, a)
	}
}

// finding is what a look found.
type finding struct {
	kind           ops.AnomalyKind
	member         string
	onset          int64
	z, before, now float64 // in units of what is usual; noise, or means of days
	up             bool
}

// look takes what the baseline says at t.
func (c *change) look(t int64, b *baseline) *finding {
	v := float32(.5 * math.Log(math.Max(float64(b.step2), 1e-30)))
	found := c.otherNoise(t, v)
	if int(c.n) == len(c.noise) {
		copy(c.noise[:], c.noise[1:])
		c.n--
	}
	c.noise[c.n] = v
	c.n++
	c.sum += b.fast
	if c.in++; c.in < perDay {
		return found
	}
	if int(c.d) == len(c.days) {
		copy(c.days[:], c.days[1:])
		c.d--
	}
	c.days[c.d] = c.sum / perDay
	c.d++
	c.sum, c.in = 0, 0
	if found == nil {
		found = c.trend(t, b.offset)
	}
	return found
}

// otherNoise compares the present noise with that before the present stretch.
func (c *change) otherNoise(t int64, v float32) *finding {
	past := c.noise[:max(0, int(c.n)-int(max(c.same, -c.same)))]
	if len(past) < noisePast {
		return nil
	}
	mid, dev := spreadOf(past)
	z := (float64(v) - mid) / math.Max(dev, noiseLeast/noiseZ)
	switch {
	case z >= noiseZ:
		c.same = max(c.same, 0) + 1
	case z <= -noiseZ:
		c.same = min(c.same, 0) - 1
	default:
		c.same = 0
		return nil
	}
	if c.same == 1 || c.same == -1 {
		c.since = t
	}
	if c.same < noiseLasts && c.same > -noiseLasts {
		return nil
	}
	keep := c.noise[len(past):c.n] // the new normal begins with what lasted
	c.n, c.same = uint8(copy(c.noise[:], keep)), 0
	return &finding{ops.AnomalyVariance, "variance", c.since, math.Abs(z), math.Exp(mid) / math.Sqrt2, math.Exp(float64(v)) / math.Sqrt2, z > 0}
}

// trend reports whether the last days all went one way, by more than days
// differ.
func (c *change) trend(t int64, offset float64) *finding {
	n := int(c.d) - 1 // differences
	if n < trendDays+trendPast {
		return nil
	}
	diffs := make([]float32, n)
	for i := range diffs {
		diffs[i] = c.days[i+1] - c.days[i]
	}
	last, total := diffs[n-trendDays:], float32(0)
	for _, d := range last {
		total += d
	}
	for _, d := range last {
		if d*total <= 0 || math.Abs(float64(d)) < .4*math.Abs(float64(total))/trendDays {
			return nil
		}
	}
	_, dev := spreadOf(diffs[:n-trendDays])
	was := float64(c.days[n-trendDays])
	dev = math.Max(dev, .005*math.Abs(was+offset))
	z := math.Abs(float64(total)) / (dev * math.Sqrt(trendDays))
	if !(z >= trendZ) {
		return nil
	}
	now := float64(c.days[n])
	c.days[0], c.d = c.days[n], 1
	return &finding{ops.AnomalyTrend, "trend", t - trendDays*86400_000, z, was + offset, now + offset, total > 0}
}

// spreadOf gives the median, and the median distance from it in units of a
// normal law's deviation.
func spreadOf(xs []float32) (mid, dev float64) {
	s := slices.Clone(xs)
	slices.Sort(s)
	mid = float64(s[len(s)/2])
	for i, x := range s {
		s[i] = float32(math.Abs(float64(x) - mid))
	}
	slices.Sort(s)
	return mid, 1.4826 * float64(s[len(s)/2])
}

// tellChange opens an anomaly of a finding.
func (e *Engine) tellChange(s *series, c *change, f *finding) {
	r := &report{a: newAnomaly(s.meta, f.onset, epLevel)}
	a := &r.a
	a.ID = anomalyID(s.meta.ID^hash(f.member), f.onset, true)
	a.Kind, a.Member, a.LastSeen, a.Score = f.kind, f.member, c.at, f.z
	a.Observed, a.Expected = f.now, f.before
	a.P = math.Erfc(f.z / math.Sqrt2 / 2) // half the deviations: habits are not normal
	a.Direction = telemetry.UpBad
	if !f.up {
		a.Direction = telemetry.DownBad
	}
	unit, pol := s.meta.Unit, s.meta.Policy
	what := "days rise or fall"
	if f.kind == ops.AnomalyVariance {
		what = "the noise changed"
	}
	a.Text = fmt.Sprintf("%s from %s to %s and it lasts: the new normal", what, number(f.before, unit), number(f.now, unit))
	sev := (.2 + .14*(1-math.Exp(-(f.z-trendZ)/6))) * pol.Factor(f.member)
	if f.kind == ops.AnomalyTrend {
		sev *= weight(s.meta, &episode{kind: epLevel, dir: int8(a.Direction)})
		if pol != nil && (!pol.Matters(f.now, f.before) || pol.OnlyWay != telemetry.BothBad && a.Direction != pol.OnlyWay) {
			sev = 0
		}
	}
	a.Severity = min(changeIs, sev)
	if a.Severity < minSeverity || c.at < e.quiet.Load() {
		return
	}
	r.sent, r.lastSent, r.sevSent = true, c.at, a.Severity
	c.open = r
	e.opened.Add(1)
	e.tellLater(a)
}

// walkChange writes or reads it.
func walkChange(to **change, c *codec) {
	have := *to != nil
	c.flag(&have)
	if c.err != nil || !have {
		return
	}
	if *to == nil {
		*to = &change{}
	}
	x := *to
	c.i64(&x.at)
	c.i64(&x.since)
	for i := range x.noise {
		c.f32(&x.noise[i])
	}
	for i := range x.days {
		c.f32(&x.days[i])
	}
	c.f32(&x.sum)
	c.u8(&x.n)
	c.u8(&x.d)
	c.u8(&x.in)
	c.i8(&x.same)
	walkReport(&x.open, c)
	c.check(int(x.n) <= len(x.noise) && int(x.d) <= len(x.days) && x.in < perDay && int(max(x.same, -x.same)) <= int(x.n) && x.same > math.MinInt8)
}
