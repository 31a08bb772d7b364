package pipeline

import (
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/slo"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// What an objective promises, and what its expressions read, is named; what
// lies beside it is not.
func TestObjectivesNameSeries(t *testing.T) {
	b := &sloBook{}
	var selectors [][]string
	for _, c := range []slo.Config{
		{Name: "shop", Entity: "checkout", Objective: .99},
		{Name: "orders", Entity: "orders", Objective: .99, Good: `sum(rate(orders_total{outcome="ok"}[5m]))`, Total: `sum(rate(orders_total[5m])) + rate(late_orders[5m])`},
		{Name: "all of payments", Match: `{team="payments"}`, Objective: .99},
	} {
		d := &declaration{Config: c, place: -1, reads: namedBy(&c)}
		if c.Match != "" {
			d.place = len(selectors)
			selectors = append(selectors, []string{c.Match})
		}
		b.declared = append(b.declared, d)
	}
	var err error
	if b.members, err = newMembership(selectors); err != nil {
		t.Fatal(err)
	}
	series := func(service, name string, more ...string) *telemetry.Series {
		s := &telemetry.Series{Name: name, Labels: labels.FromStrings(append([]string{labels.MetricName, name}, more...)...),
			Entity: telemetry.Entity{Kind: telemetry.KindService, Name: service}}
		b.members.describe(s)
		return s
	}
	list := []struct {
		s    *telemetry.Series
		want bool
	}{
		{series("checkout", "cpu"), true},
		{series("batch", "cpu"), false},
		{series("batch", "orders_total", "outcome", "ok"), true},
		{series("batch", "late_orders"), true},
		{series("batch", "early_orders"), false},
		{series("card", "cpu", "team", "payments"), true},
		{series("card", "memory"), true},
		{series("batch", "backlog"), true},
	}
	named := b.named(map[string]bool{"backlog": true})
	for _, x := range list {
		if named(x.s) != x.want {
			t.Errorf("%s of %s: %t", x.s.Name, x.s.Entity, !x.want)
		}
	}
	if (&sloBook{}).named(map[string]bool{}) != nil {
		t.Error("nothing is named, and a function is given")
	}
}
