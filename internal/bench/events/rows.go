package events

import (
	"fmt"
	"slices"
	"time"
)

// rows turns the spans of a column into rows. A span between two rows is moved
// to the next row when that is not far. Points on neighbouring rows are one
// event.
func (l *loose) rows(name, column string, spans []span, r *Refused) [][2]int {
	var out, points [][2]int
	for _, s := range spans {
		if s.column != "" && s.column != column {
			continue
		}
		got := l.find(s)
		if len(got) == 0 {
			r.Labels++
			r.say("%s: no row between %s and %s", name, stamp(s.from), stamp(s.to))
		}
		if s.from == s.to {
			points = append(points, got...)
			continue
		}
		out = append(out, got...)
	}
	return append(out, l.join(merge(points))...)
}

// join makes one of spans that touch, unless there is a gap in time.
func (l *loose) join(spans [][2]int) (out [][2]int) {
	for _, s := range spans {
		if n := len(out); n > 0 && out[n-1][1]+1 == s[0] && l.t[s[0]]-l.t[s[0]-1] <= 2*l.pace() {
			out[n-1][1] = s[1]
			continue
		}
		out = append(out, s)
	}
	return out
}

func stamp(ms int64) string {
	return fmt.Sprintf("%s (%d)", time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05"), ms)
}

// pace is the mean distance of two rows in ms.
func (l *loose) pace() int64 { return (l.t[len(l.t)-1] - l.t[0]) / int64(len(l.t)) }

// find gives the rows of a span. Where a file has real times, small whole
// numbers that fit none of them are numbers of rows, from 0.
func (l *loose) find(s span) [][2]int {
	if got := rowsOf(l.t, [][2]int64{{s.from, s.to}}); len(got) > 0 {
		return got
	}
	n := int64(len(l.t))
	if l.t[0] > 1e11 && s.from >= 0 && s.from%1000 == 0 && s.to%1000 == 0 && s.to/1000 < n {
		return [][2]int{{int(s.from / 1000), int(s.to / 1000)}}
	}
	if i, _ := slices.BinarySearch(l.t, s.from); i > 0 && i < len(l.t) && l.t[i]-s.to <= 2*l.pace() {
		return [][2]int{{i, i}}
	}
	return nil
}
