package forecast

import (
	"math"
)

// candidate is a method with its name.
type candidate struct {
	name, text string
	log        bool // of the logarithms, when all values are positive
	method     method
}

// candidates are the methods that the history's length and seasons allow.
func (s *sample) candidates() []candidate {
	out := []candidate{
		{"naive", "the last value goes on", false, naive},
		{"damped trend", "level and a trend that flattens", true, es{trend: true}.fit},
	}
	if len(s.y) < 300 {
		out = append(out,
			candidate{"drift", "the mean step goes on", true, drift},
			candidate{"theta", "smoothed level and half of the trend", true, theta(1)})
	}
	if len(s.seasons) == 0 {
		out = append(out,
			candidate{"autoregression", "the last three values", true, linear{lags: []int{1, 2, 3}, ridge: 1}.fit},
			candidate{"autoregression of steps", "the last three steps", false, linear{lags: []int{1, 2, 3}, diff: 1, ridge: 1}.fit},
			candidate{"level", "smoothed level, errors that follow each other", true, es{ar: true}.fit})
		return append(out, s.missed(1)...)
	}
	out = append(out, s.oneSeason()...)
	if len(s.seasons) > 1 {
		out = append(out, s.twoSeasons()...)
	} else {
		p := s.seasons[0]
		out = append(out, candidate{"season", "smoothed season, errors that follow each other", true, es{seasons: []int{p}, ar: true}.fit})
		out = append(out, s.missed(p)...)
	}
	return out
}

func (s *sample) oneSeason() []candidate {
	p := s.seasons[0]
	k := max(min(6, p/4), 1)
	out := []candidate{
		{"seasonal naive", "the last cycle comes again", false, seasonal(p, 0, false)},
		{"season and past", "the last values and the last cycle, with waves", true, linear{lags: lags(1, 2, 3, p-1, p, p+1), waves: []waves{{p, k}}, ridge: 3}.fit},
		{"season and past of steps", "the same of the steps", true, linear{lags: lags(1, 2, p-1, p, p+1), waves: []waves{{p, k}}, diff: 1, ridge: 3}.fit},
		{"steps", "the last steps and those of the last cycle", false, linear{lags: lags(1, 2, 3, 4, p-1, p, p+1), diff: 1, ridge: 3}.fit},
		{"waves", "the last values, with waves", true, linear{lags: []int{1, 2, 3}, waves: []waves{{p, max(min(4, p/4), 1)}}, ridge: 3}.fit},
		{"change since the last cycle", "what differs from the last cycle goes on", true, linear{lags: []int{1, 2, 3}, diff: p, ridge: 1}.fit},
		{"trend and seasons", "smoothed seasons and a trend that flattens", true, es{seasons: s.seasons, trend: true}.fit},
		{"trend and season", "smoothed season, trend, errors that follow each other", false, es{seasons: []int{p}, trend: true, ar: true}.fit},
	}
	if len(s.y) < 300 {
		out = append(out, candidate{"theta with season", "smoothed level, half of the trend, the mean cycle", true, theta(p)})
	}
	return out
}

func (s *sample) twoSeasons() []candidate {
	p, w := s.seasons[0], s.seasons[1]
	k := max(min(6, p/4), 1)
	return []candidate{
		{"long season", "smoothed long season", true, es{seasons: []int{w}, ar: true}.fit},
		{"both seasons and past", "the last values and both last cycles, with waves", true,
			linear{lags: lags(1, 2, 3, p-1, p, p+1, w-1, w, w+1), waves: []waves{{p, k}, {w, 6}}, ridge: 3}.fit},
		{"change since the last long cycle", "what differs from the last long cycle goes on", true, linear{lags: lags(1, 2, 3, p), diff: w, ridge: 1}.fit},
	}
}

// missed repeats a season of which there are not two cycles yet.
func (s *sample) missed(p int) []candidate {
	for _, m := range s.missing {
		if m != 52 && m != p && len(s.seasons) < 2 && s.first() >= m {
			return []candidate{
				{"one long cycle", "the only long cycle comes again", false, seasonal(m, 0, false)},
				{"one long cycle at this level", "the same at the present level", true, seasonal(m, p, true)},
			}
		}
	}
	return nil
}

// lags sorts out what is not positive or comes twice.
func lags(ls ...int) []int {
	var out []int
	seen := map[int]bool{}
	for _, l := range ls {
		if l > 0 && !seen[l] {
			seen[l] = true
			out = append(out, l)
		}
	}
	return out
}

// run gives the candidate's paths in the series' own unit.
func (c candidate) run(s *sample) (paths [][]float64, final []float64, ok bool) {
	if !c.log || s.logs == nil {
		return c.method(s)
	}
	paths, final, ok = c.method(s.logs)
	if !ok {
		return nil, nil, false
	}
	back := func(xs []float64) {
		for i := range xs {
			xs[i] = math.Exp(xs[i])
		}
	}
	for _, p := range paths {
		back(p)
	}
	back(final)
	return paths, final, true
}
