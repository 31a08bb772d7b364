package pipeline

import (
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/cause"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func rate(name, entity string, base ...float64) cause.Series {
	s := cause.Series{Meta: &telemetry.Series{Name: name, Labels: labels.FromStrings("entity", entity)}}
	for i, v := range base {
		s.Baseline = append(s.Baseline, telemetry.Sample{T: int64(i) * 10_000, V: v})
	}
	return s
}

// A collector that was down leaves zeros in every rate; a service that nobody
// called leaves zeros beside its neighbours' calls. Only the first are no data,
// and what other senders measured stays as it is.
func TestAnOutageOfTheCollectorIsNotAQuietService(t *testing.T) {
	series := []cause.Series{
		rate("norn_request_rate", "service/cart", 5, 0, 0, 0, 4),
		rate("norn_log_rate", "service/cart", 9, 3, 0, 0, 0),
		rate("queue_length", "service/cart", 0, 0, 0, 0, 0),
	}
	shared := series[0].Baseline
	withoutGaps(series)
	if got := len(series[0].Baseline); got != 3 {
		t.Errorf("request rate keeps %d samples, want 5, 0 (its neighbour spoke) and 4", got)
	}
	if got := len(series[1].Baseline); got != 3 {
		t.Errorf("log rate keeps %d samples, want 9, 3 and the 0 beside calls", got)
	}
	if got := len(series[2].Baseline); got != 5 {
		t.Errorf("a sender's own zeros were touched: %d left", got)
	}
	if len(shared) != 5 || shared[4].V != 4 {
		t.Error("the samples of the caller were changed")
	}
}

// Incidents are no part of a baseline, but their quiet ends are, and where
// incidents took nearly all the time they are better than nothing.
func TestBaselinesLeaveOutIncidentsAsLongAsSomethingRemains(t *testing.T) {
	cart := telemetry.Entity{Kind: telemetry.KindService, Name: "cart"}
	var d store.SeriesData
	for i := range int64(100) {
		d.Samples = append(d.Samples, telemetry.Sample{T: i * 10_000, V: 1})
	}
	var w incidentWindows
	w.note(&ops.Incident{ID: "a", Onset: 100_000, Updated: 500_000, Resolved: 500_000, Entities: []telemetry.Entity{cart},
		Anomalies: []ops.Anomaly{{Onset: 100_000, LastSeen: 290_000}}})
	if got := len(w.outside(d, cart.String(), "b").Samples); got != 80 {
		t.Errorf("%d samples left, want 80: all but those while the anomalies lasted", got)
	}
	if got := len(w.outside(d, cart.String(), "a").Samples); got != 100 {
		t.Errorf("the incident's own time was taken out: %d left", got)
	}
	w.note(&ops.Incident{ID: "c", Onset: 0, Entities: []telemetry.Entity{cart}, Anomalies: []ops.Anomaly{{LastSeen: 900_000}}})
	if got := len(w.outside(d, cart.String(), "b").Samples); got != 100 {
		t.Errorf("%d samples left, want all: incidents took nearly the whole time", got)
	}
}
