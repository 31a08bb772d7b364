package app

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/ingest/malformed"
)

func targetsOf(a *App) malformed.Targets {
	base := "http://" + a.Addr("http")
	return malformed.Targets{
		OTLPGRPC: a.Addr("otlp-grpc"), OTLPHTTP: a.Addr("otlp-http"), Elastic: a.Addr("elastic"),
		SyslogTCP: a.Addr("syslog-tcp"), SyslogUDP: a.Addr("syslog-udp"), SyslogTLS: a.Addr("syslog-tls"),
		RemoteWrite: base + "/api/v1/write", Alerts: base + "/api/v2/alerts", Logs: base + "/api/v1/import/logs",
		Metrics: base + "/api/v1/import/metrics", Changes: base + "/api/v1/changes",
	}
}

// The story: a thousand broken requests come over all protocols at once. Each
// gets its protocol's own answer, all are counted, and good telemetry is taken
// as before.
func TestAThousandMalformedRequestsLeaveTheServerHealthy(t *testing.T) {
	const seed = 4711
	t.Logf("seed %d", seed)
	a := inProcess(t, func(c *config.Config) {
		c.Ingest.Syslog.TLS = config.SyslogTLS{Listen: "127.0.0.1:0"}
		c.Ingest.Syslog.TLS.CertFile, c.Ingest.Syslog.TLS.KeyFile = selfSigned(t)
	})
	targets := targetsOf(a)
	var g errgroup.Group
	g.SetLimit(8)
	for _, r := range malformed.Requests(seed, 1000) {
		g.Go(func() error {
			if err := r.Check(t.Context(), targets); err != nil {
				t.Error(err)
			}
			return nil
		})
	}
	_ = g.Wait() // its functions report to t
	for url, body := range map[string]string{
		targets.Logs:                              `{"msg":"still here","service":"cart"}`,
		targets.Changes:                           `{"kind":"deploy","entity":"cart"}`,
		targets.Alerts:                            `[{"labels":{"alertname":"x"}}]`,
		targets.Metrics:                           "timestamp,name,value,service\n" + now() + ",up,1,cart\n",
		"http://" + targets.Elastic + "/_bulk":    "{\"index\":{}}\n{\"message\":\"x\"}\n",
		"http://" + targets.OTLPHTTP + "/v1/logs": `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}`,
	} {
		resp, err := http.Post(url, contentType(url), strings.NewReader(body))
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		answer, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			t.Errorf("a good request to %s afterwards: %s %s", url, resp.Status, answer)
		}
	}
	for _, path := range []string{"/-/healthy", "/api/v1/status", "/api/v1/incidents", "/prometheus/api/v1/query?query=up", "/metrics"} {
		resp, err := http.Get("http://" + a.Addr("http") + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("GET %s: %s %s", path, resp.Status, body)
		}
		if path == "/metrics" && !strings.Contains(string(body), "norn_ingest_rejected_total") {
			t.Error("the refusals are not counted in /metrics")
		}
	}
}

func contentType(url string) string {
	if strings.HasSuffix(url, "metrics") {
		return "text/csv"
	}
	return "application/json"
}

func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	certPEM, keyPEM := certificate(t)
	cert, key = dir+"/cert.pem", dir+"/key.pem"
	for file, raw := range map[string][]byte{cert: certPEM, key: keyPEM} {
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
