package pipeline

import (
	"cmp"
	"slices"
	"strings"

	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/detect/driver"
	"github.com/norn-aiops/norn/internal/detect/joint"
	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	driverEvery = 15_000     // ms between two readings of targets and drivers
	driverFresh = 3 * 60_000 // ms; older values say nothing of now
	maxOwn      = 4          // candidates of the entity itself
	maxCallers  = 2          // and request rates of its callers
	jointEvery  = 30_000     // ms between two rows of an entity's metrics
	trainSteps  = 20         // of networks, a tick: some milliseconds
)

// Driver says what drives a series, if anything is known to.
func (p *Pipeline) Driver(id telemetry.SeriesID) (driver.Driver, bool) { return p.both.Drivers.Of(id) }

// Joint says how an entity's metrics are judged together, if they are.
func (p *Pipeline) Joint(e telemetry.Entity) (joint.Explanation, bool) {
	return p.both.Joint.Explain(e)
}

// DriverStats counts what is known of drivers.
func (p *Pipeline) DriverStats() driver.Stats { return p.both.Drivers.Stats() }

// JointStats counts the joint models.
func (p *Pipeline) JointStats() joint.FleetStats { return p.both.Joint.Stats() }

// Together judges what no series shows alone: targets given their drivers, and
// all metrics of an entity jointly. The pipeline and backtests use the same. One
// goroutine calls Step and WithoutExplained; the models may be asked by others.
type Together struct {
	Drivers *driver.Book
	Joint   *joint.Fleet

	byLoad  map[string]bool // ids of anomalies that load explains
	driven  int64           // Unix ms of the last reading of drivers
	jointly int64           // Unix ms of the last joint rows
}

// NewTogether makes one that knows nothing yet.
func NewTogether() *Together {
	return &Together{Drivers: driver.New(driver.Config{}), Joint: joint.NewFleet(joint.FleetConfig{}), byLoad: map[string]bool{}}
}

// Step reads the engine's last values, at intervals of now (Unix ms), gives the
// anomalies that began, went on or ended, and trains networks a little. view,
// which may be nil, says who calls whom.
func (g *Together) Step(now int64, engine *detect.Engine, view *graph.View) []ops.Anomaly {
	g.Joint.Train(trainSteps)
	if now-g.driven < driverEvery {
		return nil
	}
	g.driven = now
	infos := engine.List(func(s *telemetry.Series) bool { return isTarget(s) || isCandidate(s) || isColumn(s) }, 0)
	out := g.Drivers.Step(now, driverGroups(infos, view, now))
	if now-g.jointly >= jointEvery {
		g.jointly = now
		out = append(out, g.Joint.Step(now, jointRows(infos, now))...)
	}
	return out
}

func isTarget(s *telemetry.Series) bool {
	return s.Peer.IsZero() && (s.Signal == telemetry.SignalLatency || s.Signal == telemetry.SignalSaturation) &&
		!strings.HasPrefix(s.Name, "norn_operation_")
}

// isCandidate tells the series that count work: requests, users, sessions,
// messages, queue lengths.
func isCandidate(s *telemetry.Series) bool {
	if !s.Peer.IsZero() || strings.HasPrefix(s.Name, "norn_operation_") {
		return false
	}
	name := strings.ToLower(s.Name)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) })
	}
	switch s.Signal {
	case telemetry.SignalTraffic:
		return strings.Contains(s.Unit, "request") || has("request", "workload", "users", "sessions", "messages", "orders", "jobs")
	case telemetry.SignalSaturation, telemetry.SignalOther:
		return has("queue_length", "queue_size", "active_users", "sessions", "backlog")
	}
	return false
}

// isColumn tells the series that are judged together with the others of their
// entity: all of its own but those of single operations, edges and log
// templates, of which there are many that are mostly 0, and those that rules
// take out.
func isColumn(s *telemetry.Series) bool {
	return s.Peer.IsZero() && s.Policy.Factor("joint") > 0 && s.Signal != telemetry.SignalUp && !strings.HasPrefix(s.Name, "norn_operation_") && s.Labels.Get("template") == ""
}

// jointRows gathers the values of each entity's columns, in a fixed order: the
// signals first that say most of its health.
func jointRows(infos []detect.SeriesInfo, now int64) []joint.Row {
	by := map[telemetry.Entity][]*detect.SeriesInfo{}
	for i := range infos {
		if in := &infos[i]; isColumn(in.Series) && now-in.T <= driverFresh {
			by[in.Series.Entity] = append(by[in.Series.Entity], in)
		}
	}
	out := make([]joint.Row, 0, len(by))
	for e, list := range by {
		slices.SortFunc(list, func(a, b *detect.SeriesInfo) int {
			return cmp.Or(cmp.Compare(columnRank(a.Series), columnRank(b.Series)), cmp.Compare(a.Series.ID, b.Series.ID))
		})
		r := joint.Row{Entity: e}
		for _, in := range list {
			r.Series, r.V, r.T = append(r.Series, in.Series), append(r.V, in.V), append(r.T, in.T)
			r.Severity, r.P = append(r.Severity, in.Severity), append(r.P, in.P)
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b joint.Row) int { return cmp.Compare(a.Entity.String(), b.Entity.String()) })
	return out
}

func columnRank(s *telemetry.Series) int {
	return slices.Index([]telemetry.Signal{telemetry.SignalOther, telemetry.SignalLogs, telemetry.SignalNetwork, telemetry.SignalSaturation,
		telemetry.SignalErrors, telemetry.SignalLatency, telemetry.SignalTraffic}, s.Signal) * -1
}

// driverGroups gathers, per entity, its targets and the candidates.
func driverGroups(infos []detect.SeriesInfo, view *graph.View, now int64) []driver.Group {
	targets, own := map[telemetry.Entity][]driver.Reading{}, map[telemetry.Entity][]driver.Reading{}
	for i := range infos {
		in := &infos[i]
		if now-in.T > driverFresh {
			continue
		}
		r := driver.Reading{Series: in.Series, V: in.V, T: in.T}
		if isCandidate(in.Series) {
			own[in.Series.Entity] = append(own[in.Series.Entity], r)
		}
		if isTarget(in.Series) {
			targets[in.Series.Entity] = append(targets[in.Series.Entity], r)
		}
	}
	for _, rs := range own {
		slices.SortFunc(rs, func(a, b driver.Reading) int {
			return cmp.Or(cmp.Compare(candidateRank(a.Series), candidateRank(b.Series)), cmp.Compare(a.Series.ID, b.Series.ID))
		})
	}
	out := make([]driver.Group, 0, len(targets))
	for e, ts := range targets {
		g := driver.Group{Targets: ts, Candidates: slices.Clone(own[e][:min(len(own[e]), maxOwn)])}
		if view != nil {
			callers := 0
			for _, d := range view.Dependents(e) {
				if rs := own[d.From]; len(rs) > 0 && d.Kind == graph.Calls && callers < maxCallers {
					g.Candidates = append(g.Candidates, rs[0])
					callers++
				}
			}
		}
		if len(g.Candidates) > 0 {
			out = append(out, g)
		}
	}
	return out
}

// candidateRank puts Norn's own request rate first.
func candidateRank(s *telemetry.Series) int {
	switch {
	case s.Name == "norn_request_rate":
		return 0
	case strings.Contains(s.Unit, "request"):
		return 1
	}
	return 2
}

// maxHeld bounds the anomalies whose holding back is remembered.
const maxHeld = 10_000

// WithoutExplained drops anomalies that the load of their series explains, and
// the end of those that were dropped. drop is told each that is dropped for the
// first time, with why.
func (g *Together) WithoutExplained(as []ops.Anomaly, drop func(a *ops.Anomaly, why string)) []ops.Anomaly {
	return slices.DeleteFunc(as, func(a ops.Anomaly) bool {
		if a.SeriesID == 0 || a.Member == "load" {
			return false
		}
		if a.Ended != 0 {
			held := g.byLoad[a.ID]
			delete(g.byLoad, a.ID)
			return held
		}
		text, ok := g.Drivers.Explains(&a)
		if !ok {
			delete(g.byLoad, a.ID)
			return false
		}
		if len(g.byLoad) >= maxHeld {
			clear(g.byLoad)
		}
		if !g.byLoad[a.ID] {
			g.byLoad[a.ID] = true
			drop(&a, text)
		}
		return true
	})
}
