package cause

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

var seeds = []uint64{1, 2, 3}

// expectRoots runs a story with several seeds, with the target known and not.
func expectRoots(t *testing.T, build func(*estate), extra func(*Input), want ...string) []ops.Judgement {
	t.Helper()
	var out []ops.Judgement
	for _, seed := range seeds {
		for _, target := range []string{"frontend", ""} {
			e := newEstate(seed)
			build(e)
			in := e.input(target)
			if extra != nil {
				extra(&in)
			}
			j := Rank(in, Config{})
			got := rootsOf(j)
			if len(got) < len(want) || !slices.Equal(slices.Sorted(slices.Values(got[:len(want)])), slices.Sorted(slices.Values(want))) || len(got) > len(want)+1 {
				show(t, j)
				t.Errorf("seed %d target %q: roots %v, want %v", seed, target, got, want)
			}
			if j.Verdict != ops.VerdictCause {
				show(t, j)
				t.Errorf("seed %d target %q: verdict %s", seed, target, j.Verdict)
			}
			out = append(out, j)
		}
	}
	if testing.Verbose() {
		show(t, out[0])
	}
	return out
}

func TestSlowDatabaseIsTheRootAndItsCallersAreNot(t *testing.T) {
	js := expectRoots(t, func(e *estate) {
		e.fault = func(n string, h *health) {
			if n == "orders-db" {
				h.self = 1.9
			}
		}
	}, nil, "orders-db")
	j := js[0]
	if roleOf(j, "orders") != ops.RoleIntermediate || roleOf(j, "frontend") != ops.RoleSymptom || roleOf(j, "cart") != ops.RoleBystander {
		show(t, j)
		t.Errorf("roles: orders %s, frontend %s, cart %s", roleOf(j, "orders"), roleOf(j, "frontend"), roleOf(j, "cart"))
	}
	for _, part := range []string{"orders-db: queries take", "instead of", "since 22:13 UTC", "of the delay of orders", "which explains that of frontend", "requests at frontend slow"} {
		if !strings.Contains(j.Sentence, part) {
			t.Errorf("the sentence %q lacks %q", j.Sentence, part)
		}
	}
	if len(j.Links) == 0 || j.Impact < .3 || j.Severity < .4 {
		t.Errorf("links %d, impact %.2f, severity %.2f", len(j.Links), j.Impact, j.Severity)
	}
}

func TestErrorsAfterADeployNameTheDeploy(t *testing.T) {
	js := expectRoots(t, func(e *estate) {
		e.fault = func(n string, h *health) {
			if n == "payment" {
				h.fail = .2
			}
		}
	}, func(in *Input) {
		in.Changes = []telemetry.Change{{ID: "c1", Time: onsetMs - 120_000, Kind: telemetry.ChangeDeploy, Entity: ent("payment"), Title: "payment 2.4.1"}}
	}, "payment")
	if !strings.Contains(js[0].Sentence, "deploy 2 min before: payment 2.4.1") || js[0].Title != "payment: failures after a deploy" {
		t.Errorf("title %q, sentence %q", js[0].Title, js[0].Sentence)
	}
	if !strings.Contains(js[0].ImpactText, "requests at frontend fail") {
		t.Errorf("impact text %q", js[0].ImpactText)
	}
}

func TestAChangeAloneIsNoCause(t *testing.T) {
	e := newEstate(1)
	in := e.input("frontend")
	in.Changes = []telemetry.Change{{Time: onsetMs - 60_000, Kind: telemetry.ChangeDeploy, Entity: ent("payment"), Title: "x"}}
	if j := Rank(in, Config{}); j.Verdict != ops.VerdictNoIncident {
		show(t, j)
		t.Fatalf("verdict %s", j.Verdict)
	}
}

func TestCPUBurnSlowsOneServiceWhileTrafficGrowsToo(t *testing.T) {
	js := expectRoots(t, func(e *estate) {
		e.surge = 1.5
		e.fault = func(n string, h *health) {
			if n == "search" {
				h.cpu, h.self = 6, .3
			}
		}
	}, nil, "search")
	if !strings.Contains(js[0].Sentence, "CPU at") {
		t.Errorf("the sentence does not name the processor: %q", js[0].Sentence)
	}
}

func TestASurgeThatIsServedIsNoIncident(t *testing.T) {
	for _, seed := range seeds {
		for _, target := range []string{"frontend", ""} {
			e := newEstate(seed)
			e.surge = 2.1
			j := Rank(e.input(target), Config{})
			if j.Verdict != ops.VerdictNoIncident || !strings.Contains(j.Sentence, "Traffic ×2.1 at frontend") || !strings.Contains(j.Sentence, "cost per request normal") {
				show(t, j)
				t.Errorf("seed %d target %q: %s %q", seed, target, j.Verdict, j.Sentence)
			}
		}
	}
}

func TestADeadInstanceIsNamed(t *testing.T) {
	js := expectRoots(t, func(e *estate) {
		e.dead["cart-2"] = true
		e.fault = func(n string, h *health) {
			if n == "cart" {
				h.fail = .3
			}
		}
	}, func(in *Input) {
		in.Anomalies = []ops.Anomaly{
			{ID: "a1", Kind: ops.AnomalySilence, Entity: ent("cart"), Instance: telemetry.Entity{Kind: telemetry.KindInstance, Name: "cart-2"}, Signal: telemetry.SignalSaturation, Onset: onsetMs, Severity: .9},
			{ID: "a2", Kind: ops.AnomalySilence, Entity: ent("cart"), Instance: telemetry.Entity{Kind: telemetry.KindInstance, Name: "cart-2"}, Signal: telemetry.SignalSaturation, Onset: onsetMs, Severity: .9},
		}
	}, "cart")
	if !strings.Contains(js[0].Sentence, "cart: instance cart-2 stopped") {
		t.Errorf("sentence %q", js[0].Sentence)
	}
}

func TestNetworkDelayIsFoundBetweenServices(t *testing.T) {
	expectRoots(t, func(e *estate) {
		e.fault = func(n string, h *health) {
			if n == "payment" {
				h.gap = .4
			}
		}
	}, nil, "payment")
}

func TestTwoIndependentRootsAreBothNamed(t *testing.T) {
	expectRoots(t, func(e *estate) {
		e.fault = func(n string, h *health) {
			if n == "orders-db" {
				h.self = .5
			}
			if n == "search" {
				h.self = .6
			}
		}
	}, nil, "orders-db", "search")
}

func TestARootWithoutMetricsIsInferredBelowItsCaller(t *testing.T) {
	for _, seed := range seeds {
		e := newEstate(seed)
		e.hidden["orders-db"] = true
		e.fault = func(n string, h *health) {
			if n == "orders-db" {
				h.self = 1.5
			}
		}
		j := Rank(e.input("frontend"), Config{})
		if len(j.Causes) < 2 || j.Causes[0].Entity.Name != "orders" {
			show(t, j)
			t.Fatalf("seed %d: orders, the caller of what nobody watches, must come first", seed)
		}
		i := slices.IndexFunc(j.Causes, func(c ops.Cause) bool { return c.Entity.Name == "orders-db" })
		if i < 0 || i > 2 || !j.Causes[i].Inferred || !strings.Contains(j.Sentence, "orders-db, which nobody watches") {
			show(t, j)
			t.Errorf("seed %d: orders-db must be inferred, at %d", seed, i)
		}
	}
}

func TestAFullHostExplainsItsTenants(t *testing.T) {
	js := expectRoots(t, func(e *estate) {
		e.host["host-1"] = .99
		e.fault = func(n string, h *health) {
			if runsOn[n] == "host-1" {
				h.self *= 8
			}
		}
	}, nil, "host-1")
	if !strings.Contains(js[0].Sentence, "host-1: CPU at 9") {
		t.Errorf("sentence %q", js[0].Sentence)
	}
}

func TestANoisyTenantExplainsItsHost(t *testing.T) {
	expectRoots(t, func(e *estate) {
		e.host["host-1"] = .99
		e.fault = func(n string, h *health) {
			if n == "cart" {
				h.cpu, h.self = 8, .4
			}
		}
	}, nil, "cart")
}

func TestCalmEstateIsNoIncident(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3, 4, 5, 6} {
		e := newEstate(seed)
		if j := Rank(e.input(""), Config{}); j.Verdict != ops.VerdictNoIncident {
			show(t, j)
			t.Errorf("seed %d: %s", seed, j.Verdict)
		}
	}
}

func TestTroubleOfTheTargetAloneIsLocal(t *testing.T) {
	e := newEstate(1)
	e.fault = func(n string, h *health) {
		if n == "frontend" {
			h.self = .8
		}
	}
	j := Rank(e.input("frontend"), Config{})
	if j.Verdict != ops.VerdictLocal || len(rootsOf(j)) != 1 || rootsOf(j)[0] != "frontend" {
		show(t, j)
		t.Errorf("verdict %s roots %v", j.Verdict, rootsOf(j))
	}
}

func TestRankIsDeterministicAndLeavesItsInputAlone(t *testing.T) {
	build := func() Input {
		e := newEstate(9)
		e.fault = func(n string, h *health) {
			if n == "orders-db" {
				h.self, h.fail = .9, .1
			}
		}
		return e.input("frontend")
	}
	in := build()
	before, err := json.Marshal(in.Series)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := json.Marshal(Rank(in, Config{}))
	for range 5 {
		again, _ := json.Marshal(Rank(in, Config{}))
		if string(first) != string(again) {
			t.Fatal("two runs on the same input differ")
		}
	}
	if after, _ := json.Marshal(in.Series); string(after) != string(before) {
		t.Fatal("the input was changed")
	}
}
