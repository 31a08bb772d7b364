package forecast

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// sharpness is how much a smaller error counts: weights go with its inverse to
// this power.
const sharpness = 4

// combine runs the candidates and mixes them by their errors at the origins.
func (s *sample) combine(cs []candidate) Forecast {
	out := Forecast{Mean: make([]float64, s.h), Candidates: []Candidate{}, Origins: len(s.origins)}
	type made struct {
		paths [][]float64
		final []float64
	}
	var all []made
	least := math.Inf(1)
	for _, c := range cs {
		paths, final, ok := c.run(s)
		if !ok {
			continue
		}
		mae := s.mae(paths)
		if math.IsNaN(mae) || math.IsInf(mae, 0) || !finite(final) {
			continue
		}
		all = append(all, made{paths, final})
		out.Candidates = append(out.Candidates, Candidate{Name: c.name, Text: c.text, MAE: mae})
		least = min(least, mae)
	}
	sum := 0.0
	for i := range all {
		w := 1.0
		if m := out.Candidates[i].MAE; m > 0 {
			w = math.Pow(max(least, 1e-12)/max(m, 1e-12), sharpness)
		}
		out.Candidates[i].Weight = w
		sum += w
	}
	mixed := make([][]float64, len(s.origins))
	for i := range mixed {
		mixed[i] = make([]float64, s.h)
	}
	for i, m := range all {
		w := out.Candidates[i].Weight / sum
		out.Candidates[i].Weight = w
		for k, v := range m.final {
			out.Mean[k] += w * v
		}
		for o, p := range m.paths {
			for k, v := range p {
				mixed[o][k] += w * v
			}
		}
	}
	out.Errors = s.errors(mixed)
	slices.SortStableFunc(out.Candidates, func(a, b Candidate) int {
		if a.Weight != b.Weight {
			if a.Weight > b.Weight {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

func finite(xs []float64) bool {
	for _, x := range xs {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}

// mae is the mean absolute error over all origins and steps that were measured.
func (s *sample) mae(paths [][]float64) float64 {
	sum, cnt := 0.0, 0
	for i, o := range s.origins {
		for k, f := range paths[i] {
			if o+k >= len(s.y) {
				break
			}
			sum += math.Abs(s.y[o+k] - f)
			cnt++
		}
	}
	return sum / float64(max(cnt, 1))
}

func (s *sample) errors(mixed [][]float64) Errors {
	e := Errors{Origins: s.origins}
	for i, o := range s.origins {
		k := min(s.h, len(s.y)-o)
		row := make([]float64, k)
		for j := range row {
			row[j] = s.y[o+j] - mixed[i][j]
		}
		e.Of = append(e.Of, row)
	}
	return e
}

// sentence says in one sentence where the forecast comes from.
func (f *Forecast) sentence(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "from %d values", n)
	if len(f.Seasons) > 0 {
		fmt.Fprintf(&b, " with cycles of %s steps", join(f.Seasons))
	}
	if f.Filled > 0 {
		fmt.Fprintf(&b, ", %d gaps filled", f.Filled)
	}
	if f.Outliers > 0 {
		fmt.Fprintf(&b, ", %d wrong values repaired", f.Outliers)
	}
	if len(f.Shifts) > 0 {
		fmt.Fprintf(&b, ", %d level shifts taken as the new normal", len(f.Shifts))
	}
	if len(f.Candidates) > 0 {
		c := f.Candidates[0]
		fmt.Fprintf(&b, "; %d methods were compared at %d past times, %q counts most (%.0f %%: %s)", len(f.Candidates), f.Origins, c.Name, 100*c.Weight, c.Text)
	}
	return b.String()
}

func join(xs []int) string {
	parts := make([]string, len(xs))
	for i, x := range xs {
		parts[i] = fmt.Sprint(x)
	}
	return strings.Join(parts, " and ")
}
