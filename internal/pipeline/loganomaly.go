package pipeline

import (
	"fmt"
	"strconv"

	"github.com/norn-aiops/norn/internal/logmine"
	"github.com/norn-aiops/norn/internal/ops"
)

// showLines puts an example line, what is usual, and the query for the lines
// beside an anomaly of a series that was made from logs.
func (p *Pipeline) showLines(as []ops.Anomaly) {
	for i := range as {
		a := &as[i]
		if a.SeriesID == 0 || a.Query != "" {
			continue
		}
		s, ok := p.engine.Series(a.SeriesID)
		if !ok || s.Labels.IsEmpty() {
			continue
		}
		get := s.Labels.Get
		switch get("__name__") {
		case logmine.MetricLogRate:
			a.Query = fmt.Sprintf("service:=%q severity:=%q", a.Entity.Name, get("severity"))
		case logmine.MetricTemplateRate, logmine.MetricParam, logmine.MetricParamSeconds, logmine.MetricParamBytes:
			id, err := strconv.ParseUint(get("template"), 10, 64)
			if err != nil {
				continue
			}
			a.Query = fmt.Sprintf(`template:="%d"`, id)
			if t, known := p.miner.Find(id); known {
				if a.Text == "" {
					a.Text = t.Example
				}
				a.Series = t.Text
				if name := get("param"); name != "" {
					a.Series = name + " in " + t.Text
				}
			}
		default:
			continue
		}
		a.Usual = fmt.Sprintf("%.3g to %.3g %s", a.Low, a.High, a.Unit)
	}
}
