package replay

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
)

const tEval = int64(1_700_000_000_000)

func incidentAt(id string, onset int64, sev float64, causes ...string) ops.Incident {
	in := ops.Incident{ID: id, Onset: onset, Opened: onset + 30_000, Severity: sev, Confidence: .5, Title: id,
		Anomalies: []ops.Anomaly{{ID: id + "-a", Onset: onset}}}
	for i, c := range causes {
		in.Causes = append(in.Causes, ops.Cause{Entity: service(c), Score: .9 - float64(i)/10, Role: ops.RoleRoot})
	}
	return in
}

func TestEvaluateCountsWhatAReaderWouldCount(t *testing.T) {
	faults := []Fault{
		{ID: "right", Onset: tEval, End: tEval + 300_000, Entity: service("a")},
		{ID: "third", Onset: tEval + 3600_000, End: tEval + 3900_000, Entity: service("c")},
		{ID: "wrong", Onset: tEval + 7200_000, End: tEval + 7500_000, Entity: service("x")},
		{ID: "missed", Onset: tEval + 10800_000, End: tEval + 11100_000, Entity: service("a")},
	}
	merged := incidentAt("gone", tEval+10, .9, "z")
	merged.MergedInto = "i1"
	ins := []ops.Incident{
		incidentAt("i1", tEval+10_000, .8, "a", "b"),
		incidentAt("i1b", tEval+20_000, .2, "q"), // a second, weaker incident of the same fault
		incidentAt("i2", tEval+3600_000, .8, "a", "b", "c"),
		incidentAt("i3", tEval+7200_000, .8, "a"),
		incidentAt("noise", tEval+5400_000, .8, "a"),
		incidentAt("learning", tEval-3600_000, .8, "a"),
		merged,
	}
	rep := Evaluate(faults, ins, EvalOptions{Ignore: []Interval{{tEval - 7200_000, tEval - 600_000}}})
	if rep.Faults != 4 || rep.Detected != 3 || rep.Top1 != 1 || rep.Top3 != 2 || rep.FalseIncidents != 1 || rep.Incidents != 5 {
		t.Fatalf("%+v", rep)
	}
	if o := rep.Outcomes[0]; o.Incidents != 2 || o.DelayS != 40 || !o.Right() {
		t.Errorf("first outcome %+v", o)
	}
	var buf bytes.Buffer
	if err := rep.Write(&buf); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"right", "in top 3", "wrong", "missed", "4 faults, 3 detected", "1 false", "noise"} {
		if !strings.Contains(buf.String(), s) {
			t.Errorf("the table lacks %q:\n%s", s, buf.String())
		}
	}
	raw, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{`"faults":4`, `"detected":3`, `"top1":1`, `"top3":2`, `"false_incidents":1`} {
		if !strings.Contains(string(raw), k) {
			t.Errorf("JSON lacks %s", k)
		}
	}
}

func TestAnIncidentThatGoesOnCountsForTheNextFaultByItsNewEvidence(t *testing.T) {
	in := incidentAt("long", tEval, .8, "a")
	in.Anomalies = append(in.Anomalies, ops.Anomaly{ID: "later", Onset: tEval + 605_000})
	rep := Evaluate([]Fault{
		{ID: "1", Onset: tEval, End: tEval + 60_000, Entity: service("a")},
		{ID: "2", Onset: tEval + 600_000, End: tEval + 660_000, Entity: service("a")},
	}, []ops.Incident{in}, EvalOptions{})
	if rep.Detected != 2 || rep.Outcomes[1].DelayS != 5 || rep.Outcomes[1].Incidents != 0 || rep.FalseIncidents != 0 {
		t.Fatalf("%+v", rep)
	}
}

func TestTheFaultsTargetIsNotItsCause(t *testing.T) {
	f := Fault{ID: "1", Onset: tEval, End: tEval + 60_000, Entity: service("store"), Target: service("gate")}
	rep := Evaluate([]Fault{f}, []ops.Incident{incidentAt("i", tEval, .8, "gate", "store")}, EvalOptions{})
	if rep.Top1 != 1 {
		t.Fatalf("%+v", rep.Outcomes)
	}
	if rep := Evaluate([]Fault{f}, []ops.Incident{incidentAt("i", tEval, .8, "gate", "store")}, EvalOptions{Targets: true}); rep.Top1 != 0 || rep.Top3 != 1 {
		t.Fatalf("with targets: %+v", rep.Outcomes)
	}
}

func TestAnIncidentThatOpensAfterTheNextFaultDetectsNothing(t *testing.T) {
	late := incidentAt("late", tEval+30_000, .8, "a")
	late.Opened = tEval + 395_000
	rep := Evaluate([]Fault{
		{ID: "1", Onset: tEval, End: tEval + 60_000, Entity: service("a")},
		{ID: "2", Onset: tEval + 390_000, End: tEval + 450_000, Entity: service("b")},
	}, []ops.Incident{late}, EvalOptions{})
	if rep.Detected != 0 || rep.FalseIncidents != 0 {
		t.Fatalf("%+v", rep)
	}
}
