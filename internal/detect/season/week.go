package season

import "math"

const (
	weekVisits  = 8 // of an hour of the week, which it remembers
	weekBins    = 168
	specialBins = 12 // of two hours
	dayTypes    = 2  // working days, weekend
	sunday      = 6
)

// week is the profile of the civil week. What one hour of one day has not
// shown often enough is taken from the same hour of days of its kind and of
// all days, and from the hours beside it: how much, follows from how well each
// has predicted (empirical Bayes).
type week struct {
	trial
	First   int64                // Unix ms of the first value that taught it
	Sum     float32              // of the present hour
	Count   uint16               // its points
	Squares [3]float32           // mean square of (hour - estimate) by its own past, by its kind of day, by all days
	Hours   uint16               // hours that taught Squares, saturating
	Holiday [7]float32           // mean error of every day's profile on holidays
	Feasts  uint16               // hours of holidays, saturating
	Bins    [weekBins]float32    // hour of the week, Monday first
	Visits  [weekBins]uint8      //
	Special [specialDays]special // days that stand out in a month

	now hour // not in a snapshot
}

// special is how the first or last day of a month differs from others.
type special struct {
	Bins          [specialBins]float32
	Visits        [specialBins]uint8
	With, Without float32 // mean absolute errors of hours
	Hours         uint16
	Active        bool
}

// hour holds what follows from the present hour.
type hour struct {
	civil
	known  bool
	values [3]float32 // of the hour before, this one, and the one after
}

func (w *week) at(t int64, cal *Calendar) float32 {
	if !w.now.known || t < w.now.from || t >= w.now.from+hourMS {
		if w.Count > 0 { // a look at another time: the present hour goes on
			h := w.look(t, cal)
			return h.at(t)
		}
		w.now = w.look(t, cal)
	}
	return w.now.at(t)
}

// at interpolates between the middles of hours.
func (h *hour) at(t int64) float32 {
	pos := float32(t-h.from)/hourMS - .5
	if pos < 0 {
		return h.values[1]*(1+pos) - h.values[0]*pos
	}
	return h.values[1]*(1-pos) + h.values[2]*pos
}

func (w *week) look(t int64, cal *Calendar) hour {
	h := hour{civil: cal.at(t), known: true}
	h.values[1] = w.expect(h.civil)
	h.values[0] = w.expect(cal.at(h.from - hourMS/2))
	h.values[2] = w.expect(cal.at(h.from + hourMS*3/2))
	return h
}

// expect gives the expectation of an hour.
func (w *week) expect(c civil) float32 {
	x := w.estimate(w.like(c), c.hour)
	if c.special != ordinary && !c.holiday {
		if s := &w.Special[c.special]; s.Active {
			x += s.part(c.hour)
		}
	}
	return x
}

func (s *special) part(hour int) float32 {
	n := float32(s.Visits[hour/2])
	return s.Bins[hour/2] * n / (n + .5)
}

// like is the day of the week that a day is expected to be like. A holiday is
// like a Sunday until another day's profile has been clearly nearer.
func (w *week) like(c civil) int {
	if !c.holiday {
		return c.day
	}
	best := sunday
	if w.Feasts < 4 {
		return best
	}
	limit := .8 * w.Holiday[sunday]
	if w.Holiday[c.day] < limit { // an ordinary day, if that will do
		best, limit = c.day, .8*w.Holiday[c.day]
	}
	for d, e := range w.Holiday {
		if e < limit {
			best, limit = d, e
		}
	}
	return best
}

func kindOf(day int) int {
	if day >= 5 {
		return 1
	}
	return 0
}

// means gives the mean of an hour over the days of a kind and over all, with
// the number of visits.
func (w *week) means(kind, hour int) (own, all, nOwn, nAll float32) {
	var kinds, n [dayTypes]float32
	for d := range 7 {
		v := float32(w.Visits[d*24+hour])
		kinds[kindOf(d)] += v * w.Bins[d*24+hour]
		n[kindOf(d)] += v
	}
	nOwn, nAll = n[kind], n[0]+n[1]
	if nOwn > 0 {
		own = kinds[kind] / nOwn
	}
	if nAll > 0 {
		all = (kinds[0] + kinds[1]) / nAll
	}
	return own, all, nOwn, nAll
}

// prior is what is expected of an hour without its own past.
func (w *week) prior(day, hour int) float32 {
	own, all, n, nAll := w.means(kindOf(day), hour)
	if nAll == 0 {
		return w.beside(day, hour)
	}
	k := w.share(n/5, w.Squares[1], w.Squares[2])
	return all + k*(own-all)
}

// share is the weight of the narrower of two means, of n visits: near is the
// mean square of what differs from it, far from the wider one.
func (w *week) share(n, near, far float32) float32 {
	if n == 0 {
		return 0
	}
	if w.Hours < 24 || near <= 0 {
		return n / (n + 1)
	}
	between := max(far-near*(1-.5/(n+1)), .02*near) // of the true values
	return n * between / (n*between + near)
}

// beside gives the nearest hour that is known.
func (w *week) beside(day, hour int) float32 {
	i := day*24 + hour
	for d := 1; d < weekBins/2; d++ {
		for _, k := range [2]int{i - d, i + d} {
			if k = (k + weekBins) % weekBins; w.Visits[k] > 0 {
				return w.Bins[k]
			}
		}
	}
	return 0
}

// estimate is what is expected of an hour of a day of the week.
func (w *week) estimate(day, hour int) float32 {
	base := w.prior(day, hour)
	base += .5 * w.neighbours(day, hour)
	i := day*24 + hour
	n := float32(w.Visits[i])
	if n == 0 {
		return base
	}
	return base + w.share(n, w.Squares[0], w.Squares[1])*(w.Bins[i]-base)
}

// neighbours is by how much the hours before and after differ from what days
// of their kind show, as far as that is certain.
func (w *week) neighbours(day, hour int) float32 {
	var sum float32
	for _, d := range [2]int{-1, 1} {
		h := hour + d
		if h < 0 || h > 23 {
			continue
		}
		i := day*24 + h
		if n := float32(w.Visits[i]); n > 0 {
			sum += w.share(n, w.Squares[0], w.Squares[1]) * (w.Bins[i] - w.prior(day, h))
		}
	}
	return sum / 2
}

// learn takes the value that should have been said at t.
func (w *week) learn(t int64, form float32, cal *Calendar, wide float32) {
	if w.now.known && (t < w.now.from || t >= w.now.from+hourMS) {
		w.close()
		w.now.known = false
	}
	if !w.now.known {
		w.now = w.look(t, cal)
	}
	mid := w.now.values[1]
	w.Sum += mid + cut(form-w.now.at(t), wide)
	if w.Count < math.MaxUint16 {
		w.Count++
	}
}

// close ends an hour.
func (w *week) close() {
	if w.Count == 0 {
		return
	}
	x, c := w.Sum/float32(w.Count), w.now.civil
	w.Sum, w.Count = 0, 0
	if c.holiday {
		w.feast(c, x)
		return
	}
	if c.special != ordinary {
		s := &w.Special[c.special]
		s.learn(c.hour, x-w.estimate(c.day, c.hour))
		if s.Active {
			x -= s.part(c.hour)
		}
	}
	w.put(c.day, c.hour, x)
}

// put teaches an hour of the week.
func (w *week) put(day, hour int, x float32) {
	i := day*24 + hour
	own, all, n, nAll := w.means(kindOf(day), hour)
	if v := w.Visits[i]; v > 0 && nAll > float32(v) && n > float32(v) {
		a := max(1/float32(w.Hours+1), 1./500)
		for k, ref := range [3]float32{w.Bins[i], own, all} {
			d := x - ref
			w.Squares[k] += a * (d*d - w.Squares[k])
		}
		w.Hours = min(w.Hours+1, 60000)
	}
	w.Bins[i] += max(1/float32(w.Visits[i]+1), 1./weekVisits) * (x - w.Bins[i])
	if w.Visits[i] < 60 {
		w.Visits[i]++
	}
}

// feast learns which day a holiday is like.
func (w *week) feast(c civil, x float32) {
	a := max(1/float32(w.Feasts+1), 1./48)
	for d := range w.Holiday {
		w.Holiday[d] += a * (abs(x-w.estimate(d, c.hour)) - w.Holiday[d])
	}
	w.Feasts = min(w.Feasts+1, 60000)
}

// learn takes how much an hour of such a day differed. The effect is used
// while it predicts better than none.
func (s *special) learn(hour int, d float32) {
	i := hour / 2
	if s.Visits[i] > 1 { // an earlier month's hour, or the hour before
		a := max(1/float32(s.Hours+1), 1./24)
		s.With += a * (abs(d-s.Bins[i]) - s.With)
		s.Without += a * (abs(d) - s.Without)
		s.Hours = min(s.Hours+1, 60000)
		s.Active = s.Hours >= 4 && s.With < better*s.Without
	}
	s.Bins[i] += max(1/float32(s.Visits[i]+1), 1./6) * (d - s.Bins[i])
	if s.Visits[i] < 60 {
		s.Visits[i]++
	}
}

// keep gives the week back as long as it is worth it. Before every day has
// been seen it is not used: nobody can foretell the first weekend.
func (w *week) keep(s *Tracker) *week {
	if s.T-w.First < 8*dayMS {
		return w
	}
	if !w.verdict(4*86400, 86400, s) {
		return nil
	}
	return w
}

// newWeek makes a profile from residuals; see newCycle.
func newWeek(r []float32, start, width int64, cal *Calendar) *week {
	w := &week{First: start}
	var sum, n float32
	var last civil
	flush := func() {
		if n > 0 && !last.holiday && last.special == ordinary {
			w.put(last.day, last.hour, sum/n)
		}
		sum, n = 0, 0
	}
	for i, x := range r {
		if x != x {
			continue
		}
		from := start + int64(i)*width
		for t := from + min(width, hourMS)/2; t < from+width; t += hourMS {
			c := cal.at(t)
			if c.from != last.from {
				flush()
				last = c
			}
			sum += x
			n++
			if width > 4*hourMS { // points of a day say nothing of its hours
				break
			}
		}
	}
	flush()
	return w
}
