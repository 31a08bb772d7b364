package logmine

import (
	"fmt"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func byLabels(samples []RateSample) map[string]float64 {
	out := map[string]float64{}
	for _, s := range samples {
		out[s.Labels.String()] = s.V
	}
	return out
}

func TestRatesCountLinesBySeverityAndTemplate(t *testing.T) {
	m := New(Config{})
	if got := m.Flush(1_000_000); got != nil {
		t.Fatalf("samples without a line: %v", got)
	}
	m.Add(line(cart, "order 4 stored", time.Second, telemetry.SeverityInfo))
	if got := m.Flush(1_010_000); len(got) != 0 {
		t.Fatalf("rates of a part of a window: %v", got)
	}
	var id uint64
	for range 30 {
		id, _ = m.Add(line(cart, "order 5 stored", time.Second, telemetry.SeverityInfo))
	}
	m.Add(line(cart, "seldom said", time.Second, telemetry.SeverityError+2))
	if got := m.Flush(1_019_999); got != nil {
		t.Fatalf("samples of a window that is not over: %v", got)
	}
	samples := m.Flush(1_020_400)
	got := byLabels(samples)
	want := map[string]float64{
		Labels(cart, telemetry.SeverityInfo).String():  3,
		Labels(cart, telemetry.SeverityError).String(): 0.1,
		TemplateLabels(cart, id).String():              3,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("rates %v, want %v", got, want)
	}
	if samples[0].T != 1_020_000 {
		t.Errorf("time %d is not the end of the window", samples[0].T)
	}
	for now := int64(1_030_000); now <= 1_620_000; now += 10_000 {
		for k, v := range byLabels(m.Flush(now)) {
			if v != 0 {
				t.Fatalf("silent series %s has rate %v", k, v)
			}
		}
	}
	if got := m.Flush(1_630_000); len(got) != 0 {
		t.Errorf("series go on after ten silent minutes: %v", got)
	}
}

func TestOnlyTheMostFrequentTemplatesHaveSeries(t *testing.T) {
	m := New(Config{RatedTemplates: 5})
	m.Add(line(cart, "the first line", time.Second, telemetry.SeverityInfo))
	m.Flush(0)
	words := []string{"red", "green", "blue", "black", "white", "brown", "grey", "pink"}
	for i, w := range words {
		for range 4 + i {
			m.Add(line(cart, w, time.Second, telemetry.SeverityInfo))
		}
	}
	got := byLabels(m.Flush(10_000))
	if len(got) != 6 {
		t.Fatalf("%d series, want 5 templates and a severity: %v", len(got), got)
	}
	for i, tpl := range m.Templates(cart) {
		if _, ok := got[TemplateLabels(cart, tpl.ID).String()]; ok != (i < 5) {
			t.Errorf("template %d (%d lines): series %v", i, tpl.Count, ok)
		}
	}
}

// settled returns a miner whose cart service is past its learning time, and the
// log time.
func settled() (*Miner, time.Duration) {
	m := New(Config{})
	for i := range 21 {
		m.Add(line(cart, "all is well", time.Duration(i)*30*time.Second+1, telemetry.SeverityInfo))
	}
	return m, 11 * time.Minute
}

func TestABadMessageNeverSeenIsAnAnomaly(t *testing.T) {
	m, now := settled()
	if _, a := m.Add(line(cart, "cache warmed with 5 entries", now, telemetry.SeverityInfo)); a != nil {
		t.Errorf("a harmless new message raised %+v", a)
	}
	id, a := m.Add(line(cart, "could not reach orders-db: connection refused", now, telemetry.SeverityError))
	if a == nil {
		t.Fatal("no anomaly")
	}
	if a.Kind != ops.AnomalyNewTemplate || a.Entity != cart || a.Onset != now.Milliseconds() || a.Ended != 0 ||
		a.Text != "could not reach orders-db: connection refused" || a.Severity != 0.7 || a.P <= 0 || a.P > 0.1 ||
		a.Expr != fmt.Sprintf(`template:="%d"`, id) {
		t.Errorf("anomaly %+v", a)
	}
	if _, again := m.Add(line(cart, "could not reach orders-db: connection refused", now+1, telemetry.SeverityError)); again != nil {
		t.Errorf("the second line raised %+v", again)
	}
	if _, a := m.Add(line(cart, "worker gave a Panic today", now, telemetry.SeverityInfo)); a == nil {
		t.Error("a word of failure at severity info raised nothing")
	}
	n, _ := settled()
	if _, b := n.Add(line(cart, "could not reach orders-db: connection refused", now, telemetry.SeverityError)); b == nil || b.ID != a.ID {
		t.Errorf("another run names the anomaly otherwise: %v", b)
	}
}

func TestWhileLearningNothingIsAnomalous(t *testing.T) {
	m := New(Config{})
	for i := range 2000 { // many lines, in one burst
		if _, a := m.Add(line(cart, fmt.Sprintf("error of sort %c%c", 'a'+i%26, 'a'+i/26%26), time.Duration(i)*time.Millisecond, telemetry.SeverityError)); a != nil {
			t.Fatalf("line %d raised %+v", i, a)
		}
	}
}

func TestNewMessagesDoNotFlood(t *testing.T) {
	m, now := settled()
	raised := 0
	for i := range 300 {
		body := fmt.Sprintf("failure%s code", string([]rune{'a' + rune(i%26), 'a' + rune(i/26), rune("(|:;=,"[i%6])}))
		if _, a := m.Add(line(cart, body, now+time.Duration(i)*100*time.Millisecond, telemetry.SeverityError)); a != nil {
			raised++
		}
	}
	if raised == 0 || raised > 6 {
		t.Errorf("%d anomalies in half a minute, want 1 to 6", raised)
	}
}

func TestANewMessageGrowsAndEnds(t *testing.T) {
	m, now := settled()
	say := func(at time.Duration) {
		m.Add(line(cart, "payment gateway timed out", at, telemetry.SeverityWarn))
	}
	say(now)
	tick := func(at time.Duration) []ops.Anomaly { return m.Tick(at.Milliseconds()) }
	if got := tick(now + time.Second); len(got) != 0 {
		t.Fatalf("sent again at once: %v", got)
	}
	say(now + 30*time.Second)
	say(now + 40*time.Second)
	grown := tick(now + 62*time.Second)
	if len(grown) != 1 || grown[0].Observed != 3 || grown[0].LastSeen != (now+40*time.Second).Milliseconds() || grown[0].Ended != 0 {
		t.Fatalf("after growth: %+v", grown)
	}
	if got := tick(now + 5*time.Minute); len(got) != 0 {
		t.Fatalf("sent without news: %v", got)
	}
	ended := tick(now + 7*time.Minute)
	if len(ended) != 1 || ended[0].ID != grown[0].ID || ended[0].Ended == 0 {
		t.Fatalf("after silence: %+v", ended)
	}
	if got := tick(now + 20*time.Minute); len(got) != 0 {
		t.Errorf("ended twice: %v", got)
	}
}

func TestTheWorstSeverityOfATemplateIsKept(t *testing.T) {
	m := New(Config{})
	for _, s := range []telemetry.Severity{telemetry.SeverityInfo, telemetry.SeverityFatal, telemetry.SeverityDebug} {
		m.Add(line(cart, "the same words", time.Second, s))
	}
	if got := m.Templates(cart)[0].Severity; got != telemetry.SeverityFatal {
		t.Errorf("severity %v", got)
	}
}

func TestAServiceThatIsGoneIsForgotten(t *testing.T) {
	m := New(Config{IdleFor: time.Hour})
	m.Add(line(cart, "hello", time.Second, 0))
	m.Flush(10_000)
	m.Flush(10_000 + 3_599_000)
	if len(m.Entities()) != 1 {
		t.Fatal("forgotten too early")
	}
	m.Flush(20_000 + 3_600_000)
	if len(m.Entities()) != 0 {
		t.Error("an idle service is kept for ever")
	}
}
