package detect

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// changes plays days of a kind of life, changed by f, and gives what was told
// of noise and trend.
func changes(t *testing.T, kind string, seed uint64, days int, f func(day float64, r *rand.Rand, v float64) float64) (out []ops.Anomaly) {
	t.Helper()
	for _, k := range cleanKinds() {
		if k.name != kind {
			continue
		}
		e := New(Config{Full: 10, Seasons: 10})
		m := &telemetry.Series{ID: 5, Name: kind, Signal: k.signal, Unit: k.unit, Direction: k.dir}
		life, r := k.make(rand.New(rand.NewPCG(seed, 1)), 60), rand.New(rand.NewPCG(seed, 2))
		begin := 1.75e9 - math.Mod(1.75e9, 86400)
		for i := range days * 1440 {
			v, ok := life(begin + float64(60*i))
			if f != nil {
				v = f(float64(i)/1440, r, v)
			}
			if ok {
				e.Observe(telemetry.Point{Series: m, T: int64(1000 * (begin + float64(60*i))), V: v})
			}
			for _, a := range e.takeLater() {
				if a.Kind == ops.AnomalyVariance || a.Kind == ops.AnomalyTrend {
					out = append(out, a)
				}
			}
		}
		return out
	}
	t.Fatalf("no kind %q", kind)
	return nil
}

// Noise that grows, or shrinks, at the same level is told once, when it has
// lasted, with where it began, ends, and is normal afterwards.
func TestNoiseThatChangesIsToldOnce(t *testing.T) {
	for name, factor := range map[string]float64{"grows": 4, "shrinks": .25} {
		got := changes(t, "gaussian", 1, 40, func(day float64, r *rand.Rand, v float64) float64 {
			if day < 15 {
				return v
			}
			return 100 + factor*(v-100)
		})
		if len(got) != 2 || got[0].ID != got[1].ID || got[0].Ended != 0 || got[1].Ended == 0 {
			t.Fatalf("noise %s: %d words: %+v", name, len(got), got)
		}
		a := got[0]
		began := float64(a.Onset-1000*(1_750_000_000-1_750_000_000%86400)) / 86400e3
		if a.Kind != ops.AnomalyVariance || a.Member != "variance" || (a.Direction == telemetry.UpBad) != (factor > 1) || a.P > 1e-2 || a.P <= 0 || began < 15 || began > 17 ||
			a.Severity < minSeverity || a.Severity > changeIs || (a.Observed > a.Expected) != (factor > 1) {
			t.Errorf("noise %s: began at day %g, %+v", name, began, a)
		}
	}
}

// A rise of some days is told as one, not as a new level.
func TestATrendIsToldOnceAsATrend(t *testing.T) {
	got := changes(t, "gaussian", 2, 34, func(day float64, _ *rand.Rand, v float64) float64 {
		return v + 3*min(max(0, day-20), 6)
	})
	if len(got) == 0 || len(got) > 4 {
		t.Fatalf("%d words: %+v", len(got), got)
	}
	for _, a := range got {
		if a.Kind != ops.AnomalyTrend || a.Direction != telemetry.UpBad || a.Member != "trend" || a.Observed <= a.Expected {
			t.Errorf("%+v", a)
		}
	}
}

// Two months of nineteen kinds of normal life say next to nothing.
func TestNormalLifeHasNoChanges(t *testing.T) {
	ids := map[string]int{}
	for ki, k := range cleanKinds() {
		for _, a := range changes(t, k.name, uint64(100+ki), 45, nil) {
			if a.Ended == 0 {
				ids[k.name+" "+string(a.Kind)]++
			}
		}
	}
	total := 0
	for _, n := range ids {
		total += n
	}
	t.Logf("%v in %d series and %d days", ids, len(cleanKinds()), 45)
	if total > 3 {
		t.Errorf("%d changes of what never changes", total)
	}
}
