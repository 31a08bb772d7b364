package tools

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/telemetry"
)

type recorder struct {
	ingest.Sink
	alerts []telemetry.Alert
	broken error
}

func (r *recorder) Alerts(_ context.Context, alerts []telemetry.Alert) (ingest.Result, error) {
	if r.broken != nil {
		return ingest.Result{}, r.broken
	}
	r.alerts = append(r.alerts, alerts...)
	return ingest.Result{Accepted: len(alerts)}, nil
}

func setUp(t *testing.T) (*Handler, *recorder) {
	t.Helper()
	c, err := ingest.NewCounters(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return New(Options{Sink: r, Counters: c, Now: func() time.Time { return now }}), r
}

func post(h *Handler, path, body string) (int, report) {
	w := httptest.NewRecorder()
	q := httptest.NewRequest("POST", path, strings.NewReader(body))
	q.Header.Set("Content-Type", "application/json")
	h.ServeHTTP(w, q)
	var rep report
	_ = json.Unmarshal(w.Body.Bytes(), &rep) // an empty report fails the test
	return w.Code, rep
}

// story sends a beginning and an end, and wants one alert that begins and ends.
func story(t *testing.T, path string, code int, begin, end string) (fired, ended telemetry.Alert) {
	t.Helper()
	h, r := setUp(t)
	for _, body := range []string{begin, begin, end} {
		if got, rep := post(h, path, body); got != code || rep.Status != "success" || rep.Accepted != 1 {
			t.Fatalf("%s: %d %+v", body, got, rep)
		}
	}
	if len(r.alerts) != 3 {
		t.Fatalf("%d alerts", len(r.alerts))
	}
	fired, ended = r.alerts[0], r.alerts[2]
	if fired.Fingerprint != ended.Fingerprint || r.alerts[1].Fingerprint != fired.Fingerprint || fired.EndsAt != 0 || ended.EndsAt == 0 || ended.Name != fired.Name || fired.Name == "" {
		t.Errorf("%+v\n%+v", fired, ended)
	}
	return fired, ended
}

func TestAlertsOfEveryToolBeginAndEnd(t *testing.T) {
	a, _ := story(t, "/api/v1/alerts/grafana", 200,
		`{"status":"firing","alerts":[{"status":"firing","labels":{"alertname":"Slow","service":"cart","severity":"critical"},"annotations":{"summary":"slow"},"startsAt":"2026-03-01T11:58:00Z","endsAt":"0001-01-01T00:00:00Z","fingerprint":"c6eadffa33fcdf37"}]}`,
		`{"alerts":[{"status":"resolved","labels":{"alertname":"Slow","service":"cart"},"startsAt":"2026-03-01T11:58:00Z","endsAt":"2026-03-01T11:59:00Z","fingerprint":"c6eadffa33fcdf37"}]}`)
	if a.Labels["service"] != "cart" || a.Severity != "critical" || a.Source != "grafana" {
		t.Errorf("grafana: %+v", a)
	}
	a, end := story(t, "/v2/enqueue", 202,
		`{"routing_key":"k","event_action":"trigger","dedup_key":"disk","payload":{"summary":"disk full","source":"db-1","severity":"error","component":"orders-db","custom_details":{"free":"1 %","nested":{"a":1}}}}`,
		`{"routing_key":"k","event_action":"resolve","dedup_key":"disk"}`)
	if a.Labels["host"] != "db-1" || a.Labels["service"] != "orders-db" || end.Labels["service"] != "orders-db" || a.Labels["nested"] != "" {
		t.Errorf("pagerduty: %+v %+v", a, end)
	}
	a, _ = story(t, "/api/v1/alerts/zabbix", 200,
		`{"event_id":"77","name":"CPU is high","severity":"High","value":"1","host":"web-1","time":"1772366280","tags":"[{\"tag\":\"service\",\"value\":\"cart\"}]"}`,
		`{"event_id":"77","name":"CPU is high","value":"0","host":"web-1","recovery_time":1772366390}`)
	if a.Labels["host"] != "web-1" || a.Labels["service"] != "cart" || a.Severity != "critical" || a.StartsAt != 1772366280000 {
		t.Errorf("zabbix: %+v", a)
	}
	a, _ = story(t, "/api/v1/alerts/nagios", 200, `{"type":"PROBLEM","host":"web-1","service":"HTTP","state":"CRITICAL","output":"timeout"}`,
		`{"type":"RECOVERY","host":"web-1","service":"HTTP","state":"OK","output":"fine"}`)
	if a.Labels["host"] != "web-1" || a.Annotations["summary"] != "timeout" {
		t.Errorf("nagios: %+v", a)
	}
}

func TestKeyThatWasGivenOutEndsTheAlert(t *testing.T) {
	h, r := setUp(t)
	_, rep := post(h, "/v2/enqueue", `{"event_action":"trigger","payload":{"summary":"disk full","source":"db-1","severity":"error"}}`)
	if code, _ := post(h, "/v2/enqueue", `{"event_action":"resolve","dedup_key":"`+rep.DedupKey+`"}`); code != 202 {
		t.Fatalf("%d", code)
	}
	if len(r.alerts) != 2 || r.alerts[0].Fingerprint != r.alerts[1].Fingerprint || r.alerts[1].EndsAt == 0 {
		t.Errorf("%+v", r.alerts)
	}
}

func TestAfterARestartAnEndStillMeetsItsAlert(t *testing.T) {
	h, r := setUp(t)
	post(h, "/v2/enqueue", `{"event_action":"trigger","dedup_key":"d","payload":{"summary":"disk full","source":"db-1"}}`)
	again, r2 := setUp(t)
	again.Watch(r.alerts)
	post(again, "/v2/enqueue", `{"event_action":"resolve","dedup_key":"d"}`)
	if len(r2.alerts) != 1 || r2.alerts[0].Name != "disk full" || r2.alerts[0].EndsAt == 0 {
		t.Errorf("%+v", r2.alerts)
	}
}

func TestBadAlertsAreNamedAndGoodOnesKept(t *testing.T) {
	h, r := setUp(t)
	code, rep := post(h, "/api/v1/alerts/grafana", `{"alerts":[{"status":"firing","labels":{"alertname":"a"}},{"status":"firing"},{"status":"odd","labels":{"a":"b"}},{"status":"firing","labels":{"a":"b"},"startsAt":"yesterday"},{"status":"firing","labels":{"a":"`+strings.Repeat("x", 20<<10)+`"}}]}`)
	if code != 400 || rep.Accepted != 1 || len(rep.Errors) != 4 || len(r.alerts) != 1 {
		t.Errorf("%d %+v", code, rep)
	}
	for path, bodies := range map[string][]string{
		"/api/v1/alerts/grafana": {"", "{", "[]", "{}", `{"alerts":{}}`, "null"},
		"/v2/enqueue":            {"", `{"event_action":"boom"}`, `{"event_action":"trigger"}`, `{"event_action":"resolve"}`, `{"event_action":"resolve","dedup_key":"never seen"}`, "7"},
		"/api/v1/alerts/zabbix":  {"", "[]", `{"name":"x"}`, `{"event_id":"1","name":"x","time":"noon"}`, `{"event_id":"1","name":"x","tags":"{"}`},
		"/api/v1/alerts/nagios":  {"", `{}`, `{"host":"a","state":"MAYBE"}`, `{"host":"a","state":"OK","time":-1}`},
	} {
		for _, body := range bodies {
			if code, rep := post(h, path, body); code != 400 || len(rep.Errors) == 0 {
				t.Errorf("%s %q: %d %+v", path, body, code, rep)
			}
		}
	}
	r.broken = errors.New("disk is gone")
	if code, _ := post(h, "/api/v1/alerts/nagios", `{"host":"a","state":"DOWN"}`); code != 503 {
		t.Errorf("a store that fails: %d", code)
	}
}

func FuzzReaders(f *testing.F) {
	f.Add([]byte(`{"alerts":[{"status":"firing","labels":{"a":"b"}}]}`))
	f.Add([]byte(`{"event_id":"1","name":"x","tags":[{"tag":1},7,null]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for name, read := range map[string]reader{"grafana": grafana, "pagerduty": pagerduty, "zabbix": zabbix, "nagios": nagios} {
			alerts, _, err := read(body, time.Unix(1_700_000_000, 0), 100)
			if err != nil && len(alerts) > 0 {
				t.Errorf("%s: alerts beside an error", name)
			}
		}
	})
}
