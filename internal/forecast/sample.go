package forecast

import "math"

// sample is a repaired history with the past origins at which candidates are
// compared.
type sample struct {
	y       []float64
	logs    *sample // the same of the logarithms; nil when a value is not positive
	seasons []int   // with two cycles or more, shortest first
	missing []int   // seasons too long for that
	h       int
	origins []int // index of the first value to forecast, ascending
	window  int   // length of the stretch with origins
	lo, hi  float64
}

func newSample(y []float64, used, all []int, h int) *sample {
	s := &sample{y: y, seasons: used, h: h}
	for _, m := range all {
		if m >= 2 && float64(len(y)) < 2.05*float64(m) {
			s.missing = append(s.missing, m)
		}
	}
	s.place()
	s.limit()
	if minOf(y) > 0 {
		z := make([]float64, len(y))
		for i, v := range y {
			z[i] = math.Log(v)
		}
		l := *s
		l.y = z
		l.limit()
		s.logs = &l
	}
	return s
}

// limit sets the limits of any forecast: half the range beyond what was seen.
func (s *sample) limit() {
	lo, hi := minOf(s.y), maxOf(s.y)
	r := (hi - lo) / 2
	s.lo, s.hi = lo-r, hi+r
}

// maxOrigins is about how many past origins are used.
const maxOrigins = 40

// place chooses the origins: the last third of the history at most, longer
// than the horizon and two of the longest seasons where there is room.
func (s *sample) place() {
	n, longest := len(s.y), 0
	for _, p := range s.seasons {
		longest = max(longest, p)
	}
	w := max(5*s.h, 2*longest)
	if s.h < 24 {
		w = max(w, 12*s.h)
	}
	w = min(w, n/3)
	w = max(w, s.h+2)
	w = max(min(w, n/2), 1)
	s.window = w
	step := max((w-s.h/2)/maxOrigins, 1)
	if step > 1 && step%2 == 0 {
		step++
	}
	last := max(n-1-s.h/4, n-w)
	for o := n - w; o <= last; o += step {
		s.origins = append(s.origins, o)
	}
}

// first is the first origin: nothing at or after it may be known to a model
// that is judged there.
func (s *sample) first() int { return s.origins[0] }
