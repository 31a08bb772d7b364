package backtest

import (
	"context"
	"errors"

	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/pipeline"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// toolBatch is how many points a plugin is handed at once.
const toolBatch = 512

var errNotLoaded = errors.New("it could not be loaded")

// tool is a plugin at work on history. It is asked in step with the data, so
// that nothing waits for it or is dropped.
type tool struct {
	pipeline.Plugin
	of     *detect.Foreign
	wanted map[*telemetry.Series]bool
	points []telemetry.Point
	scores []float64
	err    error // why it gives no scores any more
}

func newTool(p pipeline.Plugin, perWeek float64) *tool {
	x := &tool{Plugin: p, wanted: map[*telemetry.Series]bool{}, scores: make([]float64, toolBatch), of: detect.NewForeign(detect.ForeignConfig{
		Member: "plugin:" + p.Name, Threshold: p.Threshold, Weight: p.Weight, PerWeek: perWeek})}
	if p.Scorer == nil {
		x.err = errNotLoaded
	}
	return x
}

// judge has the plugin score the points that it wants and adds what it finds.
func (x *tool) judge(ctx context.Context, points []telemetry.Point, said []word) []word {
	if x.err != nil {
		return said
	}
	x.points = x.points[:0]
	for i := range points {
		s := points[i].Series
		want, known := x.wanted[s]
		if !known {
			want = x.Match.Matches(s)
			x.wanted[s] = want
		}
		if want {
			x.points = append(x.points, points[i])
			x.points[len(x.points)-1].Seat = nil
		}
	}
	for q := x.points; len(q) > 0; q = q[min(len(q), toolBatch):] {
		batch := q[:min(len(q), toolBatch)]
		if err := x.Scorer.Score(ctx, batch, x.scores[:len(batch)]); err != nil {
			x.err = err
			return said
		}
		for i := range batch {
			if a := x.of.Observe(batch[i], x.scores[i]); a != nil {
				said = append(said, word{*a, batch[i].T})
			}
		}
	}
	return said
}
