package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// OpenMetrics opens a metrics store at a directory, creating it when it is
// new, with an out-of-order window of 30 minutes.
type OpenMetrics func(t *testing.T, dir string) store.Metrics

// RunMetrics runs the suite of store.Metrics.
func RunMetrics(t *testing.T, open OpenMetrics) {
	t.Run("empty", func(t *testing.T) { metricsEmpty(t, open) })
	t.Run("select", func(t *testing.T) { metricsSelect(t, open) })
	t.Run("query", func(t *testing.T) { metricsQuery(t, open) })
	t.Run("late and duplicate", func(t *testing.T) { metricsLate(t, open) })
	t.Run("rollback", func(t *testing.T) { metricsRollback(t, open) })
	t.Run("writers at once", func(t *testing.T) { metricsConcurrent(t, open) })
	t.Run("strange labels", func(t *testing.T) { metricsStrange(t, open) })
}

// put appends one float sample in a transaction of its own.
func put(m store.Metrics, ls labels.Labels, at int64, v float64) error {
	app := m.AppenderV2(background())
	if _, err := app.Append(0, ls, 0, at, v, nil, nil, storage.AOptions{}); err != nil {
		return errors.Join(err, app.Rollback())
	}
	return app.Commit()
}

func matcher(name, val string) *labels.Matcher {
	return labels.MustNewMatcher(labels.MatchEqual, name, val)
}

func metricsEmpty(t *testing.T, open OpenMetrics) {
	m := open(t, t.TempDir())
	defer m.Close()
	now := time.Now().UnixMilli()
	got := must[[]store.SeriesData](t)(m.Select(background(), 0, now, matcher("__name__", "none")))
	if got == nil || len(got) != 0 {
		t.Errorf("no match gave %#v, want an empty slice", got)
	}
	if got := must[[]store.SeriesData](t)(m.Select(background(), now, 0)); len(got) != 0 {
		t.Errorf("a range that ends before it begins gave %v", got)
	}
	if got := must[[]store.SeriesData](t)(m.QueryRange(background(), "none", now-1000, now, 1000)); len(got) != 0 {
		t.Errorf("query of nothing gave %v", got)
	}
	if got := must[[]string](t)(m.LabelValues(background(), "none")); len(got) != 0 {
		t.Errorf("values of an unknown label: %v", got)
	}
	check(t, m.AppenderV2(background()).Commit())
	check(t, m.AppenderV2(background()).Rollback())
	for _, bad := range []string{"", "(", "rate(x)", "sum by", "'text'", "x[5m]", strings.Repeat("(", 1000)} {
		if _, err := m.QueryRange(background(), bad, now-1000, now, 1000); !errors.Is(err, store.ErrBadQuery) {
			t.Errorf("query %.20q: got %v, want ErrBadQuery", bad, err)
		}
	}
	for _, r := range [][3]int64{{0, 10, 0}, {0, 10, -1}, {10, 0, 1}, {0, 1 << 60, 1}} {
		if _, err := m.QueryRange(background(), "1", r[0], r[1], r[2]); !errors.Is(err, store.ErrBadQuery) {
			t.Errorf("range %v: got %v, want ErrBadQuery", r, err)
		}
	}
}

func metricsSelect(t *testing.T, open OpenMetrics) {
	dir := t.TempDir()
	m := open(t, dir)
	base := time.Now().Add(-20 * time.Minute).UnixMilli()
	app := m.AppenderV2(background())
	hist := &histogram.Histogram{Count: 2, Sum: 3, ZeroThreshold: 0.001, PositiveSpans: []histogram.Span{{Offset: 0, Length: 1}}, PositiveBuckets: []int64{2}}
	for i := range int64(100) {
		for _, host := range []string{"b", "a"} {
			v := float64(i)
			if host == "b" && i == 50 {
				v = math.Float64frombits(value.StaleNaN)
			}
			if _, err := app.Append(0, labels.FromStrings("__name__", "cpu", "host", host), 0, base+i*1000, v, nil, nil, storage.AOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := app.Append(0, labels.FromStrings("__name__", "native"), 0, base+i*1000, 0, hist, nil, storage.AOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	check(t, app.Commit())
	for _, state := range []string{"open", "reopened"} {
		got := must[[]store.SeriesData](t)(m.Select(background(), base+10_000, base+20_000, matcher("__name__", "cpu")))
		if len(got) != 2 || len(got[0].Samples) != 11 || got[0].Samples[0] != (telemetry.Sample{T: base + 10_000, V: 10}) || got[1].Samples[10] != (telemetry.Sample{T: base + 20_000, V: 20}) {
			t.Errorf("%s: both ends belong to the range: got %v", state, got)
		}
		if !sort.SliceIsSorted(got, func(i, j int) bool { return labels.Compare(got[i].Labels, got[j].Labels) < 0 }) {
			t.Errorf("%s: series are not sorted", state)
		}
		got = must[[]store.SeriesData](t)(m.Select(background(), 0, math.MaxInt64, matcher("host", "b")))
		if len(got) != 1 || len(got[0].Samples) != 99 {
			t.Errorf("%s: a stale marker is not a sample: got %d series, %v", state, len(got), got)
		}
		if got := must[[]store.SeriesData](t)(m.Select(background(), 0, math.MaxInt64)); len(got) != 2 {
			t.Errorf("%s: everything has float samples in 2 series, got %d", state, len(got))
		}
		if vs := must[[]string](t)(m.LabelValues(background(), "host")); !slices.Equal(vs, []string{"a", "b"}) {
			t.Errorf("%s: hosts %v", state, vs)
		}
		check(t, m.Close())
		m = open(t, dir)
	}
	check(t, m.Close())
}

func metricsQuery(t *testing.T, open OpenMetrics) {
	m := open(t, t.TempDir())
	defer m.Close()
	base := time.Now().Add(-20 * time.Minute).Truncate(time.Minute).UnixMilli()
	for i := range int64(61) {
		check(t, put(m, labels.FromStrings("__name__", "requests_total", "job", "a"), base+i*10_000, float64(i*50)))
	}
	got := must[[]store.SeriesData](t)(m.QueryRange(background(), `sum(rate(requests_total{job="a"}[1m]))`, base+120_000, base+600_000, 60_000))
	if len(got) != 1 || len(got[0].Samples) != 9 {
		t.Fatalf("got %v, want one series of 9 points", got)
	}
	for _, s := range got[0].Samples {
		if math.Abs(s.V-5) > 1e-9 {
			t.Errorf("rate at %d is %g, want 5", s.T, s.V)
		}
	}
	got = must[[]store.SeriesData](t)(m.QueryRange(background(), "1+1", base, base+2000, 1000))
	if len(got) != 1 || !got[0].Labels.IsEmpty() || len(got[0].Samples) != 3 || got[0].Samples[2].V != 2 {
		t.Errorf("a scalar is one series without labels: got %v", got)
	}
	ctx, cancel := context.WithCancel(background())
	cancel()
	if _, err := m.QueryRange(ctx, "requests_total", base, base+1000, 1000); err == nil {
		t.Error("a cancelled query succeeded")
	}
}

func metricsLate(t *testing.T, open OpenMetrics) {
	m := open(t, t.TempDir())
	defer m.Close()
	ls := labels.FromStrings("__name__", "late")
	now := time.Now().UnixMilli()
	check(t, put(m, ls, now, 1))
	check(t, put(m, ls, now-10*60_000, 2))
	if err := put(m, ls, now-40*60_000, 3); !errors.Is(err, storage.ErrTooOldSample) {
		t.Errorf("40 minutes late with a window of 30: got %v, want ErrTooOldSample", err)
	}
	if err := put(m, ls, now, 9); !errors.Is(err, storage.ErrDuplicateSampleForTimestamp) {
		t.Errorf("another value at the same time: got %v, want ErrDuplicateSampleForTimestamp", err)
	}
	check(t, put(m, ls, now, 1)) // the same sample again is no error and counts once
	// A refused sample leaves its neighbours alone.
	app := m.AppenderV2(background())
	for i, at := range []int64{now + 1, now - 50*60_000, now + 2} {
		_, err := app.Append(0, ls, 0, at, 5, nil, nil, storage.AOptions{})
		if (err != nil) != (i == 1) {
			t.Errorf("sample %d: %v", i, err)
		}
	}
	check(t, app.Commit())
	got := must[[]store.SeriesData](t)(m.Select(background(), 0, math.MaxInt64, matcher("__name__", "late")))
	want := []telemetry.Sample{{T: now - 10*60_000, V: 2}, {T: now, V: 1}, {T: now + 1, V: 5}, {T: now + 2, V: 5}}
	if len(got) != 1 || !slices.Equal(got[0].Samples, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func metricsRollback(t *testing.T, open OpenMetrics) {
	m := open(t, t.TempDir())
	defer m.Close()
	app := m.AppenderV2(background())
	_, err := app.Append(0, labels.FromStrings("__name__", "undone"), 0, time.Now().UnixMilli(), 1, nil, nil, storage.AOptions{})
	check(t, err)
	check(t, app.Rollback())
	if got := must[[]store.SeriesData](t)(m.Select(background(), 0, math.MaxInt64, matcher("__name__", "undone"))); len(got) != 0 {
		t.Errorf("rolled back, yet there: %v", got)
	}
}

func metricsConcurrent(t *testing.T, open OpenMetrics) {
	dir := t.TempDir()
	m := open(t, dir)
	base := time.Now().Add(-10 * time.Minute).UnixMilli()
	together(8, func(w int) {
		ls := labels.FromStrings("__name__", "c", "writer", fmt.Sprint(w))
		var ref storage.SeriesRef
		for i := range int64(50) {
			app := m.AppenderV2(background())
			for j := range int64(10) {
				var err error
				if ref, err = app.Append(ref, ls, 0, base+i*100+j, float64(i*10+j), nil, nil, storage.AOptions{}); err != nil {
					t.Error(err)
				}
			}
			if err := app.Commit(); err != nil {
				t.Error(err)
			}
			if i%10 == 0 {
				if _, err := m.Select(background(), 0, math.MaxInt64, matcher("writer", fmt.Sprint(w))); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for range 2 {
		got := must[[]store.SeriesData](t)(m.Select(background(), 0, math.MaxInt64, matcher("__name__", "c")))
		if len(got) != 8 {
			t.Fatalf("%d series, want 8", len(got))
		}
		for _, s := range got {
			if len(s.Samples) != 500 || s.Samples[499].V != 499 {
				t.Errorf("series %s has %d samples, want 500", s.Labels, len(s.Samples))
			}
		}
		check(t, m.Close())
		m = open(t, dir)
	}
	check(t, m.Close())
}

func metricsStrange(t *testing.T, open OpenMetrics) {
	m := open(t, t.TempDir())
	defer m.Close()
	now := time.Now().UnixMilli()
	for i, text := range strange() {
		check(t, put(m, labels.FromStrings("__name__", "strange", "i", fmt.Sprint(i), "text", text), now, float64(i)))
	}
	for i, text := range strange() {
		got := must[[]store.SeriesData](t)(m.Select(background(), 0, math.MaxInt64, matcher("text", text)))
		if len(got) != 1 || got[0].Samples[0].V != float64(i) || got[0].Labels.Get("text") != text {
			t.Errorf("label value %.40q was not found again: %v", text, got)
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64, math.Copysign(0, -1)} {
		now++
		check(t, put(m, labels.FromStrings("__name__", "numbers"), now, v))
		got := must[[]store.SeriesData](t)(m.Select(background(), now, now, matcher("__name__", "numbers")))
		if len(got) != 1 || math.Float64bits(got[0].Samples[0].V) != math.Float64bits(v) {
			t.Errorf("value %g came back as %v", v, got)
		}
	}
}

// RunMetricsCrash kills a writing process with SIGKILL, several times over,
// and checks that every sample of a Commit that returned is there. It must be
// the first thing its test does.
func RunMetricsCrash(t *testing.T, open OpenMetrics) {
	dir := t.TempDir()
	acked := crash(t, dir, 5, func(dir string, round int, ack func(string)) {
		m := open(t, dir)
		together(2, func(w int) {
			for i := 0; ; i++ {
				app := m.AppenderV2(background())
				at := time.Now().UnixMilli()
				for k := range 10 {
					ls := labels.FromStrings("__name__", "crash", "k", fmt.Sprint(k), "w", fmt.Sprint(w), "n", fmt.Sprint(i), "round", fmt.Sprint(round))
					if _, err := app.Append(0, ls, 0, at, float64(i), nil, nil, storage.AOptions{}); err != nil {
						t.Fatal(err)
					}
				}
				if err := app.Commit(); err != nil {
					t.Fatal(err)
				}
				ack(fmt.Sprintf("%d %d %d", round, w, i))
			}
		})
	})
	m := open(t, dir)
	defer m.Close()
	seen := map[string]int{}
	for _, s := range must[[]store.SeriesData](t)(m.Select(background(), 0, math.MaxInt64, matcher("__name__", "crash"))) {
		if len(s.Samples) != 1 {
			t.Fatalf("series %s has %d samples, want 1", s.Labels, len(s.Samples))
		}
		seen[s.Labels.Get("round")+" "+s.Labels.Get("w")+" "+strconv.Itoa(int(s.Samples[0].V))]++
	}
	for _, id := range acked {
		if seen[id] != 10 {
			t.Fatalf("of commit %q %d of 10 samples are there", id, seen[id])
		}
	}
}
