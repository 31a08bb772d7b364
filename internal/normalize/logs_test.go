package normalize

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/norn-aiops/norn/internal/telemetry"
)

const now = int64(1_800_000_000_000_000_000)

func logs(t testing.TB) *LogNormalizer {
	t.Helper()
	n, err := NewLogs(DefaultLogConfig())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSeveritiesOfManySendersAreOne(t *testing.T) {
	for _, c := range []struct {
		num        telemetry.Severity
		text, body string
		want       string
	}{
		{17, "", "", "error"}, {9, "ERROR", "", "info"}, {0, "err", "", "error"}, {0, "E", "", "error"}, {0, "WARN", "", "warn"}, {0, "[Warning]", "", "warn"},
		{0, "notice", "", "info"}, {0, "crit", "", "error"}, {0, "emerg", "", "fatal"}, {0, "50", "", "error"}, {0, "10", "", "trace"}, {99, "", "x", "unknown"}, {-3, "info", "", "info"},
		{0, "", "2026-11-24 08:00:00,123 ERROR [main] boom", "error"}, {0, "", "[warn] low disk", "warn"}, {0, "", "E1124 08:00:00.1 1 x.go:1] boom", "error"},
		{0, "", `{"ts":1,"level":"debug","msg":"x"}`, "debug"}, {0, "", "time=now level=warning msg=x", "warn"}, {0, "", "error: cannot open", "error"},
		{0, "", "there was no error here", "unknown"}, {0, "", "an information desk", "unknown"}, {0, "", "I think so", "unknown"}, {0, "", "", "unknown"},
		{0, "", `{"level":50,"msg":"pino"}`, "error"}, {0, "", "A NEW order came", "unknown"}, {0, "", "Nov 24 08:00:00 web-1 app[1]: FATAL no memory", "fatal"},
	} {
		if got := severityOf(c.num, c.text, c.body).String(); got != c.want {
			t.Errorf("%d %q %q: got %s, want %s", c.num, c.text, c.body, got, c.want)
		}
	}
}

func TestARecordBecomesUniform(t *testing.T) {
	n := logs(t)
	rec := telemetry.LogRecord{
		Time: now - 1e9, SeverityText: "err", Body: "login failed password=hunter2 \xff\x00\r\n", TraceID: "0AF7651916CD43DD8448EB211C80319C",
		Resource:   attrs("host.name", "web-1", "service.name", "cart"),
		Attributes: attrs("db.password", "letmein", "note", "ok"), Sender: "10.0.0.1:514",
	}
	if ok, reason := n.Log(&rec, now); !ok {
		t.Fatal(reason)
	}
	if rec.Body != "login failed password=[masked:keyed_value] \uFFFD\uFFFD" {
		t.Errorf("body %q", rec.Body)
	}
	if rec.Entity.String() != "service/cart" || rec.Instance.Name != "web-1" || rec.Severity != telemetry.SeverityError || rec.Hash == 0 || rec.Observed != now {
		t.Errorf("record %+v", rec)
	}
	if telemetry.Get(rec.Attributes, "db.password") != "[masked:keyed_value]" || telemetry.Get(rec.Attributes, "note") != "ok" || rec.TraceID != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("attributes %v", rec.Attributes)
	}
	if n.Masked()["keyed_value"] != 2 || n.Repaired() != 1 {
		t.Errorf("masked %v, repaired %d", n.Masked(), n.Repaired())
	}
}

func TestAResourceWithASecretIsCopiedNotChanged(t *testing.T) {
	n := logs(t)
	shared := attrs("process.command_line", "orders --password hunter22", "service.name", "cart")
	for range 2 {
		rec := telemetry.LogRecord{Time: now, Resource: shared}
		n.Log(&rec, now)
		if got := telemetry.Get(rec.Resource, "process.command_line"); got != "orders --password [masked:keyed_value]" || rec.Entity.Name != "cart" {
			t.Errorf("got %q of %s", got, rec.Entity)
		}
	}
	if shared[0].Value != "orders --password hunter22" {
		t.Error("the sender's slice was changed")
	}
	if got := n.Masked()["keyed_value"]; got != 1 {
		t.Errorf("one secret of one resource was counted %d times", got)
	}
}

func TestIdentityInAttributesAndOfTheSender(t *testing.T) {
	n := logs(t)
	for _, c := range []struct {
		rec  telemetry.LogRecord
		want string
	}{
		{telemetry.LogRecord{Attributes: attrs("host.name", "web-1", "service.name", "cart")}, "service/cart"},
		{telemetry.LogRecord{Resource: attrs("host.name", "web-1"), Attributes: attrs("syslog.appname", "orders")}, "service/orders"},
		{telemetry.LogRecord{Resource: attrs("host.name", "web-1"), Attributes: attrs("x", "y")}, "host/web-1"},
		{telemetry.LogRecord{Sender: "10.0.0.9:41234"}, "host/10.0.0.9"},
		{telemetry.LogRecord{Entity: telemetry.Entity{Kind: telemetry.KindDevice, Name: "d"}, Resource: attrs("service.name", "cart")}, "device/d"},
		{telemetry.LogRecord{}, ""},
	} {
		if ok, reason := n.Log(&c.rec, now); !ok || c.rec.Entity.String() != c.want {
			t.Errorf("got %q (%s), want %q", c.rec.Entity, reason, c.want)
		}
	}
}

func TestTimesAreCheckedAndFilledIn(t *testing.T) {
	n := logs(t)
	replay, err := NewLogs(LogConfig{MaxFuture: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		n      *LogNormalizer
		time   int64
		reason string
	}{
		{n, now + int64(9*time.Minute), ""}, {n, now + int64(11*time.Minute), ReasonTooFarInFuture},
		{n, now - int64(6*24*time.Hour), ""}, {n, now - int64(8*24*time.Hour), ReasonTooOld},
		{replay, 1, ""}, {replay, now + int64(2*time.Minute), ReasonTooFarInFuture},
	} {
		rec := telemetry.LogRecord{Time: c.time, Body: "x"}
		if ok, reason := c.n.Log(&rec, now); ok != (c.reason == "") || reason != c.reason {
			t.Errorf("%v: %v %q, want %q", time.Duration(c.time-now), ok, reason, c.reason)
		}
	}
	rec := telemetry.LogRecord{Observed: now - 5e9, Body: "x"}
	if n.Log(&rec, now); rec.Time != now-5e9 {
		t.Errorf("time %d", rec.Time)
	}
	rec = telemetry.LogRecord{Body: "x"}
	if n.Log(&rec, now); rec.Time != now || rec.Observed != now {
		t.Errorf("time %d", rec.Time)
	}
}

func TestARetriedBatchHashesEqualAndItsEqualLinesDiffer(t *testing.T) {
	n := logs(t)
	batch := func() []telemetry.LogRecord {
		var recs []telemetry.LogRecord
		for _, b := range []string{"same", "same", "other", "same"} {
			recs = append(recs, telemetry.LogRecord{Time: now - 1e9, Body: b, Resource: attrs("service.name", "cart")})
		}
		return recs
	}
	one, two := batch(), batch()
	for i := range one {
		n.Log(&one[i], now)
		n.Log(&two[i], now+60e9)
	}
	HashBatch(one)
	HashBatch(two)
	seen := map[uint64]bool{}
	for i := range one {
		if one[i].Hash != two[i].Hash {
			t.Errorf("record %d hashes differently when sent again", i)
		}
		seen[one[i].Hash] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d different hashes of 4 records", len(seen))
	}
}

func TestSkewOfEachSenderIsAMedian(t *testing.T) {
	n, err := NewLogs(LogConfig{MaxSenders: 3})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		at := now + int64(i)*1e9
		late := int64(2e9)
		if i%10 == 0 {
			late = 300e9 // stragglers do not move the median
		}
		n.Log(&telemetry.LogRecord{Time: at - late, Sender: fmt.Sprintf("10.0.0.1:%d", 4000+i)}, at)
		n.Log(&telemetry.LogRecord{Time: at + 30e9, Sender: "ahead"}, at)
		n.Log(&telemetry.LogRecord{Time: at - int64(time.Hour), Sender: "old"}, at)
	}
	s := n.Skews()
	if s["10.0.0.1"].Offset != 2*time.Second || s["ahead"].Offset != -30*time.Second || s["10.0.0.1"].Samples != 100 {
		t.Errorf("skews %+v", s)
	}
	if _, ok := s["old"]; ok {
		t.Error("an hour of delay was taken for skew")
	}
	for i := range 10 {
		n.Log(&telemetry.LogRecord{Time: now, Sender: fmt.Sprint("s", i)}, now)
	}
	if len(n.Skews()) > 3 {
		t.Errorf("%d senders are kept", len(n.Skews()))
	}
}

func TestSpansAreMadeUniformOrRefused(t *testing.T) {
	n := logs(t)
	s := telemetry.Span{
		TraceID: "AB", SpanID: "CD", ParentID: "0000000000000000", Kind: "SERVER", Start: now - 1e9, End: now - 2e9, Name: "GET /x?token=abcdef123456",
		Resource: attrs("service.name", "cart", "service.instance.id", "i1"), Attributes: attrs("http.request.header.authorization", "Bearer abc123def456"),
	}
	if ok, reason := n.Span(&s, now); !ok {
		t.Fatal(reason)
	}
	if s.TraceID != "ab" || s.SpanID != "cd" || s.ParentID != "" || s.Kind != telemetry.SpanServer || s.End != s.Start || s.Entity.Name != "cart" || s.Instance.Name != "i1" {
		t.Errorf("span %+v", s)
	}
	if strings.Contains(s.Name, "abcdef") || strings.Contains(s.Attributes[0].Value, "abc123") {
		t.Errorf("a secret stayed: %+v", s)
	}
	for reason, s := range map[string]telemetry.Span{
		ReasonNoID: {TraceID: "00", SpanID: "1", Start: now, End: now}, ReasonNoTime: {TraceID: "1", SpanID: "1"},
		ReasonTooFarInFuture: {TraceID: "1", SpanID: "1", Start: now, End: now + int64(time.Hour)}, ReasonTooOld: {TraceID: "1", SpanID: "1", Start: 1, End: 2},
	} {
		if ok, got := n.Span(&s, now); ok || got != reason {
			t.Errorf("got %v %q, want %q", ok, got, reason)
		}
	}
}

func TestAlertsAreMadeUniform(t *testing.T) {
	n := logs(t)
	a := telemetry.Alert{Labels: map[string]string{"alertname": "HighErrors", "severity": "page", "job": "shop/cart", "instance": "x:1"}, Annotations: map[string]string{"d": "password=hunter2"}, StartsAt: 5, EndsAt: 3}
	n.Alert(&a)
	if a.Severity != "critical" || a.Name != "HighErrors" || a.Entity.String() != "service/cart" || len(a.Fingerprint) != 16 || a.EndsAt != 5 || strings.Contains(a.Annotations["d"], "hunter2") {
		t.Errorf("alert %+v", a)
	}
	b := telemetry.Alert{Labels: map[string]string{"entity": "database/orders-db"}}
	n.Alert(&b)
	if b.Entity.String() != "database/orders-db" || b.Severity != "warning" || b.Fingerprint == a.Fingerprint {
		t.Errorf("alert %+v", b)
	}
	var empty telemetry.Alert
	n.Alert(&empty)
	if empty.Fingerprint == "" || empty.Severity != "warning" {
		t.Errorf("alert %+v", empty)
	}
}

func TestEventsBecomeChanges(t *testing.T) {
	n := logs(t)
	for _, c := range []struct {
		name   string
		rec    telemetry.LogRecord
		kind   telemetry.ChangeKind
		entity string
	}{
		{"collector event", telemetry.LogRecord{Body: "Stopping container server", Attributes: attrs("k8s.event.reason", "Killing"), Resource: attrs("k8s.object.kind", "Pod", "k8s.object.name", "cart-5b67c48447-mv5hb")}, telemetry.ChangeEvent, "service/cart"},
		{"rollout", telemetry.LogRecord{Body: "Scaled up replica set cart-5b67c48447 to 1 from 0", Attributes: attrs("k8s.event.reason", "ScalingReplicaSet"), Resource: attrs("k8s.object.kind", "Deployment", "k8s.object.name", "cart")}, telemetry.ChangeDeploy, "service/cart"},
		{"scaling", telemetry.LogRecord{Body: "Scaled up replica set cart-5b67c48447 to 5 from 3", Attributes: attrs("k8s.event.reason", "ScalingReplicaSet"), Resource: attrs("k8s.object.kind", "Deployment", "k8s.object.name", "cart")}, telemetry.ChangeScale, "service/cart"},
		{"JSON event", telemetry.LogRecord{Body: `{"kind":"Event","reason":"NodeNotReady","message":"Node is not ready","involvedObject":{"kind":"Node","name":"node-1"}}`}, telemetry.ChangeEvent, "host/node-1"},
		{"watch event", telemetry.LogRecord{Body: `{"type":"ADDED","object":{"reason":"OOMKilling","message":"x","involvedObject":{"kind":"Node","name":"node-2"}}}`}, telemetry.ChangeEvent, "host/node-2"},
		{"image pulled", telemetry.LogRecord{Body: `Successfully pulled image "shop/cart:v2"`, Attributes: attrs("k8s.event.reason", "Pulled"), Resource: attrs("k8s.object.kind", "Pod", "k8s.object.name", "cart-5b67c48447-mv5hb")}, telemetry.ChangeDeploy, "service/cart"},
		{"deployment attributes", telemetry.LogRecord{Attributes: attrs("deployment.id", "17", "deployment.status", "succeeded"), Resource: attrs("service.name", "cart")}, telemetry.ChangeDeploy, "service/cart"},
		{"no object", telemetry.LogRecord{Attributes: attrs("reason", "BackOff"), Resource: attrs("service.name", "cart")}, telemetry.ChangeEvent, "service/cart"},
		{"other reason", telemetry.LogRecord{Attributes: attrs("reason", "because")}, "", ""},
		{"line", telemetry.LogRecord{Body: "Killing time"}, "", ""},
		{"broken JSON", telemetry.LogRecord{Body: `{"reason":"Killing","involvedObject":`}, "", ""},
	} {
		c.rec.Time = now
		n.Log(&c.rec, now)
		ch, ok := n.ChangeFromLog(&c.rec)
		if ok != (c.kind != "") || ch.Kind != c.kind || ch.Entity.String() != c.entity {
			t.Errorf("%s: got %v %+v, want %s %s", c.name, ok, ch, c.kind, c.entity)
		}
		if again, _ := n.ChangeFromLog(&c.rec); ok && (again.ID != ch.ID || ch.ID == "" || ch.Time != now/1e6 || ch.Title == "") {
			t.Errorf("%s: %+v %+v", c.name, ch, again)
		}
	}
}

func TestANewVersionIsADeployment(t *testing.T) {
	n := logs(t)
	cart := telemetry.Entity{Kind: telemetry.KindService, Name: "cart"}
	var got []string
	for minute, v := range []string{"1.0", "1.0", "1.1", "1.0", "1.1", "", "1.1"} {
		if ch, ok := n.ChangeFromResource(cart, attrs("service.version", v), int64(minute)*60_000); ok {
			got = append(got, ch.Title)
		}
	}
	for minute := int64(7); minute < 30; minute++ {
		n.ChangeFromResource(cart, attrs("service.version", "1.1"), minute*60_000)
	}
	if ch, ok := n.ChangeFromResource(cart, attrs("service.version", "1.0"), 30*60_000); ok {
		got = append(got, ch.Title)
	}
	if fmt.Sprint(got) != "[cart: version 1.0 -> 1.1 cart: version 1.1 -> 1.0]" {
		t.Errorf("got %q", got)
	}
}

func TestConcurrentLogs(t *testing.T) {
	n := logs(t)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			res := attrs("service.name", fmt.Sprint("s", w))
			for range 500 {
				rec := telemetry.LogRecord{Time: now, Body: "password=x1", Resource: res, Sender: fmt.Sprint(w)}
				if n.Log(&rec, now); rec.Entity.Name != fmt.Sprint("s", w) {
					t.Errorf("worker %d got %s", w, rec.Entity)
				}
			}
		}()
	}
	wg.Wait()
	if n.Masked()["keyed_value"] != 4000 {
		t.Errorf("masked %v", n.Masked())
	}
}

func FuzzLog(f *testing.F) {
	f.Add("ERROR boom", "host.name", "web-1", int64(5), "e")
	f.Add(`{"reason":"Killing","involvedObject":{"kind":"Pod","name":"a-0"}}`, "k8s.pod.name", "a-", now, "")
	f.Fuzz(func(t *testing.T, body, key, val string, ts int64, sev string) {
		n := logs(t)
		rec := telemetry.LogRecord{Time: ts, Body: body, SeverityText: sev, Resource: attrs(key, val), Attributes: attrs(key, val), Sender: val}
		ok, reason := n.Log(&rec, now)
		if ok != (reason == "") {
			t.Fatalf("ok %v with reason %q", ok, reason)
		}
		n.ChangeFromLog(&rec)
		s := telemetry.Span{TraceID: body, SpanID: key, ParentID: val, Start: ts, Kind: telemetry.SpanKind(sev), Resource: attrs(key, val), Attributes: attrs(key, val)}
		n.Span(&s, now)
		if !ok {
			return
		}
		if !utf8.ValidString(rec.Body) || strings.Contains(rec.Body, "\x00") || rec.Hash == 0 || rec.Severity < 0 || rec.Severity > 24 {
			t.Fatalf("record %+v", rec)
		}
	})
}

func BenchmarkLog(b *testing.B) {
	n := logs(b)
	res := attrs("host.name", "web-1", "service.name", "cart")
	at := attrs("http.route", "/cart", "thread", "main")
	b.ReportAllocs()
	for b.Loop() {
		rec := telemetry.LogRecord{Time: now, SeverityText: "INFO", Body: "order 8812 accepted in 35 ms for customer bob (items=3, total=44.90 EUR)", Resource: res, Attributes: at, Sender: "10.0.0.1:99"}
		n.Log(&rec, now)
	}
}
