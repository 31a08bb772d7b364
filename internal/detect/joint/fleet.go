package joint

import (
	"bytes"
	"cmp"
	"encoding/gob"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// FleetConfig bounds the models of all entities. Zero means the default in
// brackets.
type FleetConfig struct {
	MaxEntities int     // with a model [500]
	MaxNeural   int     // of them that may train a network [64]
	Least       int     // metrics from which an entity is judged jointly [4]
	Most        int     // metrics of one entity that are judged jointly [100]
	Score       float64 // -log10 p from which a row is strange [4.5]
	Rows        int     // strange rows in a row until it is an anomaly [3]
	Calm        int     // calm rows in a row until it has ended [4]
	Learn       int64   // ms of an entity's life before its model may raise anything [24 h]
	Gone        int64   // ms without a value after which a metric leaves the model [1 h]
	Seed        uint64
}

func (c FleetConfig) withDefaults() FleetConfig {
	n := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	n(&c.MaxEntities, 500)
	n(&c.MaxNeural, 64)
	n(&c.Least, 4)
	n(&c.Most, 100)
	n(&c.Rows, 3)
	n(&c.Calm, 4)
	if c.Score <= 0 {
		c.Score = 4.5
	}
	if c.Learn <= 0 {
		c.Learn = day
	}
	if c.Gone <= 0 {
		c.Gone = 3600_000
	}
	return c
}

// Row is what was read of one entity: the newest value of each series. A row
// in which less than half of the values are new is left out.
type Row struct {
	Entity telemetry.Entity
	Series []*telemetry.Series
	V      []float64
	T      []int64 // Unix ms of the values
	// Severity and P are those of the anomalies that are open of the series, 0
	// and 1 where there is none. Nil says nothing of any.
	Severity, P []float64
}

// FleetStats counts.
type FleetStats struct {
	Entities int    `json:"entities"`
	Ready    int    `json:"ready"`
	Neural   int    `json:"neural"`   // entities whose network leads
	Bytes    int    `json:"bytes"`    // of all models
	Overflow uint64 `json:"overflow"` // rows of entities beyond the bound
}

// Fleet holds the joint models of all entities, aligns what is read into rows,
// and turns lasting strangeness into anomalies of kind joint. It is safe for
// concurrent use.
type Fleet struct {
	mu       sync.Mutex
	cfg      FleetConfig
	members  map[telemetry.Entity]*member
	neural   int
	lent     int // members that learn from the past at the moment
	overflow uint64
	turn     int // whose network is trained next
}

// member is one entity's model with the state of its alarm.
type member struct {
	model    *Model
	columns  []telemetry.SeriesID
	names    map[telemetry.SeriesID]string
	seen     map[telemetry.SeriesID]int64 // Unix ms of the last value
	heard    map[telemetry.SeriesID]int64 // of those without a column
	spoke    map[uint64]int64             // Unix ms at which metrics last deviated by themselves
	policies map[telemetry.SeriesID]*telemetry.Policy
	newest   int64 // Unix ms of the newest value in a row
	born     int64 // Unix ms of the first row
	strange  int
	calm     int
	since    int64
	active   *ops.Anomaly
}

// NewFleet makes an empty fleet.
func NewFleet(cfg FleetConfig) *Fleet {
	return &Fleet{cfg: cfg.withDefaults(), members: map[telemetry.Entity]*member{}}
}

// Step takes the rows of all entities at now (Unix ms) and returns the
// anomalies that began, went on or ended.
func (f *Fleet) Step(now int64, rows []Row) []ops.Anomaly {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []ops.Anomaly
	for i := range rows {
		if a := f.step(now, &rows[i]); a != nil {
			out = append(out, *a)
		}
	}
	return out
}

func (f *Fleet) step(now int64, r *Row) *ops.Anomaly {
	m := f.members[r.Entity]
	if m == nil {
		switch {
		case len(r.Series) < f.cfg.Least:
			return nil
		case len(f.members)+f.lent >= f.cfg.MaxEntities:
			f.overflow++
			return nil
		}
		m = f.newMember()
		m.born = now
		f.members[r.Entity] = m
	}
	v, ok := f.teach(m, now, r)
	if !ok || !v.Ready || now-m.born < f.cfg.Learn {
		return nil
	}
	voice := m.hear(now, r)
	return m.judge(&f.cfg, now, r.Entity, &v, &voice)
}

// lastSeen is the time (Unix ms) of the newest value, 0 without any.
func (m *member) lastSeen() (t int64) {
	for _, at := range m.seen {
		t = max(t, at)
	}
	return max(t, m.newest)
}

func (f *Fleet) teach(m *member, now int64, r *Row) (v Verdict, ok bool) {
	if fresh := m.fresh(r); 2*fresh < len(r.Series) {
		return v, false
	}
	m.newest = slices.Max(r.T)
	m.align(&f.cfg, now, r)
	return m.model.Observe(now, m.values(r))
}

func (f *Fleet) newMember() *member {
	cfg := Config{Seed: f.cfg.Seed}
	if f.neural < f.cfg.MaxNeural {
		cfg.Neural = NeuralAuto
		f.neural++
	}
	return &member{model: New(cfg), names: map[telemetry.SeriesID]string{}, seen: map[telemetry.SeriesID]int64{}}
}

// fresh counts the values that are newer than the last row.
func (m *member) fresh(r *Row) (n int) {
	for _, t := range r.T {
		if t > m.newest {
			n++
		}
	}
	return n
}

// align gives the model the entity's present metrics as columns: new ones join
// up to the bound, those that have long been silent leave.
func (m *member) align(cfg *FleetConfig, now int64, r *Row) {
	changed := false
	for i, s := range r.Series {
		if math.IsNaN(r.V[i]) {
			continue
		}
		if _, known := m.seen[s.ID]; !known {
			if len(m.columns) >= cfg.Most || !m.steady(cfg, now, s.ID) {
				continue
			}
			m.columns = append(m.columns, s.ID)
			changed = true
		}
		m.seen[s.ID] = now
		m.obey(s)
		if m.names[s.ID] == "" {
			m.names[s.ID] = nameOf(s)
		}
	}
	m.columns = slices.DeleteFunc(m.columns, func(id telemetry.SeriesID) bool {
		if now-m.seen[id] < cfg.Gone {
			return false
		}
		delete(m.seen, id)
		delete(m.names, id)
		delete(m.policies, id)
		changed = true
		return true
	})
	if !changed {
		return
	}
	names := make([]string, len(m.columns))
	for i, id := range m.columns {
		names[i] = strconv.FormatUint(uint64(id), 10)
	}
	m.model.SetColumns(names)
}

// steady reports whether a metric that has no column comes often enough to get
// one: one that comes once an hour would join and leave for ever, and each time
// members begin anew.
func (m *member) steady(cfg *FleetConfig, now int64, id telemetry.SeriesID) bool {
	if len(m.columns) == 0 || m.model.rows == 0 {
		return true
	}
	if m.heard == nil || len(m.heard) > 4*cfg.Most {
		m.heard = map[telemetry.SeriesID]int64{}
	}
	last, ok := m.heard[id]
	m.heard[id] = now
	return ok && now-last <= cfg.Gone/4
}

// nameOf is a series' name as people know it: with its quantile and instance.
func nameOf(s *telemetry.Series) string {
	name := s.Name
	if q := s.Labels.Get("quantile"); q != "" {
		name += " (quantile " + q + ")"
	}
	if !s.Instance.IsZero() {
		name += " of " + s.Instance.Name
	}
	return name
}

func (m *member) values(r *Row) []float64 {
	at := make(map[telemetry.SeriesID]float64, len(r.Series))
	for i, s := range r.Series {
		at[s.ID] = r.V[i]
	}
	out := make([]float64, len(m.columns))
	for i, id := range m.columns {
		v, ok := at[id]
		if !ok {
			v = math.NaN()
		}
		out[i] = v
	}
	return out
}

// obey notes what operators' rules say of a metric.
func (m *member) obey(s *telemetry.Series) {
	switch {
	case s.Policy != nil && m.policies == nil:
		m.policies = map[telemetry.SeriesID]*telemetry.Policy{s.ID: s.Policy}
	case s.Policy != nil:
		m.policies[s.ID] = s.Policy
	default:
		delete(m.policies, s.ID)
	}
}

func (m *member) judge(cfg *FleetConfig, now int64, e telemetry.Entity, v *Verdict, w *voice) *ops.Anomaly {
	factor, shift := m.wish(v.Blame)
	switch {
	case v.Score >= cfg.Score+shift && factor > 0:
		if m.strange == 0 && m.active == nil {
			m.since = now
		}
		m.strange, m.calm = m.strange+1, 0
		if m.strange < cfg.Rows {
			return nil
		}
		return m.raise(now, e, v, w, factor)
	case v.Score >= cfg.Score/2 && factor > 0:
		m.strange = 0
		return nil
	}
	m.strange = 0
	m.calm++
	if m.active == nil || m.calm < cfg.Calm {
		return nil
	}
	a := m.active
	m.active = nil
	a.Ended = max(a.LastSeen, a.Onset+1)
	return a
}

// raise begins an anomaly or goes on with the one that lasts.
func (m *member) raise(now int64, e telemetry.Entity, v *Verdict, w *voice, factor float64) *ops.Anomaly {
	severity, p, agrees := w.agreed(v.Score, v.P)
	severity = min(1, factor*severity)
	a := m.active
	if a == nil {
		if factor < 1 && severity < leastJoint {
			return nil
		}
		a = &ops.Anomaly{ID: "joint-" + e.String() + "-" + strconv.FormatInt(m.since, 10), Series: "all metrics together", Entity: e, Signal: telemetry.SignalOther,
			Kind: ops.AnomalyJoint, Direction: telemetry.UpBad, Onset: m.since, P: 1, Member: memberName, Source: "norn"}
		m.active = a
	}
	a.LastSeen = now
	if v.Score >= a.Score || severity > a.Severity {
		a.Score, a.P, a.Observed = max(a.Score, v.Score), min(a.P, p), max(a.Score, v.Score)
		a.Severity = max(a.Severity, severity)
		a.Text = m.blame(v.Blame)
		if agrees {
			a.Text += fmt.Sprintf("; %d of them deviate by themselves too", w.signs)
		}
	}
	out := *a
	return &out
}

// severeFrom is the score from which severity grows from 0.
const severeFrom = 3

// blame says which metrics are to blame, those first that carry most.
func (m *member) blame(list []Blame) string {
	var b strings.Builder
	for i, x := range list {
		if i == 4 || x.Share < .08 {
			break
		}
		id, err := strconv.ParseUint(x.Name, 10, 64)
		if err != nil {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %.3g instead of %.3g", m.names[telemetry.SeriesID(id)], x.Observed, x.Expected)
	}
	if b.Len() == 0 {
		return "no metric alone is to blame"
	}
	return b.String()
}

// Train does up to steps small steps of the networks' training, entity by
// entity. It is for the background.
func (f *Fleet) Train(steps int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.sorted()
	for range all {
		f.turn = (f.turn + 1) % len(all)
		if m := f.members[all[f.turn]]; m.model.TrainingDue() {
			m.model.Train(steps)
			return
		}
	}
}

func (f *Fleet) sorted() []telemetry.Entity {
	out := make([]telemetry.Entity, 0, len(f.members))
	for e := range f.members {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b telemetry.Entity) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// Explain describes an entity's model; the names of its columns are those of
// the series. ok is false for an entity without one.
func (f *Fleet) Explain(e telemetry.Entity) (x Explanation, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[e]
	if m == nil {
		return x, false
	}
	x = m.model.Explain()
	for _, list := range [...][]string{x.Constant, x.Young} {
		for i, n := range list {
			if id, err := strconv.ParseUint(n, 10, 64); err == nil {
				list[i] = m.names[telemetry.SeriesID(id)]
			}
		}
	}
	return x, true
}

// Stats counts.
func (f *Fleet) Stats() FleetStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := FleetStats{Entities: len(f.members), Overflow: f.overflow}
	for _, m := range f.members {
		s.Bytes += m.model.Bytes()
		if m.model.verdict.ready {
			s.Ready++
		}
		if m.model.Choice().Member == MemberNeural {
			s.Neural++
		}
	}
	return s
}

// savedMember is one entity in a snapshot.
type savedMember struct {
	Entity  telemetry.Entity
	Neural  bool
	Born    int64
	Columns []telemetry.SeriesID
	Names   map[telemetry.SeriesID]string
	Seen    map[telemetry.SeriesID]int64
	Model   []byte
	Spoke   map[uint64]int64
}

// Snapshot writes all models.
func (f *Fleet) Snapshot(w io.Writer) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]savedMember, 0, len(f.members))
	for _, e := range f.sorted() {
		m := f.members[e]
		var buf bytes.Buffer
		if err := m.model.Snapshot(&buf); err != nil {
			return fmt.Errorf("snapshot the joint model of %s: %w", e, err)
		}
		out = append(out, savedMember{e, m.model.cfg.Neural != NeuralOff, m.born, m.columns, m.names, m.seen, buf.Bytes(), m.spoke})
	}
	if err := gob.NewEncoder(w).Encode(out); err != nil {
		return fmt.Errorf("write the joint models: %w", err)
	}
	return nil
}

// Restore replaces all models by those of a snapshot. A damaged one changes
// nothing and gives an error.
func (f *Fleet) Restore(r io.Reader) error {
	var in []savedMember
	if err := gob.NewDecoder(r).Decode(&in); err != nil {
		return fmt.Errorf("read the joint models: %w", err)
	}
	members, neural := map[telemetry.Entity]*member{}, 0
	for i := range in {
		s := &in[i]
		if len(members) >= f.cfg.MaxEntities {
			break
		}
		cfg := Config{Seed: f.cfg.Seed}
		if s.Neural {
			cfg.Neural = NeuralAuto
			neural++
		}
		model, err := Restore(cfg, bytes.NewReader(s.Model))
		if err != nil {
			return fmt.Errorf("read the joint model of %s: %w", s.Entity, err)
		}
		if len(model.cols) != len(s.Columns) {
			return fmt.Errorf("read the joint model of %s: %d columns for %d series: %w", s.Entity, len(model.cols), len(s.Columns), ErrSnapshot)
		}
		m := &member{model: model, born: s.Born, columns: s.Columns, names: s.Names, seen: s.Seen, spoke: s.Spoke}
		if m.names == nil {
			m.names = map[telemetry.SeriesID]string{}
		}
		if m.seen == nil {
			m.seen = map[telemetry.SeriesID]int64{}
		}
		members[s.Entity] = m
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members, f.neural = members, neural
	return nil
}
