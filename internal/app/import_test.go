package app

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/ingest/past"
	"github.com/norn-aiops/norn/internal/store"
)

// recordedDays writes days of three services' samples, a sample a minute, with
// Prometheus' own database, and gives the number of samples. The newest are in
// its log only.
func recordedDays(t *testing.T, dir string, days int, until int64) (samples int) {
	t.Helper()
	o := tsdb.DefaultOptions()
	o.RetentionDuration = int64(60 * 24 * time.Hour / time.Millisecond)
	db, err := tsdb.Open(dir, promslog.NewNopLogger(), nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	n := 0.
	for at := until - int64(days)*86400_000; at <= until; at += 60_000 {
		app := db.Appender(t.Context())
		n++
		for _, service := range []string{"cart", "search", "mail"} {
			for series, v := range cart(rng, at, n) {
				if _, err := app.Append(0, cartLabels(service, series), at, v); err != nil {
					t.Fatal(err)
				}
				samples++
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
		if int64(n)%1440 == 0 {
			if err := db.Compact(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return samples
}

// bring imports blocks through a server's address.
func bring(t *testing.T, addr, dir string) (*past.Summary, error) {
	t.Helper()
	c, err := past.Connect(t.Context(), addr, "", "test", func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	var local past.Summary
	if err := past.Blocks(t.Context(), dir, c, &local, func(float64) {}); err != nil {
		return nil, err
	}
	sum, err := c.Finish()
	if sum != nil {
		sum.Bad, sum.Problems = sum.Bad+local.Bad, append(local.Problems, sum.Problems...)
	}
	return sum, err
}

func incidentsOf(t *testing.T, a *App) int {
	t.Helper()
	list, err := a.Stores().State.Incidents(t.Context(), store.IncidentFilter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// Blocks of a Prometheus are brought into a server that runs and knows nothing:
// its models are ready, joint ones too, nothing is raised, and the same again
// adds nothing. A block whose index was damaged is named; so is one whose chunks
// were, and what is in the others is there.
func TestBlocksOfPrometheusMakeModelsReadyAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "prom")
	want := recordedDays(t, dir, 4, time.Now().Add(-time.Minute).UnixMilli())
	a := inProcess(t, func(*config.Config) {})
	sum, err := bring(t, a.URL(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Samples != want || sum.Bad != 0 || sum.Series != 30 || sum.Entities != 3 || sum.Learned < 24 {
		t.Fatalf("of %d samples: %+v", want, sum)
	}
	for id, x := range explained(a.Pipeline().Engine()) {
		if x.Baseline == "learning" || x.Points < 5000 {
			t.Errorf("%v: %s", id, x.Sentence)
		}
	}
	if s := a.Pipeline().JointStats(); s.Ready != 3 {
		t.Errorf("judged jointly: %+v", s)
	}
	again, err := bring(t, a.URL(), dir)
	if err != nil || again.Samples != 0 || again.Duplicates < want || again.Blocks != 0 {
		t.Errorf("the same again: %+v %v", again, err)
	}
	if err := a.Pipeline().Tick(t.Context(), time.Now().UnixMilli()); err != nil {
		t.Fatal(err)
	}
	if n := incidentsOf(t, a); n != 0 {
		t.Errorf("the past opened %d incidents", n)
	}
	if open := a.Pipeline().Engine().Active(); len(open) != 0 {
		t.Errorf("the past raised %+v", open[0])
	}
}

func TestDamagedBlocksAreNamedAndTheOthersImported(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "prom")
	want := recordedDays(t, dir, 4, time.Now().Add(-time.Minute).UnixMilli())
	blocks, err := filepath.Glob(filepath.Join(dir, "01*"))
	if err != nil || len(blocks) < 4 {
		t.Fatalf("%d blocks: %v", len(blocks), err)
	}
	if err := os.WriteFile(filepath.Join(blocks[0], "index"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	chunk := filepath.Join(blocks[1], "chunks", "000001")
	raw, err := os.ReadFile(chunk)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(raw) / 2; i < len(raw)/2+200; i++ {
		raw[i] ^= 0xff
	}
	if err := os.WriteFile(chunk, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(blocks[2], "meta.json")); err != nil {
		t.Fatal(err)
	}
	a := inProcess(t, func(*config.Config) {})
	sum, err := bring(t, a.URL(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Bad < 3 || sum.Samples < want/4 || sum.Samples >= want {
		t.Errorf("of %d samples: %+v", want, sum)
	}
	for _, b := range blocks[:3] {
		named := false
		for _, p := range sum.Problems {
			named = named || strings.Contains(p.Where, filepath.Base(b))
		}
		if !named {
			t.Errorf("block %s is damaged and not named: %+v", filepath.Base(b), sum.Problems)
		}
	}
}

// remoteRead is the read side of a real Prometheus.
func remoteRead(t *testing.T, dir string) *httptest.Server {
	t.Helper()
	db, err := tsdb.Open(dir, promslog.NewNopLogger(), nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	h := remote.NewReadHandler(promslog.NewNopLogger(), nil, db, func() promconfig.Config { return promconfig.DefaultConfig }, 1e8, 4, 1<<20)
	calls := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls%5 == 2 { // now and then it is not well
			http.Error(w, "too busy", http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { s.Close(); _ = db.Close() })
	return s
}

func TestAPrometheusIsReadThroughRemoteRead(t *testing.T) {
	dir, until := filepath.Join(t.TempDir(), "prom"), time.Now().Add(-time.Minute).UnixMilli()
	want := recordedDays(t, dir, 2, until)
	from := remoteRead(t, dir)
	var sum past.Summary
	cfg := config.Default()
	cfg.Storage.Dir = filepath.Join(t.TempDir(), "data")
	to, err := NewOfflineImport(t.Context(), cfg, &sum)
	if err != nil {
		t.Fatal(err)
	}
	cart := labels.MustNewMatcher(labels.MatchRegexp, "service_name", "cart|mail")
	err = past.RemoteRead(t.Context(), past.RemoteReadOptions{URL: from.URL, Matchers: []*labels.Matcher{cart}, From: until - 3*86400_000, To: until + 1}, to, &sum, func(float64) {})
	if err = errors.Join(err, to.Finish(t.Context(), nil), to.Close()); err != nil {
		t.Fatal(err)
	}
	if sum.Samples != want*2/3 || sum.Series != 20 || sum.Entities != 2 || sum.Bad != 0 {
		t.Fatalf("of %d samples: %+v", want*2/3, sum)
	}
	// a server that starts on it has learned; so has one that had a snapshot
	o := offlineAt(t, cfg.Storage.Dir, until)
	for _, x := range explained(o.Pipeline.Engine()) {
		if x.Baseline == "learning" {
			t.Errorf("%s: %s", x.Series, x.Sentence)
		}
	}
	if mark, err := o.Stores.State.Blob(t.Context(), "history_to_learn"); err != nil || len(mark) != 0 {
		t.Errorf("the import is still to be learned: %v %v", mark, err)
	}
}

// A data directory whose server has models gets a longer past: the next start
// learns from it although there is a snapshot.
func TestASnapshotDoesNotHideImportedHistory(t *testing.T) {
	dir := t.TempDir()
	now := time.Now().UnixMilli()
	o := offlineAt(t, dir, now)
	app := o.Stores.Metrics.AppenderV2(t.Context())
	for at := now - 3600_000; at < now; at += 60_000 {
		if _, err := app.Append(0, cartLabels("cart", "queue_length"), 0, at, 4, nil, nil, storage.AOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(app.Commit(), o.Pipeline.Tick(t.Context(), now), o.Pipeline.Save(t.Context()), o.Close()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "queue.csv")
	var b bytes.Buffer
	b.WriteString("time,name,value,service_name\n")
	rows := 0
	for at := now - 7*86400_000; at < now-3600_000; at += 300_000 {
		b.WriteString(time.UnixMilli(at).UTC().Format(time.RFC3339) + ",queue_length,5,cart\n")
		rows++
	}
	b.WriteString("yesterday,queue_length,5,cart\n2026-01-01T00:00:00Z,queue_length\n" + time.UnixMilli(now-7200_000).UTC().Format(time.RFC3339) + ",queue_length,many,cart\n")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Storage.Dir = dir
	var sum past.Summary
	to, err := NewOfflineImport(t.Context(), cfg, &sum)
	if err != nil {
		t.Fatal(err)
	}
	err = past.CSV(t.Context(), []string{file, filepath.Join(dir, "none.csv")}, past.CSVOptions{}, to, &sum, func(float64) {})
	if err = errors.Join(err, to.Finish(t.Context(), nil), to.Close()); err != nil {
		t.Fatal(err)
	}
	if sum.Samples != rows || sum.Bad != 4 || !strings.HasSuffix(sum.Problems[0].Where, "queue.csv line "+strconv.Itoa(rows+2)) {
		t.Fatalf("%d rows: %+v", rows, sum)
	}
	again := offlineAt(t, dir, now)
	for _, x := range explained(again.Pipeline.Engine()) {
		if int(x.Points) < rows {
			t.Errorf("%d points of %d: %s", x.Points, rows+60, x.Sentence)
		}
	}
}

// The server is killed while an import is under way. Started again it has what
// was stored; the import run again adds the rest, nothing twice.
func TestAnImportThatWasBrokenOffIsRunAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "prom")
	want := recordedDays(t, dir, 3, time.Now().Add(-time.Minute).UnixMilli())
	e := newEstate(t)
	e.start()
	c, err := past.Connect(t.Context(), e.http, "", "test", func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	killer := &killing{to: c, after: want / 2, kill: e.kill}
	var local past.Summary
	err = past.Blocks(t.Context(), dir, killer, &local, func(float64) {})
	if err == nil {
		_, err = c.Finish()
	}
	if err == nil {
		t.Fatal("the server was killed and the import says nothing")
	}
	e.start()
	sum, err := bring(t, e.http, dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := bring(t, e.http, dir)
	if err != nil || again.Samples != 0 || again.Duplicates < want || sum.Samples+sum.Duplicates < want {
		t.Errorf("%d samples; first %+v, again %+v %v", want, sum, again, err)
	}
}

// killing kills the server after some samples.
type killing struct {
	to    past.Sink
	after int
	kill  func()
}

func (k *killing) Add(ctx context.Context, ls labels.Labels, xs []store.ImportSample) error {
	if k.after -= len(xs); k.after <= 0 && k.kill != nil {
		k.kill()
		k.kill = nil
	}
	return k.to.Add(ctx, ls, xs)
}

// A second import at the same time is told to wait, and a body that is no stream
// of chunks is refused; the server goes on.
func TestOneImportAtATime(t *testing.T) {
	a := inProcess(t, func(*config.Config) {})
	first, err := past.Connect(t.Context(), a.URL(), "", "first", func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	xs := make([]store.ImportSample, 100_000)
	for i := range xs {
		xs[i] = store.ImportSample{T: time.Now().UnixMilli() - int64(len(xs)-i)*1000, V: rand.Float64()}
	}
	if err := first.Add(t.Context(), labels.FromStrings(labels.MetricName, "x"), xs); err != nil { // so much that it is on its way
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		second, err := past.Connect(t.Context(), a.URL(), "", "second", func(float64) {})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = second.Finish(); err != nil && strings.Contains(err.Error(), "another import") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("two imports at once: %v", err)
		}
	}
	resp, err := http.Post(a.URL()+"/api/v1/import/history", "text/csv", strings.NewReader("time,value\n"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("text was answered %s", resp.Status)
	}
	sum, err := first.Finish()
	if err != nil || sum.Samples != len(xs) {
		t.Errorf("the first: %+v %v", sum, err)
	}
}
