package logmine

import (
	"testing"

	"github.com/norn-aiops/norn/internal/telemetry"
)

func TestARetractedLineIsNotInTheRates(t *testing.T) {
	m := New(Config{})
	cart := telemetry.Entity{Kind: telemetry.KindService, Name: "cart"}
	send := func() *telemetry.LogRecord {
		rec := &telemetry.LogRecord{Time: 1_000_000_000, Severity: telemetry.SeverityInfo, Entity: cart, Body: "item 17 added to basket"}
		m.Add(rec)
		return rec
	}
	m.Flush(10_000)
	for range 10 {
		send()
	}
	for range 4 {
		m.Retract(send())
	}
	for _, s := range m.Flush(20_000) {
		if s.V != 1 {
			t.Errorf("%s is %v lines a second, want 10 lines in 10 s", s.Labels, s.V)
		}
	}
	if got := m.Templates(cart)[0].Count; got != 10 {
		t.Errorf("the template counts %d lines, want 10", got)
	}
}

func TestANewMessageWhoseBatchFailedIsToldWhenItComesAgain(t *testing.T) {
	m, now := settled()
	rec := line(cart, "disk vanished: panic", now, telemetry.SeverityFatal)
	if _, a := m.Add(rec); a == nil {
		t.Fatal("no anomaly")
	}
	m.Retract(rec) // the store refused the batch; the caller dropped the anomaly
	m.Tick(now.Milliseconds())
	if _, a := m.Add(rec); a != nil {
		t.Fatalf("told twice: %+v", a)
	}
	got := m.Tick(now.Milliseconds() + 61_000)
	if len(got) != 1 || got[0].Observed != 1 || got[0].Ended != 0 {
		t.Errorf("after the second try: %+v", got)
	}
}
