package incident

import (
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
)

// news of an anomaly that lasts until at, or ended then.
func news(c *Correlator, id, entity string, series uint64, onset, at int64, ended bool) {
	a := anomaly(id, entity, series, onset, .8)
	a.LastSeen = at
	if ended {
		a.Ended = at
	}
	c.Anomaly(a)
}

// lasting opens an incident with root db, a straggler at cart from its first
// minute that is no slowness, and one at cart from seven minutes later. At ten
// minutes the root and all victims but those named have ended.
func lasting(t *testing.T, still ...string) (*Correlator, string) {
	t.Helper()
	c := New(Config{})
	id := open(t, c, t0)
	memory := anomaly("m", "cart", 9, t0+30_000, .5)
	memory.Signal = "saturation"
	c.Anomaly(memory)
	c.Tick(t0+60_000, shop())
	c.Apply(t0+60_000, id, verdict(.9, "frontend", "orders", "db"))
	late := anomaly("l", "cart", 10, t0+7*60_000, .8)
	c.Anomaly(late)
	c.Tick(t0+7*60_000+5000, shop())
	for min := int64(1); min <= 14; min++ {
		at := t0 + min*60_000
		memory.LastSeen = at
		c.Anomaly(memory)
		if min >= 7 {
			late.LastSeen = at
			c.Anomaly(late)
		}
		for i, n := range []string{"frontend", "orders", "db"} {
			lasts := len(still) > 0 && still[0] == n
			if min <= 10 || lasts {
				news(c, []string{"a1", "a2", "a3"}[i], n, uint64(i+1), t0, at, min == 10 && !lasts)
			}
		}
		for _, cand := range c.Tick(at, shop()) {
			if cand.ID == id {
				c.Apply(at, id, verdict(.9, "frontend", "orders", "db"))
			}
		}
	}
	return c, id
}

func TestAnIncidentEndsWhenItsCauseIsWellThoughStragglersLast(t *testing.T) {
	c, id := lasting(t)
	ended := c.Resolve(t0 + 14*60_000)
	if len(ended) != 1 || ended[0].ID != id || ended[0].State != ops.StateResolved {
		t.Fatalf("the root and the users are well for four minutes: %+v", ended)
	}
	if last := ended[0].Timeline[len(ended[0].Timeline)-1]; last.Text != "its cause is well for 4 min" {
		t.Errorf("the timeline says %q", last.Text)
	}
}

func TestAnIncidentLastsWhileUsersSuffer(t *testing.T) {
	for _, still := range []string{"frontend", "db"} {
		c, _ := lasting(t, still)
		if ended := c.Resolve(t0 + 14*60_000); len(ended) != 0 {
			t.Errorf("%s still suffers, but the incident ended", still)
		}
	}
}

func TestAnIncidentThatCameBackWaitsForAllSigns(t *testing.T) {
	c, id := lasting(t)
	c.Resolve(t0 + 14*60_000)
	at := t0 + 16*60_000
	news(c, "b1", "db", 3, at, at, false)
	news(c, "b2", "frontend", 1, at, at, false)
	news(c, "b3", "orders", 2, at, at, false)
	for _, cand := range c.Tick(at+20_000, shop()) {
		ins := c.Apply(at+20_000, cand.ID, verdict(.9, "frontend", "orders", "db"))
		if len(ins) == 0 || ins[0].ID != id || ins[0].State != ops.StateOpen {
			t.Fatalf("the same root within the grace period reopens: %+v", ins)
		}
	}
	for i, n := range []string{"frontend", "orders", "db"} {
		news(c, []string{"b2", "b3", "b1"}[i], n, []uint64{1, 2, 3}[i], at, at+60_000, true)
	}
	for min := int64(0); min <= 5; min++ {
		m := anomaly("m", "cart", 9, t0+30_000, .5)
		m.Signal, m.LastSeen = "saturation", at+min*60_000
		c.Anomaly(m)
	}
	c.Tick(at+5*60_000, shop())
	if ended := c.Resolve(at + 5*60_000); len(ended) != 0 {
		t.Fatalf("it flaps: an incident that was reopened ended again while signs last: %+v", ended)
	}
}

func TestWhatOutlivesAnIncidentIsJudgedByItself(t *testing.T) {
	c := New(Config{})
	id := open(t, c, t0)
	c.Anomaly(anomaly("k", "cart", 11, t0+4*60_000-1000, .8))
	c.Tick(t0+4*60_000, shop())
	c.Anomaly(anomaly("l", "cart", 10, t0+5*60_000+20_000, .8))
	c.Tick(t0+5*60_000+30_000, shop())
	g := c.groups[id]
	if r := c.records["l"]; r == nil || r.group != g {
		t.Fatalf("the later sign must join first: %+v", r)
	}
	c.leave(t0+7*60_000, g)
	if r := c.records["l"]; r.group == g || c.groups[r.group.id] != r.group || r.group.in != nil {
		t.Errorf("the later sign must be in a candidate of its own, is in %+v", r.group)
	}
	if r := c.records["k"]; r.group != g {
		t.Errorf("what began within five minutes stays")
	}
}

func TestAFaultThatNamesTheOldRootTooDoesNotSplitAndMergeForEver(t *testing.T) {
	c := New(Config{})
	id := open(t, c, t0)
	c.Apply(t0+30_000, id, verdict(.9, "frontend", "orders", "db"))
	seen := map[string]bool{id: true}
	both := two(verdict(.8, "frontend", "cart"), verdict(.4, "orders", "db"))
	both.Causes[0].Onset = t0 + 6*60_000 // cart, the root
	for min := int64(1); min <= 30; min++ {
		at := t0 + min*60_000
		for i, n := range []string{"frontend", "orders", "db"} {
			news(c, []string{"a1", "a2", "a3"}[i], n, uint64(i+1), t0, at, false)
		}
		if min == 4 {
			c.Anomaly(anomaly("k", "cart", 11, at-1000, .8))
		}
		if min >= 6 {
			for _, x := range []struct {
				id, of string
				series uint64
			}{{"l", "cart", 12}, {"m", "frontend", 13}} {
				news(c, x.id, x.of, x.series, t0+5*60_000+20_000, at, false)
			}
		}
		for _, cand := range c.Tick(at, shop()) {
			j := verdict(.9, "frontend", "orders", "db")
			if min >= 6 {
				j = both
			}
			for _, in := range c.Apply(at, cand.ID, j) {
				seen[in.ID] = true
			}
		}
	}
	if len(seen) > 2 {
		t.Errorf("two faults became %d incidents", len(seen))
	}
}

func TestASecondRootThatBeganLaterGetsItsOwnIncidentThoughTheFirstLasts(t *testing.T) {
	c := New(Config{})
	id := open(t, c, t0)
	c.Apply(t0+90_000, id, verdict(.9, "frontend", "orders", "db"))
	at := t0 + 6*60_000
	c.Anomaly(anomaly("k", "cart", 11, t0+4*60_000, .8)) // ties what follows to the incident
	c.Tick(t0+4*60_000, shop())
	c.Anomaly(anomaly("l", "cart", 12, at, .9))
	c.Anomaly(anomaly("m", "cart", 13, at, .9))
	c.Tick(at+10_000, shop())
	if r := c.records["l"]; r == nil || r.group.id != id {
		t.Fatalf("the sign must have joined first: %+v", r)
	}
	second := verdict(.7, "frontend", "cart")
	for i := range second.Causes {
		second.Causes[i].Onset = at
	}
	c.Apply(at+10_000, id, two(verdict(.8, "frontend", "orders", "db"), second))
	own := c.records["l"].group
	if own.id == id {
		t.Fatal("the later fault stays hidden in the first one's incident")
	}
	ins := c.Apply(at+20_000, own.id, two(second, verdict(.3, "orders", "db")))
	if len(ins) != 1 || ins[0].ID != own.id || ins[0].State != ops.StateOpen {
		t.Errorf("the later fault must open its own: %+v", ins)
	}
	for _, in := range c.Apply(at+60_000, id, two(second, verdict(.5, "frontend", "orders", "db"))) {
		if in.MergedInto != "" || in.ID == id && in.Title != "db: slow" {
			t.Errorf("judged again, the first incident must neither take the second in nor its cause: %s merged into %q", in.Title, in.MergedInto)
		}
	}
	if c.groups[own.id] == nil {
		t.Error("the second incident is gone")
	}
}
