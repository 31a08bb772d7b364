package api_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/api"
)

func TestAQueryIsForecastWithItsPastBeside(t *testing.T) {
	s := openSample(t, 0, false, sampleEnd)
	srv := api.New(s.options())
	q := url.QueryEscape(`sum(norn_request_rate)`)
	r := read[api.ForecastResult](t, srv, "/api/v1/forecast?horizon=10m&step=1m&candidates=true&limit=1e9&query="+q)
	if r.StepMS != 60_000 || len(r.Fans) != 1 || r.Total != 1 {
		t.Fatalf("%+v", r)
	}
	f := r.Fans[0]
	if len(f.T) != 10 || len(f.Mean) != 10 || f.T[0] != r.To+60_000 || len(f.Past.T) == 0 || f.Reason == "" || len(f.Candidates) < 2 {
		t.Fatalf("%+v", f)
	}
	for k := range f.T {
		if !(f.Low95[k] <= f.Low80[k] && f.Low80[k] <= f.Mean[k] && f.Mean[k] <= f.High80[k] && f.High80[k] <= f.High95[k]) || f.Low95[k] < 0 {
			t.Errorf("step %d: %v %v %v %v %v", k, f.Low95[k], f.Low80[k], f.Mean[k], f.High80[k], f.High95[k])
		}
	}
	if f.Limit == nil || f.Limit.P50 != nil {
		t.Errorf("a limit far away: %+v", f.Limit)
	}
}

func TestForecastsThatCannotBeMadeAreRefusedByName(t *testing.T) {
	s := openSample(t, 0, false, sampleEnd)
	srv := api.New(s.options())
	for path, want := range map[string]string{
		"/api/v1/forecast?query=sum(":                              "",
		"/api/v1/forecast?query=up&horizon=soon":                   "horizon",
		"/api/v1/forecast?query=up&horizon=2y&step=1m":             "steps ahead",
		"/api/v1/forecast?query=up&horizon=5y":                     "two years",
		"/api/v1/forecast?query=up&horizon=1m&step=1h":             "shorter",
		"/api/v1/forecast?query=up&limit=much":                     "limit",
		"/api/v1/forecast?query=up&step=1ms":                       "second",
		"/api/v1/capacity/plan?query=vector(1)&per_replica=0":      "replica",
		"/api/v1/capacity/plan?query=up&per_replica=1&time_zone=X": "time_zone",
		"/api/v1/capacity/plan?query=no_such&per_replica=1":        "0 series",
	} {
		a := ask(t, srv, "GET", path, "")
		if a.code/100 != 4 || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s", path, a.code, a.body)
		}
	}
}

func TestWhatHasALimitIsListedByUrgency(t *testing.T) {
	s := openSample(t, 0, false, sampleEnd)
	srv := api.New(s.options())
	all := read[api.CapacityList](t, srv, "/api/v1/capacity")
	if len(all.Capacity) != 2 || all.Total != 2 || !all.Capacity[0].Urgent {
		t.Fatalf("%+v", all)
	}
	if r := read[api.CapacityList](t, srv, "/api/v1/capacity?urgent=true&entity=host/node-1"); r.Total != 1 || r.Capacity[0].Resource != "disk" {
		t.Errorf("%+v", r)
	}
	if r := read[api.CapacityList](t, srv, "/api/v1/capacity?resource=queue"); r.Total != 0 || r.Capacity == nil {
		t.Errorf("%+v", r)
	}
}
