package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// recorder is a sink that remembers; it fails while broken is set, and waits
// while held.
type recorder struct {
	ingest.Sink
	mu     sync.Mutex
	recs   []telemetry.LogRecord
	broken error
	tries  int
	grown  *sync.Cond
	held   chan struct{}
}

func newRecorder() *recorder {
	r := &recorder{}
	r.grown = sync.NewCond(&r.mu)
	return r
}

func (r *recorder) Logs(ctx context.Context, recs []telemetry.LogRecord) (ingest.Result, error) {
	if r.held != nil {
		select {
		case <-r.held:
		case <-ctx.Done():
			return ingest.Result{}, ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.grown.Broadcast()
	r.tries++
	if r.broken != nil {
		return ingest.Result{}, r.broken
	}
	r.recs = append(r.recs, recs...)
	return ingest.Result{Accepted: len(recs)}, nil
}

func (r *recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = err
}

// await returns the records once ok says that enough has come.
func (r *recorder) await(ok func() bool) []telemetry.LogRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !ok() {
		r.grown.Wait()
	}
	return append([]telemetry.LogRecord(nil), r.recs...)
}

func (r *recorder) want(n int) []telemetry.LogRecord {
	return r.await(func() bool { return len(r.recs) >= n })
}

type world struct {
	*Server
	sink *recorder
	reg  *prometheus.Registry
	stop func()
}

func start(t testing.TB, change func(*Options)) *world {
	t.Helper()
	w := &world{sink: newRecorder(), reg: prometheus.NewRegistry()}
	counters, err := ingest.NewCounters(w.reg)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{UDPAddr: "127.0.0.1:0", TCPAddr: "127.0.0.1:0", Sink: w.sink, Counters: counters}
	if change != nil {
		change(&o)
	}
	if w.Server, err = Listen(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	var once sync.Once
	w.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("the receiver did not end cleanly: %v", err)
			}
		})
	}
	t.Cleanup(w.stop)
	return w
}

func (w *world) reasons(t *testing.T, want ...string) {
	t.Helper()
	text := "# HELP norn_ingest_rejected_total Items, requests and connections that were refused, cut or not understood, by protocol and reason.\n# TYPE norn_ingest_rejected_total counter\n"
	for i := 0; i+1 < len(want); i += 2 {
		text += fmt.Sprintf("norn_ingest_rejected_total{protocol=\"syslog\",reason=%q} %s\n", want[i], want[i+1])
	}
	if err := testutil.GatherAndCompare(w.reg, strings.NewReader(text), "norn_ingest_rejected_total"); err != nil {
		t.Error(err)
	}
}

// send writes to a TCP connection, half-closes it and waits until the server
// closes its side: then everything was read.
func send(t testing.TB, addr, text string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, c) // a reset is fine: the server had enough
}

var now = time.Date(2026, 3, 1, 0, 30, 0, 0, time.UTC)

func attrs(kv ...string) (out []telemetry.Attr) {
	for i := 0; i < len(kv); i += 2 {
		out = append(out, telemetry.Attr{Key: kv[i], Value: kv[i+1]})
	}
	return out
}

func TestLinesOfBothFormatsAndOfNone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	p := newParser(&Server{opts: Options{Location: berlin}})
	at := func(s string) int64 {
		tm, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return tm.UnixNano()
	}
	for _, c := range []struct {
		line string
		ok   bool
		want telemetry.LogRecord
	}{
		{"<165>1 2026-02-28T23:59:59.003Z web1 cart 4711 ID47 [ex@32473 iut=\"3\" q=\"a\\\"b\"][x n=\"1\"] \ufeffhello", true, telemetry.LogRecord{
			Time: at("2026-02-28T23:59:59.003Z"), Severity: 10, SeverityText: "notice", Body: "hello",
			Resource:   attrs("host.name", "web1", "syslog.appname", "cart", "syslog.facility", "local4", "syslog.msgid", "ID47", "syslog.procid", "4711"),
			Attributes: attrs("ex@32473.iut", "3", "ex@32473.q", `a"b`, "x.n", "1")}},
		{"<0>1 - - - - - -", true, telemetry.LogRecord{Time: now.UnixNano(), Severity: 21, SeverityText: "emerg", Resource: attrs("syslog.facility", "kern")}},
		// Winter time in Berlin is UTC+1; the new year's line came late.
		{"<34>Dec 31 23:59:59 mymachine su[42]: 'su root' failed on /dev/pts/8", true, telemetry.LogRecord{
			Time: at("2025-12-31T22:59:59Z"), Severity: 18, SeverityText: "crit", Body: "'su root' failed on /dev/pts/8",
			Resource: attrs("host.name", "mymachine", "syslog.appname", "su", "syslog.facility", "auth", "syslog.procid", "42")}},
		{"<13>Mar  1 01:30:00.250 10.0.0.1 app: x: y", true, telemetry.LogRecord{
			Time: at("2026-03-01T00:30:00.25Z"), Severity: 10, SeverityText: "notice", Body: "x: y",
			Resource: attrs("host.name", "10.0.0.1", "syslog.appname", "app", "syslog.facility", "user")}},
		{"<30>Mar  1 01:30:00 kernel: no host here", true, telemetry.LogRecord{
			Time: at("2026-03-01T00:30:00Z"), Severity: 9, SeverityText: "info", Body: "no host here",
			Resource: attrs("syslog.appname", "kernel", "syslog.facility", "daemon")}},
		{"<30>2026-03-01T01:30:00.5+01:00 h app[1]: forwarded", true, telemetry.LogRecord{
			Time: at("2026-03-01T00:30:00.5Z"), Severity: 9, SeverityText: "info", Body: "forwarded",
			Resource: attrs("host.name", "h", "syslog.appname", "app", "syslog.facility", "daemon", "syslog.procid", "1")}},
		{"<30>Mar  1 2026 01:30:00 h no tag at all", true, telemetry.LogRecord{
			Time: at("2026-03-01T00:30:00Z"), Severity: 9, SeverityText: "info", Body: "no tag at all",
			Resource: attrs("host.name", "h", "syslog.facility", "daemon")}},
		{"Mar  1 01:30:00 h app: no priority", true, telemetry.LogRecord{
			Time: at("2026-03-01T00:30:00Z"), Severity: 10, SeverityText: "notice", Body: "no priority",
			Resource: attrs("host.name", "h", "syslog.appname", "app", "syslog.facility", "user")}},
		{"<11>free \xff text", false, telemetry.LogRecord{Time: now.UnixNano(), Severity: 17, SeverityText: "err", Body: "<11>free \uFFFD text", Resource: attrs("syslog.facility", "user")}},
		{"<999>what", false, telemetry.LogRecord{Time: now.UnixNano(), Severity: 10, SeverityText: "notice", Body: "<999>what", Resource: attrs("syslog.facility", "user")}},
		{"<11>1 yesterday h a - - - x", false, telemetry.LogRecord{Time: now.UnixNano(), Severity: 17, SeverityText: "err", Body: "<11>1 yesterday h a - - - x", Resource: attrs("syslog.facility", "user")}},
		{"just words", false, telemetry.LogRecord{Time: now.UnixNano(), Severity: 10, SeverityText: "notice", Body: "just words", Resource: attrs("syslog.facility", "user")}},
	} {
		got, ok := p.parse([]byte(c.line), now)
		c.want.Observed, c.want.Source = now.UnixNano(), "syslog"
		if ok != c.ok || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", c.want) {
			t.Errorf("%q\n got %v %+v\nwant %v %+v", c.line, ok, got, c.ok, c.want)
		}
	}
}

func TestTheYearOfA3164TimestampIsTheOneClosestToNow(t *testing.T) {
	p := newParser(&Server{opts: Options{Location: time.UTC}})
	for _, c := range []struct{ now, stamp, want string }{
		{"2026-01-01T00:00:10Z", "Dec 31 23:59:50", "2025-12-31T23:59:50Z"},
		{"2025-12-31T23:59:50Z", "Jan  1 00:00:10", "2026-01-01T00:00:10Z"},
		{"2026-07-01T12:00:00Z", "Jul  1 11:59:59", "2026-07-01T11:59:59Z"},
		{"2028-03-01T12:00:00Z", "Feb 29 11:59:59", "2028-02-29T11:59:59Z"},
	} {
		at, _ := time.Parse(time.RFC3339, c.now)
		rec, ok := p.parse([]byte("<13>"+c.stamp+" h a: x"), at)
		if got := time.Unix(0, rec.Time).UTC().Format(time.RFC3339); !ok || got != c.want {
			t.Errorf("%s read at %s gave %s, want %s", c.stamp, c.now, got, c.want)
		}
	}
}

func TestFramingIsToldApartOnEachConnection(t *testing.T) {
	w := start(t, nil)
	one := "<13>1 2026-03-01T00:30:00Z h a - - - first\nsecond line of the first"
	send(t, w.TCPAddr(), fmt.Sprintf("%d %s%d %s\n", len(one), one, len("<13>x"), "<13>x"))
	send(t, w.TCPAddr(), "<13>Mar  1 00:30:00 h a: newline\r\n<13>Mar  1 00:30:00 h a: unfinished")
	send(t, w.TCPAddr(), "2026-03-01T00:30:00Z h a: begins with a digit\n5 words are in this line\n")
	var bodies []string
	for _, rec := range w.sink.want(6) {
		bodies = append(bodies, rec.Body)
	}
	want := []string{"first\nsecond line of the first", "<13>x", "newline", "unfinished", "begins with a digit", "5 words are in this line"}
	if strings.Join(bodies, "|") != strings.Join(want, "|") {
		t.Errorf("got %q, want %q", bodies, want)
	}
	w.reasons(t, "unparsable", "2")
}

func TestOctetCountsThatLieEndTheConnectionAndLoseNoLine(t *testing.T) {
	w := start(t, nil)
	send(t, w.TCPAddr(), "5 <13>good line that is longer")              // too small a count
	send(t, w.TCPAddr(), "500 <13>short")                               // too large a count
	send(t, w.TCPAddr(), "5 <13>a999999999 <13>never comes")            // absurd
	send(t, w.TCPAddr(), "5 <13>b99999999999999999999 <13>never comes") // does not fit
	var bodies []string
	for _, rec := range w.sink.want(4) {
		bodies = append(bodies, rec.Body)
	}
	if got := strings.Join(bodies, "|"); got != "<13>g|<13>short|<13>a|<13>b" {
		t.Errorf("bodies %q", got)
	}
	w.stop()
	w.reasons(t, "bad_frame", "3", "truncated_frame", "1", "unparsable", "4")
}

func TestLongLinesAreCutAndTheNextOneIsWhole(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits = ingest.Limits{Line: 100} })
	long := "<13>Mar  1 00:30:00 h a: " + strings.Repeat("x", 100_000)
	next := "<13>Mar  1 00:30:00 h a: next"
	send(t, w.TCPAddr(), long+"\n"+next+"\n")
	send(t, w.TCPAddr(), fmt.Sprintf("%d %s%d %s", len(long), long, len(next), next))
	recs := w.sink.want(4)
	for i, rec := range recs {
		cut := telemetry.Get(rec.Attributes, "syslog.truncated") == "true"
		if long := i%2 == 0; cut != long || (long && len(rec.Body) != 100-len("<13>Mar  1 00:30:00 h a: ")) || (!long && rec.Body != "next") {
			t.Errorf("record %d: %d bytes, cut %v", i, len(rec.Body), cut)
		}
	}
	w.reasons(t, "line_cut", "2")
}

func TestASinkThatFailsCostsNoLine(t *testing.T) {
	w := start(t, func(o *Options) { o.BatchSize = 10 })
	w.sink.fail(errors.New("disk full"))
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "<13>Mar  1 00:30:00 h a: line %d\n", i)
	}
	done := make(chan struct{})
	go func() { defer close(done); send(t, w.TCPAddr(), text.String()) }()
	w.sink.await(func() bool { return w.sink.tries >= 3 })
	w.sink.fail(nil)
	<-done
	for i, rec := range w.sink.want(1000) {
		if rec.Body != fmt.Sprint("line ", i) {
			t.Fatalf("record %d is %q", i, rec.Body)
		}
	}
}

func TestTooManyConnectionsAndFullQueueAreCounted(t *testing.T) {
	held := make(chan struct{})
	w := start(t, func(o *Options) {
		o.Limits = ingest.Limits{Connections: 1}
		o.BatchSize = 1
		o.Sink.(*recorder).held = held
	})
	one, err := net.Dial("tcp", w.TCPAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	two, err := net.Dial("tcp", w.TCPAddr())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.Read(make([]byte, 1)); err == nil {
		t.Error("a connection beyond the limit was not closed")
	}
	udp, err := net.Dial("udp", w.UDPAddr())
	if err != nil {
		t.Fatal(err)
	}
	for dropped := 0.0; dropped == 0; { // the sink is held: some must be dropped
		fmt.Fprint(udp, "<13>Mar  1 00:30:00 h a: x")
		dropped = counter(t, w.reg, "queue_full")
	}
	close(held)
	if got := counter(t, w.reg, "too_many_connections"); got != 1 {
		t.Errorf("%v refused connections counted", got)
	}
}

func counter(t *testing.T, reg *prometheus.Registry, reason string) float64 {
	t.Helper()
	fams, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fams {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "reason" && l.GetValue() == reason {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	return 0
}

func TestHalfOpenConnectionsEnd(t *testing.T) {
	cert := newCA(t).server(t)
	w := start(t, func(o *Options) {
		o.StallTimeout = 50 * time.Millisecond
		o.TLSAddr, o.TLS = "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}}
	})
	for _, c := range []struct{ addr, text string }{
		{w.TCPAddr(), ""}, {w.TCPAddr(), "<13>never ends"}, {w.TCPAddr(), "100 <13>never ends"}, {w.TCPAddr(), "1"}, {w.TLSAddr(), ""}, {w.TLSAddr(), "\x16\x03\x01"}, {w.TLSAddr(), "<13>plain text on a TLS port\n"},
	} {
		conn, err := net.Dial("tcp", c.addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, c.text)
		_, _ = io.Copy(io.Discard, conn) // returns when the server closes
		conn.Close()
	}
	if recs := w.sink.want(3); !strings.HasPrefix(recs[0].Body, "<13>never ends") {
		t.Errorf("what was read of an unfinished line is lost: %+v", recs)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"<165>1 2026-02-28T23:59:59.003Z web1 cart 4711 ID47 [ex@32473 iut=\"3\"] hello", "<34>Oct 11 22:14:15 mymachine su[42]: x",
		"<34>Oct 11 22:14:15.", "<13>2026-03-01T01:30:00.5+01:00 h app[1]: y", "Feb 29 00:00:00 h a: b", "<", "<191>", "<13>Jan  1 0001 00:00:00 x",
	} {
		f.Add([]byte(s))
	}
	p := newParser(&Server{opts: Options{Location: time.UTC}})
	f.Fuzz(func(t *testing.T, line []byte) {
		rec, ok := p.parse(line, now)
		if !ok && rec.Body != ingest.Clean(string(line)) {
			t.Errorf("an unparsable line %q became %q", line, rec.Body)
		}
		if rec.Time < 0 || rec.Severity == 0 || rec.Body != ingest.Clean(rec.Body) {
			t.Errorf("%q gave %+v", line, rec)
		}
		for _, set := range [][]telemetry.Attr{rec.Resource, rec.Attributes} {
			for i := 1; i < len(set); i++ {
				if set[i-1].Key >= set[i].Key {
					t.Errorf("%q: attributes are not sorted and unique: %q", line, set)
				}
			}
		}
	})
}

func FuzzFraming(f *testing.F) {
	for _, s := range []string{"5 <13>a5 <13>b", "<13>a\n<13>b\n", "99 <13>", "0 <", "1", "123456789012 <x", strings.Repeat("x", 200)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		fr := newFramer(nil, 64, 0)
		fr.br.Reset(strings.NewReader(string(stream)))
		total := 0
		for {
			line, _, err := fr.next()
			if total += len(line); len(line) > 65 || total > len(stream) {
				t.Fatalf("line of %d bytes, %d in all of %d", len(line), total, len(stream))
			}
			if err != nil {
				return
			}
		}
	})
}
