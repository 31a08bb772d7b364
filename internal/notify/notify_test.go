package notify

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/norn-aiops/norn/internal/ops"
)

func compile(t *testing.T, c Config) *Policy {
	t.Helper()
	c.Digest = Digest{Every: "weekly", Day: "mon", At: "09:00", Timezone: "Europe/Berlin"}
	p, err := Compile(c, []string{"ann", "bob", "cid", "hooks"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func at(t *testing.T, text string) int64 {
	t.Helper()
	x, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return x.UnixMilli()
}

// The handover is at nine o'clock in Berlin, before and after the clocks change
// on 29 March 2026; an override takes a day out of it.
func TestHandoversFollowTheWallClock(t *testing.T) {
	p := compile(t, Config{Schedules: []Schedule{{Name: "oncall", Timezone: "Europe/Berlin", Start: "2026-03-23 09:00", Rotation: []string{"ann", "bob", "cid"},
		Overrides: []Override{{From: "2026-04-01 09:00", To: "2026-04-02 09:00", Receiver: "cid"}}}}})
	for when, want := range map[string]string{
		"2026-01-01T00:00:00Z": "ann", // before the first
		"2026-03-23T08:00:00Z": "ann",
		"2026-03-30T06:59:59Z": "ann", // 08:59:59 summer time
		"2026-03-30T07:00:00Z": "bob",
		"2026-04-01T07:00:00Z": "cid",
		"2026-04-02T07:00:00Z": "bob",
		"2026-04-06T07:00:00Z": "cid",
		"2026-04-13T07:00:00Z": "ann",
	} {
		if got := p.OnCall(at(t, when))[0].Receiver; got != want {
			t.Errorf("at %s %s is on call, want %s", when, got, want)
		}
	}
}

func TestRoutesGoToTheFirstThatMatchesAndOn(t *testing.T) {
	p := compile(t, Config{
		Schedules:   []Schedule{{Name: "oncall", Timezone: "UTC", Start: "2026-01-05 09:00", Rotation: []string{"bob"}}},
		Escalations: []Escalation{{Name: "shop", Levels: []Level{{Receivers: []string{"oncall"}}, {After: model.Duration(time.Minute), Receivers: []string{"cid"}}}}},
		Routes: []Route{{Match: []string{`severity=~"critical|major"`}, Receivers: []string{"hooks"}, Continue: true},
			{Match: []string{`team="shop"`, `service!="cart"`}, Escalate: "shop"}, {Receivers: []string{"ann"}, Digest: true}}})
	now := at(t, "2026-02-01T00:00:00Z")
	say := func(ls model.LabelSet) string {
		targets, esc := p.Plan(ls, now)
		var b strings.Builder
		for _, x := range targets {
			b.WriteString(x.Receiver)
			if x.Digest {
				b.WriteString("(digest)")
			}
			b.WriteString(" ")
		}
		return b.String() + esc
	}
	for want, ls := range map[string]model.LabelSet{
		"hooks bob shop":     {"severity": "major", "team": "shop", "service": "orders"},
		"hooks ann(digest) ": {"severity": "major", "team": "shop", "service": "cart"},
		"ann(digest) ":       {"severity": "info"},
	} {
		if got := say(ls); got != want {
			t.Errorf("%v goes to %q, want %q", ls, got, want)
		}
	}
	if step, who := p.Escalate("shop", 0, now, now+59_999); step != 0 || who != nil {
		t.Errorf("too early: %d %v", step, who)
	}
	if step, who := p.Escalate("shop", 0, now, now+60_000); step != 1 || len(who) != 1 || who[0] != "cid" {
		t.Errorf("after a minute: %d %v", step, who)
	}
}

func TestWorseIncidentsInhibitThoseOfTheSameTeamOnly(t *testing.T) {
	p := compile(t, Config{Inhibit: []Inhibit{{Source: []string{`severity="critical"`}, Target: []string{`severity=~"minor|critical"`}, Equal: []string{"team"}}}})
	bad := model.LabelSet{"incident": "a", "severity": "critical", "team": "shop"}
	small := model.LabelSet{"incident": "b", "severity": "minor", "team": "shop"}
	other := model.LabelSet{"incident": "c", "severity": "minor", "team": "data"}
	twin := model.LabelSet{"incident": "d", "severity": "critical", "team": "shop"}
	open := []model.LabelSet{bad, small, other, twin}
	if by := p.Inhibited(small, open); by != "a" {
		t.Errorf("the small one is held back by %q", by)
	}
	for _, ls := range []model.LabelSet{bad, other, twin} { // two that are both must not hold back each other
		if by := p.Inhibited(ls, open); by != "" {
			t.Errorf("%s is held back by %s", ls["incident"], by)
		}
	}
}

func TestRecurringMaintenanceFollowsItsZone(t *testing.T) {
	p := compile(t, Config{Maintenance: []Maintenance{{Name: "backup", Match: []string{`entity=~"database/.*"`}, Intervals: []map[string]any{{
		"times": []any{map[string]any{"start_time": "02:00", "end_time": "03:30"}}, "weekdays": []any{"monday:friday"}, "location": "Europe/Berlin"}}}}})
	db := model.LabelSet{"entity": "database/orders"}
	for when, want := range map[string]string{
		"2026-01-05T01:30:00Z": "backup", "2026-01-05T02:30:00Z": "", "2026-07-06T00:30:00Z": "backup", "2026-01-04T01:30:00Z": "",
	} {
		if got := p.In(db, at(t, when), nil); got != want {
			t.Errorf("at %s: %q, want %q", when, got, want)
		}
	}
	if got := p.In(model.LabelSet{"entity": "service/cart"}, at(t, "2026-01-05T01:30:00Z"), nil); got != "" {
		t.Errorf("what does not match is held back by %s", got)
	}
	if got, want := p.LastDigest(at(t, "2026-01-06T10:00:00Z")), at(t, "2026-01-05T08:00:00Z"); got != want {
		t.Errorf("the last digest was due %s", time.UnixMilli(got).UTC())
	}
}

func TestEveryFaultOfTheSettingsIsNamed(t *testing.T) {
	_, err := Compile(Config{Routes: []Route{{Match: []string{`a=~"("`}, Receivers: []string{"nobody"}}, {}},
		Schedules:   []Schedule{{Name: "ann", Timezone: "Mars/Base", Start: "soon"}, {Name: "s", Timezone: "UTC", Start: "soon", Rotation: []string{"nobody"}}},
		Escalations: []Escalation{{Name: "e", Levels: []Level{{After: 1, Receivers: []string{"ann"}}}}, {Name: "e"}},
		Maintenance: []Maintenance{{Name: "m"}}, Inhibit: []Inhibit{{}}, Digest: Digest{Every: "hourly", Day: "x", At: "25:00", Timezone: "X"}}, []string{"ann"})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, key := range []string{"routes[0].match", "routes[0].receivers", "routes[1]", "schedules[0].timezone", "schedules[1].start", "schedules[1]: there is no receiver",
		"escalations[0].levels[0].after", "escalations[1].name", "escalations[1].levels", "maintenance[0]", "inhibit[0]", "digest.every", "digest.day", "digest.at", "digest.timezone"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not named in:\n%v", key, err)
		}
	}
}

func TestOnlySignificantChangesAreTold(t *testing.T) {
	p := compile(t, Config{Wait: model.Duration(15 * time.Second), UpdateInterval: model.Duration(5 * time.Minute)})
	in := &ops.Incident{ID: "a", State: ops.StateOpen, Level: ops.LevelMinor, Opened: 1000}
	if c := p.Change(in, nil, 2000); c != "" {
		t.Errorf("at once: %s", c)
	}
	if c := p.Change(in, nil, 17_000); c != ops.NoticeOpened {
		t.Errorf("after the wait: %q", c)
	}
	told := Note(in, nil, ops.NoticeOpened, 17_000)
	step := func(change func(), at int64, want string) {
		t.Helper()
		change()
		c := p.Change(in, &told, at)
		if c != want {
			t.Errorf("%q, want %q", c, want)
		}
		if c != "" {
			told = Note(in, &told, c, at)
		}
	}
	step(func() { in.Impact, in.Level = .5, ops.LevelInfo }, 20_000, "")
	step(func() { in.Level = ops.LevelCritical }, 30_000, ops.NoticeSeverity)
	step(func() { in.State = ops.StateAcknowledged }, 40_000, ops.NoticeAcknowledged)
	step(func() { in.State = ops.StateResolved }, 50_000, ops.NoticeResolved)
	step(func() {}, 60_000, "")
	step(func() { in.State = ops.StateOpen }, 70_000, ops.NoticeReopened)
}
