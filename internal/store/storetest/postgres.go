package storetest

import (
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Postgres starts a real PostgreSQL server in a directory of its own, on a
// free port, for as long as the test lives. It returns the URL of its
// maintenance database; [Database] makes others. When PostgreSQL is not
// installed, the test fails and says what to install.
func Postgres(t *testing.T) string {
	t.Helper()
	script := filepath.Join(moduleRoot(t), "test", "servers", "postgres.sh")
	// Not t.TempDir: its parent is closed to the user that runs the server.
	dir, err := os.MkdirTemp("", "norn-postgres-")
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	check(t, os.Chmod(dir, 0o755))
	data := filepath.Join(dir, "data")
	t.Cleanup(func() {
		if out, err := exec.Command(script, "stop", data).CombinedOutput(); err != nil {
			t.Errorf("cannot stop PostgreSQL: %v\n%s", err, out)
		}
	})
	for attempt := 1; ; attempt++ { // another process may take the port in between
		var stderr strings.Builder
		cmd := exec.Command(script, "start", data, strconv.Itoa(freePort(t)))
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err == nil {
			return strings.TrimSpace(string(out))
		}
		if attempt == 3 || strings.Contains(stderr.String(), "apt-get") {
			t.Fatalf("cannot start PostgreSQL: %v\n%s", err, stderr.String())
		}
	}
}

// Database makes a database on a server of [Postgres], unless it is there,
// and returns its URL.
func Database(t *testing.T, server, name string) string {
	t.Helper()
	conn, err := pgx.Connect(background(), server)
	check(t, err)
	defer conn.Close(background())
	_, err = conn.Exec(background(), "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	var pg *pgconn.PgError
	if err != nil && !(errors.As(err, &pg) && pg.Code == "42P04") { // duplicate_database
		t.Fatal(err)
	}
	u, err := url.Parse(server)
	check(t, err)
	u.Path = "/" + name
	return u.String()
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	check(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test's directory")
		}
		dir = up
	}
}
