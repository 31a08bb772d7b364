package normalize

import (
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/stats"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// kind says what is done with the samples of one raw series.
type kind uint8

const (
	kindSkip    kind = iota // not watched
	kindGauge               // points as they are, in the base unit
	kindCounter             // points are rates
	kindMaybe               // _count or _sum without a type: decided by its siblings
	kindBucket              // part of a classic histogram
	kindNative              // native histogram
)

// entry is the state of one raw series. What every sample needs comes first
// and fills one cache line.
type entry struct {
	from   atomic.Uintptr // where the sender's label text lay; see knows
	length int32          // of the label text
	kind   kind           // fixed at creation; a kindMaybe becomes what mode says
	isSum  bool
	mode   kind // guarded by the reference's stripe, as what follows
	has    bool
	prevT  int64
	prevV  float64
	series *telemetry.Series
	factor float64 // not guarded, fixed at creation, as the rest
	fam    *family // for buckets, _count and _sum
	seat   telemetry.Seat
	guard  bool // the operator's policy says which values are taken; guarded by the stripe

	bucket *bucket
	native *nativeState // guarded by the stripe
	labels labels.Labels
	typ    string
	unit   string // base unit of the values
}

// Deriver turns committed raw samples into the points that detection watches:
//
//   - counters (by type, else by the suffixes _total, and _count and _sum with
//     siblings) become rates per second; a value below the last one is a reset,
//     after which the counter began at 0;
//   - gauges and the quantiles of summaries stay, in base units;
//   - classic histograms become the median and the 99th percentile of what was
//     observed since the last timestamp (linear interpolation as in PromQL's
//     histogram_quantile), the rate of observations and their mean; native
//     histograms likewise; no observations, no point;
//   - series that say nothing about health (…_created, …_info, timestamps,
//     scrape_…, ALERTS) are not watched.
//
// Samples that are not newer than the last of their series are ignored, as are
// NaN and staleness markers. A Deriver is safe for concurrent use; a series
// that is warm costs no allocation (native histograms excepted). Its state
// grows with the series that are not yet forgotten (see [Deriver.Forget]).
type Deriver struct {
	refs     refTable
	stripes  [64]sync.Mutex // each guards the entries of every 64th page of references
	families familyTable
	signals  signalCache
	describe func(*telemetry.Series) // nil when nobody has a say

	watched    atomic.Int64
	skipped    atomic.Int64
	outOfOrder atomic.Uint64
	resets     atomic.Uint64
	outOfRange atomic.Uint64
}

// DeriverStats counts what a [Deriver] holds and met.
type DeriverStats struct {
	Watched    int64  // raw series that feed detection
	Skipped    int64  // raw series that are not watched
	Families   int    // classic histograms and summaries
	OutOfOrder uint64 // samples ignored because a newer or equal one came before
	Resets     uint64 // counter resets met
	OutOfRange uint64 // values refused because the series' policy has them as bad data
}

// NewDeriver makes a Deriver without any series.
func NewDeriver() *Deriver {
	d := &Deriver{}
	d.families.init()
	return d
}

// Stats returns the current counts.
func (d *Deriver) Stats() DeriverStats {
	return DeriverStats{
		Watched: d.watched.Load(), Skipped: d.skipped.Load(), Families: d.families.len(),
		OutOfOrder: d.outOfOrder.Load(), Resets: d.resets.Load(), OutOfRange: d.outOfRange.Load(),
	}
}

// Derive appends the points that the batch gives to out and returns it. The
// points' Series stay valid and unchanged for good. A series is found by its
// Ref; its labels are compared, so that a Ref that means another series after
// a restart of the store starts anew.
func (d *Deriver) Derive(batch []store.Committed, out []telemetry.Point) []telemetry.Point {
	var now, next [chunk]*entry
	part, rest := d.fetch(batch, &now)
	var fresh bool // what was found is no longer what the table holds
	for len(part) > 0 {
		var then []store.Committed
		then, rest = d.fetch(rest, &next)
		out, fresh = d.deriveChunk(part, &now, out, fresh)
		part, now = then, next
	}
	return out
}

// chunk is how many entries are fetched from memory side by side, while those
// of the chunk before are worked on.
const chunk = 32

// fetch takes a chunk from the batch, finds its entries and asks for them.
func (d *Deriver) fetch(batch []store.Committed, found *[chunk]*entry) (part, rest []store.Committed) {
	n := min(chunk, len(batch))
	var near *page
	at := ^uint64(0)
	for i := range n {
		ref := uint64(batch[i].Ref)
		if ref>>pageBits != at { // references that come together are neighbours
			at = ref >> pageBits
			near = d.refs.pageOf(ref)
		}
		var e *entry
		if near != nil {
			e = near.slots[ref&(pageSize-1)].Load()
		}
		if e == nil {
			e = d.refs.get(ref)
		}
		found[i] = e
		stats.Prefetch(unsafe.Pointer(e))
	}
	return batch[:n], batch[n:]
}

func (d *Deriver) deriveChunk(part []store.Committed, found *[chunk]*entry, out []telemetry.Point, fresh bool) ([]telemetry.Point, bool) {
	// References that come together are neighbours: one lock serves many.
	held := d.stripe(part[0].Ref)
	held.Lock()
	defer func() { held.Unlock() }()
	for i := range part {
		c := &part[i]
		if s := d.stripe(c.Ref); s != held {
			held.Unlock()
			held = s
			held.Lock()
		}
		e := found[i]
		if fresh {
			e = d.refs.get(uint64(c.Ref))
		}
		if e == nil || !e.knows(c) {
			e, fresh = d.add(c), true
		}
		out = d.deriveOne(e, c, out)
	}
	return out, fresh
}

func (d *Deriver) stripe(ref storage.SeriesRef) *sync.Mutex {
	return &d.stripes[uint64(ref)>>pageBits%uint64(len(d.stripes))]
}

func (d *Deriver) deriveOne(e *entry, c *store.Committed, out []telemetry.Point) []telemetry.Point {
	switch e.kind {
	case kindSkip:
	case kindBucket:
		if c.H == nil {
			out = e.fam.observe(d, e.bucket, c.T, c.V, out)
		}
	case kindNative:
		if c.H != nil {
			out = e.observeNative(d, c.T, c.H, out)
		}
	default:
		if c.H == nil {
			out = e.observe(d, c.T, c.V, out)
		} else {
			out = d.becomeNative(c, out)
		}
	}
	return out
}

// knows reports whether the entry is that of the sample's series. A store
// never gives one reference to two series while it is open, so a label text
// that lies where the last one of this reference lay is taken as the same;
// any other is compared.
func (e *entry) knows(c *store.Committed) bool {
	if c.Type != "" && e.typ == "" && c.Type != "unknown" {
		return false
	}
	at, n := placeOf(&c.Labels)
	if n != int(e.length) {
		return false
	}
	if at == e.from.Load() {
		return true
	}
	if !labels.Equal(e.labels, c.Labels) {
		return false
	}
	e.from.Store(at)
	return true
}

// placeOf gives address and length of a label set's text. The address is only
// ever compared.
func placeOf(ls *labels.Labels) (at uintptr, n int) {
	text := textOf(ls)
	return uintptr(unsafe.Pointer(unsafe.StringData(text))), len(text)
}

// textOf gives a label set's own text: names and values with their lengths.
func textOf(ls *labels.Labels) string {
	return *(*string)(unsafe.Pointer(ls)) // labels.Labels is a struct of one string
}

// A label set of another layout (a build tag of the Prometheus module) must
// not compile.
var _ [0]struct{} = [unsafe.Sizeof(labels.Labels{}) - unsafe.Sizeof("")]struct{}{}

// Forget drops the state of a series that left the store's head. Unknown
// references are ignored.
func (d *Deriver) Forget(ref storage.SeriesRef) {
	if e := d.refs.swap(uint64(ref), nil); e != nil {
		d.drop(e)
	}
}

func (d *Deriver) drop(e *entry) {
	if e.kind == kindSkip {
		d.skipped.Add(-1)
	} else {
		d.watched.Add(-1)
	}
	if e.fam != nil {
		d.families.leave(e.fam, e.bucket)
	}
}

func (d *Deriver) add(c *store.Committed) *entry {
	e := newEntry(c)
	if e.kind == kindBucket || strings.HasSuffix(c.Labels.Get(labels.MetricName), "_count") || e.isSum {
		d.join(e)
	}
	if e.kind == kindSkip {
		d.skipped.Add(1)
	} else {
		d.watched.Add(1)
	}
	if old := d.refs.swap(uint64(c.Ref), e); old != nil {
		d.drop(old)
	}
	return e
}

// becomeNative starts a series anew whose sender went over from floats to
// native histograms.
func (d *Deriver) becomeNative(c *store.Committed, out []telemetry.Point) []telemetry.Point {
	return d.add(c).observeNative(d, c.T, c.H, out)
}

func newEntry(c *store.Committed) *entry {
	ls := c.Labels // immutable, and the store's head holds the same text
	name := ls.Get(labels.MetricName)
	typ := c.Type
	if typ == "unknown" {
		typ = ""
	}
	e := &entry{labels: ls, typ: strings.Clone(typ), kind: kindOf(name, typ, ls)}
	if c.H != nil && e.kind != kindSkip {
		e.kind = kindNative
	}
	e.mode = e.kind
	at, n := placeOf(&c.Labels)
	e.from.Store(at)
	e.length = int32(n)
	e.isSum = strings.HasSuffix(name, "_sum") && (e.kind == kindCounter || e.kind == kindMaybe)
	sc := scaleOf(name, c.Unit)
	e.factor, e.unit = sc.factor, strings.Clone(sc.base)
	if strings.HasSuffix(name, "_count") && typ != "gauge" {
		e.factor, e.unit = 1, "" // counts observations, not their unit
	}
	if u := ownUnit(name); u != "" {
		e.factor, e.unit = 1, u
	}
	return e
}

// kindOf chooses what is done with a series.
func kindOf(name, typ string, ls labels.Labels) kind {
	if !isWatched(name, typ) {
		return kindSkip
	}
	has := func(s string) bool { return strings.HasSuffix(name, s) }
	switch typ {
	case "counter":
		return kindCounter
	case "gauge", "stateset":
		return kindGauge
	case "gaugehistogram", "info":
		return kindSkip
	case "histogram", "summary":
		switch {
		case has("_bucket") && ls.Has("le"):
			return kindBucket
		case has("_count"), has("_sum"):
			return kindCounter
		}
		return kindGauge
	}
	switch {
	case has("_bucket") && ls.Has("le"):
		return kindBucket
	case has("_total"):
		return kindCounter
	case strings.HasPrefix(name, "norn_"):
		return kindGauge
	case has("_count"), has("_sum"):
		return kindMaybe
	}
	return kindGauge
}

// isWatched leaves out what says nothing about health.
func isWatched(name, typ string) bool {
	if name == "up" {
		return true
	}
	if name == "" || name == "node_time_seconds" || typ == "info" || strings.HasPrefix(name, "scrape_") || strings.HasPrefix(name, "ALERTS") {
		return false
	}
	for _, s := range []string{
		"_created", "_info", "_timestamp_seconds", "_timestamp", "_start_time_seconds", "_boot_time_seconds",
		"_time_seconds_since_epoch", "_start_time", "_last_reload_success_timestamp_seconds",
	} {
		if strings.HasSuffix(name, s) {
			return false
		}
	}
	return true
}

// observe takes one float sample of a gauge or counter. The stripe of the
// reference is locked.
func (e *entry) observe(d *Deriver, t int64, v float64, out []telemetry.Point) []telemetry.Point {
	if !finite(v) {
		return out
	}
	if e.has && t <= e.prevT {
		d.outOfOrder.Add(1)
		return out
	}
	if e.mode == kindGauge {
		e.prevT, e.has = t, true
		if e.series == nil {
			d.name(e, e.gaugeSeries(d))
		}
		if e.guard && !d.takes(e.series, v*e.factor) {
			return out
		}
		return append(out, telemetry.Point{Series: e.series, Seat: &e.seat, T: t, V: v * e.factor})
	}
	out = e.observeCounter(d, t, v, out)
	if e.fam != nil && e.mode != kindGauge {
		out = e.fam.observeTotal(d, e.isSum, t, v, out)
	}
	return out
}

// observeCounter runs under the stripe's lock.
func (e *entry) observeCounter(d *Deriver, t int64, v float64, out []telemetry.Point) []telemetry.Point {
	prevT, prevV, had := e.prevT, e.prevV, e.has
	e.prevT, e.prevV, e.has = t, v, true
	if !had {
		return out
	}
	if e.mode == kindMaybe { // by now its siblings of the first timestamp have come
		e.mode = kindGauge
		if e.fam != nil && e.fam.isJoined() {
			e.mode = kindCounter
		}
		if e.mode == kindGauge {
			d.name(e, e.gaugeSeries(d))
			return d.put(out, e.guard, telemetry.Point{Series: e.series, Seat: &e.seat, T: t, V: v * e.factor})
		}
	}
	if e.isSum && e.fam != nil {
		return out // only the mean of the family uses it
	}
	inc := v - prevV
	if inc < 0 {
		d.resets.Add(1)
		inc = max(v, 0)
	}
	if e.series == nil {
		d.name(e, e.rateSeries(d, t-prevT))
	}
	rate := inc * e.factor * 1000 / float64(t-prevT)
	if e.guard && !d.takes(e.series, rate) {
		return out
	}
	return append(out, telemetry.Point{Series: e.series, Seat: &e.seat, T: t, V: rate})
}
