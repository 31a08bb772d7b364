package normalize

import (
	"math"
	"math/rand"
	"slices"
	"sync"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const sec = pcommon.Timestamp(1e9)

func deltaMetric(name string) (pmetric.Metrics, pmetric.Metric) {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "cart")
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(name)
	return md, m
}

func deltaSum(start, end pcommon.Timestamp, v int64, route string) pmetric.Metrics {
	md, m := deltaMetric("requests")
	s := m.SetEmptySum()
	s.SetIsMonotonic(true)
	s.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	p := s.DataPoints().AppendEmpty()
	p.SetStartTimestamp(start)
	p.SetTimestamp(end)
	p.SetIntValue(v)
	p.Attributes().PutStr("route", route)
	return md
}

func sumPoints(md pmetric.Metrics) pmetric.NumberDataPointSlice {
	return md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints()
}

func TestDeltaSumsAddUpAndLateOnesAreDropped(t *testing.T) {
	c := NewCumulator(0)
	for _, step := range []struct {
		start, end pcommon.Timestamp
		v, want    int64
	}{
		{10 * sec, 20 * sec, 5, 5}, {20 * sec, 30 * sec, 7, 12}, {20 * sec, 30 * sec, 7, -1}, {0, 25 * sec, 100, -1},
		{90 * sec, 100 * sec, 1, 13}, // a gap
	} {
		md := deltaSum(step.start, step.end, step.v, "/a")
		c.Apply(md)
		ps := sumPoints(md)
		if step.want < 0 {
			if ps.Len() != 0 {
				t.Errorf("%v: kept a late point", step)
			}
			continue
		}
		if ps.Len() != 1 || ps.At(0).IntValue() != step.want || ps.At(0).StartTimestamp() != 10*sec {
			t.Errorf("%v: got %d from %d", step, ps.At(0).IntValue(), ps.At(0).StartTimestamp())
		}
	}
	other := deltaSum(10*sec, 20*sec, 3, "/b")
	c.Apply(other)
	if sumPoints(other).At(0).IntValue() != 3 {
		t.Error("another stream's total was used")
	}
	if again := sumPoints(other).At(0).IntValue(); again != 3 {
		t.Error(again)
	}
	if st := c.Stats(); st.OutOfOrder != 2 || st.Streams != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestCumulativeAndGaugesStayAsTheyAre(t *testing.T) {
	c := NewCumulator(0)
	md, m := deltaMetric("x")
	s := m.SetEmptySum()
	s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	s.DataPoints().AppendEmpty().SetIntValue(9)
	for range 2 {
		c.Apply(md)
		if got := sumPoints(md).At(0).IntValue(); got != 9 {
			t.Fatalf("got %d", got)
		}
	}
	if c.Stats().Streams != 0 {
		t.Error("keeps state for a cumulative stream")
	}
}

func TestDeltaHistogramsAddUpAndRestartWithOtherBuckets(t *testing.T) {
	c := NewCumulator(0)
	send := func(end pcommon.Timestamp, bounds []float64, counts []uint64) pmetric.HistogramDataPoint {
		md, m := deltaMetric("latency")
		h := m.SetEmptyHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		p := h.DataPoints().AppendEmpty()
		p.SetStartTimestamp(end - 10*sec)
		p.SetTimestamp(end)
		p.ExplicitBounds().FromRaw(bounds)
		p.BucketCounts().FromRaw(counts)
		n := uint64(0)
		for _, x := range counts {
			n += x
		}
		p.SetCount(n)
		p.SetSum(float64(n))
		p.SetMax(3)
		c.Apply(md)
		return h.DataPoints().At(0)
	}
	send(20*sec, []float64{1, 2}, []uint64{1, 2, 3})
	p := send(30*sec, []float64{1, 2}, []uint64{10, 0, 1})
	if !slices.Equal(p.BucketCounts().AsRaw(), []uint64{11, 2, 4}) || p.Count() != 17 || p.Sum() != 17 || p.HasMax() || p.StartTimestamp() != 10*sec {
		t.Errorf("got %v count %d sum %v", p.BucketCounts().AsRaw(), p.Count(), p.Sum())
	}
	p = send(40*sec, []float64{1, 5}, []uint64{1, 1, 1})
	if !slices.Equal(p.BucketCounts().AsRaw(), []uint64{1, 1, 1}) || p.Count() != 3 || p.StartTimestamp() != 30*sec {
		t.Errorf("other buckets: %v count %d start %d", p.BucketCounts().AsRaw(), p.Count(), p.StartTimestamp())
	}
}

// TestExponentialHistogramsEqualOneHistogramOfEverything sends observations in
// deltas of changing scale and compares each bucket with the truth.
func TestExponentialHistogramsEqualOneHistogramOfEverything(t *testing.T) {
	const seed = 11
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewSource(seed))
	c := NewCumulator(0)
	var all []float64
	for step := range 20 {
		md, m := deltaMetric("latency")
		h := m.SetEmptyExponentialHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		p := h.DataPoints().AppendEmpty()
		p.SetTimestamp(pcommon.Timestamp(step+1) * sec)
		p.SetScale(int32(3 - step%4))
		var pos, neg []float64
		for range r.Intn(40) {
			v := math.Exp(3 * r.NormFloat64())
			if r.Intn(3) == 0 {
				neg = append(neg, v)
				v = -v
			} else {
				pos = append(pos, v)
			}
			all = append(all, v)
		}
		fillExp(p.Positive(), pos, p.Scale())
		fillExp(p.Negative(), neg, p.Scale())
		p.SetCount(uint64(len(pos) + len(neg)))
		c.Apply(md)
		p = h.DataPoints().At(0)
		if p.Count() != uint64(len(all)) {
			t.Fatalf("step %d: count %d, want %d", step, p.Count(), len(all))
		}
		checkExp(t, p.Positive(), all, p.Scale(), 1)
		checkExp(t, p.Negative(), all, p.Scale(), -1)
	}
}

func expIndex(v float64, scale int32) int32 {
	return int32(math.Ceil(math.Log2(v)*math.Ldexp(1, int(scale)))) - 1
}

func fillExp(b pmetric.ExponentialHistogramDataPointBuckets, vs []float64, scale int32) {
	if len(vs) == 0 {
		return
	}
	lo, hi := int32(math.MaxInt32), int32(math.MinInt32)
	for _, v := range vs {
		lo, hi = min(lo, expIndex(v, scale)), max(hi, expIndex(v, scale))
	}
	counts := make([]uint64, hi-lo+3) // with empty ones at the end
	for _, v := range vs {
		counts[expIndex(v, scale)-lo+1]++
	}
	b.SetOffset(lo - 1)
	b.BucketCounts().FromRaw(counts)
}

func checkExp(t *testing.T, b pmetric.ExponentialHistogramDataPointBuckets, all []float64, scale int32, sign float64) {
	t.Helper()
	want := map[int32]uint64{}
	for _, v := range all {
		if v*sign > 0 {
			want[expIndex(v*sign, scale)]++
		}
	}
	for i, n := range b.BucketCounts().AsRaw() {
		if want[b.Offset()+int32(i)] != n {
			t.Fatalf("scale %d bucket %d: %d, want %d", scale, b.Offset()+int32(i), n, want[b.Offset()+int32(i)])
		}
		delete(want, b.Offset()+int32(i))
	}
	if len(want) != 0 {
		t.Fatalf("scale %d: buckets missing: %v", scale, want)
	}
}

func TestStreamsAreBoundedAndExpire(t *testing.T) {
	c := NewCumulator(160)
	at := func(ts pcommon.Timestamp, n int) {
		for i := range n {
			c.Apply(deltaSum(0, ts, 1, string(rune('a'+i%26))+string(rune('a'+i/26))+string(rune(ts%1000))))
		}
	}
	at(1000*sec, 600)
	st := c.Stats()
	if st.Streams > 160 || st.Streams+int(st.Refused) != 600 {
		t.Errorf("under a flood: %+v", st)
	}
	at(1000*sec+2*pcommon.Timestamp(streamExpiry)+7, 100)
	if st := c.Stats(); st.Streams > 110 {
		t.Errorf("after two hours: %+v", st)
	}
}

func TestConcurrentDeltasLoseNothing(t *testing.T) {
	c := NewCumulator(0)
	var wg sync.WaitGroup
	last := make([]int64, 8)
	for w := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 500 {
				md := deltaSum(0, pcommon.Timestamp(i+1)*sec, 2, string(rune('a'+w)))
				c.Apply(md)
				last[w] = sumPoints(md).At(0).IntValue()
			}
		}()
	}
	wg.Wait()
	for w, v := range last {
		if v != 1000 {
			t.Errorf("stream %d: %d", w, v)
		}
	}
}

func FuzzCumulator(f *testing.F) {
	md := deltaSum(1, 2, 3, "/a")
	raw, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	e, m := deltaMetric("exp")
	h := m.SetEmptyExponentialHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	p := h.DataPoints().AppendEmpty()
	p.SetTimestamp(5)
	p.SetScale(math.MaxInt32)
	p.Positive().SetOffset(math.MinInt32)
	p.Positive().BucketCounts().FromRaw([]uint64{1, 0, 1})
	raw, err = (&pmetric.ProtoMarshaler{}).MarshalMetrics(e)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := NewCumulator(100)
		for range 2 {
			md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(raw)
			if err != nil {
				return
			}
			c.Apply(md)
		}
		if c.Stats().Streams > 200 {
			t.Fatal("streams are not bounded")
		}
	})
}
