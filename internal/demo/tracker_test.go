package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/demo/fault"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

var ten = time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC)

func injected(t *testing.T, tr *tracker, id, name string, at time.Time) Active {
	t.Helper()
	s, ok := fault.Find(name)
	if !ok {
		t.Fatalf("no fault %s", name)
	}
	a := Active{ID: id, Spec: s, Start: at, End: at.Add(s.Length())}
	tr.Injected(a, false)
	return a
}

func says(id string, at time.Time, kind telemetry.EntityKind, name string) incident {
	return incident{ID: id, State: ops.StateOpen, Title: name + " is ill", Verdict: ops.VerdictCause, Opened: at.UnixMilli(), Root: telemetry.Entity{Kind: kind, Name: name}}
}

// An incident that was open before becomes about the fault: it counts as
// found when it says so.
func TestOpenIncidentMayTurnToTheFault(t *testing.T) {
	out := &strings.Builder{}
	tr := newTracker(out)
	x := says("x", ten, telemetry.KindService, "cart")
	tr.Saw([]incident{x}, ten)
	injected(t, tr, "1", "slow-payment", ten.Add(time.Minute))
	x.Root.Name = "payment"
	tr.Saw([]incident{x}, ten.Add(90*time.Second))
	want := Score{Injected: 1, Faults: 1, Found: 1, Right: 1, FalseAlarms: 1}
	if got := tr.Score(); got != want || !strings.Contains(out.String(), "an open incident now says: cart is ill (found after 30 s) ✓") {
		t.Errorf("score %+v, want %+v\n%s", got, want, out)
	}
}

// An hour of the demo: a fault found at once, one whose cause is corrected,
// one found twice and merged, a missed one, a surge that raises nothing and
// one that raises an alarm, and an alarm over nothing.
func TestScoreIsHonest(t *testing.T) {
	out := &strings.Builder{}
	tr := newTracker(out)
	old := says("old", ten.Add(-time.Hour), telemetry.KindService, "cart")
	tr.Baseline([]incident{old})
	at := func(m int) time.Time { return ten.Add(time.Duration(m) * time.Minute) }

	injected(t, tr, "1", "slow-payment", at(0))
	a := says("a", at(0).Add(20*time.Second), telemetry.KindService, "payment")
	tr.Saw([]incident{old, a}, at(1))

	injected(t, tr, "2", "slow-query", at(10))
	b := says("b", at(10).Add(30*time.Second), telemetry.KindService, "orders")
	tr.Saw([]incident{old, a, b}, at(11))
	b.Root = telemetry.Entity{Kind: telemetry.KindDatabase, Name: "orders-db"}
	tr.Saw([]incident{old, a, b}, at(12))

	injected(t, tr, "3", "cpu-burn", at(20))
	c := says("c", at(20).Add(15*time.Second), telemetry.KindService, "catalog")
	d := says("d", at(20).Add(25*time.Second), telemetry.KindService, "inventory")
	tr.Saw([]incident{c, d}, at(21))
	c.Merged, c.State = "d", ops.StateResolved
	tr.Saw([]incident{c, d}, at(22))

	injected(t, tr, "4", "memory-leak", at(30))
	injected(t, tr, "5", "surge", at(40))
	injected(t, tr, "6", "surge", at(50))
	tr.Saw([]incident{says("e", at(51), telemetry.KindService, "frontend")}, at(51))
	tr.Saw([]incident{says("f", at(59), telemetry.KindService, "cart")}, at(59))
	no := says("g", at(59), telemetry.KindService, "cart")
	no.Verdict = ops.VerdictNoIncident
	tr.Saw([]incident{no}, at(59))

	want := Score{Injected: 6, Faults: 4, Found: 3, Right: 3, Silent: 1, FalseAlarms: 2}
	if got := tr.Score(); got != want {
		t.Errorf("score %+v, want %+v\n%s", got, want, out)
	}
	tr.Table()
	for _, line := range []string{
		"Norn: payment is ill (found after 20 s) ✓",
		"Norn: orders is ill (found after 30 s) ✗",
		"Norn: now says: orders is ill ✓",
		"(a further incident)",
		"cart is ill (nothing was injected: a false alarm)",
		"not found",
		"silent",
		"3 of 4 faults found, 3 with the right first cause; 2 false alarms, 0 further incidents",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q is missing in\n%s", line, out)
		}
	}
}
