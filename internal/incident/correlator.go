// Package incident turns many anomalies and other tools' alerts into few
// incidents that open, grow, merge, split, resolve and reopen.
//
// It exists so that one fault gives one page. An anomaly joins the group whose
// entities it is related to in the dependency graph at about the same time;
// series that speak all the time count little; a flapping one is counted, not
// repeated. The package does not find causes: [Correlator.Tick] names the
// groups that need a judgement, the caller asks cause analysis and hands the
// answer to [Correlator.Apply]. It does no I/O and knows no clock: now is an
// argument (Unix milliseconds, of the data's clock), and must not go back.
//
// A [Correlator] is safe for concurrent use. All its tables are bounded; what
// does not fit is counted in [Stats].
package incident

import (
	"errors"
	"sync"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// ErrUnknown is returned (wrapped) when no incident has the given id, or it
// was forgotten after it ended.
var ErrUnknown = errors.New("unknown incident")

// ErrState is returned (wrapped) when an incident's state does not allow what
// was asked.
var ErrState = errors.New("not possible in this state")

// Config holds the correlator's parameters. Zero means the default in
// brackets. All durations are milliseconds of the data's clock.
type Config struct {
	Quiet          int64   // after the last evidence until an incident resolves [3 min]
	Stale          int64   // an anomaly without news for this long counts as ended [15 min]
	Grace          int64   // after resolution in which the same root reopens [10 min]
	Window         int64   // an anomaly joins a group whose last evidence is not older [5 min]
	Rejudge        int64   // between judgements of a growing group [30 s]
	Flap           int64   // a series that speaks again within this is the same alert [15 min]
	ChangeWindow   int64   // before the onset in which changes are told [30 min]
	OpenConfidence float64 // of the first cause, from which an incident opens [0.25]
	OpenSeverity   float64 // from which one without a clear cause opens [0.6]
	MaxGroups      int     // groups at a time, open incidents included [300]
	MaxAnomalies   int     // kept per group; more are counted [300]
	MaxPending     int     // anomalies between two ticks [50,000]
	MaxSeries      int     // series whose habits are remembered [200,000]
	MaxJudged      int     // candidates given out per tick [12]
	Budget         BudgetConfig
}

func (c Config) withDefaults() Config {
	ms := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	n := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	ms(&c.Quiet, 3*60_000)
	ms(&c.Stale, 15*60_000)
	ms(&c.Grace, 10*60_000)
	ms(&c.Window, 5*60_000)
	ms(&c.Rejudge, 30_000)
	ms(&c.Flap, 15*60_000)
	ms(&c.ChangeWindow, 30*60_000)
	n(&c.MaxGroups, 300)
	n(&c.MaxAnomalies, 300)
	n(&c.MaxPending, 50_000)
	n(&c.MaxSeries, 200_000)
	n(&c.MaxJudged, 12)
	if c.OpenConfidence <= 0 {
		c.OpenConfidence = .25
	}
	if c.OpenSeverity <= 0 {
		c.OpenSeverity = .6
	}
	return c
}

// Stats counts what became of everything that came in.
type Stats struct {
	Received   int `json:"received"` // calls of Anomaly
	Flaps      int `json:"flaps"`    // folded into an earlier one of the same series
	Joined     int `json:"joined"`   // put into an existing group
	Founded    int `json:"founded"`  // began a group
	Context    int `json:"context"`  // of chronic series with no group to join
	Late       int `json:"late"`     // belonged to an incident that had ended
	Overflow   int `json:"overflow"` // did not fit into a bounded table
	Waiting    int `json:"waiting"`  // other tools' alerts that are in no group yet
	Groups     int `json:"groups"`
	Open       int `json:"open"`
	Pending    int `json:"pending"`
	Opened     int `json:"opened"`     // incidents, reopened ones left out
	Suppressed int `json:"suppressed"` // candidates that the budget of false pages held back
}

// Candidate is a group that needs a judgement.
type Candidate struct {
	ID        string
	Onset     int64
	Anomalies []ops.Anomaly
	Entities  []telemetry.Entity
	Target    telemetry.Entity // where users feel it; zero when unclear
	Changes   []telemetry.Change
	Suspect   telemetry.Entity // of a group of other tools' alerts: the root that explains its place among the others; zero for others
}

// Correlator groups anomalies. Make one with [New].
type Correlator struct {
	mu       sync.Mutex
	cfg      Config
	pending  map[string]*record // by anomaly id
	records  map[string]*record // by anomaly id, aliases of flapping series included
	series   map[uint64]*habit
	habits   habits
	groups   map[string]*group // active: candidates and open incidents
	closed   map[string]*group // ended within the grace period, for late news and reopening
	changes  []telemetry.Change
	stats    Stats
	view     *graph.View
	near     map[telemetry.Entity]map[telemetry.Entity]float64 // of this tick's view
	byName   map[telemetry.Entity]map[string]*group
	budget   *budget
	presence *presence           // of other tools' alerts
	pool     *pool               // of other tools' alerts that the fit groups
	blame    *graph.Blame        // of this tick's view; nil until it is needed
	measured bool                // some group rests on Norn's own anomalies
	aside    []ops.Incident      // changed beside judgements; given out with Resolve
	full     map[uint64]struct{} // hashes of the ids that did not fit into their group
}

// New makes an empty correlator.
func New(cfg Config) *Correlator {
	return &Correlator{cfg: cfg.withDefaults(), budget: newBudget(cfg.Budget), presence: newPresence(), pool: newPool(), pending: map[string]*record{}, records: map[string]*record{},
		series: map[uint64]*habit{}, groups: map[string]*group{}, closed: map[string]*group{},
		byName: map[telemetry.Entity]map[string]*group{}, full: map[uint64]struct{}{}}
}

// Anomaly takes news of an anomaly or alert: a new one, or the same ID again
// because it grew or ended. It is put into a group by the next Tick.
func (c *Correlator) Anomaly(a ops.Anomaly) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Received++
	if r := c.records[a.ID]; r != nil && c.over(r, &a) {
		delete(c.records, a.ID) // the same alert fires again: news of its own
	}
	if r := c.records[a.ID]; r != nil {
		r.update(a)
		if g := r.group; g != nil {
			g.touch(r)
		}
		return
	}
	if r := c.pending[a.ID]; r != nil {
		r.update(a)
		return
	}
	if _, known := c.full[hashOf(a.ID)]; known {
		return
	}
	if len(c.pending) >= c.cfg.MaxPending {
		c.stats.Overflow++
		return
	}
	r := &record{a: a, series: seriesKey(&a), count: 1}
	r.note(&a)
	c.pending[a.ID] = r
}

// over reports whether a is a new firing of an alert whose earlier one is of
// the past: it began after that ended, or after its incident did, and too late
// to be flapping.
func (c *Correlator) over(r *record, a *ops.Anomaly) bool {
	if a.Kind != ops.AnomalyAlert || a.Onset <= r.last() || a.ID != r.a.ID {
		return false
	}
	gone := r.group != nil && c.groups[r.group.id] != r.group
	return gone || a.Onset-r.last() > c.cfg.Flap
}

// maxChanges bounds the changes that are remembered.
const maxChanges = 2000

// Change takes note of a deploy or other change, to be told beside incidents.
func (c *Correlator) Change(ch telemetry.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.changes) >= maxChanges {
		c.changes = append(c.changes[:0], c.changes[maxChanges/2:]...)
	}
	c.changes = append(c.changes, ch)
	for _, g := range c.groups {
		if ch.Time >= g.onset-c.cfg.ChangeWindow && ch.Time <= g.last+c.cfg.Quiet {
			g.dirty = true
		}
	}
}

// Stats returns the counters.
func (c *Correlator) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Groups, s.Pending, s.Suppressed = len(c.groups), len(c.pending), c.budget.kept
	for _, r := range c.pool.recs {
		if r.group == nil {
			s.Waiting++
		}
	}
	for _, g := range c.groups {
		if g.in != nil {
			s.Open++
		}
	}
	return s
}
