package pipeline

import (
	"slices"
	"strings"

	"github.com/norn-aiops/norn/internal/cause"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// ownPrefix begins the names of the rates that Norn makes of spans and lines.
const ownPrefix = "norn_"

// withoutGaps drops the zeros that Norn's own rates show at times when no
// entity at all gave a span or a line: then nothing was recorded, which is not
// a rate of 0. A collector that was down must not pass for a quiet service.
func withoutGaps(series []cause.Series) {
	heard := map[int64]bool{}
	each := func(visit func(s *cause.Series)) {
		for i := range series {
			if strings.HasPrefix(series[i].Meta.Name, ownPrefix) {
				visit(&series[i])
			}
		}
	}
	each(func(s *cause.Series) {
		for _, part := range [...][]telemetry.Sample{s.Baseline, s.Pre, s.Window} {
			for _, p := range part {
				if p.V != 0 {
					heard[p.T] = true
				}
			}
		}
	})
	gap := func(p telemetry.Sample) bool { return p.V == 0 && !heard[p.T] }
	each(func(s *cause.Series) {
		for _, part := range [...]*[]telemetry.Sample{&s.Baseline, &s.Pre, &s.Window} {
			if slices.ContainsFunc(*part, gap) {
				*part = slices.DeleteFunc(slices.Clone(*part), gap)
			}
		}
	})
}
