package pipeline

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"log/slog"

	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Processor time is counted as time that was worked, not as time that passed.
func TestTheShareOfACoreIsMeasured(t *testing.T) {
	p := &Pipeline{}
	begin := time.Now()
	p.balance.share(begin, true)
	sum := 0.
	p.timed(func() {
		for i := range 20_000_000 {
			sum += float64(i)
		}
	})
	if worked := p.balance.nanos.Load(); worked <= 0 || sum == 0 {
		t.Fatalf("%d ns", worked)
	}
	p.balance.nanos.Store(3e9)
	if got := p.balance.share(begin.Add(4*time.Second), true); got != .75 {
		t.Errorf("3 s of 4 s are a share of %v", got)
	}
	if got := p.balance.share(begin.Add(8*time.Second), false); got != -1 {
		t.Errorf("a replay has a share of %v", got)
	}
	if got := p.balance.share(begin.Add(12*time.Second), true); got != 0 {
		t.Errorf("nothing was done, and yet %v", got)
	}
}

// With memory for less than it has, the pipeline says by its metrics what it
// does not watch.
func TestWhatIsNotWatchedIsAMetric(t *testing.T) {
	reg := prometheus.NewRegistry()
	p, err := New(Config{Detect: detect.Config{Memory: 50_000, MaxSeries: 90}, DataClock: true}, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		p.engine.Observe(telemetry.Point{Series: &telemetry.Series{ID: telemetry.SeriesID(i + 1), Name: "s"}, T: 1_000_000, V: 1})
	}
	p.rebalance(1_000_000)
	tier := func(name string) float64 { return testutil.ToFloat64(p.met.tiers.WithLabelValues(name)) }
	if n := tier("full") + tier("basic") + tier("counter"); n != 90 || tier("counter") < 50 || tier("none") < 9 || tier("none") > 11 {
		t.Errorf("full %v, basic %v, counter %v, none %v", tier("full"), tier("basic"), tier("counter"), tier("none"))
	}
	if testutil.ToFloat64(p.met.reduced) < 50 || testutil.ToFloat64(p.met.detectBytes) <= 0 {
		t.Error("what is reduced, or what is used, is not a metric")
	}
}
