package where

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/norn-aiops/norn/internal/cause/drilldown"
	"github.com/norn-aiops/norn/internal/store"
)

// LogQuery asks for the fields that lines come from.
type LogQuery struct {
	Query string // LogsQL filter; "" is everything
	Per   string // filter of the denominator: the share of its lines; "" counts lines
	By    []string
	Window
}

// Logs drills down into log lines by their fields. Fields with more than 200
// values are no dimensions.
func Logs(ctx context.Context, l store.Logs, q LogQuery) (Answer, error) {
	if err := q.check(); err != nil {
		return Answer{}, err
	}
	for _, text := range []string{q.Query, q.Per} {
		if strings.Contains(text, "|") {
			return Answer{}, fmt.Errorf("%w: a filter is needed, without pipes", ErrAsked)
		}
	}
	by := q.By
	if len(by) == 0 {
		var err error
		if by, err = q.fields(ctx, l); err != nil {
			return Answer{}, err
		}
	}
	t := newTable(by)
	if len(by) > 0 {
		if err := q.fill(ctx, l, t, by); err != nil {
			return Answer{}, err
		}
	}
	kind, scale := drilldown.Counts, q.scale()
	if q.Per != "" {
		kind, scale = drilldown.Share, 1
	}
	a, err := t.find(kind, scale)
	a.Counted, a.Per = "lines: "+filter(q.Query), q.Per
	return a, err
}

func filter(text string) string {
	if strings.TrimSpace(text) == "" {
		return "*"
	}
	return text
}

func (q LogQuery) fill(ctx context.Context, l store.Logs, t *table, by []string) error {
	add := func(text string, from, to int64, into func(*leaf, float64)) error {
		quoted := make([]string, len(by))
		for i, f := range by {
			quoted[i] = strconv.Quote(f)
		}
		text = fmt.Sprintf("%s | stats by (%s) count() norn_lines", filter(text), strings.Join(quoted, ", "))
		err := l.SearchLogs(ctx, store.LogQuery{Query: text, From: from * 1e6, To: to*1e6 - 1}, func(r store.Row) bool {
			n, err := strconv.ParseFloat(r["norn_lines"], 64)
			if err == nil {
				into(t.at(r), n)
			}
			return len(t.leaves) <= maxLeaves
		})
		if err != nil {
			return fmt.Errorf("cannot count lines: %w", err)
		}
		return nil
	}
	err := add(q.Query, q.From, q.To, func(l *leaf, v float64) { l.now += v })
	if err == nil {
		err = add(q.Query, q.AgainstFrom, q.AgainstTo, func(l *leaf, v float64) { l.before += v })
	}
	if err == nil && q.Per != "" {
		err = add(q.Per, q.From, q.To, func(l *leaf, v float64) { l.nowPer += v })
	}
	if err == nil && q.Per != "" {
		err = add(q.Per, q.AgainstFrom, q.AgainstTo, func(l *leaf, v float64) { l.beforePer += v })
	}
	return err
}

// fields finds what lines of the window can be parted by.
func (q LogQuery) fields(ctx context.Context, l store.Logs) ([]string, error) {
	values, lines := map[string]int{}, map[string]int{}
	text := fmt.Sprintf("%s | facets %d max_values_per_field %d keep_const_fields", filter(q.Query), maxOfField, maxOfField)
	err := l.SearchLogs(ctx, store.LogQuery{Query: text, From: q.From * 1e6, To: q.To*1e6 - 1}, func(r store.Row) bool {
		f := r["field_name"]
		switch {
		case strings.HasPrefix(f, "_"), f == "severity_number", f == "trace_id", f == "span_id":
		default:
			n, _ := strconv.Atoi(r["hits"]) // the storage's own number
			values[f]++
			lines[f] += n
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list the fields of lines: %w", err)
	}
	var out []string
	for f, n := range values {
		if n <= 10 || n*5 < lines[f] { // ids part nothing
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		if values[a] != values[b] {
			return values[a] - values[b]
		}
		return strings.Compare(a, b)
	})
	return out[:min(len(out), maxDims)], nil
}
