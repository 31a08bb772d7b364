package topology

import (
	"cmp"
	"math"
	"slices"

	"github.com/norn-aiops/norn/internal/telemetry"
)

type edgeKey struct{ from, to telemetry.Entity }

type opKey struct {
	entity telemetry.Entity
	name   string
}

// window is what was seen in one span of time.
type window struct {
	entities map[telemetry.Entity]*tally
	edges    map[edgeKey]*tally
	ops      map[opKey]*tally
	perOps   map[telemetry.Entity]int // operations of each entity
}

func newWindow() *window {
	return &window{
		entities: map[telemetry.Entity]*tally{}, edges: map[edgeKey]*tally{},
		ops: map[opKey]*tally{}, perOps: map[telemetry.Entity]int{},
	}
}

// tally is rate, errors and durations of one key in one window.
type tally struct {
	count, errors int
	latency       sample // seconds
	self          sample // seconds, entities and operations
	gap           sample // seconds, edges only
}

func (t *tally) add(seconds float64, failed bool, prio uint64) {
	t.count++
	if failed {
		t.errors++
	}
	t.latency.add(seconds, prio)
}

func (t *tally) errorRatio() float64 { return float64(t.errors) / float64(t.count) }

// sampleSize is how many values a quantile is taken from.
const sampleSize = 1024

// sample is a bottom-k sample: it keeps the values with the lowest priorities.
// Since priorities are hashes of the spans' ids, the choice is uniform and
// does not depend on the order of arrival.
type sample struct {
	items []prioritised
}

type prioritised struct {
	prio  uint64
	value float64
}

func (s *sample) add(v float64, prio uint64) {
	if len(s.items) == 2*sampleSize {
		s.trim()
	}
	s.items = append(s.items, prioritised{prio, v})
}

func (s *sample) trim() {
	if len(s.items) <= sampleSize {
		return
	}
	slices.SortFunc(s.items, func(a, b prioritised) int { return cmp.Or(cmp.Compare(a.prio, b.prio), cmp.Compare(a.value, b.value)) })
	s.items = s.items[:sampleSize]
}

// sorted returns the kept values in ascending order.
func (s *sample) sorted() []float64 {
	s.trim()
	out := make([]float64, len(s.items))
	for i, it := range s.items {
		out[i] = it.value
	}
	slices.Sort(out)
	return out
}

// quantile interpolates linearly between the order statistics (Hyndman and
// Fan's type 7). sorted must not be empty.
func quantile(sorted []float64, q float64) float64 {
	pos := q * float64(len(sorted)-1)
	i := int(math.Floor(pos))
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (pos-float64(i))*(sorted[i+1]-sorted[i])
}

// average is the mean of the values, which are added in a fixed order.
func average(sorted []float64) float64 {
	sum := 0.0
	for _, v := range sorted {
		sum += v
	}
	return sum / float64(len(sorted))
}

// priority hashes a span's identity and a seed (splitmix64's finaliser).
func priority(trace, span, seed uint64) uint64 {
	x := trace ^ span*0x9e3779b97f4a7c15 ^ seed
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
