package where

import (
	"github.com/norn-aiops/norn/internal/cause/drilldown"
)

// Level is one series of a metric: its mean in the time that deviates and in the
// time compared with.
type Level struct {
	Labels      map[string]string
	Now, Before float64
}

// Levels drills down into the series of one metric by their labels.
func Levels(metric string, list []Level) (Answer, error) {
	t := newTable(nil, "__name__", "le", "quantile")
	for _, l := range list {
		x := t.at(l.Labels)
		x.now += l.Now
		x.before += l.Before
	}
	a, err := t.find(drilldown.Values, 1)
	a.Counted = metric
	return a, err
}
