package remotewrite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gogo/protobuf/proto"
	"github.com/golang/snappy"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/norn-aiops/norn/internal/ingest"
)

type world struct {
	db  *tsdb.DB
	reg *prometheus.Registry
	url string
}

func start(t *testing.T, metrics storage.AppendableV2, limits ingest.Limits) *world {
	t.Helper()
	db, err := tsdb.Open(t.TempDir(), nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{db: db, reg: prometheus.NewRegistry()}
	if metrics == nil {
		metrics = db
	}
	counters, err := ingest.NewCounters(w.reg)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(New(Options{Metrics: metrics, Limits: limits, Counters: counters}))
	w.url = srv.URL
	t.Cleanup(func() { srv.Close(); db.Close() })
	return w
}

const v2Type = "application/x-protobuf;proto=io.prometheus.write.v2.Request"

func (w *world) post(t *testing.T, contentType string, msg proto.Message) (*http.Response, string) {
	t.Helper()
	raw, err := proto.Marshal(msg)
	if err != nil {
		t.Fatal(err)
	}
	return w.raw(t, contentType, snappy.Encode(nil, raw))
}

func (w *world) raw(t *testing.T, contentType string, body []byte) (*http.Response, string) {
	t.Helper()
	req, _ := http.NewRequestWithContext(t.Context(), "POST", w.url, bytes.NewReader(body))
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Content-Encoding", "snappy")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp, string(b)
}

// stored counts the samples of each series.
func (w *world) stored(t *testing.T) map[string]int {
	t.Helper()
	q, err := w.db.Querier(0, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	out := map[string]int{}
	ss := q.Select(t.Context(), false, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+"))
	for ss.Next() {
		it := ss.At().Iterator(nil)
		for it.Next() != 0 {
			out[ss.At().Labels().Get("__name__")]++
		}
	}
	return out
}

func (w *world) counted(t *testing.T, want string) {
	t.Helper()
	head := "# HELP norn_ingest_rejected_total Items, requests and connections that were refused, cut or not understood, by protocol and reason.\n# TYPE norn_ingest_rejected_total counter\n"
	if err := testutil.GatherAndCompare(w.reg, strings.NewReader(head+want), "norn_ingest_rejected_total"); err != nil {
		t.Error(err)
	}
}

func v1(name string, extra []string, times ...time.Time) prompb.TimeSeries {
	ts := prompb.TimeSeries{}
	if name != "" {
		ts.Labels = append(ts.Labels, prompb.Label{Name: "__name__", Value: name})
	}
	for i := 0; i+1 < len(extra); i += 2 {
		ts.Labels = append(ts.Labels, prompb.Label{Name: extra[i], Value: extra[i+1]})
	}
	for _, at := range times {
		ts.Samples = append(ts.Samples, prompb.Sample{Timestamp: at.UnixMilli(), Value: 1})
	}
	return ts
}

// badV1 has two good samples and one of each kind of bad one.
func badV1(now time.Time) *prompb.WriteRequest {
	return &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{
		v1("good_one", nil, now),
		v1("", []string{"job", "nameless"}, now),
		v1("dup", []string{"a", "1", "a", "2"}, now),
		v1("future", nil, now.Add(time.Hour)),
		v1("long", []string{"l", strings.Repeat("x", 500)}, now),
		v1("many", []string{"a", "1", "b", "1", "c", "1", "d", "1", "e", "1"}, now),
		v1("seen", nil, now.Add(-30*time.Minute)),
		v1("good_two", nil, now),
	}}
}

func TestVersion1KeepsTheGoodPartOfABadRequest(t *testing.T) {
	w := start(t, nil, ingest.Limits{Labels: 5, LabelBytes: 400})
	now := time.Now()
	if resp, b := w.post(t, "application/x-protobuf", &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{v1("seen", nil, now)}}); resp.StatusCode != 204 {
		t.Fatalf("a good request: %s %s", resp.Status, b)
	}
	resp, text := w.post(t, "application/x-protobuf", badV1(now))
	if resp.StatusCode != 400 || !strings.Contains(text, "6 samples refused") {
		t.Errorf("status %s, text %q", resp.Status, text)
	}
	if got := w.stored(t); fmt.Sprint(got) != "map[good_one:1 good_two:1 seen:1]" {
		t.Errorf("stored %v", got)
	}
	w.counted(t, `norn_ingest_rejected_total{protocol="remote_write",reason="invalid_labels"} 2
norn_ingest_rejected_total{protocol="remote_write",reason="label_too_long"} 1
norn_ingest_rejected_total{protocol="remote_write",reason="out_of_order"} 1
norn_ingest_rejected_total{protocol="remote_write",reason="too_far_in_future"} 1
norn_ingest_rejected_total{protocol="remote_write",reason="too_many_labels"} 1
`)
}

func TestVersion2KeepsTheGoodPartAndTellsHowMuch(t *testing.T) {
	w := start(t, nil, ingest.Limits{Labels: 5, LabelBytes: 400})
	now := time.Now().UnixMilli()
	req := &writev2.Request{Symbols: []string{"", "__name__", "good", "future", "long", "l", strings.Repeat("x", 500), "native"}}
	add := func(at int64, refs ...uint32) {
		req.Timeseries = append(req.Timeseries, writev2.TimeSeries{LabelsRefs: refs, Samples: []writev2.Sample{{Timestamp: at, Value: 1}}})
	}
	add(now, 1, 2)
	add(now+3600_000, 1, 3)
	add(now, 1, 4, 5, 6)
	add(now, 1, 99) // a symbol that is not there
	h := &histogram.Histogram{Count: 2, Sum: 3, PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []int64{2}}
	req.Timeseries = append(req.Timeseries, writev2.TimeSeries{LabelsRefs: []uint32{1, 7}, Histograms: []writev2.Histogram{writev2.FromIntHistogram(0, now, h)}})
	resp, text := w.post(t, v2Type, req)
	if resp.StatusCode != 400 || resp.Header.Get(writtenSamples) != "1" || resp.Header.Get(writtenHistograms) != "1" {
		t.Errorf("status %s, headers %v, text %q", resp.Status, resp.Header, text)
	}
	if got := w.stored(t); fmt.Sprint(got) != "map[good:1 native:1]" {
		t.Errorf("stored %v", got)
	}
	req.Timeseries = req.Timeseries[:1]
	req.Timeseries[0].Samples[0].Timestamp++
	if resp, text = w.post(t, v2Type, req); resp.StatusCode != 204 || resp.Header.Get(writtenSamples) != "1" {
		t.Errorf("a good request: %s %s", resp.Status, text)
	}
}

type broken struct{}

func (b broken) AppenderV2(context.Context) storage.AppenderV2 { return b }
func (broken) Commit() error                                   { return errors.New("no space left on device") }
func (broken) Rollback() error                                 { return nil }
func (broken) Append(storage.SeriesRef, labels.Labels, int64, int64, float64, *histogram.Histogram, *histogram.FloatHistogram, storage.AOptions) (storage.SeriesRef, error) {
	return 1, nil
}

// hole takes everything and keeps nothing.
type hole struct{ broken }

func (h hole) AppenderV2(context.Context) storage.AppenderV2 { return h }
func (hole) Commit() error                                   { return nil }

func TestAFailedStoreIsAnsweredWithTryAgain(t *testing.T) {
	w := start(t, broken{}, ingest.Limits{})
	resp, text := w.post(t, "application/x-protobuf", &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{v1("a", nil, time.Now())}})
	if resp.StatusCode != 503 || !strings.Contains(text, "no space left") {
		t.Errorf("1.0: %s %s", resp.Status, text)
	}
	req := &writev2.Request{Symbols: []string{"", "__name__", "a"}, Timeseries: []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2}, Samples: []writev2.Sample{{Timestamp: time.Now().UnixMilli()}}}}}
	if resp, text = w.post(t, v2Type, req); resp.StatusCode != 503 {
		t.Errorf("2.0: %s %s", resp.Status, text)
	}
}

func TestWhatCannotBeReadIsRefusedWithAClientError(t *testing.T) {
	w := start(t, nil, ingest.Limits{Bytes: 1000})
	bomb := snappy.Encode(nil, make([]byte, 1<<20))
	lie := []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3} // claims 4 GiB
	for _, c := range []struct {
		name, contentType string
		body              []byte
		status            int
	}{
		{"no protobuf", "application/x-protobuf", snappy.Encode(nil, []byte("hello")), 400},
		{"no snappy", "application/x-protobuf", []byte("hello"), 400},
		{"empty", "application/x-protobuf", nil, 400},
		{"bomb", "application/x-protobuf", bomb, 413},
		{"length that lies", "application/x-protobuf", lie, 413},
		{"large", "application/x-protobuf", make([]byte, 2000), 413},
		{"JSON", "application/json", []byte("{}"), 415},
		{"unknown message", "application/x-protobuf;proto=x.Y", []byte("{}"), 415},
		{"no protobuf 2.0", v2Type, snappy.Encode(nil, []byte("hello")), 400},
	} {
		if resp, text := w.raw(t, c.contentType, c.body); resp.StatusCode != c.status {
			t.Errorf("%s: %s %s, want %d", c.name, resp.Status, text, c.status)
		}
	}
}

func FuzzRemoteWrite(f *testing.F) {
	for _, m := range []proto.Message{badV1(time.Now()), &writev2.Request{Symbols: []string{"", "__name__", "a"}, Timeseries: []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2}}}}} {
		raw, _ := proto.Marshal(m)
		f.Add(raw, false)
		f.Add(raw, true)
	}
	h := New(Options{Metrics: hole{}}) // a real store would take most of the time
	f.Fuzz(func(t *testing.T, raw []byte, two bool) {
		for _, body := range [][]byte{raw, snappy.Encode(nil, raw)} {
			r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
			r.Header.Set("Content-Type", "application/x-protobuf")
			if two {
				r.Header.Set("Content-Type", v2Type)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code >= 500 {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
		}
	})
}
