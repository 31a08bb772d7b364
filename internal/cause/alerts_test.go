package cause

import (
	"fmt"
	"testing"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func told(name, entity string, at int64, surprise float64) ops.Anomaly {
	return ops.Anomaly{ID: name + entity, Series: name, Entity: telemetry.Entity{Kind: telemetry.KindService, Name: entity}, Kind: ops.AnomalyAlert,
		Signal: telemetry.SignalOther, Onset: at, LastSeen: at, Severity: .6, Severe: "warning", Source: "alertmanager", Surprise: surprise}
}

func callChain(names ...string) *graph.View {
	var es []graph.Edge
	for i := 1; i < len(names); i++ {
		es = append(es, graph.Edge{From: telemetry.Entity{Kind: telemetry.KindService, Name: names[i-1]}, To: telemetry.Entity{Kind: telemetry.KindService, Name: names[i]}, Kind: graph.Calls})
	}
	return graph.NewView(es)
}

func TestAlertsAloneNameTheRootThatExplainsTheOthers(t *testing.T) {
	const t0 = 1_700_000_000_000
	in := Input{Onset: t0, Now: t0 + 60_000, View: callChain("web", "orders", "db"), Anomalies: []ops.Anomaly{
		told("Slow", "web", t0+4000, 1), told("Errors", "orders", t0+2000, 1), told("Locks", "db", t0, 1),
	}}
	for i := range 40 { // the loudest has alerts that come with every trouble
		in.Anomalies = append(in.Anomalies, told(fmt.Sprint("Chatty", i), "web", t0, 0))
	}
	j := Rank(in, Config{})
	if j.Verdict != ops.VerdictCause || j.Causes[0].Entity.Name != "db" || j.Causes[0].Role != ops.RoleRoot {
		t.Fatalf("verdict %s, first cause %+v", j.Verdict, j.Causes[0])
	}
	roles := map[string]ops.Role{}
	for _, c := range j.Causes {
		roles[c.Entity.Name] = c.Role
	}
	if roles["orders"] != ops.RoleSymptom {
		t.Errorf("roles %v", roles)
	}
	if len(j.Causes[0].Evidence) == 0 || j.Causes[0].Evidence[0].AnomalyID != "Locksdb" {
		t.Errorf("evidence %+v", j.Causes[0].Evidence)
	}
}

func TestWithoutAGraphTheRarestAlertsDecide(t *testing.T) {
	const t0 = 1_700_000_000_000
	j := Rank(Input{Onset: t0, Now: t0 + 60_000, Anomalies: []ops.Anomaly{
		told("A", "loud", t0, .2), told("B", "loud", t0, .2), told("C", "loud", t0, .2), told("D", "quiet", t0+1000, 1), told("E", "quiet", t0+2000, 1),
	}}, Config{})
	if len(j.Causes) == 0 || j.Causes[0].Entity.Name != "quiet" {
		t.Fatalf("causes %+v", j.Causes)
	}
}

func TestAlertsThatAllComeOftenStillGiveAnAnswer(t *testing.T) {
	const t0 = 1_700_000_000_000
	j := Rank(Input{Onset: t0, Now: t0, View: callChain("web", "db"), Anomalies: []ops.Anomaly{told("A", "web", t0, 0), told("B", "db", t0, 0)}}, Config{})
	if j.Verdict != ops.VerdictCause || j.Causes[0].Entity.Name != "db" {
		t.Fatalf("%+v", j)
	}
}
