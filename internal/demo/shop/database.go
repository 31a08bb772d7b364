package shop

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	_ "modernc.org/sqlite" // the driver named "sqlite"

	"github.com/norn-aiops/norn/internal/demo/fault"
	"github.com/norn-aiops/norn/internal/demo/plan"
)

// database is one SQLite database in this process, with its statements. Safe
// for concurrent use.
type database struct {
	n       *node
	name    string
	sql     *sql.DB
	perStep atomic.Uint64 // nanoseconds that one step of the slow statement takes here, 0 until measured
}

// statement is one prepared text with what a span says of it.
type statement struct {
	op, table, text string
}

// Products is the number of products in the catalogue.
const Products = 60

// reviews is the number of rows that a read of the catalogue scans.
const reviews = 24000

func statements() map[string]map[string]statement {
	return map[string]map[string]statement{
		plan.CatalogDB: {
			"product": {"SELECT", "products", `SELECT p.name, p.price, (SELECT avg(r.stars) FROM reviews r WHERE r.product = p.id) AS stars FROM products p WHERE p.id = ?`},
			"list":    {"SELECT", "products", `SELECT p.name, avg(r.stars), count(*) FROM reviews r JOIN products p ON p.id = r.product WHERE p.id <= ?+20 GROUP BY p.id ORDER BY 2 DESC LIMIT 20`},
		},
		plan.OrdersDB: {
			"insert":  {"INSERT", "orders", `INSERT INTO orders (customer, product, placed) VALUES (?, ?, ?)`},
			"history": {"SELECT", "orders", `SELECT o.id, o.product, o.placed FROM orders o WHERE o.customer = ? ORDER BY o.id DESC LIMIT 20`},
		},
	}
}

// slowText is a statement that really walks through ? rows.
const slowText = `WITH RECURSIVE scan(n, h) AS (SELECT 1, 7 UNION ALL SELECT n+1, (h*31+n) % 65521 FROM scan WHERE n < ?) SELECT max(h) FROM scan`

func openDatabase(ctx context.Context, n *node, name string) (*database, error) {
	q := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(OFF)", "busy_timeout(4000)"}}
	file := filepath.Join(n.conf.Dir, name+".sqlite")
	db, err := sql.Open("sqlite", "file:"+file+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(6)
	d := &database{n: n, name: name, sql: db}
	if err := d.prepare(ctx); err != nil {
		_ = db.Close() // the first error is the one to tell
		return nil, err
	}
	return d, nil
}

// prepare makes the tables and fills them, once.
func (d *database) prepare(ctx context.Context) error {
	for _, text := range []string{
		`CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL)`,
		`CREATE TABLE IF NOT EXISTS reviews (id INTEGER PRIMARY KEY, product INTEGER NOT NULL, stars INTEGER NOT NULL)`,
		`CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, product INTEGER NOT NULL, placed INTEGER NOT NULL)`,
		`CREATE INDEX IF NOT EXISTS orders_customer ON orders (customer)`,
	} {
		if _, err := d.sql.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("cannot make the tables: %w", err)
		}
	}
	if d.name != plan.CatalogDB {
		return nil
	}
	var have int
	if err := d.sql.QueryRowContext(ctx, `SELECT count(*) FROM reviews`).Scan(&have); err != nil || have > 0 {
		return err
	}
	const fill = `WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < ?) INSERT INTO `
	if _, err := d.sql.ExecContext(ctx, fill+`products SELECT n, 'Product ' || n, 500 + (n*7919) % 9000 FROM s`, Products); err != nil {
		return fmt.Errorf("cannot fill products: %w", err)
	}
	if _, err := d.sql.ExecContext(ctx, fill+fmt.Sprintf(`reviews SELECT n, 1 + n %% %d, 1 + (n*31) %% 5 FROM s`, Products), reviews); err != nil {
		return fmt.Errorf("cannot fill reviews: %w", err)
	}
	return nil
}

// run executes one of the database's statements inside a client span and
// returns the rows as JSON. Under a slow_query fault the same span contains a
// scan that takes about the asked time.
func (d *database) run(ctx context.Context, key string, req request) (data json.RawMessage, err error) {
	st, ok := statements()[d.name][key]
	if !ok {
		return nil, fmt.Errorf("database %s has no statement %q", d.name, key)
	}
	ctx, span := d.n.sig.tracer.Start(ctx, st.op+" "+st.table, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("db.system.name", "sqlite"), attribute.String("db.namespace", d.name),
		attribute.String("db.operation.name", st.op), attribute.String("db.collection.name", st.table),
		attribute.String("db.query.text", st.text)))
	defer func() {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}()
	if err := d.n.eff.strike(ctx, d.name); err != nil {
		return nil, err
	}
	d.n.eff.each(fault.SlowQuery, d.name, func(level float64) {
		if err == nil {
			err = d.scan(ctx, level)
		}
	})
	if err != nil {
		return nil, err
	}
	if st.op == "INSERT" {
		_, err := d.sql.ExecContext(ctx, st.text, req.user, req.id, time.Now().UnixMilli())
		return nil, err
	}
	arg := req.id
	switch key {
	case "history":
		arg = req.user
	case "list":
		arg = "0"
	}
	return d.rows(ctx, st.text, arg)
}

func (d *database) rows(ctx context.Context, text string, arg string) (json.RawMessage, error) {
	rows, err := d.sql.QueryContext(ctx, text, arg)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := [][]any{}
	for rows.Next() {
		row := make([]any, 3)
		if err := rows.Scan(&row[0], &row[1], &row[2]); err != nil { // every statement reads three columns
			return nil, err
		}
		out = append(out, row)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

// scan runs the slow statement over so many rows as take about the given
// seconds on this machine; the first call measures how many those are.
func (d *database) scan(ctx context.Context, seconds float64) error {
	const probe = 20000
	per := d.perStep.Load()
	if per == 0 {
		begin := time.Now()
		if err := d.scanRows(ctx, probe); err != nil {
			return err
		}
		per = max(1, uint64(time.Since(begin).Nanoseconds()/probe))
		d.perStep.Store(per)
	}
	return d.scanRows(ctx, int64(min(seconds, 2)*1e9)/int64(per))
}

func (d *database) scanRows(ctx context.Context, n int64) error {
	var got int64
	if err := d.sql.QueryRowContext(ctx, slowText, max(1, n)).Scan(&got); err != nil {
		return fmt.Errorf("cannot scan: %w", err)
	}
	return nil
}
