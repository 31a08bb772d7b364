package pipeline

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/incident"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// watched counts the watched series of a scope: for so many must the budget of
// false pages correct.
func watched(e *detect.Engine, o *owners) func(incident.Scope) int {
	return func(of incident.Scope) int {
		switch {
		case of.Team != "":
			return o.ofTeam(e, of.Team)
		case of.Entity.IsZero():
			return e.Stats().Watched
		}
		return len(e.List(func(s *telemetry.Series) bool { return s.Entity == of.Entity || s.Peer == of.Entity }, 0))
	}
}

// suppressed shows how many candidates the budget of false pages held back.
func suppressed(reg prometheus.Registerer, c *incident.Correlator) {
	promauto.With(reg).NewCounterFunc(prometheus.CounterOpts{
		Name: "norn_incident_suppressed_total", Help: "Incident candidates that the budget of false pages held back.",
	}, func() float64 { return float64(c.Stats().Suppressed) })
}

// Suppressed lists the candidates that the budget of false pages holds back,
// newest first, and the state of the budget.
func (p *Pipeline) Suppressed() ([]ops.Suppressed, ops.Budget) {
	return p.corr.Suppressed(), p.corr.Budget(p.Now())
}

// Grouping counts what became of anomalies on their way into incidents.
func (p *Pipeline) Grouping() incident.Stats { return p.corr.Stats() }
