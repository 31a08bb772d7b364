package scrape

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/tsdb"
)

// The real Prometheus is scraped.
func TestRealPrometheusIsScraped(t *testing.T) {
	db, err := tsdb.Open(t.TempDir(), nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	addr := runPrometheus(t, "global: {scrape_interval: 1h}\n")
	s, err := New(Options{Metrics: db, Reload: 50 * time.Millisecond, Jobs: []Job{
		{JobName: "prom", ScrapeInterval: 200 * time.Millisecond, StaticConfigs: []StaticConfig{{Targets: []string{addr}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	if ls := await(t, db, "prometheus_build_info"); ls.Get("job") != "prom" || ls.Get("instance") != addr || ls.Get("version") == "" {
		t.Errorf("it arrived as %s", ls)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// runPrometheus starts the real one until the test ends and returns its address.
func runPrometheus(t *testing.T, conf string) string {
	t.Helper()
	script, err := filepath.Abs("../../../test/servers/prometheus.sh")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "prometheus.in.yml")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // Prometheus cannot choose a port by itself
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	data := filepath.Join(t.TempDir(), "prometheus")
	if out, err := exec.CommandContext(t.Context(), script, "start", data, port, file).CombinedOutput(); err != nil {
		t.Fatalf("start Prometheus (apt-get install prometheus): %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(script, "stop", data).CombinedOutput(); err != nil {
			t.Errorf("stop Prometheus: %v\n%s", err, out)
		}
	})
	return "127.0.0.1:" + port
}
