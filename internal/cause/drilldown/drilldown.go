// Package drilldown finds which combination of dimension values (region=eu &
// version=2.4) a deviation of a metric comes from.
//
// It exists because a total says that something is wrong and not where. It
// scans all combinations of all dimensions with a scan statistic (Kulldorff
// 1997, in the expectation-based form of Neill 2009): a combination that is too
// wide dilutes its mean deviation, one that is too narrow loses evidence, so
// the responsible one stands out by itself. Shares and means (failures of
// requests, seconds a request) are scanned by their numerator against what the
// denominator lets expect, never as if they could be added up.
//
// It reads no store and knows no entity. [Find] is a function of its arguments;
// it is safe for concurrent use. The main types are [Input] and [Result].
package drilldown

import (
	"errors"
	"fmt"
	"math"
)

// Kind says how the numbers of an [Input] may scatter.
type Kind int

// Kinds of input.
const (
	Values Kind = iota // sums whose error grows with their size, as forecasts' do
	Counts             // events
	Share              // events of events: failures of requests
	Mean               // an amount by events: seconds of requests
)

// Bounds of an input; more is refused.
const (
	MaxDims   = 12
	MaxLeaves = 1_000_000
)

// Input is a table of leaves, the finest combinations that were seen. All
// columns have the same length.
type Input struct {
	Kind     Kind
	Dims     []string
	Leaves   [][]string // values, one a dimension; "" where a leaf has none
	Observed []float64  // numerator in the time that deviates
	Expected []float64  // of Values and Counts: what was to be expected; else the numerator of the time compared with
	// Per and PerExpected are the denominators of Share and Mean in the time that
	// deviates and in the time compared with; nil for other kinds.
	Per, PerExpected []float64
}

// Config holds the constants of the method; a zero field means its default, in
// brackets.
type Config struct {
	MaxElements int     // reported at most [15]
	MaxDims     int     // of one element at most [all]
	MinGain     float64 // evidence, in nats, that an element needs [Values 2, else 8]
	MinChange   float64 // least relative deviation of an element [0.05]
	Purity      float64 // share of an element's leaves that deviate with it; Values only [0.8]
}

// Pair is a dimension and its value.
type Pair struct {
	Dim   string `json:"dim"`
	Value string `json:"value"`
}

// Element is one responsible combination.
type Element struct {
	Pairs    []Pair  `json:"pairs"`     // in the order of the dimensions
	Leaves   int     `json:"leaves"`    // that it covers and no earlier element does
	Observed float64 `json:"observed"`  // sum of Values and Counts; Share and Mean: the ratio
	Expected float64 `json:"expected"`  //
	Excess   float64 `json:"excess"`    // of the numerator, observed less expected
	Share    float64 `json:"of_excess"` // Excess as a share of the deviation of all; more than 1 where others make up for it
	Traffic  float64 `json:"traffic"`   // of Share and Mean: its share of the denominator; else of what was expected
	Gain     float64 `json:"gain"`      // log likelihood ratio, less what a search of so many combinations gives by chance
}

// Result is what [Find] found, the strongest element first.
type Result struct {
	Observed float64   `json:"observed"` // of all, as in Element
	Expected float64   `json:"expected"`
	Excess   float64   `json:"excess"` // of all, in the numerator
	Elements []Element `json:"elements"`
}

// ErrInput is returned (wrapped) for a table that cannot be scanned.
var ErrInput = errors.New("cannot drill down")

func (c Config) withDefaults(kind Kind) Config {
	def := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	if kind == Values {
		def(&c.MinGain, 2)
	}
	def(&c.MinGain, 8)
	def(&c.MinChange, .05)
	def(&c.Purity, .8)
	if c.MaxElements == 0 {
		c.MaxElements = 15
	}
	return c
}

// Find gives the combinations that carry the deviation of all, in its
// direction. No such combination, or a table of one leaf, gives no elements.
// A table whose columns differ in length, that is too large, or that holds
// numbers which are not finite gives [ErrInput].
func Find(in Input, cfg Config) (Result, error) {
	if err := in.check(); err != nil {
		return Result{}, err
	}
	cfg = cfg.withDefaults(in.Kind)
	m := in.model()
	res := Result{Excess: m.total, Elements: []Element{}}
	res.Observed, res.Expected, _ = m.sums(nil)
	if len(m.leaf) < 2 || m.total == 0 {
		return res, nil
	}
	s := newScan(&in, m, cfg)
	for len(res.Elements) < cfg.MaxElements {
		b, ok := s.best()
		if !ok {
			break
		}
		res.Elements = append(res.Elements, s.take(b))
	}
	return res, nil
}

func (in *Input) check() error {
	n, d := len(in.Leaves), len(in.Dims)
	ratio := in.Kind == Share || in.Kind == Mean
	switch {
	case d == 0 || d > MaxDims:
		return fmt.Errorf("%w: %d dimensions, from 1 to %d can be searched", ErrInput, d, MaxDims)
	case n > MaxLeaves:
		return fmt.Errorf("%w: %d leaves, the limit is %d", ErrInput, n, MaxLeaves)
	case len(in.Observed) != n || len(in.Expected) != n || ratio && (len(in.Per) != n || len(in.PerExpected) != n):
		return fmt.Errorf("%w: columns differ in length", ErrInput)
	}
	for i, l := range in.Leaves {
		if len(l) != d {
			return fmt.Errorf("%w: leaf %d has %d values for %d dimensions", ErrInput, i, len(l), d)
		}
	}
	for _, col := range [][]float64{in.Observed, in.Expected, in.Per, in.PerExpected} {
		for i, v := range col {
			if math.IsNaN(v) || math.Abs(v) > 1e150 {
				return fmt.Errorf("%w: leaf %d holds %v", ErrInput, i, v)
			}
			if v < 0 && in.Kind != Values {
				return fmt.Errorf("%w: leaf %d holds %v, counts are not negative", ErrInput, i, v)
			}
		}
	}
	return nil
}
