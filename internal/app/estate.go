package app

import (
	"fmt"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Stats gives the counters since start, read from Norn's own metrics.
func (l *live) Stats() api.Stats {
	det := l.pipe.Engine().Stats()
	own := l.own()
	out := api.Stats{
		Started: l.started.UnixMilli(), SeriesWatched: det.Watched, Tiers: api.Tiers(det.Tiers), SeriesUnwatched: map[string]int{}, Rejects: map[string]uint64{},
		Points:   own.sum("norn_pipeline_samples_total"),
		Logs:     own.sum("norn_pipeline_items_total", "signal", "logs", "outcome", "accepted"),
		Spans:    own.sum("norn_pipeline_items_total", "signal", "spans", "outcome", "accepted"),
		Alerts:   own.sum("norn_pipeline_items_total", "signal", "alerts", "outcome", "accepted"),
		Entities: len(l.entities()), LastReceived: l.pipe.LastReceived(),
	}
	if n := det.Tiers.NotWatched; n > 0 {
		out.SeriesUnwatched["detection.max_series reached"] = n
	}
	if n := det.Tiers.Counter; n > 0 {
		out.SeriesUnwatched["only counted: "+det.Tiers.Short] = n
	}
	own.refusals(out.Rejects)
	for _, n := range l.pipe.Normalizer().Masked() {
		out.SecretsMasked += n
	}
	for sender, s := range l.pipe.Normalizer().Skews() {
		if ms := s.Offset.Milliseconds(); ms > skewShown || ms < -skewShown {
			out.Skews = append(out.Skews, api.Skew{Sender: sender, OffsetMS: -ms})
		}
	}
	slices.SortFunc(out.Skews, func(a, b api.Skew) int { return int(abs(b.OffsetMS) - abs(a.OffsetMS)) })
	return out
}

// skewShown is the offset (ms) from which a sender's clock is worth a word;
// batching alone makes a second or two.
const skewShown = 3000

func abs(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}

// ownMetrics are Norn's own metrics by name.
type ownMetrics map[string][]*dto.Metric

func (l *live) own() ownMetrics {
	out := ownMetrics{}
	families, err := l.registry.Gather()
	if err != nil {
		l.log.Error("own metrics not read", "err", err)
	}
	for _, f := range families {
		out[f.GetName()] = f.GetMetric()
	}
	return out
}

// refusals adds what was refused, by reason. What normalisation refuses is
// counted by the receivers as well, which answer for it; only Norn's own
// windows have no receiver.
func (o ownMetrics) refusals(to map[string]uint64) {
	count := func(m *dto.Metric) {
		if v := uint64(m.GetCounter().GetValue()); v > 0 {
			to[label(m, "reason")] += v
		}
	}
	for _, m := range o["norn_ingest_rejected_total"] {
		count(m)
	}
	for _, m := range o["norn_pipeline_rejected_total"] {
		if label(m, "signal") == "windows" {
			count(m)
		}
	}
}

// sum adds the counters of a name whose labels match the given pairs.
func (o ownMetrics) sum(name string, pairs ...string) uint64 {
	var total float64
next:
	for _, m := range o[name] {
		for i := 0; i+1 < len(pairs); i += 2 {
			if label(m, pairs[i]) != pairs[i+1] {
				continue next
			}
		}
		total += m.GetCounter().GetValue()
	}
	return uint64(total)
}

func label(m *dto.Metric, name string) string {
	for _, p := range m.GetLabel() {
		if p.GetName() == name {
			return p.GetValue()
		}
	}
	return ""
}

// entities gives every entity of the present graph and when it was last seen.
func (l *live) entities() map[telemetry.Entity]int64 {
	out := map[telemetry.Entity]int64{}
	for _, e := range l.pipe.GraphAt(l.pipe.Now()).Edges() {
		out[e.From] = max(out[e.From], e.LastSeen)
		out[e.To] = max(out[e.To], e.LastSeen)
	}
	return out
}

// shown are the kinds of entity that have a cell of their own.
var shown = []telemetry.EntityKind{
	telemetry.KindService, telemetry.KindDatabase, telemetry.KindQueue, telemetry.KindCache,
	telemetry.KindFunction, telemetry.KindExternal, telemetry.KindHost,
}

// Services gives the cells of the health grid. Health falls with the severity
// of what deviates at the entity now; an entity of an open incident is not
// well whatever it says itself.
func (l *live) Services() []api.ServiceState {
	cells := map[telemetry.Entity]*api.ServiceState{}
	for e, seen := range l.entities() {
		if slices.Contains(shown, e.Kind) {
			cells[e] = &api.ServiceState{Entity: e, Health: 1, State: "ok", LastSeen: seen}
		}
	}
	for _, s := range l.pipe.Engine().List(func(s *telemetry.Series) bool { return s.Signal != telemetry.SignalOther }, 0) {
		if slices.Contains(shown, s.Series.Entity.Kind) && cells[s.Series.Entity] == nil {
			cells[s.Series.Entity] = &api.ServiceState{Entity: s.Series.Entity, Health: 1, State: "ok", LastSeen: s.T}
		}
	}
	for _, a := range l.pipe.Engine().Active() {
		if c := cells[a.Entity]; c != nil {
			worsen(c, &a)
		}
	}
	l.markIncidents(cells)
	out := make([]api.ServiceState, 0, len(cells))
	for _, c := range cells {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b api.ServiceState) int { return strings.Compare(a.Entity.String(), b.Entity.String()) })
	return out
}

// worsen lowers a cell's health by one active anomaly.
func worsen(c *api.ServiceState, a *ops.Anomaly) {
	if a.Severity < 0.3 || a.Signal == telemetry.SignalTraffic && a.Direction >= 0 {
		return
	}
	health := 1 - a.Severity
	if health >= c.Health {
		return
	}
	c.Health = health
	switch {
	case a.Kind == ops.AnomalySilence:
		c.State, c.Text = "silent", "sends nothing"
	case health < 0.4:
		c.State = "failing"
	default:
		c.State = "degraded"
	}
	if a.Kind != ops.AnomalySilence {
		c.Text = string(a.Signal)
		if a.Expected > 0 && a.Observed > 0 {
			c.Text = string(a.Signal) + " " + times(a.Observed/a.Expected) + " of usual"
		}
	}
}

// times writes a factor as a person would: 3.4x, 120x.
func times(f float64) string {
	if f >= 9.95 {
		return fmt.Sprintf("%.0fx", f)
	}
	return fmt.Sprintf("%.1fx", f)
}

func (l *live) markIncidents(cells map[telemetry.Entity]*api.ServiceState) {
	for _, in := range l.pipe.OpenIncidents() {
		for _, cause := range in.Causes {
			c := cells[cause.Entity]
			if c == nil || cause.Role == ops.RoleBystander {
				continue
			}
			c.IncidentID = in.ID
			if c.State != "ok" {
				continue
			}
			c.State, c.Health, c.Text = "degraded", 0.6, string(cause.Role)+" of an open incident"
		}
	}
}
