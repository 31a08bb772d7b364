package app

import (
	"math"

	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/ingest/file"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// writeLogs makes a rotated log with a stack trace every hundred lines, and
// another that begins with the same text. It returns the number of records.
func writeLogs(t *testing.T, dir string) int {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-6 * time.Hour).UTC().Truncate(time.Second)
	n := 0
	for i, name := range []string{"shop.log.2.gz", "shop.log.1", "shop.log", "other.log"} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		var w io.WriteCloser = f
		if i == 0 {
			w = gzip.NewWriter(f)
		}
		for range 100 { // a banner that all files share
			fmt.Fprintf(w, "%s INFO [main] shop.Main: the same banner of every start, long enough to fill the head\n", at.Format("2006-01-02 15:04:05"))
			n++
		}
		for k := range 8_000 {
			fmt.Fprintf(w, "%s INFO [main] shop.Cart: order %d of file %d accepted\n", at.Add(time.Duration(k+i*9000)*time.Second/2).Format("2006-01-02 15:04:05"), k, i)
			n++
			if k%100 == 0 {
				fmt.Fprintf(w, "java.lang.IllegalStateException: queue %d\n\tat shop.Queue.put(Queue.java:41)\n", k)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	return n
}

// breaking cuts connections before or behind a request, as a killed import
// does: the server may or may not have what was sent.
type breaking struct {
	rng  *rand.Rand
	hits atomic.Int32
	stop context.CancelFunc
}

func (b *breaking) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost && b.rng.IntN(3) == 0 {
		b.hits.Add(1)
		if b.rng.IntN(2) == 0 { // sent, and nobody hears the answer
			if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
				_ = resp.Body.Close()
			}
		}
		b.stop()
		return nil, errors.New("killed")
	}
	return http.DefaultTransport.RoundTrip(r)
}

// An import that is killed again and again, while the server is killed too,
// brings in every record once.
func TestAnImportThatIsKilledBringsInEveryRecordOnce(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	e := newEstate(t)
	e.start()
	dir := filepath.Join(e.dir, "logs")
	want := writeLogs(t, dir)
	done := false
	for try := 0; !done && try < 200; try++ {
		ctx, stop := context.WithCancel(t.Context())
		b := &breaking{rng: rng, stop: stop}
		_, err := file.Import(ctx, file.Options{Paths: []string{dir}}, file.Remote{Base: "http://" + e.http, Client: &http.Client{Transport: b}})
		stop()
		done = err == nil
		if err != nil && b.hits.Load() == 0 {
			t.Fatal(err)
		}
		if try == 2 || try == 5 {
			e.kill()
			e.start()
		}
	}
	if !done {
		t.Fatal("the import never came to its end")
	}
	e.kill()
	cfg, err := config.Load(e.file)
	if err != nil {
		t.Fatal(err)
	}
	l, err := OpenLogImport(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	seen := map[string]int{}
	services := map[string]int{}
	l.Logs.FlushLogs()
	err = l.Logs.SearchLogs(t.Context(), store.LogQuery{Query: "*"}, func(r store.Row) bool {
		seen[r["log.file.id"]+"@"+r["log.file.record_offset"]]++
		services[r["service"]]++
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	twice := 0
	for _, n := range seen {
		twice += n - 1
	}
	if len(seen) != want || twice != 0 || services["shop"] != want/4*3 || services["other"] != want/4 {
		t.Errorf("%d records of %d, %d twice, services %v", len(seen), want, twice, services)
	}
	again, err := file.Import(t.Context(), file.Options{Paths: []string{dir}}, l)
	if err != nil || again.Records != 0 || again.Known != want {
		t.Errorf("again: %+v, %v", again, err)
	}
}

// checkRates looks for the rates that an import leaves as history: a line a
// minute in windows of ten seconds, and zeros between.
func checkRates(t *testing.T, cfg config.Config, at time.Time) {
	t.Helper()
	l, err := OpenLogImport(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	from, to := at.Add(-time.Hour).UnixMilli(), time.Now().UnixMilli()
	list, err := l.stores.metrics.QueryRange(t.Context(), `sum_over_time(norn_log_rate{entity="service/shop",severity="info"}[4d]) * 10`, to, to, 1000)
	if err != nil || len(list) != 1 || math.Abs(list[0].Samples[0].V-2000) > 1 {
		t.Errorf("lines by the rates of history: %v, %v; want 2000", list, err)
	}
	one, err := l.stores.metrics.Select(t.Context(), from, to, labels.MustNewMatcher(labels.MatchEqual, "__name__", "norn_log_template_rate"))
	if err != nil || len(one) != 1 || len(one[0].Samples) < 11_000 {
		t.Errorf("%d rates of templates (of what came three times), %v", len(one), err)
	}
}

// History teaches: what it held is known when it comes live. It raises no
// alarm and no rate of now.
func TestImportedHistoryTeachesAndRaisesNoAlarm(t *testing.T) {
	cfg := config.Default()
	cfg.Storage.Dir = t.TempDir()
	l, err := OpenLogImport(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "shop.log")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-3 * 24 * time.Hour).UTC()
	for i := range 2000 {
		fmt.Fprintf(f, "%s INFO shop.Cart: order %d accepted\n", at.Add(time.Duration(i)*time.Minute).Format("2006-01-02 15:04:05"), i)
	}
	fmt.Fprintf(f, "%s ERROR shop.Cart: cannot reach payment: connection refused by 10.0.0.7\n", at.Add(2000*time.Minute).Format("2006-01-02 15:04:05"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	rep, err := file.Import(t.Context(), file.Options{Paths: []string{path}}, l)
	if err != nil || rep.Records != 2001 {
		t.Fatalf("%+v, %v", rep, err)
	}
	if err := l.pipe.Tick(t.Context(), time.Now().UnixMilli()); err != nil {
		t.Fatal(err)
	}
	if got := l.pipe.Miner().Flush(time.Now().Add(time.Minute).UnixMilli()); len(got) != 0 {
		t.Errorf("history left rates: %v", got)
	}
	if err := l.Close(); err != nil { // what was learned survives
		t.Fatal(err)
	}
	defer checkRates(t, cfg, at)
	if l, err = OpenLogImport(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	live := func(body string) *telemetry.LogRecord {
		return &telemetry.LogRecord{Time: time.Now().UnixNano(), Body: body, Severity: telemetry.SeverityError, Entity: telemetry.Entity{Kind: telemetry.KindService, Name: "shop"}}
	}
	if _, a := l.pipe.Miner().Add(live("cannot reach payment: connection refused by 10.0.0.9")); a != nil {
		t.Errorf("a message that history holds raised %+v", a)
	}
	if _, a := l.pipe.Miner().Add(live("disk is corrupt")); a == nil {
		t.Error("a new message after a taught past raised nothing")
	}
}
