package pipeline

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// shelf is a store of samples by series, read in no good order.
type shelf struct {
	series []labels.Labels
	of     [][]telemetry.Sample
	fails  error
}

func (s *shelf) SelectAll(_ context.Context, from, to int64, visit func(labels.Labels, []telemetry.Sample)) error {
	for i, ls := range s.series {
		var in []telemetry.Sample
		for _, x := range s.of[i] {
			if x.T >= from && x.T <= to {
				in = append(in, x)
			}
		}
		if len(in) > 0 {
			visit(ls, in)
		}
	}
	return s.fails
}

func (s *shelf) Bounds() (oldest, newest int64, ok bool) { return 0, 0, false }

func (s *shelf) Metadata(name string) (typ, unit string) { return "gauge", "unit of " + name }

// History comes in order of time over all series, each sample once, whatever
// the slices; samples of one moment keep the order of their series, and a
// series keeps its reference from slice to slice.
func TestHistoryIsReadInOrderOfTime(t *testing.T) {
	const seed, begin = 7, int64(1_760_000_000_000)
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	s := &shelf{}
	total, end := 0, begin
	for i := range 9 {
		s.series = append(s.series, labels.FromStrings(labels.MetricName, "m", "n", string(rune('a'+i))))
		var list []telemetry.Sample
		for at := begin + r.Int64N(5000); len(list) < 3000; at += 1 + r.Int64N(15_000)*int64(i%3) { // some every ms, some rarely
			list = append(list, telemetry.Sample{T: at, V: float64(i)*1e6 + float64(len(list))})
			end = max(end, at)
		}
		s.of = append(s.of, list)
		total += len(list)
	}
	for _, slice := range []int64{997, 30 * 60_000, 100 * 3600_000} { // the last is longer than a slice may be
		last, n := begin, 0
		seen := map[float64]bool{}
		names := map[uint64]string{}
		var before float64
		for batch, err := range ReadHistory(t.Context(), s, begin, end, slice) {
			if err != nil {
				t.Fatal(err)
			}
			if len(batch) == 0 || len(batch) > readBatch {
				t.Fatalf("slice %d: a batch of %d", slice, len(batch))
			}
			for _, c := range batch {
				of := int(c.V / 1e6)
				switch {
				case c.T < last:
					t.Fatalf("slice %d: %d comes after %d", slice, c.T, last)
				case c.T == last && n > 0 && int(before/1e6) > of:
					t.Fatalf("slice %d: at %d series %d comes after %g", slice, c.T, of, before)
				case seen[c.V]:
					t.Fatalf("slice %d: %g comes twice", slice, c.V)
				case s.of[of][int(c.V)%1_000_000].T != c.T:
					t.Fatalf("slice %d: %g has the time %d", slice, c.V, c.T)
				case c.Labels.Get("n") != string(rune('a'+of)) || c.Unit != "unit of m" || c.Type != "gauge":
					t.Fatalf("slice %d: %g is of %+v", slice, c.V, c)
				}
				if was, known := names[uint64(c.Ref)]; known && was != c.Labels.Get("n") {
					t.Fatalf("slice %d: reference %d is of %s and %s", slice, c.Ref, was, c.Labels.Get("n"))
				}
				names[uint64(c.Ref)] = c.Labels.Get("n")
				seen[c.V], last, before = true, c.T, c.V
				n++
			}
		}
		if n != total || len(names) != len(s.series) {
			t.Errorf("slice %d: %d of %d samples under %d references", slice, n, total, len(names))
		}
	}
	s.fails = errors.New("the disk is on fire")
	for _, err := range ReadHistory(t.Context(), s, begin, end, 60_000) {
		if !errors.Is(err, s.fails) {
			t.Errorf("error %v", err)
		}
	}
}
