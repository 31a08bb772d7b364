package app

import (
	"testing"

	"github.com/norn-aiops/norn/internal/bench/falsealarms"
)

// A few hours of traffic without a fault through the whole pipeline: every
// shop's series are watched and no more is raised than the budget allows in a
// week; the same seed gives the same report.
func TestHoursWithoutAFaultRaiseNothing(t *testing.T) {
	o := falsealarms.Options{Series: 100, Days: .04, Learn: .12, Seed: 4}
	run := func() falsealarms.Report {
		to, closer, err := BenchFalseAlarms(t.Context(), t.TempDir(), o.Start(), 3)
		if err != nil {
			t.Fatal(err)
		}
		defer closer.Close()
		r, err := falsealarms.Run(t.Context(), o, to)
		if err != nil {
			t.Fatal(err)
		}
		r.Seconds = 0
		return r
	}
	a, b := run(), run()
	if a.Series < 100 || a.Watched < a.Series/2 || a.Samples < a.Series*200 {
		t.Errorf("too little was watched: %+v", a)
	}
	if a.Incidents > 3 {
		t.Errorf("%d incidents where nothing is wrong: %+v", a.Incidents, a.Opened)
	}
	if a.Samples != b.Samples || a.Incidents != b.Incidents || a.Watched != b.Watched {
		t.Errorf("the same seed gave\n%+v\n%+v", a, b)
	}
}
