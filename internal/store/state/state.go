// Package state is store.State on SQLite or PostgreSQL.
//
// It exists so that incidents, anomalies, changes, alerts, the graph and model
// snapshots survive a restart. Both databases use the same migrations, the
// same queries (placeholders are rewritten) and the same documents: a thing is
// stored as the JSON of its Go value, beside the few columns that queries
// need. The package does not judge or merge: a Put replaces.
//
// SQLite runs with a write-ahead log and synchronous=NORMAL. A commit is then
// handed to the kernel, so it survives SIGKILL, which is what the contract
// promises; the database file stays whole even at loss of power, but the last
// commits may then be lost. FULL would sync the disk at every commit, a few
// milliseconds each, in a store that takes every anomaly. PostgreSQL syncs at
// every commit by its own default.
//
// [DB] is the main type. It is safe for concurrent use.
package state

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // database/sql driver "pgx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	_ "modernc.org/sqlite" // database/sql driver "sqlite"

	"github.com/norn-aiops/norn/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

var _ store.State = (*DB)(nil)

// DB is a state store. Make one with [Open].
type DB struct {
	name  string  // for errors, without secrets
	write *sql.DB // SQLite: one connection
	read  *sql.DB
	pg    bool
}

// Open opens the database at a URL and brings its tables up to date. The URL
// is "sqlite:/path/file.db" (directory and file are made) or
// "postgres://user:password@host:port/database". Several processes may open
// the same database; migrations are then made by one of them.
func Open(ctx context.Context, dbURL string) (*DB, error) {
	scheme, rest, _ := strings.Cut(dbURL, ":")
	var d *DB
	var err error
	switch scheme {
	case "sqlite":
		d, err = openSQLite(strings.TrimPrefix(rest, "//"))
	case "postgres", "postgresql":
		d, err = openPostgres(dbURL)
	default:
		return nil, fmt.Errorf("state store: cannot open a database of type %.20q: want sqlite:/path/file.db or postgres://user@host/database", scheme)
	}
	if err != nil {
		return nil, err
	}
	if err := d.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("state store: cannot prepare %s: %w", d.name, err), d.Close())
	}
	return d, nil
}

// OpenPast opens a database that is there to read it: it makes and migrates
// nothing, and every Put fails.
func OpenPast(ctx context.Context, dbURL string) (*DB, error) {
	path, ok := strings.CutPrefix(dbURL, "sqlite:")
	if !ok {
		return Open(ctx, dbURL)
	}
	d, err := openSQLite(strings.TrimPrefix(path, "//"))
	if err != nil {
		return nil, err
	}
	if err := d.write.Close(); err != nil {
		return nil, errors.Join(fmt.Errorf("state store: %w", err), d.read.Close())
	}
	d.write = d.read // of which every connection is query_only
	return d, nil
}

func openSQLite(path string) (*DB, error) {
	if path == "" {
		return nil, errors.New("state store: cannot open sqlite: the path is missing (sqlite:/path/file.db)")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("state store: cannot make the directory of %s: %w", path, err)
	}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"
	d := &DB{name: "sqlite " + path}
	var err error
	// One writer: SQLite has one lock, and waiting in Go is fairer than in it.
	if d.write, err = sql.Open("sqlite", dsn+"&_txlock=immediate"); err != nil {
		return nil, fmt.Errorf("state store: cannot open %s: %w", d.name, err)
	}
	d.write.SetMaxOpenConns(1)
	if d.read, err = sql.Open("sqlite", dsn+"&_pragma=query_only(1)"); err != nil {
		return nil, errors.Join(fmt.Errorf("state store: cannot open %s: %w", d.name, err), d.write.Close())
	}
	d.read.SetMaxOpenConns(4)
	return d, nil
}

func openPostgres(dbURL string) (*DB, error) {
	d := &DB{name: "postgres", pg: true}
	if u, err := url.Parse(dbURL); err == nil {
		d.name = "postgres " + u.Host + u.Path
	}
	db, err := sql.Open("pgx", dbURL)
	if err != nil {
		return nil, fmt.Errorf("state store: cannot open %s: the URL is not valid", d.name) // err may quote the password
	}
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	db.SetConnMaxIdleTime(5 * time.Minute)
	d.write, d.read = db, db
	return d, nil
}

// migrate brings the tables up to date. Of several processes that open a new
// database, one makes the tables: PostgreSQL has a lock for that; with SQLite
// the others fail, look again and find the work done.
func (d *DB) migrate(ctx context.Context) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	opts := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if d.pg {
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return err
		}
		return d.up(ctx, goose.DialectPostgres, dir, append(opts, goose.WithSessionLocker(locker)))
	}
	for attempt := 1; ; attempt++ {
		err := d.up(ctx, goose.DialectSQLite3, dir, opts)
		if err == nil || attempt == 20 || ctx.Err() != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (d *DB) up(ctx context.Context, dialect goose.Dialect, dir fs.FS, opts []goose.ProviderOption) error {
	p, err := goose.NewProvider(dialect, d.write, dir, opts...)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// Close waits for running statements and closes the connections. Closing
// twice is allowed.
func (d *DB) Close() error {
	err := d.write.Close()
	if d.read != d.write && d.read != nil {
		err = errors.Join(err, d.read.Close())
	}
	if err != nil {
		return fmt.Errorf("state store: cannot close %s: %w", d.name, err)
	}
	return nil
}

// bind rewrites the placeholders of a query for the database: "?" to "$1",
// "$2"... for PostgreSQL. No query has a question mark elsewhere.
func (d *DB) bind(query string) string {
	if !d.pg {
		return query
	}
	var b strings.Builder
	n := 0
	for _, r := range query {
		if r != '?' {
			b.WriteRune(r)
			continue
		}
		n++
		b.WriteString("$" + strconv.Itoa(n))
	}
	return b.String()
}

func (d *DB) exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := d.write.ExecContext(ctx, d.bind(query), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// column makes a text fit a key column: PostgreSQL takes no NUL and no broken
// UTF-8. Different texts stay different except in broken bytes.
func column(s string) string {
	if !strings.ContainsAny(s, "\\\x00") {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.NewReplacer("\\", `\\`, "\x00", `\0`).Replace(strings.ToValidUTF8(s, "\uFFFD"))
}

// Prune deletes what ended or was last seen before t (Unix ms): resolved
// incidents, ended anomalies and alerts, changes and edges. It returns how
// many things went.
func (d *DB) Prune(ctx context.Context, t int64) (int64, error) {
	var total int64
	for _, q := range []string{
		"DELETE FROM incidents WHERE updated < ? AND state = 'resolved'",
		"DELETE FROM anomalies WHERE until < ?",
		"DELETE FROM changes WHERE at < ?",
		"DELETE FROM alerts WHERE until < ?",
		"DELETE FROM edges WHERE last_seen < ?",
		"DELETE FROM deliveries WHERE created < ? AND state <> 'queued'",
		"DELETE FROM notices WHERE updated < ?",
	} {
		n, err := d.exec(ctx, q, t)
		if err != nil {
			return total, fmt.Errorf("state store: cannot prune: %w", err)
		}
		total += n
	}
	return total, nil
}

// PutBlob stores an opaque value under a key.
func (d *DB) PutBlob(ctx context.Context, key string, data []byte) error {
	if data == nil {
		data = []byte{}
	}
	_, err := d.exec(ctx, "INSERT INTO blobs (id, data) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET data = excluded.data", column(key), data)
	if err != nil {
		return fmt.Errorf("state store: cannot store blob %q: %w", key, err)
	}
	return nil
}

// Blob returns the value of a key, or store.ErrNotFound.
func (d *DB) Blob(ctx context.Context, key string) ([]byte, error) {
	var data []byte
	err := d.read.QueryRowContext(ctx, d.bind("SELECT data FROM blobs WHERE id = ?"), column(key)).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("state store: blob %q: %w", key, err)
	}
	return data, nil
}

// orMax turns the "still lasts" zero into the end of time.
func orMax(t int64) int64 { return cmp.Or(t, 1<<63-1) }
