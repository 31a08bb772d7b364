package model

import (
	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/telemetry"
	"github.com/norn-aiops/norn/internal/topology"
)

// Edges reads the dependency graph off samples of the past: one edge for each
// sample of a series of calls between two entities, seen at the sample's time
// with its rate as weight. Whoever takes in the past must take in its edges
// too, or the graph as of a moment before the first live span is empty. It is
// cheap for samples of other series.
func Edges(samples []Sample) []graph.Edge {
	var out []graph.Edge
	for i := range samples {
		s := &samples[i]
		if s.V <= 0 || s.Labels.Get(labels.MetricName) != topology.EdgeRequestRate {
			continue
		}
		from, to := telemetry.ParseEntity(s.Labels.Get("entity")), telemetry.ParseEntity(s.Labels.Get("peer"))
		if from.IsZero() || to.IsZero() {
			continue
		}
		out = append(out, graph.Edge{From: from, To: to, Kind: graph.Calls, FirstSeen: s.T, LastSeen: s.T, Weight: s.V})
	}
	return out
}
