package topology

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/telemetry"
)

func TestLateSpansCountInTheNextWindow(t *testing.T) {
	b := New(Config{})
	one := func(id string, end int64) telemetry.Span {
		return telemetry.Span{TraceID: "t" + id, SpanID: id, Kind: telemetry.SpanServer, Entity: svc("a"), Start: end - 1e6, End: end, Name: "op"}
	}
	b.Spans([]telemetry.Span{one("1", epoch)})
	b.Flush(epoch/1e6 + 20_000)
	b.Spans([]telemetry.Span{one("2", epoch+1)})
	samples, _ := b.Flush(epoch/1e6 + 40_000)
	total := 0.0
	for _, s := range samples {
		if s.Labels.Get("__name__") == RequestRate {
			total += s.V * 10
		}
	}
	if total != 1 || b.Stats().Late == 0 {
		t.Errorf("late span counted %v times, stats %+v", total, b.Stats())
	}
}

func TestMissingServerSpansBecomeEdgesToWhatTheAddressSays(t *testing.T) {
	b := New(Config{})
	client := func(id string, end int64, attrs ...telemetry.Attr) telemetry.Span {
		return telemetry.Span{TraceID: "t" + id, SpanID: id, Kind: telemetry.SpanClient, Entity: svc("shop"), Start: end - 50e6, End: end, Attributes: attrs}
	}
	b.Spans([]telemetry.Span{
		client("1", epoch, telemetry.Attr{Key: "server.address", Value: "api.stripe.com"}),
		client("2", epoch, telemetry.Attr{Key: "server.address", Value: "cart.shop.svc.cluster.local"}),
		client("3", epoch, telemetry.Attr{Key: "http.url", Value: "https://user:pw@maps.example.com:8443/x?y"}),
		client("4", epoch, telemetry.Attr{Key: "peer.service", Value: "legacy"}),
		client("5", epoch),
		{TraceID: "x", SpanID: "9", Kind: telemetry.SpanServer, Entity: svc("cart"), Start: epoch, End: epoch + 1},
	})
	got := map[string]bool{}
	var rates []string
	for now := epoch/1e6 + 20_000; now <= epoch/1e6+80_000; now += 10_000 {
		samples, edges := b.Flush(now)
		for _, e := range edges {
			got[e.To.String()] = true
		}
		for _, s := range samples {
			if s.Labels.Get("__name__") == RequestRate && s.V > 0 {
				rates = append(rates, s.Labels.Get("entity"))
			}
		}
	}
	want := map[string]bool{"external/api.stripe.com": true, "service/cart": true, "external/maps.example.com": true, "external/legacy": true}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	slices.Sort(rates)
	if fmt.Sprint(rates) != "[external/api.stripe.com external/legacy external/maps.example.com service/cart]" {
		t.Errorf("rates of %v: a service's own spans tell its rate, an external's callers tell its", rates)
	}
	if st := b.Stats(); st.Unmatched != 4 {
		t.Errorf("stats %+v", st)
	}
	// by the second time the address is known to be external, and counts at once
	end := epoch + 100e9
	b.Spans([]telemetry.Span{client("7", end, telemetry.Attr{Key: "server.address", Value: "api.stripe.com"})})
	_, edges := b.Flush(end/1e6 + 16_000)
	if len(edges) != 1 || edges[0].To.Name != "api.stripe.com" || edges[0].LastSeen > end/1e6+10_000 {
		t.Errorf("edges %+v", edges)
	}
}

func TestACallToADeadServiceCountsAtOnceByItsAddress(t *testing.T) {
	b := New(Config{})
	addr := []telemetry.Attr{{Key: "server.address", Value: "127.0.0.1"}, {Key: "server.port", Value: "8083"}}
	b.Spans([]telemetry.Span{
		{TraceID: "t", SpanID: "1", Kind: telemetry.SpanClient, Entity: svc("shop"), Start: epoch, End: epoch + 2, Attributes: addr},
		{TraceID: "t", SpanID: "2", ParentID: "1", Kind: telemetry.SpanServer, Entity: svc("pay"), Start: epoch, End: epoch + 1},
	})
	b.Flush(epoch/1e6 + 16_000)
	end := epoch + 400e9 // long after pay was last seen
	b.Spans([]telemetry.Span{{TraceID: "u", SpanID: "3", Kind: telemetry.SpanClient, Entity: svc("shop"), Start: end - 1, End: end, Error: true, Attributes: addr}})
	samples, edges := b.Flush(end/1e6 + 16_000)
	if len(edges) != 1 || edges[0].To != svc("pay") {
		t.Fatalf("edges %+v", edges)
	}
	found := false
	for _, s := range samples {
		found = found || labels.Equal(s.Labels, EdgeErrorRatioLabels(svc("shop"), svc("pay"))) && s.V == 1 && s.T == edges[0].LastSeen
	}
	if !found {
		t.Error("the failed call is not among the edge's errors")
	}
	// the server's span comes after all: one request of pay, no second call
	b.Spans([]telemetry.Span{{TraceID: "u", SpanID: "4", ParentID: "3", Kind: telemetry.SpanServer, Entity: svc("pay"), Start: end - 1, End: end}})
	_, edges = b.Flush(end/1e6 + 36_000)
	if len(edges) != 0 {
		t.Errorf("counted twice: %+v", edges)
	}
}

func TestZipkinSharedSpanIDsArePairedInBothOrders(t *testing.T) {
	c := telemetry.Span{TraceID: "t", SpanID: "00000000000000aa", Kind: telemetry.SpanClient, Entity: svc("a"), Start: epoch, End: epoch + 100e6}
	s := telemetry.Span{TraceID: "t", SpanID: "00000000000000aa", Kind: telemetry.SpanServer, Entity: svc("b"), Start: epoch + 10e6, End: epoch + 80e6}
	for _, order := range [][]telemetry.Span{{c, s}, {s, c}} {
		b := New(Config{})
		b.Spans(order)
		samples, edges := b.Flush(epoch/1e6 + 20_000)
		if len(edges) != 1 || edges[0].From != svc("a") || edges[0].To != svc("b") {
			t.Fatalf("edges %+v", edges)
		}
		found := false
		for _, x := range samples {
			found = found || x.Labels.Get("__name__") == EdgeGap && math.Abs(x.V-0.03) < 1e-9
		}
		if !found {
			t.Error("no gap of 30 ms")
		}
	}
}

func TestSilenceIsRateZeroForAWhileAndThenNothing(t *testing.T) {
	b := New(Config{})
	b.Spans([]telemetry.Span{
		{TraceID: "t", SpanID: "1", Kind: telemetry.SpanClient, Entity: svc("a"), Start: epoch, End: epoch + 2},
		{TraceID: "t", SpanID: "2", ParentID: "1", Kind: telemetry.SpanServer, Entity: svc("b"), Start: epoch, End: epoch + 1},
	})
	zeros := map[string]int{}
	for now := epoch / 1e6; now < epoch/1e6+900_000; now += 3000 {
		samples, _ := b.Flush(now)
		for _, s := range samples {
			if s.V == 0 && strings.HasSuffix(s.Labels.Get("__name__"), "request_rate") {
				zeros[s.Labels.Get("__name__")]++
			}
			if strings.Contains(s.Labels.Get("__name__"), "latency") && s.T > epoch/1e6+10_000 {
				t.Errorf("latency without requests: %v", s)
			}
		}
	}
	if zeros[RequestRate] != 30 || zeros[EdgeRequestRate] != 30 {
		t.Errorf("zeros %v, want 30 each", zeros)
	}
	if st := b.Stats(); st.Entities != 0 || st.Edges != 0 || st.Pending != 0 {
		t.Errorf("left %+v", st)
	}
}

func TestResourcesGiveHostsAndInstances(t *testing.T) {
	b := New(Config{})
	pod := telemetry.Entity{Kind: telemetry.KindInstance, Name: "cart-5d-x"}
	b.Resource(svc("cart"), pod, []telemetry.Attr{{Key: "host.name", Value: "cart-5d-x"}, {Key: "k8s.node.name", Value: "node-1"}, {Key: "k8s.pod.name", Value: "cart-5d-x"}}, 1000)
	b.Resource(svc("pay"), telemetry.Entity{}, []telemetry.Attr{{Key: "host.name", Value: "pay-1"}, {Key: "k8s.pod.name", Value: "pay-1"}}, 1000)
	b.Resource(telemetry.Entity{Kind: telemetry.KindHost, Name: "h"}, telemetry.Entity{}, []telemetry.Attr{{Key: "host.name", Value: "h"}}, 1000)
	_, edges := b.Flush(2000)
	var got []string
	for _, e := range edges {
		got = append(got, fmt.Sprintf("%s %s %s @%d", e.From, e.Kind, e.To, e.LastSeen))
	}
	want := "[service/cart part_of instance/cart-5d-x @1000 instance/cart-5d-x runs_on host/node-1 @1000 service/cart runs_on host/node-1 @1000]"
	if fmt.Sprint(got) != want {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if _, edges = b.Flush(3000); len(edges) != 0 {
		t.Errorf("told twice: %v", edges)
	}
}

func TestOperationsAreTheBusiestAndDoNotFlicker(t *testing.T) {
	b := New(Config{MaxOperations: 3})
	send := func(window int, counts map[string]int) map[string]bool {
		for op, n := range counts {
			for i := range n {
				end := epoch + int64(window)*10e9
				b.Spans([]telemetry.Span{{TraceID: fmt.Sprint(op, window, i), SpanID: "1", Name: op, Kind: telemetry.SpanServer, Entity: svc("a"), Start: end - 1e6, End: end}})
			}
		}
		samples, _ := b.Flush(epoch/1e6 + int64(window)*10_000 + 16_000)
		got := map[string]bool{}
		for _, s := range samples {
			if s.Labels.Get("__name__") == OperationRequestRate {
				got[s.Labels.Get("operation")] = true
			}
		}
		return got
	}
	if got := send(0, map[string]int{"a": 9, "GET /orders/123": 4, "GET /orders/77": 4, "c": 7, "d": 1}); fmt.Sprint(got) != "map[GET /orders/*:true a:true c:true]" {
		t.Errorf("got %v", got)
	}
	if got := send(1, map[string]int{"d": 50, "a": 1}); fmt.Sprint(got) != "map[a:true]" {
		t.Errorf("got %v", got)
	}
	if got := send(90, map[string]int{"d": 5}); fmt.Sprint(got) != "map[d:true]" {
		t.Errorf("got %v", got)
	}
}

func TestAFloodStaysWithinItsLimits(t *testing.T) {
	b := New(Config{MaxPending: 1000, MaxEntities: 50, MaxEdges: 60, MaxOperations: 5})
	for i := range 100_000 {
		end := epoch + int64(i)*1e5
		b.Spans([]telemetry.Span{
			{
				TraceID: fmt.Sprint(i), SpanID: "1", ParentID: "same", Name: fmt.Sprint("op", i), Kind: telemetry.SpanClient, Entity: svc(fmt.Sprint("c", i%500)),
				Start: end, End: end, Attributes: []telemetry.Attr{{Key: "server.address", Value: fmt.Sprint("h", i)}},
			},
			{TraceID: "one", SpanID: fmt.Sprint(i), ParentID: "root", Name: fmt.Sprint("op", i), Kind: telemetry.SpanServer, Entity: svc(fmt.Sprint("s", i%5)), Start: end, End: end},
		})
	}
	st := b.Stats()
	if st.Pending > 1000 || st.Entities > 50 || st.Edges > 60 || st.Evicted == 0 || st.Dropped == 0 {
		t.Errorf("stats %+v", st)
	}
	if len(b.table.nodes) > 1000 || len(b.table.ghosts) > 1000 || len(b.externals) > 60 || len(b.windows) > maxOpenWindows {
		t.Errorf("%d nodes, %d ghosts, %d externals, %d windows", len(b.table.nodes), len(b.table.ghosts), len(b.externals), len(b.windows))
	}
	for _, w := range b.windows {
		if len(w.ops) > 50*5*opsFactor {
			t.Errorf("%d operations", len(w.ops))
		}
	}
	b.Flush(epoch/1e6 + 3600_000)
	if st := b.Stats(); st.Pending != 0 || len(b.table.nodes) != 0 || len(b.table.ghosts) != 0 {
		t.Errorf("left %+v, %d ghosts", st, len(b.table.ghosts))
	}
}

func TestCirclesAndChainsOfParentsAreSurvived(t *testing.T) {
	b := New(Config{})
	var spans []telemetry.Span
	for i := range 20_000 {
		spans = append(spans, telemetry.Span{
			TraceID: "t", SpanID: fmt.Sprintf("%016x", i+1), ParentID: fmt.Sprintf("%016x", (i+1)%20_000+1),
			Kind: []telemetry.SpanKind{telemetry.SpanInternal, telemetry.SpanServer, telemetry.SpanClient}[i%3], Entity: svc(fmt.Sprint("s", i%7)), Start: epoch, End: epoch + int64(i),
		})
	}
	b.Spans(spans)
	b.Spans([]telemetry.Span{{TraceID: "u", SpanID: "a", ParentID: "a", Kind: telemetry.SpanServer, Entity: svc("x"), Start: epoch, End: epoch}})
	samples, edges := b.Flush(epoch/1e6 + 60_000)
	if len(samples) == 0 || len(edges) == 0 || b.Stats().Pending != 0 {
		t.Errorf("%d samples, %d edges, %+v", len(samples), len(edges), b.Stats())
	}
}

func FuzzSpans(f *testing.F) {
	f.Add([]byte("0123456789abcdef0123456789abcdef"), int64(5))
	f.Add([]byte{0, 0, 0, 0, 255, 255, 1, 1, 2, 2, 3, 3}, int64(-1))
	f.Fuzz(func(t *testing.T, raw []byte, base int64) {
		b := New(Config{Window: time.Second, MaxPending: 8, MaxEntities: 4, MaxEdges: 4, MaxOperations: 2})
		kinds := []telemetry.SpanKind{"", telemetry.SpanInternal, telemetry.SpanServer, telemetry.SpanClient, telemetry.SpanProducer, telemetry.SpanConsumer, "odd"}
		keys := []string{"db.system", "db.namespace", "messaging.destination.name", "peer.service", "server.address", "http.url", "host.name", "k8s.node.name"}
		for i := 0; i+8 <= len(raw); i += 8 {
			c := raw[i : i+8]
			s := telemetry.Span{
				TraceID: string(c[0:1]), SpanID: string(c[1:2]), ParentID: string(c[2:3]), Name: string(raw[i:]), Kind: kinds[int(c[3])%len(kinds)],
				Start: base + int64(c[4])*1e9, End: base + int64(c[5])*1e9, Error: c[6]%2 == 0,
				Attributes: []telemetry.Attr{{Key: keys[c[7]%8], Value: string(c)}}, Resource: []telemetry.Attr{{Key: keys[c[0]%8], Value: string(c[:2])}},
			}
			if c[6]%5 != 0 {
				s.Entity = svc(string(c[6]%6 + 'a'))
			}
			b.Spans([]telemetry.Span{s})
			if c[6]%7 == 0 {
				b.Flush(base/1e6 + int64(c[4])*1000)
			}
		}
		samples, _ := b.Flush(base/1e6 + 600_000)
		for _, s := range samples {
			if math.IsNaN(s.V) || math.IsInf(s.V, 0) || s.V < 0 {
				t.Fatalf("%v", s)
			}
		}
		if st := b.Stats(); st.Pending > 8 || st.Entities > 4 || st.Edges > 4 {
			t.Fatalf("%+v", st)
		}
	})
}

func BenchmarkSpans(b *testing.B) {
	s := simulate(1, 2000)
	bl := New(Config{})
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		sp := s.spans[n%len(s.spans)]
		shift := int64(n/len(s.spans)) * 100e9
		sp.Start, sp.End, sp.TraceID = sp.Start+shift, sp.End+shift, fmt.Sprint(n/len(s.spans), sp.TraceID)
		bl.Spans([]telemetry.Span{sp})
		if n++; n%10_000 == 0 {
			bl.Flush(sp.End / 1e6)
		}
	}
}
