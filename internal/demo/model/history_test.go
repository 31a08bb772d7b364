package model

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/demo/plan"
	"github.com/norn-aiops/norn/internal/logmine"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
	"github.com/norn-aiops/norn/internal/topology"
)

var (
	orders   = telemetry.Entity{Kind: telemetry.KindService, Name: "orders"}
	frontend = telemetry.Entity{Kind: telemetry.KindService, Name: "frontend"}
	ordersDB = telemetry.Entity{Kind: telemetry.KindDatabase, Name: plan.OrdersDB}
)

// noon is when the shop of the tests was measured; demand is then about 1.1.
var noon = time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)

// measured is a hand-made measurement with the labels that Norn's own stages
// give: six windows before noon.
func measured() []store.SeriesData {
	var out []store.SeriesData
	add := func(ls labels.Labels, at func(i int) float64) {
		d := store.SeriesData{Labels: ls}
		for i := range 6 {
			d.Samples = append(d.Samples, telemetry.Sample{T: noon.Add(time.Duration(i-6) * 10 * time.Second).UnixMilli(), V: at(i)})
		}
		out = append(out, d)
	}
	wobble := func(level float64) func(int) float64 {
		return func(i int) float64 { return level * (1 + 0.03*float64(i%3-1)) }
	}
	add(topology.RequestRateLabels(frontend), wobble(15))
	add(topology.RequestRateLabels(orders), wobble(2.2))
	add(topology.EdgeRequestRateLabels(orders, ordersDB), wobble(2.2))
	add(topology.ErrorRatioLabels(frontend), func(int) float64 { return 0 })
	add(topology.LatencyLabels(frontend, "0.5"), wobble(0.03))
	add(topology.LatencyLabels(frontend, "0.95"), wobble(0.08))
	add(topology.SelfTimeLabels(orders), wobble(0.004))
	add(topology.EdgeGapLabels(frontend, orders), wobble(0.0008))
	add(topology.OperationRequestRateLabels(frontend, "GET /"), wobble(3.7))
	add(logmine.Labels(orders, telemetry.SeverityInfo), wobble(2.2))
	add(logmine.Labels(orders, telemetry.SeverityError), wobble(0.1))
	add(logmine.TemplateLabels(orders, 12345), wobble(2))
	otlp := func(name string, more ...string) labels.Labels {
		return labels.FromStrings(append([]string{labels.MetricName, name, "job", "shop/frontend", "service_name", "frontend", "service_instance_id", "frontend-1"}, more...)...)
	}
	route := []string{"http_route", "/", "http_request_method", "GET", "http_response_status_code", "200"}
	for _, b := range []struct {
		le    string
		share float64
	}{{"0.01", 0.1}, {"0.025", 0.5}, {"0.05", 0.8}, {"0.1", 0.97}, {"+Inf", 1}} {
		add(otlp("http_server_request_duration_seconds_bucket", append(route, "le", b.le)...), func(i int) float64 { return math.Round(float64(i+1) * 20 * b.share) })
	}
	add(otlp("http_server_request_duration_seconds_count", route...), func(i int) float64 { return float64(i+1) * 20 })
	add(otlp("http_server_request_duration_seconds_sum", route...), func(i int) float64 { return float64(i+1) * 20 * 0.03 })
	add(otlp("http_server_request_duration_seconds_count", "http_route", "/", "http_request_method", "GET", "http_response_status_code", "500"), func(i int) float64 { return float64(i) })
	add(otlp("process_cpu_utilization_ratio"), wobble(0.05))
	add(otlp("process_memory_usage_bytes"), wobble(30<<20))
	add(otlp("go_goroutine_count"), func(i int) float64 { return float64(20 + i%2) })
	add(labels.FromStrings(labels.MetricName, "cache_hit_ratio", "db_system_name", "redis", "db_namespace", plan.Cache), wobble(0.9))
	add(labels.FromStrings(labels.MetricName, "messaging_queue_length", "messaging_destination_name", plan.QueueName), func(i int) float64 { return float64(i % 2) })
	add(labels.FromStrings(labels.MetricName, "norn_ingest_items_total", "job", "norn"), wobble(1000))
	add(labels.FromStrings(labels.MetricName, "node_load1", "instance", "elsewhere"), wobble(1))
	return out
}

func generate(t *testing.T, seed uint64, days int) (*Generator, map[string][]telemetry.Sample) {
	t.Helper()
	g, err := New(Config{Plan: plan.Shop(), Live: measured(), Rate: 14, Seed: seed, From: noon.AddDate(0, 0, -days), Fine: 3 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]telemetry.Sample{}
	last := int64(0)
	err = g.Until(context.Background(), noon, func(_ context.Context, ss []Sample) error {
		for _, s := range ss {
			if s.T < last {
				t.Fatalf("time went back from %d to %d", last, s.T)
			}
			last = s.T
			k := s.Labels.String()
			got[k] = append(got[k], telemetry.Sample{T: s.T, V: s.V})
		}
		return nil
	}, func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	return g, got
}

// The past has exactly the series that were measured and go on for ever: the
// same labels as topology and logmine give them; nothing of others, nothing
// that only failures produce.
func TestPastHasTheLiveLabels(t *testing.T) {
	_, got := generate(t, 1, 2)
	for _, d := range measured() {
		k := d.Labels.String()
		name := d.Labels.Get(labels.MetricName)
		want := !strings.Contains(k, `"500"`) && !strings.Contains(k, `severity="error"`) &&
			name != "norn_ingest_items_total" && name != "node_load1"
		if _, ok := got[k]; ok != want {
			t.Errorf("%s in the past: %v, want %v", k, ok, want)
		}
	}
}

// The steps are a minute, and ten seconds in the last three hours; the second
// call goes on where the first ended.
func TestPastHasTwoResolutionsAndGoesOn(t *testing.T) {
	g, got := generate(t, 1, 2)
	ss := got[topology.RequestRateLabels(frontend).String()]
	fine := noon.Add(-3 * time.Hour).UnixMilli()
	for i := 1; i < len(ss); i++ {
		want := int64(60_000)
		if ss[i].T > fine {
			want = 10_000
		}
		if d := ss[i].T - ss[i-1].T; d != want {
			t.Fatalf("step of %d ms at %s", d, time.UnixMilli(ss[i].T).UTC())
		}
	}
	end := ss[len(ss)-1].T
	if end >= noon.UnixMilli() || end < noon.Add(-11*time.Second).UnixMilli() {
		t.Errorf("the past ends at %s", time.UnixMilli(end).UTC())
	}
	var first int64
	err := g.Until(context.Background(), noon.Add(40*time.Second), func(_ context.Context, more []Sample) error {
		if first == 0 {
			first = more[0].T
		}
		return nil
	}, func(float64) {})
	if err != nil || first != end+10_000 {
		t.Errorf("going on began at %d after %d: %v", first, end, err)
	}
}

// Levels around the time of the measurement are those that were measured; at
// night they are lower where load matters, and the same where it does not.
func TestPastHasLevelDayAndWeek(t *testing.T) {
	_, got := generate(t, 1, 14)
	at := func(ls labels.Labels, hour int, days ...time.Weekday) float64 {
		var vs []float64
		for _, s := range got[ls.String()] {
			when := time.UnixMilli(s.T).UTC()
			if when.Hour() == hour && (len(days) == 0 || slices.Contains(days, when.Weekday())) {
				vs = append(vs, s.V)
			}
		}
		return median(vs)
	}
	near := func(what string, got, want, tolerance float64) {
		t.Helper()
		if math.Abs(got/want-1) > tolerance {
			t.Errorf("%s: %g, want about %g", what, got, want)
		}
	}
	work := []time.Weekday{time.Tuesday, time.Wednesday, time.Thursday}
	rate, lat, cpu := topology.RequestRateLabels(frontend), topology.LatencyLabels(frontend, "0.5"), labels.EmptyLabels()
	for _, d := range measured() {
		if d.Labels.Get(labels.MetricName) == "process_cpu_utilization_ratio" {
			cpu = d.Labels
		}
	}
	near("requests at noon", at(rate, 12, work...), 15, 0.1)
	near("latency at noon", at(lat, 12, work...), 0.03, 0.1)
	near("processor at noon", at(cpu, 12, work...), 0.05, 0.15)
	near("orders at noon", at(topology.RequestRateLabels(orders), 12, work...), 2.2, 0.12)
	near("log lines follow orders", at(logmine.Labels(orders, telemetry.SeverityInfo), 12, work...), at(topology.RequestRateLabels(orders), 12, work...), 0.06)
	if night, day := at(rate, 4, work...), at(rate, 16, work...); night > 0.6*day {
		t.Errorf("requests: %g at night, %g in the afternoon", night, day)
	}
	if sunday, tuesday := at(rate, 15, time.Sunday), at(rate, 15, time.Tuesday); sunday > 0.85*tuesday {
		t.Errorf("requests: %g on sunday, %g on tuesday", sunday, tuesday)
	}
	if night, day := at(cpu, 4, work...), at(cpu, 16, work...); night > 0.85*day || night < 0.3*day {
		t.Errorf("processor: %g at night, %g in the afternoon; an idle part stays", night, day)
	}
	near("latency at night", at(lat, 4, work...), at(lat, 12, work...), 0.15)
}

// Counters only rise, and a histogram's buckets stay ordered and keep the
// measured shares.
func TestPastHasSoundHistograms(t *testing.T) {
	_, got := generate(t, 1, 3)
	find := func(name, le string) []telemetry.Sample {
		for k, ss := range got {
			if strings.Contains(k, name) && (le == "" || strings.Contains(k, `le="`+le+`"`)) {
				return ss
			}
		}
		t.Fatalf("no series %s %s", name, le)
		return nil
	}
	les := []string{"0.01", "0.025", "0.05", "0.1", "+Inf"}
	want := []float64{0.1, 0.5, 0.8, 0.97, 1}
	count := find("duration_seconds_count", "")
	for i := range count {
		before := 0.0
		for _, le := range les {
			b := find("duration_seconds_bucket", le)
			if b[i].V < before || (i > 0 && b[i].V < b[i-1].V) || b[i].V > count[i].V {
				t.Fatalf("step %d: bucket %s has %g after %g, count %g", i, le, b[i].V, before, count[i].V)
			}
			before = b[i].V
		}
		if i > 200 {
			break // the search makes this slow; the start is where it could go wrong
		}
	}
	last := count[len(count)-1].V
	for i, le := range les {
		b := find("duration_seconds_bucket", le)
		if share := b[len(b)-1].V / last; math.Abs(share-want[i]) > 0.04 {
			t.Errorf("bucket %s has a share of %.3f, measured was %.3f", le, share, want[i])
		}
	}
	sum := find("duration_seconds_sum", "")
	if m := sum[len(sum)-1].V / last; math.Abs(m/0.03-1) > 0.05 {
		t.Errorf("mean duration %g, measured was 0.03", m)
	}
}

// The processes that were measured began a minute before noon: counters start
// anew then, have just the measured values, and end with the last of them, so
// that the live ones go on without a break.
func TestCountersJoinTheLiveOnes(t *testing.T) {
	live := measured()
	opened := noon.Add(-65 * time.Second)
	g, err := New(Config{Plan: plan.Shop(), Live: live, Rate: 14, Seed: 1, From: noon.AddDate(0, 0, -1), Fine: 3 * time.Hour, Opened: opened})
	if err != nil {
		t.Fatal(err)
	}
	var got, gauge []telemetry.Sample
	last := int64(0)
	if err := g.Until(t.Context(), noon.Add(30*time.Second), func(_ context.Context, ss []Sample) error {
		for _, s := range ss {
			if s.T < last {
				t.Fatalf("time went back from %d to %d", last, s.T)
			}
			last = s.T
			switch s.Labels.Get(labels.MetricName) {
			case "http_server_request_duration_seconds_count":
				got = append(got, telemetry.Sample{T: s.T, V: s.V})
			case "go_goroutine_count":
				gauge = append(gauge, telemetry.Sample{T: s.T, V: s.V})
			}
		}
		return nil
	}, func(float64) {}); err != nil {
		t.Fatal(err)
	}
	tail := got[len(got)-6:]
	for i, s := range tail {
		if s.V != float64(i+1)*20 {
			t.Errorf("measured value %d is %g", i, s.V)
		}
	}
	if before := got[len(got)-7]; before.V < 10_000 || before.T > opened.UnixMilli() {
		t.Errorf("before the opening there is %+v", before)
	}
	if end := gauge[len(gauge)-1].T; end != noon.Add(20*time.Second).UnixMilli() {
		t.Errorf("gauges end at %s", time.UnixMilli(end).UTC())
	}
}

// The same seed gives the same past to the last bit, another seed another.
func TestPastIsSeeded(t *testing.T) {
	_, a := generate(t, 5, 2)
	_, b := generate(t, 5, 2)
	_, c := generate(t, 6, 2)
	k := topology.RequestRateLabels(frontend).String()
	for key := range a {
		if !slices.Equal(a[key], b[key]) {
			t.Errorf("%s differs with the same seed", key)
		}
	}
	if slices.Equal(a[k], c[k]) {
		t.Error("another seed gave the same requests")
	}
}

// No value is negative, infinite or missing in series that always have one.
func TestPastHasPlainNumbers(t *testing.T) {
	_, got := generate(t, 9, 3)
	n := len(got[topology.RequestRateLabels(frontend).String()])
	for k, ss := range got {
		for _, s := range ss {
			if !(s.V >= 0) || math.IsInf(s.V, 0) {
				t.Fatalf("%s has %g", k, s.V)
			}
		}
		if len(ss) < n*9/10 {
			t.Errorf("%s has %d values of %d", k, len(ss), n)
		}
	}
}

// Failures of payment come up as failures of who depends on it, in the same
// step, and nowhere else.
func TestFailuresTravelUp(t *testing.T) {
	w := newWorld(plan.Shop(), 14, 3)
	var payment, order, pricing int
	for i := range 20_000 {
		w.step(noon.Add(time.Duration(i)*10*time.Second), 10)
		payment += int(w.errs[w.index["payment"]])
		order += int(w.errs[w.index["orders"]])
		pricing += int(w.errs[w.index["pricing"]])
		if w.errs[w.index["payment"]] > 0 && w.errs[w.index["frontend"]] == 0 {
			t.Fatalf("step %d: payment fails, the frontend does not notice", i)
		}
	}
	if payment < 100 || order != payment || pricing != 0 {
		t.Errorf("failures: payment %d, orders %d, pricing %d", payment, order, pricing)
	}
}

// An append that fails ends the work with that error; a measurement without
// anything of the shop is refused.
func TestPastTellsWhatWentWrong(t *testing.T) {
	g, err := New(Config{Plan: plan.Shop(), Live: measured(), Rate: 14, From: noon.AddDate(0, 0, -1)})
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	if err := g.Until(t.Context(), noon, func(context.Context, []Sample) error { return full }, func(float64) {}); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	if _, err := New(Config{Plan: plan.Shop(), Rate: 14}); err == nil {
		t.Error("an empty measurement was accepted")
	}
	if _, err := New(Config{Plan: plan.Shop(), Live: measured()}); err == nil {
		t.Error("a rate of 0 was accepted")
	}
}

// BenchmarkTwoWeeks makes two weeks of about 500 series.
func BenchmarkTwoWeeks(b *testing.B) {
	live := measured()
	for _, inst := range plan.Shop().Services {
		for _, in := range inst.InstanceNames() {
			for _, d := range measured() {
				if d.Labels.Get("service_name") == "" {
					continue
				}
				lb := labels.NewBuilder(d.Labels)
				lb.Set("service_name", inst.Name)
				lb.Set("service_instance_id", in)
				lb.Set("twin", "1")
				live = append(live, store.SeriesData{Labels: lb.Labels(), Samples: d.Samples})
				lb.Set("twin", "2")
				live = append(live, store.SeriesData{Labels: lb.Labels(), Samples: d.Samples})
				lb.Set("twin", "3")
				live = append(live, store.SeriesData{Labels: lb.Labels(), Samples: d.Samples})
			}
		}
	}
	for b.Loop() {
		g, err := New(Config{Plan: plan.Shop(), Live: live, Rate: 14, Seed: 1, From: noon.AddDate(0, 0, -14), Fine: 3 * time.Hour})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		if err := g.Until(context.Background(), noon, func(_ context.Context, ss []Sample) error { n += len(ss); return nil }, func(float64) {}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(g.Len()), "series")
		b.ReportMetric(float64(n), "samples")
	}
}
