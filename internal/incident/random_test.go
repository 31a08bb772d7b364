package incident

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Random operations keep the promises: what was merged never comes back,
// a resolved incident has its time, nothing grows without bound.
func TestRandomOperationsKeepThePromises(t *testing.T) {
	names := []string{"frontend", "cart", "orders", "db", "batch", "store"}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 7))
		c := New(Config{MaxAnomalies: 20, MaxGroups: 10, MaxPending: 50, MaxSeries: 100})
		now, shown := t0, map[string]ops.Incident{}
		take := func(ins []ops.Incident) {
			for _, in := range ins {
				if in.ID == "" || in.Onset <= 0 || len(in.Anomalies) > 20 || len(in.Timeline) > maxTimeline {
					t.Fatalf("seed %d: %+v", seed, in)
				}
				if was, ok := shown[in.ID]; ok && was.MergedInto != "" && in.MergedInto == "" {
					t.Fatalf("seed %d: %s came back after it was merged", seed, in.ID)
				}
				if (in.State == ops.StateResolved) != (in.Resolved != 0) {
					t.Fatalf("seed %d: state %s, resolved %d", seed, in.State, in.Resolved)
				}
				shown[in.ID] = in
			}
		}
		for step := range 400 {
			now += int64(rng.IntN(20_000))
			for range rng.IntN(4) {
				a := anomaly(fmt.Sprintf("x%d", rng.IntN(300)), names[rng.IntN(len(names))], uint64(1+rng.IntN(150)), now-int64(rng.IntN(120_000)), rng.Float64())
				a.Kind = []ops.AnomalyKind{ops.AnomalyLevel, ops.AnomalySilence, ops.AnomalyAlert}[rng.IntN(3)]
				a.Signal = []telemetry.Signal{telemetry.SignalLatency, telemetry.SignalLogs, telemetry.SignalErrors, telemetry.SignalSaturation}[rng.IntN(4)]
				if rng.IntN(2) == 0 {
					a.Ended = a.Onset + int64(rng.IntN(60_000))
				}
				c.Anomaly(a)
			}
			for _, cd := range c.Tick(now, shop()) {
				i := rng.IntN(len(names) - 1)
				take(c.Apply(now, cd.ID, verdict(rng.Float64(), names[i], names[i+1])))
			}
			take(c.Resolve(now))
			if step%50 == 0 && len(shown) > 0 {
				for id := range shown {
					if in, err := c.ResolveByHand(id, now, "ann", ""); err == nil {
						take([]ops.Incident{in})
					}
					break
				}
			}
			if s := c.Stats(); s.Groups > 10 || s.Pending > 50 {
				t.Fatalf("seed %d: %+v", seed, s)
			}
		}
		if len(shown) == 0 {
			t.Errorf("seed %d: nothing ever opened", seed)
		}
	}
}

func TestTheEndOfRequestSeriesAloneIsNoTrouble(t *testing.T) {
	c := New(Config{})
	for i, n := range []string{"frontend", "cart", "orders", "db"} {
		a := anomaly(fmt.Sprintf("q%d", i), n, uint64(i+1), t0, .7)
		a.Kind, a.Signal = ops.AnomalySilence, []telemetry.Signal{telemetry.SignalTraffic, telemetry.SignalLogs}[i%2]
		c.Anomaly(a)
	}
	if cs := c.Tick(t0+30_000, shop()); len(cs) != 0 {
		t.Fatalf("nobody calls, and that made %d candidates", len(cs))
	}
}
