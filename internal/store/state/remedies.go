package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
)

var _ store.Remedies = (*DB)(nil)

// ledgerTries bounds how often an append is repeated when another process was
// quicker (PostgreSQL; SQLite has one writer at a time).
const ledgerTries = 20

// AppendLedger adds one entry in a transaction: the primary key makes sure that
// of two writers only one follows the same entry.
func (d *DB) AppendLedger(ctx context.Context, next func(ops.LedgerEntry) (ops.LedgerEntry, error)) (ops.LedgerEntry, error) {
	for try := 1; ; try++ {
		e, err := d.appendLedger(ctx, next)
		if err == nil || !d.pg || try == ledgerTries || ctx.Err() != nil || !strings.Contains(err.Error(), "23505") {
			return e, err
		}
	}
}

func (d *DB) appendLedger(ctx context.Context, next func(ops.LedgerEntry) (ops.LedgerEntry, error)) (e ops.LedgerEntry, err error) {
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return e, fmt.Errorf("state store: cannot append to the ledger: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("state store: cannot append to the ledger: %w", err), tx.Rollback())
		}
	}()
	var doc []byte
	var last ops.LedgerEntry
	switch err = tx.QueryRowContext(ctx, "SELECT doc FROM remedy_ledger ORDER BY seq DESC LIMIT 1").Scan(&doc); {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return e, err
	default:
		if err = json.Unmarshal(doc, &last); err != nil {
			return e, err
		}
	}
	if e, err = next(last); err != nil {
		return e, err
	}
	if doc, err = json.Marshal(e); err != nil {
		return e, err
	}
	q := "INSERT INTO remedy_ledger (seq, at, kind, run, incident, doc) VALUES (?, ?, ?, ?, ?, ?)"
	if _, err = tx.ExecContext(ctx, d.bind(q), e.Seq, e.Time, column(e.Kind), column(e.Run), column(e.Incident), string(doc)); err != nil {
		return e, err
	}
	return e, tx.Commit()
}

// Ledger lists entries.
func (d *DB) Ledger(ctx context.Context, f store.LedgerFilter) ([]ops.LedgerEntry, error) {
	where, args := []string{"seq > ?"}, []any{f.After}
	for _, c := range []struct{ col, v string }{{"kind", f.Kind}, {"run", f.Run}, {"incident", f.Incident}} {
		if c.v != "" {
			where, args = append(where, c.col+" = ?"), append(args, column(c.v))
		}
	}
	if f.Text != "" {
		esc := strings.NewReplacer(`!`, `!!`, `%`, `!%`, `_`, `!_`).Replace(strings.ToLower(column(f.Text)))
		where, args = append(where, "LOWER(doc) LIKE ? ESCAPE '!'"), append(args, "%"+esc+"%")
	}
	order := "ASC"
	if f.Newest {
		order = "DESC"
	}
	q := "SELECT doc FROM remedy_ledger WHERE " + strings.Join(where, " AND ") + " ORDER BY seq " + order + " LIMIT ?"
	return list[ops.LedgerEntry](ctx, d, "ledger entries", q, append(args, limit(f.Limit, 1<<31-1))...)
}

// CreateRun stores a run unless its key is taken.
func (d *DB) CreateRun(ctx context.Context, r *ops.Run) (ops.Run, bool, error) {
	doc, err := json.Marshal(r)
	if err != nil {
		return ops.Run{}, false, fmt.Errorf("state store: cannot encode run %q: %w", r.ID, err)
	}
	n, err := d.exec(ctx, "INSERT INTO remedy_runs (id, idem, incident, state, created, doc) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (idem) DO NOTHING",
		column(r.ID), column(r.Key), column(r.Incident), column(string(r.State)), r.Created, string(doc))
	if err != nil {
		return ops.Run{}, false, fmt.Errorf("state store: cannot store run %q: %w", r.ID, err)
	}
	if n == 1 {
		return *r, true, nil
	}
	old, err := d.run(ctx, "idem", r.Key)
	if err != nil {
		return ops.Run{}, false, err
	}
	return *old, false, nil
}

// PutRun replaces a run.
func (d *DB) PutRun(ctx context.Context, r *ops.Run) error {
	doc, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("state store: cannot encode run %q: %w", r.ID, err)
	}
	n, err := d.exec(ctx, "UPDATE remedy_runs SET state = ?, doc = ? WHERE id = ?", column(string(r.State)), string(doc), column(r.ID))
	if err == nil && n == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("state store: cannot store run %q: %w", r.ID, err)
	}
	return nil
}

// Run returns one run, or store.ErrNotFound.
func (d *DB) Run(ctx context.Context, id string) (*ops.Run, error) { return d.run(ctx, "id", id) }

func (d *DB) run(ctx context.Context, col, v string) (*ops.Run, error) {
	found, err := list[ops.Run](ctx, d, "runs", "SELECT doc FROM remedy_runs WHERE "+col+" = ?", column(v))
	if err == nil && len(found) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("state store: run %q: %w", v, err)
	}
	return &found[0], nil
}

// Runs lists runs, newest first.
func (d *DB) Runs(ctx context.Context, incident string, n int, states ...ops.RunState) ([]ops.Run, error) {
	where, args := []string{"1 = 1"}, []any{}
	if incident != "" {
		where, args = append(where, "incident = ?"), append(args, column(incident))
	}
	if len(states) > 0 {
		where = append(where, "state IN (?"+strings.Repeat(", ?", len(states)-1)+")")
		for _, s := range states {
			args = append(args, column(string(s)))
		}
	}
	q := "SELECT doc FROM remedy_runs WHERE " + strings.Join(where, " AND ") + " ORDER BY created DESC, id DESC LIMIT ?"
	return list[ops.Run](ctx, d, "runs", q, append(args, limit(n, 200))...)
}
