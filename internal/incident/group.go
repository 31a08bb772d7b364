package incident

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/oklog/ulid/v2"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// record is one anomaly with what the correlator knows of it.
type record struct {
	a        ops.Anomaly
	series   uint64
	group    *group
	surprise float64 // 0 chronic .. 1 never seen
	count    int     // times it came, flaps included
	moved    bool    // it was moved from one group to another by itself
	gap      int64   // longest time (ms) between two news of it, 0 before the second
	why      []Reason
	p        [families]float64 // newest p-value of each test of its series...
	spoke    [families]bool    // ...that spoke
}

// update takes newer news of the same anomaly.
func (r *record) update(a ops.Anomaly) {
	a.Onset = minTime(a.Onset, r.a.Onset)
	a.LastSeen = max(a.LastSeen, r.a.LastSeen)
	r.gap = max(r.gap, a.LastSeen-r.a.LastSeen)
	a.Severity = max(a.Severity, r.a.Severity)
	a.ID = r.a.ID
	r.note(&a)
	r.a = a
}

// last is the time of the newest evidence.
func (r *record) last() int64 { return max(r.a.LastSeen, r.a.Ended, r.a.Onset) }

// strength is how much the record counts.
func (r *record) strength() float64 {
	s := r.surprise * clip(r.a.Severity, .05, 1)
	if weakSilence(&r.a) {
		s *= .2
	}
	return s
}

// patience is how long (ms) one of Norn's own anomalies lasts without news: four
// times the longest wait so far, at least three minutes. Then its series gives
// no more points.
func (r *record) patience() int64 {
	if r.gap == 0 {
		return 6 * 60_000
	}
	return max(4*r.gap, 3*60_000)
}

// active reports whether the anomaly lasts at now.
func (r *record) active(now, stale int64) bool {
	if r.a.Source == "norn" && r.a.Kind != ops.AnomalySilence { // detection speaks with every other point
		stale = min(stale, r.patience())
	}
	return r.a.Ended == 0 && r.last()+stale > now
}

// group is a candidate, and an incident once in is set.
type group struct {
	id           string
	founder      telemetry.Entity
	onset        int64
	last         int64 // newest evidence
	latest       int64 // newest onset
	records      []*record
	bySeries     map[uint64]*record
	entities     map[telemetry.Entity]float64 // strength per entity
	extra        int                          // records that did not fit
	dirty        bool                         // new evidence since the last judgement
	grew         bool                         // known evidence lasts on since the last judgement
	judged       int64                        // time of the last judgement, 0 never
	in           *ops.Incident                // nil while invisible
	roots        []telemetry.Entity           // of the last accepted judgement
	timeline     []ops.Event
	byHand       bool
	reopened     bool
	splits       int              // groups that were split off
	from         string           // the group that this one was split off, "" when none
	held         *ops.Suppressed  // why the budget holds it back; nil when it does not
	evidence     float64          // severity by evidence and impact, of the last accepted judgement
	own          int              // records of Norn's own detection
	suspect      telemetry.Entity // root that the fit of alerts chose
	suspectOnset int64
	lostTo       *group // of a group of alerts: what took its last ones
}

func newGroup(r *record, from string) *group {
	return &group{id: makeID(r, from), founder: r.a.Entity, onset: r.a.Onset, last: r.last(), bySeries: map[uint64]*record{},
		entities: map[telemetry.Entity]float64{}, dirty: true}
}

// makeID derives an id in ULID form from the founding anomaly: its onset gives
// the time, its identity the rest. The same input gives the same id.
func makeID(r *record, from string) string {
	var id ulid.ULID
	_ = id.SetTime(uint64(max(r.a.Onset, 0)) & ulid.MaxTime())
	h := fnv.New128a()
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], r.series)
	h.Write(b[:])
	h.Write([]byte(r.a.ID + "|" + r.a.Entity.String() + "|" + string(r.a.Kind) + from))
	_ = id.SetEntropy(h.Sum(nil)[:10])
	return id.String()
}

// seriesKey identifies the series, template or alert that speaks.
func seriesKey(a *ops.Anomaly) uint64 {
	if a.SeriesID != 0 {
		return uint64(a.SeriesID)
	}
	h := fnv.New64a()
	for _, s := range []string{a.Source, string(a.Kind), a.Series, a.Entity.String(), a.Instance.String(), a.Peer.String()} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return h.Sum64()
}

// add puts a record in, unless the group is full; then it is only counted.
func (g *group) add(r *record, limit int) bool {
	if old := r.group; old != nil && old != g {
		old.lostTo = g
	}
	r.group = g
	if r.a.Kind != ops.AnomalyAlert {
		g.own++
	}
	g.onset = minTime(g.onset, r.a.Onset)
	if !weakSilence(&r.a) || g.last == 0 {
		g.last = max(g.last, r.last())
	}
	if !weakSilence(&r.a) {
		g.latest = max(g.latest, r.a.Onset)
		g.dirty = true
	}
	g.count(r)
	if len(g.records) >= limit {
		g.extra++
		return g.replace(r)
	}
	g.records = append(g.records, r)
	g.bySeries[r.series] = r
	return true
}

// replace puts r in the place of the weakest record that has ended, if that is
// weaker: a long incident keeps its newest and strongest evidence.
func (g *group) replace(r *record) bool {
	at := -1
	for i, o := range g.records {
		if o.a.Ended != 0 && o.strength() < r.strength() && (at < 0 || o.strength() < g.records[at].strength()) {
			at = i
		}
	}
	if at < 0 {
		return false
	}
	delete(g.bySeries, g.records[at].series)
	g.records[at] = r
	g.bySeries[r.series] = r
	return true
}

// maxEntities bounds the entities of one group.
const maxEntities = 500

func (g *group) count(r *record) {
	for _, e := range []telemetry.Entity{r.a.Entity, r.a.Peer, r.a.Instance} {
		if _, known := g.entities[e]; !e.IsZero() && (known || len(g.entities) < maxEntities) {
			g.entities[e] = max(g.entities[e], r.strength())
		}
	}
}

// touch notes that a known record has news.
func (g *group) touch(r *record) {
	if !weakSilence(&r.a) {
		g.last = max(g.last, r.last())
		g.grew = true
	}
	g.onset = minTime(g.onset, r.a.Onset)
	g.count(r)
}

// alerts counts everything folded in.
func (g *group) alerts() int {
	n := g.extra
	for _, r := range g.records {
		n += r.count
	}
	return n
}

// active reports whether any record lasts.
func (g *group) active(now, stale int64) bool {
	return slices.ContainsFunc(g.records, func(r *record) bool { return r.active(now, stale) && !weakSilence(&r.a) })
}

// weakSilence tells the end of request and log series, which mostly means that
// nobody calls, from the silence of a process about itself.
func weakSilence(a *ops.Anomaly) bool {
	if a.Kind != ops.AnomalySilence {
		return false
	}
	switch a.Signal {
	case telemetry.SignalSaturation, telemetry.SignalUp, telemetry.SignalOther:
		return false
	}
	return true
}

// alertsOpenFrom is the strength that a group of other tools' alerts needs: of
// warnings that seldom come, two or three.
const alertsOpenFrom = .89

// worthJudging: two different signs (entity and signal) that are not chronic,
// or one that is strong by nature.
func (g *group) worthJudging(changed func(*ops.Anomaly) bool) bool {
	type sign struct {
		e telemetry.Entity
		s telemetry.Signal
		k uint64
	}
	seen := map[sign]bool{} // two quantiles of one latency are one sign
	sum := 0.0
	for _, r := range g.records {
		if r.surprise < contextOnly || weakSilence(&r.a) || mild(&r.a) {
			continue
		}
		if strong(&r.a) && !(r.a.Kind == ops.AnomalySequence && changed(&r.a)) {
			return true
		}
		name := uint64(0)
		if r.a.Kind == ops.AnomalyAlert { // which alert it is makes the difference
			name = r.series
		}
		seen[sign{r.a.Entity, r.a.Signal, name}] = true
		sum += r.strength()
	}
	if g.pooled() {
		return len(seen) >= 2 && sum >= alertsOpenFrom
	}
	return len(seen) >= 2 && sum >= .3
}

// mild tells joint anomalies that rest on little: they accompany other signs,
// but make no candidate of one.
func mild(a *ops.Anomaly) bool { return a.Kind == ops.AnomalyJoint && a.Severity < .75 }

// strong names the anomalies that may open an incident alone.
func strong(a *ops.Anomaly) bool {
	switch {
	case a.Kind == ops.AnomalySLOBurn, a.Kind == ops.AnomalyPredicted:
		return true
	case a.Kind == ops.AnomalySilence:
		return a.Severity >= .5 && (a.Signal == telemetry.SignalSaturation || a.Signal == telemetry.SignalUp || a.Signal == telemetry.SignalOther)
	case a.Kind == ops.AnomalyAlert:
		s := strings.ToLower(a.Severe)
		return s == "critical" || s == "page" || s == "emergency"
	case a.Kind == ops.AnomalySequence:
		return a.Severity >= .6
	case a.Signal == telemetry.SignalErrors:
		return a.Direction >= 0 && a.Severity >= .5
	case a.Signal == telemetry.SignalUp:
		return true
	}
	return a.Severity >= .85 && a.Signal != telemetry.SignalOther && a.Signal != telemetry.SignalTraffic
}

// burst estimates when the trouble began: the earliest onset whose next 90 s
// hold at least half of the largest strength that any 90 s hold. Stragglers
// and chronic members that began long before do not move it.
func (g *group) burst() int64 {
	const width = 90_000
	rs := slices.Clone(g.records)
	slices.SortFunc(rs, byOnset)
	mass := make([]float64, len(rs))
	top := 0.0
	for i, j, sum := 0, 0, 0.0; i < len(rs); i++ {
		for ; j < len(rs) && rs[j].a.Onset <= rs[i].a.Onset+width; j++ {
			sum += rs[j].strength()
		}
		mass[i] = sum
		top = max(top, sum)
		sum -= rs[i].strength()
	}
	for i := range rs {
		if mass[i] >= .5*top {
			return rs[i].a.Onset
		}
	}
	return g.onset
}

// began is when the trouble began: estimated until the incident has been open
// for a while with a cause that is likely, then fixed. A doubtful incident must
// not tie a real fault that follows to its own beginning.
func (g *group) began(now int64) int64 {
	if g.in != nil && g.in.Confidence >= sureOfOnset && now-g.in.Opened >= settle {
		return g.in.Onset
	}
	return g.burst()
}

// anomalies copies the records' anomalies, strongest first.
func (g *group) anomalies() []ops.Anomaly {
	rs := slices.Clone(g.records)
	slices.SortFunc(rs, func(a, b *record) int {
		return cmp.Or(cmp.Compare(b.strength(), a.strength()), cmp.Compare(a.a.Onset, b.a.Onset), cmp.Compare(a.a.ID, b.a.ID))
	})
	out := make([]ops.Anomaly, len(rs))
	for i, r := range rs {
		out[i] = r.a
		out[i].Why = r.reasons()
	}
	return out
}

// names lists the group's entities, strongest first.
func (g *group) names() []telemetry.Entity {
	out := make([]telemetry.Entity, 0, len(g.entities))
	for e := range g.entities {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b telemetry.Entity) int {
		return cmp.Or(cmp.Compare(g.entities[b], g.entities[a]), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// maxTimeline bounds the timeline of an incident; the first and the newest
// events are kept.
const maxTimeline = 200

func (g *group) tell(e ops.Event) {
	if len(g.timeline) >= maxTimeline {
		g.timeline = append(g.timeline[:maxTimeline/2], g.timeline[maxTimeline/2+1:]...)
	}
	g.timeline = append(g.timeline, e)
}

func hashOf(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

func minTime(a, b int64) int64 {
	if a == 0 {
		return b
	}
	if b == 0 {
		return a
	}
	return min(a, b)
}

func clip(v, lo, hi float64) float64 { return min(max(v, lo), hi) }
