package alertmanager

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// The real Prometheus sends a firing rule, and then its end.
func TestRealPrometheusSendsAFiringRule(t *testing.T) {
	sink := newRecorder()
	srv := httptest.NewServer(New(Options{Sink: sink}))
	defer srv.Close()
	value := 1.0
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		fmt.Fprintf(w, "broken{service=\"cart\"} %g\n", value)
	}))
	defer target.Close()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rules := write("rules.yml", `groups:
- name: t
  rules:
  - alert: CartBroken
    expr: broken > 0
    labels: {severity: critical}
    annotations: {summary: "{{ $labels.service }} is broken"}
`)
	conf := write("prometheus.in.yml", fmt.Sprintf(`global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}
rule_files: [%q]
alerting: {alertmanagers: [{static_configs: [{targets: [%q]}]}]}
scrape_configs: [{job_name: shop, static_configs: [{targets: [%q]}]}]
`, rules, strings.TrimPrefix(srv.URL, "http://"), strings.TrimPrefix(target.URL, "http://")))
	runPrometheus(t, dir, conf)

	a := sink.await(func(a telemetry.Alert) bool { return a.Name == "CartBroken" })
	if a.EndsAt != 0 || a.Severity != "critical" || a.Labels["service"] != "cart" || a.Annotations["summary"] != "cart is broken" ||
		!strings.Contains(a.Link, "/graph?") || math.Abs(float64(time.Now().UnixMilli()-a.StartsAt)) > 60_000 {
		t.Errorf("the firing alert arrived as %+v", a)
	}
	sink.mu.Lock()
	value = 0
	sink.mu.Unlock()
	end := sink.await(func(a telemetry.Alert) bool { return a.Name == "CartBroken" && a.EndsAt != 0 })
	if end.Fingerprint != a.Fingerprint || end.EndsAt < a.StartsAt {
		t.Errorf("the end arrived as %+v, the beginning as %+v", end, a)
	}
}

// runPrometheus starts the real one until the test ends and returns its address.
func runPrometheus(t *testing.T, dir, conf string) string {
	t.Helper()
	script, err := filepath.Abs("../../../test/servers/prometheus.sh")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // Prometheus cannot choose a port by itself
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	data := filepath.Join(dir, "prometheus")
	if out, err := exec.CommandContext(t.Context(), script, "start", data, port, conf).CombinedOutput(); err != nil {
		t.Fatalf("start Prometheus (apt-get install prometheus): %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(script, "stop", data).CombinedOutput(); err != nil {
			t.Errorf("stop Prometheus: %v\n%s", err, out)
		}
	})
	return "127.0.0.1:" + port
}
