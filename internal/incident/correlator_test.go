package incident

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const t0 = int64(1_700_000_000_000)

func svc(n string) telemetry.Entity {
	return telemetry.Entity{Kind: telemetry.KindService, Name: n}
}

// shop is frontend -> {cart, orders}, orders -> db, and apart from it
// batch -> store.
func shop() *graph.View {
	var es []graph.Edge
	for _, p := range [][2]string{{"frontend", "cart"}, {"frontend", "orders"}, {"orders", "db"}, {"batch", "store"}} {
		es = append(es, graph.Edge{From: svc(p[0]), To: svc(p[1]), Kind: graph.Calls})
	}
	return graph.NewView(es)
}

func anomaly(id, entity string, series uint64, onset int64, sev float64) ops.Anomaly {
	return ops.Anomaly{ID: id, SeriesID: telemetry.SeriesID(series), Series: "s" + id, Entity: svc(entity), Signal: telemetry.SignalLatency,
		Kind: ops.AnomalyLevel, Direction: 1, Onset: onset, LastSeen: onset, Severity: sev, Source: "norn"}
}

// verdict says that the chain's last entity is the root of all others.
func verdict(conf float64, chain ...string) ops.Judgement {
	j := ops.Judgement{Verdict: ops.VerdictCause, Confidence: conf, Severity: .7, Impact: .3, Title: chain[len(chain)-1] + ": slow", Sentence: "x"}
	for i := len(chain) - 1; i >= 0; i-- {
		c := ops.Cause{Entity: svc(chain[i]), Role: ops.RoleIntermediate, Score: .2}
		if i == len(chain)-1 {
			c.Role, c.Score, c.Probability = ops.RoleRoot, .9, conf
		} else {
			c.ExplainedBy = []ops.Explained{{By: svc(chain[i+1]), Share: .9}}
		}
		j.Causes = append(j.Causes, c)
	}
	return j
}

func two(a, b ops.Judgement) ops.Judgement {
	a.Causes = append(slices.Clone(a.Causes), b.Causes...)
	return a
}

// open makes one incident with root db, felt at frontend.
func open(t *testing.T, c *Correlator, at int64) string {
	t.Helper()
	c.Anomaly(anomaly("a1", "frontend", 1, at, .8))
	c.Anomaly(anomaly("a2", "orders", 2, at+5000, .8))
	c.Anomaly(anomaly("a3", "db", 3, at, .9))
	cs := c.Tick(at+20_000, shop())
	if len(cs) != 1 || len(cs[0].Anomalies) != 3 {
		t.Fatalf("three related anomalies must make one candidate, got %+v", cs)
	}
	if cs[0].Target != svc("frontend") {
		t.Fatalf("target %v", cs[0].Target)
	}
	ins := c.Apply(at+20_000, cs[0].ID, verdict(.9, "frontend", "orders", "db"))
	if len(ins) != 1 || ins[0].State != ops.StateOpen || ins[0].Onset != at {
		t.Fatalf("opened %+v", ins)
	}
	return ins[0].ID
}

func TestOneFaultIsOneIncidentFromFirstSignToResolution(t *testing.T) {
	c := New(Config{})
	id := open(t, c, t0)
	if again := c.Tick(t0+21_000, shop()); len(again) != 0 {
		t.Fatalf("nothing new, but judged again: %d", len(again))
	}
	c.Anomaly(anomaly("a4", "cart", 4, t0+60_000, .4))
	cs := c.Tick(t0+70_000, shop())
	if len(cs) != 1 || cs[0].ID != id {
		t.Fatalf("a new sign must join and be judged: %+v", cs)
	}
	if ins := c.Apply(t0+70_000, id, verdict(.92, "frontend", "orders", "db")); len(ins) != 1 || len(ins[0].Anomalies) != 4 {
		t.Fatalf("update %+v", ins)
	}
	if why := c.Why(id, "a4"); !strings.Contains(why, "cart is a direct neighbour") {
		t.Errorf("why: %q", why)
	}
	for i, n := range []string{"frontend", "orders", "db", "cart"} {
		a := anomaly(fmt.Sprintf("a%d", i+1), n, uint64(i+1), t0, .8)
		a.Ended, a.LastSeen = t0+120_000, t0+120_000
		c.Anomaly(a)
	}
	c.Tick(t0+130_000, shop())
	if got := c.Resolve(t0 + 200_000); len(got) != 0 {
		t.Fatal("resolved before the quiet period")
	}
	got := c.Resolve(t0 + 120_000 + 3*60_000)
	if len(got) != 1 || got[0].State != ops.StateResolved || got[0].Resolved == 0 {
		t.Fatalf("resolve: %+v", got)
	}
	kinds := map[string]int{}
	for _, e := range got[0].Timeline {
		kinds[e.Kind]++
	}
	if kinds["opened"] != 1 || kinds["anomaly"] < 3 || kinds["cause"] != 1 || kinds["resolved"] != 1 {
		t.Errorf("timeline kinds %v", kinds)
	}
}

func TestIDsDependOnTheEvidenceAlone(t *testing.T) {
	a, b := open(t, New(Config{}), t0), open(t, New(Config{}), t0)
	if a != b || len(a) != 26 {
		t.Fatalf("ids %q and %q", a, b)
	}
	if c := open(t, New(Config{}), t0+1000); c == a || c < a {
		t.Fatalf("a later incident has the id %q, not after %q", c, a)
	}
}

func TestNoIncidentStaysInvisibleAndOneChronicSeriesNeverOpens(t *testing.T) {
	c := New(Config{})
	c.Anomaly(anomaly("a1", "frontend", 1, t0, .5))
	if cs := c.Tick(t0+10_000, shop()); len(cs) != 0 {
		t.Fatal("one weak sign is no candidate")
	}
	c.Anomaly(anomaly("a2", "orders", 2, t0, .5))
	cs := c.Tick(t0+20_000, shop())
	if len(cs) != 1 {
		t.Fatalf("candidates %d", len(cs))
	}
	for _, v := range []ops.Verdict{ops.VerdictNoIncident, ops.VerdictUnknown} {
		if ins := c.Apply(t0+20_000, cs[0].ID, ops.Judgement{Verdict: v, Severity: .3}); len(ins) != 0 {
			t.Fatalf("%s became visible", v)
		}
	}
}

func TestSeriesThatAlwaysSpeakAreContextOnly(t *testing.T) {
	c := New(Config{})
	now := t0
	for i := range 200 { // over a day: one series speaks in every bucket, nothing comes of it
		a := anomaly(fmt.Sprintf("n%d", i), "cart", 7, now, .5)
		a.Ended = now + 60_000
		c.Anomaly(a)
		c.Tick(now+10_000, shop())
		now += 16 * 60_000
		c.Tick(now, shop())
	}
	c.Anomaly(anomaly("n", "cart", 7, now, .9))
	c.Anomaly(anomaly("m", "cart", 8, now, .9))
	c.Tick(now+10_000, shop())
	if s := c.Stats(); s.Context == 0 {
		t.Fatalf("the chronic series still founds groups: %+v", s)
	}
}

func TestStrongSignsOpenAlone(t *testing.T) {
	for name, a := range map[string]ops.Anomaly{
		"silence": {ID: "x", Kind: ops.AnomalySilence, Signal: telemetry.SignalSaturation, Severity: .6},
		"errors":  {ID: "x", Kind: ops.AnomalyLevel, Signal: telemetry.SignalErrors, Direction: 1, Severity: .7},
		"alert":   {ID: "x", Kind: ops.AnomalyAlert, Severe: "critical", Severity: .5},
	} {
		c := New(Config{})
		a.Entity, a.Onset, a.LastSeen = svc("cart"), t0, t0
		c.Anomaly(a)
		if cs := c.Tick(t0+10_000, shop()); len(cs) != 1 {
			t.Errorf("%s: %d candidates", name, len(cs))
		}
	}
}

func TestFlappingIsOneAlertWithACount(t *testing.T) {
	c := New(Config{})
	id := open(t, c, t0)
	for i := range 500 {
		a := anomaly(fmt.Sprintf("f%d", i), "cart", 9, t0+int64(30_000+i*1000), .5)
		a.Ended = a.Onset + 500
		c.Anomaly(a)
		if i%10 == 0 {
			c.Tick(t0+int64(30_000+i*1000), shop())
		}
	}
	c.Tick(t0+540_000, shop())
	ins := c.Apply(t0+540_000, id, verdict(.9, "frontend", "orders", "db"))
	if len(ins) != 1 || len(ins[0].Anomalies) != 4 || ins[0].Alerts != 503 {
		t.Fatalf("anomalies %d, alerts %d", len(ins[0].Anomalies), ins[0].Alerts)
	}
	if s := c.Stats(); s.Flaps != 499 {
		t.Errorf("flaps %d", s.Flaps)
	}
	if why := c.Why(id, "f0"); !strings.Contains(why, "spoke 500 times") {
		t.Errorf("why %q", why)
	}
}

func TestAStormOfAlertsStaysBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := New(Config{MaxPending: 20_000})
	names := []string{"frontend", "cart", "orders", "db", "batch", "store"}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 100_000 {
		a := ops.Anomaly{ID: fmt.Sprintf("s%d", i), Kind: ops.AnomalyAlert, Source: "alertmanager", Series: fmt.Sprintf("Alert%d", i), Severe: "warning",
			Entity: svc(names[rng.IntN(len(names))]), Onset: t0 + int64(i), LastSeen: t0 + int64(i), Severity: .5}
		if i%3 == 0 {
			a.Entity = svc(fmt.Sprintf("stranger-%d", i%5000))
		}
		c.Anomaly(a)
		if i%5000 == 4999 {
			now := t0 + int64(i)
			for _, cd := range c.Tick(now, shop()) {
				if len(cd.Anomalies) > 300 || len(cd.Entities) > 500 {
					t.Fatalf("candidate with %d anomalies, %d entities", len(cd.Anomalies), len(cd.Entities))
				}
				c.Apply(now, cd.ID, verdict(.8, "frontend", "orders", "db"))
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	s := c.Stats()
	if s.Received != 100_000 || s.Groups > 300 || s.Open > 5 {
		t.Fatalf("stats %+v", s)
	}
	if s.Overflow+s.Joined+s.Waiting != 100_000 {
		t.Errorf("every alert must be in a group, wait for one, or be counted: %+v", s)
	}
	if grew := int64(after.HeapAlloc) - int64(before.HeapAlloc); grew > 120<<20 {
		t.Errorf("the heap grew by %d MiB", grew>>20)
	}
	runtime.KeepAlive(c)
}

func TestOrderOfArrivalDoesNotMatterWithinATick(t *testing.T) {
	var as []ops.Anomaly
	for i, n := range []string{"db", "orders", "frontend", "store", "batch"} {
		as = append(as, anomaly(fmt.Sprintf("a%d", i), n, uint64(i+1), t0+int64(i)*5000, .7))
	}
	run := func(order []int) string {
		c := New(Config{})
		for _, i := range order {
			c.Anomaly(as[i])
		}
		out, err := json.Marshal(c.Tick(t0+60_000, shop()))
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	want := run([]int{0, 1, 2, 3, 4})
	if got := run([]int{4, 2, 0, 3, 1}); got != want {
		t.Fatalf("order matters:\n%s\n%s", got, want)
	}
}

func TestUnconnectedFaultsAreTwoIncidents(t *testing.T) {
	c := New(Config{})
	for i, n := range []string{"db", "orders", "store", "batch"} {
		c.Anomaly(anomaly(fmt.Sprintf("a%d", i), n, uint64(i+1), t0, .8))
	}
	cs := c.Tick(t0+30_000, shop())
	if len(cs) != 2 {
		t.Fatalf("%d candidates", len(cs))
	}
}

func TestAJudgementWithTwoUnconnectedRootsSplitsTheGroup(t *testing.T) {
	c := New(Config{})
	all := graph.NewView(append(slices.Clone(shop().Edges()), graph.Edge{From: svc("frontend"), To: svc("batch"), Kind: graph.Calls}))
	for i, n := range []string{"db", "orders", "frontend", "batch", "store"} {
		c.Anomaly(anomaly(fmt.Sprintf("a%d", i), n, uint64(i+1), t0, .8))
	}
	cs := c.Tick(t0+30_000, all)
	if len(cs) != 1 {
		t.Fatalf("%d candidates", len(cs))
	}
	both := two(verdict(.9, "frontend", "orders", "db"), verdict(.7, "batch", "store"))
	first := c.Apply(t0+30_000, cs[0].ID, both)
	if len(first) != 1 || slices.ContainsFunc(first[0].Causes, func(x ops.Cause) bool { return x.Entity == svc("store") }) {
		t.Fatalf("first incident %+v", first)
	}
	rest := c.Tick(t0+60_000, all)
	i := slices.IndexFunc(rest, func(x Candidate) bool { return x.ID != cs[0].ID })
	if i < 0 {
		t.Fatalf("the other trouble must be a candidate of its own: %+v", rest)
	}
	second := c.Apply(t0+60_000, rest[i].ID, both)
	if len(second) != 1 || second[0].ID == first[0].ID || second[0].Causes[0].Entity != svc("store") {
		t.Fatalf("second incident %+v", second)
	}
}

func TestTwoRootsThatExplainOneSymptomAreOneIncident(t *testing.T) {
	c := New(Config{})
	for i, n := range []string{"db", "orders", "frontend", "cart"} {
		c.Anomaly(anomaly(fmt.Sprintf("a%d", i), n, uint64(i+1), t0, .8))
	}
	cs := c.Tick(t0+30_000, shop())
	j := two(verdict(.9, "frontend", "orders", "db"), verdict(.8, "frontend", "cart"))
	ins := c.Apply(t0+30_000, cs[0].ID, j)
	if len(ins) != 1 || len(rootsOf(ops.Judgement{Causes: ins[0].Causes})) != 2 {
		t.Fatalf("%+v", ins)
	}
}

func TestIncidentsWithTheSameRootMerge(t *testing.T) {
	c := New(Config{})
	id := open(t, c, t0)
	c.Anomaly(anomaly("b1", "batch", 11, t0+60_000, .8))
	c.Anomaly(anomaly("b2", "store", 12, t0+60_000, .8))
	cs := c.Tick(t0+80_000, shop())
	i := slices.IndexFunc(cs, func(x Candidate) bool { return x.ID != id })
	if i < 0 {
		t.Fatal("no second candidate")
	}
	ins := c.Apply(t0+80_000, cs[i].ID, verdict(.9, "batch", "store", "db"))
	if len(ins) != 1 || ins[0].ID != id || len(ins[0].Anomalies) != 5 {
		t.Fatalf("merged %+v", ins)
	}
	if why := c.Why(id, "b1"); !strings.Contains(why, "same cause") {
		t.Errorf("why %q", why)
	}
}

// finish ends all anomalies of the incident made by open and resolves it.
func finish(t *testing.T, c *Correlator, at int64) {
	t.Helper()
	for i, n := range []string{"frontend", "orders", "db"} {
		a := anomaly(fmt.Sprintf("a%d", i+1), n, uint64(i+1), t0, .8)
		a.Ended, a.LastSeen = at, at
		c.Anomaly(a)
	}
	if got := c.Resolve(at + 3*60_000); len(got) != 1 {
		t.Fatalf("resolved %d", len(got))
	}
}

func TestLateNewsNeverJoinsAnEndedIncident(t *testing.T) {
	c := New(Config{})
	open(t, c, t0)
	finish(t, c, t0+120_000)
	late := anomaly("late", "cart", 20, t0+30_000, .9)
	late.Ended = t0 + 60_000
	c.Anomaly(late)
	if cs := c.Tick(t0+360_000, shop()); len(cs) != 0 {
		t.Fatalf("late news made a candidate: %+v", cs)
	}
	if s := c.Stats(); s.Late != 1 || s.Groups != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestLateNewsJoinsTheIncidentItBelongsTo(t *testing.T) {
	c := New(Config{})
	id := open(t, c, t0)
	late := anomaly("late", "cart", 20, t0+10_000, .9)
	late.Ended = t0 + 20_000
	c.Anomaly(late)
	c.Tick(t0+200_000, shop())
	if c.Why(id, "late") == "" {
		t.Fatal("a late sign of an open incident must join it")
	}
}

func TestTheSameRootSoonAfterReopens(t *testing.T) {
	c := New(Config{})
	id := open(t, c, t0)
	finish(t, c, t0+120_000)
	now := t0 + 120_000 + 5*60_000
	c.Anomaly(anomaly("r1", "db", 31, now, .9))
	c.Anomaly(anomaly("r2", "orders", 32, now, .9))
	cs := c.Tick(now+10_000, shop())
	if len(cs) != 1 || cs[0].ID == id {
		t.Fatalf("candidates %+v", cs)
	}
	ins := c.Apply(now+10_000, cs[0].ID, verdict(.9, "orders", "db"))
	if len(ins) != 1 || ins[0].ID != id || ins[0].State != ops.StateOpen || ins[0].Resolved != 0 {
		t.Fatalf("reopened %+v", ins)
	}
	if !slices.ContainsFunc(ins[0].Timeline, func(e ops.Event) bool { return e.Kind == "reopened" }) {
		t.Error("the timeline does not say so")
	}
}

func TestARestartGoesOnWhereItWas(t *testing.T) {
	c := New(Config{})
	c.Change(telemetry.Change{ID: "c", Time: t0 - 60_000, Kind: telemetry.ChangeDeploy, Entity: svc("db"), Title: "db 15.2"})
	id := open(t, c, t0)
	c.Anomaly(anomaly("a4", "cart", 4, t0+60_000, .4))
	c.Tick(t0+70_000, shop())
	saved := c.Apply(t0+70_000, id, verdict(.9, "frontend", "orders", "db"))
	if len(saved) != 1 || len(saved[0].Changes) != 1 {
		t.Fatalf("saved %+v", saved)
	}

	d := New(Config{})
	d.Load(saved)
	d.Anomaly(anomaly("a5", "orders", 5, t0+90_000, .7))
	cs := d.Tick(t0+120_000, shop())
	if len(cs) != 1 || cs[0].ID != id || len(cs[0].Anomalies) != 5 {
		t.Fatalf("after the restart: %+v", cs)
	}
	for i, n := range []string{"frontend", "orders", "db", "cart", "orders"} {
		a := anomaly(fmt.Sprintf("a%d", i+1), n, uint64(i+1), t0, .7)
		a.Ended, a.LastSeen = t0+130_000, t0+130_000
		d.Anomaly(a)
	}
	if got := d.Resolve(t0 + 130_000 + 3*60_000); len(got) != 1 || got[0].ID != id {
		t.Fatalf("resolve after restart %+v", got)
	}
}

func TestWhatAPersonDoes(t *testing.T) {
	c := New(Config{})
	id := open(t, c, t0)
	if in, err := c.Acknowledge(id, t0+30_000, "ann", "on it"); err != nil || in.State != ops.StateAcknowledged {
		t.Fatalf("%v %v", in.State, err)
	}
	if in, err := c.Comment(id, t0+31_000, "ann", "looks like the disk"); err != nil || in.Timeline[len(in.Timeline)-1].Text != "ann: looks like the disk" {
		t.Fatalf("%+v %v", in.Timeline, err)
	}
	if in, err := c.ResolveByHand(id, t0+40_000, "ann", "failed over"); err != nil || in.State != ops.StateResolved {
		t.Fatalf("%v %v", in.State, err)
	}
	if _, err := c.Acknowledge(id, t0+41_000, "bob", ""); !errors.Is(err, ErrState) {
		t.Errorf("acknowledging a resolved incident: %v", err)
	}
	if _, err := c.Comment("nope", t0, "bob", ""); !errors.Is(err, ErrUnknown) {
		t.Errorf("unknown id: %v", err)
	}
	a := anomaly("a1", "frontend", 1, t0, .8)
	a.LastSeen = t0 + 60_000
	c.Anomaly(a)
	if cs := c.Tick(t0+70_000, shop()); len(cs) != 0 {
		t.Error("its anomalies brought it back")
	}
}

func TestAnIncidentKeepsASurerJudgement(t *testing.T) {
	c := New(Config{})
	id := open(t, c, t0)
	c.Anomaly(anomaly("a9", "cart", 19, t0+60_000, .4))
	c.Tick(t0+80_000, shop())
	c.Apply(t0+80_000, id, verdict(.3, "frontend", "cart"))
	in, err := c.Comment(id, t0+90_000, "", "look")
	if err != nil || in.Causes[0].Entity != svc("db") {
		t.Fatalf("a weak second opinion replaced a sure first one: %+v %v", in.Causes, err)
	}
}

func sequenceIn(entity string) ops.Anomaly {
	return ops.Anomaly{ID: "x", Entity: svc(entity), Kind: ops.AnomalySequence, Signal: telemetry.SignalLogs, Severity: .7, Onset: t0, LastSeen: t0, Source: "norn"}
}

func TestRequestsThatTakeAnotherCourseOpenUnlessTheServiceWasChanged(t *testing.T) {
	for name, x := range map[string]struct {
		change telemetry.Change
		want   int
	}{
		"no change":            {telemetry.Change{}, 1},
		"deploy of it":         {telemetry.Change{Entity: svc("cart"), Kind: telemetry.ChangeDeploy, Time: t0 - 5*60_000}, 0},
		"deploy elsewhere":     {telemetry.Change{Entity: svc("orders"), Kind: telemetry.ChangeDeploy, Time: t0 - 5*60_000}, 1},
		"deploy long ago":      {telemetry.Change{Entity: svc("cart"), Kind: telemetry.ChangeDeploy, Time: t0 - 5*3600_000}, 1},
		"an event, no release": {telemetry.Change{Entity: svc("cart"), Kind: telemetry.ChangeEvent, Time: t0 - 5*60_000}, 1},
	} {
		c := New(Config{})
		if x.change.Time != 0 {
			c.Change(x.change)
		}
		c.Anomaly(sequenceIn("cart"))
		if cs := c.Tick(t0+10_000, shop()); len(cs) != x.want {
			t.Errorf("%s: %d candidates, want %d", name, len(cs), x.want)
		}
	}
}

func TestTheOnsetOfAnOpenIncidentStaysWhereItIs(t *testing.T) {
	c := New(Config{})
	id := open(t, c, t0)
	for i := range 20 { // a louder burst four minutes later, near enough to join
		c.Anomaly(anomaly(fmt.Sprintf("late%d", i), "orders", uint64(100+i), t0+240_000, .95))
	}
	for _, cand := range c.Tick(t0+260_000, shop()) {
		if cand.ID != id {
			continue
		}
		if cand.Onset != t0 {
			t.Errorf("judged from %d s after its onset", (cand.Onset-t0)/1000)
		}
		for _, in := range c.Apply(t0+260_000, id, verdict(.95, "frontend", "orders", "db")) {
			if in.ID == id && in.Onset != t0 {
				t.Errorf("onset moved by %d s", (in.Onset-t0)/1000)
			}
		}
	}
}

func TestAFaultThatBeginsLongAfterAnOpenIncidentGetsItsOwn(t *testing.T) {
	c := New(Config{})
	id := open(t, c, t0)
	late := t0 + 8*60_000
	c.Anomaly(anomaly("a1", "frontend", 1, t0, .8)) // the first fault's symptom goes on
	for i, n := range []string{"cart", "orders", "frontend"} {
		a := anomaly(fmt.Sprintf("late%d", i), n, uint64(50+i), late, .9)
		c.Anomaly(a)
	}
	j := verdict(.95, "frontend", "cart")
	j.Causes[0].Onset = late
	for step := int64(0); step < 6; step++ {
		now := late + 20_000 + step*30_000
		for i := range 3 { // all of it lasts
			a := anomaly(fmt.Sprintf("a%d", i+1), []string{"frontend", "orders", "db"}[i], uint64(i+1), t0, .8)
			a.LastSeen = now
			c.Anomaly(a)
		}
		for _, cand := range c.Tick(now, shop()) {
			if cand.ID == id {
				for _, in := range c.Apply(now, id, j) {
					if in.ID == id && (in.MergedInto != "" || in.Causes[0].Entity != svc("db")) {
						t.Fatalf("the first incident became %+v", in)
					}
				}
				continue
			}
			if cand.Onset < late-60_000 {
				t.Errorf("the second is judged from %d s before its onset", (late-cand.Onset)/1000)
			}
			for _, in := range c.Apply(now, cand.ID, j) {
				if in.ID != id && in.MergedInto == "" && in.Causes[0].Entity == svc("cart") {
					return
				}
			}
		}
	}
	t.Error("the second fault got no incident of its own")
}
