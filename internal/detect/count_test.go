package detect

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// rareFeed gives a series' points to an engine and remembers what it said.
type rareFeed struct {
	e    *Engine
	meta *telemetry.Series
	said []ops.Anomaly
	t    int64
}

func newRareFeed() *rareFeed {
	return &rareFeed{e: New(Config{}), t: 1_750_000_000_000,
		meta: &telemetry.Series{ID: 7, Name: "backup_duration_seconds", Signal: telemetry.SignalOther, Unit: "s"}}
}

func (f *rareFeed) point(after int64, v float64) {
	f.t += after
	if a := f.e.Observe(telemetry.Point{Series: f.meta, T: f.t, V: v}); a != nil {
		f.said = append(f.said, *a)
	}
}

func (f *rareFeed) explain(t *testing.T) Explanation {
	t.Helper()
	x, ok := f.e.Explain(f.meta.ID)
	if !ok {
		t.Fatal("the series is not known")
	}
	return x
}

// Three points a day, and one an hour: from the second point on there is a
// model, and its sentence says which.
func TestASeriesWithFewPointsIsNeverLeftLearning(t *testing.T) {
	for name, every := range map[string]int64{"one an hour": 3600_000, "three a day": 8 * 3600_000, "one in two days": 48 * 3600_000, "one in 25 minutes": 1500_000} {
		t.Run(name, func(t *testing.T) {
			f := newRareFeed()
			rng := rand.New(rand.NewPCG(1, uint64(every)))
			f.point(0, 800)
			for i := range 300 {
				f.point(every*3/4+rng.Int64N(every/2), 800+40*rng.NormFloat64())
				x := f.explain(t)
				if x.Baseline == "learning" || x.Count.Points == 0 || !strings.Contains(x.Sentence, "count model") {
					t.Fatalf("after %d points: %s: %s", i+2, x.Baseline, x.Sentence)
				}
			}
			x := f.explain(t)
			if want := 86400_000 / float64(every); x.Count.PerDay < .8*want || x.Count.PerDay > 1.25*want {
				t.Errorf("%.2f points a day instead of %.2f", x.Count.PerDay, want)
			}
			if x.Count.Usual < 780 || x.Count.Usual > 820 || x.Count.High > 1000 || x.Count.Low < 600 {
				t.Errorf("values: %+v", x.Count)
			}
			for _, a := range f.said {
				if a.Member == "count" {
					t.Errorf("it said %+v", a)
				}
			}
		})
	}
}

// A value ten times the usual is told after a few days, not after sixty points;
// its end too.
func TestAFarValueOfASeriesWithFewPointsIsTold(t *testing.T) {
	f := newRareFeed()
	rng := rand.New(rand.NewPCG(3, 3))
	for range 20 {
		f.point(8*3600_000, 800+40*rng.NormFloat64())
	}
	f.point(8*3600_000, 9000)
	if len(f.said) != 1 || f.said[0].Member != "count" || f.said[0].Kind != ops.AnomalySpike || f.said[0].Observed != 9000 {
		t.Fatalf("said: %+v", f.said)
	}
	f.point(8*3600_000, 810)
	if n := len(f.said); n != 2 || f.said[1].Ended == 0 || f.said[1].ID != f.said[0].ID {
		t.Fatalf("its end: %+v", f.said)
	}
	for range 60 {
		f.point(8*3600_000, 800+40*rng.NormFloat64())
	}
	if len(f.said) != 2 {
		t.Errorf("afterwards: %+v", f.said[2:])
	}
}

// Points at random moments that come in a burst are told as one; a sender that
// sends more often from now on is not a burst, and no longer counted.
func TestABurstIsToldAndANewIntervalIsNot(t *testing.T) {
	f := newRareFeed()
	rng := rand.New(rand.NewPCG(4, 4))
	for range 40 {
		f.point(1+int64(8*3600_000*rng.ExpFloat64()), 5+rng.Float64())
	}
	if len(f.said) > 0 {
		t.Fatalf("chance alone: %+v", f.said)
	}
	for range 12 { // the last eight of them within minutes
		f.point(1000+rng.Int64N(200_000), 5+rng.Float64())
	}
	if len(f.said) == 0 || f.said[0].Member != "count" || !strings.Contains(f.said[0].Text, "8 points in") {
		t.Fatalf("the burst: %+v", f.said)
	}
	g := newRareFeed()
	for range 40 {
		g.point(3600_000, 5+rng.Float64())
	}
	for range 200 {
		g.point(60_000, 5+rng.Float64())
	}
	if len(g.said) > 0 {
		t.Errorf("a new interval: %+v", g.said[0])
	}
	if x := g.explain(t); x.Count.Points != 0 || x.Baseline == "count" {
		t.Errorf("a point a minute is counted still: %+v", x)
	}
}

// What is counted survives a restart; zeros and negative values are values.
func TestACountModelSurvivesARestart(t *testing.T) {
	f := newRareFeed()
	for i := range 30 {
		f.point(8*3600_000, float64(i%3)-1)
	}
	var buf bytes.Buffer
	if err := f.e.Snapshot(&buf); err != nil {
		t.Fatal(err)
	}
	again := New(Config{})
	if err := again.Restore(&buf); err != nil {
		t.Fatal(err)
	}
	x, _ := again.Explain(7)
	if want := f.explain(t); x.Count != want.Count || x.Count.Points != 29 || x.Count.Low != -1 || x.Count.High != 1 {
		t.Errorf("%+v after, %+v before", x.Count, want.Count)
	}
}
