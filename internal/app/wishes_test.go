package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/cli"
	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/detect/choice"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/pipeline"
	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// feed is an offline Norn on a clock of its own, and what it is told.
type feed struct {
	t     *testing.T
	o     *Offline
	now   int64
	began int64
}

func newFeed(t *testing.T, dir, detection string, start int64) *feed {
	t.Helper()
	cfg, err := config.Parse([]byte("detection:\n" + detection))
	if err != nil {
		t.Fatal(err)
	}
	o, err := newOffline(t.Context(), cfg, dir, start, false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &feed{t, o, start, start}
}

// run appends what values gives for every 15 seconds and ticks, until length
// has passed.
func (f *feed) run(length time.Duration, values func(t int64) map[string]float64) {
	f.t.Helper()
	for end := f.now + length.Milliseconds(); f.now < end; {
		f.now += 15_000
		app := f.o.Stores.Metrics.AppenderV2(f.t.Context())
		for series, v := range values(f.now) {
			name, rest, _ := strings.Cut(series, " ")
			ls := labels.FromStrings("__name__", name, "service_name", "cart")
			if rest != "" {
				ls = labels.FromStrings("__name__", name, "service_name", rest)
			}
			if _, err := app.Append(0, ls, 0, f.now, v, nil, nil, storage.AOptions{}); err != nil {
				f.t.Fatalf("%s: %v", ls, err)
			}
		}
		if err := app.Commit(); err != nil {
			f.t.Fatal(err)
		}
		f.tick()
	}
}

func (f *feed) tick() {
	f.t.Helper()
	f.o.Pipeline.Engine().Settle()
	if err := f.o.Pipeline.Tick(f.t.Context(), f.now); err != nil {
		f.t.Fatal(err)
	}
}

// raised gives the anomalies since the beginning by the name of their series.
func (f *feed) raised() map[string][]ops.Anomaly {
	f.t.Helper()
	list, err := f.o.Stores.State.Anomalies(f.t.Context(), f.began, f.now+1, 1000)
	if err != nil {
		f.t.Fatal(err)
	}
	out := map[string][]ops.Anomaly{}
	for _, a := range list {
		out[a.Series] = append(out[a.Series], a)
	}
	return out
}

func (f *feed) close() {
	f.t.Helper()
	if err := f.o.Close(); err != nil {
		f.t.Fatal(err)
	}
}

// One disturbance, seen through many rules: only what the operator wants to
// hear is raised.
func TestRulesDecideWhatIsRaised(t *testing.T) {
	f := newFeed(t, t.TempDir(), `
  rules:
    - {name: only falls matter, match: 'queue_falls', direction: down}
    - {name: only rises matter, match: 'queue_rises', direction: up}
    - {name: not watched, match: 'queue_off', weight: 0}
    - {name: small is fine, match: 'queue_absolute', min_deviation: {absolute: 80}}
    - {name: large is not, match: 'queue_small_absolute', min_deviation: {absolute: 30}}
    - {name: half as much is fine, match: 'queue_relative', min_deviation: {relative: 0.8}}
    - {name: no level please, match: 'queue_members', member_weights: {level: 0, drift: 0, spike: 0, shape: 0}}
    - {name: light, match: 'queue_light', weight: 0.4}
    - {name: sensor, match: '{__name__=~"queue_sensor.*"}', range: {min: 0, max: 1000}}
    - {name: all of basket, match: '{service_name="basket"}', weight: 0}
    - {name: but this, match: '{entity="service/basket",__name__="queue_kept"}', weight: 1}
`, 1_760_000_000_000)
	defer f.close()
	seed := uint64(7)
	rng := rand.New(rand.NewPCG(seed, 1))
	names := []string{"queue_plain", "queue_falls", "queue_rises", "queue_off", "queue_absolute", "queue_small_absolute", "queue_relative",
		"queue_members", "queue_light", "queue_sensor", "queue_other basket", "queue_kept basket"}
	n := 0
	at := func(level float64) func(int64) map[string]float64 {
		return func(int64) map[string]float64 {
			out := map[string]float64{}
			for _, name := range names {
				out[name] = level + 2*rng.NormFloat64()
			}
			if n++; n%50 == 0 { // a broken sensor
				out["queue_sensor"] = -32768
			}
			return out
		}
	}
	f.run(8*time.Hour, at(100))
	if got := f.raised(); len(got) > 1 { // chance may raise one
		t.Errorf("normal life raised %v (seed %d)", got, seed)
	}
	f.began = f.now
	f.run(15*time.Minute, at(150))
	got := f.raised()
	for name, want := range map[string]bool{
		"queue_plain": true, "queue_falls": false, "queue_rises": true, "queue_off": false, "queue_absolute": false, "queue_small_absolute": true,
		"queue_relative": false, "queue_members": false, "queue_light": true, "queue_sensor": true, "queue_other": false, "queue_kept": true,
	} {
		if has := len(got[name]) > 0; has != want {
			t.Errorf("%s raised: %t, want %t (seed %d): %+v", name, has, want, seed, got[name])
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	if heavy, light := got["queue_plain"][0].Severity, got["queue_light"][0].Severity; light > .45*heavy || light < .35*heavy {
		t.Errorf("severity %.2f, at a weight of 0.4 %.2f", heavy, light)
	}
	if v := got["queue_sensor"][0].Observed; v < 140 {
		t.Errorf("bad data reached detection: %v", v)
	}
	watched := f.o.Pipeline.Engine().List(func(s *telemetry.Series) bool { return s.Name == "queue_off" || s.Name == "queue_other" }, 0)
	if len(watched) != 0 {
		t.Errorf("%d series are watched that should not be", len(watched))
	}
	explained, _ := (&live{pipe: f.o.Pipeline}).Explain(got["queue_light"][0].SeriesID)
	if !slices.Contains(explained.Facts, api.Fact{Name: "rules", Text: "light: weight 0.4"}) {
		t.Errorf("the explanation does not name the rule: %+v", explained.Facts)
	}
	f.run(20*time.Minute, at(150)) // silence of what is not watched is no news
	for _, a := range slices.Concat(f.raised()["queue_off"], f.raised()["queue_other"]) {
		t.Errorf("raised all the same: %+v", a)
	}
}

// What is muted is not raised but listed; what outlasts the window is raised
// after it; what began before it goes on and ends.
func TestAMuteHoldsBackAndLetsGo(t *testing.T) {
	start := int64(1_760_000_000_000)
	when := func(d time.Duration) string {
		return time.UnixMilli(start).Add(d).UTC().Format(time.RFC3339)
	}
	dir := t.TempDir()
	wishes := fmt.Sprintf(`
  mutes:
    - {name: backup, match: '{entity="service/cart"}', start: %q, end: %q, comment: nightly}
`, when(8*time.Hour), when(9*time.Hour))
	f := newFeed(t, dir, wishes, start)
	rng := rand.New(rand.NewPCG(11, 1))
	levels := map[string]float64{"pool_before": 100, "pool_within": 100, "pool_after": 100, "pool_within mail": 100}
	feed := func(int64) map[string]float64 {
		out := map[string]float64{}
		for k, v := range levels {
			out[k] = v + 2*rng.NormFloat64()
		}
		return out
	}
	f.run(8*time.Hour-10*time.Minute, feed)
	f.began = f.now
	levels["pool_before"] = 160
	f.run(12*time.Minute, feed)
	if len(f.raised()["pool_before"]) == 0 {
		t.Fatal("a shift before the mute was not raised")
	}
	levels["pool_before"], levels["pool_within"], levels["pool_within mail"] = 100, 160, 160
	f.run(15*time.Minute, feed)
	levels["pool_within"], levels["pool_within mail"] = 100, 100
	f.run(15*time.Minute, feed)
	got := f.raised()
	if a := got["pool_before"]; a[0].Ended == 0 {
		t.Errorf("the end of what began before the mute did not come through: %+v", a)
	}
	if a := got["pool_within"]; len(a) == 0 || slices.ContainsFunc(a, func(a ops.Anomaly) bool { return a.Entity.Name == "cart" }) {
		t.Errorf("raised of pool_within: %+v, want that of mail only", a)
	}
	levels["pool_after"] = 160
	f.run(15*time.Minute, feed)
	if a := f.raised()["pool_after"]; len(a) != 0 {
		t.Errorf("raised in the window: %+v", a)
	}
	list, counts := f.o.Pipeline.Muted(100)
	if counts["backup"] < 2 || len(list) != int(counts["backup"]) || list[0].Mute != "backup" || list[0].Anomaly.Entity.Name != "cart" {
		t.Errorf("muted %v: %+v", counts, list)
	}
	f.run(15*time.Minute, feed)
	if a := f.raised()["pool_after"]; len(a) == 0 {
		t.Error("what outlasted the mute was not raised after it")
	}
	if err := f.o.Pipeline.Save(context.Background()); err != nil {
		t.Fatal(err)
	}
	f.close()
	f = newFeed(t, dir, wishes, f.now)
	defer f.close()
	if again, n := f.o.Pipeline.Muted(100); len(again) != len(list) || n["backup"] != counts["backup"] {
		t.Errorf("after a restart %d are listed and %v counted", len(again), n)
	}
}

// Expressions become series that are judged like any other; those that fail
// are said, counted, tried more rarely, and hold nobody up.
func TestCustomMetricsAreComputedAndWatched(t *testing.T) {
	f := newFeed(t, t.TempDir(), `
  custom_metrics:
    - {name: basket_share, expr: 'sum by (shop) (label_replace(baskets, "shop", "$1", "service_name", "(.*)")) / 100', interval: 30s,
       unit: "1", signal: saturation, entity_label: shop}
    - {name: failed_payments, logs: '"payment failed"', by: [service], interval: 1m, entity_label: service, direction: up}
    - {name: never_seen, logs: '"no such thing"', interval: 1m, entity: service/ghost}
    - {name: too_slow, expr: 'max_over_time(sum(baskets)[30d:1s])', interval: 30s, timeout: 10ms}
    - {name: too_many, expr: 'label_replace(numbers, "x", "y", "a", "b")', interval: 30s}
    - {name: two_of_a_kind, expr: 'baskets * on (service_name) group_right() twins', interval: 30s}
    - {name: not_logsql, logs: 'a:(', interval: 30s}
`, 1_760_000_000_000)
	defer f.close()
	rng := rand.New(rand.NewPCG(3, 1))
	level, failures := 100., 1
	values := func(now int64) map[string]float64 {
		recs := make([]telemetry.LogRecord, 0, failures+1)
		for i := range failures {
			recs = append(recs, telemetry.LogRecord{Time: now*1e6 - int64(i+1), Body: fmt.Sprintf("payment failed for order %d", rng.IntN(1e6)), Severity: telemetry.SeverityError,
				Resource: []telemetry.Attr{{Key: "service.name", Value: "till"}}, Source: "test", Sender: "test"})
		}
		if _, err := f.o.Pipeline.Logs(t.Context(), recs); err != nil {
			t.Fatal(err)
		}
		out := map[string]float64{"baskets mine": level + rng.NormFloat64(), "twins mine": 1}
		for i := range 501 {
			out[fmt.Sprintf("numbers s%d", i)] = float64(i)
		}
		return out
	}
	f.run(3*time.Hour, values)
	f.began = f.now
	level, failures = 170, 40
	f.run(12*time.Minute, values)

	got := f.raised()
	if a := got["basket_share"]; len(a) == 0 || a[0].Entity.String() != "service/mine" || a[0].Signal != telemetry.SignalSaturation || a[0].Unit != "1" || a[0].Observed < 1.6 {
		t.Errorf("basket_share raised %+v", a)
	}
	if a := got["failed_payments"]; len(a) == 0 || a[0].Entity.String() != "service/till" || a[0].Unit != "{line}/s" || a[0].Observed < 2 || a[0].Observed > 3 {
		t.Errorf("failed_payments raised %+v", a)
	}
	zero, err := f.o.Stores.Metrics.Select(t.Context(), f.began-3600_000, f.now, labels.MustNewMatcher(labels.MatchEqual, "__name__", "never_seen"))
	if err != nil || len(zero) != 1 || len(zero[0].Samples) < 60 || zero[0].Samples[30].V != 0 {
		t.Errorf("what no line matches must be 0: %v %v", zero, err)
	}
	states := map[string]int{}
	for i, s := range f.o.Pipeline.CustomMetrics() {
		states[s.Name] = i
	}
	list := f.o.Pipeline.CustomMetrics()
	for name, want := range map[string]string{
		"basket_share": "", "failed_payments": "", "never_seen": "", "too_many": "501 series", "not_logsql": "a:(",
		"too_slow": "longer than 10ms", "two_of_a_kind": "",
	} {
		s := list[states[name]]
		if s.Error != want && (want == "" || !strings.Contains(s.Error, want)) {
			t.Errorf("%s says %q, want %q", name, s.Error, want)
		}
		// (the very first evaluation may come before there is data)
		if want == "" && (s.Errors != 0 || s.Runs < 190) || want != "" && (s.Errors+1 < s.Runs || s.Runs < 5 || s.Runs > 60) {
			t.Errorf("%s ran %d times, failed %d times", name, s.Runs, s.Errors)
		}
	}
}

// What is set while Norn runs holds at once and after a restart; who is late
// is told, and what does not fit the configuration file any more is left aside.
func TestWishesAreFollowedAtOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	f := newFeed(t, dir, "\n  max_series: 1000", 1_760_000_000_000)
	rng := rand.New(rand.NewPCG(21, 1))
	level := 100.
	values := func(int64) map[string]float64 {
		out := map[string]float64{"pool_off": level + rng.NormFloat64(), "pool_on": level + rng.NormFloat64()}
		for i := range 12 {
			out[fmt.Sprintf("pool_calm s%d", i)] = 5 + rng.NormFloat64()
		}
		return out
	}
	f.run(3*time.Hour, values)
	level = 200
	f.began = f.now
	f.run(3*time.Minute, values)
	if got := f.raised(); len(got["pool_off"]) == 0 || got["pool_off"][0].Ended != 0 {
		t.Fatalf("raised %+v", got)
	}
	zero := 0.
	wish := rules.Config{Rules: []rules.Rule{{Name: "off", Match: "pool_off", Weight: &zero}}}
	p := f.o.Pipeline
	if n, err := p.SetWishes(t.Context(), wish, 0); err != nil || n != 1 {
		t.Fatalf("revision %d: %v", n, err)
	}
	if _, err := p.SetWishes(t.Context(), rules.Config{}, 0); !errors.Is(err, pipeline.ErrStale) {
		t.Errorf("a late change: %v", err)
	}
	if _, err := p.SetWishes(t.Context(), rules.Config{Rules: []rules.Rule{{Name: "x", Match: "("}}}, 1); !errors.Is(err, pipeline.ErrWish) {
		t.Errorf("a wrong change: %v", err)
	}
	if _, err := p.SetWishes(t.Context(), rules.Config{CustomMetrics: []rules.CustomMetric{{Name: "x", Logs: "a:("}}}, 1); !errors.Is(err, pipeline.ErrWish) || !strings.Contains(err.Error(), "custom_metrics[0] (x).logs") {
		t.Errorf("LogsQL that nobody understands: %v", err)
	}
	f.run(2*time.Minute, values)
	if got := f.raised(); got["pool_off"][0].Ended == 0 || got["pool_on"][0].Ended != 0 {
		t.Errorf("after the rule: %+v", got)
	}
	watched := func(name string) bool {
		return len(f.o.Pipeline.Engine().List(func(s *telemetry.Series) bool { return s.Name == name }, 0)) > 0
	}
	if watched("pool_off") || !watched("pool_on") {
		t.Errorf("watched: pool_off %t, pool_on %t", watched("pool_off"), watched("pool_on"))
	}
	if err := p.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.close()

	f = newFeed(t, dir, "\n  max_series: 1000", f.now)
	f.run(20*time.Minute, values)
	if watched("pool_off") || !watched("pool_on") {
		t.Errorf("after a restart watched: pool_off %t, pool_on %t", watched("pool_off"), watched("pool_on"))
	}
	if a := f.raised()["pool_off"]; len(a) != 0 && a[len(a)-1].Ended == 0 {
		t.Errorf("raised after a restart: %+v", a)
	}
	if _, err := f.o.Pipeline.SetWishes(t.Context(), rules.Config{}, 1); err != nil {
		t.Fatal(err)
	}
	f.run(2*time.Minute, values)
	if !watched("pool_off") {
		t.Error("without the rule pool_off is not watched again")
	}
	if _, err := f.o.Pipeline.SetWishes(t.Context(), wish, 2); err != nil {
		t.Fatal(err)
	}
	f.close()

	f = newFeed(t, dir, "\n  rules: [{name: off, match: pool_on, weight: 0}]", f.now)
	defer f.close()
	f.run(2*time.Minute, values)
	if !watched("pool_off") || watched("pool_on") {
		t.Errorf("with the name taken by the file: pool_off %t, pool_on %t", watched("pool_off"), watched("pool_on"))
	}
	if _, stored, revision := f.o.Pipeline.Wishes(); revision != 3 || len(stored.Rules) != 1 {
		t.Errorf("what was left aside is lost: revision %d, %+v", revision, stored)
	}
}

func TestMutesAtTheTerminal(t *testing.T) {
	a := inProcess(t, func(c *config.Config) {
		c.Detect.Mutes = []rules.Mute{{Name: "fixed", Match: "{}", Weekly: &rules.Weekly{From: "00:00", To: "00:00"}, Comment: "always"}}
	})
	server := a.Addr("http")
	for _, tc := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"list"}, cli.ExitOK, "always"},
		{[]string{"add", "deploy", "--match", `{service_name="cart"}`, "--for", "2h", "--comment", "ticket 4711"}, cli.ExitOK, "ticket 4711"},
		{[]string{"add", "backup", "--match", `{entity=~"database/.*"}`, "--days", "mon,tue", "--from", "23:00", "--to", "01:30", "--time-zone", "Europe/Berlin"}, cli.ExitOK, "mon,tue 23:00-01:30 Europe/Berlin"},
		{[]string{"add", "deploy", "--match", "{}", "--for", "1h"}, cli.ExitUsage, ""},
		{[]string{"add", "later", "--match", "{}", "--start", "soon", "--for", "1h"}, cli.ExitUsage, ""},
		{[]string{"add", "never", "--match", "{}"}, cli.ExitUsage, ""},
		{[]string{"add", "wrong", "--match", "{x=", "--for", "1h"}, cli.ExitUsage, ""},
		{[]string{"remove", "fixed"}, cli.ExitUsage, ""},
		{[]string{"remove", "nothing"}, cli.ExitNotFound, ""},
		{[]string{"remove", "deploy"}, cli.ExitOK, "backup"},
		{[]string{"anomalies"}, cli.ExitOK, "No anomalies were muted"},
		{[]string{"list", "-o", "json"}, cli.ExitOK, `"from": "api"`},
	} {
		out, code := norn(t, server, append([]string{"mutes"}, tc.args...)...)
		if code != tc.code || !strings.Contains(out, tc.says) {
			t.Errorf("norn mutes %q: code %d, want %d with %q: %s", tc.args, code, tc.code, tc.says, out)
		}
	}
	out, _ := norn(t, server, "mutes", "list")
	if strings.Contains(out, "deploy") || strings.Count(out, "\n") != 3 {
		t.Errorf("at last:\n%s", out)
	}
}

// A rule can name every member of the full tier; a new one must be told to the
// rules.
func TestRulesKnowEveryMember(t *testing.T) {
	for _, name := range choice.Names() {
		c := rules.Config{Rules: []rules.Rule{{Name: "r", Match: "{}", Members: map[string]float64{name: .5}}}}
		if _, err := rules.Compile(time.LoadLocation, c); err != nil {
			t.Error(err)
		}
	}
}
