package slo

import (
	"errors"
	"math"
)

// Counts are requests of a span of time, and those of them that were bad.
type Counts struct{ Bad, Total float64 }

func (c *Counts) add(o Counts) { c.Bad += o.Bad; c.Total += o.Total }

// share of requests that were bad; 0 without any.
func (c Counts) share() float64 {
	if c.Total <= 0 {
		return 0
	}
	return min(1, c.Bad/c.Total)
}

const (
	fineMinutes = 6 * 60 // minutes that are kept one by one
	hourMinutes = 60
)

// cell is Counts in half the memory.
type cell struct{ bad, total float32 }

// history holds counts by the minute for six hours, and by the hour for the
// objective's window. Minutes and hours are counted since 1970; minute m is what
// lies after its begin up to its end.
type history struct {
	fine  []cell // by minute mod fineMinutes
	hours []cell // by hour mod len
	last  int64  // newest minute that was added; 0 before the first
	first int64  // oldest minute that was added
}

func newHistory(hours int) history {
	return history{fine: make([]cell, fineMinutes), hours: make([]cell, hours+1)}
}

// advance makes minute the newest one. Minutes between are empty.
func (h *history) advance(minute int64) {
	if minute <= h.last {
		return
	}
	if h.last == 0 {
		h.first, h.last = minute, minute
		return
	}
	for m := max(h.last+1, minute-fineMinutes+1); m <= minute; m++ {
		h.fine[m%fineMinutes] = cell{}
	}
	n := int64(len(h.hours))
	for hr := max(h.last/hourMinutes+1, minute/hourMinutes-n+1); hr <= minute/hourMinutes; hr++ {
		h.hours[hr%n] = cell{}
	}
	h.last = minute
}

// add counts requests of a minute. What is older than what is kept, and
// numbers that cannot be counts, are left out.
func (h *history) add(minute int64, c Counts) {
	if minute <= 0 || !(c.Total > 0) || math.IsInf(c.Total, 0) || !(c.Bad >= 0) {
		return
	}
	c.Bad = min(c.Bad, c.Total)
	h.advance(minute)
	h.first = min(h.first, minute)
	if h.last-minute < fineMinutes {
		put(&h.fine[minute%fineMinutes], c)
	}
	if hr, n := minute/hourMinutes, int64(len(h.hours)); h.last/hourMinutes-hr < n {
		put(&h.hours[hr%n], c)
	}
}

func put(to *cell, c Counts) { to.bad += float32(c.Bad); to.total += float32(c.Total) }

// recent sums the newest minutes, at most fineMinutes.
func (h *history) recent(minutes int64) (c Counts) {
	for m := max(1, h.last-minutes+1); m <= h.last; m++ {
		x := h.fine[m%fineMinutes]
		c.add(Counts{float64(x.bad), float64(x.total)})
	}
	return c
}

// since sums from a minute on: to the minute for six hours, beyond them to the
// hour.
func (h *history) since(minute int64) Counts {
	if h.last-minute < fineMinutes {
		return h.recent(h.last - minute + 1)
	}
	return h.byHour((h.last - minute) / hourMinutes)
}

// byHour sums the newest hours, the one that lasts on top.
func (h *history) byHour(hours int64) (c Counts) {
	n := int64(len(h.hours))
	now := h.last / hourMinutes
	for hr := max(0, now-min(hours, n-1)); hr <= now; hr++ {
		x := h.hours[hr%n]
		c.add(Counts{float64(x.bad), float64(x.total)})
	}
	return c
}

// covered is for how many minutes of the last n something was seen.
func (h *history) covered(n int64) int64 {
	if h.last == 0 {
		return 0
	}
	return min(n, h.last-h.first+1)
}

// Saved is a history in a form that can be stored.
type Saved struct {
	First, Last int64
	Fine, Hours []float32 // bad and total by turns
	P95         []float32 // inferred objectives: of hours
	Threshold   float64   // inferred objectives of latency
}

func (h *history) save() Saved {
	return Saved{First: h.first, Last: h.last, Fine: flat(h.fine), Hours: flat(h.hours)}
}

func flat(cells []cell) []float32 {
	out := make([]float32, 0, 2*len(cells))
	for _, c := range cells {
		out = append(out, c.bad, c.total)
	}
	return out
}

var errSaved = errors.New("what was saved of an objective has another form")

func (h *history) load(s Saved) error {
	if len(s.Fine) != 2*len(h.fine) || len(s.Hours) != 2*len(h.hours) || s.First > s.Last || s.First < 0 {
		return errSaved
	}
	for i := range h.fine {
		h.fine[i] = cell{s.Fine[2*i], s.Fine[2*i+1]}
	}
	for i := range h.hours {
		h.hours[i] = cell{s.Hours[2*i], s.Hours[2*i+1]}
	}
	h.first, h.last = s.First, s.Last
	return nil
}
