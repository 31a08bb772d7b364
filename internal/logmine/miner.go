// Package logmine turns log lines into templates while they stream by.
//
// It exists so that every service has a bounded list of "what it says", a rate
// series for each of those messages, and an anomaly when it says something
// bad that it never said before. It does not parse headers, store lines or
// judge rates: normalize gives it bodies with entity and severity, detection
// watches the rates that [Miner.Flush] returns.
//
// The method has two levels and no similarity threshold. One scan masks what
// is variable by form (numbers, addresses, paths, values of keys) and hashes
// the rest, the pattern; a table maps known patterns to templates without an
// allocation. A pattern that the table does not know is compared with the
// templates that have the same separators, and a place in which enough
// distinct words were seen becomes a wildcard. The result hardly depends on the
// order of lines. Design and figures: docs/adr and the bench command.
//
// A [Miner] is safe for concurrent use: each service has a lock of its own,
// taken after the miner's. All state is bounded: services, templates and bytes
// a service, pattern table, aliases. Time comes in with the records and calls.
package logmine

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Config bounds and tunes a [Miner]. A zero field means the default in
// brackets.
type Config struct {
	Window       time.Duration // length of a rate sample's window (10 s)
	MaxServices  int           // entities that are mined; lines of others are counted, not mined (2000)
	MaxTemplates int           // live templates a service; the least recently used go first (4096)
	MaxBytes     int           // estimated bytes of a service's templates (5 MiB)
	MaxTotal     int           // estimated bytes of all services; beyond, none keeps more than an equal share (512 MiB)
	MaxAliases   int           // merged ids that are remembered, all services together (65,536)

	RatedTemplates int           // templates with a rate series, a service (200)
	ParamSeries    int           // numbers in lines with a series, a service (20)
	RatedMin       int           // lines before a template gets one (3)
	ZeroFor        time.Duration // how long a silent series still gives zeros (10 min)

	LearnFor           time.Duration // log time in which everything is new (10 min)
	LearnLines         int           // or this many lines, when they took at least a minute (500)
	AnomaliesPerMinute int           // new-template anomalies a service, by log time (3)
	RareAfter          time.Duration // a seldom message of failure that was silent for so long is news again (24 h)
	AnomalyQuiet       time.Duration // silence after which one ends (5 min)
	IdleFor            time.Duration // a service without lines for so long is forgotten (48 h)
}

func (c Config) withDefaults() Config {
	ints := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	spans := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	ints(&c.MaxServices, 2000)
	ints(&c.MaxTemplates, 4096)
	ints(&c.MaxBytes, 5<<20)
	ints(&c.MaxTotal, 512<<20)
	ints(&c.MaxAliases, 65_536)
	ints(&c.RatedTemplates, 200)
	ints(&c.RatedMin, 3)
	ints(&c.ParamSeries, 20)
	ints(&c.LearnLines, 500)
	ints(&c.AnomaliesPerMinute, 3)
	spans(&c.Window, 10*time.Second)
	spans(&c.ZeroFor, 10*time.Minute)
	spans(&c.LearnFor, 10*time.Minute)
	spans(&c.RareAfter, 24*time.Hour)
	spans(&c.AnomalyQuiet, 5*time.Minute)
	spans(&c.IdleFor, 48*time.Hour)
	return c
}

// Miner mines the templates of many services. Make one with [New].
type Miner struct {
	cfg Config

	mu       sync.RWMutex // guards services, lastEnd, refused
	services map[telemetry.Entity]*service
	lastEnd  int64  // end of the last flushed window, Unix ms
	refused  uint64 // lines of entities beyond MaxServices

	aliases aliases
	shared  budget
}

// New makes a miner that knows nothing yet.
func New(cfg Config) *Miner {
	m := &Miner{cfg: cfg.withDefaults(), services: make(map[telemetry.Entity]*service)}
	m.aliases.limit = m.cfg.MaxAliases
	m.shared.limit = int64(m.cfg.MaxTotal)
	return m
}

// Add mines one record and sets its Template. It returns the template's id,
// stable across restarts and unique across services (53 bits, never 0 unless
// the entity is beyond [Config.MaxServices]), and an anomaly when the record is
// the first of a template that deserves one: its severity is warn or worse or
// it holds a word of failure, the service is past its learning time, and the
// service's budget for the minute is not spent. The same holds for the record of a
// template that came seldom and not for [Config.RareAfter]. A record of history teaches its
// template and counts in no rate and for no anomaly. For records of known
// templates Add allocates nothing. Safe for concurrent use.
func (m *Miner) Add(rec *telemetry.LogRecord) (uint64, *ops.Anomaly) {
	s := m.service(rec.Entity)
	if s == nil {
		rec.Template = 0
		return 0, nil
	}
	t := rec.Time
	if t == 0 {
		t = rec.Observed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record(rec, t)
}

// record mines rec, whose log time is t (Unix ns). The lock is held.
func (s *service) record(rec *telemetry.LogRecord, t int64) (uint64, *ops.Anomaly) {
	if s.lines == 0 {
		s.firstNs, s.lastNs = t, t
	}
	s.lastNs = max(s.lastNs, t)
	if rec.History {
		s.firstNs = min(s.firstNs, t)
	}
	tpl, created := s.add(rec.Body)
	before := tpl.last
	if tpl.first == 0 || t < tpl.first {
		tpl.first = t
	}
	tpl.last = max(tpl.last, t)
	tpl.severity = max(tpl.severity, rec.Severity)
	rec.Template = tpl.id
	if rec.History {
		tpl.window--
		return tpl.id, nil
	}
	s.rates.count(rec.Severity)
	if rec.Severity >= telemetry.SeverityWarn && rec.Severity >= s.shares.level && s.shares.active == nil {
		s.shares.line, s.shares.level = tpl.line, rec.Severity
	}
	switch {
	case created:
		return tpl.id, s.consider(tpl, rec, t, 0)
	case tpl.count <= rareLines && s.rare(tpl, before, t):
		return tpl.id, s.consider(tpl, rec, t, before)
	}
	return tpl.id, nil
}

// service returns the miner of an entity, making it if there is room.
func (m *Miner) service(e telemetry.Entity) *service {
	if e.IsZero() {
		e = telemetry.Entity{Kind: telemetry.KindService, Name: "unknown"}
	}
	m.mu.RLock()
	s := m.services[e]
	m.mu.RUnlock()
	if s != nil {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s = m.services[e]; s != nil {
		return s
	}
	if len(m.services) >= m.cfg.MaxServices {
		m.refused++
		return nil
	}
	s = newService(e, &m.cfg, &m.shared, m.aliases.add)
	m.services[e] = s
	m.shared.services.Store(int64(len(m.services)))
	return s
}

// Resolve follows merges: it returns the id that carries the lines of id now,
// which is id itself unless its template was merged into another. Safe for
// concurrent use.
func (m *Miner) Resolve(id uint64) uint64 { return m.aliases.resolve(id) }

// Aliases gives, for every merged id that is remembered, the id that carries
// its lines now. The map belongs to the caller. Safe for concurrent use.
func (m *Miner) Aliases() map[uint64]uint64 { return m.aliases.all() }

// Template is one message of a service as the miner knows it.
type Template struct {
	ID        uint64             `json:"id"`
	Entity    telemetry.Entity   `json:"entity"`
	Text      string             `json:"text"` // "<*>" for what varies
	Count     uint64             `json:"count"`
	FirstSeen int64              `json:"first_seen_unix_nano"`
	LastSeen  int64              `json:"last_seen_unix_nano"`
	Severity  telemetry.Severity `json:"severity"` // highest seen
	Example   string             `json:"example"`  // first line, its start if it is long
	// Parameters are the places of Text that vary, in order (the parts of a
	// time of day, which Text shows as one, each by itself).
	Parameters []Parameter `json:"parameters"`
	// Versions are the texts that the template had, oldest first: the first and
	// the latest ones; the last is Text.
	Versions []Version `json:"versions"`
}

func (s *service) describe(t *template) Template {
	t.dirty = t.dirty || len(t.versions) == 0
	s.note(t)
	return Template{
		Parameters: t.parameters(), Versions: slices.Clone(t.versions),
		ID: t.id, Entity: s.entity, Text: t.text(), Count: t.count,
		FirstSeen: t.first, LastSeen: t.last, Severity: t.severity, Example: t.line,
	}
}

// Templates lists the live templates of an entity, most frequent first; none
// gives an empty slice. Safe for concurrent use.
func (m *Miner) Templates(e telemetry.Entity) []Template {
	m.mu.RLock()
	s := m.services[e]
	m.mu.RUnlock()
	if s == nil {
		return []Template{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Template, 0, s.live)
	for _, t := range s.templates {
		if t != nil && t.into == nil {
			out = append(out, s.describe(t))
		}
	}
	slices.SortFunc(out, func(a, b Template) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Find returns the live template that carries the lines of id, of whatever
// service. Safe for concurrent use.
func (m *Miner) Find(id uint64) (Template, bool) {
	id = m.Resolve(id)
	for _, s := range m.all() {
		s.mu.Lock()
		if t := s.ids[id]; t != nil {
			d := s.describe(t.live())
			s.mu.Unlock()
			return d, true
		}
		s.mu.Unlock()
	}
	return Template{}, false
}

// Entities lists the entities whose lines were mined, by name.
func (m *Miner) Entities() []telemetry.Entity {
	all := m.all()
	out := make([]telemetry.Entity, len(all))
	for i, s := range all {
		out[i] = s.entity
	}
	return out
}

// all returns the services in a stable order.
func (m *Miner) all() []*service {
	m.mu.RLock()
	out := make([]*service, 0, len(m.services))
	for _, s := range m.services {
		out = append(out, s)
	}
	m.mu.RUnlock()
	slices.SortFunc(out, func(a, b *service) int {
		return cmp.Or(cmp.Compare(a.entity.Kind, b.entity.Kind), cmp.Compare(a.entity.Name, b.entity.Name))
	})
	return out
}

// Stats counts what a miner holds and did.
type Stats struct {
	Services  int    `json:"services"`
	Templates int    `json:"templates"`
	Lines     uint64 `json:"lines"`
	Merges    uint64 `json:"merges"`
	Retired   uint64 `json:"retired"`          // templates that made room for others
	Refused   uint64 `json:"refused_lines"`    // of entities beyond the limit
	Withheld  uint64 `json:"withheld"`         // new-template anomalies beyond the budget
	Bytes     int    `json:"template_bytes"`   // estimate
	Aliases   int    `json:"template_aliases"` // merged ids remembered
}

// Stats returns counts over all services. Safe for concurrent use.
func (m *Miner) Stats() Stats {
	var st Stats
	for _, s := range m.all() {
		s.mu.Lock()
		st.Services++
		st.Templates += s.live
		st.Lines += s.lines
		st.Merges += s.merges
		st.Retired += s.retired
		st.Withheld += s.novelty.withheld
		st.Bytes += s.bytes
		s.mu.Unlock()
	}
	m.mu.RLock()
	st.Refused = m.refused
	m.mu.RUnlock()
	st.Aliases = m.aliases.size()
	return st
}
