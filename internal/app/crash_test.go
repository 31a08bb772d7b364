package app

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/store/tsdb"
	"github.com/norn-aiops/norn/internal/store/vlogs"
)

const kills = 20

// sender sends numbered batches, each until it is acknowledged, whatever
// happens to the server meanwhile.
type sender struct {
	name  string
	send  func(ctx context.Context, n int) error
	acked int // batches 0..acked-1 are acknowledged
}

func (s *sender) run(ctx context.Context) {
	for ctx.Err() == nil {
		try, cancel := context.WithTimeout(ctx, 3*time.Second)
		err := s.send(try, s.acked)
		cancel()
		if err != nil {
			time.Sleep(15 * time.Millisecond)
			continue
		}
		s.acked++
	}
}

// The story: three senders and a syslog stream load the server while it is
// killed 20 times at random moments. What was acknowledged must be there, and
// nothing may be there twice.
func TestKilledTwentyTimesUnderLoadNothingIsLostOrDoubled(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	e := newEstate(t)
	began := time.Now()
	senders := []*sender{otlpLogs(t, e.grpc, began), otlpSpans(t, e.grpc, began), remoteWrite(e.http, began)}
	e.start()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, s := range senders {
		wg.Go(func() { s.run(ctx) })
	}
	wg.Go(func() { streamSyslog(ctx, e.tcp) })
	for i := range kills {
		time.Sleep(time.Duration(50+rnd.IntN(900)) * time.Millisecond)
		e.kill()
		if i < kills-1 {
			e.start()
		}
	}
	cancel()
	wg.Wait()
	for _, s := range senders {
		t.Logf("%s: %d batches acknowledged", s.name, s.acked)
		if s.acked < kills {
			t.Errorf("%s: only %d batches were acknowledged, the test shows little", s.name, s.acked)
		}
	}
	checkLogs(t, filepath.Join(e.dir, "data", "logs"), senders[0].acked)
	checkSpans(t, filepath.Join(e.dir, "data", "traces"), senders[1].acked, began)
	checkSamples(t, filepath.Join(e.dir, "data", "metrics"), senders[2].acked, began)
}

const perBatch = 20

func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 200 * time.Millisecond}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func otlpLogs(t *testing.T, addr string, began time.Time) *sender {
	client := plogotlp.NewGRPCClient(dial(t, addr))
	return &sender{name: "OTLP logs", send: func(ctx context.Context, n int) error {
		ld := plog.NewLogs()
		rl := ld.ResourceLogs().AppendEmpty()
		rl.Resource().Attributes().PutStr("service.name", "crash")
		recs := rl.ScopeLogs().AppendEmpty().LogRecords()
		for i := range perBatch {
			r := recs.AppendEmpty()
			r.SetTimestamp(pcommon.NewTimestampFromTime(began.Add(time.Duration(n) * time.Millisecond)))
			r.Body().SetStr(fmt.Sprintf("entry %d", n*perBatch+i))
		}
		_, err := client.Export(ctx, plogotlp.NewExportRequestFromLogs(ld), grpc.WaitForReady(true))
		return err
	}}
}

func traceID(n int) pcommon.TraceID {
	return pcommon.TraceID{1, 2, byte(n >> 16), byte(n >> 8), byte(n), 7}
}

func otlpSpans(t *testing.T, addr string, began time.Time) *sender {
	client := ptraceotlp.NewGRPCClient(dial(t, addr))
	return &sender{name: "OTLP spans", send: func(ctx context.Context, n int) error {
		td := ptrace.NewTraces()
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", "crash")
		spans := rs.ScopeSpans().AppendEmpty().Spans()
		for i := range perBatch {
			s := spans.AppendEmpty()
			s.SetTraceID(traceID(n))
			s.SetSpanID(pcommon.SpanID{1, byte(i)})
			s.SetName("work")
			at := began.Add(time.Duration(n) * time.Millisecond)
			s.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
			s.SetEndTimestamp(pcommon.NewTimestampFromTime(at.Add(time.Millisecond)))
		}
		_, err := client.Export(ctx, ptraceotlp.NewExportRequestFromTraces(td), grpc.WaitForReady(true))
		return err
	}}
}

func remoteWrite(addr string, began time.Time) *sender {
	client := &http.Client{}
	return &sender{name: "remote write", send: func(ctx context.Context, n int) error {
		var wr prompb.WriteRequest
		for i := range perBatch {
			wr.Timeseries = append(wr.Timeseries, prompb.TimeSeries{
				Labels:  []prompb.Label{{Name: "__name__", Value: "crash_gauge"}, {Name: "i", Value: fmt.Sprint(i)}, {Name: "job", Value: "crash"}},
				Samples: []prompb.Sample{{Timestamp: began.UnixMilli() + int64(n), Value: float64(n)}},
			})
		}
		raw, err := wr.Marshal()
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/api/v1/write", bytes.NewReader(snappy.Encode(nil, raw)))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-protobuf")
		req.Header.Set("Content-Encoding", "snappy")
		req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			return fmt.Errorf("remote write: %s", resp.Status)
		}
		return nil
	}}
}

// streamSyslog sends numbered lines over TCP, which acknowledges nothing; it
// connects again after each kill and never repeats a line.
func streamSyslog(ctx context.Context, addr string) {
	n := 0
	for ctx.Err() == nil {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		for ctx.Err() == nil {
			line := fmt.Sprintf("<14>1 %s host1 app 1 - - line %d", time.Now().UTC().Format(time.RFC3339Nano), n)
			n++
			if _, err := fmt.Fprintf(c, "%d %s", len(line), line); err != nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		c.Close()
	}
}

// checkLogs opens the store as the next server would and counts.
func checkLogs(t *testing.T, dir string, acked int) {
	t.Helper()
	db, err := vlogs.OpenLogs(dir, vlogs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.FlushLogs()
	seen := map[string]int{}
	err = db.SearchLogs(t.Context(), store.LogQuery{Query: "*"}, func(r store.Row) bool {
		seen[r["source"]+" "+r["_msg"]]++
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range acked * perBatch {
		if seen[fmt.Sprintf("otlp entry %d", n)] == 0 {
			t.Errorf("acknowledged log entry %d is missing", n)
		}
	}
	lines := 0
	for msg, count := range seen {
		if count > 1 {
			t.Errorf("%q is there %d times", msg, count)
		}
		if len(msg) > 6 && msg[:6] == "syslog" {
			lines++
		}
	}
	t.Logf("%d distinct log rows, %d of them from syslog", len(seen), lines)
	if lines == 0 {
		t.Error("no syslog line arrived")
	}
}

func checkSpans(t *testing.T, dir string, acked int, began time.Time) {
	t.Helper()
	db, err := vlogs.OpenTraces(dir, vlogs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.FlushSpans()
	spans, err := db.SearchSpans(t.Context(), store.SpanQuery{From: began.Add(-time.Hour).UnixNano(), To: began.Add(time.Hour).UnixNano(), Limit: 10_000_000})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, s := range spans {
		seen[s.TraceID+s.SpanID]++
	}
	for n := range acked {
		for i := range perBatch {
			id := traceID(n).String() + pcommon.SpanID{1, byte(i)}.String()
			if seen[id] == 0 {
				t.Errorf("acknowledged span %d of batch %d is missing", i, n)
			}
		}
	}
	for id, count := range seen {
		if count > 1 {
			t.Errorf("span %s is there %d times", id, count)
		}
	}
}

func checkSamples(t *testing.T, dir string, acked int, began time.Time) {
	t.Helper()
	db, err := tsdb.Open(dir, tsdb.Options{OutOfOrderWindow: 30 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	got, err := db.Select(t.Context(), 0, began.Add(time.Hour).UnixMilli(), labels.MustNewMatcher(labels.MatchEqual, "__name__", "crash_gauge"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != perBatch {
		t.Errorf("%d series, want %d", len(got), perBatch)
	}
	for _, s := range got {
		at := map[int64]int{}
		for _, x := range s.Samples {
			at[x.T]++
			if x.V != float64(x.T-began.UnixMilli()) {
				t.Errorf("%s holds %v at %d", s.Labels, x.V, x.T)
			}
		}
		for n := range acked {
			if c := at[began.UnixMilli()+int64(n)]; c != 1 {
				t.Errorf("%s holds acknowledged sample %d %d times", s.Labels, n, c)
			}
		}
	}
}
