package vlogs

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"

	"github.com/norn-aiops/norn/internal/store"
)

// run evaluates a LogsQL text over [from, to] (Unix ns, inclusive) and visits
// the rows on the calling goroutine; visit returns false to stop. Empty fields
// are left out of a row.
func (e *engine) run(ctx context.Context, text string, from, to int64, hidden []string, visit func(map[string]string) bool) error {
	e.reading.RLock()
	defer e.reading.RUnlock()
	if e.isClosed() {
		return fmt.Errorf("%s: cannot search: %w", e.name, ErrClosed)
	}
	q, err := logstorage.ParseQueryAtTimestamp(text, time.Now().UnixNano())
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrBadQuery, err)
	}
	if from != math.MinInt64 || to != math.MaxInt64 {
		q.AddTimeFilter(from, to)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	blocks := make(chan []map[string]string)
	failed := make(chan error, 1)
	go func() { // ends with the query; this function waits for it
		defer close(blocks)
		qctx := logstorage.NewQueryContext(ctx, &logstorage.QueryStats{}, []logstorage.TenantID{{}}, q, false, hidden)
		failed <- e.st.RunQuery(qctx, func(_ uint, db *logstorage.DataBlock) {
			select {
			case blocks <- cloneRows(db):
			case <-ctx.Done():
			}
		})
	}()
	stopped := false
	for rows := range blocks {
		for _, r := range rows {
			if !stopped && !visit(r) {
				stopped = true
				cancel()
			}
		}
	}
	err = <-failed
	switch {
	case stopped:
		return nil
	case err != nil:
		return fmt.Errorf("%s: cannot evaluate %q: %w", e.name, text, err)
	}
	return ctx.Err()
}

// cloneRows copies a block: its memory is the storage's again after the
// callback.
func cloneRows(db *logstorage.DataBlock) []map[string]string {
	rows := make([]map[string]string, db.RowsCount())
	cols := db.GetColumns(false)
	for i := range rows {
		rows[i] = make(map[string]string, len(cols))
	}
	for _, c := range cols {
		if c.Name == "_stream_id" || c.Name == "_stream" {
			continue
		}
		name := strings.Clone(c.Name)
		for i, v := range c.Values {
			if v != "" {
				rows[i][name] = strings.Clone(v)
			}
		}
	}
	return rows
}

// search visits rows newest first unless the query says otherwise.
func (e *engine) search(ctx context.Context, q store.LogQuery, visit func(map[string]string) bool) error {
	text := strings.TrimSpace(q.Query)
	if text == "" {
		text = "*"
	}
	from, to := q.From, q.To
	if from == 0 {
		from = math.MinInt64
	}
	if to == 0 {
		to = math.MaxInt64
	}
	filter, pipes, rowWise, err := split(text)
	if err != nil {
		return err
	}
	if q.Beyond != "" {
		if !rowWise {
			return fmt.Errorf("%w: a query that aggregates or sorts cannot be continued", store.ErrBadQuery)
		}
		p, err := parseID(q.Beyond)
		if err != nil {
			return err
		}
		filter = "(" + filter + ") " + p.beyond(q.Oldest)
		if from, to = p.bound(from, to, q.Oldest); from > to {
			return nil
		}
	}
	n := 0
	count := func(r map[string]string) bool {
		n++
		return visit(r) && (q.Limit <= 0 || n < q.Limit)
	}
	order := orderOf(q.Oldest)
	switch {
	case pipes == "" && q.Limit > 0:
		return e.nearest(ctx, filter, from, to, q.Limit, q.Oldest, visit)
	case pipes == "" || rowWise:
		return e.run(ctx, filter+order+pipes, from, to, nil, withID(count))
	}
	return e.run(ctx, text, from, to, []string{seqField}, count)
}

// orderOf sorts by time, and rows of one time (syslog knows seconds only) by
// their order of arrival.
func orderOf(oldest bool) string {
	if oldest {
		return " | sort by (_time, " + seqField + ")"
	}
	return " | sort by (_time desc, " + seqField + " desc)"
}

// split takes a query's text apart into the filter and the pipes, both in the
// parser's own spelling. rowWise says that all pipes keep rows as they come
// (fields, limit...), so that sorting before them gives the newest first.
func split(text string) (filter, pipes string, rowWise bool, err error) {
	q, err := logstorage.ParseQueryAtTimestamp(text, time.Now().UnixNano())
	if err != nil {
		return "", "", false, fmt.Errorf("%w: %w", store.ErrBadQuery, err)
	}
	all := q.String()
	q.DropAllPipes()
	filter = q.String()
	pipes, ok := strings.CutPrefix(all, filter)
	if !ok { // not spelt the way we know: leave the query alone
		return filter, strings.TrimPrefix(text, filter), false, nil
	}
	rowWise = true
	for _, name := range pipeNames(pipes) {
		rowWise = rowWise && isRowWise(name)
	}
	return filter, pipes, rowWise, nil
}

// pipeNames returns the first word of each pipe in " | a ... | b ...". Bars
// inside quotes and brackets belong to their pipe.
func pipeNames(pipes string) []string {
	var names []string
	depth := 0
	for i := 0; i < len(pipes); i++ {
		switch pipes[i] {
		case '"':
			for i++; i < len(pipes) && pipes[i] != '"'; i++ {
				if pipes[i] == '\\' {
					i++
				}
			}
		case '(', '{':
			depth++
		case ')', '}':
			depth--
		case '|':
			if depth == 0 {
				name, _, _ := strings.Cut(strings.TrimSpace(pipes[i+1:]), " ")
				names = append(names, name)
			}
		}
	}
	return names
}

// isRowWise says of a pipe, by its name in the parser's spelling, that it
// passes rows on one by one in their order.
func isRowWise(pipe string) bool {
	switch pipe {
	case "fields", "delete", "rename", "copy", "format", "filter", "limit", "offset", "extract", "extract_regexp",
		"unpack_json", "unpack_logfmt", "unpack_syslog", "unpack_words", "replace", "replace_regexp", "math", "len", "hash",
		"pack_json", "pack_logfmt", "collapse_nums", "decolorize", "drop_empty_fields", "split", "unroll", "coalesce", "time_add":
		return true
	}
	return false
}

// nearest visits the newest (or oldest) limit rows of a filter. It looks at
// short, then ever longer ranges from that end, so that a common filter does
// not read all that is stored.
func (e *engine) nearest(ctx context.Context, filter string, from, to int64, limit int, oldest bool, visit func(map[string]string) bool) error {
	lo, hi, ok := e.bounds()
	if !ok {
		return ctx.Err()
	}
	from, to = max(from, lo), min(to, hi)
	stopped := false
	count := func(r map[string]string) bool {
		limit--
		stopped = !visit(r)
		return !stopped && limit > 0
	}
	width := int64(time.Minute)
	for to >= from && limit > 0 && !stopped {
		a, b := from, to
		switch {
		case to-from <= width || to-from < 0: // the rest
		case oldest:
			b = from + width
		default:
			a = to - width
		}
		text := fmt.Sprintf("%s%s limit %d", filter, orderOf(oldest), limit)
		if err := e.run(ctx, text, a, b, nil, withID(count)); err != nil {
			return err
		}
		if a == from && b == to {
			break
		}
		if oldest {
			from = b + 1
		} else {
			to = a - 1
		}
		if width < 1<<60 {
			width *= 8
		}
	}
	return ctx.Err()
}

// bounds returns a range of time that holds all searchable rows.
func (e *engine) bounds() (lo, hi int64, ok bool) {
	e.reading.RLock()
	defer e.reading.RUnlock()
	if e.isClosed() {
		return 0, 0, false
	}
	days := e.st.PartitionList() // YYYYMMDD
	if len(days) == 0 {
		return 0, 0, false
	}
	slices.Sort(days)
	first, err1 := time.Parse(partitionDay, days[0])
	last, err2 := time.Parse(partitionDay, days[len(days)-1])
	if err1 != nil || err2 != nil {
		return math.MinInt64, math.MaxInt64, true
	}
	lo, hi = first.UnixNano(), last.UnixNano()+day-1
	// The storage knows the newest row of the last day, unless that day's rows
	// are all still on their way to be searchable.
	var ss logstorage.StorageStats
	e.st.UpdateStats(&ss)
	if ss.MaxTimestamp >= last.UnixNano() && ss.MaxTimestamp < hi {
		hi = ss.MaxTimestamp
	}
	return lo, hi, true
}
