package alertmanager

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/telemetry"
)

type recorder struct {
	ingest.Sink
	mu     sync.Mutex
	alerts []telemetry.Alert
	broken error
	grown  *sync.Cond
}

func newRecorder() *recorder {
	r := &recorder{}
	r.grown = sync.NewCond(&r.mu)
	return r
}

func (r *recorder) Alerts(_ context.Context, alerts []telemetry.Alert) (ingest.Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.grown.Broadcast()
	if r.broken != nil {
		return ingest.Result{}, r.broken
	}
	r.alerts = append(r.alerts, alerts...)
	return ingest.Result{Accepted: len(alerts)}, nil
}

// await waits for an alert that match likes.
func (r *recorder) await(match func(telemetry.Alert) bool) telemetry.Alert {
	r.mu.Lock()
	defer r.mu.Unlock()
	for seen := 0; ; {
		for ; seen < len(r.alerts); seen++ {
			if match(r.alerts[seen]) {
				return r.alerts[seen]
			}
		}
		r.grown.Wait()
	}
}

func post(t testing.TB, url, contentType, body string) (int, string) {
	t.Helper()
	resp, err := http.Post(url+"/api/v2/alerts", contentType, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func TestGoodAlertsAreKeptBesideBadOnes(t *testing.T) {
	sink := newRecorder()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	reg := prometheus.NewRegistry()
	counters, err := ingest.NewCounters(reg)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(New(Options{Sink: sink, Counters: counters, Now: func() time.Time { return now }, Limits: ingest.Limits{Labels: 4, LabelBytes: 100}}))
	defer srv.Close()
	code, text := post(t, srv.URL, "application/json", `[
		{"labels":{"alertname":"HighLatency","severity":"critical","service":"cart","empty":""},"annotations":{"summary":"slow"},"startsAt":"2026-03-01T11:59:00Z","endsAt":"2026-03-01T12:04:00Z","generatorURL":"http://prom/graph"},
		{"labels":{},"startsAt":"2026-03-01T11:59:00Z"},
		{"labels":{"alertname":"x"},"startsAt":"soon"},
		{"labels":{"alertname":"x"},"startsAt":"2026-03-01T11:59:00Z","endsAt":"2026-03-01T11:58:00Z"},
		{"labels":{"alertname":"x","a":"1","b":"1","c":"1","d":"1"}},
		{"labels":{"alertname":"`+strings.Repeat("x", 200)+`"}},
		{"labels":{"alertname":"Over"},"startsAt":"2026-03-01T11:00:00Z","endsAt":"2026-03-01T11:30:00Z"}]`)
	if code != 400 || !strings.HasPrefix(text, `"alert 1: at least one label`) || strings.Count(text, "alert ") != 5 {
		t.Errorf("status %d: %s", code, text)
	}
	if len(sink.alerts) != 2 {
		t.Fatalf("kept %+v", sink.alerts)
	}
	a := sink.alerts[0]
	if a.Name != "HighLatency" || a.Severity != "critical" || a.EndsAt != 0 || a.StartsAt != now.Add(-time.Minute).UnixMilli() || len(a.Fingerprint) != 16 ||
		len(a.Labels) != 3 || a.Annotations["summary"] != "slow" || a.Link != "http://prom/graph" || a.Source != "alertmanager" {
		t.Errorf("firing alert arrived as %+v", a)
	}
	if sink.alerts[1].EndsAt != now.Add(-30*time.Minute).UnixMilli() {
		t.Errorf("resolved alert arrived as %+v", sink.alerts[1])
	}
	if n := testutil.CollectAndCount(reg, "norn_ingest_rejected_total"); n != 4 {
		t.Errorf("%d reasons counted, want 4", n)
	}
}

func TestAnAlertThatIsNoLongerSentEnds(t *testing.T) {
	sink := newRecorder()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	h := New(Options{Sink: sink, Now: func() time.Time { return now }})
	send := func(body string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/api/v2/alerts", strings.NewReader(body)))
		if w.Code != 200 {
			t.Fatalf("status %d %s", w.Code, w.Body)
		}
	}
	send(`[{"labels":{"alertname":"A"},"startsAt":"2026-03-01T12:00:00Z","endsAt":"2026-03-01T12:01:00Z"},{"labels":{"alertname":"B"}}]`)
	h.Watch([]telemetry.Alert{{Source: "alertmanager", Fingerprint: "before-restart", Name: "C"}, {Source: "other", Fingerprint: "x"}})
	h.expire(t.Context())
	if len(sink.alerts) != 2 {
		t.Fatalf("ended too early: %+v", sink.alerts)
	}
	now = now.Add(2 * time.Minute)
	sink.broken = errors.New("disk full")
	h.expire(t.Context())
	sink.broken = nil
	h.expire(t.Context())
	if last := sink.alerts[len(sink.alerts)-1]; last.Name != "A" || last.EndsAt != now.Add(-time.Minute).UnixMilli() {
		t.Errorf("the end of A arrived as %+v", last)
	}
	now = now.Add(10 * time.Minute)
	h.expire(t.Context())
	h.expire(t.Context())
	if len(sink.alerts) != 5 {
		t.Errorf("%d alerts, want the ends of B and C once each: %+v", len(sink.alerts), sink.alerts)
	}
}

func TestWhatIsNoAlertIsRefused(t *testing.T) {
	sink := newRecorder()
	srv := httptest.NewServer(New(Options{Sink: sink, Limits: ingest.Limits{Batch: 2, Bytes: 1000}}))
	defer srv.Close()
	for _, c := range []struct {
		contentType, body string
		status            int
	}{
		{"application/json", `{"labels":{}}`, 400}, {"application/json", `[{"labels":`, 400}, {"application/json", `[]x`, 400},
		{"application/json", ``, 400}, {"text/plain", `[]`, 415}, {"application/json", `[{},{},{}]`, 413},
		{"application/json", strings.Repeat(" ", 2000), 413}, {"application/json", `[]`, 200},
	} {
		if code, text := post(t, srv.URL, c.contentType, c.body); code != c.status {
			t.Errorf("%q: %d %s, want %d", c.body, code, text, c.status)
		}
	}
	sink.broken = errors.New("disk full")
	if code, text := post(t, srv.URL, "application/json", `[{"labels":{"alertname":"x"}}]`); code != 503 || !strings.Contains(text, "disk full") {
		t.Errorf("%d %s", code, text)
	}
	for path, want := range map[string]string{"/api/v2/status": `"versionInfo"`, "/-/ready": "OK", "/-/healthy": "OK"} {
		resp, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || !bytes.Contains(b, []byte(want)) {
			t.Errorf("%s: %s %s", path, resp.Status, b)
		}
	}
}

func FuzzAlerts(f *testing.F) {
	f.Add([]byte(`[{"labels":{"alertname":"x"},"annotations":{"a":"b"},"startsAt":"2026-03-01T11:59:00Z","endsAt":"0001-01-01T00:00:00Z"}]`))
	f.Add([]byte(`[{"labels":{"\ud800":"x"}},null,{"labels":null}]`))
	h := New(Options{Sink: newRecorder()})
	f.Fuzz(func(t *testing.T, body []byte) {
		sent, err := parse(body, 100)
		if err != nil {
			return
		}
		for i := range sent {
			got, ref := h.convert(&sent[i], time.Unix(1e9, 0))
			if ref == nil && (got.alert.StartsAt < 0 || len(got.alert.Labels) == 0 || (got.alert.EndsAt != 0 && got.alert.EndsAt < got.alert.StartsAt)) {
				t.Errorf("%+v gave %+v", sent[i], got.alert)
			}
			if fmt.Sprint(got.alert.Fingerprint) == "" && ref == nil {
				t.Error("no fingerprint")
			}
		}
	})
}
