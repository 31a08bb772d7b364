package shop

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	_ "modernc.org/sqlite" // the driver named "sqlite"

	"github.com/norn-aiops/norn/internal/demo/fault"
	"github.com/norn-aiops/norn/internal/demo/plan"
)

// database is a database server's process: it owns one SQLite database and
// runs statements for others, POST /statements/{key}. It is not traced, as a
// database server is not; its clients' spans show it. Safe for concurrent use.
type database struct {
	n       *node
	name    string
	sql     *sql.DB
	perStep atomic.Uint64 // nanoseconds that one step of the slow statement takes here, 0 until measured
	busy    atomic.Int64  // nanoseconds that statements took since the last report
	total   metric.Int64Counter
}

// statement is one prepared text with what a span says of it.
type statement struct {
	op, table, text string
}

// Products is the number of products in the catalogue.
const Products = 60

// reviews is the number of rows that a read of the catalogue scans.
const reviews = 24000

// statements are the texts that a database runs, by key.
func statements(db string) map[string]statement {
	switch db {
	case plan.CatalogDB:
		return map[string]statement{
			"product": {"SELECT", "products", `SELECT p.name, p.price, (SELECT avg(r.stars) FROM reviews r WHERE r.product = p.id) AS stars FROM products p WHERE p.id = ?`},
			"list":    {"SELECT", "products", `SELECT p.name, avg(r.stars), count(*) FROM reviews r JOIN products p ON p.id = r.product WHERE p.id <= ?+20 GROUP BY p.id ORDER BY 2 DESC LIMIT 20`},
		}
	case plan.OrdersDB:
		return map[string]statement{
			"insert":  {"INSERT", "orders", `INSERT INTO orders (customer, product, placed) VALUES (?, ?, ?)`},
			"history": {"SELECT", "orders", `SELECT o.id, o.product, o.placed FROM orders o WHERE o.customer = ? ORDER BY o.id DESC LIMIT 20`},
		}
	}
	return nil
}

// slowText is a statement that really walks through ? rows.
const slowText = `WITH RECURSIVE scan(n, h) AS (SELECT 1, 7 UNION ALL SELECT n+1, (h*31+n) % 65521 FROM scan WHERE n < ?) SELECT max(h) FROM scan`

func newDatabase(ctx context.Context, n *node) (http.Handler, error) {
	name := n.svc.Name
	q := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(OFF)", "busy_timeout(4000)"}}
	file := filepath.Join(n.conf.Dir, name+".sqlite")
	db, err := sql.Open("sqlite", "file:"+file+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("cannot open database %s: %w", name, err)
	}
	db.SetMaxOpenConns(6)
	db.SetMaxIdleConns(6)
	d := &database{n: n, name: name, sql: db}
	n.close = func() { _ = db.Close() } // thrown away afterwards
	if err := d.prepare(ctx); err != nil {
		return nil, fmt.Errorf("cannot prepare database %s: %w", name, err)
	}
	if err := d.watch(); err != nil {
		return nil, fmt.Errorf("cannot watch database %s: %w", name, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /statements/{key}", d.serve)
	return mux, nil
}

// watch reports the statements run and how many connections were in use, as
// the mean since the last report.
func (d *database) watch() (err error) {
	m := d.n.sig.meter
	if d.total, err = m.Int64Counter("db.server.statements", metric.WithUnit("{statement}"), metric.WithDescription("Statements run.")); err != nil {
		return err
	}
	g, err := m.Float64ObservableGauge("db.server.connections.active", metric.WithUnit("{connection}"), metric.WithDescription("Connections in use, mean since the last report."))
	if err != nil {
		return err
	}
	var mu sync.Mutex
	last := time.Now()
	_, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if dt := now.Sub(last); dt > 0 {
			o.ObserveFloat64(g, float64(d.busy.Swap(0))/float64(dt))
		}
		last = now
		return nil
	}, g)
	return err
}

// prepare makes the tables, fills them once, and runs each statement so that
// the first visitor does not pay for cold caches.
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
	if d.name == plan.CatalogDB {
		if err := d.fill(ctx); err != nil {
			return err
		}
	}
	for key := range statements(d.name) {
		if _, err := d.run(ctx, key, ask{ID: "1", User: "nobody"}); err != nil {
			return fmt.Errorf("cannot run statement %s: %w", key, err)
		}
	}
	return nil
}

func (d *database) fill(ctx context.Context) error {
	var have int
	if err := d.sql.QueryRowContext(ctx, `SELECT count(*) FROM reviews`).Scan(&have); err != nil || have > 0 {
		return err
	}
	const rows = `WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < ?) INSERT INTO `
	if _, err := d.sql.ExecContext(ctx, rows+`products SELECT n, 'Product ' || n, 500 + (n*7919) % 9000 FROM s`, Products); err != nil {
		return fmt.Errorf("cannot fill products: %w", err)
	}
	if _, err := d.sql.ExecContext(ctx, rows+fmt.Sprintf(`reviews SELECT n, 1 + n %% %d, 1 + (n*31) %% 5 FROM s`, Products), reviews); err != nil {
		return fmt.Errorf("cannot fill reviews: %w", err)
	}
	return nil
}

// ask is what a client sends along with a statement's key.
type ask struct {
	ID   string `json:"id"`
	User string `json:"user"`
}

func (d *database) serve(w http.ResponseWriter, r *http.Request) {
	var a ask
	if !readJSON(w, r, &a) {
		return
	}
	ctx := r.Context()
	d.total.Add(ctx, 1)
	defer func(begin time.Time) { d.busy.Add(int64(time.Since(begin))) }(time.Now())
	err := d.n.eff.strike(ctx, "")
	d.n.eff.each(fault.SlowQuery, "", func(level float64) {
		if err == nil {
			err = d.scan(ctx, level)
		}
	})
	var data json.RawMessage
	if err == nil {
		data, err = d.run(ctx, r.PathValue("key"), a)
	}
	if err != nil {
		if ctx.Err() == nil {
			d.n.sig.log.ErrorContext(ctx, "statement failed: "+err.Error())
		}
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(data) // a client that went away is its own trouble
}

// run executes a statement and returns its rows as JSON, null for none.
func (d *database) run(ctx context.Context, key string, a ask) (json.RawMessage, error) {
	st, ok := statements(d.name)[key]
	if !ok {
		return nil, fmt.Errorf("database %s has no statement %q", d.name, key)
	}
	if st.op == "INSERT" {
		_, err := d.sql.ExecContext(ctx, st.text, a.User, a.ID, time.Now().UnixMilli())
		return json.RawMessage("null"), err
	}
	arg := a.ID
	switch key {
	case "history":
		arg = a.User
	case "list":
		arg = "0"
	}
	rows, err := d.sql.QueryContext(ctx, st.text, arg)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := [][]any{}
	for rows.Next() {
		row := make([]any, 3) // every statement reads three columns
		if err := rows.Scan(&row[0], &row[1], &row[2]); err != nil {
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

// query asks a database server to run a statement, inside a client span.
func (n *node) query(ctx context.Context, db, key string, req request) (data json.RawMessage, err error) {
	st := statements(db)[key]
	ctx, span := n.sig.tracer.Start(ctx, st.op+" "+st.table, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("db.system.name", "sqlite"), attribute.String("db.namespace", db),
		attribute.String("db.operation.name", st.op), attribute.String("db.collection.name", st.table),
		attribute.String("db.query.text", st.text), attribute.String("server.address", db)))
	defer func() {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}()
	if err := n.eff.strike(ctx, db); err != nil {
		return nil, err
	}
	body, err := json.Marshal(ask{req.id, req.user})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+db+"/statements/"+key, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := n.net.plain.Do(r)
	if err != nil {
		return nil, reason(err)
	}
	defer resp.Body.Close()
	if data, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return nil, reason(err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the statement failed: %s", bytes.TrimSpace(data))
	}
	return data, nil
}
