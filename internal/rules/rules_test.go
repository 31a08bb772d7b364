package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func number64(v float64) *float64 { return &v }

func compile(t *testing.T, c Config) *Set {
	t.Helper()
	s, err := Compile(time.LoadLocation, c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func series(derived bool, ls ...string) *telemetry.Series {
	return &telemetry.Series{Labels: labels.FromStrings(ls...), Derived: derived, Direction: telemetry.UpBad, Signal: telemetry.SignalLatency,
		Entity: telemetry.Entity{Kind: telemetry.KindService, Name: "cart"}}
}

// Rules apply in their order, each for what it names; equal policies are one.
func TestLaterRulesWinForWhatTheyName(t *testing.T) {
	s := compile(t, Config{Rules: []Rule{
		{Name: "all", Match: "{}", Weight: number64(.5), Sensitivity: "low", Members: map[string]float64{"shape": 0}},
		{Name: "cart", Match: `{service_name="cart"}`, Weight: number64(2), Direction: "down"},
		{Name: "other", Match: `{service_name="mail"}`, Weight: number64(3)},
		{Name: "fine", Match: `latency{quantile=~"0.9.*"}`, Sensitivity: "high", MinDeviation: MinDeviation{Relative: number64(.2)}, Members: map[string]float64{"spike": .5}},
	}})
	a, b := series(false, "__name__", "latency", "quantile", "0.95"), series(false, "__name__", "latency", "quantile", "0.99")
	s.Describe(a)
	s.Describe(b)
	p := a.Policy
	if p == nil || p != b.Policy {
		t.Fatalf("policies %+v and %+v are not one", a.Policy, b.Policy)
	}
	if strings.Join(p.Rules, ",") != "all,cart,fine" || p.Weight != 2 || p.Sensitivity != 1 || p.MinRelative != .2 || a.Direction != telemetry.DownBad {
		t.Errorf("policy %+v, direction %d", p, a.Direction)
	}
	if p.Factor("shape") != 0 || p.Factor("spike") != 1 || p.Factor("level") != 2 {
		t.Errorf("factors %v %v %v", p.Factor("shape"), p.Factor("spike"), p.Factor("level"))
	}
}

// A rule on a metric's name holds for what is derived from it; a rule that
// leaves the name out leaves both out.
func TestDerivedSeriesAnswerToTheirMetricsName(t *testing.T) {
	for _, tc := range []struct {
		match string
		want  bool
	}{
		{`requests_total`, true}, {`{__name__="requests_total:rate"}`, true}, {`{__name__!="requests_total",service_name="cart"}`, false},
		{`{__name__!~"requests_total:.*",service_name="cart"}`, false}, {`{__name__=~"requests.*"}`, true}, {`requests`, false},
		{`{entity="service/cart"}`, true}, {`{signal="latency"}`, true}, {`{peer!="",service_name="cart"}`, false},
		{`{service_name="cart",region="eu"}`, false}, {`{service_name="cart",region=""}`, true},
	} {
		s := compile(t, Config{Rules: []Rule{{Name: "r", Match: tc.match, Weight: number64(2)}}})
		m := series(true, "__name__", "requests_total:rate")
		if s.Describe(m); (m.Policy != nil) != tc.want {
			t.Errorf("%s matches: %t, want %t", tc.match, !tc.want, tc.want)
		}
	}
}

func at(t *testing.T, text string) int64 {
	t.Helper()
	x, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return x.UnixMilli()
}

// Windows follow the wall clock of their zone over changes of summer time, and
// over midnight they belong to the day on which they begin.
func TestWeeklyWindowsFollowTheWallClock(t *testing.T) {
	berlin := func(days []string, from, to string) *Weekly {
		return &Weekly{Days: days, From: from, To: to, TimeZone: "Europe/Berlin"}
	}
	for _, tc := range []struct {
		name string
		w    *Weekly
		when string
		open bool
	}{
		{"winter, 22:30 in Berlin", berlin([]string{"fri"}, "22:00", "23:00"), "2026-01-02T21:30:00Z", true},
		{"winter, 23:30 in Berlin", berlin([]string{"fri"}, "22:00", "23:00"), "2026-01-02T22:30:00Z", false},
		{"summer, 22:30 in Berlin", berlin([]string{"fri"}, "22:00", "23:00"), "2026-07-03T20:30:00Z", true},
		{"summer, 23:30 in Berlin", berlin([]string{"fri"}, "22:00", "23:00"), "2026-07-03T21:30:00Z", false},
		{"the end is not part of it", berlin(nil, "22:00", "23:00"), "2026-01-02T22:00:00Z", false},
		{"another day", berlin([]string{"sat"}, "22:00", "23:00"), "2026-01-02T21:30:00Z", false},
		{"over midnight, before it", berlin([]string{"FRI"}, "22:00", "04:00"), "2026-01-02T22:59:00Z", true},
		{"over midnight, behind it", berlin([]string{"fri"}, "22:00", "04:00"), "2026-01-03T02:59:59Z", true},
		{"over midnight, behind the end", berlin([]string{"fri"}, "22:00", "04:00"), "2026-01-03T03:00:00Z", false},
		{"over midnight, the morning of the first day", berlin([]string{"fri"}, "22:00", "04:00"), "2026-01-02T02:00:00Z", false},
		{"sunday into monday", berlin([]string{"sun"}, "23:00", "01:00"), "2026-01-04T23:30:00Z", true},
		{"the whole day", berlin([]string{"sat"}, "00:00", "24:00"), "2026-01-03T22:59:59Z", true},
		{"equal ends are a whole day", berlin([]string{"sat"}, "06:00", "06:00"), "2026-01-04T04:59:00Z", true},
		{"the skipped hour, a second before", berlin(nil, "02:00", "03:00"), "2026-03-29T00:59:59Z", false},
		{"the skipped hour, just after", berlin(nil, "02:00", "03:00"), "2026-03-29T01:00:00Z", false},
		{"the doubled hour, first time", berlin(nil, "02:00", "03:00"), "2026-10-25T00:30:00Z", true},
		{"the doubled hour, second time", berlin(nil, "02:00", "03:00"), "2026-10-25T01:30:00Z", true},
		{"no zone is UTC", &Weekly{From: "10:00", To: "11:00"}, "2026-07-03T10:30:00Z", true},
	} {
		s := compile(t, Config{Mutes: []Mute{{Name: "m", Match: "{}", Weekly: tc.w}}})
		if _, got := s.Muted(&ops.Anomaly{}, nil, at(t, tc.when)); got != tc.open {
			t.Errorf("%s (%s): open %t, want %t", tc.name, tc.when, got, tc.open)
		}
	}
}

// A mute takes anomalies of series, of logs and of other tools.
func TestMutesMatchAnomaliesOfAllSources(t *testing.T) {
	cart := telemetry.Entity{Kind: telemetry.KindService, Name: "cart"}
	line := &ops.Anomaly{Entity: cart, Kind: ops.AnomalyNewTemplate, Member: "template", Source: "norn", Signal: telemetry.SignalLogs}
	alert := &ops.Anomaly{Entity: cart, Kind: ops.AnomalyAlert, Source: "alertmanager"}
	of := &ops.Anomaly{Entity: cart, Kind: ops.AnomalySpike, Member: "spike", Source: "norn", SeriesID: 5}
	meta := series(false, "__name__", "latency", "zone", "eu")
	for _, tc := range []struct {
		match              string
		line, alert, spike bool
	}{
		{`{}`, true, true, true}, {`{entity="service/cart"}`, true, true, true}, {`{service_name="cart"}`, true, true, true},
		{`{source="alertmanager"}`, false, true, false}, {`{kind="new_template"}`, true, false, false}, {`{member="spike",zone="eu"}`, false, false, true},
		{`latency`, false, false, true}, {`{signal="logs"}`, true, false, false}, {`{entity="service/mail"}`, false, false, false},
	} {
		s := compile(t, Config{Mutes: []Mute{{Name: "m", Match: tc.match, Start: "2026-01-01T00:00:00Z", End: "2026-01-01T01:00:00+00:00"}}})
		when := at(t, "2026-01-01T00:30:00Z")
		_, a := s.Muted(line, nil, when)
		_, b := s.Muted(alert, nil, when)
		_, c := s.Muted(of, meta, when)
		if a != tc.line || b != tc.alert || c != tc.spike {
			t.Errorf("%s: %t %t %t", tc.match, a, b, c)
		}
		if _, after := s.Muted(line, nil, at(t, "2026-01-01T01:00:00Z")); after {
			t.Errorf("%s holds after its end", tc.match)
		}
	}
}

// Every fault is named with its place, all at once, and none panics.
func TestFaultsAreNamedAllAtOnce(t *testing.T) {
	w := func(v float64) *float64 { return &v }
	_, err := Compile(time.LoadLocation, Config{
		Rules: []Rule{
			{Match: "x"}, {Name: "a", Match: `{x=`}, {Name: "a", Match: "x", Weight: w(-1), Direction: "sideways", Sensitivity: "some"},
			{Name: "b", Match: "", Weight: w(11), Range: Range{Min: w(3), Max: w(1)}, Members: map[string]float64{"levels": 1}},
			{Name: "c", Match: "x", MinDeviation: MinDeviation{Absolute: w(-3)}},
		},
		Mutes: []Mute{
			{Name: "m", Match: "{}"}, {Name: "n", Match: "{}", Start: "yesterday"}, {Name: "o", Match: "{}", Start: "2026-01-02T00:00:00Z", End: "2026-01-01T00:00:00Z"},
			{Name: "p", Match: "{}", Weekly: &Weekly{Days: []string{"someday"}, From: "25:00", To: "7:00", TimeZone: "Mars/Base"}},
		},
		CustomMetrics: []CustomMetric{
			{Name: "norn_x", Expr: "up"}, {Name: "a b", Expr: "up"}, {Name: "x", Expr: "sum(("}, {Name: "y"}, {Name: "z", Expr: "up", Logs: "*"},
			{Name: "v", Expr: "up[5m]"}, {Name: "u", Expr: "up", By: []string{"a"}, Interval: 1, Signal: "mood", Entity: "a", EntityLabel: "b"}, {Name: "u", Expr: "up"},
		},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"rules[0]: name is missing", "rules[1] (a).match", "rules[2] (a): the name is taken", "rules[2] (a).weight", "rules[2] (a).direction", "rules[2] (a).sensitivity",
		"rules[3] (b).match", "rules[3] (b).weight", "rules[3] (b).range", `"levels"`, "rules[4] (c).min_deviation.absolute", "mutes[0] (m): needs", "mutes[1] (n).start",
		"mutes[2] (o).end", "weekly.days", "weekly.from", "weekly.to", "weekly.time_zone", "custom_metrics[0] (norn_x).name", "custom_metrics[1] (a b).name",
		"custom_metrics[2] (x).expr", "custom_metrics[3] (y): needs", "custom_metrics[4] (z): needs", "custom_metrics[5] (v).expr", "custom_metrics[6] (u).by",
		"custom_metrics[6] (u).interval", "custom_metrics[6] (u).signal", "custom_metrics[6] (u): entity and", "custom_metrics[7] (u): the name is taken",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q", want)
		}
	}
	many := Config{}
	for i := range MaxMutes + 1 {
		many.Mutes = append(many.Mutes, Mute{Name: fmt.Sprint(i), Match: "{}", Start: "2026-01-01T00:00:00Z"})
	}
	if _, err := Compile(time.LoadLocation, many); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("%d mutes: %v", len(many.Mutes), err)
	}
}

// Names are unique over the file's part and the API's.
func TestPartsShareTheirNames(t *testing.T) {
	a := Config{Mutes: []Mute{{Name: "m", Match: "{}", Start: "2026-01-01T00:00:00Z"}}}
	if _, err := Compile(time.LoadLocation, a, a); err == nil || !strings.Contains(err.Error(), "taken") {
		t.Errorf("error %v", err)
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(`{a="b"}`, "up", "22:00", "Europe/Berlin", "2026-01-01T00:00:00Z")
	f.Add(`{a=~"("}`, "sum(", "24:00", "", "")
	f.Fuzz(func(t *testing.T, match, expr, clock, zone, when string) {
		s, err := Compile(time.LoadLocation, Config{
			Rules:         []Rule{{Name: "r", Match: match, Weight: number64(1)}},
			Mutes:         []Mute{{Name: "m", Match: match, Start: when, Weekly: &Weekly{From: clock, To: clock, TimeZone: zone}}},
			CustomMetrics: []CustomMetric{{Name: "c", Expr: expr, EntityLabel: zone}},
		})
		if err != nil {
			return
		}
		m := series(true, "__name__", "c")
		s.Describe(m)
		s.Muted(&ops.Anomaly{}, m, 0)
		s.Muted(&ops.Anomaly{}, nil, 1<<50)
	})
}
