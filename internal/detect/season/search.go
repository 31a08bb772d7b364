package season

import (
	"math"
	"slices"
)

const (
	leastLag      = 7   // buckets of a period, at least
	leastPeak     = .25 // autocorrelation of a period, at least
	leastHill     = .2  // by how much it lies above the lowest of shorter ones
	nearPeak      = .85 // share of the highest peak from which a shorter one is taken
	leastGain     = .15 // share of the later window's variance that the earlier part explains
	mostMultiples = 16  // of a period, that make it more exact
	sameShare     = .03 // two periods that differ by less are one
)

// search looks for one more period in the history beside those that are
// known, and makes known ones more exact.
func (s *Tracker) search() {
	var room, work [ringSize]float32
	h := &s.past
	n := int(h.N)
	r, x := room[:n], work[:n]
	for i := range r {
		r[i] = float32(math.NaN())
		if h.V[i] == missing {
			continue
		}
		t := h.at(i)
		r[i] = float32(h.V[i])*h.Unit + h.Mid
		if w := s.week; w != nil {
			r[i] -= w.mean(t, h.Width, s.cal)
		}
		for _, c := range s.cycles {
			if c != nil && float64(h.Width) < c.Period/2 {
				r[i] -= c.at(t)
			}
		}
	}
	s.refine(r, x)
	if !whiten(x, r) {
		return
	}
	var cor [ringSize/2 + 1]float32
	correlate(cor[:], x)
	lag := hill(cor[:n/2+1])
	if lag == 0 {
		return
	}
	period := sharpen(x, lag)
	best := gain(x, period)
	if best < leastGain {
		return
	}
	period = hidden(x, period, best)
	s.found(period*float64(h.Width), float64(h.Width)*doubt(period, n), r)
}

// hidden gives the part of a period that explains as much: a multiple of the
// true one may stand out more beside another period.
func hidden(x []float32, period, best float64) float64 {
	for k := 4.; k > 1; k-- {
		if p := period / k; best > leastGain && p >= leastLag && gain(x, p) > .9*best {
			return p
		}
	}
	return period
}

// doubt is by how many buckets a period may be wrong.
func doubt(period float64, n int) float64 {
	switch cycles := float64(n) / period; {
	case cycles < 3:
		return .06 * period
	case cycles < 6:
		return max(.02*period, .5)
	default:
		return max(.01*period, 1/cycles)
	}
}

// refine makes the known cycles more exact. r holds the residuals from all
// components; x is room.
func (s *Tracker) refine(r, x []float32) {
	h := &s.past
	for i, c := range s.cycles {
		if c == nil || float64(h.Width)*leastLag > c.Period || c.Period*1.5 > float64(h.Width)*float64(len(r)) {
			continue
		}
		for k := range r {
			r[k] += c.at(h.at(k))
		}
		if whiten(x, r) {
			old := c.Period / float64(h.Width)
			lag := around(x, old)
			p := sharpen(x, lag)
			p = hidden(x, p, gain(x, p))
			if p = snap(p*float64(h.Width), float64(h.Width)*doubt(p, len(x))); p != c.Period && gain(x, p/float64(h.Width)) > gain(x, old) {
				s.retune(i, p, r)
				c = s.cycles[i]
			}
		}
		if c != nil {
			for k := range r {
				r[k] -= c.at(h.at(k))
			}
		}
	}
}

// retune gives a cycle another period, and makes its profile anew.
func (s *Tracker) retune(i int, period float64, r []float32) {
	old := s.cycles[i]
	s.cycles[i] = nil
	if near(period, dayMS) || near(period, 7*dayMS) { // it was the calendar all the time
		s.found(period, 0, slices.Clone(r))
		s.Live = s.week != nil || s.cycles[0] != nil || s.cycles[1] != nil
		return
	}
	var mean, n float32
	for _, v := range r {
		if v == v {
			mean, n = mean+v, n+1
		}
	}
	mean /= max(n, 1)
	c := newCycle(period, s.Every, r, s.past.Start, s.past.Width)
	for k := range c.Bins {
		c.Bins[k] -= mean
	}
	c.trial, c.First = old.trial, old.First
	s.cycles[i] = c
}

// around gives the lag near a period at which x is most like itself.
func around(x []float32, period float64) int {
	best, top := int(period+.5), float32(math.Inf(-1))
	for lag := int(period * .92); lag <= int(period*1.08)+1; lag++ {
		if lag < 2 || lag+2 >= len(x) {
			continue
		}
		if c := like(x, lag); c > top {
			best, top = lag, c
		}
	}
	return best
}

// like is the autocorrelation at a lag.
func like(x []float32, lag int) float32 {
	var sum float32
	a := x[lag:]
	for i, v := range x[:len(a)] {
		sum += v * a[i]
	}
	return sum / float32(len(a))
}

// mean is the week's part of a bucket.
func (w *week) mean(t, width int64, cal *Calendar) float32 {
	if width <= hourMS {
		h := w.look(t, cal)
		return h.at(t)
	}
	var sum, n float32
	for at := t - width/2 + hourMS/2; at < t+width/2 && n < 24; at += hourMS {
		sum += w.expect(cal.at(at))
		n++
	}
	return sum / n
}

// found makes a candidate of a period (ms), known to within about off ms.
func (s *Tracker) found(period, off float64, r []float32) {
	h := &s.past
	level := recent(r)
	base := float32(0)
	for i := range r { // profiles are about zero
		base += zeroed(r[i])
	}
	base /= float32(len(r))
	for i := range r {
		r[i] -= base
	}
	t := trial{Shift: level, Alone: level, Slow: base}
	if civil := math.Max(sameShare*dayMS, off); math.Abs(period-dayMS) <= civil || math.Abs(period-7*dayMS) <= 7*civil {
		if s.week == nil {
			s.week = newWeek(r, h.Start, h.Width, s.cal)
			s.week.trial = t
		}
	} else if !s.slot(snap(period, off), r, t) {
		return
	}
	if !s.Live {
		s.Live, s.Shift, s.Seen = true, level, 0
	}
}

func zeroed(x float32) float32 {
	if x != x {
		return 0
	}
	return x
}

// slot puts a cycle where there is room.
func (s *Tracker) slot(period float64, r []float32, t trial) bool {
	free := -1
	for i, c := range s.cycles {
		if c == nil {
			free = i
		} else if math.Abs(period-c.Period) < .08*period {
			return false
		}
	}
	if free < 0 {
		return false
	}
	s.cycles[free] = newCycle(period, s.Every, r, s.past.Start, s.past.Width)
	s.cycles[free].trial = t
	return true
}

func near(a, b float64) bool { return math.Abs(a-b) <= sameShare*b }

// snap moves a period (ms) to the roundest one within off ms: what runs on a
// schedule has a round period.
func snap(period, off float64) float64 {
	for _, unit := range [...]float64{3600, 1800, 900, 600, 300, 60, 30, 10, 1} {
		unit *= 1000
		if p := math.Round(period/unit) * unit; p > 0 && math.Abs(p-period) <= min(off, .03*period) {
			return p
		}
	}
	return period
}

// recent is the level of the last part.
func recent(r []float32) float32 {
	var sum, n float32
	for _, x := range r[len(r)*7/8:] {
		if x == x {
			sum += x
			n++
		}
	}
	return sum / max(n, 1)
}

// whiten takes the straight line from r, cuts outliers, and scales to a mean
// square of one. False when there is nothing to see.
func whiten(x, r []float32) bool {
	var n, st, sx, stt, stx float64
	for i, v := range r {
		if v != v {
			continue
		}
		t, y := float64(i), float64(v)
		n, st, sx, stt, stx = n+1, st+t, sx+y, stt+t*t, stx+t*y
	}
	if n < 48 || n < .7*float64(len(r)) {
		return false
	}
	slope := (n*stx - st*sx) / (n*stt - st*st)
	base := (sx - slope*st) / n
	var mean float64
	for i, v := range r {
		x[i] = 0
		if v == v {
			x[i] = float32(float64(v) - base - slope*float64(i))
			mean += math.Abs(float64(x[i]))
		}
	}
	mean /= n
	if !(mean > 1e-6*math.Abs(base)+1e-30) {
		return false
	}
	var square float64
	for i := range x {
		x[i] = cut(x[i], float32(5*mean))
		square += float64(x[i]) * float64(x[i])
	}
	k := float32(1 / math.Sqrt(square/n))
	for i := range x {
		x[i] *= k
	}
	return true
}

// correlate fills cor with the autocorrelation of x at every lag.
func correlate(cor, x []float32) {
	for lag := 1; lag < len(cor) && lag <= len(x)/2; lag++ {
		cor[lag] = like(x, lag)
	}
}

// hill gives the shortest lag that stands out nearly as much as the one that
// stands out most, 0 when none does.
func hill(cor []float32) int {
	best := 0
	top := float32(leastPeak)
	each := func(f func(lag int)) {
		low := cor[1]
		for lag := 2; lag+1 < len(cor); lag++ {
			low = min(low, cor[lag])
			if lag < leastLag || cor[lag]-low < leastHill || !peak(cor, lag) {
				continue
			}
			f(lag)
		}
	}
	each(func(lag int) { top = max(top, cor[lag]) })
	each(func(lag int) {
		if best == 0 && cor[lag] >= leastPeak && cor[lag] >= nearPeak*top {
			best = lag
		}
	})
	return best
}

// peak reports whether nothing around is higher.
func peak(cor []float32, lag int) bool {
	reach := max(1, lag/8)
	for k := max(1, lag-reach); k <= lag+reach && k < len(cor); k++ {
		if cor[k] > cor[lag] {
			return false
		}
	}
	return true
}

// sharpen makes a period in buckets more exact by its multiples.
func sharpen(x []float32, lag int) float64 {
	at := func(l int) float64 { return float64(like(x, l)) }
	period := float64(lag)
	for m := 1; m <= mostMultiples; m++ {
		mid := int(math.Round(float64(m) * period))
		if mid < 3 || mid+2 >= len(x)*3/4 && m > 1 || mid+2 >= len(x) {
			break
		}
		best := mid
		for l := mid - 1; l <= mid+1; l++ {
			if at(l) > at(best) {
				best = l
			}
		}
		a, b, c := at(best-1), at(best), at(best+1)
		bend := a - 2*b + c
		if b < a || b < c || bend >= 0 { // no hill here
			break
		}
		period = (float64(best) + .5*(a-c)/bend) / float64(m)
	}
	return period
}

// gain is the share of the variance of x's later part that the folded earlier
// part explains. A value of 0 is taken as missing.
func gain(x []float32, period float64) float64 {
	var sum, n [128]float32
	k := min(len(sum), int(period+.5))
	split := max(len(x)*6/10, min(len(x)*7/10, int(period)+1))
	bin := func(i int) int {
		p := float64(i) / period
		return min(int((p-math.Floor(p))*float64(k)), k-1)
	}
	for i, v := range x[:split] {
		if v != 0 {
			sum[bin(i)] += v
			n[bin(i)]++
		}
	}
	var mean, meanFold, points float32
	later := x[split:]
	fold := func(i int) float32 { b := bin(split + i); return sum[b] / max(n[b], 1) }
	for i, v := range later {
		if v != 0 {
			mean, meanFold, points = mean+v, meanFold+fold(i), points+1
		}
	}
	if points < float32(len(later))/2 {
		return 0
	}
	mean, meanFold = mean/points, meanFold/points
	var left, all float32
	for i, v := range later {
		if v == 0 {
			continue
		}
		d, e := v-mean, v-mean-(fold(i)-meanFold)
		all += d * d
		left += e * e
	}
	return 1 - float64(left/max(all, 1e-12))
}
