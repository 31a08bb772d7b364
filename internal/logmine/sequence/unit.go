package sequence

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Whole sequences of lines (of a trace in one service, of a session, else of a
// process in pieces) are judged by the n-gram model, which sees more than one
// step back. One sequence that is unusual is no news; what is tested is whether
// more of them are than before.
const (
	unitSteps   = 64          // steps of one sequence that are looked at
	pieceSteps  = 24          // of a process without keys: lines of one piece
	unitsKept   = 300         // sequences of a service that the model rests on
	unitsReady  = 100         // learned before any is judged
	unitsFor    = 10 * 60_000 // ms of lines before any is judged
	unitsSlot   = 20          // sequences of a service that are looked at in ten seconds
	unitsSpread = 60_000      // ms between two calibrations
	unitsNow    = 3           // unusual ones in the window
	unitsTrust  = 100
	unitsScore  = 6.0 // -log10 p from which they are an anomaly
	maxUnits    = 20_000
	maxUnitFlow = 500 // services with such a model
)

// isUnitKey tells attributes that say which lines belong together.
func isUnitKey(key string) bool {
	switch key {
	case "session.id", "session_id", "request_id", "request.id", "http.request.id", "correlation_id", "correlation.id", "transaction.id", "job.id", "block_id":
		return true
	}
	return false
}

type unitKey struct {
	entity telemetry.Entity
	key    string
}

type unit struct {
	steps []uint64
	last  int64 // Unix ms of the newest line
	piece bool  // of a process: complete when it is long enough
}

// unitFlow is what is known of one service's sequences.
type unitFlow struct {
	model   NGram
	ring    [][]uint64
	next    int
	limits  Limits
	first   int64 // Unix ms of the first line
	last    int64 // of the newest
	tuned   int64 // of the last calibration
	learned int

	slots []unitSlot // of the window, oldest first
	k, n  float64    // past: unusual ones of all, halved now and then

	active *ops.Anomaly
	since  int64
}

type unitSlot struct {
	at      int64
	k, n    int // unusual, and judged
	seen    int // learned without judging
	worst   float64
	example []uint64 // steps around the oddest of the slot
	usual   uint64   // what follows instead
}

// unitOf says which lines a line belongs to, and whether that is no more than
// its process.
func unitOf(rec *telemetry.LogRecord) (key string, process bool) {
	if rec.TraceID != "" {
		return rec.TraceID, false
	}
	for i := range rec.Attributes {
		if a := &rec.Attributes[i]; a.Value != "" && isUnitKey(a.Key) {
			return a.Value, false
		}
	}
	return rec.Instance.Name, true
}

// addUnit takes one line. The lock is held.
func (m *Model) addUnit(rec *telemetry.LogRecord, template uint64) {
	f := m.units[rec.Entity]
	t := rec.Time / 1e6
	if f == nil {
		if len(m.units) >= maxUnitFlow {
			return
		}
		f = &unitFlow{first: t}
		m.units[rec.Entity] = f
	}
	key, process := unitOf(rec)
	k := unitKey{rec.Entity, key}
	u := m.openUnits[k]
	if u == nil {
		if len(m.openUnits) >= maxUnits || f.full(t) {
			return
		}
		u = &unit{piece: process}
		m.openUnits[k] = u
	}
	u.last, f.last = max(u.last, t), max(f.last, t)
	if n := len(u.steps); n < unitSteps && (n == 0 || u.steps[n-1] != template) {
		u.steps = append(u.steps, template)
	}
	if u.piece && len(u.steps) >= pieceSteps {
		delete(m.openUnits, k)
		f.take(&m.cfg, u)
	}
}

// full reports whether enough sequences of these ten seconds were looked at.
func (f *unitFlow) full(t int64) bool {
	n := len(f.slots)
	return n > 0 && f.slots[n-1].at == t-mod(t, slotLength) && f.slots[n-1].n+f.slots[n-1].seen >= unitsSlot
}

// completeUnits judges what is idle, and tests every service's window.
func (m *Model) completeUnits(now int64) (out []ops.Anomaly) {
	for _, k := range m.idleUnits(now) {
		u := m.openUnits[k]
		delete(m.openUnits, k)
		if f := m.units[k.entity]; f != nil {
			f.take(&m.cfg, u)
		}
	}
	for _, e := range m.sortedUnitFlows() {
		f := m.units[e]
		if now-f.last > forgetAfter && f.active == nil {
			delete(m.units, e)
			continue
		}
		if a := f.judge(&m.cfg, e, now); a != nil {
			out = append(out, *a)
		}
	}
	return out
}

// take judges a complete sequence and learns it.
func (f *unitFlow) take(cfg *Config, u *unit) {
	if len(u.steps) < 2 {
		return
	}
	seq := u.steps
	for i := range seq {
		seq[i] = cfg.Resolve(seq[i])
	}
	at := u.last - mod(u.last, slotLength)
	if n := len(f.slots); n == 0 || f.slots[n-1].at < at {
		f.slots = append(f.slots, unitSlot{at: at})
	}
	s := &f.slots[len(f.slots)-1]
	if s.n+s.seen >= unitsSlot {
		return
	}
	if f.ready(u.last) {
		s.n++
		x := f.model.Judge(seq)
		score := f.limits.Score(x)
		if score > 1 && f.remap(cfg) { // a merge of templates is no news
			x = f.model.Judge(seq)
			score = f.limits.Score(x)
		}
		if score > 1 {
			s.k++
			if score > s.worst {
				s.worst = score
				s.example, s.usual = f.model.around(seq, x.At)
			}
		}
	} else {
		s.seen++
	}
	if f.active == nil || u.last-f.since >= cfg.Accept {
		f.learn(seq, u.last)
	}
}

func (f *unitFlow) ready(t int64) bool {
	return f.learned >= unitsReady && t-f.first >= unitsFor && f.tuned > 0
}

func (f *unitFlow) learn(seq []uint64, t int64) {
	if len(f.ring) < unitsKept {
		f.ring = append(f.ring, seq)
	} else {
		f.model.Learn(f.ring[f.next], -1)
		f.ring[f.next] = seq
		f.next = (f.next + 1) % unitsKept
	}
	f.model.Learn(seq, 1)
	f.learned++
	if f.learned >= unitsReady && t-f.tuned >= unitsSpread {
		f.tuned = t
		f.limits = f.model.Calibrate(f.ring)
	}
}

// remap learns anew under the ids that merged templates have now, and reports
// whether any has changed.
func (f *unitFlow) remap(cfg *Config) bool {
	changed := false
	for _, seq := range f.ring {
		for i, t := range seq {
			if r := cfg.Resolve(t); r != t {
				seq[i], changed = r, true
			}
		}
	}
	if !changed {
		return false
	}
	f.model = NGram{}
	for _, seq := range f.ring {
		f.model.Learn(seq, 1)
	}
	f.limits = f.model.Calibrate(f.ring)
	return true
}

// advance moves what left the window into the past.
func (f *unitFlow) advance(cfg *Config, now int64) {
	keep := 0
	for keep < len(f.slots) && f.slots[keep].at+slotLength <= now-cfg.Window-cfg.Idle {
		if f.active == nil || now-f.since >= cfg.Accept {
			f.k, f.n = f.k+float64(f.slots[keep].k), f.n+float64(f.slots[keep].n)
			if f.n > halveAt {
				f.k, f.n = f.k/2, f.n/2
			}
		}
		keep++
	}
	f.slots = append(f.slots[:0], f.slots[keep:]...)
}

// judge tests whether more sequences of the window are unusual than before.
func (f *unitFlow) judge(cfg *Config, e telemetry.Entity, now int64) *ops.Anomaly {
	f.advance(cfg, now)
	k, n := 0, 0
	var worst *unitSlot
	for i := range f.slots {
		s := &f.slots[i]
		k, n = k+s.k, n+s.n
		if s.k > 0 && (worst == nil || s.worst > worst.worst) {
			worst = s
		}
	}
	score, share := 0.0, (f.k+.5)/(f.n+1)
	if f.n >= unitsReady && k >= unitsNow {
		trust := min(f.n+1, unitsTrust)
		score = -math.Log10(max(betaBinomialTail(k, n, share*trust, (1-share)*trust, true), 1e-15))
		if float64(k) <= share*float64(n) {
			score = 0
		}
	}
	switch {
	case score >= unitsScore:
	case f.active != nil && score < .6*unitsScore:
		a := f.active
		f.active, f.since = nil, 0
		a.Ended = max(a.LastSeen, a.Onset+1)
		return a
	default:
		return nil
	}
	if f.active == nil {
		onset := worst.at
		for i := range f.slots {
			if f.slots[i].k > 0 {
				onset = f.slots[i].at
				break
			}
		}
		f.since = now
		f.active = &ops.Anomaly{ID: "order-" + e.String() + "-" + strconv.FormatInt(onset, 10), Series: "unusual log sequences", Entity: e, Signal: telemetry.SignalLogs,
			Unit: "1", Kind: ops.AnomalySequence, Direction: telemetry.UpBad, Onset: onset, Member: "ngram", Source: "norn"}
	}
	a := f.active
	a.LastSeen = f.slots[len(f.slots)-1].at + slotLength
	if score > a.Score {
		a.Score, a.P = score, math.Pow(10, -score)
		a.Severity = min(.6, severity(score))
		a.Observed, a.Expected, a.High = float64(k)/float64(n), share, min(1, 3*share)
		a.Text, a.Usual, a.Query = unitWords(cfg, worst), unitUsual(cfg, worst, share), unitQuery(e, worst)
	}
	out := *a
	return &out
}

// around gives the steps up to the most surprising one, and what usually
// follows the one before it.
func (m *NGram) around(seq []uint64, at int) (steps []uint64, usual uint64) {
	from := max(0, at-order+1)
	steps = append(steps, seq[from:min(at+1, len(seq))]...)
	if at >= len(seq) {
		steps = append(steps, endMark)
	}
	b := uint64(startMark)
	if at > 0 {
		b = seq[at-1]
	}
	best := 0.0
	for g, n := range m.counts[1] {
		if g.b == b && (n > best || n == best && g.c < usual) {
			best, usual = n, g.c
		}
	}
	return steps, usual
}

func unitName(cfg *Config, t uint64) string {
	switch t {
	case startMark:
		return "the beginning"
	case endMark:
		return "the end"
	}
	text := cfg.Text(t)
	if text == "" {
		text = "line " + strconv.FormatUint(t, 10)
	}
	if r := []rune(text); len(r) > 90 {
		text = string(r[:89]) + "…"
	}
	return "“" + text + "”"
}

func unitWords(cfg *Config, s *unitSlot) string {
	names := make([]string, len(s.example))
	for i, t := range s.example {
		names[i] = unitName(cfg, t)
	}
	return "unusual order: " + strings.Join(names, ", then ")
}

func unitUsual(cfg *Config, s *unitSlot, share float64) string {
	text := fmt.Sprintf("%.1f %% of sequences are unusual", 100*share)
	if s.usual != 0 && len(s.example) > 1 {
		text = fmt.Sprintf("%s is usually followed by %s; %s", unitName(cfg, s.example[len(s.example)-2]), unitName(cfg, s.usual), text)
	}
	return text
}

// unitQuery finds the lines that the example is made of.
func unitQuery(e telemetry.Entity, s *unitSlot) string {
	var ids []string
	for _, t := range s.example {
		if t != startMark && t != endMark {
			ids = append(ids, strconv.FormatUint(t, 10))
		}
	}
	return fmt.Sprintf("service:=%q template:in(%s)", e.Name, strings.Join(ids, ", "))
}

// idleUnits are the sequences that are complete, in a fixed order.
func (m *Model) idleUnits(now int64) []unitKey {
	var out []unitKey
	for k, u := range m.openUnits {
		if now-u.last >= m.cfg.Idle {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b unitKey) int {
		return cmp.Or(strings.Compare(a.entity.String(), b.entity.String()), strings.Compare(a.key, b.key))
	})
	return out
}

func (m *Model) sortedUnitFlows() []telemetry.Entity {
	out := make([]telemetry.Entity, 0, len(m.units))
	for e := range m.units {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b telemetry.Entity) int { return strings.Compare(a.String(), b.String()) })
	return out
}
