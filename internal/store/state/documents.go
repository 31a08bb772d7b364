package state

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// put stores v as a document of a table with the columns id, cols... and doc.
func put(ctx context.Context, d *DB, table, id string, v any, cols []string, args ...any) error {
	what := strings.TrimSuffix(table, "s")
	if id == "" {
		return fmt.Errorf("state store: cannot store a thing without id among the %s", table)
	}
	doc, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("state store: cannot encode %s %q: %w", what, id, err)
	}
	cols = append(cols, "doc")
	sets := make([]string, len(cols))
	for i, c := range cols {
		sets[i] = c + " = excluded." + c
	}
	q := fmt.Sprintf("INSERT INTO %s (id, %s) VALUES (?%s) ON CONFLICT (id) DO UPDATE SET %s",
		table, strings.Join(cols, ", "), strings.Repeat(", ?", len(cols)), strings.Join(sets, ", "))
	all := append([]any{column(id)}, args...)
	if _, err := d.exec(ctx, q, append(all, string(doc))...); err != nil {
		return fmt.Errorf("state store: cannot store %s %q: %w", what, id, err)
	}
	return nil
}

// list reads the documents that a query (SELECT doc FROM ...) gives.
func list[T any](ctx context.Context, d *DB, what, query string, args ...any) ([]T, error) {
	out := []T{}
	rows, err := d.read.QueryContext(ctx, d.bind(query), args...)
	if err != nil {
		return nil, fmt.Errorf("state store: cannot list %s: %w", what, err)
	}
	defer rows.Close()
	for rows.Next() {
		var doc []byte
		if err := rows.Scan(&doc); err != nil {
			return nil, fmt.Errorf("state store: cannot list %s: %w", what, err)
		}
		var v T
		if err := json.Unmarshal(doc, &v); err != nil {
			return nil, fmt.Errorf("state store: cannot decode one of the %s: %w", what, err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("state store: cannot list %s: %w", what, err)
	}
	return out, nil
}

// PutIncident stores an incident by its ID.
func (d *DB) PutIncident(ctx context.Context, in *ops.Incident) error {
	return put(ctx, d, "incidents", in.ID, in, []string{"state", "onset", "updated"}, column(string(in.State)), in.Onset, in.Updated)
}

// Incident returns one incident, or store.ErrNotFound.
func (d *DB) Incident(ctx context.Context, id string) (*ops.Incident, error) {
	var doc []byte
	err := d.read.QueryRowContext(ctx, d.bind("SELECT doc FROM incidents WHERE id = ?"), column(id)).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("state store: incident %q: %w", id, err)
	}
	var in ops.Incident
	if err := json.Unmarshal(doc, &in); err != nil {
		return nil, fmt.Errorf("state store: cannot decode incident %q: %w", id, err)
	}
	return &in, nil
}

// Incidents returns the incidents that pass the filter, newest onset first.
func (d *DB) Incidents(ctx context.Context, f store.IncidentFilter) ([]ops.Incident, error) {
	where, args := []string{"1 = 1"}, []any{}
	if len(f.States) > 0 {
		where = append(where, "state IN (?"+strings.Repeat(", ?", len(f.States)-1)+")")
		for _, s := range f.States {
			args = append(args, column(string(s)))
		}
	}
	if f.From != 0 {
		where, args = append(where, "updated >= ?"), append(args, f.From)
	}
	if f.To != 0 {
		where, args = append(where, "onset <= ?"), append(args, f.To)
	}
	q := "SELECT doc FROM incidents WHERE " + strings.Join(where, " AND ") + " ORDER BY onset DESC, id DESC LIMIT ?"
	return list[ops.Incident](ctx, d, "incidents", q, append(args, limit(f.Limit, 200))...)
}

func limit(n, def int) int {
	if n <= 0 {
		return def
	}
	return n
}

// PutAnomaly stores an anomaly by its ID.
func (d *DB) PutAnomaly(ctx context.Context, a *ops.Anomaly) error {
	return put(ctx, d, "anomalies", a.ID, a, []string{"onset", "until"}, a.Onset, orMax(a.Ended))
}

// Anomalies returns those that overlap [from, to] (Unix ms), oldest onset
// first, at most max (0 means 1000). One that has not ended reaches into the
// future without end.
func (d *DB) Anomalies(ctx context.Context, from, to int64, max int) ([]ops.Anomaly, error) {
	return list[ops.Anomaly](ctx, d, "anomalies",
		"SELECT doc FROM anomalies WHERE onset <= ? AND until >= ? ORDER BY onset, id LIMIT ?", to, from, limit(max, 1000))
}

// PutChange stores a change by its ID.
func (d *DB) PutChange(ctx context.Context, c *telemetry.Change) error {
	return put(ctx, d, "changes", c.ID, c, []string{"at"}, c.Time)
}

// Changes returns those in [from, to] (Unix ms, inclusive), oldest first.
func (d *DB) Changes(ctx context.Context, from, to int64) ([]telemetry.Change, error) {
	return list[telemetry.Change](ctx, d, "changes", "SELECT doc FROM changes WHERE at >= ? AND at <= ? ORDER BY at, id", from, to)
}

// PutAlert stores the latest word on an alert, by its fingerprint.
func (d *DB) PutAlert(ctx context.Context, a *telemetry.Alert) error {
	return put(ctx, d, "alerts", a.Fingerprint, a, []string{"starts", "until"}, a.StartsAt, orMax(a.EndsAt))
}

// alertsAtOnce bounds the rows of one INSERT.
const alertsAtOnce = 200

// PutAlerts stores many alerts at once, all or none. Of equal fingerprints in
// one call the last counts.
func (d *DB) PutAlerts(ctx context.Context, as []telemetry.Alert) error {
	latest := make(map[string]*telemetry.Alert, len(as))
	for i := range as {
		if as[i].Fingerprint == "" {
			return errors.New("state store: cannot store an alert without a fingerprint")
		}
		latest[as[i].Fingerprint] = &as[i]
	}
	// In one order, so that two writers do not wait for each other's rows.
	keys := slices.Sorted(maps.Keys(latest))
	if len(keys) == 0 {
		return nil
	}
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("state store: cannot store alerts: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // no effect after Commit
	for part := range slices.Chunk(keys, alertsAtOnce) {
		args := make([]any, 0, 4*len(part))
		for _, k := range part {
			a := latest[k]
			doc, err := json.Marshal(a)
			if err != nil {
				return fmt.Errorf("state store: cannot encode alert %q: %w", k, err)
			}
			args = append(args, column(k), a.StartsAt, orMax(a.EndsAt), string(doc))
		}
		q := "INSERT INTO alerts (id, starts, until, doc) VALUES (?, ?, ?, ?)" + strings.Repeat(", (?, ?, ?, ?)", len(part)-1) +
			" ON CONFLICT (id) DO UPDATE SET starts = excluded.starts, until = excluded.until, doc = excluded.doc"
		if _, err := tx.ExecContext(ctx, d.bind(q), args...); err != nil {
			return fmt.Errorf("state store: cannot store %d alerts: %w", len(part), err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("state store: cannot store alerts: %w", err)
	}
	return nil
}

// Alerts returns those active at or after from (Unix ms), by start.
func (d *DB) Alerts(ctx context.Context, from int64) ([]telemetry.Alert, error) {
	return list[telemetry.Alert](ctx, d, "alerts", "SELECT doc FROM alerts WHERE until >= ? ORDER BY starts, id", from)
}

// edgesAtOnce bounds the rows of one INSERT; both databases allow far more
// parameters.
const edgesAtOnce = 500

// PutEdges stores edges by (From, To, Kind), all or none. Of equal keys in one
// call the last counts.
func (d *DB) PutEdges(ctx context.Context, edges []graph.Edge) error {
	if len(edges) == 0 {
		return nil
	}
	type key struct{ from, to, kind string }
	latest := make(map[key]graph.Edge, len(edges))
	for _, e := range edges {
		latest[key{column(e.From.String()), column(e.To.String()), column(string(e.Kind))}] = e
	}
	keys := make([]key, 0, len(latest))
	for k := range latest {
		keys = append(keys, k)
	}
	// In one order, so that two writers do not wait for each other's rows.
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), cmp.Compare(a.kind, b.kind))
	})
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("state store: cannot store edges: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // no effect after Commit
	for part := range slices.Chunk(keys, edgesAtOnce) {
		args := make([]any, 0, 5*len(part))
		for _, k := range part {
			e := latest[k]
			doc, err := json.Marshal(e)
			if err != nil {
				return fmt.Errorf("state store: cannot encode the edge from %s to %s: %w", k.from, k.to, err)
			}
			args = append(args, k.from, k.to, k.kind, e.LastSeen, string(doc))
		}
		q := "INSERT INTO edges (src, dst, kind, last_seen, doc) VALUES (?, ?, ?, ?, ?)" + strings.Repeat(", (?, ?, ?, ?, ?)", len(part)-1) +
			" ON CONFLICT (src, dst, kind) DO UPDATE SET last_seen = excluded.last_seen, doc = excluded.doc"
		if _, err := tx.ExecContext(ctx, d.bind(q), args...); err != nil {
			return fmt.Errorf("state store: cannot store edges: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("state store: cannot store edges: %w", err)
	}
	return nil
}

// Edges returns all edges, ordered by their ends.
func (d *DB) Edges(ctx context.Context) ([]graph.Edge, error) {
	es, err := list[graph.Edge](ctx, d, "edges", "SELECT doc FROM edges")
	// Sorted here: databases order texts each in its own way.
	slices.SortFunc(es, func(a, b graph.Edge) int {
		return cmp.Or(cmp.Compare(a.From.String(), b.From.String()), cmp.Compare(a.To.String(), b.To.String()), cmp.Compare(a.Kind, b.Kind))
	})
	return es, err
}
