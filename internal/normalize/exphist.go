package normalize

import "go.opentelemetry.io/collector/pdata/pmetric"

// expBuckets are the counts of consecutive exponential buckets.
type expBuckets struct {
	offset int32
	counts []uint64
}

// expHistogram is the running total of an exponential histogram
// (OpenTelemetry metrics data model, "ExponentialHistogram"): merging two
// scales lowers the finer one, which joins each pair of neighbours.
type expHistogram struct {
	scale         int32
	zeroCount     uint64
	zeroThreshold float64
	pos, neg      expBuckets
}

func (h *expHistogram) add(p pmetric.ExponentialHistogramDataPoint) {
	own := clampScale(p.Scale())
	scale := min(h.scale, own)
	pos := bucketsOf(p.Positive(), own-scale)
	neg := bucketsOf(p.Negative(), own-scale)
	h.lower(h.scale - scale)
	for span(h.pos, pos) > maxExpBuckets || span(h.neg, neg) > maxExpBuckets {
		h.lower(1)
		pos.lower(1)
		neg.lower(1)
	}
	h.pos.merge(pos)
	h.neg.merge(neg)
	h.zeroCount += p.ZeroCount()
	h.zeroThreshold = max(h.zeroThreshold, p.ZeroThreshold())
}

func (h *expHistogram) lower(by int32) {
	if by <= 0 {
		return
	}
	h.scale -= by
	h.pos.lower(by)
	h.neg.lower(by)
}

func (h *expHistogram) write(p pmetric.ExponentialHistogramDataPoint) {
	p.SetScale(h.scale)
	p.SetZeroCount(h.zeroCount)
	p.SetZeroThreshold(h.zeroThreshold)
	p.Positive().SetOffset(h.pos.offset)
	p.Positive().BucketCounts().FromRaw(h.pos.counts)
	p.Negative().SetOffset(h.neg.offset)
	p.Negative().BucketCounts().FromRaw(h.neg.counts)
}

// bucketsOf copies a point's buckets without the empty ones at both ends and
// lowers their scale.
func bucketsOf(b pmetric.ExponentialHistogramDataPointBuckets, by int32) expBuckets {
	counts := b.BucketCounts().AsRaw()
	from, to := 0, len(counts)
	for from < to && counts[from] == 0 {
		from++
	}
	for to > from && counts[to-1] == 0 {
		to--
	}
	out := expBuckets{offset: clampOffset(int64(b.Offset()) + int64(from)), counts: counts[from:to]}
	out.lower(by)
	return out
}

// clampScale keeps differences of scales small; the protocol's useful range is
// -10 to 20.
func clampScale(s int32) int32 { return max(-40, min(40, s)) }

// clampOffset keeps offsets where adding a bucket's index cannot overflow;
// doubles need no more than about 2^31 at the finest scale that is in use.
func clampOffset(o int64) int32 {
	const limit = 1 << 30
	return int32(max(-limit, min(limit, o)))
}

// lower joins the buckets 2^by by 2^by. Bucket i goes to i >> by (arithmetic
// shift), since its bounds are (base^i, base^(i+1)].
func (b *expBuckets) lower(by int32) {
	if by <= 0 || len(b.counts) == 0 {
		return
	}
	by = min(by, 31)
	first := b.offset >> by
	last := (b.offset + int32(len(b.counts)) - 1) >> by
	out := make([]uint64, last-first+1)
	for i, n := range b.counts {
		out[(b.offset+int32(i))>>by-first] += n
	}
	b.offset, b.counts = first, out
}

// span is how many buckets a and b need together.
func span(a, b expBuckets) int64 {
	switch {
	case len(a.counts) == 0:
		return int64(len(b.counts))
	case len(b.counts) == 0:
		return int64(len(a.counts))
	}
	lo := min(int64(a.offset), int64(b.offset))
	hi := max(int64(a.offset)+int64(len(a.counts)), int64(b.offset)+int64(len(b.counts)))
	return hi - lo
}

// merge adds o, which has the same scale.
func (b *expBuckets) merge(o expBuckets) {
	if len(o.counts) == 0 {
		return
	}
	if len(b.counts) == 0 {
		b.offset, b.counts = o.offset, append([]uint64(nil), o.counts...)
		return
	}
	lo := min(b.offset, o.offset)
	if n := span(*b, o); int64(len(b.counts)) < n || lo < b.offset {
		grown := make([]uint64, n)
		copy(grown[b.offset-lo:], b.counts)
		b.offset, b.counts = lo, grown
	}
	for i, n := range o.counts {
		b.counts[o.offset-b.offset+int32(i)] += n
	}
}
