// Package sequence watches the order of log lines within requests: after a
// line of one kind comes a line of another, in one span of one service, with a
// steady share. An exception or an early return breaks that order in the
// service where it happens, however few requests there are and although no
// latency, no error and no rate of lines need show it.
//
// The model counts, per service, how often one step follows another inside a
// span (a first-order Markov chain with a start and an end), and tests the last
// minute against the past with a beta-binomial tail, so that a young past and
// a changing mix of requests make it careful. The idea of judging a log line
// by what precedes it is that of DeepLog (Du et al., CCS 2017) and of Nezha's
// event patterns (Yu et al., FSE 2023); both learn more than one step, which
// needs more lines than a minute of a small service has.
//
// Whole sequences are judged too, by an n-gram model that looks further back: of
// a trace or a session in one service, and of processes whose lines name
// neither. See unit.go; what it learned is learned anew after a restart.
//
// The package mines no templates (it is given their ids), reads no clock and
// does no I/O. [Model] is safe for concurrent use.
package sequence

import (
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Config bounds the model. Zero means the default in brackets; times are
// milliseconds.
type Config struct {
	Window      int64                 // that is tested [60 s]
	Idle        int64                 // a span without lines for so long is complete [10 s]
	MinPast     float64               // occurrences of a step from which its successors are judged [6]
	MinNow      float64               // the same in the window [3]
	Score       float64               // -log10 p from which it is an anomaly [5]
	Guard       float64               // weight with which anomalous minutes are learned [0.1]
	Accept      int64                 // after which a change that lasts is learned in full [30 min]
	MaxSpans    int                   // open at a time [50,000]
	MaxSteps    int                   // distinct steps of a service [2,000]
	MaxEntities int                   // services [5,000]
	Resolve     func(uint64) uint64   // the template that took over another's place; nil when templates never merge
	Text        func(t uint64) string // of a template, for sentences; nil says "line"
}

func (c Config) withDefaults() Config {
	ms := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	f := func(v *float64, d float64) {
		if *v <= 0 {
			*v = d
		}
	}
	n := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	ms(&c.Window, 60_000)
	ms(&c.Idle, 10_000)
	ms(&c.Accept, 30*60_000)
	f(&c.MinPast, 6)
	f(&c.MinNow, 3)
	f(&c.Score, 5)
	f(&c.Guard, .1)
	n(&c.MaxSpans, 50_000)
	n(&c.MaxSteps, 2_000)
	n(&c.MaxEntities, 5_000)
	if c.Resolve == nil {
		c.Resolve = func(t uint64) uint64 { return t }
	}
	if c.Text == nil {
		c.Text = func(uint64) string { return "" }
	}
	return c
}

// Stats counts what the model holds and what did not fit.
type Stats struct {
	Entities int `json:"entities"`
	Open     int `json:"open_spans"`
	Overflow int `json:"overflow"` // lines of spans, steps or services beyond the bounds
}

// Model is the order of lines of all services. Make one with [New].
type Model struct {
	mu       sync.Mutex
	cfg      Config
	open     map[spanKey]*span
	entities map[telemetry.Entity]*flow
	overflow int

	units     map[telemetry.Entity]*unitFlow
	openUnits map[unitKey]*unit
}

type spanKey struct {
	entity telemetry.Entity
	trace  string
	span   string
}

// span is one unit of work whose lines are still coming.
type span struct {
	lines    []line
	last     int64 // Unix ms of the newest line
	instance telemetry.Entity
}

type line struct {
	t    int64 // Unix ns
	step stepKey
}

// stepKey is what makes two lines the same step: their template, and the place
// in the source if the line names it.
type stepKey struct {
	Template uint64 `json:"t"`
	Place    string `json:"p,omitempty"`
}

// maxLines bounds the lines of one span; further ones are left out.
const maxLines = 256

// forgetAfter is how long (ms) a service that logs nothing more is remembered.
const forgetAfter = 7 * 24 * 3600_000

// New makes an empty model.
func New(cfg Config) *Model {
	return &Model{cfg: cfg.withDefaults(), open: map[spanKey]*span{}, entities: map[telemetry.Entity]*flow{},
		units: map[telemetry.Entity]*unitFlow{}, openUnits: map[unitKey]*unit{}}
}

// Add takes one line, whose template has the given id. Lines without an entity
// are ignored. The strings of rec are kept until its span is
// complete.
func (m *Model) Add(rec *telemetry.LogRecord, template uint64) {
	if rec.Entity.IsZero() || template == 0 {
		return
	}
	if rec.TraceID == "" {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.addUnit(rec, template)
		return
	}
	step := stepKey{template, placeOf(rec)}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.addUnit(rec, template)
	key := spanKey{rec.Entity, rec.TraceID, rec.SpanID}
	s := m.open[key]
	if s == nil {
		if len(m.open) >= m.cfg.MaxSpans {
			m.overflow++
			return
		}
		s = &span{instance: rec.Instance}
		m.open[key] = s
	}
	if len(s.lines) >= maxLines {
		m.overflow++
		return
	}
	s.lines = append(s.lines, line{rec.Time, step})
	s.last = max(s.last, rec.Time/1e6)
}

// Tick completes spans that are idle, tests every service's last minute and
// returns the anomalies that began, grew or ended. now is Unix ms of the clock
// that the lines carry.
func (m *Model) Tick(now int64) []ops.Anomaly {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.complete(now)
	var out []ops.Anomaly
	for _, e := range m.sorted() {
		f := m.entities[e]
		if now-f.last > forgetAfter && f.active == nil {
			delete(m.entities, e)
			continue
		}
		f.advance(&m.cfg, now)
		if a := f.judge(&m.cfg, now); a != nil {
			out = append(out, *a)
		}
	}
	return append(out, m.completeUnits(now)...)
}

func (m *Model) sorted() []telemetry.Entity {
	out := make([]telemetry.Entity, 0, len(m.entities))
	for e := range m.entities {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b telemetry.Entity) int {
		return strings.Compare(a.String(), b.String())
	})
	return out
}

// complete counts the steps of the spans that have been idle long enough.
func (m *Model) complete(now int64) {
	for key, s := range m.open {
		if now-s.last < m.cfg.Idle {
			continue
		}
		delete(m.open, key)
		f := m.entities[key.entity]
		if f == nil {
			if len(m.entities) >= m.cfg.MaxEntities {
				m.overflow += len(s.lines)
				continue
			}
			f = newFlow(key.entity)
			m.entities[key.entity] = f
		}
		m.overflow += f.take(&m.cfg, s)
	}
}

// Stats says what the model holds.
func (m *Model) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Stats{Entities: len(m.entities), Open: len(m.open), Overflow: m.overflow}
}

// placeOf is the place in the source that a line names: the attributes of the
// OpenTelemetry convention, else a word like Class#12, file.go:34 or
// File.java:56 among the first words. "" if there is none.
func placeOf(rec *telemetry.LogRecord) string {
	file, number := "", ""
	for i := range rec.Attributes {
		switch a := &rec.Attributes[i]; a.Key {
		case "code.function.name", "code.function", "code.filepath", "code.file.path":
			file = a.Value
		case "code.lineno", "code.line.number":
			number = a.Value
		}
	}
	if file != "" && number != "" {
		return file + ":" + number
	}
	rest := rec.Body
	for range 6 {
		var word string
		rest = strings.TrimLeft(rest, " \t[(")
		word, rest, _ = strings.Cut(rest, " ")
		if p := strings.TrimRight(word, "])}:,"); isPlace(p) {
			return strings.Clone(p)
		}
	}
	return ""
}

// isPlace tells Class#12 and file.go:34 from clocks, addresses and versions.
func isPlace(w string) bool {
	i := strings.LastIndexAny(w, "#:")
	if i < 2 || i == len(w)-1 || len(w)-i > 6 || len(w) > 120 {
		return false
	}
	for _, c := range w[i+1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	letters, dots := 0, false
	for _, c := range w[:i] {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '$', c == '/':
			letters++
		case c == '.':
			dots = true
		case c < '0' || c > '9':
			if c != '-' {
				return false
			}
		}
	}
	if w[i] == '#' {
		return letters >= 2
	}
	return letters >= 2 && dots && isSource(w[:i])
}

// isSource reports whether the name ends like a source file, so that
// db.example.org:5432 is none.
func isSource(w string) bool {
	switch w[strings.LastIndexByte(w, '.')+1:] {
	case "go", "java", "kt", "scala", "py", "rb", "js", "ts", "tsx", "jsx", "mjs", "c", "cc", "cpp", "h", "hpp", "rs", "cs", "php", "pl", "ex", "erl", "swift", "lua":
		return true
	}
	return false
}

// betaBinomialTail is the probability of seeing k or less (k or more when
// upper) of n when the share is Beta(a, b) distributed.
func betaBinomialTail(k, n int, a, b float64, upper bool) float64 {
	from, to := 0, k
	if upper {
		from, to = k, n
	}
	base := logBeta(a, b)
	ln, _ := math.Lgamma(float64(n + 1))
	sum := 0.0
	for i := from; i <= to; i++ {
		li, _ := math.Lgamma(float64(i + 1))
		lr, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(ln - li - lr + logBeta(float64(i)+a, float64(n-i)+b) - base)
	}
	return min(sum, 1)
}

func logBeta(a, b float64) float64 {
	x, _ := math.Lgamma(a)
	y, _ := math.Lgamma(b)
	z, _ := math.Lgamma(a + b)
	return x + y - z
}
