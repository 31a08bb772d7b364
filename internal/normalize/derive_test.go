package normalize

import (
	"fmt"
	"math"
	"math/rand"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// feed is a sender: it gives each label set a reference and remembers it.
type feed struct {
	d    *Deriver
	refs map[string]storage.SeriesRef
}

func newFeed() *feed { return &feed{d: NewDeriver(), refs: map[string]storage.SeriesRef{}} }

func (f *feed) at(t int64, v float64, typ string, ls ...string) store.Committed {
	l := labels.FromStrings(ls...)
	ref, ok := f.refs[l.String()]
	if !ok {
		ref = storage.SeriesRef(len(f.refs) + 1)
		f.refs[l.String()] = ref
	}
	return store.Committed{Ref: ref, Labels: l, T: t, V: v, Type: typ}
}

func (f *feed) send(cs ...store.Committed) []telemetry.Point { return f.d.Derive(cs, nil) }

func show(ps []telemetry.Point) string {
	var b strings.Builder
	for _, p := range ps {
		fmt.Fprintf(&b, "%s@%d=%.4g ", p.Series.Name, p.T, p.V)
	}
	return strings.TrimSpace(b.String())
}

func TestCounterBecomesRateAcrossResetsDuplicatesAndLateSamples(t *testing.T) {
	f := newFeed()
	c := func(ts int64, v float64) string {
		return show(f.send(f.at(ts, v, "", "__name__", "http_requests_total", "job", "shop/cart", "instance", "10.0.0.1:80")))
	}
	for _, step := range []struct {
		t    int64
		v    float64
		want string
	}{
		{10_000, 100, ""},
		{20_000, 150, "rate(http_requests_total)@20000=5"},
		{20_000, 150, ""}, // duplicate
		{15_000, 120, ""}, // late
		{30_000, 20, "rate(http_requests_total)@30000=2"}, // reset: began at 0 again
		{40_000, 20, "rate(http_requests_total)@40000=0"},
		{50_000, math.Float64frombits(value.StaleNaN), ""},
		{60_000, 60, "rate(http_requests_total)@60000=2"},
	} {
		if got := c(step.t, step.v); got != step.want {
			t.Errorf("at %d: got %q, want %q", step.t, got, step.want)
		}
	}
	if st := f.d.Stats(); st.OutOfOrder != 2 || st.Resets != 1 || st.Watched != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestDerivedSeriesSayWhoTheyAreAboutAndHowToDrawThem(t *testing.T) {
	f := newFeed()
	var ps []telemetry.Point
	for ts := int64(30_000); ts <= 60_000; ts += 30_000 {
		ps = f.send(f.at(ts, float64(ts), "counter", "__name__", "http_requests_total", "job", "shop/cart", "instance", "10.0.0.1:80", "code", "503", "path", `/a"b`))
	}
	if len(ps) != 1 {
		t.Fatalf("points: %s", show(ps))
	}
	s := ps[0].Series
	want := `rate(http_requests_total{code="503",instance="10.0.0.1:80",job="shop/cart",path="/a\"b"}[2m])`
	if s.Expr != want {
		t.Errorf("expr %s, want %s", s.Expr, want)
	}
	if s.Entity.String() != "service/cart" || s.Instance.Name != "10.0.0.1:80" || s.Signal != telemetry.SignalErrors || s.Direction != telemetry.UpBad {
		t.Errorf("series %+v", s)
	}
	if s.ID != telemetry.SeriesID(s.Labels.Hash()) || s.Labels.Get("__name__") != "http_requests_total:rate" || !s.Derived {
		t.Errorf("identity %v %v", s.ID, s.Labels)
	}
}

func TestEveryExpressionIsPromQL(t *testing.T) {
	f := newFeed()
	var all []telemetry.Point
	for i := range int64(4) {
		ts := (i + 1) * 10_000
		v := float64(i)
		for _, c := range []store.Committed{
			f.at(ts, v, "", "__name__", "a_ms", "service.name", "utf8 \"label\""),
			f.at(ts, v, "counter", "__name__", "dotted.name", "job", "x"),
			f.at(ts, v, "", "__name__", "bare"),
			f.at(ts, v, "", "__name__", "d_milliseconds_bucket", "le", "5"),
			f.at(ts, 2*v, "", "__name__", "d_milliseconds_bucket", "le", "+Inf"),
			f.at(ts, 2*v, "", "__name__", "d_milliseconds_sum"),
			f.at(ts, 2*v, "", "__name__", "d_milliseconds_count"),
		} {
			all = append(all, f.send(c)...)
		}
	}
	p := parser.NewParser(parser.Options{})
	seen := map[string]bool{}
	for _, pt := range all {
		seen[pt.Series.Name] = true
		if _, err := p.ParseExpr(pt.Series.Expr); err != nil {
			t.Errorf("%s: %v", pt.Series.Expr, err)
		}
	}
	for _, n := range []string{"a_ms", "rate(dotted.name)", "bare", "p50(d_milliseconds)", "p99(d_milliseconds)", "mean(d_milliseconds)", "rate(d_milliseconds_count)"} {
		if !seen[n] {
			t.Errorf("no points of %s; seen %v", n, seen)
		}
	}
	if len(seen) != 7 {
		t.Errorf("unexpected series among %v", seen)
	}
}

func TestGaugesComeInBaseUnits(t *testing.T) {
	f := newFeed()
	for _, c := range []struct {
		name, unit string
		in, out    float64
		base       string
	}{
		{"gc_pause_ms", "", 250, 0.25, "s"},
		{"heap_used", "MiBy", 2, 2 << 20, "By"},
		{"cpu_usage_percent", "", 85, 0.85, "1"},
		{"http_latency_seconds", "", 0.3, 0.3, "s"},
		{"things", "", 7, 7, ""},
		{"odd", "furlong", 7, 7, "furlong"},
	} {
		cm := f.at(1000, c.in, "gauge", "__name__", c.name, "job", "x")
		cm.Unit = c.unit
		ps := f.send(cm)
		if len(ps) != 1 || ps[0].V != c.out || ps[0].Series.Unit != c.base {
			t.Errorf("%s %s: %s %+v", c.name, c.unit, show(ps), ps)
			continue
		}
		if ps[0].Series.ID != telemetry.SeriesID(cm.Labels.Hash()) {
			t.Errorf("%s: a gauge keeps the identity of its labels", c.name)
		}
	}
}

func TestUnwatchedSeriesAreCountedNotDerived(t *testing.T) {
	f := newFeed()
	for _, n := range []string{
		"x_created", "target_info", "go_info", "scrape_duration_seconds", "process_start_time_seconds", "ALERTS", "ALERTS_FOR_STATE",
		"last_success_timestamp_seconds", "",
	} {
		for ts := int64(1); ts < 4; ts++ {
			if ps := f.send(f.at(ts*1000, float64(ts), "", "__name__", n, "job", "x")); len(ps) != 0 {
				t.Errorf("%q gave %s", n, show(ps))
			}
		}
	}
	if st := f.d.Stats(); st.Skipped != 9 || st.Watched != 0 {
		t.Errorf("stats %+v", st)
	}
	if ps := f.send(f.at(1000, 1, "", "__name__", "up", "job", "x")); len(ps) != 1 || ps[0].Series.Signal != telemetry.SignalUp {
		t.Errorf("up: %s", show(ps))
	}
}

func TestCountWithoutSiblingsIsAGaugeAndWithThemACounter(t *testing.T) {
	f := newFeed()
	var alone, joined []telemetry.Point
	for ts := int64(1); ts <= 3; ts++ {
		alone = append(alone, f.send(f.at(ts*10_000, 40-float64(ts), "", "__name__", "jvm_threads_count", "job", "x"))...)
		joined = append(joined, f.send(
			f.at(ts*10_000, 10*float64(ts), "", "__name__", "rpc_seconds_count", "job", "x"),
			f.at(ts*10_000, 5*float64(ts), "", "__name__", "rpc_seconds_sum", "job", "x"))...)
	}
	if got := show(alone); got != "jvm_threads_count@20000=38 jvm_threads_count@30000=37" {
		t.Errorf("alone: %s", got)
	}
	if got := show(joined); got != "rate(rpc_seconds_count)@20000=1 mean(rpc_seconds)@20000=0.5 rate(rpc_seconds_count)@30000=1 mean(rpc_seconds)@30000=0.5" {
		t.Errorf("joined: %s", got)
	}
}

// histogramFeed sends one classic histogram.
type histogramFeed struct {
	*feed
	bounds []float64
	cum    []float64
}

func (h *histogramFeed) add(values ...float64) {
	for _, v := range values {
		for i, b := range h.bounds {
			if v <= b {
				h.cum[i]++
			}
		}
	}
}

func (h *histogramFeed) samples(ts int64) []store.Committed {
	var out []store.Committed
	for i, b := range h.bounds {
		le := fmt.Sprintf("%g", b)
		out = append(out, h.at(ts, h.cum[i], "", "__name__", "lat_seconds_bucket", "job", "x", "le", le))
	}
	return out
}

func TestHistogramQuantilesEqualPromQL(t *testing.T) {
	const seed = 7
	r := rand.New(rand.NewSource(seed))
	t.Logf("seed %d", seed)
	bounds := []float64{-1, 0, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, math.Inf(1)}
	for round := range 200 {
		from := r.Intn(len(bounds) - 1)
		h := &histogramFeed{feed: newFeed(), bounds: bounds[from:], cum: make([]float64, len(bounds)-from)}
		h.send(h.samples(1000)...)
		for step := int64(2); step < 6; step++ {
			before := append([]float64(nil), h.cum...)
			for range r.Intn(30) {
				h.add(math.Abs(r.NormFloat64()) * math.Pow(10, float64(r.Intn(4)-3)))
			}
			got := map[string]float64{}
			batch := h.samples(step * 1000)
			r.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
			for _, p := range h.send(batch...) {
				if p.T == step*1000 {
					got[p.Series.Name] = p.V
				}
			}
			if step == 2 {
				continue // the first interval is only complete with the next timestamp
			}
			for name, q := range map[string]float64{"p50(lat_seconds)": 0.5, "p99(lat_seconds)": 0.99} {
				var bs promql.Buckets
				for i, b := range h.bounds {
					bs = append(bs, promql.Bucket{UpperBound: b, Count: h.cum[i] - before[i]})
				}
				want, _, _, _, _, _ := promql.BucketQuantile(q, bs)
				v, ok := got[name]
				if math.IsNaN(want) == ok || ok && math.Abs(v-want) > 1e-12 {
					t.Fatalf("round %d step %d %s: got %v (%v), PromQL %v of %v", round, step, name, v, ok, want, bs)
				}
			}
		}
	}
}

func TestHistogramSplitOverShardsAndOutOfStep(t *testing.T) {
	h := &histogramFeed{feed: newFeed(), bounds: []float64{1, 2, math.Inf(1)}, cum: make([]float64, 3)}
	var ps []telemetry.Point
	ps = append(ps, h.send(h.samples(10_000)...)...)
	h.add(0.5, 1.5)
	s2 := h.samples(20_000)
	h.add(1.5, 1.5)
	s3 := h.samples(30_000)
	h.add(0.5)
	s4 := h.samples(40_000)
	// the shard of the first bucket is one timestamp ahead of the others
	ps = append(ps, h.send(s2[0], s3[0], s2[1], s2[2], s4[0], s3[2], s3[1], s4[1], s4[2])...)
	want := "p50(lat_seconds)@20000=1 p99(lat_seconds)@20000=1.98 p50(lat_seconds)@30000=1.5 p99(lat_seconds)@30000=1.99 p50(lat_seconds)@40000=0.5 p99(lat_seconds)@40000=0.99"
	if got := show(ps); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestHistogramResetsVanishingAndNewBuckets(t *testing.T) {
	h := &histogramFeed{feed: newFeed(), bounds: []float64{1, 2, math.Inf(1)}, cum: make([]float64, 3)}
	step := func(ts int64) string { return show(h.send(h.samples(ts)...)) }
	step(10_000)
	h.add(0.5, 0.5)
	step(20_000)
	h.add(1.5)
	if got := step(30_000); got != "p50(lat_seconds)@20000=0.5 p99(lat_seconds)@20000=0.99 p50(lat_seconds)@30000=1.5 p99(lat_seconds)@30000=1.99" &&
		got != "p50(lat_seconds)@30000=1.5 p99(lat_seconds)@30000=1.99" {
		t.Errorf("before the reset: %s", got)
	}
	h.cum = []float64{0, 1, 1}
	if got := step(40_000); got != "p50(lat_seconds)@40000=1.5 p99(lat_seconds)@40000=1.99" {
		t.Errorf("reset: %s", got)
	}
	if got := step(50_000); got != "" {
		t.Errorf("no observations: %s", got)
	}
	h.bounds, h.cum = []float64{1, math.Inf(1)}, []float64{0, 1} // a bucket is gone
	for ts := int64(60_000); ts <= 80_000; ts += 10_000 {
		step(ts)
	}
	h.add(0.2)
	if got := step(90_000); got != "p50(lat_seconds)@90000=0.5 p99(lat_seconds)@90000=0.99" {
		t.Errorf("after a bucket vanished: %s", got)
	}
	h.bounds, h.cum = []float64{0.5, 1, math.Inf(1)}, []float64{1, 1, 2} // and a new one came
	step(100_000)
	h.add(0.2)
	if got := step(110_000); got != "p50(lat_seconds)@110000=0.25 p99(lat_seconds)@110000=0.495" {
		t.Errorf("after a bucket came: %s", got)
	}
	for _, ref := range h.refs {
		h.d.Forget(ref)
	}
	if st := h.d.Stats(); st.Families != 0 || st.Watched != 0 {
		t.Errorf("forgotten, but %+v is left", st)
	}
}

// list is a native histogram that keeps its observations.
type list []float64

func (l list) Count() float64 { return float64(len(l)) }
func (l list) Sum() (s float64) {
	for _, v := range l {
		s += v
	}
	return s
}
func (l list) Quantile(q float64) float64 {
	if len(l) == 0 {
		return math.NaN()
	}
	return l[int(q*float64(len(l)-1))]
}
func (l list) Sub(prev store.Histogram) store.Histogram {
	p := prev.(list)
	if len(p) > len(l) {
		return nil
	}
	return l[len(p):]
}

func TestNativeHistogramsGiveTheIntervalsObservations(t *testing.T) {
	f := newFeed()
	send := func(ts int64, h list) string {
		c := f.at(ts, 0, "histogram", "__name__", "lat_seconds", "job", "x")
		c.H = h
		return show(f.send(c))
	}
	send(10_000, list{9, 9, 9})
	if got := send(20_000, list{9, 9, 9, 1, 2, 3}); got != "rate(lat_seconds)@20000=0.3 p50(lat_seconds)@20000=2 p99(lat_seconds)@20000=2 mean(lat_seconds)@20000=2" {
		t.Errorf("got %s", got)
	}
	if got := send(30_000, list{1}); got != "" {
		t.Errorf("reset gave %s", got)
	}
	if got := send(40_000, list{1}); got != "rate(lat_seconds)@40000=0" {
		t.Errorf("idle: %s", got)
	}
}
