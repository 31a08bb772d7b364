package app

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// smallShop makes the spans of a frontend that calls catalog and orders, which
// asks a database. Times in ms of the data's clock.
type smallShop struct {
	rnd  *rand.Rand
	next int
	slow float64 // factor on the database's time
}

const storyStart = int64(1_760_000_000_000) // Unix ms

func attrs(kv ...string) []telemetry.Attr {
	var out []telemetry.Attr
	for i := 0; i < len(kv); i += 2 {
		out = append(out, telemetry.Attr{Key: kv[i], Value: kv[i+1]})
	}
	return out
}

// requests gives all spans of n requests that begin in [t, t+10 s).
func (s *smallShop) requests(t int64, n int) (out []telemetry.Span) {
	for range n {
		at := (t + int64(s.rnd.IntN(9000))) * 1e6
		jitter := func(ms float64) int64 { return int64(ms * (0.8 + 0.4*s.rnd.Float64()) * 1e6) }
		db, cat := jitter(4*s.slow), jitter(6)
		orders := db + jitter(3)
		front := orders + cat + jitter(2)
		trace := fmt.Sprintf("%032x", s.next+1)
		id := func(i int) string { return fmt.Sprintf("%016x", (s.next+1)*16+i) }
		s.next++
		span := func(i, parent int, name, service string, kind telemetry.SpanKind, start, length int64, extra ...string) {
			sp := telemetry.Span{TraceID: trace, SpanID: id(i), Name: name, Kind: kind, Start: start, End: start + length,
				Resource: attrs("service.instance.id", service+"-1", "service.name", service), Attributes: attrs(extra...)}
			if parent > 0 {
				sp.ParentID = id(parent)
			}
			out = append(out, sp)
		}
		span(1, 0, "GET /", "frontend", telemetry.SpanServer, at, front)
		span(2, 1, "GET", "frontend", telemetry.SpanClient, at+1e5, cat+2e5)
		span(3, 2, "GET /products", "catalog", telemetry.SpanServer, at+2e5, cat)
		span(4, 1, "POST", "frontend", telemetry.SpanClient, at+cat+4e5, orders+2e5)
		span(5, 4, "POST /orders", "orders", telemetry.SpanServer, at+cat+5e5, orders)
		span(6, 5, "SELECT", "orders", telemetry.SpanClient, at+cat+6e5, db, "db.namespace", "orders-db", "db.system.name", "postgresql")
	}
	return out
}

func offline(t *testing.T, dir string, start int64) *Offline {
	t.Helper()
	o, err := NewOffline(t.Context(), dir, start, false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// play lets the shop run from t for the given number of 10-second windows.
func play(t *testing.T, o *Offline, s *smallShop, from int64, windows int) (end int64) {
	t.Helper()
	for w := range windows {
		at := from + int64(w)*10_000
		if err := o.Pipeline.Tick(t.Context(), at+10_000); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Pipeline.Spans(t.Context(), s.requests(at, 60)); err != nil {
			t.Fatal(err)
		}
	}
	return from + int64(windows)*10_000
}

func TestASlowDatabaseBecomesOneIncidentThatNamesItAndEnds(t *testing.T) {
	o := offline(t, t.TempDir(), storyStart)
	defer o.Close()
	s := &smallShop{rnd: rand.New(rand.NewPCG(7, 7)), slow: 1}
	at := play(t, o, s, storyStart, 6*45)
	if got := incidents(t, o); len(got) != 0 {
		t.Fatalf("in quiet times Norn opened %q", got[0].Title)
	}
	fault := at
	s.slow = 40
	at = play(t, o, s, at, 6*5)
	got := incidents(t, o)
	if len(got) != 1 {
		t.Fatalf("%d incidents are open, want one: %v", len(got), titles(got))
	}
	in := got[0]
	if root := in.Causes[0]; root.Entity.String() != "database/orders-db" || root.Role != ops.RoleRoot {
		t.Errorf("the first cause is %s (%s), want the database: %s", root.Entity, root.Role, in.Sentence)
	}
	if !strings.Contains(in.Sentence, "orders-db") {
		t.Errorf("the sentence does not name it: %s", in.Sentence)
	}
	if d := in.Onset - fault; d < -60_000 || d > 60_000 {
		t.Errorf("the onset is %d s from the fault's", d/1000)
	}
	s.slow = 1
	play(t, o, s, at, 6*15)
	got = incidents(t, o)
	if len(got) != 1 || got[0].State != ops.StateResolved {
		t.Errorf("after the fault: %v, want the one incident to be resolved", titles(got))
	}
}

func TestAfterARestartNoWarmUpBeginsAgain(t *testing.T) {
	dir := t.TempDir()
	o := offline(t, dir, storyStart)
	s := &smallShop{rnd: rand.New(rand.NewPCG(8, 8)), slow: 1}
	at := play(t, o, s, storyStart, 6*30)
	if err := o.Pipeline.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Half an hour more arrives that no snapshot knows of.
	at = play(t, o, s, at, 6*30)
	series := frontendLatency(t, o)
	before, _ := o.Pipeline.Engine().Explain(series)
	if err := o.Close(); err != nil { // nothing is saved: as after a kill
		t.Fatal(err)
	}

	o = offline(t, dir, at)
	defer o.Close()
	after, ok := o.Pipeline.Engine().Explain(series)
	if !ok {
		t.Fatal("the series is not known after the restart")
	}
	if after.Points != before.Points {
		t.Errorf("the model knows %d points, before the restart it knew %d", after.Points, before.Points)
	}
	if after.Baseline == "learning" {
		t.Error("learning begins again")
	}
	s.slow = 40
	play(t, o, s, at, 6*5)
	if got := incidents(t, o); len(got) != 1 || got[0].Causes[0].Entity.Name != "orders-db" {
		t.Errorf("a fault right after the restart gives %v", titles(got))
	}
}

func frontendLatency(t *testing.T, o *Offline) telemetry.SeriesID {
	t.Helper()
	list := o.Pipeline.Engine().List(func(s *telemetry.Series) bool {
		return s.Labels.Get("__name__") == "norn_latency_seconds" && s.Entity.Name == "frontend" && s.Labels.Get("quantile") == "0.95"
	}, 0)
	if len(list) != 1 {
		t.Fatalf("%d series of the frontend's latency", len(list))
	}
	return list[0].Series.ID
}

func incidents(t *testing.T, o *Offline) []ops.Incident {
	t.Helper()
	all, err := o.Stores.State.Incidents(t.Context(), store.IncidentFilter{})
	if err != nil {
		t.Fatal(err)
	}
	out := all[:0]
	for _, in := range all {
		if in.MergedInto == "" {
			out = append(out, in)
		}
	}
	return out
}

func titles(list []ops.Incident) []string {
	var out []string
	for _, in := range list {
		out = append(out, string(in.State)+": "+in.Title+" | "+in.Sentence)
	}
	return out
}
