package incident

import (
	"errors"
	"slices"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
)

// An operator knows better: what was split stays apart, though cause analysis
// names the same root for both, until an operator merges it again.
func TestWhatAnOperatorSplitStaysApartUntilMerged(t *testing.T) {
	c := New(Config{})
	signs(c, "orders", 3, t0, 1e-12)
	ins := ask(t, c, t0+30_000, weak("orders"))
	if len(ins) != 1 || len(ins[0].Anomalies) < 2 {
		t.Fatalf("opened %+v", ins)
	}
	in := ins[0]
	if _, err := c.SplitByHand(in.ID, nil, t0+40_000, "ann"); !errors.Is(err, ErrState) {
		t.Errorf("splitting nothing: %v", err)
	}
	if _, err := c.SplitByHand(in.ID, []string{"none"}, t0+40_000, "ann"); !errors.Is(err, ErrUnknown) {
		t.Errorf("an unknown anomaly: %v", err)
	}
	out, err := c.SplitByHand(in.ID, []string{in.Anomalies[0].ID}, t0+40_000, "ann")
	if err != nil || len(out) != 2 {
		t.Fatalf("%v %v", out, err)
	}
	old, fresh := out[0], out[1]
	if len(fresh.Anomalies) != 1 || len(old.Anomalies) != len(in.Anomalies)-1 || fresh.State != ops.StateOpen || !slices.Contains(fresh.Apart, in.ID) {
		t.Errorf("split into %+v and %+v", old, fresh)
	}
	for _, id := range []string{fresh.ID, old.ID} {
		for _, x := range c.Apply(t0+50_000, id, weak("orders")) {
			if x.MergedInto != "" {
				t.Errorf("%s was merged into %s by itself", x.ID, x.MergedInto)
			}
		}
	}
	again := New(Config{})
	again.Load([]ops.Incident{old, fresh})
	for _, x := range again.Apply(t0+50_000, fresh.ID, weak("orders")) {
		if x.MergedInto != "" {
			t.Error("after a restart they were merged")
		}
	}
	out, err = c.MergeByHand(fresh.ID, old.ID, t0+60_000, "bob")
	if err != nil || len(out) != 2 || out[0].MergedInto != old.ID || len(out[1].Anomalies) != len(in.Anomalies) {
		t.Fatalf("merged: %+v %v", out, err)
	}
	if _, err := c.MergeByHand(old.ID, old.ID, t0+61_000, ""); !errors.Is(err, ErrState) {
		t.Errorf("into itself: %v", err)
	}
	if _, err := c.Mitigate(old.ID, t0+62_000, "ann", "rolled back"); err != nil {
		t.Error(err)
	}
}
