package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// OpenState opens the state store at a place (a URL), creating its tables
// when they are not there.
type OpenState func(t *testing.T, place string) store.State

// RunState runs the suite of store.State. place gives a fresh, empty place at
// each call.
func RunState(t *testing.T, place func(t *testing.T) string, open OpenState) {
	for name, f := range map[string]func(*testing.T, string, OpenState){
		"empty": stateEmpty, "incidents": stateIncidents, "anomalies": stateAnomalies, "changes": stateChanges, "alerts": stateAlerts,
		"edges": stateEdges, "blobs": stateBlobs, "strange text": stateStrange, "writers at once": stateConcurrent, "like a map": stateModel,
		"outbox": stateOutbox, "bad values": stateBad, "opened twice": stateTwice,
	} {
		t.Run(name, func(t *testing.T) { f(t, place(t), open) })
	}
}

func service(name string) telemetry.Entity {
	return telemetry.Entity{Kind: telemetry.KindService, Name: name}
}

func stateEmpty(t *testing.T, place string, open OpenState) {
	s := open(t, place)
	defer s.Close()
	ctx := background()
	for _, id := range []string{"", "none", "\x00", "'"} {
		if _, err := s.Incident(ctx, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("incident %q: %v, want ErrNotFound", id, err)
		}
		if _, err := s.Blob(ctx, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("blob %q: %v, want ErrNotFound", id, err)
		}
	}
	empty := func(name string, n int, err error) {
		if n != 0 || err != nil {
			t.Errorf("%s of an empty store: %d, %v", name, n, err)
		}
	}
	ins, err := s.Incidents(ctx, store.IncidentFilter{States: []ops.State{ops.StateOpen, "none"}})
	empty("incidents", len(ins), err)
	as, err := s.Anomalies(ctx, math.MinInt64, math.MaxInt64, 0)
	empty("anomalies", len(as), err)
	cs, err := s.Changes(ctx, math.MinInt64, math.MaxInt64)
	empty("changes", len(cs), err)
	als, err := s.Alerts(ctx, math.MinInt64)
	empty("alerts", len(als), err)
	es, err := s.Edges(ctx)
	empty("edges", len(es), err)
	check(t, s.PutEdges(ctx, nil))
}

func stateIncidents(t *testing.T, place string, open OpenState) {
	s := open(t, place)
	ctx := background()
	var all []ops.Incident
	states := []ops.State{ops.StateOpen, ops.StateAcknowledged, ops.StateResolved}
	for i := range 250 {
		in := ops.Incident{
			ID: fmt.Sprintf("i%03d", i), State: states[i%3], Onset: int64(1000 + i*10), Updated: int64(5000 - i), Title: fmt.Sprint("title ", i),
			Causes:    []ops.Cause{{Entity: service("db"), Role: ops.RoleRoot, Probability: 0.1 + 0.2, ExplainedBy: []ops.Explained{}, Path: []telemetry.Entity{service("a"), service("b")}}},
			Anomalies: []ops.Anomaly{{ID: "a", SeriesID: math.MaxUint64, Direction: telemetry.DownBad}},
		}
		check(t, s.PutIncident(ctx, &in))
		all = append(all, in)
	}
	all[7].State, all[7].Title = ops.StateMuted, "replaced"
	check(t, s.PutIncident(ctx, &all[7]))
	slices.Reverse(all) // newest onset first
	for _, state := range []string{"open", "reopened"} {
		for _, f := range []store.IncidentFilter{
			{}, {Limit: 10}, {Limit: 1000}, {States: states[:1], Limit: 1000}, {States: states[1:], Limit: 20}, {States: []ops.State{ops.StateMuted}},
			{From: 4900, Limit: 1000}, {To: 1500, Limit: 1000}, {From: 4800, To: 2000, States: states[:2], Limit: 7},
		} {
			want := []ops.Incident{}
			for _, in := range all {
				if (len(f.States) == 0 || slices.Contains(f.States, in.State)) && (f.From == 0 || in.Updated >= f.From) && (f.To == 0 || in.Onset <= f.To) {
					want = append(want, in)
				}
			}
			n := f.Limit
			if n == 0 {
				n = 200
			}
			want = want[:min(n, len(want))]
			if got := must[[]ops.Incident](t)(s.Incidents(ctx, f)); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: filter %+v: got %d incidents, want %d", state, f, len(got), len(want))
			}
		}
		if got := must[*ops.Incident](t)(s.Incident(ctx, "i007")); got.Title != "replaced" || got.Anomalies[0].SeriesID != math.MaxUint64 {
			t.Errorf("%s: got %+v", state, got)
		}
		check(t, s.Close())
		s = open(t, place)
	}
	check(t, s.Close())
}

func stateAnomalies(t *testing.T, place string, open OpenState) {
	s := open(t, place)
	defer s.Close()
	put := func(id string, onset, ended int64) {
		check(t, s.PutAnomaly(background(), &ops.Anomaly{ID: id, Onset: onset, LastSeen: onset + 5, Ended: ended, Entity: service("x"), P: 1e-300}))
	}
	put("long", 100, 900)
	put("lasting", 300, 0)
	put("short", 400, 410)
	put("late", 800, 0)
	put("late", 800, 850) // it ended
	for _, c := range []struct {
		from, to int64
		limit    int
		want     string
	}{
		{0, 99, 0, ""}, {0, 100, 0, "long"}, {900, 900, 0, "long lasting"}, {901, math.MaxInt64, 0, "lasting"}, {405, 406, 0, "long lasting short"},
		{410, 410, 0, "long lasting short"}, {411, 411, 0, "long lasting"}, {0, 1000, 0, "long lasting short late"}, {0, 1000, 2, "long lasting"}, {500, 400, 0, "long lasting"},
	} {
		var got []string
		for _, a := range must[[]ops.Anomaly](t)(s.Anomalies(background(), c.from, c.to, c.limit)) {
			got = append(got, a.ID)
			if a.P != 1e-300 || a.Entity != service("x") {
				t.Errorf("came back as %+v", a)
			}
		}
		if c.from <= c.to && strings.Join(got, " ") != c.want {
			t.Errorf("[%d, %d] limit %d: got %v, want %s", c.from, c.to, c.limit, got, c.want)
		}
	}
}

func stateChanges(t *testing.T, place string, open OpenState) {
	s := open(t, place)
	defer s.Close()
	for i, at := range []int64{300, 100, 200, 200, -5} {
		check(t, s.PutChange(background(), &telemetry.Change{ID: fmt.Sprint("c", i), Time: at, Kind: telemetry.ChangeDeploy, Entity: service("cart"), Title: "v2"}))
	}
	check(t, s.PutChange(background(), &telemetry.Change{ID: "c0", Time: 150, Title: "moved"}))
	var got []string
	for _, c := range must[[]telemetry.Change](t)(s.Changes(background(), 100, 200)) {
		got = append(got, c.ID)
	}
	if want := []string{"c1", "c0", "c2", "c3"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := must[[]telemetry.Change](t)(s.Changes(background(), -10, 0)); len(got) != 1 || got[0].Title != "v2" {
		t.Errorf("before 1970: %v", got)
	}
}

func stateAlerts(t *testing.T, place string, open OpenState) {
	s := open(t, place)
	defer s.Close()
	firing := telemetry.Alert{Fingerprint: "f1", Name: "Down", Labels: map[string]string{"a": "1", "b\x00": "\x00"}, StartsAt: 200}
	ended := telemetry.Alert{Fingerprint: "f2", Name: "Slow", Labels: map[string]string{}, StartsAt: 100, EndsAt: 500}
	check(t, s.PutAlert(background(), &firing))
	check(t, s.PutAlert(background(), &ended))
	for from, want := range map[int64][]telemetry.Alert{0: {ended, firing}, 500: {ended, firing}, 501: {firing}} {
		if got := must[[]telemetry.Alert](t)(s.Alerts(background(), from)); !reflect.DeepEqual(got, want) {
			t.Errorf("from %d: got %+v, want %+v", from, got, want)
		}
	}
	firing.EndsAt = 300
	check(t, s.PutAlert(background(), &firing))
	if got := must[[]telemetry.Alert](t)(s.Alerts(background(), 501)); len(got) != 0 {
		t.Errorf("all ended, yet %v", got)
	}
	var many []telemetry.Alert
	for i := range 1001 { // more than one statement takes
		many = append(many, telemetry.Alert{Fingerprint: fmt.Sprintf("m%04d", i), Labels: map[string]string{}, StartsAt: 1000 + int64(i)})
	}
	last := many[3]
	last.Name = "the last word"
	check(t, s.PutAlerts(background(), append(slices.Clone(many), last)))
	check(t, s.PutAlerts(background(), nil))
	got := must[[]telemetry.Alert](t)(s.Alerts(background(), 1000))
	if len(got) != len(many) || got[3].Name != "the last word" || !reflect.DeepEqual(got[1000], many[1000]) {
		t.Errorf("%d of %d alerts came back", len(got), len(many))
	}
	if err := s.PutAlerts(background(), []telemetry.Alert{{Fingerprint: "good", StartsAt: 5000}, {StartsAt: 5000}}); err == nil {
		t.Error("an alert without a fingerprint was stored")
	}
	if got := must[[]telemetry.Alert](t)(s.Alerts(background(), 1000)); len(got) != len(many) {
		t.Error("a batch with a bad alert was stored in part")
	}
}

func stateEdges(t *testing.T, place string, open OpenState) {
	s := open(t, place)
	var want []graph.Edge
	for i := range 1300 { // more than any one statement takes
		want = append(want, graph.Edge{From: service(fmt.Sprintf("a%04d", i)), To: telemetry.Entity{Kind: telemetry.KindHost, Name: "h/1"}, Kind: graph.RunsOn, FirstSeen: 1, LastSeen: int64(i), Weight: 0.1 * float64(i)})
	}
	check(t, s.PutEdges(background(), want))
	want[5].LastSeen, want[5].Weight = 77, 3.5
	twice := want[5]
	twice.Weight = -1
	check(t, s.PutEdges(background(), []graph.Edge{twice, want[5]})) // of equal keys the last counts
	odd := []graph.Edge{
		{From: service("a0000"), To: service("a0000/x"), Kind: graph.Calls}, {From: service("a0000"), To: service("a0000/x"), Kind: graph.DependsOn},
		{From: telemetry.Entity{Name: "nokind"}, To: service("nul\x00"), Kind: graph.Calls}, {From: telemetry.Entity{Name: "nokind"}, To: service(`nul\0`), Kind: graph.Calls},
	}
	check(t, s.PutEdges(background(), odd))
	want = append(want, odd...)
	for _, state := range []string{"open", "reopened"} {
		got := must[[]graph.Edge](t)(s.Edges(background()))
		if len(got) != len(want) {
			t.Fatalf("%s: %d edges, want %d", state, len(got), len(want))
		}
		for _, e := range want {
			if !slices.Contains(got, e) {
				t.Errorf("%s: edge %+v is missing", state, e)
			}
		}
		check(t, s.Close())
		s = open(t, place)
	}
	check(t, s.Close())
}

func stateBlobs(t *testing.T, place string, open OpenState) {
	s := open(t, place)
	big := make([]byte, 8<<20)
	for i := range big {
		big[i] = byte(i * i >> 3)
	}
	values := map[string][]byte{"nil": nil, "empty": {}, "zeros": make([]byte, 100), "big": big, "": []byte("no name"), "k\x00": []byte("1"), `k\0`: []byte("2"), "K\x00": []byte("3")}
	for k, v := range values {
		check(t, s.PutBlob(background(), k, []byte("older")))
		check(t, s.PutBlob(background(), k, v))
	}
	for _, state := range []string{"open", "reopened"} {
		for k, v := range values {
			got := must[[]byte](t)(s.Blob(background(), k))
			if !bytes.Equal(got, v) {
				t.Errorf("%s: blob %q has %d bytes, want %d", state, k, len(got), len(v))
			}
		}
		check(t, s.Close())
		s = open(t, place)
	}
	check(t, s.Close())
}

func stateStrange(t *testing.T, place string, open OpenState) {
	s := open(t, place)
	defer s.Close()
	for i, text := range append(strange(), strings.Repeat("x", 1<<20)) {
		id := fmt.Sprint(i, text[:min(len(text), 200)])
		in := ops.Incident{ID: id, State: ops.State(text[:min(len(text), 50)]), Title: text, Sentence: text, Onset: int64(i), Entities: []telemetry.Entity{{Kind: "k", Name: text}}}
		check(t, s.PutIncident(background(), &in))
		if got := must[*ops.Incident](t)(s.Incident(background(), id)); !reflect.DeepEqual(got, &in) {
			t.Errorf("text %d came back as %.100v", i, got)
		}
		got := must[[]ops.Incident](t)(s.Incidents(background(), store.IncidentFilter{States: []ops.State{in.State}}))
		if len(got) == 0 || !slices.ContainsFunc(got, func(g ops.Incident) bool { return g.ID == id }) {
			t.Errorf("text %d is not found by its state", i)
		}
	}
}

func stateConcurrent(t *testing.T, place string, open OpenState) {
	s := open(t, place)
	defer s.Close()
	together(8, func(w int) {
		for i := range 30 {
			in := ops.Incident{ID: fmt.Sprintf("%d-%d", w, i), Onset: int64(i), State: ops.StateOpen}
			shared := ops.Incident{ID: "shared", Onset: int64(w), Title: fmt.Sprint(w), State: ops.StateOpen}
			edges := []graph.Edge{{From: service(fmt.Sprint(i % 3)), To: service("x"), Kind: graph.Calls}, {From: service(fmt.Sprint((i + w) % 5)), To: service("x"), Kind: graph.Calls}}
			err := errors.Join(s.PutIncident(background(), &in), s.PutIncident(background(), &shared), s.PutEdges(background(), edges),
				s.PutBlob(background(), "b", []byte(fmt.Sprint(w))))
			if _, e := s.Incidents(background(), store.IncidentFilter{}); e != nil {
				err = errors.Join(err, e)
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
	if got := must[[]ops.Incident](t)(s.Incidents(background(), store.IncidentFilter{Limit: 1000})); len(got) != 8*30+1 {
		t.Errorf("%d incidents, want %d", len(got), 8*30+1)
	}
	if got := must[*ops.Incident](t)(s.Incident(background(), "shared")); got.Title != fmt.Sprint(got.Onset) {
		t.Errorf("two writers' words are mixed: %+v", got)
	}
}

// stateModel makes random operations and compares with a map.
func stateModel(t *testing.T, place string, open OpenState) {
	s := open(t, place)
	rng := rand.New(rand.NewPCG(seed(t), 2))
	model := map[string]ops.Anomaly{}
	for range 300 {
		switch rng.IntN(12) {
		case 0:
			check(t, s.Close())
			s = open(t, place)
		case 1, 2, 3:
			from, n := rng.Int64N(1000), rng.IntN(8)
			to := from + rng.Int64N(300)
			var want []ops.Anomaly
			for _, a := range model {
				if a.Onset <= to && (a.Ended == 0 || a.Ended >= from) {
					want = append(want, a)
				}
			}
			slices.SortFunc(want, func(a, b ops.Anomaly) int {
				if a.Onset != b.Onset {
					return int(a.Onset - b.Onset)
				}
				return strings.Compare(a.ID, b.ID)
			})
			if n > 0 {
				want = want[:min(n, len(want))]
			}
			got := must[[]ops.Anomaly](t)(s.Anomalies(background(), from, to, n))
			if !(len(got) == 0 && len(want) == 0) && !reflect.DeepEqual(got, want) {
				t.Fatalf("[%d, %d] limit %d: got %v, want %v", from, to, n, got, want)
			}
		default:
			a := ops.Anomaly{ID: fmt.Sprint("a", rng.IntN(40)), Onset: rng.Int64N(1000), Score: rng.NormFloat64()}
			if rng.IntN(2) == 0 {
				a.Ended = a.Onset + rng.Int64N(200) + 1
			}
			check(t, s.PutAnomaly(background(), &a))
			model[a.ID] = a
		}
	}
	check(t, s.Close())
}

func stateBad(t *testing.T, place string, open OpenState) {
	s := open(t, place)
	ctx := background()
	if err := s.PutAnomaly(ctx, &ops.Anomaly{ID: "nan", Observed: math.NaN()}); err == nil || !strings.Contains(err.Error(), "nan") {
		t.Errorf("a number that JSON has no word for: %v, want an error that names the anomaly", err)
	}
	if err := s.PutIncident(ctx, &ops.Incident{}); err == nil {
		t.Error("an incident without id was stored")
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.PutBlob(cancelled, "late", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := s.Blob(ctx, "late"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the cancelled write is there: %v", err)
	}
	check(t, s.Close())
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if err := s.PutBlob(ctx, "k", nil); err == nil {
		t.Error("a closed store took a blob")
	}
	if _, err := s.Edges(ctx); err == nil {
		t.Error("a closed store answered")
	}
}

// stateTwice: two stores at one place, as two processes would have it.
func stateTwice(t *testing.T, place string, open OpenState) {
	var stores [4]store.State
	together(len(stores), func(i int) { stores[i] = open(t, place) })
	together(len(stores), func(i int) {
		for k := range 20 {
			if err := stores[i].PutBlob(background(), fmt.Sprintf("%d/%d", i, k), []byte{byte(k)}); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range stores {
		for k := range 20 {
			if got, err := stores[(i+1)%len(stores)].Blob(background(), fmt.Sprintf("%d/%d", i, k)); err != nil || !bytes.Equal(got, []byte{byte(k)}) {
				t.Fatalf("what store %d wrote, another read as %v, %v", i, got, err)
			}
		}
	}
	for _, s := range stores {
		check(t, s.Close())
	}
}

// RunStateCrash kills a writing process with SIGKILL, several times over, and
// checks that every Put that returned is there. place is computed by the
// parent only.
func RunStateCrash(t *testing.T, place func(t *testing.T) string, open OpenState) {
	where := ""
	if !inChild() {
		where = place(t)
	}
	acked := crash(t, where, 4, func(place string, round int, ack func(string)) {
		s := open(t, place)
		together(2, func(w int) {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d-%d", round, w, i)
				in := ops.Incident{ID: id, Title: id, State: ops.StateOpen}
				if err := errors.Join(s.PutIncident(background(), &in), s.PutBlob(background(), "b"+id, []byte(id))); err != nil {
					t.Fatal(err)
				}
				ack(id)
			}
		})
	})
	s := open(t, where)
	defer s.Close()
	for _, id := range acked {
		if in, err := s.Incident(background(), id); err != nil || in.Title != id {
			t.Fatalf("incident %s: %v, %v", id, in, err)
		}
		if b, err := s.Blob(background(), "b"+id); err != nil || string(b) != id {
			t.Fatalf("blob b%s: %q, %v", id, b, err)
		}
	}
}
