package detect

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func policySeries(name string, p *telemetry.Policy) *telemetry.Series {
	ls := labels.FromStrings("__name__", name)
	return &telemetry.Series{ID: telemetry.SeriesID(ls.Hash()), Labels: ls, Name: name, Signal: telemetry.SignalSaturation, Policy: p}
}

// The more sensitive, the smaller the step that is raised.
func TestSensitivityDecidesHowSmallAStepIsRaised(t *testing.T) {
	const seeds = 12
	raises := func(seed uint64, word int8, step float64) bool {
		e := New(Config{Sensitivity: .05})
		m := policySeries("pool", &telemetry.Policy{Weight: 1, Low: -1e9, High: 1e9, Sensitivity: word})
		rng := rand.New(rand.NewPCG(seed, 1))
		for i := range 3008 {
			v := 100 + rng.NormFloat64()
			if i >= 3000 {
				v += step
			}
			if e.Observe(telemetry.Point{Series: m, T: 1_760_000_000_000 + int64(i)*60_000, V: v}) != nil && i >= 3000 {
				return true
			}
		}
		return false
	}
	first := map[int8]float64{}
	for _, word := range []int8{-1, 0, 1} {
		for seed := range uint64(seeds) {
			step := 1.
			for ; step < 20 && !raises(seed, word, step); step += .25 {
			}
			first[word] += step / seeds
		}
	}
	if !(first[1] < .97*first[0] && first[0] < .97*first[-1] && first[-1] < 12) {
		t.Errorf("on the mean of seeds 0 to %d the order is wrong", seeds-1)
	}
	t.Logf("raised from steps of %g (low), %g (normal), %g (high) times the noise on", first[-1], first[0], first[1])
}

// A policy that comes while an anomaly is open, or after, is followed from the
// next point on; a dropped series' anomaly ends.
func TestAPolicyMayChangeAndASeriesMayBeDropped(t *testing.T) {
	e := New(Config{})
	rng := rand.New(rand.NewPCG(9, 1))
	m := policySeries("pool", nil)
	now := int64(1_760_000_000_000)
	feed := func(m *telemetry.Series, n int, level float64) (out []ops.Anomaly) {
		for range n {
			if a := e.Observe(telemetry.Point{Series: m, T: now, V: level + rng.NormFloat64()}); a != nil {
				out = append(out, *a)
			}
			now += 60_000
		}
		return out
	}
	feed(m, 1000, 100)
	light := policySeries("pool", &telemetry.Policy{Weight: 0.1, Low: -1e9, High: 1e9})
	if got := feed(light, 20, 130); len(got) != 0 {
		t.Errorf("raised at a weight of 0.1: %+v", got)
	}
	heavy := policySeries("pool", &telemetry.Policy{Weight: 10, Low: -1e9, High: 1e9})
	got := feed(heavy, 2, 130)
	if len(got) == 0 || got[0].Severity != 1 {
		t.Fatalf("at a weight of 10: %+v", got)
	}
	if s, ok := e.Series(m.ID); !ok || s != heavy {
		t.Errorf("the description is %+v", s)
	}
	if n := e.Drop(now, func(s *telemetry.Series) bool { return s.Name == "pool" }); n != 1 {
		t.Errorf("dropped %d", n)
	}
	end := e.Tick(now)
	if len(end) != 1 || end[0].Ended != now || end[0].ID != got[0].ID {
		t.Errorf("after it was dropped: %+v", end)
	}
	if _, ok := e.Series(m.ID); ok || e.Stats().Watched != 0 {
		t.Errorf("it is still there: %s", e.Stats())
	}
	if again := e.Tick(now + 3600_000); len(again) != 0 {
		t.Errorf("it is called silent: %+v", again)
	}
	feed(m, 1, 100)
	if e.Stats().Watched != 1 {
		t.Errorf("it does not come back: %s", e.Stats())
	}
}

// Every member's word is weighed, silence too.
func TestSilenceIsWeighed(t *testing.T) {
	for factor, want := range map[float64]int{0: 0, 1: 1} {
		e := New(Config{})
		m := policySeries("pool", &telemetry.Policy{Weight: 1, Low: -1e9, High: 1e9, Members: map[string]float64{"silence": factor}})
		others := make([]*telemetry.Series, 20)
		for i := range others {
			others[i] = policySeries(fmt.Sprint("other", i), nil)
		}
		now := int64(1_760_000_000_000)
		n := 0
		for i := range 600 {
			if i < 400 {
				e.Observe(telemetry.Point{Series: m, T: now, V: 100 + float64(i%7)})
			}
			for _, o := range others {
				e.Observe(telemetry.Point{Series: o, T: now, V: 5})
			}
			now += 15_000
			for _, a := range e.Tick(now) {
				if a.SeriesID == m.ID && a.Kind == ops.AnomalySilence {
					n++
				}
			}
		}
		if (n > 0) != (want > 0) {
			t.Errorf("silence told %d times at a factor of %g", n, factor)
		}
	}
}
