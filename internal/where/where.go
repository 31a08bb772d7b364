// Package where gathers from the stores the table of leaves that a drill-down
// needs: series by their labels, log lines by their fields, spans by their
// attributes, in a time that deviates and in one to compare with.
//
// It exists so that the API and the incidents ask in one way. It searches no
// combination (cause/drilldown does) and stores nothing. Its functions keep no
// state and are safe for concurrent use. The main types are [Window] and
// [Answer].
package where

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/norn-aiops/norn/internal/cause/drilldown"
)

const (
	maxDims   = 8       // with the fewest values, where there are more
	maxLeaves = 200_000 // more is refused
)

// ErrAsked is returned (wrapped) for a question that cannot be answered as it
// was asked.
var ErrAsked = errors.New("cannot drill down")

// Window is the time that deviates and the time that it is compared with, in
// Unix milliseconds.
type Window struct {
	From, To               int64
	AgainstFrom, AgainstTo int64
}

// Before compares the window with the six times as long time right before it.
func Before(from, to int64) Window {
	return Window{From: from, To: to, AgainstFrom: from - 6*(to-from), AgainstTo: from}
}

// Earlier compares the window with as long a time that lies by ms earlier.
func Earlier(from, to, by int64) Window {
	return Window{From: from, To: to, AgainstFrom: from - by, AgainstTo: to - by}
}

func (w Window) check() error {
	if w.To <= w.From || w.AgainstTo <= w.AgainstFrom {
		return fmt.Errorf("%w: the window is empty", ErrAsked)
	}
	return nil
}

// scale is what counts of the time compared with are multiplied by.
func (w Window) scale() float64 { return float64(w.To-w.From) / float64(w.AgainstTo-w.AgainstFrom) }

// Answer is the responsible combinations and what was searched.
type Answer struct {
	Kind    string   `json:"kind" enum:"values,counts,share,mean" doc:"share and mean are searched by numerator and denominator."`
	Counted string   `json:"counted" doc:"What was counted or added up."`
	Per     string   `json:"per" doc:"The denominator; empty without one."`
	Dims    []string `json:"dims" nullable:"false" doc:"Dimensions that were searched."`
	Leaves  int      `json:"leaves" doc:"Finest combinations that were seen."`
	drilldown.Result
	Sentence string `json:"sentence" doc:"Plain language."`
}

// leaf is one combination while it is gathered.
type leaf struct {
	values            map[string]string
	now, before       float64
	nowPer, beforePer float64
}

// table gathers leaves.
type table struct {
	leaves map[string]*leaf
	only   []string // dimensions that were asked for; empty means all
	skip   []string // never dimensions
}

func newTable(only []string, skip ...string) *table {
	return &table{leaves: map[string]*leaf{}, only: only, skip: skip}
}

// at gives the leaf of some labels.
func (t *table) at(ls map[string]string) *leaf {
	var keys []string
	for k, v := range ls {
		if v == "" || slices.Contains(t.skip, k) || len(t.only) > 0 && !slices.Contains(t.only, k) {
			continue
		}
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var key strings.Builder
	values := make(map[string]string, len(keys))
	for _, k := range keys {
		key.WriteString(k + "\x00" + ls[k] + "\x00")
		values[k] = ls[k]
	}
	l := t.leaves[key.String()]
	if l == nil {
		l = &leaf{values: values}
		t.leaves[key.String()] = l
	}
	return l
}

// dims are the dimensions that vary, those with few values first. One whose
// values say the same as another's is left out: it would only repeat it.
func (t *table) dims() []string {
	values := map[string]map[string]int{}
	rows := t.sorted()
	for _, l := range rows {
		for k, v := range l.values {
			if values[k] == nil {
				values[k] = map[string]int{}
			}
			values[k][v]++
		}
	}
	var out []string
	for k, vs := range values {
		seen := 0
		for _, n := range vs {
			seen += n
		}
		if len(vs) > 1 || seen < len(rows) {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(values[a]), len(values[b])), cmp.Compare(a, b))
	})
	var kept []string
	for _, k := range out {
		if len(kept) < maxDims && !slices.ContainsFunc(kept, func(other string) bool { return same(rows, k, other) }) {
			kept = append(kept, k)
		}
	}
	return kept
}

// same reports that two dimensions part the leaves alike.
func same(rows []*leaf, a, b string) bool {
	ab, ba := map[string]string{}, map[string]string{}
	for _, l := range rows {
		x, y := l.values[a], l.values[b]
		if was, ok := ab[x]; ok && was != y {
			return false
		}
		if was, ok := ba[y]; ok && was != x {
			return false
		}
		ab[x], ba[y] = y, x
	}
	return true
}

func (t *table) sorted() []*leaf {
	keys := make([]string, 0, len(t.leaves))
	for k := range t.leaves {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	out := make([]*leaf, len(keys))
	for i, k := range keys {
		out[i] = t.leaves[k]
	}
	return out
}

// find searches the table. scale multiplies what the time compared with counts,
// for kinds without a denominator.
func (t *table) find(kind drilldown.Kind, scale float64) (Answer, error) {
	if len(t.leaves) > maxLeaves {
		return Answer{}, fmt.Errorf("%w: %d combinations, at most %d can be searched: name fewer dimensions", ErrAsked, len(t.leaves), maxLeaves)
	}
	in := drilldown.Input{Kind: kind, Dims: t.dims()}
	out := Answer{Kind: kindName(kind), Dims: in.Dims, Leaves: len(t.leaves), Result: drilldown.Result{Elements: []drilldown.Element{}}}
	if len(in.Dims) == 0 {
		out.Dims = []string{}
		out.Sentence = "There is no dimension to search: all that was found has the same labels."
		return out, nil
	}
	for _, l := range t.sorted() {
		row := make([]string, len(in.Dims))
		for d, name := range in.Dims {
			row[d] = l.values[name]
		}
		in.Leaves, in.Observed = append(in.Leaves, row), append(in.Observed, l.now)
		if kind == drilldown.Share || kind == drilldown.Mean {
			in.Expected = append(in.Expected, l.before)
			in.Per, in.PerExpected = append(in.Per, l.nowPer), append(in.PerExpected, l.beforePer)
		} else {
			in.Expected = append(in.Expected, l.before*scale)
		}
	}
	res, err := drilldown.Find(in, drilldown.Config{MaxElements: 5})
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrAsked, err)
	}
	out.Result = res
	out.Sentence = out.sentence()
	return out, nil
}

func kindName(k drilldown.Kind) string {
	return [...]string{"values", "counts", "share", "mean"}[k]
}
