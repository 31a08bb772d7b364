package api_test

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/store/state"
	"github.com/norn-aiops/norn/internal/store/tsdb"
	"github.com/norn-aiops/norn/internal/store/vlogs"
	"github.com/norn-aiops/norn/web"
)

var (
	serveAddr      = flag.String("serve", "", "serve the sample estate's console at this address until interrupted")
	serveIncidents = flag.Int("incidents", 1, "with -serve: number of open incidents, 0 to 8")
	serveLong      = flag.Bool("long", false, "with -serve: long names")
	serveToken     = flag.String("token", "", "with -serve: the bearer token")
)

// sampleEnd is the end of the sample's data in all tests that do not serve.
var sampleEnd = time.Date(2026, 3, 4, 3, 0, 0, 0, time.UTC)

// openSample puts the estate into fresh stores.
func openSample(t testing.TB, incidents int, long bool, end time.Time) *sample {
	t.Helper()
	m, err := tsdb.Open(t.TempDir(), tsdb.Options{MaxFuture: -1})
	must(t, err)
	kept := vlogs.Options{Retention: 100 * 365 * 24 * time.Hour}
	logs, err := vlogs.OpenLogs(t.TempDir(), kept)
	must(t, err)
	traces, err := vlogs.OpenTraces(t.TempDir(), kept)
	must(t, err)
	st, err := state.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "state.db"))
	must(t, err)
	s := &sample{metrics: m, logs: logs, traces: traces, state: st, end: end.UnixMilli() / sampleStep * sampleStep}
	t.Cleanup(func() {
		for _, c := range []interface{ Close() error }{m, s.logs, s.traces, s.state} {
			must(t, c.Close())
		}
	})
	s.fill(t, incidents, long)
	return s
}

func (s *sample) options() api.Options {
	return api.Options{Live: s.live, Metrics: s.metrics, Logs: s.logs, Traces: s.traces, State: s.state, Version: "sample",
		Now: func() time.Time { return time.UnixMilli(s.end) }, Console: web.Dist()}
}

// TestServe serves the console over the sample estate: with -serve for a
// developer's browser until interrupted, else once for this test.
func TestServe(t *testing.T) {
	addr := "127.0.0.1:0"
	end := sampleEnd
	if *serveAddr != "" {
		addr, end = *serveAddr, time.Now()
	}
	s := openSample(t, *serveIncidents, *serveLong, end)
	o := s.options()
	o.Token = *serveToken
	l, err := net.Listen("tcp", addr)
	must(t, err)
	srv := &http.Server{Handler: api.New(o), ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	if *serveAddr != "" {
		fmt.Println("serving the sample estate at http://" + l.Addr().String())
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, os.Interrupt)
		<-stop
	} else {
		resp, err := http.Get("http://" + l.Addr().String() + "/api/v1/status")
		must(t, err)
		must(t, resp.Body.Close())
		if resp.StatusCode != http.StatusOK {
			t.Errorf("status answers %s", resp.Status)
		}
	}
	must(t, srv.Close())
	if err := <-done; err != http.ErrServerClosed { //nolint:errorlint // Serve returns it bare
		t.Error(err)
	}
}
