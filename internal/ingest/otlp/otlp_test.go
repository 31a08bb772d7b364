package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/normalize"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// recorder is a sink that remembers; it refuses bodies and span names that
// begin with "bad" and fails while broken is set.
type recorder struct {
	mu     sync.Mutex
	logs   []telemetry.LogRecord
	spans  []telemetry.Span
	broken error
}

func (r *recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = err
}

func (r *recorder) Logs(_ context.Context, recs []telemetry.LogRecord) (res ingest.Result, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return res, r.broken
	}
	for i, rec := range recs {
		if strings.HasPrefix(rec.Body, "bad") {
			res.Rejected = append(res.Rejected, ingest.Rejected{Index: i, Reason: "too_old", Detail: "record is too old"})
			continue
		}
		r.logs = append(r.logs, rec)
		res.Accepted++
	}
	return res, nil
}

func (r *recorder) Spans(_ context.Context, spans []telemetry.Span) (res ingest.Result, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return res, r.broken
	}
	r.spans = append(r.spans, spans...)
	return ingest.Result{Accepted: len(spans)}, nil
}

func (r *recorder) Alerts(context.Context, []telemetry.Alert) (ingest.Result, error) {
	return ingest.Result{}, errors.New("not expected here")
}

func (r *recorder) Changes(context.Context, []telemetry.Change) (ingest.Result, error) {
	return ingest.Result{}, errors.New("not expected here")
}

type world struct {
	*Receiver
	sink *recorder
	db   *tsdb.DB
	reg  *prometheus.Registry
	conn *grpc.ClientConn
}

func start(t testing.TB, change func(*Options)) *world {
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
	o := Options{GRPCAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", Sink: w.sink, Metrics: db, Counters: counters}
	if change != nil {
		change(&o)
	}
	if w.Receiver, err = New(o); err != nil {
		t.Fatal(err)
	}
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.conn, err = grpc.NewClient(w.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		w.conn.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the receiver did not end cleanly: %v", err)
		}
		db.Close()
	})
	return w
}

// stored reads everything back: series name with the labels that matter, and
// its values.
func (w *world) stored(t testing.TB) map[string]string {
	t.Helper()
	q, err := w.db.Querier(0, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	out := map[string]string{}
	ss := q.Select(t.Context(), true, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+"))
	for ss.Next() {
		ls := ss.At().Labels()
		key := ls.Get("__name__")
		for _, extra := range []string{"le", "quantile", "code"} {
			if v := ls.Get(extra); v != "" {
				key += "|" + v
			}
		}
		var vals []string
		it := ss.At().Iterator(nil)
		for vt := it.Next(); vt != chunkenc.ValNone; vt = it.Next() {
			if vt == chunkenc.ValFloat {
				_, v := it.At()
				vals = append(vals, fmt.Sprint(v))
			} else {
				_, h := it.AtFloatHistogram(nil)
				vals = append(vals, fmt.Sprintf("native(%g,%g)", h.Count, h.Sum))
			}
		}
		out[key] = strings.Join(vals, " ")
	}
	if err := ss.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func newMetrics(service string) (pmetric.Metrics, pmetric.MetricSlice) {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", service)
	rm.Resource().Attributes().PutStr("k8s.pod.name", service+"-6f7d-x")
	return md, rm.ScopeMetrics().AppendEmpty().Metrics()
}

// allTypes has one metric of each type at time at.
func allTypes(at time.Time) pmetric.Metrics {
	md, ms := newMetrics("cart")
	ts := pcommon.NewTimestampFromTime(at)
	begin := pcommon.NewTimestampFromTime(at.Add(-time.Minute))
	m := ms.AppendEmpty()
	m.SetName("queue.length")
	m.SetEmptyGauge().DataPoints().AppendEmpty().SetIntValue(7)
	m = ms.AppendEmpty()
	m.SetName("requests")
	sum := m.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	sum.DataPoints().AppendEmpty().SetDoubleValue(12)
	m = ms.AppendEmpty()
	m.SetName("delta.requests")
	sum = m.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	sum.DataPoints().AppendEmpty().SetIntValue(5)
	m = ms.AppendEmpty()
	m.SetName("latency")
	m.SetUnit("s")
	hist := m.SetEmptyHistogram()
	hist.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	h := hist.DataPoints().AppendEmpty()
	h.ExplicitBounds().FromRaw([]float64{0.1, 1})
	h.BucketCounts().FromRaw([]uint64{3, 2, 1})
	h.SetCount(6)
	h.SetSum(2.5)
	m = ms.AppendEmpty()
	m.SetName("size")
	eh := m.SetEmptyExponentialHistogram()
	eh.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	e := eh.DataPoints().AppendEmpty()
	e.SetScale(2)
	e.SetCount(4)
	e.SetSum(9)
	e.Positive().BucketCounts().FromRaw([]uint64{1, 3})
	m = ms.AppendEmpty()
	m.SetName("old.style")
	s := m.SetEmptySummary().DataPoints().AppendEmpty()
	s.SetCount(3)
	s.SetSum(6)
	q := s.QuantileValues().AppendEmpty()
	q.SetQuantile(0.95)
	q.SetValue(4)
	eachMetric(md, func(m pmetric.Metric, _ func(pmetric.Metric) pmetric.Metrics) { stamp(m, begin, ts) })
	return md
}

func stamp(m pmetric.Metric, begin, ts pcommon.Timestamp) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		m.Gauge().DataPoints().At(0).SetTimestamp(ts)
	case pmetric.MetricTypeSum:
		m.Sum().DataPoints().At(0).SetTimestamp(ts)
		m.Sum().DataPoints().At(0).SetStartTimestamp(begin)
	case pmetric.MetricTypeHistogram:
		m.Histogram().DataPoints().At(0).SetTimestamp(ts)
		m.Histogram().DataPoints().At(0).SetStartTimestamp(begin)
	case pmetric.MetricTypeExponentialHistogram:
		m.ExponentialHistogram().DataPoints().At(0).SetTimestamp(ts)
		m.ExponentialHistogram().DataPoints().At(0).SetStartTimestamp(begin)
	case pmetric.MetricTypeSummary:
		m.Summary().DataPoints().At(0).SetTimestamp(ts)
	}
}

// toCumulative stands for normalize's Cumulator: one point a series is its own
// sum.
func toCumulative(md pmetric.Metrics) {
	eachMetric(md, func(m pmetric.Metric, _ func(pmetric.Metric) pmetric.Metrics) {
		if m.Type() == pmetric.MetricTypeSum {
			m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		}
	})
}

func wantAllTypes(t *testing.T, got map[string]string) {
	t.Helper()
	for key, want := range map[string]string{
		"queue_length": "7", "requests_total": "12", "delta_requests_total": "5",
		"latency_seconds_bucket|0.1": "3", "latency_seconds_bucket|1": "5", "latency_seconds_bucket|+Inf": "6",
		"latency_seconds_count": "6", "latency_seconds_sum": "2.5",
		"size": "native(4,9)", "old_style|0.95": "4", "old_style_count": "3", "old_style_sum": "6",
	} {
		if got[key] != want {
			t.Errorf("%s holds %q, want %q (of %v)", key, got[key], want, got)
		}
	}
}

func TestEveryMetricTypeArrivesOverGRPC(t *testing.T) {
	w := start(t, func(o *Options) { o.Cumulate = toCumulative })
	for _, comp := range []string{"", "gzip", "zstd"} {
		if comp != "" && encoding.GetCompressor(comp) == nil {
			t.Fatalf("gRPC compressor %q is not registered", comp)
		}
		var opts []grpc.CallOption
		if comp != "" {
			opts = append(opts, grpc.UseCompressor(comp))
		}
		resp, err := pmetricotlp.NewGRPCClient(w.conn).Export(t.Context(), pmetricotlp.NewExportRequestFromMetrics(allTypes(time.UnixMilli(time.Now().UnixMilli()))), opts...)
		if err != nil {
			t.Fatalf("compression %q: %v", comp, err)
		}
		if n := resp.PartialSuccess().RejectedDataPoints(); n != 0 {
			t.Errorf("compression %q: %d points refused: %s", comp, n, resp.PartialSuccess().ErrorMessage())
		}
		if comp == "" {
			wantAllTypes(t, w.stored(t))
		}
	}
	q, _ := w.db.Querier(0, math.MaxInt64)
	defer q.Close()
	ss := q.Select(t.Context(), false, nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", "queue_length"))
	if !ss.Next() {
		t.Fatal("queue_length is missing")
	}
	ls := ss.At().Labels()
	if ls.Get("service_name") != "cart" || ls.Get("k8s_pod_name") != "cart-6f7d-x" || ls.Get("job") != "cart" {
		t.Errorf("resource attributes are not labels: %s", ls)
	}
}

func post(t testing.TB, url, contentType, enc string, body []byte) (int, []byte) {
	t.Helper()
	switch enc {
	case "gzip":
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(body)
		z.Close()
		body = b.Bytes()
	case "zstd":
		z, _ := zstd.NewWriter(nil)
		body = z.EncodeAll(body, nil)
	}
	req, _ := http.NewRequestWithContext(t.Context(), "POST", url, bytes.NewReader(body))
	req.Header.Set("Content-Type", contentType)
	if enc != "" {
		req.Header.Set("Content-Encoding", enc)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b
}

func TestEveryMetricTypeArrivesOverHTTP(t *testing.T) {
	for _, c := range []struct{ contentType, enc string }{
		{"application/x-protobuf", ""}, {"application/x-protobuf", "gzip"}, {"application/x-protobuf", "zstd"},
		{"application/json", ""}, {"application/json", "gzip"}, {"application/json", "zstd"},
	} {
		t.Run(c.contentType+" "+c.enc, func(t *testing.T) {
			w := start(t, func(o *Options) { o.Cumulate = toCumulative })
			req := pmetricotlp.NewExportRequestFromMetrics(allTypes(time.Now()))
			body, err := req.MarshalProto()
			if c.contentType == "application/json" {
				body, err = req.MarshalJSON()
			}
			if err != nil {
				t.Fatal(err)
			}
			if code, resp := post(t, "http://"+w.HTTPAddr()+"/v1/metrics", c.contentType, c.enc, body); code != 200 {
				t.Fatalf("status %d: %s", code, resp)
			}
			wantAllTypes(t, w.stored(t))
		})
	}
}

// badNeighbours has four good points and one of each kind of bad one.
func badNeighbours(now time.Time) (md pmetric.Metrics, good, bad int) {
	md, ms := newMetrics("cart")
	ts := pcommon.NewTimestampFromTime(now)
	gauge := func(name string, at pcommon.Timestamp) pmetric.NumberDataPoint {
		m := ms.AppendEmpty()
		m.SetName(name)
		dp := m.SetEmptyGauge().DataPoints().AppendEmpty()
		dp.SetTimestamp(at)
		dp.SetDoubleValue(1)
		return dp
	}
	gauge("good.one", ts)
	gauge("", ts)
	gauge("future", pcommon.NewTimestampFromTime(now.Add(time.Hour)))
	gauge("many.labels", ts)
	for i := range 40 {
		ms.At(ms.Len()-1).Gauge().DataPoints().At(0).Attributes().PutStr(fmt.Sprint("l", i), "x")
	}
	gauge("long.label", ts).Attributes().PutStr("l", strings.Repeat("x", 2000))
	gauge("bytes", ts).Attributes().PutStr("code", "a\xffb") // repaired, kept
	m := ms.AppendEmpty()
	m.SetName("no.temporality")
	m.SetEmptySum().DataPoints().AppendEmpty().SetTimestamp(ts)
	m = ms.AppendEmpty()
	m.SetName("scale")
	eh := m.SetEmptyExponentialHistogram()
	eh.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	for i, scale := range []int32{-20, 3} { // the first cannot be translated
		dp := eh.DataPoints().AppendEmpty()
		dp.SetScale(scale)
		dp.SetTimestamp(ts)
		dp.SetCount(1)
		dp.Positive().BucketCounts().FromRaw([]uint64{1})
		dp.Attributes().PutStr("code", fmt.Sprint(i))
	}
	gauge("good.two", ts)
	return md, 4, 6
}

func TestPartlyBadMetricsKeepTheirGoodPart(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits = ingest.Limits{Labels: 30, LabelBytes: 1000} })
	md, good, bad := badNeighbours(time.Now())
	resp, err := pmetricotlp.NewGRPCClient(w.conn).Export(t.Context(), pmetricotlp.NewExportRequestFromMetrics(md))
	if err != nil {
		t.Fatal(err)
	}
	if n := resp.PartialSuccess().RejectedDataPoints(); n != int64(bad) || resp.PartialSuccess().ErrorMessage() == "" {
		t.Errorf("%d points refused with %q, want %d with a reason", n, resp.PartialSuccess().ErrorMessage(), bad)
	}
	got := w.stored(t)
	for _, key := range []string{"good_one", "good_two", "bytes|a\uFFFDb", "scale|1"} {
		if _, ok := got[key]; !ok {
			t.Errorf("good point %s was lost; stored: %v", key, got)
		}
	}
	want := fmt.Sprintf(`
# HELP norn_ingest_items_total Items (samples, data points, records, spans, alerts, changes) that arrived, by protocol and what became of them.
# TYPE norn_ingest_items_total counter
norn_ingest_items_total{outcome="accepted",protocol="otlp"} %d
norn_ingest_items_total{outcome="rejected",protocol="otlp"} %d
# HELP norn_ingest_rejected_total Items, requests and connections that were refused, cut or not understood, by protocol and reason.
# TYPE norn_ingest_rejected_total counter
norn_ingest_rejected_total{protocol="otlp",reason="invalid_name"} 1
norn_ingest_rejected_total{protocol="otlp",reason="label_too_long"} 1
norn_ingest_rejected_total{protocol="otlp",reason="too_far_in_future"} 1
norn_ingest_rejected_total{protocol="otlp",reason="too_many_labels"} 1
norn_ingest_rejected_total{protocol="otlp",reason="unspecified_temporality"} 1
norn_ingest_rejected_total{protocol="otlp",reason="untranslatable"} 1
`, good, bad)
	if err := testutil.GatherAndCompare(w.reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestPartialSuccessOverHTTPInBothEncodings(t *testing.T) {
	w := start(t, nil)
	logs := func() plogotlp.ExportRequest {
		ld := plog.NewLogs()
		sl := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty()
		for _, body := range []string{"fine", "bad one", "also fine"} {
			sl.LogRecords().AppendEmpty().Body().SetStr(body)
		}
		return plogotlp.NewExportRequestFromLogs(ld)
	}
	body, _ := logs().MarshalProto()
	code, b := post(t, "http://"+w.HTTPAddr()+"/v1/logs", "application/x-protobuf", "", body)
	resp := plogotlp.NewExportResponse()
	if err := resp.UnmarshalProto(b); err != nil || code != 200 || resp.PartialSuccess().RejectedLogRecords() != 1 {
		t.Errorf("protobuf: status %d, %v, %d refused", code, err, resp.PartialSuccess().RejectedLogRecords())
	}
	body, _ = logs().MarshalJSON()
	code, b = post(t, "http://"+w.HTTPAddr()+"/v1/logs", "application/json", "", body)
	if !strings.Contains(string(b), `"rejectedLogRecords":"1"`) || !strings.Contains(string(b), "too old") || code != 200 {
		t.Errorf("JSON: status %d, %s", code, b)
	}
	ld := plog.NewLogs()
	ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetStr("bad alone")
	body, _ = plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	if code, b = post(t, "http://"+w.HTTPAddr()+"/v1/logs", "application/x-protobuf", "", body); code != 400 {
		t.Errorf("a batch without any good record: status %d, %s; want 400", code, b)
	}
	if len(w.sink.logs) != 4 {
		t.Errorf("%d records kept, want 4", len(w.sink.logs))
	}
}

type brokenAppendable struct{ storage.Appendable }

func (brokenAppendable) AppenderV2(context.Context) storage.AppenderV2 { return brokenAppender{} }

type brokenAppender struct{ nowhere }

func (brokenAppender) Commit() error   { return errors.New("no space left on device") }
func (brokenAppender) Rollback() error { return nil }

func TestNothingIsAcknowledgedThatIsNotDurable(t *testing.T) {
	w := start(t, func(o *Options) { o.Metrics = brokenAppendable{} })
	w.sink.fail(errors.New("disk full"))
	ld := plog.NewLogs()
	ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetStr("x")
	_, err := plogotlp.NewGRPCClient(w.conn).Export(t.Context(), plogotlp.NewExportRequestFromLogs(ld))
	if status.Code(err) != codes.Unavailable {
		t.Errorf("logs: %v, want Unavailable", err)
	}
	_, err = pmetricotlp.NewGRPCClient(w.conn).Export(t.Context(), pmetricotlp.NewExportRequestFromMetrics(allTypes(time.Now())))
	if status.Code(err) != codes.Unavailable {
		t.Errorf("metrics: %v, want Unavailable", err)
	}
	body, _ := ptraceotlp.NewExportRequestFromTraces(oneSpan()).MarshalJSON()
	if code, b := post(t, "http://"+w.HTTPAddr()+"/v1/traces", "application/json", "", body); code != 503 {
		t.Errorf("traces over HTTP: status %d %s, want 503", code, b)
	}
	w.sink.fail(nil)
	if code, b := post(t, "http://"+w.HTTPAddr()+"/v1/traces", "application/json", "", body); code != 200 {
		t.Errorf("after repair: status %d %s", code, b)
	}
}

// flaky fails the first commits of a real store.
type flaky struct {
	storage.AppendableV2
	fails int
}

func (f *flaky) AppenderV2(ctx context.Context) storage.AppenderV2 {
	return &flakyAppender{f.AppendableV2.AppenderV2(ctx), f}
}

type flakyAppender struct {
	storage.AppenderV2
	f *flaky
}

func (a *flakyAppender) Commit() error {
	if a.f.fails > 0 {
		a.f.fails--
		return errors.Join(errors.New("no space left on device"), a.Rollback())
	}
	return a.AppenderV2.Commit()
}

// A delta that is sent again because the store failed is neither lost nor added
// twice, and is acknowledged only when it is stored.
func TestDeltasSurviveAFailedStoreAndCountOnce(t *testing.T) {
	var w *world
	cumulator := normalize.NewCumulator(0)
	w = start(t, func(o *Options) {
		o.Cumulate = cumulator.Apply
		o.Metrics = &flaky{o.Metrics, 2}
	})
	at := time.Now().Add(-time.Minute)
	batch := func(at time.Time) pmetricotlp.ExportRequest {
		md, ms := newMetrics("cart")
		m := ms.AppendEmpty()
		m.SetName("d")
		sum := m.SetEmptySum()
		sum.SetIsMonotonic(true)
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		dp := sum.DataPoints().AppendEmpty()
		dp.SetIntValue(5)
		dp.SetStartTimestamp(pcommon.NewTimestampFromTime(at.Add(-10 * time.Second)))
		dp.SetTimestamp(pcommon.NewTimestampFromTime(at))
		return pmetricotlp.NewExportRequestFromMetrics(md)
	}
	client := pmetricotlp.NewGRPCClient(w.conn)
	for try, want := range []codes.Code{codes.Unavailable, codes.Unavailable, codes.OK, codes.OK} {
		if _, err := client.Export(t.Context(), batch(at)); status.Code(err) != want {
			t.Fatalf("try %d: %v, want %v", try, err, want)
		}
	}
	if got := w.stored(t)["d_total"]; got != "5" {
		t.Errorf("acknowledged and stored is %q, want 5", got)
	}
	if _, err := client.Export(t.Context(), batch(at.Add(10*time.Second))); err != nil {
		t.Fatal(err)
	}
	if got := w.stored(t)["d_total"]; got != "5 10" {
		t.Errorf("stored %q, want 5 10", got)
	}
}

func oneSpan() ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "cart")
	sp := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	sp.SetTraceID([16]byte{1, 2})
	sp.SetSpanID([8]byte{3})
	sp.SetName("GET /")
	sp.SetStartTimestamp(1000)
	sp.SetEndTimestamp(2000)
	return td
}

func TestSpansWithoutIdentityAreRefusedAlone(t *testing.T) {
	w := start(t, nil)
	td := oneSpan()
	bad := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().AppendEmpty()
	bad.SetName("no ids")
	resp, err := ptraceotlp.NewGRPCClient(w.conn).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(td))
	if err != nil || resp.PartialSuccess().RejectedSpans() != 1 || len(w.sink.spans) != 1 {
		t.Errorf("%v, %d refused, %d kept", err, resp.PartialSuccess().RejectedSpans(), len(w.sink.spans))
	}
}

func TestLimitsAreAnsweredInTheProtocolsWords(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits = ingest.Limits{Bytes: 1 << 20, Batch: 10} })
	ld := plog.NewLogs()
	recs := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for range 11 {
		recs.AppendEmpty().Body().SetStr("x")
	}
	_, err := plogotlp.NewGRPCClient(w.conn).Export(t.Context(), plogotlp.NewExportRequestFromLogs(ld))
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("11 records: %v", err)
	}
	recs.At(0).Body().SetStr(strings.Repeat("y", 2<<20))
	_, err = plogotlp.NewGRPCClient(w.conn).Export(t.Context(), plogotlp.NewExportRequestFromLogs(ld))
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("2 MiB: %v", err)
	}
	_, err = plogotlp.NewGRPCClient(w.conn).Export(t.Context(), plogotlp.NewExportRequestFromLogs(ld), grpc.UseCompressor("gzip"))
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("2 MiB in a few KiB of gzip: %v", err)
	}
	body, _ := plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	for _, enc := range []string{"", "gzip", "zstd"} {
		if code, b := post(t, "http://"+w.HTTPAddr()+"/v1/logs", "application/x-protobuf", enc, body); code != 400 && code != 413 {
			t.Errorf("2 MiB over HTTP, encoding %q: status %d %.100s", enc, code, b)
		}
	}
	if code, _ := post(t, "http://"+w.HTTPAddr()+"/v1/logs", "text/plain", "", body); code != 415 {
		t.Errorf("text/plain gave %d", code)
	}
	if len(w.sink.logs) != 0 {
		t.Errorf("%d records kept", len(w.sink.logs))
	}
}

func TestBodiesThatAreNotOTLPAreTheSendersFault(t *testing.T) {
	w := start(t, nil)
	for _, contentType := range []string{"application/x-protobuf", "application/json"} {
		for _, body := range []string{"\xff\xff\xff\xff", "{\"\xc3\x28\":1", "{\"resourceLogs\":7}", "\x0a\xff"} {
			if code, b := post(t, "http://"+w.HTTPAddr()+"/v1/logs", contentType, "", []byte(body)); code != 400 {
				t.Errorf("%s %q: status %d %q", contentType, body, code, b)
			}
		}
	}
}

func TestConnectionsBeyondTheLimitAreRefused(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits = ingest.Limits{Connections: 1} })
	export := func(c *grpc.ClientConn) error {
		_, err := ptraceotlp.NewGRPCClient(c).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(oneSpan()))
		return err
	}
	if err := export(w.conn); err != nil {
		t.Fatal(err)
	}
	two, err := grpc.NewClient(w.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	if err := export(two); status.Code(err) != codes.Unavailable {
		t.Errorf("second connection: %v", err)
	}
	if err := export(w.conn); err != nil {
		t.Errorf("the first connection suffers: %v", err)
	}
}

func TestLogRecordsKeepWhatWasSent(t *testing.T) {
	w := start(t, nil)
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "cart")
	sl := rl.ScopeLogs().AppendEmpty()
	sl.Scope().SetName("lib")
	lr := sl.LogRecords().AppendEmpty()
	lr.SetTimestamp(1_772_366_398_000_000_000)
	lr.SetObservedTimestamp(1_772_366_399_000_000_000)
	lr.SetSeverityNumber(plog.SeverityNumberError2)
	lr.SetSeverityText("CRIT")
	lr.Body().SetEmptyMap().PutStr("k", "v")
	lr.SetTraceID([16]byte{0xaa, 15: 1})
	lr.SetSpanID([8]byte{0xbb})
	lr.Attributes().PutInt("n", 3)
	lr.SetEventName("job.done")
	if _, err := plogotlp.NewGRPCClient(w.conn).Export(t.Context(), plogotlp.NewExportRequestFromLogs(ld)); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%+v", w.sink.logs)
	want := fmt.Sprintf("%+v", []telemetry.LogRecord{{
		Time: 1_772_366_398_000_000_000, Observed: 1_772_366_399_000_000_000, Severity: 18, SeverityText: "CRIT", Body: `{"k":"v"}`,
		Resource:   []telemetry.Attr{{Key: "service.name", Value: "cart"}},
		Attributes: []telemetry.Attr{{Key: "event.name", Value: "job.done"}, {Key: "n", Value: "3"}, {Key: "otel.scope.name", Value: "lib"}},
		TraceID:    "aa000000000000000000000000000001", SpanID: "bb00000000000000", Source: "otlp", Sender: "127.0.0.1", Retryable: true,
	}})
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}
