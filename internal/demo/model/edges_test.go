package model

import (
	"context"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/demo/plan"
	"github.com/norn-aiops/norn/internal/graph"
)

// Whoever takes in the edges of the past can ask for the graph as it was last
// week.
func TestPastHasItsGraph(t *testing.T) {
	g, err := New(Config{Plan: plan.Shop(), Live: measured(), Rate: 14, Seed: 1, From: noon.AddDate(0, 0, -8), Fine: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	gr := graph.New(time.Hour.Milliseconds())
	if err := g.Until(t.Context(), noon, func(_ context.Context, ss []Sample) error {
		for _, e := range Edges(ss) {
			gr.Observe(e.From, e.To, e.Kind, e.LastSeen, e.Weight)
		}
		return nil
	}, func(float64) {}); err != nil {
		t.Fatal(err)
	}
	deps := gr.AsOf(noon.AddDate(0, 0, -7).UnixMilli()).Dependencies(orders)
	if len(deps) != 1 || deps[0].To != ordersDB || deps[0].Kind != graph.Calls || deps[0].Weight <= 0 {
		t.Errorf("last week orders depended on %+v", deps)
	}
}
