package replay

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/cause"
	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// drain reads a whole recording and checks what every feed promises: times
// rise, nothing lies outside its item, nothing is lost to the bounds.
func drain(t *testing.T, rec *Recording) []Item {
	t.Helper()
	var out []Item
	last := int64(math.MinInt64)
	for {
		it, err := rec.Feed.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if it.T <= last {
			t.Fatalf("%s: time %d after %d", rec.Name, it.T, last)
		}
		for _, s := range it.Samples {
			if s.T <= last || s.T > it.T {
				t.Fatalf("%s: sample at %d in the item (%d, %d]", rec.Name, s.T, last, it.T)
			}
		}
		for _, l := range it.Logs {
			if l.Time/1e6 > it.T {
				t.Fatalf("%s: a line of the future", rec.Name)
			}
		}
		last = it.T
		out = append(out, it)
	}
	if len(out) == 0 || rec.Start > out[0].T || rec.End < rec.Start {
		t.Fatalf("%s: %d items, from %d to %d", rec.Name, len(out), rec.Start, rec.End)
	}
	return out
}

func open(t *testing.T, name, format string) (*Recording, []Item) {
	t.Helper()
	recs, err := Open(filepath.Join("testdata", name), format)
	if err != nil {
		t.Fatal(err)
	}
	if len(recs) != 1 {
		t.Fatalf("%d recordings", len(recs))
	}
	return recs[0], drain(t, recs[0])
}

// find returns the values of a series, by name and label values.
func find(items []Item, name string, values ...string) (out []float64) {
	for _, it := range items {
		for _, s := range it.Samples {
			if s.Labels.Get("__name__") != name {
				continue
			}
			text := s.Labels.String()
			if !slices.ContainsFunc(values, func(v string) bool { return !strings.Contains(text, `"`+v+`"`) }) {
				out = append(out, s.V)
			}
		}
	}
	return out
}

func TestPetshopNormalComesBeforeTheIssues(t *testing.T) {
	rec, items := open(t, "petshop", "petshop")
	if len(rec.Faults) != 1 || rec.Faults[0].Entity != service("Store") || rec.Faults[0].Signal != telemetry.SignalLatency {
		t.Fatalf("faults %+v", rec.Faults)
	}
	if items[0].T >= rec.Faults[0].Onset || len(rec.Warmups) != 1 || len(items) != 65 {
		t.Fatalf("first item %d, onset %d, %d items", items[0].T, rec.Faults[0].Onset, len(items))
	}
	if v := find(items, "request_error_ratio", "Gate"); len(v) != 64 || v[0] != 0 {
		t.Errorf("availability must become an error ratio, empty cells be left out: %d values", len(v))
	}
	if v := find(items, "requests_per_second", "Gate"); v[0] < 1 || v[0] > 1.1 {
		t.Errorf("request sums must become rates: %v", v[0])
	}
	if len(items[3].Edges) != 2 || items[3].Edges[0].LastSeen != items[3].T {
		t.Errorf("edges %+v", items[3].Edges)
	}
}

func TestPetshopDirectFindsTheStore(t *testing.T) {
	rep, ok, err := Direct(filepath.Join("testdata", "petshop"), "petshop", cause.Config{})
	if err != nil || !ok {
		t.Fatal(err)
	}
	if rep.Cases != 1 || rep.Top1 != 1 || rep.Specificity != 1 {
		t.Fatalf("%+v", rep)
	}
}

func TestSockshopFaultFollowsNormal(t *testing.T) {
	rec, items := open(t, "sockshop", "rcd-sockshop")
	f := rec.Faults[0]
	if f.Entity != service("carts") || f.Kind != "cpu" || f.Onset != 1650000040*1000 {
		t.Fatalf("fault %+v", f)
	}
	if v := find(items, "container_cpu_usage_ratio", "carts"); len(v) != 60 || v[0] > .02 || v[59] < .7 {
		t.Fatalf("cpu %d values", len(v))
	}
	if v := find(items, "request_latency_seconds", "orders", "0.5"); len(v) != 60 {
		t.Errorf("latency %d values", len(v))
	}
	rep, _, err := Direct(filepath.Join("testdata", "sockshop"), "rcd-sockshop", cause.Config{})
	if err != nil || rep.Top1 != 1 {
		t.Fatalf("%+v %v", rep, err)
	}
}

func TestNezhaTimesKindsAndRepeatedRows(t *testing.T) {
	rec, items := open(t, "nezha", "nezha")
	if len(rec.Faults) != 2 || rec.Faults[0].Onset != 1674981784000 || rec.Faults[1].Onset-rec.Faults[0].Onset != 300_000 {
		t.Fatalf("inject_time must win over inject_timestamp: %+v", rec.Faults)
	}
	if rec.Faults[0].Entity != service("ts-order-service") || len(rec.Issues) == 0 {
		t.Fatalf("fault %+v issues %v", rec.Faults[0], rec.Issues)
	}
	if v := find(items, "container_cpu_usage_ratio", "ts-order-service", "ts-order-service-5b67c48447-mv5hb"); len(v) != 6 || math.Abs(v[0]-.025) > 1e-9 {
		t.Fatalf("rows that the fault-free folder repeats must count once: %v", v)
	}
	if v := find(items, "request_latency_seconds", "ts-order-service"); len(v) != 5 {
		t.Errorf("NaN must be left out: %v", v)
	}
	if v := find(items, "request_error_ratio", "ts-order-service"); len(v) != 0 {
		t.Errorf("a success rate that is always 0 was never measured: %v", v)
	}
	if v := find(items, "request_error_ratio", "Frontend"); len(v) != 1 || math.Abs(v[0]-.02) > 1e-9 {
		t.Errorf("front %v", v)
	}
	var logs []telemetry.LogRecord
	var spans []telemetry.Span
	for _, it := range items {
		logs, spans = append(logs, it.Logs...), append(spans, it.Spans...)
	}
	if len(logs) != 2 || logs[0].Severity != telemetry.SeverityError || !strings.HasSuffix(logs[0].Body, "boom, twice") || logs[0].Time/1e9 != 1674981742 {
		t.Fatalf("logs %+v", logs)
	}
	kinds := map[string]telemetry.SpanKind{}
	failed := map[string]bool{}
	for _, s := range spans {
		kinds[s.SpanID], failed[s.SpanID] = s.Kind, s.Error
	}
	if len(spans) != 4 || kinds["a"] != telemetry.SpanServer || kinds["b"] != telemetry.SpanClient || kinds["c"] != telemetry.SpanServer || kinds["d"] != telemetry.SpanInternal {
		t.Fatalf("kinds %v", kinds)
	}
	if !failed["c"] || failed["b"] || failed["a"] {
		t.Errorf("failed %v", failed)
	}
}

func TestAlertsHaveTypedEntitiesAndAreResolved(t *testing.T) {
	rec, items := open(t, "alerts", "rca-alerts")
	if f := rec.Faults[0]; f.Entity != (telemetry.Entity{Kind: telemetry.KindInstance, Name: "cart-0"}) || f.Detail != "pod" || f.Onset != 1647736751000 {
		t.Fatalf("alerts tell instances apart, and so does the truth: %+v", f)
	}
	var firing, resolved []telemetry.Alert
	for _, it := range items {
		for _, a := range it.Alerts {
			if a.EndsAt == 0 {
				firing = append(firing, a)
			} else {
				resolved = append(resolved, a)
			}
		}
	}
	if len(firing) != 3 || len(resolved) != 3 {
		t.Fatalf("%d firing, %d resolved", len(firing), len(resolved))
	}
	for _, a := range firing {
		if a.Fingerprint == "" || a.Entity.IsZero() {
			t.Errorf("%+v", a)
		}
		if strings.HasPrefix(a.Name, "log template") && a.StartsAt != 1647736971000 {
			t.Errorf("local time of a log alert read as %d", a.StartsAt)
		}
	}
	if !slices.ContainsFunc(rec.Issues, func(s string) bool { return strings.Contains(s, "1 alerts could not be read") }) {
		t.Errorf("issues %v", rec.Issues)
	}
	kinds := map[graph.EdgeKind]int{}
	for _, e := range items[0].Edges {
		kinds[e.Kind]++
	}
	if kinds[graph.Calls] != 2 || kinds[graph.RunsOn] != 1 || kinds[graph.PartOf] != 1 {
		t.Errorf("edges %v", kinds)
	}
}

func TestCSVFolderLongAndWide(t *testing.T) {
	rec, items := open(t, "csv", "prom-csv")
	if len(rec.Faults) != 1 || rec.Faults[0].Onset != 1700000010000 || rec.Faults[0].Entity != service("cart") {
		t.Fatalf("faults %+v", rec.Faults)
	}
	if v := find(items, "http_requests_per_second", "cart"); len(v) != 2 || v[1] != 12 {
		t.Errorf("long %v", v)
	}
	if v := find(items, "request_latency_seconds", "cart", "0.95"); len(v) != 1 || v[0] != .2 {
		t.Errorf("wide %v", v)
	}
	n := 0
	for _, it := range items {
		n += len(it.Changes)
	}
	if n != 1 || len(items[0].Edges) != 2 || items[0].Edges[1].Kind != graph.RunsOn {
		t.Errorf("%d changes, edges %+v", n, items[0].Edges)
	}
}

func TestOTLPFilesOfTheCollector(t *testing.T) {
	rec, items := open(t, "otlp", "otlp-json")
	if len(rec.Faults) != 1 || len(rec.Issues) != 1 || !strings.Contains(rec.Issues[0], "1 lines") {
		t.Fatalf("faults %+v issues %v", rec.Faults, rec.Issues)
	}
	for name, want := range map[string]float64{"process_cpu_utilization_ratio": .5, "http_requests_total": 7, "http_server_request_duration_seconds_count": 3} {
		if v := find(items, name, "cart", "cart-1"); len(v) != 1 || v[0] != want {
			t.Errorf("%s: %v", name, v)
		}
	}
	if v := find(items, "http_server_request_duration_seconds_bucket", "+Inf"); len(v) != 1 || v[0] != 3 {
		t.Errorf("buckets must be cumulative: %v", v)
	}
	var logs []telemetry.LogRecord
	var spans []telemetry.Span
	for _, it := range items {
		logs, spans = append(logs, it.Logs...), append(spans, it.Spans...)
	}
	if len(logs) != 1 || logs[0].Severity != 17 || logs[0].Entity != service("cart") || logs[0].TraceID != "5b8efff798038103d269b633813fc60c" {
		t.Errorf("logs %+v", logs)
	}
	if len(spans) != 1 || spans[0].Kind != telemetry.SpanServer || !spans[0].Error || spans[0].StatusMessage != "no" {
		t.Errorf("spans %+v", spans)
	}
}

func TestAFolderOfAnotherFormatIsRefusedByName(t *testing.T) {
	empty := t.TempDir()
	for _, f := range Formats() {
		if _, err := Open(empty, f); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), empty) {
			t.Errorf("%s: %v", f, err)
		}
	}
	if _, err := Open(empty, "tarot"); err == nil || !strings.Contains(err.Error(), "petshop") {
		t.Errorf("unknown format: %v", err)
	}
}

func TestABrokenFileIsNamed(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "m.csv"), []byte("timestamp,metric,value\nyesterday,x,1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir, "prom-csv")
	if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "m.csv") || !strings.Contains(err.Error(), "yesterday") {
		t.Fatalf("%v", err)
	}
}
