package drilldown_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/cause/drilldown"
)

// hidden is a generated table with what was put into it: anomalies of several
// elements each, as RiskLoc's generator is described to make them.
type hidden struct {
	in    drilldown.Input
	truth []string
}

type shape struct {
	sizes           []int
	anomalies       int
	elements        int
	noise           float64
	severity, sprad float64
	lastOnly        bool
}

func (s shape) make(seed uint64) hidden {
	r := rand.New(rand.NewPCG(seed, 7))
	h := hidden{}
	for d := range s.sizes {
		h.in.Dims = append(h.in.Dims, string(rune('a'+d)))
	}
	noise, zero, alpha := s.noise*r.Float64(), .25*r.Float64(), .5+.5*r.Float64()
	var walk func(leaf []string)
	walk = func(leaf []string) {
		if d := len(leaf); d < len(s.sizes) {
			for v := range s.sizes[d] {
				walk(append(slices.Clone(leaf), fmt.Sprintf("%s%d", h.in.Dims[d], v+1)))
			}
			return
		}
		v := 100 * math.Pow(-math.Log(1-r.Float64()), 1/alpha)
		if r.Float64() < zero {
			v = 0
		}
		w := max(0, v*(1+noise*r.NormFloat64()))
		if r.IntN(2) == 0 {
			v, w = w, v
		}
		h.in.Leaves, h.in.Observed, h.in.Expected = append(h.in.Leaves, leaf), append(h.in.Observed, v), append(h.in.Expected, w)
	}
	walk(nil)
	up := sum(h.in.Observed) > sum(h.in.Expected)
	used := map[string]bool{}
	var cuboids []string
	for range 1 + r.IntN(s.anomalies) {
		severity, spread := s.severity+(1-s.severity)*r.Float64()+noise, s.sprad*r.Float64()
		dims := r.Perm(len(s.sizes))
		if !s.lastOnly {
			dims = dims[:1+r.IntN(len(dims))]
		}
		slices.Sort(dims)
		if key := fmt.Sprint(dims); slices.Contains(cuboids, key) && len(dims) < len(s.sizes) {
			continue
		} else {
			cuboids = append(cuboids, key)
		}
		mine := map[string]bool{} // values that this anomaly uses
		for range 1 + r.IntN(s.elements) {
			want := map[int]string{}
			var text []string
			for _, d := range dims {
				v := fmt.Sprintf("%s%d", h.in.Dims[d], 1+r.IntN(s.sizes[d]))
				if used[v] {
					want = nil
					break
				}
				want[d] = v
				text = append(text, h.in.Dims[d]+"="+v)
			}
			if want == nil || slices.Contains(h.truth, strings.Join(text, "&")) {
				continue
			}
			hit := false
			for i, leaf := range h.in.Leaves {
				in := true
				for d, v := range want {
					in = in && leaf[d] == v
				}
				if !in {
					continue
				}
				hurt := func(v float64) float64 { return max(0, v*(1-severity-spread*r.NormFloat64())) }
				if up {
					h.in.Expected[i] = hurt(h.in.Observed[i])
				} else {
					h.in.Observed[i] = hurt(h.in.Expected[i])
				}
				hit = hit || h.in.Observed[i]+h.in.Expected[i] > 0
			}
			if hit {
				h.truth = append(h.truth, strings.Join(text, "&"))
			}
			for _, v := range want {
				mine[v] = true
			}
		}
		for v := range mine {
			used[v] = true
		}
	}
	return h
}

func sum(xs []float64) (s float64) {
	for _, x := range xs {
		s += x
	}
	return s
}

func names(res drilldown.Result) []string {
	var out []string
	for _, e := range res.Elements {
		var pairs []string
		for _, p := range e.Pairs {
			pairs = append(pairs, p.Dim+"="+p.Value)
		}
		out = append(out, strings.Join(pairs, "&"))
	}
	return out
}

func find(t *testing.T, in drilldown.Input) drilldown.Result {
	t.Helper()
	res, err := drilldown.Find(in, drilldown.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// f1 counts whole combinations over several generated tables.
func f1(t *testing.T, s shape, from, to uint64) float64 {
	t.Helper()
	tp, fp, fn := 0., 0., 0.
	for seed := from; seed < to; seed++ {
		h := s.make(seed)
		res := find(t, h.in)
		got := names(res)
		hits := 0.
		for _, g := range got {
			if slices.Contains(h.truth, g) {
				hits++
			}
		}
		tp, fp, fn = tp+hits, fp+float64(len(got))-hits, fn+float64(len(h.truth))-hits
		if int(hits) != len(got) || len(got) != len(h.truth) {
			t.Logf("seed %d: found %v\n\t\t truth %v", seed, got, h.truth)
		}
	}
	return 2 * tp / (2*tp + fp + fn)
}

func wide() shape {
	return shape{sizes: []int{10, 12, 10, 8, 5}, anomalies: 3, elements: 3, noise: .25, severity: .2, sprad: .1}
}

func TestWholeCombinationsAreFoundAmongMany(t *testing.T) {
	if got := f1(t, wide(), 1, 7); got < .85 {
		t.Errorf("F1 %.3f with several anomalies of several elements", got)
	}
	deep := shape{sizes: []int{10, 24, 10, 15}, anomalies: 5, elements: 1, noise: .1, severity: .5, lastOnly: true}
	if got := f1(t, deep, 1, 4); got < .95 {
		t.Errorf("F1 %.3f with single leaves", got)
	}
}

func TestTablesThatCannotBeScannedAreRefused(t *testing.T) {
	one := drilldown.Input{Dims: []string{"a"}, Leaves: [][]string{{"x"}, {"y"}}, Observed: []float64{1, 2}, Expected: []float64{1, 1}}
	for name, spoil := range map[string]func(*drilldown.Input){
		"no dimension":     func(in *drilldown.Input) { in.Dims = nil },
		"short column":     func(in *drilldown.Input) { in.Expected = in.Expected[:1] },
		"ragged leaf":      func(in *drilldown.Input) { in.Leaves[1] = nil },
		"not a number":     func(in *drilldown.Input) { in.Observed[0] = math.NaN() },
		"infinite":         func(in *drilldown.Input) { in.Observed[0] = math.Inf(1) },
		"negative count":   func(in *drilldown.Input) { in.Kind = drilldown.Counts; in.Observed[0] = -1 },
		"no denominator":   func(in *drilldown.Input) { in.Kind = drilldown.Share },
		"thirteen columns": func(in *drilldown.Input) { in.Dims = make([]string, 13) },
	} {
		in := one
		in.Leaves, in.Observed = slices.Clone(one.Leaves), slices.Clone(one.Observed)
		spoil(&in)
		if _, err := drilldown.Find(in, drilldown.Config{}); !errors.Is(err, drilldown.ErrInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
