package api_test

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/simulate"
	"github.com/norn-aiops/norn/internal/store/tsdb"
)

// busyShop answers over two days of a frontend, usual peak 100 a second, that
// asks the store 0.8 times for each request; the store is one server that
// saturates at 150 a second.
func busyShop(t *testing.T) *api.Server {
	t.Helper()
	s := openSample(t, 0, false, sampleEnd)
	m, err := tsdb.Open(t.TempDir(), tsdb.Options{MaxFuture: -1})
	must(t, err)
	t.Cleanup(func() { must(t, m.Close()) })
	rng, app := rand.New(rand.NewPCG(21, 21)), m.AppenderV2(context.Background())
	put := func(at int64, v float64, ls ...string) {
		_, err := app.Append(0, labels.FromStrings(ls...), 0, at, v, nil, nil, storage.AOptions{})
		must(t, err)
	}
	const front, store = "service/frontend", "database/store"
	for at := s.end - 2*24*3600_000; at <= s.end; at += 60_000 {
		day := .65 - .35*math.Cos(2*math.Pi*float64(at%(24*3600_000))/(24*3600_000))
		load := 100 * day * math.Exp(.03*rng.NormFloat64())
		put(at, load, "__name__", "norn_request_rate", "entity", front)
		put(at, .8*load, "__name__", "norn_request_rate", "entity", store)
		put(at, .8*load, "__name__", "norn_edge_request_rate", "entity", front, "peer", store)
		put(at, .02*math.Exp(.05*rng.NormFloat64()), "__name__", "norn_self_time_mean_seconds", "entity", front)
		put(at, 1/(150-.8*load)*math.Exp(.05*rng.NormFloat64()), "__name__", "norn_self_time_mean_seconds", "entity", store)
		put(at, .05, "__name__", "norn_latency_mean_seconds", "entity", front)
		put(at, load*.3, "__name__", "norn_operation_request_rate", "entity", front, "operation", "GET /")
		put(at, load*.7, "__name__", "norn_operation_request_rate", "entity", front, "operation", "POST /buy")
	}
	must(t, app.Commit())
	o := s.options()
	o.Metrics = m
	return api.New(o)
}

func TestWhatIfTellsTheFirstToBreak(t *testing.T) {
	srv := busyShop(t)
	a := read[simulate.Answer](t, srv, "/api/v1/whatif?kind=surge&factor=5&from=-2d&horizon=7d")
	if a.First == nil || a.First.Entity.Name != "store" || !a.Breaks {
		t.Fatalf("%s: %+v", a.Sentence, a.First)
	}
	// Own time 3 times its median: 150 - (150-52)/3 = 117 a second.
	if b := a.First.BreakingLoad; math.Abs(b.P50/117-1) > .1 || b.P10 > b.P50 || b.P50 > b.P90 {
		t.Errorf("the store's own time is thrice the usual at 117 a second: %+v", b)
	}
	if len(a.Unknown) != 1 || a.Unknown[0].Entity.Name != "frontend" || a.Unknown[0].Curve.Refusal == "" {
		t.Errorf("the frontend's own time never moved: %+v", a.Unknown)
	}
	if a.When == nil || a.When.Usual == nil || *a.When.Usual < sampleEnd.UnixMilli() {
		t.Errorf("five times the forecast load breaks it in days: %+v", a.When)
	}
	again := read[simulate.Answer](t, srv, "/api/v1/whatif?kind=surge&factor=5&from=-2d&horizon=7d")
	if again.Sentence != a.Sentence {
		t.Errorf("the same question, another answer: %s", again.Sentence)
	}
	slow := read[simulate.Answer](t, srv, "/api/v1/whatif?kind=slow&entity=database/store&by=200ms&from=-2d")
	if slow.First == nil || math.Abs(slow.First.Latency-.21) > .01 || !slow.Breaks {
		t.Errorf("0.05 s and 0.8 calls of 0.2 s more: %+v", slow.First)
	}
	flood := read[simulate.Answer](t, srv, "/api/v1/whatif?kind=ddos&rps=500&entity=service/frontend&operation="+url.QueryEscape("POST /buy")+"&from=-2d")
	if flood.First == nil || flood.First.Entity.Name != "store" {
		t.Errorf("%s", flood.Sentence)
	}
	loss := read[simulate.Answer](t, srv, "/api/v1/whatif?kind=loss&entity=database/store&from=-2d")
	if loss.First == nil || !loss.First.Gone {
		t.Errorf("%s", loss.Sentence)
	}
}

func TestWhatIfRefusesNonsenseByName(t *testing.T) {
	srv := busyShop(t)
	for query, name := range map[string]string{
		"kind=surge&factor=-1":                              "factor",
		"kind=ddos&rps=5":                                   "entity",
		"kind=slow&entity=database/store":                   "by",
		"kind=slow&entity=database/x&by=1s":                 "database/x",
		"kind=slow&entity=a&by=soon":                        "by",
		"kind=loss&entity=host/none":                        "host/none",
		"kind=surge&horizon=90y":                            "horizon",
		"kind=surge&entity=service/frontend&operation=none": "none",
	} {
		if a := ask(t, srv, "GET", "/api/v1/whatif?from=-1h&"+query, ""); a.code != http.StatusBadRequest || !strings.Contains(a.body, name) {
			t.Errorf("%s: %d %.200s", query, a.code, a.body)
		}
	}
}

// An estate without a past gives an answer that says so.
func TestWhatIfOfALittlePast(t *testing.T) {
	s := openSample(t, 0, false, sampleEnd)
	a := read[simulate.Answer](t, api.New(s.options()), "/api/v1/whatif?kind=users")
	if a.First != nil || a.Breaks || len(a.Unknown) != 14 || !strings.Contains(a.Sentence, "cannot be told") {
		t.Errorf("%s: %d unknown", a.Sentence, len(a.Unknown))
	}
}
