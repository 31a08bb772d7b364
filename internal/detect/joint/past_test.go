package joint

import (
	"math/rand/v2"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// together makes rows of six metrics that move together, a row a minute.
func together(rng *rand.Rand, broken func(t int64) bool, from, to int64) func(func(int64, *Row) bool) {
	e := telemetry.Entity{Kind: telemetry.KindService, Name: "cart"}
	var meta []*telemetry.Series
	for i := range 6 {
		meta = append(meta, &telemetry.Series{ID: telemetry.SeriesID(i + 1), Name: "m", Entity: e})
	}
	rare := &telemetry.Series{ID: 99, Name: "rare", Entity: e}
	return func(yield func(int64, *Row) bool) {
		load := 0.
		for t := from; t < to; t += 60_000 {
			load = .9*load + rng.NormFloat64()
			r := Row{Entity: e}
			for i, s := range meta {
				v := float64(10*(i+1)) + float64(i%3+1)*load + .2*rng.NormFloat64()
				if broken(t) && i < 3 {
					v = float64(10*(i+1)) - float64(i%3+1)*load*1.5 - 3 // in its band, against the others
				}
				r.Series, r.V, r.T = append(r.Series, s), append(r.V, v), append(r.T, t)
			}
			if t%(3600_000) == 0 { // comes once an hour
				r.Series, r.V, r.T = append(r.Series, rare), append(r.V, 1), append(r.T, t)
			}
			if !yield(t, &r) {
				return
			}
		}
	}
}

// An entity whose past was read judges from its first live row on; one that
// begins with the fault says nothing for a day. A metric that comes once an
// hour does not make the others begin anew.
func TestAModelThatHasReadItsPastJudgesAtOnce(t *testing.T) {
	const begin, end = int64(1_700_000_000_000), int64(1_700_000_000_000 + 3*day)
	never := func(int64) bool { return false }
	judged := func(f *Fleet) (out []ops.Anomaly) {
		for at, r := range together(rand.New(rand.NewPCG(2, 2)), func(at int64) bool { return at > end+20*60_000 }, end, end+60*60_000) {
			out = append(out, f.Step(at, []Row{*r})...)
		}
		return out
	}
	f, e := NewFleet(FleetConfig{}), telemetry.Entity{Kind: telemetry.KindService, Name: "cart"}
	f.Learn(e, together(rand.New(rand.NewPCG(1, 1)), never, begin, end))
	if s := f.Stats(); s.Entities != 1 || s.Ready != 1 {
		t.Fatalf("after three days of history: %+v", s)
	}
	if x, _ := f.Explain(e); len(x.Young)+len(x.Constant) > 0 {
		t.Errorf("columns that never settle: %+v", x)
	}
	got := judged(f)
	if len(got) == 0 || got[0].Onset <= end+20*60_000 {
		t.Errorf("broken ties after 20 minutes gave %d reports: %+v", len(got), got)
	}
	if blind := judged(NewFleet(FleetConfig{})); len(blind) > 0 {
		t.Errorf("without a past it said %+v", blind[0])
	}
}

// A fleet that learned beside takes the place of one that knows less; its
// alarms stay open.
func TestAFleetAdoptsWhatHasALongerPast(t *testing.T) {
	const begin, mid, end = int64(1_700_000_000_000), int64(1_700_000_000_000 + 2*day), int64(1_700_000_000_000 + 3*day)
	e := telemetry.Entity{Kind: telemetry.KindService, Name: "cart"}
	never := func(int64) bool { return false }
	live, beside := NewFleet(FleetConfig{}), NewFleet(FleetConfig{})
	for at, r := range together(rand.New(rand.NewPCG(1, 1)), never, mid, mid+3600_000) {
		live.Step(at, []Row{*r})
	}
	live.members[e].active = &ops.Anomaly{ID: "open"}
	beside.Learn(e, together(rand.New(rand.NewPCG(1, 1)), never, begin, end))
	live.Adopt(beside)
	if m := live.members[e]; m.born != begin || m.active == nil || m.active.ID != "open" {
		t.Errorf("born %d, active %v", m.born, m.active)
	}
	young := NewFleet(FleetConfig{})
	young.Learn(e, together(rand.New(rand.NewPCG(1, 1)), never, mid, end))
	live.Adopt(young)
	if live.members[e].born != begin {
		t.Error("a model with a shorter past took its place")
	}
}
