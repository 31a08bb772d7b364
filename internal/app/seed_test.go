package app

import (
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/bench/seed"
	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// offlineAt opens the pipeline on the shipped defaults.
func offlineAt(t *testing.T, dir string, now int64) *Offline {
	t.Helper()
	o, err := NewOffline(t.Context(), dir, now, false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	return o
}

// explained gives what is known of every series.
func explained(e *detect.Engine) map[telemetry.SeriesID]detect.Explanation {
	out := map[telemetry.SeriesID]detect.Explanation{}
	for _, in := range e.List(nil, 0) {
		out[in.Series.ID], _ = e.Explain(in.Series.ID)
	}
	return out
}

// cart gives the samples of a service at t: a counter, gauges, and a histogram.
func cart(rng *rand.Rand, t int64, n float64) map[string]float64 {
	day := 1 + .5*math.Sin(2*math.Pi*float64(t%86400_000)/86400_000)
	return map[string]float64{
		"http_requests_total": 600 * n, "process_cpu_utilization": .3*day + .01*rng.NormFloat64(), "active_users": 100*day + rng.NormFloat64(),
		"http_request_duration_seconds": .1*day + .005*rng.NormFloat64(), "queue_length": math.Floor(5 * day),
		"rpc_seconds_bucket le=0.1": 500 * n, "rpc_seconds_bucket le=1": 580 * n, "rpc_seconds_bucket le=+Inf": 600 * n,
		"rpc_seconds_count": 600 * n, "rpc_seconds_sum": 60 * n,
	}
}

func cartLabels(service, series string) labels.Labels {
	b := labels.NewBuilder(labels.FromStrings("service_name", service))
	var name, le string
	if n, _ := fmt.Sscanf(series, "%s le=%s", &name, &le); n == 2 {
		b.Set("le", le)
	}
	return b.Set(labels.MetricName, name).Labels()
}

// What a server learns from its store, several series at a time, is what it
// would have learned from the same samples as they came: every detector is the
// same. The service's metrics are judged together, and load is known, at once.
func TestHistoryTeachesWhatLiveSamplesWouldHave(t *testing.T) {
	dir := t.TempDir()
	live := offlineAt(t, dir, midday)
	rng := rand.New(rand.NewPCG(1, 1))
	now := midday
	for n := 1.; now < midday+50*3600_000; n++ {
		now += 60_000
		app := live.Stores.Metrics.AppenderV2(t.Context())
		for _, service := range []string{"cart", "search", "mail"} {
			for series, v := range cart(rng, now, n) {
				if _, err := app.Append(0, cartLabels(service, series), 0, now, v, nil, nil, storage.AOptions{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	live.Pipeline.Engine().Settle()
	want := explained(live.Pipeline.Engine())
	if err := live.Close(); err != nil {
		t.Fatal(err)
	}
	again := offlineAt(t, dir, now) // nothing was saved: it has the store alone
	got := explained(again.Pipeline.Engine())
	if len(want) < 24 || len(got) != len(want) {
		t.Fatalf("%d series live, %d from history", len(want), len(got))
	}
	for id, w := range want {
		g := got[id]
		if g.Points != w.Points || g.Sentence != w.Sentence || g.LevelLimit != w.LevelLimit {
			t.Errorf("%s: live %d points: %s\n from history %d points: %s", w.Series, w.Points, w.Sentence, g.Points, g.Sentence)
		}
	}
	if s := again.Pipeline.JointStats(); s.Entities != 3 || s.Ready != 3 {
		t.Errorf("judged jointly: %+v", s)
	}
	if s := again.Pipeline.DriverStats(); s.Driven == 0 {
		t.Errorf("no series has a driver: %+v", s)
	}
}

// The benchmark at a small size: all series are judged, sparse ones counted.
func TestTheSeedBenchmarkFindsEveryModelReady(t *testing.T) {
	now := time.Now().UnixMilli()
	r, err := seed.Run(t.Context(), seed.Options{Series: 200, Days: 5, Seed: 1}, now, BenchSeed(t.TempDir(), now))
	if err != nil {
		t.Fatal(err)
	}
	if r.Watched != 200 || r.ReadyShare != 1 || r.CountModelShare != 1 || r.Joint != 10 || r.JointReadyShare != 1 || r.Driven == 0 {
		t.Errorf("%+v", r)
	}
}
