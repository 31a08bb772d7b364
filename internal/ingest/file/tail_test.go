package file

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// sink keeps what it is given. While down it refuses.
type sink struct {
	ingest.Sink // the other methods are not called
	mu          sync.Mutex
	recs        []telemetry.LogRecord
	down        bool
}

func (s *sink) Logs(_ context.Context, recs []telemetry.LogRecord) (ingest.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return ingest.Result{}, errors.New("the store is down")
	}
	s.recs = append(s.recs, recs...)
	return ingest.Result{Accepted: len(recs)}, nil
}

func (s *sink) bodies() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, len(s.recs))
	for i := range s.recs {
		out[i] = s.recs[i].Body
	}
	return out
}

// want waits until as many records are there, and a little longer.
func (s *sink) want(t *testing.T, n int) []string {
	t.Helper()
	for t.Context().Err() == nil && len(s.bodies()) < n {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	return s.bodies()
}

// log is a program's log file.
type log struct {
	t    *testing.T
	path string
	f    *os.File
	n    int
	want []string
}

func newLog(t *testing.T, path string) *log {
	l := &log{t: t, path: path}
	l.open()
	return l
}

func (l *log) open() {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		l.t.Fatal(err)
	}
	l.f = f
}

func (l *log) write(n int) {
	for range n {
		l.n++
		fmt.Fprintf(l.f, "%s INFO [main] shop.Cart: order %d accepted\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), l.n)
		l.want = append(l.want, fmt.Sprintf("order %d accepted", l.n))
	}
}

// rotate renames the file as logrotate does and begins a new one.
func (l *log) rotate() {
	for k := 8; k >= 1; k-- {
		_ = os.Rename(fmt.Sprintf("%s.%d", l.path, k), fmt.Sprintf("%s.%d", l.path, k+1)) // where it is there
	}
	if err := os.Rename(l.path, l.path+".1"); err != nil {
		l.t.Fatal(err)
	}
	_ = l.f.Close()
	l.open()
}

// compress is what logrotate does to the file before the last one.
func (l *log) compress() {
	raw, err := os.ReadFile(l.path + ".1")
	if err != nil {
		l.t.Fatal(err)
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(raw)
	_ = w.Close()
	if err := os.WriteFile(l.path+".1.gz", b.Bytes(), 0o600); err != nil {
		l.t.Fatal(err)
	}
	_ = os.Remove(l.path + ".1")
}

// truncate copies the file and empties it (copytruncate).
func (l *log) truncate() {
	raw, err := os.ReadFile(l.path)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(l.path+".1", raw, 0o600); err != nil {
		l.t.Fatal(err)
	}
	if err := os.Truncate(l.path, 0); err != nil {
		l.t.Fatal(err)
	}
}

func tail(t *testing.T, dir string, s *sink, change func(*TailOptions)) (stop func()) {
	t.Helper()
	o := TailOptions{Files: []Followed{{Paths: []string{filepath.Join(dir, "*.log")}}}, Marks: filepath.Join(dir, "marks.json"), Sink: s, Poll: 3 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	tl, err := NewTail(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tl.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

func compare(t *testing.T, what string, got, want []string) {
	t.Helper()
	if strings.Join(got, "\n") == strings.Join(want, "\n") {
		return
	}
	seen := map[string]int{}
	for _, b := range got {
		seen[b]++
	}
	missing, twice := 0, 0
	for _, b := range want {
		switch {
		case seen[b] == 0:
			missing++
		case seen[b] > 1:
			twice++
		}
	}
	t.Fatalf("%s: %d records of %d, %d missing, %d twice; the last is %q", what, len(got), len(want), missing, twice, got[max(len(got)-1, 0):])
}

// A log is renamed, truncated, compressed, read while it is written and not
// read for a while: every line comes once, in order.
func TestALogIsFollowedOverRotationsAndRestarts(t *testing.T) {
	dir := t.TempDir()
	s := &sink{}
	l := newLog(t, filepath.Join(dir, "shop.log"))
	l.write(400)
	stop := tail(t, dir, s, nil)
	compare(t, "what was there", s.want(t, len(l.want)), l.want)
	l.write(100)
	l.rotate()
	l.write(100)
	compare(t, "renamed", s.want(t, len(l.want)), l.want)
	stop()
	l.write(50) // while nobody reads
	stop = tail(t, dir, s, nil)
	compare(t, "after a restart", s.want(t, len(l.want)), l.want)
	stop()
	l.write(50) // the end of a file that is rotated and compressed while nobody reads
	l.rotate()
	l.compress()
	l.write(350)
	stop = tail(t, dir, s, nil)
	compare(t, "rotated and compressed while away", s.want(t, len(l.want)), l.want)
	l.write(10)
	compare(t, "before the truncation", s.want(t, len(l.want)), l.want)
	_ = os.Remove(l.path + ".1")
	l.truncate()
	time.Sleep(100 * time.Millisecond)
	l.write(40)
	compare(t, "truncated", s.want(t, len(l.want)), l.want)
	stop()
	for i := range s.recs {
		if r := &s.recs[i]; telemetry.Get(r.Resource, "service.name") != "shop" || r.SeverityText != "INFO" || r.Time == 0 || r.History {
			t.Fatalf("record %d: %+v", i, r)
		}
	}
}

func TestATraceThatIsWrittenSlowlyIsOneRecordAndAPartOfALineIsNone(t *testing.T) {
	dir := t.TempDir()
	s := &sink{}
	l := newLog(t, filepath.Join(dir, "shop.log"))
	l.write(60)
	stop := tail(t, dir, s, nil)
	defer stop()
	s.want(t, 60)
	fmt.Fprintf(l.f, "2026-11-24T08:00:00.000Z ERROR [main] shop.Cart: cannot put\njava.lang.Error: x\n\tat a.B.c(B.java:1)\n")
	l.write(1)
	fmt.Fprint(l.f, "2026-11-24T08:00:00.000Z INFO [main] shop.Cart: half a li")
	got := s.want(t, 62)
	if got[60] != "cannot put\njava.lang.Error: x\n\tat a.B.c(B.java:1)" {
		t.Errorf("the trace came as %q", got[60])
	}
	if len(got) != 62 {
		t.Fatalf("%d records, the last is %q", len(got), got[len(got)-1])
	}
	fmt.Fprint(l.f, "ne\n")
	if got = s.want(t, 63); got[62] != "half a line" {
		t.Errorf("the line came as %q", got[62])
	}
	if !s.recs[60].History || s.recs[61].History {
		t.Error("old lines are history, and new ones are not")
	}
}

func TestWhileTheStoreIsDownNothingIsLost(t *testing.T) {
	dir := t.TempDir()
	s := &sink{down: true}
	l := newLog(t, filepath.Join(dir, "shop.log"))
	l.write(500)
	stop := tail(t, dir, s, nil)
	time.Sleep(50 * time.Millisecond)
	s.mu.Lock()
	s.down = false
	s.mu.Unlock()
	compare(t, "after the store came back", s.want(t, len(l.want)), l.want)
	stop()
}

func TestFromTheEndOnlyNewLinesAreReadAndNewFilesWhole(t *testing.T) {
	dir := t.TempDir()
	s := &sink{}
	old := newLog(t, filepath.Join(dir, "old.log"))
	old.write(100)
	stop := tail(t, dir, s, func(o *TailOptions) { o.Files[0].FromEnd, o.Files[0].Service = true, "all" })
	defer stop()
	time.Sleep(50 * time.Millisecond)
	old.write(1)
	if got := s.want(t, 1); len(got) != 1 || got[0] != "order 101 accepted" {
		t.Fatalf("%q", got)
	}
	fresh := newLog(t, filepath.Join(dir, "fresh.log"))
	fresh.write(3)
	if got := s.want(t, 4); len(got) != 4 || telemetry.Get(s.recs[3].Resource, "service.name") != "all" {
		t.Fatalf("%q", got)
	}
}

func TestRotatedFilesComeOldestFirst(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"app.log", "app.log.1", "app.log.2.gz", "app.log.10.zst", "web-2026-11-23.log", "web-2026-11-24.log.gz", "web.log", ".hidden/x.log", "sub/a.log-20261123", "sub/a.log-20261124.xz"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Expand([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i], _ = filepath.Rel(dir, got[i])
	}
	want := "app.log.10.zst app.log.2.gz app.log.1 app.log sub/a.log-20261123 sub/a.log-20261124.xz web-2026-11-23.log web-2026-11-24.log.gz web.log"
	if strings.Join(got, " ") != want {
		t.Errorf("order\n%s, want\n%s", strings.Join(got, " "), want)
	}
	if _, err := Expand([]string{filepath.Join(dir, "none*")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a pattern that names nothing: %v", err)
	}
	for path, want := range map[string]string{
		"/var/log/nginx/access.log.1.gz": "nginx", "/srv/shop/logs/app.log": "shop", "cart.log": "cart", "/var/log/syslog": "syslog", "checkout-2026-11-24.log": "checkout",
	} {
		if got := serviceOf(path); got != want {
			t.Errorf("service of %s: %s, want %s", path, got, want)
		}
	}
}
