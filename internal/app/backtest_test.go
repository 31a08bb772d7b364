package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/backtest"
	"github.com/norn-aiops/norn/internal/cli"
	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/store/tsdb"
)

// threeDays writes a latency every minute for three days up to now, with a
// fault of an hour six hours ago, and closes the store. It returns when the
// fault began.
func threeDays(t *testing.T, dir string) (fault int64) {
	t.Helper()
	db, err := tsdb.Open(filepath.Join(dir, "metrics"), tsdb.Options{Retention: 40 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixMilli() / 60_000 * 60_000
	fault = now - 6*3600_000
	ls := labels.FromStrings(labels.MetricName, "request_latency_seconds", "service_name", "cart")
	var ref storage.SeriesRef
	for from := now - 72*3600_000; from < now; from += 3600_000 {
		app := db.AppenderV2(t.Context())
		for x := from; x < from+3600_000; x += 60_000 {
			v := .2 + .01*float64(x/60_000*7919%17)/17
			if x >= fault && x < fault+3600_000 {
				v *= 3
			}
			if ref, err = app.Append(ref, ls, 0, x, v, nil, nil, storage.AOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Compact(); err != nil { // some of it is in blocks, some in the log
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return fault
}

const calmer = "detection:\n  rules:\n    - name: off\n      match: '{service_name=\"cart\"}'\n      min_deviation: {absolute: 5}\n"

// The data directory of a server that is not up is read, not changed, and the
// change judged on it.
func TestBacktestReadsADataDirectory(t *testing.T) {
	dir := t.TempDir()
	fault := threeDays(t, dir)
	cfg := config.Default()
	cfg.Storage.Dir = dir
	seen := 0.
	r, err := Backtest(t.Context(), cfg, []byte(calmer), fault-3600_000, fault+5*3600_000, func(x float64) { seen = x })
	if err != nil {
		t.Fatal(err)
	}
	if r.Present.Alarms == 0 || r.Proposed.Alarms != 0 || r.Sums.OnlyBefore != r.Present.Alarms || seen < .9 {
		t.Errorf("%+v %+v, progress %.2f", r.Present, r.Proposed, seen)
	}
	if r.Samples < 60*60 || r.Alarms[0].Before.Onset < fault-60_000 || r.Alarms[0].Before.Time > fault+15*60_000 {
		t.Errorf("%d samples, alarm %+v", r.Samples, r.Alarms[0].Before)
	}
	if _, err := Backtest(t.Context(), cfg, []byte("detection: {max: 1}"), 0, 1, nil); !errors.Is(err, config.ErrChange) || !strings.Contains(err.Error(), "line 1") {
		t.Error(err)
	}
	if _, err := Backtest(t.Context(), cfg, []byte("detection: {}"), 0, 1000, nil); !errors.Is(err, backtest.ErrRange) {
		t.Error(err)
	}
	cfg.Storage.Dir = t.TempDir()
	if _, err := Backtest(t.Context(), cfg, []byte("detection: {}"), fault, fault+1, nil); err == nil {
		t.Error("an empty directory is taken")
	}
}

// A running server does the same, with incidents that were marked as the test
// set; it runs one at a time, and ends it when it ends.
func TestBacktestOfARunningServer(t *testing.T) {
	dir := t.TempDir()
	fault := threeDays(t, dir)
	cfg := config.Default()
	cfg.Storage.Dir = dir
	cfg.Server.Listen = "127.0.0.1:0"
	cfg.Ingest.OTLP, cfg.Ingest.Syslog, cfg.Ingest.Elastic = config.OTLP{}, config.Syslog{Timezone: "UTC"}, config.Elastic{}
	a, err := New(t.Context(), Options{Config: cfg, Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	r, err := Backtest(t.Context(), cfg, []byte(calmer), fault-3600_000, fault+5*3600_000, nil) // beside the server
	if err != nil {
		t.Fatal(err)
	}
	was := r.Alarms[0]
	st := a.Stores().State
	for i, name := range []string{"one", "two"} {
		in := ops.Incident{ID: name, State: ops.StateResolved, Title: name, Onset: fault, Updated: fault, Anomalies: []ops.Anomaly{{ID: name, SeriesID: was.SeriesID, Entity: was.Entity, Onset: fault, LastSeen: fault + 60_000}}}
		if err := st.PutIncident(t.Context(), &in); err != nil {
			t.Fatal(err)
		}
		if _, err := a.pipe.Mark(t.Context(), name, "ann", []ops.Mark{ops.MarkReal, ops.MarkNoise}[i]); err != nil {
			t.Fatal(err)
		}
	}
	req := api.BacktestRequest{From: fmt.Sprint(fault - 3600_000), To: "now", Change: calmer}
	b, err := cli.Backtest(t.Context(), a.URL(), "", req, func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	if m := b.Report.Marks; m.RealLost != 1 || m.NoiseSaved != 1 || len(m.Incidents) != 2 {
		t.Errorf("marks %+v", m)
	}
	if b.Report.Present.Alarms == 0 || b.Report.Proposed.Alarms != 0 {
		t.Errorf("%+v %+v", b.Report.Present, b.Report.Proposed)
	}
	for _, bad := range []struct {
		change string
		from   string
		want   string
	}{{"detection:\n  what: 1", "-1h", "line 2"}, {"detection: {}", "-60d", "too long"}, {"detection: {}", "now", "not before"}} {
		if _, err := cli.Backtest(t.Context(), a.URL(), "", api.BacktestRequest{From: bad.from, To: "now", Change: bad.change}, nil); cli.ExitCode(err) != cli.ExitUsage || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%q: %v", bad.change, err)
		}
	}
	// What would be set through the API is tried in place of what is set.
	half := .9
	calm := rules.Config{Rules: []rules.Rule{{Name: "calm", Match: "{}", MinDeviation: rules.MinDeviation{Relative: new(10.)}, Weight: &half}}, Mutes: []rules.Mute{}, CustomMetrics: []rules.CustomMetric{}}
	b, err = cli.Backtest(t.Context(), a.URL(), "", api.BacktestRequest{From: fmt.Sprint(fault - 3600_000), To: "now", Stored: &calm}, func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	if b.Report.Present.Alarms == 0 || b.Report.Proposed.Alarms != 0 || b.Stored == nil || len(b.Stored.Rules) != 1 {
		t.Errorf("with other rules set: %+v %+v of %+v", b.Report.Present, b.Report.Proposed, b.Stored)
	}
	if _, stored, _ := a.pipe.Wishes(); len(stored.Rules) != 0 {
		t.Errorf("a trial sets %+v", stored)
	}
	resp, err := http.Get(a.URL() + "/api/v1/incidents/one")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
