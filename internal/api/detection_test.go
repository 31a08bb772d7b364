package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/store"
)

// Wishes are kept as the pipeline keeps them: checked, with a revision.
func (p *samplePipeline) Wishes() (file, stored rules.Config, revision int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return rules.Config{Mutes: []rules.Mute{{Name: "from the file", Match: "{}", Start: "2026-01-01T00:00:00Z"}}}, p.wishes, p.revision
}

func (p *samplePipeline) SetWishes(_ context.Context, c rules.Config, revision int64) error {
	file, _, _ := p.Wishes()
	p.mu.Lock()
	defer p.mu.Unlock()
	if revision != p.revision {
		return fmt.Errorf("revision is %d: %w", p.revision, api.ErrConflict)
	}
	if _, err := rules.Compile(time.LoadLocation, file, c); err != nil {
		return fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	p.wishes, p.revision = c, revision+1
	return nil
}

func (p *samplePipeline) Extensions() api.Extensions {
	return api.Extensions{Mutes: []api.MuteState{{Name: "from the file", Open: true, Muted: 1}}, RefusedValues: 3}
}

func (p *samplePipeline) General() api.GeneralDetection {
	return api.GeneralDetection{FalseAlarms: .05, Seasons: api.SeasonSettings{TimeZone: "Local"}}
}

func (p *samplePipeline) Muted(limit int) []api.Muted {
	return []api.Muted{{Mute: "from the file", Anomaly: ops.Anomaly{ID: "a1"}}}[:min(1, limit)]
}

// What is set for detection is read, changed, and read again; who comes too
// late is told so, and what cannot be used is named and changes nothing.
func TestDetectionIsSetThroughTheAPI(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	srv := api.New(s.options())
	before := read[api.DetectionSettings](t, srv, "/api/v1/detection")
	if before.Revision != 0 || len(before.File.Mutes) != 1 || len(before.Stored.Rules) != 0 || before.State.RefusedValues != 3 || !before.State.Mutes[0].Open {
		t.Errorf("at first: %+v", before)
	}
	change := `{"revision":0,"rules":[{"name":"r","match":"{service_name=\"cart\"}","weight":2,"min_deviation":{"relative":0.2},"range":{"min":0}}],
		"mutes":[{"name":"m","match":"{}","weekly":{"days":["sat"],"from":"22:00","to":"02:00","time_zone":"Europe/Berlin"}}],
		"custom_metrics":[{"name":"x","expr":"sum(up)","interval":"30s","timeout":"500ms"}]}`
	a := ask(t, srv, "PUT", "/api/v1/detection", change)
	if a.code != 200 {
		t.Fatalf("%d %s", a.code, a.body)
	}
	var after api.DetectionSettings
	must(t, json.Unmarshal([]byte(a.body), &after))
	r, m := after.Stored.Rules[0], after.Stored.CustomMetrics[0]
	if after.Revision != 1 || *r.Weight != 2 || *r.MinDeviation.Relative != .2 || *r.Range.Min != 0 || r.Range.Max != nil || time.Duration(m.Interval) != 30*time.Second {
		t.Errorf("afterwards: %+v", after)
	}
	if !strings.Contains(a.body, `"interval":"30s"`) {
		t.Errorf("durations are not written as they are read: %s", a.body)
	}
	for _, tc := range []struct {
		body string
		code int
		says string
	}{
		{change, 409, "revision is 1"},
		{`{"revision":1,"rules":[{"name":"r","match":"{x="}],"mutes":[],"custom_metrics":[]}`, 400, "rules[0] (r).match"},
		{`{"revision":1,"rules":[],"mutes":[{"name":"from the file","match":"{}","start":"2026-01-01T00:00:00Z"}],"custom_metrics":[]}`, 400, "taken"},
		{`{"revision":1,"rules":[{"name":"r","match":"x","wieght":1}],"mutes":[],"custom_metrics":[]}`, 422, "wieght"},
		{`{"revision":1,"mutes":[],"custom_metrics":[]}`, 422, "rules"},
		{`{"revision":1,"rules":null,"mutes":[],"custom_metrics":[]}`, 422, "rules"},
		{`{"revision":1,"rules":[],"mutes":[],"custom_metrics":[{"name":"x","expr":"up","interval":"soon"}]}`, 422, "soon"},
		{`{"revision":"1"}`, 422, "revision"}, {`[]`, 422, "object"}, {``, 400, "body"},
	} {
		if a := ask(t, srv, "PUT", "/api/v1/detection", tc.body); a.code != tc.code || !strings.Contains(a.body, tc.says) {
			t.Errorf("%.90s: %d %.200s, want %d with %q", tc.body, a.code, a.body, tc.code, tc.says)
		}
	}
	// Each fault says which field it is about, so that a form can show it there.
	a = ask(t, srv, "PUT", "/api/v1/detection", `{"revision":1,"rules":[{"name":"r (old)","match":"x","weight":11,"sensitivity":"some"}],"mutes":[{"name":"m","match":"{}"}],"custom_metrics":[]}`)
	for _, want := range []string{`"location":"body.rules[0].weight"`, `"location":"body.rules[0].sensitivity"`, `"location":"body.mutes[0]"`, `"message":"11 is not between 0 and 10"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the refusal does not say %s: %s", want, a.body)
		}
	}
	if now := read[api.DetectionSettings](t, srv, "/api/v1/detection"); now.Revision != 1 || len(now.Stored.Rules) != 1 {
		t.Errorf("what was refused changed something: %+v", now)
	}
	if muted := read[api.MutedList](t, srv, "/api/v1/detection/muted?limit=1"); len(muted.Muted) != 1 || muted.Muted[0].Mute != "from the file" {
		t.Errorf("muted: %+v", muted)
	}
}

func (p *samplePipeline) StartBacktest(from, to int64, change string, stored *rules.Config) (api.Backtest, error) {
	if stored == nil && !strings.HasPrefix(change, "detection:") {
		return api.Backtest{}, fmt.Errorf("line 1: %w", api.ErrInvalid)
	}
	if stored != nil {
		if _, err := rules.Compile(time.LoadLocation, *stored); err != nil {
			return api.Backtest{}, fmt.Errorf("%w: %w", api.ErrInvalid, err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.tests) > 0 {
		return api.Backtest{}, fmt.Errorf("one runs: %w", api.ErrConflict)
	}
	p.tests = append(p.tests, api.Backtest{ID: "bt-1", State: api.BacktestRuns, From: from, To: to, Change: change})
	return p.tests[0], nil
}

func (p *samplePipeline) Backtest(id string) (api.Backtest, error) {
	for _, b := range p.Backtests() {
		if b.ID == id {
			return b, nil
		}
	}
	return api.Backtest{}, fmt.Errorf("backtest %q: %w", id, store.ErrNotFound)
}

func (p *samplePipeline) Backtests() []api.Backtest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]api.Backtest{}, p.tests...)
}

func (p *samplePipeline) StopBacktest(id string) (api.Backtest, error) {
	p.mu.Lock()
	for i := range p.tests {
		p.tests[i].State = api.BacktestStopped
	}
	p.mu.Unlock()
	return p.Backtest(id)
}

func (p *samplePipeline) Mark(ctx context.Context, id, who string, mark ops.Mark) (*ops.Incident, error) {
	return p.change(ctx, id, "marked", who, string(mark), func(in *ops.Incident) error { in.Mark = mark; return nil })
}

// Backtests are begun, watched and stopped; what cannot be used, a second one
// and one that is not there are refused.
func TestBacktestsThroughTheAPI(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	srv := api.New(s.options())
	for _, tc := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "backtests", `{"from":"-1d","change":"nonsense"}`, 400},
		{"POST", "backtests", `{"from":"yesterday","change":"detection: {}"}`, 400},
		{"POST", "backtests", `{"change":"detection: {}"}`, 422},
		{"POST", "backtests", `{"from":"-1d"}`, 422},
		{"POST", "backtests", `{"from":"-1d","stored":{"rules":[{"name":"r","match":"x="}],"mutes":[],"custom_metrics":[]}}`, 400},
		{"GET", "backtests/bt-1", "", 404},
		{"POST", "backtests/bt-1/stop", "", 404},
		{"POST", "backtests", `{"from":"-1d","change":"detection: {}"}`, 200},
		{"POST", "backtests", `{"from":"-1d","change":"detection: {}"}`, 409},
		{"GET", "backtests/bt-1", "", 200},
		{"POST", "backtests/bt-1/stop", "", 200},
	} {
		if a := ask(t, srv, tc.method, "/api/v1/"+tc.path, tc.body); a.code != tc.want {
			t.Errorf("%s %s %s: %d %s", tc.method, tc.path, tc.body, a.code, a.body)
		}
	}
	list := read[api.BacktestList](t, srv, "/api/v1/backtests").Backtests
	if len(list) != 1 || list[0].State != api.BacktestStopped || list[0].To-list[0].From != 24*3600_000 {
		t.Errorf("%+v", list)
	}
}

// An incident is marked, and the mark taken back.
func TestIncidentsAreMarked(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	srv := api.New(s.options())
	id := read[api.IncidentList](t, srv, "/api/v1/incidents?from=0").Incidents[0].ID
	for _, mark := range []string{"real", "noise", "none"} {
		if a := ask(t, srv, "POST", "/api/v1/incidents/"+id+"/mark", `{"mark":"`+mark+`"}`); a.code != 200 {
			t.Fatalf("%s: %d %s", mark, a.code, a.body)
		}
		want := strings.TrimSuffix(mark, "none")
		if got := read[ops.Incident](t, srv, "/api/v1/incidents/"+id); string(got.Mark) != want {
			t.Errorf("%s gives %q", mark, got.Mark)
		}
	}
	if a := ask(t, srv, "POST", "/api/v1/incidents/"+id+"/mark", `{"mark":"maybe"}`); a.code != 422 {
		t.Errorf("maybe: %d", a.code)
	}
	if a := ask(t, srv, "POST", "/api/v1/incidents/nope/mark", `{"mark":"real"}`); a.code != 404 {
		t.Errorf("unknown: %d", a.code)
	}
}
