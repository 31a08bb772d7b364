package app

import (
	"math"
	"math/rand/v2"
	"testing"
)

// What several columns of a row begin together weighs more than what one of
// them does; up to three columns, the largest of single scores decides.
func TestColumnsThatBreakTogetherWeighMore(t *testing.T) {
	const warm, rows, seed = 200, 1500, 7
	d := BenchEvents()
	run := func(columns, broken int) (at, before float64) {
		r := rand.New(rand.NewPCG(seed, uint64(columns)))
		step := d.Rows(warm, columns)
		row := make([]float64, columns)
		for i := range rows {
			level := math.Sin(float64(i)/30) + .2*r.NormFloat64()
			for c := range row {
				row[c] = level + .2*r.NormFloat64()
				if i >= 1400 && c < broken {
					row[c] += 15
				}
			}
			if i == 700 {
				row[columns-1] = math.NaN()
			}
			switch s := step(int64(i)*60_000, row); {
			case i >= 1400 && i < 1407:
				at = max(at, s)
			case i >= warm && i < 1400:
				before = max(before, s)
			}
		}
		return at, before
	}
	one, _ := run(8, 1)
	all, before := run(8, 8)
	if all < d.Threshold || all <= one || before >= d.Threshold {
		t.Errorf("seed %d: eight columns %g, one of them %g, before %g; the limit is %g", seed, all, one, before, d.Threshold)
	}
	few, _ := run(2, 2)
	if few < d.Threshold || few > 1 {
		t.Errorf("seed %d: two columns %g, want the severity of one", seed, few)
	}
}
