package normalize

import (
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const (
	defaultStreams    = 1_000_000
	streamExpiry      = int64(3600 * 1e9) // ns on the data's clock
	cumulateShards    = 16
	maxExpBuckets     = 320 // per sign, after which the scale is lowered
	clockAheadAllowed = int64(24 * 3600 * 1e9)
)

// Cumulator turns OTLP metrics of delta temporality into cumulative ones,
// because the store and PromQL know only those (OpenTelemetry metrics data
// model, "Sums: Delta-to-Cumulative"). Streams are identified by resource,
// scope, metric name, unit and attributes. A point that ends at or before the
// last one of its stream is dropped and counted; gaps are taken as nothing
// observed. Streams that were silent for an hour of the data's own clock are
// forgotten: if they come back they begin at 0 with a new start time, as any
// restarted counter. Safe for concurrent use; at most a million streams, further ones are dropped
// and counted.
type Cumulator struct {
	shards  [cumulateShards]cumulateShard
	limit   int
	clock   atomic.Int64
	dropped atomic.Uint64
	refused atomic.Uint64
}

type cumulateShard struct {
	mu    sync.Mutex
	m     map[uint64]*stream
	swept int64 // the clock at the last sweep
}

// stream is the running total of one delta stream.
type stream struct {
	start, last pcommon.Timestamp
	seen        int64 // the clock when it was last updated
	sum         float64
	isum        int64
	isInt       bool
	count       uint64
	bounds      []float64
	counts      []uint64
	exp         *expHistogram
}

// CumulatorStats counts what a [Cumulator] holds and dropped.
type CumulatorStats struct {
	Streams    int
	OutOfOrder uint64 // delta points that were not newer than the last of their stream
	Refused    uint64 // delta points of streams beyond the limit
}

// NewCumulator makes a Cumulator for at most limit streams (0 for a million).
func NewCumulator(limit int) *Cumulator {
	if limit <= 0 {
		limit = defaultStreams
	}
	c := &Cumulator{limit: limit}
	for i := range c.shards {
		c.shards[i].m = map[uint64]*stream{}
	}
	return c
}

// Stats returns the current counts.
func (c *Cumulator) Stats() CumulatorStats {
	st := CumulatorStats{OutOfOrder: c.dropped.Load(), Refused: c.refused.Load()}
	for i := range c.shards {
		c.shards[i].mu.Lock()
		st.Streams += len(c.shards[i].m)
		c.shards[i].mu.Unlock()
	}
	return st
}

// Apply converts md in place. Points that have to be dropped are removed;
// everything that is cumulative already, and gauges and summaries, stay.
func (c *Cumulator) Apply(md pmetric.Metrics) {
	for i := range md.ResourceMetrics().Len() {
		rm := md.ResourceMetrics().At(i)
		var base uint64
		for j := range rm.ScopeMetrics().Len() {
			sm := rm.ScopeMetrics().At(j)
			scope := uint64(0)
			for k := range sm.Metrics().Len() {
				m := sm.Metrics().At(k)
				if !isDelta(m) {
					continue
				}
				if base == 0 {
					base = hashMap(rm.Resource().Attributes()) | 1
				}
				if scope == 0 {
					scope = mix(hashStrings(sm.Scope().Name(), sm.Scope().Version()), hashMap(sm.Scope().Attributes())) | 1
				}
				c.metric(m, mix(base, scope))
			}
		}
	}
}

func isDelta(m pmetric.Metric) bool {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		return m.Sum().AggregationTemporality() == pmetric.AggregationTemporalityDelta
	case pmetric.MetricTypeHistogram:
		return m.Histogram().AggregationTemporality() == pmetric.AggregationTemporalityDelta
	case pmetric.MetricTypeExponentialHistogram:
		return m.ExponentialHistogram().AggregationTemporality() == pmetric.AggregationTemporalityDelta
	}
	return false
}

func (c *Cumulator) metric(m pmetric.Metric, base uint64) {
	id := mix(base, hashStrings(m.Name(), m.Unit(), m.Type().String()))
	switch m.Type() {
	case pmetric.MetricTypeSum:
		m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		m.Sum().DataPoints().RemoveIf(func(p pmetric.NumberDataPoint) bool {
			return noValue(p.Flags()) || !c.update(mix(id, hashMap(p.Attributes())), p.StartTimestamp(), p.Timestamp(), func(s *stream) { s.addNumber(p) })
		})
	case pmetric.MetricTypeHistogram:
		m.Histogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		m.Histogram().DataPoints().RemoveIf(func(p pmetric.HistogramDataPoint) bool {
			return noValue(p.Flags()) || !c.update(mix(id, hashMap(p.Attributes())), p.StartTimestamp(), p.Timestamp(), func(s *stream) { s.addHistogram(p) })
		})
	case pmetric.MetricTypeExponentialHistogram:
		m.ExponentialHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		m.ExponentialHistogram().DataPoints().RemoveIf(func(p pmetric.ExponentialHistogramDataPoint) bool {
			return noValue(p.Flags()) || !c.update(mix(id, hashMap(p.Attributes())), p.StartTimestamp(), p.Timestamp(), func(s *stream) { s.addExponential(p) })
		})
	}
}

func noValue(f pmetric.DataPointFlags) bool { return f.NoRecordedValue() }

// update finds or makes the stream and lets add use it, under the shard's
// lock. It reports whether the point may stay.
func (c *Cumulator) update(id uint64, start, t pcommon.Timestamp, add func(*stream)) bool {
	sh := &c.shards[id%cumulateShards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := c.advance(int64(t))
	s := sh.m[id]
	if s == nil {
		sh.sweep(now)
		if len(sh.m) >= c.perShard() {
			c.refused.Add(1)
			return false
		}
		if start == 0 || start > t {
			start = t
		}
		s = &stream{start: start}
		sh.m[id] = s
	} else if t <= s.last {
		c.dropped.Add(1)
		return false
	}
	s.last, s.seen = t, now
	add(s)
	return true
}

func (c *Cumulator) perShard() int { return max(1, c.limit/cumulateShards) }

// advance moves the data's clock. A single point from the far future moves it
// by at most a day, so that it cannot expire everything at once again and again.
func (c *Cumulator) advance(t int64) int64 {
	for {
		now := c.clock.Load()
		if t <= now {
			return now
		}
		if now != 0 && t > now+clockAheadAllowed {
			t = now + streamExpiry/4
		}
		if c.clock.CompareAndSwap(now, t) {
			return t
		}
	}
}

// sweep drops silent streams, at most eight times in the time of expiry.
func (sh *cumulateShard) sweep(now int64) {
	if now-sh.swept < streamExpiry/8 {
		return
	}
	sh.swept = now
	for id, s := range sh.m {
		if now-s.seen > streamExpiry {
			delete(sh.m, id)
		}
	}
}

func (s *stream) addNumber(p pmetric.NumberDataPoint) {
	switch p.ValueType() {
	case pmetric.NumberDataPointValueTypeInt:
		if s.count == 0 {
			s.isInt = true
		}
		s.isum += p.IntValue()
	case pmetric.NumberDataPointValueTypeDouble:
		s.isInt = false
		if finite(p.DoubleValue()) {
			s.sum += p.DoubleValue()
		}
	}
	s.count++
	p.SetStartTimestamp(s.start)
	if s.isInt {
		p.SetIntValue(s.isum)
	} else {
		p.SetDoubleValue(s.sum + float64(s.isum))
	}
}

// restart begins the totals anew, before the point that starts at start.
func (s *stream) restart(start pcommon.Timestamp) {
	if start == 0 || start >= s.last {
		start = s.last - 1
	}
	*s = stream{start: start, last: s.last, seen: s.seen}
}

func (s *stream) addHistogram(p pmetric.HistogramDataPoint) {
	bounds, counts := p.ExplicitBounds().AsRaw(), p.BucketCounts().AsRaw()
	if s.counts != nil && (!slices.Equal(s.bounds, bounds) || len(s.counts) != len(counts)) {
		s.restart(p.StartTimestamp())
	}
	if s.counts == nil {
		s.bounds, s.counts = bounds, make([]uint64, len(counts))
	}
	for i, n := range counts {
		s.counts[i] += n
	}
	s.count += p.Count()
	if p.HasSum() && finite(p.Sum()) {
		s.sum += p.Sum()
	}
	p.SetStartTimestamp(s.start)
	p.BucketCounts().FromRaw(s.counts)
	p.SetCount(s.count)
	if p.HasSum() {
		p.SetSum(s.sum)
	}
	p.RemoveMin() // those of one interval say nothing of all
	p.RemoveMax()
}

func (s *stream) addExponential(p pmetric.ExponentialHistogramDataPoint) {
	if s.exp == nil {
		s.exp = &expHistogram{scale: clampScale(p.Scale())}
	}
	s.exp.add(p)
	s.count += p.Count()
	if p.HasSum() && finite(p.Sum()) {
		s.sum += p.Sum()
	}
	p.SetStartTimestamp(s.start)
	s.exp.write(p)
	p.SetCount(s.count)
	if p.HasSum() {
		p.SetSum(s.sum)
	}
	p.RemoveMin()
	p.RemoveMax()
}

func mix(a, b uint64) uint64 {
	a ^= b + 0x9e3779b97f4a7c15 + a<<12 + a>>4
	a ^= a >> 32
	a *= 0xd6e8feb86659fd93
	a ^= a >> 32
	return a
}

func hashStrings(ss ...string) uint64 {
	var d xxhash.Digest
	d.Reset()
	for _, s := range ss {
		_, _ = d.WriteString(s)
		_, _ = d.WriteString("\x00")
	}
	return d.Sum64()
}

// hashMap hashes attributes without regard to their order.
func hashMap(m pcommon.Map) uint64 {
	var h uint64
	m.Range(func(k string, v pcommon.Value) bool {
		var val uint64
		switch v.Type() {
		case pcommon.ValueTypeStr:
			val = xxhash.Sum64String(v.Str())
		case pcommon.ValueTypeInt:
			val = hashUint(uint64(v.Int()))
		case pcommon.ValueTypeDouble:
			val = hashUint(math.Float64bits(v.Double()))
		default:
			val = xxhash.Sum64String(v.AsString())
		}
		h += mix(xxhash.Sum64String(k), mix(val, uint64(v.Type())))
		return true
	})
	return h
}

func hashUint(v uint64) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	return xxhash.Sum64(b[:])
}
