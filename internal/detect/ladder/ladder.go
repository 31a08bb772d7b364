// Package ladder decides which series step down when memory or processor time
// runs short, and which step up again when there is room.
//
// It exists so that a shortage costs what matters least: of all steps down it
// takes those that lose the least importance for each byte or nanosecond that
// they save. A series that has a tier keeps it against one that is about as
// important, and nothing steps up before there has been room for a while, so
// that nobody hops. It knows no detectors and no clock: [Plan] and [Keep] are
// pure functions, a [Governor] belongs to one goroutine at a time.
package ladder

import (
	"cmp"
	"slices"
)

// Tier says how a series is judged.
type Tier uint8

// Tiers, from the cheapest.
const (
	Counter Tier = iota // counted, last value, extremes, silence
	Basic               // baseline, level, drift, spike, shape, flat line
	Full                // and detectors weighed by the series' profile, and what it repeats
	tiers
)

// String gives the name that users see.
func (t Tier) String() string { return [...]string{"counter", "basic", "full"}[min(t, Full)] }

// lost is the share of a series' importance that a step down from a tier
// gives up.
var lost = [tiers]float64{Basic: .75, Full: .25} //nolint:gochecknoglobals // a table

// incumbent is by how much more important a series counts for the tier that it
// has than for one that it does not have.
const incumbent = 1.5

// Item is one series.
type Item struct {
	ID         uint64
	Importance float64 // above 0
	Now, Top   Tier    // what it has, and the best that it could use
	Bytes      [3]float64
	Nanos      [3]float64 // of processor time a second
	Pinned     bool       // it stays where it is
}

// Budget bounds what detection uses; 0 is no bound.
type Budget struct {
	Bytes float64
	Nanos float64 // a second
}

// Move is a series that changes its tier.
type Move struct {
	ID uint64
	To Tier
}

type step struct {
	i    int
	from Tier
	cost float64
}

// Plan gives the moves that bring the items within the budget and lose the
// least, in the order in which they should be made: down before up. Where the
// budget leaves room, series step up to their best. At most maxUp series step
// up. Equal items go by their ID.
func Plan(items []Item, b Budget, maxUp int) []Move {
	level := make([]Tier, len(items))
	var over Budget
	for i := range items {
		it := &items[i]
		if level[i] = it.Top; it.Pinned {
			level[i] = it.Now
		}
		over.Bytes += it.Bytes[level[i]]
		over.Nanos += it.Nanos[level[i]]
	}
	over = Budget{excess(over.Bytes, b.Bytes), excess(over.Nanos, b.Nanos)}
	if over.Bytes > 0 || over.Nanos > 0 {
		for _, s := range steps(items, over) {
			if over.Bytes <= 0 && over.Nanos <= 0 {
				break
			}
			it := &items[s.i]
			saves := over.Bytes > 0 && it.Bytes[s.from] > it.Bytes[s.from-1] || over.Nanos > 0 && it.Nanos[s.from] > it.Nanos[s.from-1]
			if level[s.i] != s.from || !saves {
				continue
			}
			level[s.i]--
			over.Bytes -= it.Bytes[s.from] - it.Bytes[s.from-1]
			over.Nanos -= it.Nanos[s.from] - it.Nanos[s.from-1]
		}
	}
	return moves(items, level, maxUp)
}

// excess is by how much use is above a limit; 0 is no limit.
func excess(use, limit float64) float64 {
	if limit <= 0 {
		return 0
	}
	return use - limit
}

// steps gives all steps down, those that lose the least first.
func steps(items []Item, over Budget) []step {
	out := make([]step, 0, 2*len(items))
	for i := range items {
		it := &items[i]
		if it.Pinned {
			continue
		}
		before := 0.
		for from := it.Top; from > Counter; from-- {
			saved := 0.
			if over.Bytes > 0 {
				saved += max(0, it.Bytes[from]-it.Bytes[from-1]) / over.Bytes
			}
			if over.Nanos > 0 {
				saved += max(0, it.Nanos[from]-it.Nanos[from-1]) / over.Nanos
			}
			if saved <= 0 && from > Basic {
				continue // it costs nothing: it stays, or goes with the next step
			}
			loss := lost[from] * it.Importance
			if it.Now >= from {
				loss *= incumbent
			}
			before = max(before, loss/max(saved, 1e-18)) // a series goes down step by step
			out = append(out, step{i, from, before})
		}
	}
	slices.SortFunc(out, func(a, b step) int {
		return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(items[b.i].ID, items[a.i].ID), cmp.Compare(b.from, a.from))
	})
	return out
}

// moves compares what is with what shall be.
func moves(items []Item, level []Tier, maxUp int) []Move {
	var down []Move
	var up []int
	for i := range items {
		switch it := &items[i]; {
		case level[i] < it.Now:
			down = append(down, Move{it.ID, level[i]})
		case level[i] > it.Now:
			up = append(up, i)
		}
	}
	slices.SortFunc(up, func(a, b int) int {
		return cmp.Or(cmp.Compare(items[b].Importance, items[a].Importance), cmp.Compare(items[a].ID, items[b].ID))
	})
	for _, i := range up[:min(len(up), max(maxUp, 0))] {
		down = append(down, Move{items[i].ID, level[i]})
	}
	return down
}

// Wish is a series that has, or would like to have, one of few places.
type Wish struct {
	ID         uint64
	Importance float64
	Has        bool
}

// Keep says who gives a place up and who gets one when there are n: the most
// important, where one that has a place keeps it against one that is about as
// important.
func Keep(all []Wish, n int) (take, give []uint64) {
	all = slices.Clone(all)
	weight := func(w *Wish) float64 {
		if w.Has {
			return incumbent * w.Importance
		}
		return w.Importance
	}
	slices.SortFunc(all, func(a, b Wish) int {
		return cmp.Or(cmp.Compare(weight(&b), weight(&a)), cmp.Compare(a.ID, b.ID))
	})
	for i, w := range all {
		switch in := i < n; {
		case in && !w.Has:
			give = append(give, w.ID)
		case !in && w.Has:
			take = append(take, w.ID)
		}
	}
	return take, give
}
