// Package season learns what a series repeats: any period that its values
// show, and the civil calendar (hour of the week, first and last day of the
// month, holidays).
//
// It exists because a level, and a profile of 24 hours in UTC, take a job that
// runs every 90 minutes, a Sunday, or the day on which the clocks change for a
// fault. Candidates come from the autocorrelation of a history whose window
// widens as points come in; each is tried on later points first, used while it
// predicts better than the series without it, and dropped when it no longer
// does (the test of a hint on the autocorrelation follows AUTOPERIOD, Vlachos
// et al. 2005; here a later part of the window and then later points take the
// place of the periodogram). It judges nothing and knows no clock: time, zone
// and holidays are given. A [Tracker], the main type, belongs to one goroutine
// at a time.
package season

import "math"

const (
	tauShift   = 4 * 3600.  // seconds: today's height
	tauErrors  = 86400.     // seconds: which expectation is better
	better     = .9         // errors of a component against those without it, to be used
	worse      = .98        // and from which it is dropped
	useBelow   = .8         // errors of the whole against the rival's, to be used
	useAbove   = .95        // and from which it is not
	cutErrors  = 3          // usual errors that a point counts at most
	cycleCount = 2          // periods beside the calendar
	hourMS     = 3600_000   // ms
	dayMS      = 86_400_000 // ms
)

// Tracker follows one series. Make it with New.
type Tracker struct {
	cal    *Calendar
	week   *week // nil until a day or a week shows
	cycles [cycleCount]*cycle
	head
	past history
}

// head is the part of a Tracker that a snapshot holds in one piece.
type head struct {
	T        int64   // Unix ms of the last point, 0 before the first
	Every    float32 // usual interval, seconds
	Shift    float32 // today's difference from the components in use
	ErrUse   float64 // mean fourth power of the errors of what Expect says
	ErrRival float64 // and of the rival
	Seen     float32 // seconds of that comparison
	Live     bool    // there is a component
	Active   bool    // one is in use
	Use      bool    // the whole beats the rival
	Feast    bool    // the present day is unlike others: a holiday, or the month's end
	Dawn     float32 // Shift when it began
	Said     float32 // of the last point
	N        uint32
}

// trial compares the errors with and without a component.
type trial struct {
	With, Without float32 // mean absolute errors
	Shift         float32 // height of the series beside a candidate
	Alone         float32 // and without the component
	Slow          float32 // height of late, which the component is learned above
	Seen          float32 // seconds compared
	Age           float32 // seconds since it was found
	Active        bool
}

// New makes a tracker of a series. A nil calendar means UTC without holidays.
func New(cal *Calendar) *Tracker {
	if cal == nil {
		cal = &Calendar{}
	}
	return &Tracker{cal: cal}
}

// SetCalendar changes the calendar, or gives it after Read.
func (s *Tracker) SetCalendar(cal *Calendar) {
	if cal == nil {
		cal = &Calendar{}
	}
	s.cal = cal
	if w := s.week; w != nil {
		w.now = hour{}
		if w.Count > 0 { // an hour had begun
			w.now = w.look(s.T, cal)
		}
	}
}

// InUse reports whether Expect predicts the series better than the rival.
func (s *Tracker) InUse() bool { return s.Use }

// Errors gives the size of the errors of Expect and of the rival: the fourth
// root of the mean fourth power, because it is the large ones that raise
// alarms, and what comes at its own time has large ones.
func (s *Tracker) Errors() (own, rival float32) { return root(s.ErrUse), root(s.ErrRival) }

// Last gives what Expect said of the last point before it was learned.
func (s *Tracker) Last() float32 { return s.Said }

// Expect gives the expectation at t (Unix ms), of the past or the future too,
// by what is known now.
func (s *Tracker) Expect(t int64) float32 {
	x := s.Shift
	if w := s.week; w != nil && w.Active {
		x += w.at(t, s.cal)
	}
	for _, c := range s.cycles {
		if c != nil && c.Active {
			x += c.at(t)
		}
	}
	return x
}

// parts is what every component says of one moment.
type parts struct {
	week  float32
	cycle [cycleCount]float32
	sum   float32 // of those in use
}

func (s *Tracker) parts(t int64) (p parts) {
	if w := s.week; w != nil {
		p.week = w.at(t, s.cal)
		if w.Active {
			p.sum += p.week
		}
	}
	for i, c := range s.cycles {
		if c != nil {
			p.cycle[i] = c.at(t)
			if c.Active {
				p.sum += p.cycle[i]
			}
		}
	}
	return p
}

// Step reads the value x at t (Unix ms, after the last one's). rival is what
// would be expected without the tracker. Nothing is learned of a point that
// learn says is no example of the usual.
func (s *Tracker) Step(t int64, x, rival float32, learn bool) {
	if s.Active {
		s.Said = s.Expect(t)
	}
	dt := s.arrive(t)
	if !learn || isBad(x) || isBad(rival) {
		return
	}
	full := s.past.add(t, x, s.Every)
	if s.Live {
		s.follow(t, x, rival, dt)
	}
	if full {
		s.search()
	}
}

func isBad(x float32) bool { return !(math.Abs(float64(x)) < 1e30) }

// arrive notes the time and gives the seconds since the last point, at most
// ten usual ones.
func (s *Tracker) arrive(t int64) float32 {
	gap := float32(0)
	if s.N > 0 {
		gap = float32(t-s.T) / 1000
	}
	s.T = t
	if s.N < math.MaxUint32 {
		s.N++
	}
	switch {
	case gap <= 0:
		return 0
	case s.Every == 0:
		s.Every = gap
	case gap > s.Every:
		s.Every *= 1.01
		s.Every = min(s.Every, gap)
	case gap < s.Every:
		s.Every /= 1.01
		s.Every = max(s.Every, gap)
	}
	return min(gap, 10*s.Every)
}

// follow compares and teaches the components.
func (s *Tracker) follow(t int64, x, rival, dt float32) {
	p := s.parts(t)
	rate := min(.25, dt/tauShift)
	wide := float32(math.Inf(1))
	if m := max(s.ErrUse, s.ErrRival); s.Seen > 40*s.Every && m > 0 {
		wide = cutErrors * root(m)
	}
	e := cut(x-p.sum-s.Shift, wide)
	tau := float32(tauErrors)
	if w := s.week; w != nil && w.Active && t-w.First > 14*dayMS {
		tau = 3 * tauErrors // what differs on one day of the week
	}
	a := max(dt/(s.Seen+dt+1e-6), min(1, dt/tau))
	s.ErrUse += float64(a) * (fourth(e) - s.ErrUse)
	s.ErrRival += float64(a) * (fourth(cut(x-rival, wide)) - s.ErrRival)
	s.Seen = min(s.Seen+dt, 30*tauErrors)
	s.Shift += rate * e
	s.Active = false
	if w := s.week; w != nil {
		w.compare(x, p.week, p.sum, wide, dt, 4*86400, 7*86400)
		w.learn(t, w.form(x, p.week, p.sum), s.cal, wide)
		s.turn(w.now.holiday || w.now.special != ordinary)
		s.week = w.keep(s)
	}
	for i, c := range s.cycles {
		if c == nil {
			continue
		}
		period := float32(c.Period / 1000)
		c.compare(x, p.cycle[i], p.sum, wide, dt, period, max(2*period, tauShift))
		c.learn(t, c.form(x, p.cycle[i], p.sum), wide)
		s.cycles[i] = c.keep(s)
	}
	s.Live = s.week != nil || s.cycles[0] != nil || s.cycles[1] != nil
	s.decide()
}

// decide takes or leaves the whole.
func (s *Tracker) decide() {
	switch {
	case !s.Active:
		s.Use = false
	case !s.Use && s.Seen > 3*3600 && root(s.ErrUse) < useBelow*root(s.ErrRival):
		s.Use = true
	case s.Use && root(s.ErrUse) > useAbove*root(s.ErrRival):
		s.Use = false
	}
}

// compare judges what the component would say (part, in use: contained in sum)
// beside the others against the series without it. period and slow, the time
// that Slow looks back, are in seconds.
func (r *trial) compare(x, part, sum, wide, dt, period, slow float32) {
	rate := min(.25, dt/tauShift)
	others := sum
	if r.Active {
		others -= part
	}
	with, without := x-others-part-r.Shift, x-others-r.Alone
	a := max(dt/(r.Seen+dt+1e-6), min(1, dt/max(2*period, tauErrors/4)))
	r.With += a * (abs(cut(with, wide)) - r.With)
	r.Without += a * (abs(cut(without, wide)) - r.Without)
	r.Shift += rate * cut(with, wide)
	r.Alone += rate * cut(without, 2*wide)
	r.Slow += min(.25, dt/slow) * cut(x-others-part-r.Slow, wide)
	r.Seen = min(r.Seen+dt, 4*max(2*period, tauErrors))
	r.Age += dt
}

// form is what the component should have said.
func (r *trial) form(x, part, sum float32) float32 {
	if r.Active {
		sum -= part
	}
	return x - sum - r.Slow
}

// turn keeps the height of ordinary days over a day that is unlike others.
func (s *Tracker) turn(feast bool) {
	switch {
	case feast && !s.Feast:
		s.Dawn = s.Shift
	case !feast && s.Feast:
		s.Shift = s.Dawn
	}
	s.Feast = feast
}

// verdict says whether the component is used from now on, and whether it is
// worth to be kept at all. period is in seconds, trial the seconds after which
// it may be used.
func (r *trial) verdict(period, after float32, s *Tracker) (keep bool) {
	switch {
	case !r.Active && r.Seen >= after && r.With < better*r.Without:
		r.Active = true
		s.Shift = r.Shift
		s.Seen = 0
	case r.Active && r.With > worse*r.Without:
		s.Shift = r.Alone
		s.past.restart()
		return false
	case !r.Active && r.Seen > max(3*after, 4*period):
		return false
	}
	s.Active = s.Active || r.Active
	return true
}

// Move says that the level has changed by x for good.
func (s *Tracker) Move(x float32) {
	if isBad(x) {
		return
	}
	s.Shift += x
	s.Dawn += x
	s.past.move(x)
	if s.week != nil {
		s.week.move(x)
	}
	for _, c := range s.cycles {
		if c != nil {
			c.move(x)
		}
	}
}

func (r *trial) move(x float32) {
	r.Shift += x
	r.Alone += x
	r.Slow += x
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

func fourth(x float32) float64 { return float64(x) * float64(x) * float64(x) * float64(x) }

func root(x float64) float32 { return float32(math.Sqrt(math.Sqrt(x))) }

// cut keeps x within -wide..wide.
func cut(x, wide float32) float32 {
	if x > wide {
		return wide
	}
	if x < -wide {
		return -wide
	}
	return x
}
