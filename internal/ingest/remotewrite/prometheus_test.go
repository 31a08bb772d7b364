package remotewrite

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/norn-aiops/norn/internal/ingest"
)

// The real Prometheus scrapes itself and writes everything to us (1.0).
func TestRealPrometheusWritesRemotely(t *testing.T) {
	w := start(t, nil, ingest.Limits{})
	runPrometheus(t, fmt.Sprintf(`global: {scrape_interval: 500ms, scrape_timeout: 500ms}
scrape_configs: [{job_name: self, static_configs: [{targets: ["127.0.0.1:@PORT@"]}]}]
remote_write: [{url: %q, queue_config: {batch_send_deadline: 100ms}}]
`, w.url))
	for got := w.stored(t); got["up"] < 3 || got["prometheus_build_info"] == 0; got = w.stored(t) {
		if t.Context().Err() != nil {
			t.Fatalf("nothing but %v arrived", got)
		}
		time.Sleep(50 * time.Millisecond)
	}
	accepted, others := outcomes(t, w.reg)
	if accepted < 1000 || others != 0 {
		t.Errorf("%v samples accepted, %v not", accepted, others)
	}
}

func outcomes(t *testing.T, reg *prometheus.Registry) (accepted, others float64) {
	t.Helper()
	fams, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fams {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				switch {
				case l.GetName() == "outcome" && l.GetValue() == ingest.OutcomeAccepted:
					accepted += m.GetCounter().GetValue()
				case l.GetName() == "outcome":
					others += m.GetCounter().GetValue()
				}
			}
		}
	}
	return accepted, others
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
