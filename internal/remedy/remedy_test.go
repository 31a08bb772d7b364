package remedy

import (
	"slices"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func mustLoad(t *testing.T) *Library {
	t.Helper()
	l, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// incident has one root with the given signal, and one anomaly of each text.
func incident(kind telemetry.EntityKind, name string, sig telemetry.Signal, shape ops.AnomalyKind, said ...string) *ops.Incident {
	e := telemetry.Entity{Kind: kind, Name: name}
	in := &ops.Incident{ID: "inc-1", Confidence: 0.9, Onset: 1000,
		Causes: []ops.Cause{{Entity: e, Role: ops.RoleRoot, Signal: sig}}}
	for _, s := range said {
		in.Anomalies = append(in.Anomalies, ops.Anomaly{ID: s, Entity: e, Signal: sig, Kind: shape, Series: s})
	}
	return in
}

func TestTheLibraryIsWellFormedAndLarge(t *testing.T) {
	l := mustLoad(t)
	if n := len(l.Runbooks()); n < 40 {
		t.Errorf("%d runbooks, want about 40", n)
	}
	for _, b := range l.Runbooks() {
		if b.Risk == "high" && b.Does.Action != "" && !strings.Contains(strings.ToLower(b.Danger), "two") {
			t.Errorf("%s is of high risk and can be run, but does not say what may go doubly wrong", b.ID)
		}
	}
}

func TestBrokenRunbooksAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		"- {id: x-y-z, titel: a}": "titel",
		"- {id: x-y-z, title: 'do {rot}', fault: f, match: {need: [words], words: [a]}, steps: [a, b], effect: e, risk: low, danger: d, verify: v}":                    "unknown placeholder {rot}",
		"- {id: x-y-z, title: t, fault: f, match: {need: [signals], signals: [speed]}, steps: [a, b], effect: e, risk: low, danger: d, verify: v}":                     `"speed" is not one of`,
		"- {id: x-y-z, title: t, fault: f, match: {words: [a]}, steps: [a, b], effect: e, risk: low, danger: d, verify: v}":                                            "need is empty",
		"- {id: x-y-z, title: t, fault: f, match: {need: [words]}, steps: [a], effect: e, risk: none, danger: d, verify: v}":                                           "risk \"none\"",
		"- {id: x-y-z, title: t, fault: f, match: {need: [words], words: [a]}, steps: [a, b], effect: e, risk: low, danger: d, verify: v, does: {inputs: {a: '{b}'}}}": "unknown placeholder {b}",
	} {
		books, err := Parse([]byte(text))
		if err == nil {
			_, err = New(books)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n gave %v, want %q", text, err, want)
		}
	}
}

func TestTheRightRunbookComesFirst(t *testing.T) {
	l := mustLoad(t)
	svc, db, host := telemetry.KindService, telemetry.KindDatabase, telemetry.KindHost
	for _, c := range []struct {
		want string
		in   *ops.Incident
	}{
		{"dead-instance", incident(svc, "cart", telemetry.SignalUp, ops.AnomalySilence, "up")},
		{"memory-leak", incident(svc, "cart", telemetry.SignalSaturation, ops.AnomalyShape, "process_resident_memory_bytes")},
		{"disk-full", incident(host, "db1", telemetry.SignalSaturation, ops.AnomalyLevel, "node_filesystem_avail_bytes")},
		{"slow-query", incident(db, "orders-db", telemetry.SignalLatency, ops.AnomalyLevel, "mysql_slow_queries")},
		{"connection-pool", incident(svc, "orders", telemetry.SignalLogs, ops.AnomalyNewTemplate, "FATAL: sorry, too many clients already")},
		{"certificate", incident(svc, "gateway", telemetry.SignalLogs, ops.AnomalyNewTemplate, "x509: certificate has expired or is not yet valid")},
		{"queue-backlog", incident(telemetry.KindQueue, "mails", telemetry.SignalSaturation, ops.AnomalyLevel, "kafka_consumergroup_lag")},
		{"cache-failing", incident(telemetry.KindCache, "sessions", telemetry.SignalLatency, ops.AnomalyLevel, "redis_evicted_keys_total")},
		{"network-delay", incident(svc, "pay", telemetry.SignalNetwork, ops.AnomalyLevel, "norn_edge_gap_seconds")},
		{"cpu-burn", incident(host, "web2", telemetry.SignalSaturation, ops.AnomalyLevel, "node_cpu_seconds_total")},
		{"dns-failure", incident(svc, "pay", telemetry.SignalLogs, ops.AnomalyNewTemplate, "dial tcp: lookup bank: no such host")},
		{"clock-skew", incident(host, "web2", telemetry.SignalOther, ops.AnomalyLevel, "node_timex_offset_seconds")},
		{"retry-storm", incident(svc, "pay", telemetry.SignalTraffic, ops.AnomalySpike, "client_retries_total")},
		{"brute-force", incident(host, "web2", telemetry.SignalLogs, ops.AnomalyLogRate, "Failed password for root from 203.0.113.9 port 4711 ssh2")},
		{"noisy-neighbour", incident(host, "web2", telemetry.SignalSaturation, ops.AnomalyLevel, "node_cpu_steal")},
	} {
		got := l.Recommend(c.in, nil, 5)
		if len(got) == 0 || got[0].ID != c.want {
			var ids []string
			for _, r := range got {
				ids = append(ids, r.ID)
			}
			t.Errorf("%s: got %v", c.want, ids)
			continue
		}
		if len(got[0].Why) == 0 || len(got[0].Steps) < 2 || got[0].Level != ops.AutonomySuggest {
			t.Errorf("%s: without reasons, steps or with autonomy: %+v", c.want, got[0])
		}
	}
}

func TestADeployBeforeTheOnsetIsRolledBackFirst(t *testing.T) {
	in := incident(telemetry.KindService, "cart", telemetry.SignalErrors, ops.AnomalyLevel, "http_errors")
	in.Causes[0].Changes = []telemetry.Change{{Kind: telemetry.ChangeDeploy, Title: "cart v2.7", Entity: in.Causes[0].Entity, Time: 900}}
	got := mustLoad(t).Recommend(in, nil, 3)
	if got[0].ID != "bad-deploy" || got[0].Title != "Roll back 'cart v2.7' on cart" {
		t.Errorf("got %s: %s", got[0].ID, got[0].Title)
	}
}

func TestStepsCarryTheIncidentsEntitiesAndNeverACommandOfTheAttacker(t *testing.T) {
	in := incident(telemetry.KindHost, "web2; rm -rf /", telemetry.SignalLogs, ops.AnomalyLogRate, "Failed password for root from 203.0.113.9 port 4711 ssh2", "accepted from 127.0.0.1")
	got := mustLoad(t).Recommend(in, nil, 1)[0]
	if got.Inputs["address"] != "203.0.113.9" {
		t.Errorf("the source is %q", got.Inputs["address"])
	}
	if !strings.Contains(got.Title, "'web2; rm -rf /'") {
		t.Errorf("an entity's name must be quoted: %s", got.Title)
	}
	nothing := mustLoad(t).Recommend(incident(telemetry.KindHost, "web2", telemetry.SignalLogs, ops.AnomalyLogRate, "Failed password for root"), nil, 1)[0]
	if !slices.Contains(nothing.Missing, "source") {
		t.Errorf("nothing says that the source is not known: %v", nothing.Missing)
	}
}

func TestThePastCountsWhenItWasSimilar(t *testing.T) {
	l, yes, no := mustLoad(t), true, false
	in := incident(telemetry.KindService, "cart", telemetry.SignalSaturation, ops.AnomalyShape, "process_resident_memory_bytes")
	print := Fingerprint(in)
	past := []ops.LedgerEntry{{Runbook: "memory-leak", Similar: print, Worked: &yes, Took: 9000, Time: 5}, {Runbook: "memory-leak", Similar: print, Worked: &yes, Took: 7000},
		{Runbook: "memory-leak", Similar: print, Worked: &no}, {Runbook: "memory-leak", Similar: "host/errors/log", Worked: &no}, {Runbook: "memory-leak", Similar: print}}
	got := l.Recommend(in, past, 1)[0].Track
	if got.Tried != 3 || got.Worked != 2 || got.Recover != 9000 || got.Mean != 0.6 || got.Low > 0.25 || got.Low < 0.2 || got.High < 0.85 {
		t.Errorf("got %+v", got)
	}
	for range 20 {
		past = append(past, ops.LedgerEntry{Runbook: "memory-leak", Similar: print, Worked: &no})
	}
	if worse := l.Recommend(in, past, 1)[0]; worse.Score >= l.Recommend(in, nil, 1)[0].Score {
		t.Error("twenty failures change nothing")
	}
}

func TestWithoutARootNothingIsGuessed(t *testing.T) {
	if got := mustLoad(t).Recommend(&ops.Incident{}, nil, 5); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}
