package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// OpenTraces opens a span store at a directory, creating it when it is new,
// with the retention that [OpenLogs] asks for.
type OpenTraces func(t *testing.T, dir string) store.Traces

// RunTraces runs the suite of store.Traces.
func RunTraces(t *testing.T, open OpenTraces) {
	t.Run("empty", func(t *testing.T) { tracesEmpty(t, open) })
	t.Run("round trip", func(t *testing.T) { tracesRoundTrip(t, open) })
	t.Run("search", func(t *testing.T) { tracesSearch(t, open) })
	t.Run("duplicates", func(t *testing.T) { tracesDuplicates(t, open) })
	t.Run("writers at once", func(t *testing.T) { tracesConcurrent(t, open) })
}

func traceID(n int) string { return fmt.Sprintf("%032x", n+1) }
func spanID(n int) string  { return fmt.Sprintf("%016x", n+1) }

func span(trace, id int, start int64, d time.Duration) telemetry.Span {
	return telemetry.Span{
		TraceID: traceID(trace), SpanID: spanID(id), Name: "GET /cart", Kind: telemetry.SpanServer,
		Start: start, End: start + d.Nanoseconds(), Entity: telemetry.Entity{Kind: telemetry.KindService, Name: "cart"},
	}
}

func tracesEmpty(t *testing.T, open OpenTraces) {
	s := open(t, t.TempDir())
	defer s.Close()
	for _, id := range []string{traceID(1), "", "*", "\" or *", "no such\x00"} {
		if got, err := s.Trace(background(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("trace %q: got %v, %v; want ErrNotFound", id, got, err)
		}
	}
	if got := must[[]telemetry.Span](t)(s.SearchSpans(background(), store.SpanQuery{})); len(got) != 0 {
		t.Errorf("an empty store found %v", got)
	}
	if acc := must[[]bool](t)(s.AppendSpans(background(), nil)); len(acc) != 0 {
		t.Errorf("an empty batch gave %v", acc)
	}
}

func tracesRoundTrip(t *testing.T, open OpenTraces) {
	dir := t.TempDir()
	s := open(t, dir)
	at := time.Date(2023, 1, 29, 8, 43, 30, 123456789, time.UTC).UnixNano()
	var want []telemetry.Span
	for i, text := range strange() {
		sp := span(7, i, at+int64(i), time.Duration(i)*time.Millisecond)
		sp.Name, sp.StatusMessage = text, text
		sp.Entity = telemetry.Entity{Kind: telemetry.KindHost, Name: text}
		sp.Instance = telemetry.Entity{Kind: telemetry.KindInstance, Name: "i" + text}
		sp.Kind, sp.Error, sp.ParentID = telemetry.SpanConsumer, i%2 == 0, spanID(i-1)
		sp.Attributes = []telemetry.Attr{{Key: "_msg", Value: "x"}, {Key: "empty", Value: ""}, {Key: text, Value: text}}
		sp.Resource = []telemetry.Attr{{Key: "service.name", Value: text}}
		want = append(want, sp)
	}
	bare := telemetry.Span{TraceID: traceID(7), SpanID: spanID(900), Start: at + 900, End: at + 900}
	before := span(7, 901, at+901, -time.Second) // a clock that ran backwards
	want = append(want, bare, before)
	huge := span(7, 902, at+902, time.Second) // beyond the limit: may be cut, must not be lost
	for i := range 40 {
		huge.Attributes = append(huge.Attributes, telemetry.Attr{Key: fmt.Sprintf("k%02d", i), Value: string(make([]byte, 100_000))})
	}
	sent := append(slices.Clone(want), huge)
	slices.Reverse(sent)
	must[[]bool](t)(s.AppendSpans(background(), sent))
	for _, state := range []string{"open", "reopened"} {
		s.FlushSpans()
		got := must[[]telemetry.Span](t)(s.Trace(background(), traceID(7)))
		if len(got) != len(want)+1 {
			t.Fatalf("%s: got %d spans, want %d", state, len(got), len(want)+1)
		}
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Errorf("%s: span %d came back as\n%+v\nwant\n%+v", state, i, got[i], want[i])
			}
		}
		for i, text := range strange() {
			found := must[[]telemetry.Span](t)(s.SearchSpans(background(), store.SpanQuery{Service: text, Operation: text}))
			if len(found) != 1 || !reflect.DeepEqual(found[0], want[i]) {
				t.Errorf("%s: service %.40q is found %d times", state, text, len(found))
			}
		}
		if g := got[len(want)]; len(g.Attributes) == 0 || g.Name != huge.Name {
			t.Errorf("%s: the huge span lost everything: %.200v", state, g)
		}
		check(t, s.Close())
		s = open(t, dir)
	}
	check(t, s.Close())
}

func tracesSearch(t *testing.T, open OpenTraces) {
	s := open(t, t.TempDir())
	defer s.Close()
	rng := newRand(seed(t))
	now := time.Now().UnixNano()
	var all []telemetry.Span
	for i := range 400 {
		sp := span(i/4, i, now-rng.Int64N(int64(20*24*time.Hour)), time.Duration(rng.IntN(2000))*time.Millisecond)
		sp.Entity.Name = []string{"cart", "cart-v2", "orders"}[rng.IntN(3)]
		sp.Name = []string{"GET /a", "GET /a b", "get"}[rng.IntN(3)]
		sp.Error = rng.IntN(5) == 0
		all = append(all, sp)
	}
	must[[]bool](t)(s.AppendSpans(background(), all))
	s.FlushSpans()
	slices.SortFunc(all, func(a, b telemetry.Span) int { return int(b.Start/2 - a.Start/2) })
	queries := []store.SpanQuery{
		{}, {Limit: 1}, {Limit: 1000}, {Service: "cart"}, {Service: "cart", Operation: "GET /a", Limit: 1000}, {Service: "none"},
		{MinDuration: time.Second, Limit: 1000}, {OnlyErrors: true, Limit: 1000}, {Service: "orders", OnlyErrors: true, MinDuration: 500 * time.Millisecond, Limit: 5},
		{From: all[200].Start, To: all[100].Start, Limit: 1000}, {From: all[50].Start}, {To: all[350].Start, Limit: 1000},
	}
	for _, q := range queries {
		want := []telemetry.Span{}
		for _, sp := range all {
			if (q.Service == "" || sp.Entity.Name == q.Service) && (q.Operation == "" || sp.Name == q.Operation) && (!q.OnlyErrors || sp.Error) &&
				time.Duration(sp.End-sp.Start) >= q.MinDuration && (q.From == 0 || sp.Start >= q.From) && (q.To == 0 || sp.Start <= q.To) {
				want = append(want, sp)
			}
		}
		limit := q.Limit
		if limit == 0 {
			limit = 100
		}
		want = want[:min(limit, len(want))]
		if got := must[[]telemetry.Span](t)(s.SearchSpans(background(), q)); !reflect.DeepEqual(got, want) {
			t.Errorf("query %+v: got %d spans, want %d", q, len(got), len(want))
		}
	}
}

func tracesDuplicates(t *testing.T, open OpenTraces) {
	dir := t.TempDir()
	s := open(t, dir)
	now := time.Now().UnixNano()
	spans := []telemetry.Span{span(1, 1, now, 1), span(1, 2, now, 1), span(1, 1, now, 1), span(2, 1, now, 1)}
	if acc := must[[]bool](t)(s.AppendSpans(background(), spans)); !slices.Equal(acc, []bool{true, true, false, true}) {
		t.Errorf("first: %v", acc)
	}
	for range 2 {
		if acc := must[[]bool](t)(s.AppendSpans(background(), spans)); slices.Contains(acc, true) {
			t.Errorf("again: %v", acc)
		}
		check(t, s.Close())
		s = open(t, dir)
	}
	defer s.Close()
	s.FlushSpans()
	if got := must[[]telemetry.Span](t)(s.SearchSpans(background(), store.SpanQuery{})); len(got) != 3 {
		t.Errorf("got %d spans, want 3", len(got))
	}
}

func tracesConcurrent(t *testing.T, open OpenTraces) {
	s := open(t, t.TempDir())
	defer s.Close()
	now := time.Now().UnixNano()
	together(6, func(w int) {
		for i := range 100 {
			id := w*1000 + i
			if _, err := s.AppendSpans(background(), []telemetry.Span{span(i, id, now+int64(id), time.Millisecond)}); err != nil {
				t.Error(err)
			}
		}
	})
	s.FlushSpans()
	for i := range 100 {
		got := must[[]telemetry.Span](t)(s.Trace(background(), traceID(i)))
		if len(got) != 6 || !slices.IsSortedFunc(got, func(a, b telemetry.Span) int { return int(a.Start - b.Start) }) {
			t.Fatalf("trace %d has %d spans, want 6 in the order of their start", i, len(got))
		}
	}
}

// RunTracesCrash is [RunLogsCrash] for spans.
func RunTracesCrash(t *testing.T, open OpenTraces) {
	dir := t.TempDir()
	batch := func(round, w, b int) []telemetry.Span {
		var spans []telemetry.Span
		for i := range 10 {
			spans = append(spans, span(round<<20|w<<16|b, i, 1_700_000_000_000_000_000+int64(b), time.Millisecond))
		}
		return spans
	}
	acked := crash(t, dir, 4, func(dir string, round int, ack func(string)) {
		s := open(t, dir)
		together(3, func(w int) {
			for b := 0; round > 0 && b < 5; b++ {
				_, _ = s.AppendSpans(background(), batch(round-1, w, b))
			}
			for b := 0; ; b++ {
				if _, err := s.AppendSpans(background(), batch(round, w, b)); err != nil {
					t.Fatal(err)
				}
				ack(traceID(round<<20 | w<<16 | b))
			}
		})
	})
	s := open(t, dir)
	defer s.Close()
	s.FlushSpans()
	seen := map[string]int{}
	for _, sp := range must[[]telemetry.Span](t)(s.SearchSpans(background(), store.SpanQuery{Limit: 10_000_000})) {
		seen[sp.TraceID+"/"+sp.SpanID]++
	}
	for key, n := range seen {
		if n != 1 {
			t.Fatalf("span %s is there %d times", key, n)
		}
	}
	for _, id := range acked {
		for i := range 10 {
			if seen[id+"/"+spanID(i)] != 1 {
				t.Fatalf("acknowledged span %s of trace %s is missing", spanID(i), id)
			}
		}
	}
}
