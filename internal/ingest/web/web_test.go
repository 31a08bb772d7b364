package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// recorder is a sink that remembers and refuses bodies that begin with "old".
type recorder struct {
	ingest.Sink
	recs    []telemetry.LogRecord
	changes []telemetry.Change
	broken  error
}

func (r *recorder) Logs(_ context.Context, recs []telemetry.LogRecord) (res ingest.Result, err error) {
	for i, rec := range recs {
		if strings.HasPrefix(rec.Body, "old") {
			res.Rejected = append(res.Rejected, ingest.Rejected{Index: i, Reason: "too_old", Detail: "record is too old"})
			continue
		}
		res.Accepted++
		r.recs = append(r.recs, rec)
	}
	return res, r.broken
}

func (r *recorder) Changes(_ context.Context, changes []telemetry.Change) (ingest.Result, error) {
	if r.broken != nil {
		return ingest.Result{}, r.broken
	}
	r.changes = append(r.changes, changes...)
	return ingest.Result{Accepted: len(changes)}, nil
}

type world struct {
	sink *recorder
	db   *tsdb.DB
	reg  *prometheus.Registry
	url  string
}

var now = time.UnixMilli(time.Now().UnixMilli()).UTC()

func start(t testing.TB, limits ingest.Limits) *world {
	t.Helper()
	db, err := tsdb.Open(t.TempDir(), nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{sink: &recorder{}, db: db, reg: prometheus.NewRegistry()}
	counters, err := ingest.NewCounters(w.reg)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(New(Options{Sink: w.sink, Metrics: db, Limits: limits, Counters: counters, Now: func() time.Time { return now }}))
	w.url = srv.URL
	t.Cleanup(func() { srv.Close(); db.Close() })
	return w
}

func (w *world) post(t testing.TB, path, encoding, body string) (int, Report) {
	t.Helper()
	raw := []byte(body)
	switch encoding {
	case "gzip":
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(raw)
		z.Close()
		raw = b.Bytes()
	case "zstd":
		z, _ := zstd.NewWriter(nil)
		raw = z.EncodeAll(raw, nil)
	}
	req, _ := http.NewRequestWithContext(t.Context(), "POST", w.url+path, bytes.NewReader(raw))
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	var rep Report
	if err := json.Unmarshal(b, &rep); err != nil {
		t.Fatalf("the answer is no report: %s %s", resp.Status, b)
	}
	return resp.StatusCode, rep
}

// told renders the problems of a report.
func told(rep Report) string {
	var out []string
	for _, p := range rep.Errors {
		where := fmt.Sprint("line ", p.Line)
		if p.Index != nil {
			where = fmt.Sprint("change ", *p.Index)
		}
		out = append(out, strings.Join(strings.Fields(where+" "+p.Field+" "+p.Reason), " "))
	}
	return strings.Join(out, "; ")
}

func (w *world) stored(t *testing.T) string {
	t.Helper()
	q, err := w.db.Querier(0, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	var out []string
	ss := q.Select(t.Context(), true, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+"))
	for ss.Next() {
		line := ss.At().Labels().String()
		it := ss.At().Iterator(nil)
		for it.Next() != 0 {
			at, v := it.At()
			line += fmt.Sprintf(" %g@%d", v, (at-now.UnixMilli())/1000)
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

func TestGoodLogLinesAreKeptBesideBadOnes(t *testing.T) {
	for _, enc := range []string{"", "gzip", "zstd"} {
		w := start(t, ingest.Limits{Line: 100})
		code, rep := w.post(t, "/api/v1/import/logs", enc, `{"time":"2026-03-01T11:59:58.5Z","level":"error","msg":"boom","service":"cart","host":"n1","code":7}
{"msg":
{"message":"old line"}

[1]
{"msg":"`+strings.Repeat("x", 200)+`"}
{"ts":"yesterday","msg":"x"}
{"body":"last"}`)
		if code != 200 || rep.Accepted != 2 || rep.Rejected != 5 || told(rep) != "line 2 bad_json; line 5 bad_json; line 6 line_too_long; line 7 bad_timestamp; line 3 too_old" {
			t.Errorf("encoding %q: %d %+v", enc, code, rep)
		}
		rec := w.sink.recs[0]
		if rec.Body != "boom" || rec.Severity != telemetry.SeverityError || telemetry.Get(rec.Resource, "service.name") != "cart" || telemetry.Get(rec.Resource, "host.name") != "n1" ||
			telemetry.Get(rec.Attributes, "code") != "7" || !rec.Retryable || rec.Source != "json" || rec.Time != 1772366398500000000 {
			t.Errorf("record arrived as %+v", rec)
		}
		if n := testutil.CollectAndCount(w.reg, "norn_ingest_rejected_total"); n != 4 {
			t.Errorf("%d reasons counted", n)
		}
	}
}

func TestLongCSV(t *testing.T) {
	w := start(t, ingest.Limits{Labels: 4})
	ms := now.UnixMilli()
	code, rep := w.post(t, "/api/v1/import/metrics", "gzip", fmt.Sprintf(`timestamp,name,value,service,labels
%d,requests_total,3,cart,
%d,requests_total,1,cart,"zone=a"
%d,requests_total,2,cart,
%d,requests_total,many,cart,
soon,requests_total,2,cart,
%d,,2,cart,
%d,requests_total,2,cart
%d,"never closed,1,cart,
%d,future,1,cart,
%d,labels,1,cart,a=1;b=2;c=3;d=4
%d,labels,1,cart,nonsense
%s,up,1,,instance=h:1
`, ms, ms, ms-60_000, ms, ms, ms, ms, ms+3600_000, ms, ms, now.Format(time.RFC3339Nano)))
	want := "line 5 value bad_value; line 6 timestamp bad_timestamp; line 8 bad_csv; line 9 bad_csv; line 12 labels invalid_labels; line 7 invalid_labels; line 11 too_many_labels; line 10 too_far_in_future"
	if code != 200 || rep.Accepted != 4 || told(rep) != want {
		t.Errorf("%d %+v\n got %s\nwant %s", code, rep, told(rep), want)
	}
	if got := w.stored(t); got != `{__name__="requests_total", service="cart"} 2@-60 3@0
{__name__="requests_total", service="cart", zone="a"} 1@0
{__name__="up", instance="h:1"} 1@0` {
		t.Errorf("stored\n%s", got)
	}
}

func TestWideCSV(t *testing.T) {
	w := start(t, ingest.Limits{})
	sec := now.Unix()
	code, rep := w.post(t, "/api/v1/import/metrics", "", fmt.Sprintf("\ufefftime,cpu,\"requests_total{service=\"\"cart\"\", path=\"\"/a,b\"\"}\"\n%d,0.5,7\n%d,,8\n%d,x,9\n", sec-20, sec-10, sec))
	if code != 200 || rep.Accepted != 4 || told(rep) != "line 4 cpu bad_value" {
		t.Errorf("%d %+v", code, rep)
	}
	if got := w.stored(t); !strings.Contains(got, `{__name__="requests_total", path="/a,b", service="cart"} 7@-20 8@-10 9@`) {
		t.Errorf("stored\n%s", got)
	}
}

func TestCSVHeadersThatSayTooLittleAreExplained(t *testing.T) {
	w := start(t, ingest.Limits{Bytes: 1000, Batch: 2})
	for body, want := range map[string]string{
		"name,value\na,1\n": "no time column", "time\n1\n": "no column with values", "time,name\n1,a\n": "both a name and a value",
		"time,{a=\"b\"}\n1,1\n": "no metric name", "time,x{a=b}\n1,1\n": "no quoted value", "time,x{a=\"b\"\n1,1\n": "no closing brace", "": "no time column", "time,\"a\n1,1\n": "not closed",
		strings.Repeat("x", 2000): "larger than",
	} {
		if code, rep := w.post(t, "/api/v1/import/metrics", "", body); code/100 != 4 || !strings.Contains(rep.Error, want) {
			t.Errorf("%q: %d %s, want %s", body, code, rep.Error, want)
		}
	}
	if code, rep := w.post(t, "/api/v1/import/metrics", "", "time,a\nx,1\n"); code != 400 || rep.Rejected != 1 {
		t.Errorf("nothing good: %d %+v", code, rep)
	}
	_, rep := w.post(t, "/api/v1/import/metrics", "", fmt.Sprintf("time,a,b\n%d,1,1\n%d,2,2\n", now.Unix()-1, now.Unix()))
	if rep.Accepted != 2 || rep.Rejected != 2 || told(rep) != "line 3 batch_too_large" {
		t.Errorf("over the batch: %+v", rep)
	}
}

func TestChanges(t *testing.T) {
	w := start(t, ingest.Limits{})
	code, rep := w.post(t, "/api/v1/changes", "", `{"kind":"deploy","entity":"cart","time":"2026-03-01T11:59:58Z","title":"cart 1.2.3","actor":"ann","link":"https://ci/1"}`)
	if code != 200 || rep.Accepted != 1 {
		t.Fatalf("%d %+v", code, rep)
	}
	if got, want := fmt.Sprintf("%+v", w.sink.changes[0]), fmt.Sprintf("%+v", telemetry.Change{Time: 1772366398000, Kind: "deploy",
		Entity: telemetry.Entity{Kind: "service", Name: "cart"}, Title: "cart 1.2.3", Actor: "ann", Link: "https://ci/1"}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	code, rep = w.post(t, "/api/v1/changes", "", `[{"kind":"flag","entity":"database/orders"},{"kind":"party","entity":"cart"},{"kind":"flag"},
		{"kind":"flag","entity":"wizard/merlin"},{"kind":"flag","entity":"cart","time":"soon"},{"kind":"flag","entity":"cart","link":"javascript:alert(1)"},
		{"kind":"flag","entity":"cart","when":1},{"kind":7,"entity":"cart"},"x",{"kind":"scale","entity":"cart","time":1772366398.25},{"kind":"flag","entity":"cart","time":"2199-01-01T00:00:00Z"}]`)
	want := "change 1 kind bad_kind; change 2 entity missing_field; change 3 entity bad_entity; change 4 time bad_timestamp; change 5 link bad_link; " +
		"change 6 when unknown_field; change 7 kind bad_type; change 8 bad_type; change 10 time too_far_in_future"
	if code != 200 || rep.Accepted != 2 || told(rep) != want {
		t.Errorf("%d\n got %s\nwant %s", code, told(rep), want)
	}
	if ch := w.sink.changes[1]; ch.Time != now.UnixMilli() || ch.Title != "flag of orders" || ch.Entity.Kind != telemetry.KindDatabase {
		t.Errorf("defaults: %+v", ch)
	}
	if ch := w.sink.changes[2]; ch.Time != 1772366398250 {
		t.Errorf("Unix time: %+v", ch)
	}
	for _, body := range []string{"", "{", "[", "7", "[]", `{"kind":"deploy"}`} {
		if code, rep := w.post(t, "/api/v1/changes", "", body); code != 400 || rep.Error == "" {
			t.Errorf("%q: %d %+v", body, code, rep)
		}
	}
}

func TestNothingIsAcknowledgedThatIsNotDurable(t *testing.T) {
	w := start(t, ingest.Limits{})
	w.sink.broken = errors.New("disk full")
	for path, body := range map[string]string{"/api/v1/import/logs": `{"msg":"x"}`, "/api/v1/changes": `{"kind":"deploy","entity":"cart"}`} {
		if code, rep := w.post(t, path, "", body); code != 503 || !strings.Contains(rep.Error, "disk full") || rep.Accepted != 0 {
			t.Errorf("%s: %d %+v", path, code, rep)
		}
	}
}

func FuzzLogs(f *testing.F) {
	f.Add([]byte("{\"msg\":\"x\"}\n{\n\n[1]\n{\"time\":1e99}"))
	fuzz(f, "/api/v1/import/logs")
}

func FuzzMetrics(f *testing.F) {
	f.Add([]byte("time,name,value,labels,x\n1772366398,a,1,k=v;l=w,y\n\"\n"))
	f.Add([]byte("time,\"a{b=\"\"c\"\"}\"\n1772366398,1\n"))
	fuzz(f, "/api/v1/import/metrics")
}

func FuzzChanges(f *testing.F) {
	f.Add([]byte(`[{"kind":"deploy","entity":"service/cart","time":"2026-03-01T11:59:58Z"},{"time":{}},null]`))
	fuzz(f, "/api/v1/changes")
}

func fuzz(f *testing.F, path string) {
	db, err := tsdb.Open(f.TempDir(), nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		f.Fatal(err)
	}
	defer db.Close()
	sink := &recorder{}
	h := New(Options{Sink: sink, Metrics: db})
	f.Fuzz(func(t *testing.T, body []byte) {
		sink.recs, sink.changes = nil, nil
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", path, bytes.NewReader(body)))
		var rep Report
		if err := json.Unmarshal(w.Body.Bytes(), &rep); err != nil || (w.Code != 200 && w.Code != 400) || (w.Code == 200) != (rep.Accepted > 0) {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	})
}
