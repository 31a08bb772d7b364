package vlogs

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/store"
)

// rowPlace is where a row stands: its time (Unix ns) and, among rows of one
// time, its number of arrival. As text, "TIME.NUMBER", it is the row's id.
type rowPlace struct {
	time int64
	seq  uint64
}

func parseID(text string) (p rowPlace, err error) {
	t, n, _ := strings.Cut(text, ".")
	if p.time, err = strconv.ParseInt(t, 10, 64); err == nil {
		p.seq, err = strconv.ParseUint(n, 10, 64)
	}
	if err != nil {
		return p, fmt.Errorf("%w: %q is not the id of a record", store.ErrBadQuery, text)
	}
	return p, nil
}

func (p rowPlace) String() string {
	return strconv.FormatInt(p.time, 10) + "." + strconv.FormatUint(p.seq, 10)
}

// beyond is the filter for the rows behind p in the order of a search.
func (p rowPlace) beyond(oldest bool) string {
	sign := "<"
	if oldest {
		sign = ">"
	}
	return fmt.Sprintf("(%s:%s%d or _time:%s%s)", seqField, sign, p.seq, sign, time.Unix(0, p.time).UTC().Format("2006-01-02T15:04:05.000000000Z"))
}

// bound narrows a range to what can be behind p.
func (p rowPlace) bound(from, to int64, oldest bool) (int64, int64) {
	if oldest {
		return max(from, p.time), to
	}
	return from, min(to, p.time)
}

// withID names rows by their place instead of showing their number.
func withID(visit func(map[string]string) bool) func(map[string]string) bool {
	return func(r map[string]string) bool {
		if seq, ok := r[seqField]; ok {
			delete(r, seqField)
			if t, err := time.Parse(time.RFC3339Nano, r["_time"]); err == nil {
				r[store.RowID] = strconv.FormatInt(t.UnixNano(), 10) + "." + seq
			}
		}
		return visit(r)
	}
}

// around returns a row between its neighbours in its stream, oldest first.
func (e *engine) around(ctx context.Context, id string, before, after int) ([]store.Row, error) {
	p, err := parseID(id)
	if err != nil {
		return nil, err
	}
	var anchor store.Row
	err = e.run(ctx, fmt.Sprintf("%s:=%d", seqField, p.seq), p.time, p.time, nil, withID(func(r map[string]string) bool {
		anchor = r
		return false
	}))
	if err != nil {
		return nil, err
	}
	if anchor == nil {
		return nil, fmt.Errorf("record %s: %w", id, store.ErrNotFound)
	}
	stream := fmt.Sprintf("service:=%s instance:=%s", strconv.Quote(anchor["service"]), strconv.Quote(anchor["instance"]))
	if anchor["service"] != "" {
		stream = fmt.Sprintf("{service=%s,instance=%s}", strconv.Quote(anchor["service"]), strconv.Quote(anchor["instance"]))
	}
	side := func(n int, oldest bool) (rows []store.Row, err error) {
		if n <= 0 {
			return nil, nil
		}
		q := store.LogQuery{Query: stream, Limit: n, Oldest: oldest, Beyond: id}
		err = e.search(ctx, q, func(r map[string]string) bool {
			rows = append(rows, r)
			return true
		})
		return rows, err
	}
	earlier, err := side(before, false)
	if err != nil {
		return nil, err
	}
	later, err := side(after, true)
	if err != nil {
		return nil, err
	}
	out := make([]store.Row, 0, len(earlier)+1+len(later))
	for i := len(earlier) - 1; i >= 0; i-- {
		out = append(out, earlier[i])
	}
	return append(append(out, anchor), later...), nil
}

// How a live tail asks: rows become visible in another order than they were
// numbered, within a few seconds.
const (
	tailEvery  = time.Second
	tailOrder  = 8         // polls for which a lower number may still show up
	tailLimit  = 1000      // rows a poll
	tailWindow = time.Hour // age of rows, against the newest stored, that a tail shows
)

// tail visits rows that arrive, until ctx ends or visit fails.
func (e *engine) tail(ctx context.Context, query string, visit func(rows []store.Row, missed bool) error) error {
	if query = strings.TrimSpace(query); query == "" {
		query = "*"
	}
	filter, pipes, _, err := split(query)
	if err != nil {
		return err
	}
	if pipes != "" {
		return fmt.Errorf("%w: what is followed live cannot go through pipes (%s)", store.ErrBadQuery, strings.TrimSpace(pipes))
	}
	e.mu.Lock()
	start := e.seq
	e.mu.Unlock()
	lows, shown := []uint64{start}, map[uint64]struct{}{}
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		rows, missed, err := e.arrived(ctx, filter, lows[0], shown)
		if err != nil {
			return err
		}
		if len(rows) > 0 || missed {
			if err := visit(rows, missed); err != nil {
				return err
			}
		}
		e.mu.Lock()
		lows = append(lows, e.seq)
		e.mu.Unlock()
		if len(lows) > tailOrder {
			lows = lows[1:]
			for n := range shown {
				if n <= lows[0] {
					delete(shown, n)
				}
			}
		}
	}
}

// arrived returns the rows above a number that were not shown yet, oldest
// arrival first, and whether there are more than that.
func (e *engine) arrived(ctx context.Context, filter string, low uint64, shown map[uint64]struct{}) (rows []store.Row, missed bool, err error) {
	_, hi, ok := e.bounds()
	if !ok {
		return nil, false, nil
	}
	from := min(hi, time.Now().UnixNano()) - tailWindow.Nanoseconds()
	limit := tailLimit + len(shown)
	text := fmt.Sprintf("(%s) %s:>%d | sort by (%s desc) limit %d", filter, seqField, low, seqField, limit)
	n := 0
	err = e.run(ctx, text, from, math.MaxInt64, nil, func(r map[string]string) bool {
		n++
		seq, err := strconv.ParseUint(r[seqField], 10, 64)
		if _, old := shown[seq]; err != nil || old {
			return true
		}
		shown[seq] = struct{}{}
		return withID(func(r map[string]string) bool { rows = append(rows, r); return true })(r)
	})
	for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
		rows[i], rows[j] = rows[j], rows[i]
	}
	if len(rows) > tailLimit {
		rows, n = rows[len(rows)-tailLimit:], limit
	}
	return rows, n >= limit, err
}
