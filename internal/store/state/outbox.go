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

var _ store.Outbox = (*DB)(nil)

// Enqueue stores a notice and the deliveries that tell it, all or nothing. A
// delivery whose ID is known is left as it is.
func (d *DB) Enqueue(ctx context.Context, n *ops.Notice, ds []ops.Delivery) error {
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("state store: cannot store deliveries: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // no effect after Commit
	for i := range ds {
		x := &ds[i]
		if x.ID == "" {
			return errors.New("state store: cannot store a delivery without id")
		}
		doc, err := json.Marshal(x)
		if err != nil {
			return fmt.Errorf("state store: cannot encode delivery %q: %w", x.ID, err)
		}
		_, err = tx.ExecContext(ctx, d.bind("INSERT INTO deliveries (id, receiver, incident, state, created, doc) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"),
			column(x.ID), column(x.Receiver), column(x.Incident), x.State, x.Created, string(doc))
		if err != nil {
			return fmt.Errorf("state store: cannot store delivery %q: %w", x.ID, err)
		}
	}
	if n != nil {
		doc, err := json.Marshal(n)
		if err != nil {
			return fmt.Errorf("state store: cannot encode the notice of %q: %w", n.Incident, err)
		}
		_, err = tx.ExecContext(ctx, d.bind("INSERT INTO notices (id, updated, doc) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET updated = excluded.updated, doc = excluded.doc"),
			column(n.Incident), n.Updated, string(doc))
		if err != nil {
			return fmt.Errorf("state store: cannot store the notice of %q: %w", n.Incident, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("state store: cannot store deliveries: %w", err)
	}
	return nil
}

// Notice returns what has been told of an incident, or store.ErrNotFound.
func (d *DB) Notice(ctx context.Context, incident string) (*ops.Notice, error) {
	var doc []byte
	err := d.read.QueryRowContext(ctx, d.bind("SELECT doc FROM notices WHERE id = ?"), column(incident)).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("state store: notice of %q: %w", incident, err)
	}
	var n ops.Notice
	if err := json.Unmarshal(doc, &n); err != nil {
		return nil, fmt.Errorf("state store: cannot decode the notice of %q: %w", incident, err)
	}
	return &n, nil
}

// PutDelivery stores a delivery by its ID.
func (d *DB) PutDelivery(ctx context.Context, x *ops.Delivery) error {
	return put(ctx, d, "deliveries", x.ID, x, []string{"receiver", "incident", "state", "created"}, column(x.Receiver), column(x.Incident), x.State, x.Created)
}

// Deliveries returns those that pass the filter.
func (d *DB) Deliveries(ctx context.Context, f store.DeliveryFilter) ([]ops.Delivery, error) {
	where, args := []string{"1 = 1"}, []any{}
	for _, c := range []struct{ col, v string }{{"receiver", f.Receiver}, {"incident", f.Incident}, {"state", f.State}} {
		if c.v != "" {
			where, args = append(where, c.col+" = ?"), append(args, column(c.v))
		}
	}
	order := "created DESC, id DESC"
	if f.Oldest {
		order = "created, id"
	}
	q := "SELECT doc FROM deliveries WHERE " + strings.Join(where, " AND ") + " ORDER BY " + order + " LIMIT ?"
	return list[ops.Delivery](ctx, d, "deliveries", q, append(args, limit(f.Limit, 200))...)
}
