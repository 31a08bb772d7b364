package incident

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func tellAlert(name, entity string, onset int64) ops.Anomaly {
	return ops.Anomaly{ID: "alert-" + name + "-" + entity, Series: name, Entity: svc(entity), Signal: telemetry.SignalOther, Kind: ops.AnomalyAlert,
		Direction: 1, Onset: onset, LastSeen: onset, Severity: .6, Source: "alertmanager", Severe: "warning"}
}

// blames says that the named entity is the root.
func blames(root string) ops.Judgement {
	return ops.Judgement{Verdict: ops.VerdictCause, Confidence: .7, Severity: .5, Title: root, Sentence: "x",
		Causes: []ops.Cause{{Entity: svc(root), Role: ops.RoleRoot, Score: 1, Probability: .7}}}
}

// run ticks from one time to another and answers each candidate with the root
// by which its alerts were grouped. It returns the incidents by id, as last
// told.
func run(t *testing.T, c *Correlator, view *graph.View, from, to int64, known map[string]ops.Incident) map[string]ops.Incident {
	t.Helper()
	if known == nil {
		known = map[string]ops.Incident{}
	}
	for now := from; now <= to; now += 10_000 {
		for _, cd := range c.Tick(now, view) {
			if cd.Suspect.IsZero() {
				t.Fatalf("a group of alerts without a suspect: %+v", cd)
			}
			for _, in := range c.Apply(now, cd.ID, blames(cd.Suspect.Name)) {
				known[in.ID] = in
			}
		}
		for _, in := range c.Resolve(now) {
			known[in.ID] = in
		}
	}
	return known
}

func TestTwoFaultsAtOnceAreTwoIncidents(t *testing.T) {
	c := New(Config{})
	for i, x := range [][2]string{{"Slow", "db"}, {"Full", "db"}, {"Locks", "db"}, {"Slow", "orders"}, {"Cpu", "store"}, {"Disk", "store"}, {"Late", "store"}, {"Late", "batch"}} {
		c.Anomaly(tellAlert(x[0], x[1], t0+int64(i)*2000))
	}
	ins := run(t, c, shop(), t0+20_000, t0+60_000, nil)
	if len(ins) != 2 {
		t.Fatalf("%d incidents of two faults: %+v", len(ins), ins)
	}
	where := map[string]string{}
	for id, in := range ins {
		where[in.Causes[0].Entity.Name] = id
	}
	for _, x := range [][3]string{{"Slow", "orders", "db"}, {"Late", "batch", "store"}} {
		if id, ok := c.Holder("alert-" + x[0] + "-" + x[1]); !ok || id != where[x[2]] {
			t.Errorf("the alert of %s is not in the incident of %s", x[1], x[2])
		}
	}
}

func TestALateAlertJoinsTheFaultThatItIsOfAndNotTheNewestOne(t *testing.T) {
	c := New(Config{})
	for _, n := range []string{"Slow", "Full", "Locks"} {
		c.Anomaly(tellAlert(n, "db", t0))
	}
	ins := run(t, c, shop(), t0+10_000, t0+120_000, nil)
	for _, n := range []string{"Cpu", "Disk", "Late"} {
		c.Anomaly(tellAlert(n, "store", t0+130_000))
	}
	run(t, c, shop(), t0+130_000, t0+240_000, ins)
	if len(ins) != 2 {
		t.Fatalf("%d incidents", len(ins))
	}
	c.Anomaly(tellAlert("Errors", "orders", t0+5000)) // three and a half minutes on its way
	run(t, c, shop(), t0+250_000, t0+300_000, ins)
	id, ok := c.Holder("alert-Errors-orders")
	if !ok || ins[id].Causes[0].Entity != svc("db") {
		t.Fatalf("the late alert is in %q", ins[id].Title)
	}
	if why := c.Why(id, "alert-Errors-orders"); !strings.Contains(why, "orders depends on db") {
		t.Errorf("why: %q", why)
	}
}

func TestAFlappingAlertOfAnotherToolIsOneWithACount(t *testing.T) {
	c := New(Config{})
	for i := range 6 { // every time with a fingerprint of its own
		a := tellAlert("Slow", "db", t0+int64(i)*60_000)
		a.ID = fmt.Sprint("alert-", i)
		c.Anomaly(a)
		c.Tick(t0+int64(i)*60_000+10_000, shop())
	}
	if s := c.Stats(); s.Flaps != 5 || s.Joined+s.Waiting > 1 {
		t.Fatalf("one alert that flaps: %+v", s)
	}
	c.Anomaly(tellAlert("Full", "db", t0+301_000))
	ins := run(t, c, shop(), t0+310_000, t0+400_000, nil)
	for id, in := range ins {
		if len(in.Anomalies) != 2 || in.Alerts != 7 {
			t.Errorf("%d alerts listed, %d counted", len(in.Anomalies), in.Alerts)
		}
		if rs, ok := c.Reasons(id, "alert-3"); !ok || !strings.Contains(Sentence(rs), "spoke 6 times") {
			t.Errorf("the fourth time is not explained: %v", rs)
		}
	}
	if len(ins) != 1 {
		t.Fatalf("%d incidents", len(ins))
	}
}

func TestAnAlertThatFiresAgainNeverJoinsTheIncidentThatHasEnded(t *testing.T) {
	c := New(Config{Grace: 1})
	names := []string{"Slow", "Full", "Locks"}
	for _, n := range names {
		c.Anomaly(tellAlert(n, "db", t0))
	}
	ins := run(t, c, shop(), t0+10_000, t0+60_000, nil)
	for _, n := range names {
		a := tellAlert(n, "db", t0)
		a.Ended = t0 + 70_000
		c.Anomaly(a)
	}
	run(t, c, shop(), t0+70_000, t0+600_000, ins)
	if len(ins) != 1 {
		t.Fatalf("%d incidents", len(ins))
	}
	var first ops.Incident
	for _, in := range ins {
		first = in
	}
	if first.State != ops.StateResolved {
		t.Fatalf("state %s", first.State)
	}
	again := t0 + 40*60_000 // Alertmanager gives the same fingerprint
	for _, n := range names {
		c.Anomaly(tellAlert(n, "db", again))
	}
	run(t, c, shop(), again+10_000, again+120_000, ins)
	if len(ins) != 2 {
		t.Fatalf("%d incidents after the second firing", len(ins))
	}
	if id, _ := c.Holder("alert-Slow-db"); id == first.ID {
		t.Error("it joined the closed incident")
	}
	if now := ins[first.ID]; now.State != ops.StateResolved || len(now.Anomalies) != len(first.Anomalies) {
		t.Errorf("the closed incident changed: %+v", now)
	}
}

func TestAlertsThatComeWithEveryTroubleCarryNoWeight(t *testing.T) {
	c := New(Config{})
	at := t0
	for i := range 20 { // every hour some trouble, and the same two alerts with it
		c.Anomaly(tellAlert("Chatty", "frontend", at))
		c.Anomaly(tellAlert("Noisy", "cart", at))
		c.Anomaly(tellAlert(fmt.Sprint("Once", i), "orders", at))
		run(t, c, shop(), at+10_000, at+60_000, nil)
		at += 3600_000
	}
	c.Anomaly(tellAlert("Chatty", "frontend", at))
	c.Anomaly(tellAlert("Noisy", "cart", at))
	if ins := run(t, c, shop(), at+10_000, at+120_000, nil); len(ins) != 0 {
		t.Fatalf("alerts that always come opened %d incidents", len(ins))
	}
	var kept bytes.Buffer
	if err := c.SavePresence(&kept); err != nil {
		t.Fatal(err)
	}
	after := New(Config{}) // a restart forgets nothing of it
	if err := after.LoadPresence(bytes.NewReader(kept.Bytes())); err != nil {
		t.Fatal(err)
	}
	at += 3600_000
	for n, want := range map[string]bool{"Chatty": false, "Unheard": true} {
		a := tellAlert(n, "frontend", at)
		if w := after.presence.surprise(seriesKey(&a), &a, at, 1000); (w > .5) != want {
			t.Errorf("after a restart %s has the weight %.2f", n, w)
		}
	}
	if err := after.LoadPresence(strings.NewReader("{")); err == nil {
		t.Error("half a snapshot was taken")
	}
}

func TestATroubleThatComesBackEveryDayIsAnIncidentEveryDay(t *testing.T) {
	c := New(Config{})
	known := map[string]ops.Incident{}
	for day := range int64(12) {
		at := t0 + day*24*3600_000
		for _, n := range []string{"Slow", "Full", "Locks"} {
			c.Anomaly(tellAlert(n, "db", at))
		}
		run(t, c, shop(), at+10_000, at+60_000, known)
		run(t, c, shop(), at+30*60_000, at+40*60_000, known)
	}
	if len(known) != 12 {
		t.Fatalf("%d incidents of the same trouble on twelve days", len(known))
	}
}

func TestWhyIsKeptWithTheIncident(t *testing.T) {
	c := New(Config{})
	for i, x := range [][2]string{{"Slow", "db"}, {"Full", "db"}, {"Slow", "orders"}, {"Errors", "frontend"}} {
		c.Anomaly(tellAlert(x[0], x[1], t0+int64(i)*1000))
	}
	for _, in := range run(t, c, shop(), t0+10_000, t0+60_000, nil) {
		for _, a := range in.Anomalies {
			if len(a.Why) == 0 || a.Surprise == 0 {
				t.Errorf("%s on %s: no reason was kept", a.Series, a.Entity.Name)
			}
		}
		fresh := New(Config{})
		fresh.Load([]ops.Incident{in})
		if why := fresh.Why(in.ID, "alert-Slow-orders"); !strings.Contains(why, "depends on db") {
			t.Errorf("after a restart: %q", why)
		}
	}
}

func TestAlertsOfEntitiesThatNoGraphKnowsDoNotBecomeManyIncidents(t *testing.T) {
	c := New(Config{})
	for i := range 400 {
		c.Anomaly(tellAlert(fmt.Sprint("Rule", i%4), fmt.Sprint("stranger-", i/4), t0+int64(i)*50))
	}
	if ins := run(t, c, graph.NewView(nil), t0+30_000, t0+120_000, nil); len(ins) == 0 || len(ins) > maxRoots {
		t.Fatalf("%d incidents of a hundred unknown entities at one time", len(ins))
	}
}
