package sequence

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Steps 0 and 1 of every service are the beginning and the end of a span.
const (
	stepStart int32 = iota
	stepEnd
	firstStep
)

// slotLength is the grain (ms) in which the window is kept.
const slotLength = 10_000

// flow is the order of one service's lines.
type flow struct {
	entity telemetry.Entity
	steps  []stepKey // by number; the first two are unused
	index  map[stepKey]int32
	past   map[int32]*row
	slots  []slot // of the window, oldest first

	active   *ops.Anomaly // nil while all is well
	since    int64        // when the active anomaly began
	last     int64        // Unix ms of the newest line
	instance telemetry.Entity
}

// row counts what followed one step.
type row struct {
	n  float64
	to map[int32]float64
}

// slot counts the steps of ten seconds.
type slot struct {
	at    int64 // Unix ms of its beginning
	bad   bool  // was in an anomalous window
	pairs map[[2]int32]float64
}

// Bounds of one row.
const (
	maxFollowers = 64
	halveAt      = 2_000 // occurrences at which a row's past is halved, so that it stays adaptive
)

func newFlow(e telemetry.Entity) *flow {
	return &flow{entity: e, steps: make([]stepKey, firstStep), index: map[stepKey]int32{}, past: map[int32]*row{}}
}

// number gives the step's number, -1 when the service has too many.
func (f *flow) number(cfg *Config, k stepKey) int32 {
	k.Template = cfg.Resolve(k.Template)
	if i, ok := f.index[k]; ok {
		return i
	}
	if len(f.steps) >= cfg.MaxSteps+int(firstStep) {
		return -1
	}
	i := int32(len(f.steps))
	f.steps = append(f.steps, k)
	f.index[k] = i
	return i
}

// take counts a completed span's steps and returns how many lines did not fit.
func (f *flow) take(cfg *Config, s *span) (lost int) {
	slices.SortStableFunc(s.lines, func(a, b line) int {
		switch {
		case a.t < b.t:
			return -1
		case a.t > b.t:
			return 1
		}
		return 0
	})
	f.instance = s.instance
	f.last = max(f.last, s.last)
	before := stepStart
	for i := range s.lines {
		if i > 0 && s.lines[i] == s.lines[i-1] { // sent twice
			continue
		}
		n := f.number(cfg, s.lines[i].step)
		if n < 0 {
			lost++
			continue
		}
		f.count(s.lines[i].t/1e6, before, n)
		before = n
	}
	if len(s.lines) < maxLines {
		f.count(s.last, before, stepEnd)
	}
	return lost
}

// count puts one step into its slot. What is older than every slot is learned
// at once.
func (f *flow) count(t int64, from, to int32) {
	at := t - mod(t, slotLength)
	i, ok := slices.BinarySearchFunc(f.slots, at, func(s slot, at int64) int {
		switch {
		case s.at < at:
			return -1
		case s.at > at:
			return 1
		}
		return 0
	})
	if !ok {
		if i == 0 && len(f.slots) > 0 {
			f.learn(from, to, 1)
			return
		}
		f.slots = slices.Insert(f.slots, i, slot{at: at, pairs: map[[2]int32]float64{}})
	}
	f.slots[i].pairs[[2]int32{from, to}]++
}

func mod(a, b int64) int64 { return ((a % b) + b) % b }

// learn adds to the past.
func (f *flow) learn(from, to int32, weight float64) {
	r := f.past[from]
	if r == nil {
		r = &row{to: map[int32]float64{}}
		f.past[from] = r
	}
	if _, known := r.to[to]; !known && len(r.to) >= maxFollowers {
		r.n += weight
		return
	}
	r.to[to] += weight
	r.n += weight
	if r.n < halveAt {
		return
	}
	r.n /= 2
	for k := range r.to {
		r.to[k] /= 2
	}
}

// advance moves what left the window into the past.
func (f *flow) advance(cfg *Config, now int64) {
	keep := 0
	for keep < len(f.slots) && f.slots[keep].at+slotLength <= now-cfg.Window-cfg.Idle {
		s := &f.slots[keep]
		weight := 1.0
		if s.bad && (f.since == 0 || now-f.since < cfg.Accept) {
			weight = cfg.Guard
		}
		for _, p := range sortedPairs(s.pairs) {
			f.learn(p[0], p[1], weight*s.pairs[p])
		}
		keep++
	}
	f.slots = slices.Delete(f.slots, 0, keep)
	if len(f.slots) > 0 {
		f.remap(cfg)
	}
}

func sortedPairs[V any](m map[[2]int32]V) [][2]int32 {
	out := make([][2]int32, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b [2]int32) int {
		if a[0] != b[0] {
			return int(a[0] - b[0])
		}
		return int(a[1] - b[1])
	})
	return out
}

// remap folds steps whose template was merged into another's.
func (f *flow) remap(cfg *Config) {
	to := make([]int32, len(f.steps))
	changed := false
	for i := range f.steps {
		to[i] = int32(i)
		if int32(i) < firstStep {
			continue
		}
		k := f.steps[i]
		if r := cfg.Resolve(k.Template); r != k.Template {
			changed = true
			delete(f.index, k)
			k.Template = r
			if j, ok := f.index[k]; ok {
				to[i] = j
				continue
			}
			f.steps[i] = k
			f.index[k] = int32(i)
		}
	}
	if !changed {
		return
	}
	past := f.past
	f.past = map[int32]*row{}
	for _, from := range sortedKeys(past) {
		for _, next := range sortedKeys(past[from].to) {
			f.learn(to[from], to[next], past[from].to[next])
		}
	}
	for i := range f.slots {
		pairs := map[[2]int32]float64{}
		for p, n := range f.slots[i].pairs {
			pairs[[2]int32{to[p[0]], to[p[1]]}] += n
		}
		f.slots[i].pairs = pairs
	}
}

// sortedKeys gives the numbers of a map's steps in order.
func sortedKeys[V any](m map[int32]V) []int32 { return slices.Sorted(maps.Keys(m)) }

// finding is the oddest succession of a window.
type finding struct {
	score    float64
	from, to int32
	k, n     int     // seen so often of so many
	share    float64 // expected
}

// How much past a share may rest on: the mix of requests, and with it the
// first step of a span, varies more than what follows inside one.
const (
	trustStart = 30
	trustStep  = 100
)

// test finds the oddest succession in the window.
func (f *flow) test(cfg *Config) finding {
	now := map[int32]*row{}
	for i := range f.slots {
		for p, n := range f.slots[i].pairs {
			r := now[p[0]]
			if r == nil {
				r = &row{to: map[int32]float64{}}
				now[p[0]] = r
			}
			r.to[p[1]] += n
			r.n += n
		}
	}
	var best finding
	penalty := math.Log10(max(float64(len(now))/10, 1))
	for _, from := range sortedKeys(now) {
		w, b := now[from], f.past[from]
		if b == nil || b.n < cfg.MinPast || w.n < cfg.MinNow {
			continue
		}
		trust := float64(trustStep)
		if from == stepStart {
			trust = trustStart
		}
		for _, to := range followers(b, w) {
			g := finding{from: from, to: to, k: int(w.to[to]), n: int(w.n), share: (b.to[to] + .5) / (b.n + 1)}
			g.score = oddity(g, min(b.n+1, trust)) - penalty
			if g.score > best.score {
				best = g
			}
		}
	}
	return best
}

func followers(b, w *row) []int32 {
	out := sortedKeys(b.to)
	for _, k := range sortedKeys(w.to) {
		if _, ok := b.to[k]; !ok {
			out = append(out, k)
		}
	}
	return out
}

// maxTest bounds the occurrences that one tail is summed over.
const maxTest = 300

// oddity is -log10 of the tail probability of the finding.
func oddity(g finding, trust float64) float64 {
	k, n := g.k, g.n
	if n > maxTest {
		k, n = k*maxTest/n, maxTest
	}
	p := betaBinomialTail(k, n, g.share*trust, (1-g.share)*trust, float64(k) >= float64(n)*g.share)
	return -math.Log10(max(p, 1e-15))
}

// judge tests the window and returns the anomaly when it began, grew or ended.
func (f *flow) judge(cfg *Config, now int64) *ops.Anomaly {
	if len(f.slots) == 0 {
		return f.end()
	}
	g := f.test(cfg)
	if g.score >= .6*cfg.Score {
		for i := range f.slots {
			f.slots[i].bad = true
		}
	}
	switch {
	case g.score >= cfg.Score:
		return f.raise(cfg, g, now)
	case f.active != nil && g.score < .6*cfg.Score:
		return f.end()
	}
	return nil
}

func (f *flow) end() *ops.Anomaly {
	a := f.active
	if a == nil {
		return nil
	}
	f.active, f.since = nil, 0
	a.Ended = max(a.LastSeen, a.Onset+1)
	return a
}

// raise begins an anomaly or goes on with the one that lasts.
func (f *flow) raise(cfg *Config, g finding, now int64) *ops.Anomaly {
	a := f.active
	if a == nil {
		onset := f.onset(g)
		f.since = now
		a = &ops.Anomaly{ID: "sequence-" + f.entity.String() + "-" + strconv.FormatInt(onset, 10), Entity: f.entity, Instance: f.instance,
			Signal: telemetry.SignalLogs, Unit: "1", Kind: ops.AnomalySequence, Onset: onset, Member: "sequence", Source: "norn", High: 1}
		f.active = a
	}
	a.LastSeen = f.slots[len(f.slots)-1].at + slotLength
	if s := severity(g.score); s >= a.Severity {
		a.Severity, a.Score, a.P = s, g.score, math.Pow(10, -g.score)
		a.Observed, a.Expected = float64(g.k)/float64(g.n), g.share
		a.Direction = telemetry.UpBad
		if a.Observed < a.Expected {
			a.Direction = telemetry.DownBad
		}
		a.Series, a.Text = "log sequence", f.words(cfg, g)
		a.Usual, a.Query = f.usual(cfg, g), f.query(g)
	}
	out := *a
	return &out
}

// severity maps a score of 5 to 0.58 and one of 10 to 0.9.
func severity(score float64) float64 { return 1 - math.Pow(10, -max(score-2, 0)/8) }

// onset is the beginning of the first slot of the window in which the finding
// shows.
func (f *flow) onset(g finding) int64 {
	for i := range f.slots {
		k, n := 0.0, 0.0
		for p, c := range f.slots[i].pairs {
			if p[0] == g.from {
				n += c
				if p[1] == g.to {
					k += c
				}
			}
		}
		if n > 0 && math.Abs(k/n-g.share) >= .5*math.Abs(float64(g.k)/float64(g.n)-g.share) {
			return f.slots[i].at
		}
	}
	return f.slots[0].at
}

// words says in a sentence what the finding is.
func (f *flow) words(cfg *Config, g finding) string {
	usual := fmt.Sprintf("%.0f %%", 100*g.share)
	switch {
	case g.share < .005:
		usual = "never"
	case g.share > .995:
		usual = "always"
	}
	seen := fmt.Sprintf("%d of %d times, usually %s", g.k, g.n, usual)
	to := f.name(cfg, g.to)
	switch {
	case g.from == stepStart && g.to == stepEnd:
		return "requests log nothing: " + seen
	case g.from == stepStart:
		return fmt.Sprintf("requests begin with %s %s", to, seen)
	case g.to == stepEnd:
		return fmt.Sprintf("%s is the last line %s", f.name(cfg, g.from), seen)
	}
	return fmt.Sprintf("%s is followed by %s %s", f.name(cfg, g.from), to, seen)
}

func (f *flow) name(cfg *Config, step int32) string {
	k := f.steps[step]
	text := cfg.Text(k.Template)
	if text == "" {
		text = "line " + strconv.FormatUint(k.Template, 10)
	}
	const longest = 90
	if r := []rune(text); len(r) > longest {
		text = string(r[:longest-1]) + "…"
	}
	return "“" + text + "”"
}

// usual says what follows the step otherwise.
func (f *flow) usual(cfg *Config, g finding) string {
	r := f.past[g.from]
	if r == nil || r.n == 0 {
		return ""
	}
	best := int32(-1)
	for _, to := range sortedKeys(r.to) {
		if best < 0 || r.to[to] > r.to[best] {
			best = to
		}
	}
	if best < 0 {
		return ""
	}
	what := "the end of the request"
	if best != stepEnd {
		what = f.name(cfg, best)
	}
	before := "a request begins with "
	if g.from != stepStart {
		before = f.name(cfg, g.from) + " is followed by "
	}
	return fmt.Sprintf("%s%s %.0f %% of the time", before, what, 100*r.to[best]/r.n)
}

// query finds the lines of both steps.
func (f *flow) query(g finding) string {
	var ids []string
	for _, s := range []int32{g.from, g.to} {
		if s >= firstStep {
			ids = append(ids, strconv.FormatUint(f.steps[s].Template, 10))
		}
	}
	return fmt.Sprintf("service:=%q template:in(%s)", f.entity.Name, strings.Join(ids, ", "))
}
