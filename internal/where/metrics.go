package where

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/norn-aiops/norn/internal/cause/drilldown"
	"github.com/norn-aiops/norn/internal/store"
)

// MetricQuery asks for the labels that a metric's deviation comes from.
type MetricQuery struct {
	Query string // a selector (counter or gauge), or PromQL whose result has labels
	// Per is the denominator, of the same form. "" takes the one that the query
	// itself suggests: requests of any status for those of one status, _count for
	// _sum. "none" takes none.
	Per string
	By  []string // labels to search; empty means all that vary
	Window
}

// statuses are the labels by which failures are told from requests.
func statuses() []string {
	return []string{"code", "status", "status_code", "http_status_code", "http_response_status_code", "rpc_grpc_status_code",
		"grpc_code", "outcome", "result", "error", "error_type", "exception", "otel_status_code"}
}

// Metrics drills down into series. A query that does not parse gives
// store.ErrBadQuery, one that cannot be answered [ErrAsked] (wrapped).
func Metrics(ctx context.Context, m store.Metrics, q MetricQuery) (Answer, error) {
	if err := q.check(); err != nil {
		return Answer{}, err
	}
	num, den, kind, err := q.plan()
	if err != nil {
		return Answer{}, err
	}
	t := newTable(q.By, append([]string{"__name__", "le", "quantile"}, num.dropped...)...)
	add := func(e expression, from, to int64, into func(*leaf, float64)) error {
		return each(ctx, m, e, from, to, func(ls labels.Labels, v float64) { into(t.at(ls.Map()), v) })
	}
	err = add(num, q.From, q.To, func(l *leaf, v float64) { l.now += v })
	if err == nil {
		err = add(num, q.AgainstFrom, q.AgainstTo, func(l *leaf, v float64) { l.before += v })
	}
	if err == nil && den.text != "" {
		if err = add(den, q.From, q.To, func(l *leaf, v float64) { l.nowPer += v }); err == nil {
			err = add(den, q.AgainstFrom, q.AgainstTo, func(l *leaf, v float64) { l.beforePer += v })
		}
	}
	if err != nil {
		return Answer{}, err
	}
	scale := 1.
	if num.counter {
		scale = q.scale()
	}
	a, err := t.find(kind, scale)
	a.Counted, a.Per = num.text, den.text
	return a, err
}

// expression is what is evaluated over a range.
type expression struct {
	text    string
	counter bool     // a selector of counters: their increase
	plain   bool     // a selector
	dropped []string // labels that tell numerator from denominator
}

func parse(text string) (expression, *parser.VectorSelector, error) {
	p, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return expression{}, nil, fmt.Errorf("%w: %w", store.ErrBadQuery, err)
	}
	e := expression{text: p.String()}
	sel, ok := p.(*parser.VectorSelector)
	if !ok || sel.OriginalOffset != 0 || sel.Timestamp != nil {
		return e, nil, nil
	}
	e.plain = true
	for _, end := range []string{"_total", "_count", "_sum", "_bucket"} {
		e.counter = e.counter || strings.HasSuffix(name(sel), end)
	}
	return e, sel, nil
}

func name(sel *parser.VectorSelector) string {
	for _, m := range sel.LabelMatchers {
		if m.Name == labels.MetricName && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return sel.Name
}

// plan chooses numerator, denominator and kind.
func (q MetricQuery) plan() (num, den expression, kind drilldown.Kind, err error) {
	num, sel, err := parse(q.Query)
	if err != nil {
		return num, den, kind, err
	}
	per := q.Per
	switch {
	case per == "none":
		per = ""
	case per == "" && sel != nil && num.counter:
		per, num.dropped = suggest(sel)
	}
	if per == "" {
		if num.counter && !strings.HasSuffix(name(sel), "_sum") {
			return num, den, drilldown.Counts, nil
		}
		return num, den, drilldown.Values, nil
	}
	den, other, err := parse(per)
	if err != nil {
		return num, den, kind, fmt.Errorf("denominator: %w", err)
	}
	if num.counter != den.counter {
		return num, den, kind, fmt.Errorf("%w: numerator and denominator must both be counters, or neither", ErrAsked)
	}
	if sel != nil && other != nil && q.Per != "" {
		num.dropped = differing(sel, other)
	}
	if sel == nil || strings.HasSuffix(name(sel), "_sum") || !num.counter {
		return num, den, drilldown.Mean, nil
	}
	return num, den, drilldown.Share, nil
}

// suggest finds the denominator that a selector implies.
func suggest(sel *parser.VectorSelector) (per string, dropped []string) {
	other := *sel
	other.LabelMatchers = nil
	for _, m := range sel.LabelMatchers {
		switch {
		case m.Name == labels.MetricName && strings.HasSuffix(m.Value, "_sum"):
			m = labels.MustNewMatcher(labels.MatchEqual, m.Name, strings.TrimSuffix(m.Value, "_sum")+"_count")
			other.Name = m.Value
			per = "_"
		case slices.Contains(statuses(), m.Name):
			dropped = append(dropped, m.Name)
			per = "_"
			continue
		}
		other.LabelMatchers = append(other.LabelMatchers, m)
	}
	if per == "" {
		return "", nil
	}
	return other.String(), dropped
}

// differing lists the labels that only one of two selectors asks for.
func differing(a, b *parser.VectorSelector) []string {
	var out []string
	for _, m := range a.LabelMatchers {
		if m.Name != labels.MetricName && !slices.ContainsFunc(b.LabelMatchers, func(o *labels.Matcher) bool { return o.String() == m.String() }) {
			out = append(out, m.Name)
		}
	}
	return out
}

// each evaluates e over [from, to]: the increase of counters, the mean of what
// else there is.
func each(ctx context.Context, m store.Metrics, e expression, from, to int64, visit func(labels.Labels, float64)) error {
	span := max((to-from)/1000, 1)
	text := fmt.Sprintf("avg_over_time((%s)[%ds:%ds])", e.text, span, max(span/60, 1))
	if e.counter {
		text = fmt.Sprintf("increase(%s[%ds])", e.text, span)
	} else if e.plain {
		text = fmt.Sprintf("avg_over_time(%s[%ds])", e.text, span)
	}
	got, err := m.QueryRange(ctx, text, to, to, 1000)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", e.text, err)
	}
	for _, s := range got {
		for _, x := range s.Samples {
			if !math.IsNaN(x.V) && !math.IsInf(x.V, 0) {
				visit(s.Labels, x.V)
			}
		}
	}
	return nil
}
