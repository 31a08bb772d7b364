package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/norn-aiops/norn/internal/telemetry"
)

func TestCountersAreSharedByReceiversOnOneRegistry(t *testing.T) {
	reg := prometheus.NewRegistry()
	a, err := NewCounters(reg)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewCounters(reg)
	if err != nil {
		t.Fatal(err)
	}
	a.Result("otlp", Result{Accepted: 3, Duplicates: 1, Rejected: []Rejected{{Reason: "too_old"}}})
	b.Reject("otlp", "too_old", 2)
	want := `
# HELP norn_ingest_items_total Items (samples, data points, records, spans, alerts, changes) that arrived, by protocol and what became of them.
# TYPE norn_ingest_items_total counter
norn_ingest_items_total{outcome="accepted",protocol="otlp"} 3
norn_ingest_items_total{outcome="duplicate",protocol="otlp"} 1
norn_ingest_items_total{outcome="rejected",protocol="otlp"} 3
# HELP norn_ingest_rejected_total Items, requests and connections that were refused, cut or not understood, by protocol and reason.
# TYPE norn_ingest_rejected_total counter
norn_ingest_rejected_total{protocol="otlp",reason="too_old"} 3
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	var none *Counters
	none.Result("otlp", Result{Accepted: 1}) // must not panic
}

// A batch with every kind of bad sample keeps its good ones in a real TSDB.
func TestGuardKeepsGoodSamplesBesideBadOnes(t *testing.T) {
	db, err := tsdb.Open(t.TempDir(), nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Now()
	g := NewGuard(db, Limits{Labels: 4, LabelBytes: 100}, now)
	g.Lenient = true
	app := g.AppenderV2(t.Context())
	ms := now.UnixMilli()
	add := func(ls labels.Labels, at int64, v float64) {
		t.Helper()
		if _, err := app.Append(0, ls, 0, at, v, nil, nil, storage.AOptions{}); err != nil {
			t.Fatalf("a lenient guard must not fail on %s: %v", ls, err)
		}
	}
	good := labels.FromStrings("__name__", "good_total", "job", "a")
	add(good, ms-2000, 1)
	add(good, ms-1000, 2)
	// What is out of order inside one transaction the TSDB drops at Commit,
	// silently; against what is stored it says so.
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	app = g.AppenderV2(t.Context())
	add(good, ms-5000, 3)                                        // out of order
	add(good, ms-1000, 2.5)                                      // same time, other value
	add(good, now.Add(time.Hour).UnixMilli(), 9)                 // future
	add(labels.FromStrings("job", "nameless"), ms, 1)            // no name
	add(labels.FromStrings("__name__", "x", "b", "\xff"), ms, 1) // not UTF-8
	add(labels.FromStrings("__name__", "y", "b", strings.Repeat("z", 200)), ms, 1)
	add(labels.FromStrings("__name__", "y", "a", "1", "b", "1", "c", "1", "d", "1"), ms, 1)
	add(good, ms, 4)
	for _, le := range []string{"1", "2", "+Inf"} { // one bad histogram point, three series
		add(labels.FromStrings("__name__", "h_bucket", "le", le), now.Add(time.Hour).UnixMilli(), 1)
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	if g.Fatal != nil {
		t.Fatal(g.Fatal)
	}
	want := map[string]int{"out_of_order": 1, "duplicate_timestamp": 1, "too_far_in_future": 2, "invalid_labels": 2, "label_too_long": 1, "too_many_labels": 1}
	if fmt.Sprint(g.Rejected) != fmt.Sprint(want) {
		t.Errorf("rejected %v, want %v", g.Rejected, want)
	}
	q, err := db.Querier(0, ms+1)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	ss := q.Select(t.Context(), false, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+"))
	series := 0
	for ss.Next() {
		series++
		var got []float64
		it := ss.At().Iterator(nil)
		for it.Next() != 0 {
			_, v := it.At()
			got = append(got, v)
		}
		if fmt.Sprint(got) != "[1 2 4]" {
			t.Errorf("stored %v of %s, want [1 2 4]", got, ss.At().Labels())
		}
	}
	if series != 1 {
		t.Errorf("%d series stored, want the good one only", series)
	}
}

type brokenStore struct{ err error }

func (b brokenStore) AppenderV2(context.Context) storage.AppenderV2 { return b }
func (b brokenStore) Commit() error                                 { return b.err }
func (b brokenStore) Rollback() error                               { return nil }
func (b brokenStore) Append(storage.SeriesRef, labels.Labels, int64, int64, float64, *histogram.Histogram, *histogram.FloatHistogram, storage.AOptions) (storage.SeriesRef, error) {
	return 1, nil
}

func TestGuardTellsAFailedStoreFromABadSample(t *testing.T) {
	g := NewGuard(brokenStore{errors.New("disk full")}, Limits{}, time.Now())
	app := g.AppenderV2(t.Context())
	if _, err := app.Append(0, labels.FromStrings("__name__", "a"), 0, 1, 1, nil, nil, storage.AOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := app.Commit(); err == nil || g.Fatal == nil || g.Total() != 0 {
		t.Errorf("commit error %v, fatal %v, rejected %v", err, g.Fatal, g.Rejected)
	}
	if reason, ok := SampleReason(fmt.Errorf("append: %w", &Refusal{"series_limit", "too many series"})); !ok || reason != "series_limit" {
		t.Errorf("a refusal by the store gave %q %v", reason, ok)
	}
}

func TestReadBodyRefusesBombsAndTruncation(t *testing.T) {
	zeros := make([]byte, 1<<20)
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	w.Write(zeros)
	w.Close()
	enc, _ := zstd.NewWriter(nil)
	zs := enc.EncodeAll(zeros, nil)
	for _, c := range []struct {
		name, encoding string
		body           []byte
		limit          int64
		reason         string
		status         int
	}{
		{"plain", "", zeros, 1 << 20, "", 0},
		{"plain too large", "", zeros, 1<<20 - 1, "too_large", 413},
		{"gzip", "gzip", gz.Bytes(), 1 << 20, "", 0},
		{"gzip bomb", "gzip", gz.Bytes(), 1 << 19, "too_large", 413},
		{"gzip cut", "gzip", gz.Bytes()[:gz.Len()/2], 1 << 20, "truncated_body", 400},
		{"not gzip", "gzip", []byte("hello, this is text"), 1 << 20, "bad_compression", 400},
		{"empty gzip", "gzip", nil, 1 << 20, "truncated_body", 400},
		{"zstd", "zstd", zs, 1 << 20, "", 0},
		{"zstd bomb", "zstd", zs, 1 << 10, "too_large", 413},
		{"not zstd", "zstd", []byte("hello, this is text"), 1 << 20, "bad_compression", 400},
		{"unknown", "br", zeros, 1 << 20, "unsupported_encoding", 415},
	} {
		r := httptest.NewRequest("POST", "/", bytes.NewReader(c.body))
		r.Header.Set("Content-Encoding", c.encoding)
		got, err := ReadBody(r, c.limit)
		var re *RequestError
		errors.As(err, &re)
		switch {
		case c.reason == "" && (err != nil || len(got) != len(zeros)):
			t.Errorf("%s: %d bytes, %v", c.name, len(got), err)
		case c.reason != "" && (re == nil || re.Reason != c.reason || re.Status != c.status):
			t.Errorf("%s: got %+v, want %s %d", c.name, err, c.reason, c.status)
		}
	}
}

func TestJSONLogsUnderstandWhatShippersSend(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var j JSONLogs
	for _, c := range []struct {
		name, doc string
		want      telemetry.LogRecord
	}{
		{"ECS nested", `{"@timestamp":"2026-03-01T11:59:58.5Z","log":{"level":"ERROR"},"message":"boom","service":{"name":"cart"},"host":{"name":"n1"},"trace":{"id":"0AF7651916CD43DD8448EB211C80319C"},"n":[1,"a"]}`,
			telemetry.LogRecord{Time: 1772366398500000000, Severity: 17, SeverityText: "ERROR", Body: "boom", TraceID: "0af7651916cd43dd8448eb211c80319c",
				Resource: []telemetry.Attr{{Key: "host.name", Value: "n1"}, {Key: "service.name", Value: "cart"}}, Attributes: []telemetry.Attr{{Key: "n", Value: `[1,"a"]`}}}},
		{"ECS dotted", `{"@timestamp":1772366398500,"log.level":"warn","message":"slow","service.name":"cart","url.path":"/x"}`,
			telemetry.LogRecord{Time: 1772366398500000000, Severity: 13, SeverityText: "warn", Body: "slow",
				Resource: []telemetry.Attr{{Key: "service.name", Value: "cart"}}, Attributes: []telemetry.Attr{{Key: "url.path", Value: "/x"}}}},
		{"zap", `{"ts":1772366398.5,"level":"info","msg":"up","ok":true}`,
			telemetry.LogRecord{Time: 1772366398500000000, Severity: 9, SeverityText: "info", Body: "up", Attributes: []telemetry.Attr{{Key: "ok", Value: "true"}}}},
		{"rsyslog", `{"@timestamp":"2026-03-01T12:59:58.5+01:00","host":"n1","severity":"crit","program":"sshd","message":" no"}`,
			telemetry.LogRecord{Time: 1772366398500000000, Severity: 18, SeverityText: "crit", Body: " no",
				Resource: []telemetry.Attr{{Key: "host.name", Value: "n1"}, {Key: "syslog.appname", Value: "sshd"}}}},
		{"no time, key twice", `{"message":"x","a":"1","a":"2"}`,
			telemetry.LogRecord{Time: now.UnixNano(), Body: "x", Attributes: []telemetry.Attr{{Key: "a", Value: "2"}}}},
	} {
		got, ref := j.Parse([]byte(c.doc), now)
		c.want.Observed = now.UnixNano()
		if ref != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", c.want) {
			t.Errorf("%s:\n got %+v (%v)\nwant %+v", c.name, got, ref, c.want)
		}
	}
	for doc, reason := range map[string]string{`{"a":`: "bad_json", `[1]`: "bad_json", `"x"`: "bad_json", `{}`: "empty", `{"time":"yesterday"}`: "bad_timestamp", `{"time":{"a":1}}`: ""} {
		_, ref := j.Parse([]byte(doc), now)
		if got := fmt.Sprint(reasonOf(ref)); got != reason {
			t.Errorf("%s gave %q, want %q", doc, got, reason)
		}
	}
}

func reasonOf(r *Refusal) string {
	if r == nil {
		return ""
	}
	return r.Code
}

func TestServerClosesConnectionsBeyondItsLimitAndEndsCleanly(t *testing.T) {
	reg := prometheus.NewRegistry()
	counters, err := NewCounters(reg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Listen(ServerOptions{Addr: "127.0.0.1:0", Protocol: "test", Limits: Limits{Connections: 1}, Counters: counters,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	one, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(one, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	buf := make([]byte, 12)
	if _, err := io.ReadFull(one, buf); err != nil || string(buf) != "HTTP/1.1 200" {
		t.Fatalf("first connection got %q, %v", buf, err)
	}
	two, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := two.Read(buf); n != 0 || err == nil {
		t.Fatalf("a connection beyond the limit got %d bytes", n)
	}
	if got := testutil.ToFloat64(counters.rejected.WithLabelValues("test", "too_many_connections")); got != 1 {
		t.Errorf("%v refused connections counted", got)
	}
	one.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A body that never comes ends with its timeout; a response that streams for
// longer than that goes on.
func TestSlowBodiesEndAndSlowResponsesDoNot(t *testing.T) {
	const timeout = 100 * time.Millisecond
	s, err := Listen(ServerOptions{Addr: "127.0.0.1:0", Protocol: "test", Timeout: timeout,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := ReadBody(r, 1000); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			select {
			case <-r.Context().Done():
				http.Error(w, "cut off", http.StatusInternalServerError)
			case <-time.After(3 * timeout):
				fmt.Fprint(w, "done")
			}
		})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for _, c := range []struct{ request, status string }{
		{"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200"},
		{"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200"},
		{"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 500\r\n\r\nhello", "HTTP/1.1 400"},
	} {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, c.request)
		got, _ := io.ReadAll(conn)
		conn.Close()
		if !strings.HasPrefix(string(got), c.status) {
			t.Errorf("%q was answered with %q, want %s", c.request, got, c.status)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func FuzzJSONLogs(f *testing.F) {
	f.Add([]byte(`{"@timestamp":"2026-03-01T11:59:58.5Z","log":{"level":"ERROR"},"message":"boom","a":{"b":[1,2,{"c":null}]}}`))
	f.Add([]byte(`{"ts":1e300,"msg":"\ud800"}`))
	f.Add([]byte("{\"\xff\":\"\xff\"}"))
	now := time.Unix(1772366398, 0)
	f.Fuzz(func(t *testing.T, doc []byte) {
		var j JSONLogs
		rec, ref := j.Parse(doc, now)
		if ref != nil {
			return
		}
		for _, attrs := range [][]telemetry.Attr{rec.Resource, rec.Attributes} {
			for i := range attrs {
				if attrs[i].Key != Clean(attrs[i].Key) || attrs[i].Value != Clean(attrs[i].Value) {
					t.Errorf("attribute %q is not UTF-8", attrs[i])
				}
				if i > 0 && attrs[i-1].Key >= attrs[i].Key {
					t.Errorf("attributes are not sorted and unique: %q", attrs)
				}
			}
		}
	})
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2026-03-01T11:59:58.5Z", "1772366398", "1772366398.25", "1772366398500000000", "9e99", "2026-03-01", "", "10000000000000", "1969-12-31T23:59:59Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := ParseTime(s); err == nil && (got.UnixNano() < 0 || got.Year() < 1970 || got.Year() > 2262) {
			t.Errorf("%q gave %v", s, got)
		}
	})
}

func FuzzReadBody(f *testing.F) {
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	w.Write([]byte("hello"))
	w.Close()
	f.Add("gzip", gz.Bytes())
	enc, _ := zstd.NewWriter(nil)
	f.Add("zstd", enc.EncodeAll([]byte("hello"), nil))
	f.Add("deflate", []byte("x\x9c"))
	f.Fuzz(func(t *testing.T, encoding string, body []byte) {
		r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
		r.Header.Set("Content-Encoding", encoding)
		got, err := ReadBody(r, 1<<16)
		var re *RequestError
		if err != nil && !errors.As(err, &re) || len(got) > 1<<16 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}
