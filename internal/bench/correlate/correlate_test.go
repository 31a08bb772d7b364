package correlate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/replay"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// made is a system of ten services, each with a host, that call each other in
// a chain; every fault speaks at its root and at the caller, and two alerts
// come with all of them.
func made(faults int) replay.AlertSet {
	set := replay.AlertSet{Name: "made"}
	svc := func(i int) telemetry.Entity {
		return telemetry.Entity{Kind: telemetry.KindService, Name: fmt.Sprintf("s%d", i%10)}
	}
	for i := range 9 {
		set.Edges = append(set.Edges, graph.Edge{From: svc(i), To: svc(i + 1), Kind: graph.Calls})
	}
	for i := range faults {
		at := int64(1_600_000_000_000) + int64(i)*3600_000
		root := i * 3
		f := replay.AlertFault{Fault: replay.Fault{ID: fmt.Sprint(i), Onset: at, End: at + 540_000, Entity: svc(root)}}
		add := func(name string, e telemetry.Entity, after int64) {
			f.Alerts = append(f.Alerts, telemetry.Alert{Name: name, Entity: e, StartsAt: at + after, Severity: "warning", Source: "test"})
		}
		add("chatty", svc(0), 1000)
		add("noisy", svc(1), 1000)
		for j := range 3 {
			add(fmt.Sprintf("bad%d-%d", i, j), svc(root), 5000+int64(j)*1000)
		}
		if root%10 > 0 {
			add(fmt.Sprintf("slow%d", i), svc(root-1), 20_000)
		}
		set.Faults = append(set.Faults, f)
	}
	return set
}

func TestClearFaultsAreToldApartAndTheirRootsFound(t *testing.T) {
	r, err := Run(context.Background(), []replay.AlertSet{made(60)}, Options{Seeds: 2, Only: "2,0.2"})
	if err != nil {
		t.Fatal(err)
	}
	if r.AloneTop1 < .9 {
		t.Errorf("alone: %.2f of clear roots found", r.AloneTop1)
	}
	if r.K2Missed > .1 || r.K2IncidentsPerFault > 1.3 || r.K2Top1 < .8 {
		t.Errorf("two at a time: %+v", *r)
	}
	var methods []string
	for _, x := range r.Systems[0].Rows {
		methods = append(methods, x.Method)
		for _, v := range []Value{x.IncidentF1, x.Top1, x.Missed} {
			if v.Low > v.Value || v.High < v.Value {
				t.Errorf("%s: %v is outside of its interval", x.Method, v)
			}
		}
	}
	if len(methods) != 9 {
		t.Errorf("methods %v", methods)
	}
	var a, b bytes.Buffer
	if err := r.Print(&a); err != nil || !strings.Contains(a.String(), "seeds [1 2]") {
		t.Errorf("print: %v\n%s", err, a.String())
	}
	again, err := Run(context.Background(), []replay.AlertSet{made(60)}, Options{Seeds: 2, Only: "2,0.2"})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Print(&b); err != nil || a.String() != b.String() {
		t.Error("the same seeds gave another report")
	}
	if raw, err := json.Marshal(r); err != nil || !bytes.Contains(raw, []byte(`"k2_incident_f1"`)) || !bytes.Contains(raw, []byte(`"noise_attached"`)) {
		t.Errorf("JSON: %v", err)
	}
}

func TestEpisodesKeepFaultsApartInTimeAndService(t *testing.T) {
	s := prepare(made(60))
	for k := 1; k <= 4; k++ {
		last := int64(0)
		seen := 0
		for _, ep := range s.stream(k, .3, 1) {
			if ep.from-last < int64(calmFrom) {
				t.Fatalf("an episode begins %d ms after the one before", ep.from-last)
			}
			last = ep.to
			seen += len(ep.faults)
			if ep.warm && len(ep.faults) != 1 || len(ep.faults) > k {
				t.Fatalf("%d faults at a time", len(ep.faults))
			}
			names := map[string]bool{}
			for _, f := range ep.faults {
				if names[f.root.Name] {
					t.Fatal("two faults of one service at a time")
				}
				names[f.root.Name] = true
			}
		}
		if seen != 60 {
			t.Errorf("k=%d: %d of 60 faults", k, seen)
		}
	}
}

func TestASystemWithoutEdgesOrAlertsIsNoReasonToFail(t *testing.T) {
	set := made(40)
	set.Edges = nil
	set.Faults[20].Alerts = nil
	if _, err := Run(context.Background(), []replay.AlertSet{set}, Options{Seeds: 1, Only: "3,0.3"}); err != nil {
		t.Fatal(err)
	}
	for i := range set.Faults {
		set.Faults[i].Alerts = nil
	}
	if _, err := Run(context.Background(), []replay.AlertSet{set}, Options{Seeds: 1}); !errors.Is(err, replay.ErrFormat) {
		t.Errorf("no alert at all: %v", err)
	}
}
