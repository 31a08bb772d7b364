package normalize

import (
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Gauges, rates, quantiles and means of a guarded metric: values outside of
// the range are counted and go no further, neighbours do; without the policy
// all come again, under the same series' IDs.
func TestValuesOutsideOfTheRangeAreRefusedForAllKindsOfSeries(t *testing.T) {
	d := NewDeriver()
	guarded := true
	asked := map[string]int{}
	d.SetDescribe(func(s *telemetry.Series) {
		asked[s.Name]++
		if guarded && s.Labels.Get("guard") == "yes" {
			s.Policy = &telemetry.Policy{Weight: 1, Low: 0, High: 10}
		}
	})
	var now int64
	refs := map[string]storage.SeriesRef{}
	send := func(values map[string]float64) map[string]float64 {
		now += 10_000
		var batch []store.Committed
		for _, guard := range []string{"yes", "no"} {
			for _, name := range []string{"level", "jobs_total", "d_seconds_bucket 1", "d_seconds_bucket 100", "d_seconds_bucket +Inf", "d_seconds_sum", "d_seconds_count"} {
				ls := labels.FromStrings("__name__", name, "guard", guard)
				if n := len("d_seconds_bucket"); len(name) > n && name[:n] == "d_seconds_bucket" {
					ls = labels.FromStrings("__name__", name[:n], "le", name[n+1:], "guard", guard)
				}
				key := name + guard
				if refs[key] == 0 {
					refs[key] = storage.SeriesRef(len(refs) + 1)
				}
				batch = append(batch, store.Committed{Ref: refs[key], Labels: ls, T: now, V: values[name]})
			}
		}
		out := map[string]float64{}
		for _, p := range d.Derive(batch, nil) {
			out[p.Series.Name+" "+p.Series.Labels.Get("guard")] = p.V
		}
		return out
	}
	total := map[string]float64{}
	add := func(level, jobs, low, mid float64) map[string]float64 {
		v := map[string]float64{}
		total["jobs"] += jobs
		total["low"] += low
		total["mid"] += mid
		v["level"], v["jobs_total"] = level, total["jobs"]
		v["d_seconds_bucket 1"], v["d_seconds_bucket 100"], v["d_seconds_bucket +Inf"] = total["low"], total["low"]+total["mid"], total["low"]+total["mid"]
		v["d_seconds_count"], v["d_seconds_sum"] = total["low"]+total["mid"], .5*total["low"]+60*total["mid"]
		return v
	}
	send(add(5, 10, 10, 0))
	send(add(5, 10, 10, 0))
	good := send(add(5, 10, 10, 0))
	for _, name := range []string{"level", "rate(jobs_total)", "p50(d_seconds)", "mean(d_seconds)"} {
		for _, guard := range []string{" yes", " no"} {
			if _, ok := good[name+guard]; !ok {
				t.Errorf("%s%s is missing: %v", name, guard, good)
			}
		}
	}
	before := d.Stats().OutOfRange
	bad := send(add(-1, 5000, 0, 10))
	for _, name := range []string{"level", "rate(jobs_total)", "p50(d_seconds)", "p99(d_seconds)", "mean(d_seconds)"} {
		if v, ok := bad[name+" yes"]; ok {
			t.Errorf("%s got through: %v", name, v)
		}
		if _, ok := bad[name+" no"]; !ok {
			t.Errorf("the neighbour of %s was lost", name)
		}
	}
	if n := d.Stats().OutOfRange - before; n != 5 {
		t.Errorf("%d values counted, want 5", n)
	}
	guarded = false
	d.Redescribe()
	free := send(add(-1, 5000, 0, 10))
	for _, name := range []string{"level", "rate(jobs_total)", "p50(d_seconds)", "mean(d_seconds)"} {
		if _, ok := free[name+" yes"]; !ok {
			t.Errorf("%s is refused although its policy is gone", name)
		}
	}
	if asked["level"] != 4 { // two series, twice
		t.Errorf("the description of level was asked for %d times", asked["level"])
	}
}

// What is not watched costs nothing further and is not counted as bad data.
func TestUnwatchedSeriesGiveNoPoints(t *testing.T) {
	d := NewDeriver()
	d.SetDescribe(func(s *telemetry.Series) {
		s.Policy = &telemetry.Policy{Weight: 0, Low: math.Inf(-1), High: math.Inf(1)}
	})
	ls := labels.FromStrings("__name__", "level")
	for i := range 5 {
		if ps := d.Derive([]store.Committed{{Ref: 1, Labels: ls, T: int64(i+1) * 1000, V: 3}}, nil); len(ps) != 0 {
			t.Fatalf("it gives %s", show(ps))
		}
	}
	if n := d.Stats().OutOfRange; n != 0 {
		t.Errorf("%d values counted as bad data", n)
	}
}
