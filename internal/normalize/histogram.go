package normalize

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// bucket is one cumulative bucket of a classic histogram. Two timestamps are
// collected at the same time, because senders that split a batch by series may
// start the next one before the last is complete.
type bucket struct {
	upper               float64
	prev, cur, next     float64
	prevT, curT, nextT  int64
	hasPrev, hasC, hasN bool
	increment           float64 // scratch of close
	usable              bool    // scratch of close
	refs                int     // raw series that feed it
}

// family joins the series of one classic histogram or summary: the same labels
// but for le, names that differ in their suffix.
type family struct {
	key    uint64
	labels labels.Labels // name without suffix, no le
	factor float64
	unit   string

	mu       sync.Mutex // guards what follows
	members  int        // raw series
	buckets  []*bucket  // by upper bound
	t, nextT int64      // the timestamps that are collected, 0 for none
	seen     int        // buckets that came for t
	seenNext int
	expected int   // buckets of the last complete timestamp, 0 before the first
	closedT  int64 // last closed timestamp

	hasCount, hasSum   bool
	countT, sumT       int64
	count, sum         float64
	baseT              int64
	baseCount, baseSum float64

	p50, p99, mean *telemetry.Series
	guard          bool // a policy says which values are taken
	seats          [3]telemetry.Seat
}

type familyTable struct {
	shards [32]struct {
		mu sync.Mutex
		m  map[uint64]*family
	}
}

func (ft *familyTable) init() {
	for i := range ft.shards {
		ft.shards[i].m = map[uint64]*family{}
	}
}

func (ft *familyTable) len() int {
	n := 0
	for i := range ft.shards {
		ft.shards[i].mu.Lock()
		n += len(ft.shards[i].m)
		ft.shards[i].mu.Unlock()
	}
	return n
}

// leave takes one series out of its family and frees the family after the last.
func (ft *familyTable) leave(f *family, b *bucket) {
	sh := &ft.shards[f.key%uint64(len(ft.shards))]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members--
	if b != nil {
		if b.refs--; b.refs == 0 {
			f.buckets = slices.DeleteFunc(f.buckets, func(x *bucket) bool { return x == b })
		}
	}
	if f.members <= 0 && sh.m[f.key] == f {
		delete(sh.m, f.key)
	}
}

// join puts a _bucket, _count or _sum series into its family. A bucket whose
// bound cannot be read is not watched.
func (d *Deriver) join(e *entry) {
	if e.kind != kindBucket && e.kind != kindCounter && e.kind != kindMaybe {
		return
	}
	name := e.labels.Get(labels.MetricName)
	upper := 0.0
	if e.kind == kindBucket {
		var err error
		if upper, err = strconv.ParseFloat(e.labels.Get("le"), 64); err != nil || math.IsNaN(upper) {
			e.kind, e.mode = kindSkip, kindSkip
			return
		}
	}
	own := labels.NewBuilder(e.labels).Del("le").Set(labels.MetricName, familyName(name)).Labels()
	key := own.Hash()
	sh := &d.families.shards[key%uint64(len(d.families.shards))]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	f := sh.m[key]
	if f == nil {
		f = &family{key: key, labels: own, factor: 1}
		sh.m[key] = f
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.kind == kindBucket || e.isSum {
		f.factor, f.unit = e.factor, e.unit
	}
	f.members++
	e.fam = f
	switch {
	case e.kind == kindBucket:
		e.bucket = f.bucketFor(upper)
	case e.isSum:
		f.hasSum = true
	case strings.HasSuffix(name, "_count"):
		f.hasCount = true
	}
}

func (f *family) bucketFor(upper float64) *bucket {
	i, ok := slices.BinarySearchFunc(f.buckets, upper, func(b *bucket, u float64) int {
		switch {
		case b.upper < u:
			return -1
		case b.upper > u:
			return 1
		}
		return 0
	})
	if !ok {
		f.buckets = slices.Insert(f.buckets, i, &bucket{upper: upper})
	}
	f.buckets[i].refs++
	return f.buckets[i]
}

// isJoined reports whether a _count or _sum has siblings, which makes it part
// of a histogram or summary.
func (f *family) isJoined() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hasCount && f.hasSum || len(f.buckets) > 0
}

// observe takes one bucket's sample. The quantiles of a timestamp come out as
// soon as all its buckets have come, at the latest with the second later
// timestamp.
func (f *family) observe(d *Deriver, b *bucket, t int64, v float64, out []telemetry.Point) []telemetry.Point {
	if !finite(v) {
		return out
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.t == 0 && t > f.closedT:
		f.t = t
	case f.t != 0 && t > f.t && f.nextT == 0:
		f.nextT = t
	case f.nextT != 0 && t > f.nextT:
		out = f.close(d, out)
		out = f.closeComplete(d, out)
		if f.t == 0 {
			f.t = t
		} else {
			f.nextT = t
		}
	}
	switch {
	case t == f.t && !b.hasC:
		b.cur, b.curT, b.hasC = v, t, true
		f.seen++
		out = f.closeComplete(d, out)
	case t == f.nextT && f.nextT != 0 && !b.hasN:
		b.next, b.nextT, b.hasN = v, t, true
		f.seenNext++
	case t == f.closedT && !b.hasPrev: // a new bucket, after the known ones were complete
		b.prev, b.prevT, b.hasPrev = v, t, true
		f.expected++
	default:
		d.outOfOrder.Add(1)
	}
	return out
}

// closeComplete closes every timestamp whose buckets have all come.
func (f *family) closeComplete(d *Deriver, out []telemetry.Point) []telemetry.Point {
	for f.t != 0 && f.expected > 0 && f.seen >= f.expected {
		out = f.close(d, out)
	}
	return out
}

// close ends the collection of f.t, emits its quantiles, and goes on to the
// next timestamp. Runs under f.mu.
func (f *family) close(d *Deriver, out []telemetry.Point) []telemetry.Point {
	reset := false
	for _, b := range f.buckets {
		b.usable = b.hasC && b.hasPrev && b.prevT == f.closedT
		reset = reset || b.usable && b.cur < b.prev
	}
	for _, b := range f.buckets {
		b.increment = b.cur
		if !reset {
			b.increment -= b.prev
		}
	}
	if reset {
		d.resets.Add(1)
	}
	if f.closedT != 0 {
		out = f.quantiles(d, out)
	}
	f.expected = f.seen
	f.closedT = f.t
	for _, b := range f.buckets {
		b.hasPrev = b.hasC
		if b.hasC {
			b.prev, b.prevT = b.cur, b.curT
		}
		b.cur, b.curT, b.hasC = b.next, b.nextT, b.hasN
		b.hasN = false
	}
	f.t, f.seen, f.nextT, f.seenNext = f.nextT, f.seenNext, 0, 0
	return out
}

func (f *family) quantiles(d *Deriver, out []telemetry.Point) []telemetry.Point {
	p50, ok := f.quantile(0.5)
	if !ok {
		return out
	}
	p99, _ := f.quantile(0.99)
	if f.p50 == nil {
		f.p50 = d.described(f.quantileSeries("0.5", "p50", f.t-f.closedT))
		f.p99 = d.described(f.quantileSeries("0.99", "p99", f.t-f.closedT))
		f.guard = f.guard || guards(f.p50) || guards(f.p99)
	}
	out = d.put(out, f.guard, telemetry.Point{Series: f.p50, Seat: &f.seats[0], T: f.t, V: p50 * f.factor})
	return d.put(out, f.guard, telemetry.Point{Series: f.p99, Seat: &f.seats[1], T: f.t, V: p99 * f.factor})
}

// quantile estimates the q-quantile of the increments, as PromQL's
// histogram_quantile does for classic histograms: linear within a bucket, from
// 0 in the lowest one if its bound is positive; the second highest bound when
// the rank falls into the +Inf bucket. Counts that fall with rising bounds are
// raised to the highest before. ok is false without observations, without a
// +Inf bucket, or with that bucket alone.
func (f *family) quantile(q float64) (v float64, ok bool) {
	n := len(f.buckets)
	if n < 2 || !math.IsInf(f.buckets[n-1].upper, 1) || !f.buckets[n-1].usable {
		return 0, false
	}
	total, usable := 0.0, 0
	for _, b := range f.buckets {
		if b.usable {
			total = max(total, b.increment)
			usable++
		}
	}
	if total <= 0 || usable < 2 {
		return 0, false
	}
	rank := q * total
	lower, below, high, first := 0.0, 0.0, 0.0, true
	for _, b := range f.buckets[:n-1] {
		if !b.usable {
			continue
		}
		c := max(high, b.increment)
		if c >= rank && c > 0 {
			if first && b.upper <= 0 {
				return b.upper, true
			}
			if c == below {
				return b.upper, true
			}
			return lower + (b.upper-lower)*(rank-below)/(c-below), true
		}
		lower, below, high, first = b.upper, c, c, false
	}
	return lower, true
}

func (f *family) quantileSeries(q, short string, interval int64) *telemetry.Series {
	name := f.labels.Get(labels.MetricName)
	raw := labels.NewBuilder(f.labels).Set(labels.MetricName, name+"_bucket").Labels()
	expr := "histogram_quantile(" + q + ", rate(" + selector(raw) + rangeFor(interval) + "))"
	return f.describe(name+":"+short, short+"("+name+")", expr)
}

func (f *family) describe(name, display, expr string) *telemetry.Series {
	s := derived(f.labels, name, display, scaled(expr, f.factor), f.unit)
	s.Signal, s.Direction = signalOf(f.labels.Get(labels.MetricName), f.labels, f.unit, false)
	if s.Signal == telemetry.SignalErrors && f.unit == "s" {
		s.Signal = telemetry.SignalLatency // how long failures take
	}
	return s
}

// observeTotal takes a sample of _count or _sum and emits the mean of the
// observations since the last timestamp that both have.
func (f *family) observeTotal(d *Deriver, isSum bool, t int64, v float64, out []telemetry.Point) []telemetry.Point {
	f.mu.Lock()
	defer f.mu.Unlock()
	if isSum {
		f.sumT, f.sum = t, v
	} else {
		f.countT, f.count = t, v
	}
	if f.sumT != f.countT || !f.hasSum || !f.hasCount {
		return out
	}
	baseT, n, sum := f.baseT, f.count-f.baseCount, f.sum-f.baseSum
	if n < 0 {
		n, sum = f.count, f.sum
	}
	f.baseT, f.baseCount, f.baseSum = t, f.count, f.sum
	if baseT == 0 || n <= 0 {
		return out
	}
	if f.mean == nil {
		f.mean = d.described(f.meanSeries(t - baseT))
		f.guard = f.guard || guards(f.mean)
	}
	return d.put(out, f.guard, telemetry.Point{Series: f.mean, Seat: &f.seats[2], T: t, V: sum / n * f.factor})
}

func (f *family) meanSeries(interval int64) *telemetry.Series {
	name := f.labels.Get(labels.MetricName)
	with := func(suffix string) string {
		return "rate(" + selector(labels.NewBuilder(f.labels).Set(labels.MetricName, name+suffix).Labels()) + rangeFor(interval) + ")"
	}
	return f.describe(name+":mean", "mean("+name+")", with("_sum")+" / "+with("_count"))
}
