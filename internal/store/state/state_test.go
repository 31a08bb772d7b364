package state_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/store/state"
	"github.com/norn-aiops/norn/internal/store/storetest"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func openState(t *testing.T, place string) store.State {
	t.Helper()
	s, err := state.Open(t.Context(), place)
	if err != nil {
		t.Error(err)
		panic("cannot go on") // open is also called beside the test's goroutine
	}
	return s
}

func sqlitePlace(t *testing.T) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "a dir with ? and #", "state.db")
}

func TestSQLite(t *testing.T) { storetest.RunState(t, sqlitePlace, openState) }

func TestSQLiteCrash(t *testing.T) { storetest.RunStateCrash(t, sqlitePlace, openState) }

func postgresPlace(server string) func(t *testing.T) string {
	var n atomic.Int64
	return func(t *testing.T) string {
		t.Helper()
		return storetest.Database(t, server, fmt.Sprintf("norn%d", n.Add(1)))
	}
}

func TestPostgres(t *testing.T) {
	storetest.RunState(t, postgresPlace(storetest.Postgres(t)), openState)
}

func TestPostgresCrash(t *testing.T) {
	storetest.RunStateCrash(t, func(t *testing.T) string { return postgresPlace(storetest.Postgres(t))(t) }, openState)
}

func TestBadURLsAreExplained(t *testing.T) {
	for u, want := range map[string]string{
		"":                        "sqlite:/path/file.db",
		"mysql://x":               "mysql",
		"sqlite:":                 "path is missing",
		"sqlite:/proc/none/x.db":  "/proc/none",
		"postgres://u:secret@[::": "postgres",
		"postgres://u:secret@127.0.0.1:1/db?connect_timeout=1": "127.0.0.1:1/db",
	} {
		s, err := state.Open(t.Context(), u)
		if err == nil {
			s.Close()
			t.Errorf("%q was opened", u)
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, want a word about %q and no password", u, err, want)
		}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "not a database")
	if err := os.WriteFile(file, []byte(strings.Repeat("this is not SQLite. ", 500)), 0o644); err != nil {
		t.Fatal(err)
	}
	if s, err := state.Open(t.Context(), "sqlite:"+file); err == nil {
		s.Close()
		t.Error("a text file was opened as a database")
	}
}

func TestPrune(t *testing.T) {
	ctx := t.Context()
	s, err := state.Open(ctx, sqlitePlace(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	svc := telemetry.Entity{Kind: telemetry.KindService, Name: "a"}
	for i := int64(1); i <= 10; i++ {
		st := ops.StateResolved
		if i == 1 {
			st = ops.StateOpen // never pruned while open
		}
		for _, err := range []error{
			s.PutIncident(ctx, &ops.Incident{ID: fmt.Sprint(i), Updated: i, State: st}),
			s.PutAnomaly(ctx, &ops.Anomaly{ID: fmt.Sprint(i), Onset: i, Ended: i % 10}), // the tenth lasts
			s.PutChange(ctx, &telemetry.Change{ID: fmt.Sprint(i), Time: i}),
			s.PutAlert(ctx, &telemetry.Alert{Fingerprint: fmt.Sprint(i), StartsAt: i, EndsAt: i}),
			s.PutEdges(ctx, []graph.Edge{{From: svc, To: telemetry.Entity{Name: fmt.Sprint(i)}, Kind: graph.Calls, LastSeen: i}}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if n, err := s.Prune(ctx, 6); err != nil || n != 4+5+5+5+5 {
		t.Errorf("pruned %d, %v; want 24", n, err)
	}
	ins, _ := s.Incidents(ctx, store.IncidentFilter{})
	as, _ := s.Anomalies(ctx, 0, 1000, 0)
	es, _ := s.Edges(ctx)
	if len(ins) != 6 || len(as) != 5 || len(es) != 5 {
		t.Errorf("left: %d incidents, %d anomalies, %d edges; want 6, 5, 5", len(ins), len(as), len(es))
	}
}
