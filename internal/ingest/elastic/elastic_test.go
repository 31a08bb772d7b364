package elastic

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// recorder is a sink that remembers, refuses bodies that begin with "old", and
// fails the first broken calls.
type recorder struct {
	ingest.Sink
	mu     sync.Mutex
	recs   []telemetry.LogRecord
	broken int
	grown  *sync.Cond
}

func newRecorder() *recorder {
	r := &recorder{}
	r.grown = sync.NewCond(&r.mu)
	return r
}

func (r *recorder) Logs(_ context.Context, recs []telemetry.LogRecord) (res ingest.Result, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.grown.Broadcast()
	if r.broken > 0 {
		r.broken--
		return res, errors.New("disk full")
	}
	for i, rec := range recs {
		if strings.HasPrefix(rec.Body, "old") {
			res.Rejected = append(res.Rejected, ingest.Rejected{Index: i, Reason: "too_old", Detail: "record is too old"})
			continue
		}
		res.Accepted++
		r.recs = append(r.recs, rec)
	}
	return res, nil
}

func start(t testing.TB, sink *recorder, limits ingest.Limits) string {
	t.Helper()
	srv, err := ingest.Listen(ingest.ServerOptions{Addr: "127.0.0.1:0", Protocol: protocol, Handler: New(Options{Sink: sink, Limits: limits})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server did not end cleanly: %v", err)
		}
	})
	return "http://" + srv.Addr()
}

func do(t testing.TB, method, url, contentType, encoding string, body []byte) (*http.Response, string) {
	t.Helper()
	if encoding == "gzip" {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(body)
		z.Close()
		body = b.Bytes()
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

type bulkAnswer struct {
	Errors bool
	Items  []map[string]struct {
		Index  string `json:"_index"`
		ID     string `json:"_id"`
		Status int
		Result string
		Error  *errorBody
	}
}

const mixed = `{"index":{"_index":"logs-a","_id":"1"}}
{"@timestamp":"2026-03-01T11:59:58.5Z","log.level":"error","message":"boom","service.name":"cart","host":{"name":"n1"}}
{"create":{}}
{"message":"no index of its own"}
{"create":{"_index":"logs-a"}}
{"message":"broken
{"delete":{"_index":"logs-a","_id":"1"}}
{"update":{"_index":"logs-a","_id":"1"}}
{"doc":{"message":"x"}}
{"index":{"_index":"logs-a"}}
{"message":"when?","@timestamp":"yesterday"}
{"index":{"_index":"logs-a"}}
{"message":"old line"}

{"index":{"_index":"logs-a"}}
{"message":"the last one"}
{"index":{"_index":"logs-a"}}
`

func TestEachItemGetsItsOwnStatusAndGoodOnesAreKept(t *testing.T) {
	for _, c := range []struct{ contentType, encoding string }{
		{"application/x-ndjson", ""}, {"application/json", ""}, {"application/json; charset=utf-8", "gzip"},
		{"application/vnd.elasticsearch+x-ndjson;compatible-with=8", "gzip"}, {"", ""},
	} {
		sink := newRecorder()
		url := start(t, sink, ingest.Limits{})
		resp, text := do(t, "POST", url+"/default-index/_bulk", c.contentType, c.encoding, []byte(mixed))
		var got bulkAnswer
		if err := json.Unmarshal([]byte(text), &got); err != nil || resp.StatusCode != 200 || !got.Errors {
			t.Fatalf("%s: %s %v %s", c.contentType, resp.Status, err, text)
		}
		var seen []string
		for _, it := range got.Items {
			for op, v := range it {
				seen = append(seen, fmt.Sprint(op, " ", v.Index, " ", v.Status))
				if (v.Status == 201) != (v.Error == nil && v.ID != "" && v.Result == "created") {
					t.Errorf("item %+v contradicts itself", v)
				}
			}
		}
		want := "index logs-a 201|create default-index 201|create logs-a 400|delete logs-a 400|update logs-a 400|index logs-a 400|index logs-a 400|index logs-a 201|index logs-a 400"
		if strings.Join(seen, "|") != want {
			t.Errorf("%s\n got %s\nwant %s", c.contentType, strings.Join(seen, "|"), want)
		}
		if len(sink.recs) != 3 {
			t.Fatalf("%d records kept, want 3", len(sink.recs))
		}
		rec := sink.recs[0]
		if rec.Body != "boom" || rec.Severity != telemetry.SeverityError || telemetry.Get(rec.Resource, "service.name") != "cart" ||
			telemetry.Get(rec.Resource, "host.name") != "n1" || telemetry.Get(rec.Attributes, "elastic.index") != "logs-a" ||
			telemetry.Get(rec.Attributes, "elastic.id") != "1" || !rec.Retryable || rec.Source != "elastic" || rec.Time != 1772366398500000000 {
			t.Errorf("record arrived as %+v", rec)
		}
	}
}

func TestHandshakesOfShippers(t *testing.T) {
	url := start(t, newRecorder(), ingest.Limits{})
	for _, c := range []struct {
		method, path string
		status       int
		contains     string
	}{
		{"GET", "/", 200, `"tagline":"You Know, for Search"`},
		{"HEAD", "/", 200, ""},
		{"GET", "/_cat/health", 200, " norn green "},
		{"GET", "/_cat/health?format=json", 200, `"status":"green"`},
		{"GET", "/_cluster/health", 200, `"status":"green"`},
		{"GET", "/_cluster/health/logs-a?wait_for_status=yellow", 200, `"status":"green"`},
		{"GET", "/_license", 200, `"type":"basic"`},
		{"HEAD", "/_index_template/filebeat", 200, ""},
		{"GET", "/_index_template/filebeat", 200, `"index_templates"`},
		{"PUT", "/_index_template/filebeat", 200, `"acknowledged":true`},
		{"PUT", "/_ilm/policy/filebeat", 200, `"acknowledged":true`},
		{"GET", "/_ilm/policy/filebeat", 200, "{}"},
		{"HEAD", "/logs-a", 200, ""},
		{"GET", "/logs-a/_search", 404, "no handler found"},
		{"DELETE", "/logs-a", 404, "no handler found"},
		{"GET", "/_bulk", 405, "Incorrect HTTP method"},
	} {
		resp, text := do(t, c.method, url+c.path, "application/json", "", nil)
		if resp.StatusCode != c.status || !strings.Contains(text, c.contains) || resp.Header.Get("X-Elastic-Product") != "Elasticsearch" {
			t.Errorf("%s %s: %s %s", c.method, c.path, resp.Status, text)
		}
	}
}

func TestRequestsThatCannotBeTakenAreRefusedWhole(t *testing.T) {
	sink := newRecorder()
	url := start(t, sink, ingest.Limits{Bytes: 2000, Batch: 3, Line: 50})
	good := "{\"index\":{}}\n{\"message\":\"x\"}\n"
	for _, c := range []struct {
		name, contentType, encoding, body string
		status                            int
	}{
		{"pairing broken", "application/json", "", good + "{\"message\":\"no action\"}\n" + good, 400},
		{"action is no JSON", "application/json", "", good + "hello\n", 400},
		{"empty", "application/json", "", "", 400},
		{"blank", "application/json", "", "\n\n", 400},
		{"too many", "application/json", "", strings.Repeat(good, 4), 413},
		{"too large", "application/json", "", strings.Repeat(" ", 3000), 413},
		{"bomb", "application/json", "gzip", strings.Repeat(" ", 1_000_000), 413},
		{"no gzip", "application/json", "x-gzip", good, 400},
		{"form", "application/x-www-form-urlencoded", "", good, 406},
	} {
		resp, text := do(t, "POST", url+"/_bulk", c.contentType, c.encoding, []byte(c.body))
		if resp.StatusCode != c.status || !strings.Contains(text, `"error":{"reason":`) {
			t.Errorf("%s: %s %s, want %d", c.name, resp.Status, text, c.status)
		}
	}
	if len(sink.recs) != 0 {
		t.Errorf("%d records kept of refused requests", len(sink.recs))
	}
	_, text := do(t, "POST", url+"/_bulk", "application/json", "", []byte("{\"index\":{}}\n{\"message\":\""+strings.Repeat("y", 60)+"\"}\n"+good))
	if !strings.Contains(text, "limit is 50") || len(sink.recs) != 1 {
		t.Errorf("a long line: %s; %d kept", text, len(sink.recs))
	}
}

func TestASinkThatFailsIsAnsweredWithTryAgain(t *testing.T) {
	sink := newRecorder()
	sink.broken = 1
	url := start(t, sink, ingest.Limits{})
	body := []byte("{\"index\":{}}\n{\"message\":\"x\"}\n")
	if resp, text := do(t, "POST", url+"/_bulk", "application/json", "", body); resp.StatusCode != 503 || json.Valid([]byte(text)) {
		t.Errorf("%s %s", resp.Status, text)
	}
	if resp, _ := do(t, "POST", url+"/_bulk", "application/json", "", body); resp.StatusCode != 200 || len(sink.recs) != 1 {
		t.Errorf("%s, %d records", resp.Status, len(sink.recs))
	}
}

// The real rsyslogd with omelasticsearch sends 500 lines; the sink fails at
// first, and rsyslogd tries again.
func TestRealOmelasticsearch(t *testing.T) {
	sink := newRecorder()
	sink.broken = 2
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(start(t, sink, ingest.Limits{}), "http://"))
	dir, err := os.MkdirTemp("", "norn-rsyslog")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(t.TempDir(), "es.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, `module(load="imtcp")
module(load="omelasticsearch")
template(name="json" type="list" option.jsonf="on") {
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="severity" name="syslogseverity-text" format="jsonf")
  property(outname="program" name="programname" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}
template(name="idx" type="string" string="logs-rsyslog")
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="@D@/port")
action(type="omelasticsearch" server="127.0.0.1" serverport=%q template="json" searchIndex="idx" dynSearchIndex="on" searchType="" bulkmode="on"
  errorFile="@D@/errors.log" action.resumeRetryCount="-1" action.resumeInterval="1" queue.type="LinkedList" queue.dequeuebatchsize="100")
`, port), 0o600); err != nil {
		t.Fatal(err)
	}
	script, _ := filepath.Abs("../../../test/servers/rsyslog.sh")
	if out, err := exec.CommandContext(t.Context(), script, "start", dir, conf).CombinedOutput(); err != nil {
		t.Fatalf("start rsyslogd (apt-get install rsyslog rsyslog-openssl rsyslog-elasticsearch): %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(script, "stop", dir).CombinedOutput(); err != nil {
			t.Errorf("stop rsyslogd: %v\n%s", err, out)
		}
	})
	var in net.Conn
	for in == nil {
		if p, err := os.ReadFile(filepath.Join(dir, "port")); err == nil && len(p) > 0 {
			if in, err = net.Dial("tcp", "127.0.0.1:"+strings.TrimSpace(string(p))); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	const n = 500
	for i := range n {
		fmt.Fprintf(in, "<27>1 2026-03-01T11:59:58.500000Z web1 cart 4711 ID47 - line \"%d\" ünïcode\n", i)
	}
	in.Close()
	sink.mu.Lock()
	defer sink.mu.Unlock()
	// rsyslogd may send a line of a failed batch twice; the records are then
	// equal and deduplicated behind the sink.
	seen := map[string]telemetry.LogRecord{}
	for done := 0; len(seen) < n; done = len(sink.recs) {
		for len(sink.recs) == done {
			sink.grown.Wait()
		}
		for _, rec := range sink.recs[done:] {
			rec.Observed = 0
			if old, twice := seen[rec.Body]; twice && fmt.Sprint(old) != fmt.Sprint(rec) {
				t.Fatalf("sent twice and not equal: %+v and %+v", old, rec)
			}
			seen[rec.Body] = rec
		}
	}
	for _, rec := range seen {
		if telemetry.Get(rec.Resource, "host.name") != "web1" || telemetry.Get(rec.Resource, "syslog.appname") != "cart" ||
			rec.Severity != telemetry.SeverityError || rec.Time != 1772366398500000000 || telemetry.Get(rec.Attributes, "elastic.index") != "logs-rsyslog" {
			t.Fatalf("record arrived as %+v", rec)
		}
	}
	if sink.broken != 0 {
		t.Errorf("the sink never failed: nothing was tried again")
	}
}

func FuzzBulk(f *testing.F) {
	f.Add([]byte(mixed))
	f.Add([]byte("{\"index\":{\"_id\":5}}\n{}\n{\"delete\":null}\n"))
	f.Add([]byte("{\"index\":{},\"create\":{}}\n"))
	h := New(Options{Sink: newRecorder()})
	f.Fuzz(func(t *testing.T, body []byte) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/_bulk", bytes.NewReader(body)))
		if w.Code != 200 && w.Code != 400 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	})
}
