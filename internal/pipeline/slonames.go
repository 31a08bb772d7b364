package pipeline

import (
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/norn-aiops/norn/internal/slo"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// namedBy gives the selectors of series that an objective's expressions read.
// What cannot be parsed names nothing; it was refused before.
func namedBy(c *slo.Config) (out [][]*labels.Matcher) {
	p := parser.NewParser(parser.Options{})
	for _, text := range []string{c.Good, c.Bad, c.Total} {
		if text == "" {
			continue
		}
		expr, err := p.ParseExpr(text)
		if err != nil {
			continue
		}
		out = append(out, parser.ExtractSelectors(expr)...)
	}
	return out
}

// named adds to metrics of given names what declared objectives name: all
// series of their entities, and those that their expressions read. It is nil
// when nothing is named.
func (b *sloBook) named(metrics map[string]bool) func(*telemetry.Series) bool {
	of, read := map[telemetry.Entity]bool{}, [][]*labels.Matcher(nil)
	matching := false
	for _, d := range b.declared {
		if d.Entity != "" {
			of[telemetry.ParseEntity(d.Entity)] = true
		}
		matching = matching || d.place >= 0
		read = append(read, d.reads...)
	}
	if len(metrics)+len(of)+len(read) == 0 && !matching {
		return nil
	}
	promised := map[telemetry.Entity]bool{}
	return func(s *telemetry.Series) bool {
		if metrics[s.Labels.Get(model.MetricNameLabel)] || of[s.Entity] {
			return true
		}
		for _, ms := range read {
			if matchAll(ms, s.Labels) {
				return true
			}
		}
		if !matching || s.Entity.IsZero() {
			return false
		}
		is, known := promised[s.Entity]
		if !known {
			is = b.members.first(s.Entity) >= 0
			promised[s.Entity] = is
		}
		return is
	}
}

func matchAll(ms []*labels.Matcher, ls labels.Labels) bool {
	for _, m := range ms {
		if !m.Matches(ls.Get(m.Name)) {
			return false
		}
	}
	return true
}
