package api_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/telemetry"
	"github.com/norn-aiops/norn/internal/where"
)

const late = 4 * 60_000 // ms: the window of the tests; the store takes no more than half an hour of the past

// checkout writes half an hour of request counters, spans and log lines of a
// service whose version 2.4 fails in region ap in the last four minutes,
// while traffic in region eu triples.
func (s *sample) checkout(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	app := s.metrics.AppenderV2(ctx)
	var spans []telemetry.Span
	var lines []telemetry.LogRecord
	svc := telemetry.Entity{Kind: telemetry.KindService, Name: "checkout"}
	totals := map[string]float64{}
	for at := s.end - 7*late; at <= s.end; at += 10_000 {
		for r, region := range []string{"eu", "us", "ap"} {
			for v, version := range []string{"2.3", "2.4"} {
				n, bad := float64(60/(r+1)), .02
				now := at > s.end-late
				if now && region == "eu" {
					n *= 3
				}
				if now && region == "ap" && version == "2.4" {
					bad = .4
				}
				for code, count := range map[string]float64{"200": n * (1 - bad), "500": n * bad} {
					key := region + version + code
					totals[key] += count
					ls := labels.FromStrings("__name__", "http_requests_total", "service", "checkout", "region", region, "version", version, "code", code)
					_, err := app.Append(0, ls, 0, at, totals[key], nil, nil, storage.AOptions{})
					must(t, err)
				}
				for i := range int(n / 10) {
					failed := i == 0 && (bad > .1 || (at/30_000)%17 == int64(r+v))
					id := fmt.Sprintf("%016x", at*100+int64(r*40+v*20+i))
					attrs := []telemetry.Attr{{Key: "region", Value: region}, {Key: "request.id", Value: id}}
					spans = append(spans, telemetry.Span{TraceID: id + id, SpanID: id, Name: "POST /checkout", Kind: telemetry.SpanServer, Entity: svc, Error: failed,
						Start: at * 1e6, End: at*1e6 + 20e6, Attributes: attrs, Resource: []telemetry.Attr{{Key: "service.version", Value: version}}})
					if failed {
						lines = append(lines, telemetry.LogRecord{Time: at*1e6 + int64(i), Body: "checkout failed " + id, Entity: svc, Severity: telemetry.SeverityError,
							Attributes: append(attrs, telemetry.Attr{Key: "version", Value: version})})
					}
				}
			}
		}
	}
	must(t, app.Commit())
	_, err := s.traces.AppendSpans(ctx, spans)
	must(t, err)
	_, err = s.logs.AppendLogs(ctx, lines)
	must(t, err)
	s.traces.FlushSpans()
	s.logs.FlushLogs()
}

func place(a where.Answer) string {
	if len(a.Elements) == 0 {
		return ""
	}
	pairs := strings.Split(where.Where(a.Elements[0]), ", ")
	slices.Sort(pairs)
	return strings.Join(pairs, ", ")
}

func TestDrilldownNamesTheVersionInTheRegionWhereverItIsAsked(t *testing.T) {
	s := openSample(t, 0, false, sampleEnd)
	s.checkout(t)
	srv := api.New(s.options())
	ask := func(query string) where.Answer {
		a := read[where.Answer](t, srv, "/api/v1/drilldown?from=-4m&"+query)
		t.Logf("%s: %s", query, a.Sentence)
		return a
	}
	const want = "region=ap, version=2.4"
	a := ask("query=" + escape(`http_requests_total{service="checkout",code="500"}`))
	if place(a) != want || len(a.Elements) != 1 || a.Kind != "share" || a.Elements[0].Observed < .3 || a.Elements[0].Expected > .05 {
		t.Errorf("failures by requests: %+v", a)
	}
	if a := ask("per=none&query=" + escape(`http_requests_total{service="checkout",code="200"}`)); a.Kind != "counts" || place(a) != "region=eu" {
		t.Errorf("requests: %+v", a)
	}
	a = ask("per=" + escape(`sum by (region,version) (rate(http_requests_total[1m]))`) + "&query=" + escape(`sum by (region,version) (rate(http_requests_total{code="500"}[1m]))`))
	if place(a) != want {
		t.Errorf("expressions: %+v", a)
	}
	if a := ask("source=traces&query=checkout"); strings.Replace(place(a), "service.", "", 1) != want || slices.Contains(a.Dims, "request.id") {
		t.Errorf("spans: %+v", a)
	}
	if a := ask("source=logs&query=" + escape("service:=checkout")); place(a) != want {
		t.Errorf("log lines: %+v", a)
	}
	if a := ask("source=traces&measure=latency&query=checkout"); len(a.Elements) > 0 {
		t.Errorf("latency did not change: %+v", a)
	}
	if a := ask("query=nothing_total"); a.Leaves != 0 || len(a.Elements) != 0 {
		t.Errorf("nothing: %+v", a)
	}
}

func TestDrilldownSaysWhatIsWrongWithAQuestion(t *testing.T) {
	s := openSample(t, 0, false, sampleEnd)
	srv := api.New(s.options())
	for path, says := range map[string]string{
		"query=" + escape("x{"):                        "inside braces",
		"query=x_total&per=y":                          "both be counters",
		"query=x_total&against=soon":                   "soon",
		"source=logs&query=" + escape("* | delete"):    "without pipes",
		"source=logs&query=" + escape("((("):           "(((",
		"source=traces&query=a&from=now&to=now":        "empty",
		"source=elsewhere&query=a":                     "source",
		"by=" + strings.Repeat("x,", 600) + "&query=a": "by",
	} {
		if a := ask(t, srv, "GET", "/api/v1/drilldown?"+path, ""); a.code/100 != 4 || !strings.Contains(a.body, says) {
			t.Errorf("%.60s: %d %s", path, a.code, a.body)
		}
	}
}
