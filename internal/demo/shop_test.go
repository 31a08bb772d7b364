package demo

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/norn-aiops/norn/internal/demo/plan"
	"github.com/norn-aiops/norn/internal/demo/shop"
)

// open is a shop that runs for a test.
type open struct {
	rec  *recorder
	ps   *processes
	us   *users
	inj  *injector
	norn *fakeNorn
}

// openShop starts the whole shop against a recording receiver.
func openShop(t *testing.T, rate float64) *open {
	t.Helper()
	o := &open{rec: record(t), norn: &fakeNorn{}}
	api := httptest.NewServer(o.norn)
	t.Cleanup(api.Close)
	argv, err := selfCommand()
	if err != nil {
		t.Fatal(err)
	}
	p := plan.Shop()
	o.ps, err = newProcesses(argv, shop.Config{OTLP: o.rec.addr, Dir: t.TempDir(), Seed: 7, MetricMS: 500, FlushMS: 200}, p, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-done
		o.ps.Down()
	})
	go func() {
		<-ctx.Done()
		close(done)
	}()
	hold, release := context.WithCancel(context.Background())
	t.Cleanup(release)
	if err := o.ps.Up(ctx, hold, func(float64) {}); err != nil {
		t.Fatal(err)
	}
	o.us = newUsers(p, rate, 7, o.ps.peers)
	noon := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	o.us.now = func() time.Time { return noon } // the load does not depend on when the test runs
	o.inj = newInjector(p, o.ps, o.us, newNorn(api.URL).Change, o.ps.log)
	go o.us.Run(ctx)
	go o.inj.Run(ctx)
	return o
}

// breakIt injects a fault composed in YAML and returns when it began.
func (o *open) breakIt(t *testing.T, yaml string) (time.Time, Active) {
	t.Helper()
	s, err := ParseSpec([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	a, err := o.inj.Inject(*s)
	if err != nil {
		t.Fatal(err)
	}
	return time.Now(), a
}

func (o *open) mend(t *testing.T) {
	t.Helper()
	o.inj.Clear("")
	until(t, "all faults end", func() bool {
		o.inj.mu.Lock()
		defer o.inj.mu.Unlock()
		return len(o.inj.runs) == 0
	})
}

func server(service string) func(*span) bool {
	return func(s *span) bool { return s.service == service && s.kind == ptrace.SpanKindServer }
}

func medianOf(spans []span) float64 {
	if len(spans) == 0 {
		return 0
	}
	var v []float64
	for i := range spans {
		v = append(v, spans[i].seconds())
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// A shop opens: traces of one checkout run through every service that a
// checkout needs, over HTTP, SQL, cache and queue, each span below its caller;
// every process reports metrics; services log with the trace they belong to.
func TestShopIsOneSystem(t *testing.T) {
	o := openShop(t, 40)
	want := []string{"frontend", "cart", "orders", "inventory", "payment", "shipping", "email-worker"}
	var found []span
	until(t, "a whole checkout was traced", func() bool {
		for _, root := range o.rec.spans(time.Time{}, func(s *span) bool { return s.service == "frontend" && s.name == "POST /checkout" }) {
			found = o.rec.spans(time.Time{}, func(s *span) bool { return s.trace == root.trace })
			if len(missing(found, want)) == 0 {
				return true
			}
		}
		return false
	})
	byID := map[string]*span{}
	for i := range found {
		byID[found[i].id] = &found[i]
	}
	kinds := map[string]bool{}
	for i := range found {
		s := &found[i]
		parent := byID[s.parent]
		if parent == nil && s.name != "POST /checkout" {
			t.Errorf("%s of %s has no parent in its trace", s.name, s.service)
		}
		if s.kind == ptrace.SpanKindServer && parent != nil && (parent.kind != ptrace.SpanKindClient || parent.attrs["peer.service"] != s.service) {
			t.Errorf("%s of %s is below %s of %s, want a client span to it", s.name, s.service, parent.name, parent.service)
		}
		if s.kind == ptrace.SpanKindConsumer && (parent == nil || parent.kind != ptrace.SpanKindProducer) {
			t.Errorf("the consumer's span is not below a producer's")
		}
		kinds[s.attrs["db.system.name"]+s.attrs["db.namespace"]+s.attrs["messaging.destination.name"]] = true
	}
	for _, k := range []string{"sqlite" + plan.OrdersDB, "redis" + plan.Cache, plan.QueueName} {
		if !kinds[k] {
			t.Errorf("the checkout's trace has no span of %s", k)
		}
	}
	for name := range o.ps.PIDs() {
		for _, m := range []string{"process.memory.usage", "process.cpu.utilization", "go.goroutine.count"} {
			until(t, name+" reports "+m, func() bool { _, ok := o.rec.latest(m, name, time.Time{}); return ok })
		}
	}
	for m, who := range map[string]string{"http.server.request.duration": "orders-1", "db.server.connections.active": "orders-db-1",
		"cache.hit.ratio": "product-cache-1", "messaging.queue.length": "order-broker-1"} {
		until(t, who+" reports "+m, func() bool { _, ok := o.rec.latest(m, who, time.Time{}); return ok })
	}
	until(t, "a payment is logged within its trace", func() bool {
		return len(o.rec.lines(func(l *logLine) bool { return l.service == "payment" && l.trace != "" })) > 0
	})
	if n := len(plan.Shop().Services); n < 8 {
		t.Errorf("the shop has %d services", n)
	}
}

func missing(spans []span, services []string) []string {
	var out []string
	for _, w := range services {
		if !slices.ContainsFunc(spans, func(s span) bool { return s.service == w }) {
			out = append(out, w)
		}
	}
	return out
}

// breakage is a fault and what must be seen of it in the telemetry since it
// began.
type breakage struct {
	name, yaml, what string
	seen             func(o *open, from time.Time) bool
}

// count tells whether at least n spans that match began since from.
func (o *open) count(n int, from time.Time, match func(*span) bool) bool {
	return len(o.rec.spans(from, match)) >= n
}

// calls matches client spans to a service.
func calls(peer string, more func(*span) bool) func(*span) bool {
	return func(s *span) bool { return s.attrs["peer.service"] == peer && more(s) }
}

func failed(s *span) bool { return s.failed }

func longer(seconds float64) func(*span) bool {
	return func(s *span) bool { return s.seconds() > seconds }
}

// onTheWay are faults that requests meet.
func onTheWay() []breakage {
	return []breakage{
		{"latency", "[{target: payment, kind: latency, magnitude: 300ms}]", "payments take 250 ms longer", func(o *open, from time.Time) bool {
			return o.count(3, from, func(s *span) bool { return server("payment")(s) && s.seconds() > 0.28 })
		}},
		{"error", "[{target: shipping, kind: error, magnitude: 100%}]", "shipping answers 500, logs why within the trace, and its callers fail", func(o *open, from time.Time) bool {
			logged := o.rec.lines(func(l *logLine) bool {
				return l.service == "shipping" && l.severity == "ERROR" && strings.Contains(l.body, "unhandled exception") && l.trace != ""
			})
			return len(logged) > 0 &&
				o.count(1, from, func(s *span) bool {
					return server("shipping")(s) && s.attrs["http.response.status_code"] == "500" && s.failed
				}) &&
				o.count(1, from, func(s *span) bool { return server("frontend")(s) && s.failed && s.name == "POST /checkout" })
		}},
		{"slow_query", `[{target: "orders->orders-db", kind: slow_query, magnitude: 0.2}]`, "statements on orders-db take long inside their own spans", func(o *open, from time.Time) bool {
			return o.count(3, from, func(s *span) bool {
				return s.attrs["db.namespace"] == plan.OrdersDB && s.kind == ptrace.SpanKindClient && s.seconds() > 0.08
			})
		}},
		{"network_delay", "[{target: inventory, kind: network_delay, magnitude: 100ms}]", "calls to inventory are long, inventory itself is not", func(o *open, from time.Time) bool {
			return o.count(10, from, calls("inventory", longer(0.08))) && medianOf(o.rec.spans(from, server("inventory"))) < 0.05
		}},
		{"edge latency", `[{target: "frontend->cart", kind: latency, magnitude: 100ms}]`, "only the frontend waits for cart", func(o *open, from time.Time) bool {
			return o.count(3, from, calls("cart", longer(0.08))) && medianOf(o.rec.spans(from, server("cart"))) < 0.05
		}},
		{"edge error", `[{target: "frontend->pricing", kind: error, magnitude: 1}]`, "calls to pricing fail without reaching it", func(o *open, from time.Time) bool {
			return o.count(3, from, calls("pricing", failed)) && !o.count(1, from, func(s *span) bool { return server("pricing")(s) && s.failed })
		}},
		{"cache_bad", "[{target: product-cache, kind: cache_bad, magnitude: 1}]", "the hit ratio falls and catalog asks its database", func(o *open, from time.Time) bool {
			v, ok := o.rec.latest("cache.hit.ratio", "product-cache-1", from.Add(1500*time.Millisecond))
			return ok && v < 0.1 && o.count(10, from, func(s *span) bool { return s.attrs["db.namespace"] == plan.CatalogDB })
		}},
	}
}

// withinAProcess are faults of processes.
func withinAProcess() []breakage {
	return []breakage{
		{"consumer_stall", "[{target: email-worker, kind: consumer_stall}]", "messages pile up", func(o *open, from time.Time) bool {
			v, _ := o.rec.latest("messaging.queue.length", "order-broker-1", from)
			return v > 5
		}},
		{"queue_full", "[{target: order-events, kind: queue_full, magnitude: 1}, {target: email-worker, kind: consumer_stall}]", "orders cannot publish", func(o *open, from time.Time) bool {
			return o.count(1, from, func(s *span) bool { return s.kind == ptrace.SpanKindProducer && s.failed })
		}},
		{"cpu", "[{target: inventory, kind: cpu, magnitude: 0.6}]", "inventory's processor use is high", func(o *open, from time.Time) bool {
			v, _ := o.rec.latest("process.cpu.utilization", "inventory-1", from.Add(time.Second))
			return v > 0.3
		}},
		{"log_noise", "[{target: cart-1, kind: log_noise, magnitude: 50}]", "cart logs nonsense", func(o *open, _ time.Time) bool {
			return len(o.rec.lines(func(l *logLine) bool { return l.service == "cart" && strings.Contains(l.body, "feature table") })) > 20
		}},
		{"surge", "[{target: users, kind: surge, magnitude: 3}]", "demand is tripled", func(o *open, _ time.Time) bool { return o.us.factor() == 3 }},
	}
}

// Every kind of fault does what it says, in the place that it names, and is
// gone when it is over.
func TestEveryFaultIsReal(t *testing.T) {
	o := openShop(t, 60)
	until(t, "the shop is warm", func() bool { return o.count(5, time.Time{}, server("shipping")) })
	if s, f, _ := o.us.Sent(); f > s/10 {
		t.Fatalf("%d of %d requests fail before anything is broken", f, s)
	}
	for _, b := range append(onTheWay(), withinAProcess()...) {
		t.Run(b.name, func(t *testing.T) {
			if b.seen(o, time.Now()) {
				t.Fatalf("seen before it was done: %s", b.what)
			}
			from, _ := o.breakIt(t, b.yaml)
			until(t, b.what, func() bool { return b.seen(o, from) })
			o.mend(t)
		})
	}
	until(t, "demand is ordinary again", func() bool { return o.us.factor() == 1 })
	t.Run("share", func(t *testing.T) { shareIsKept(t, o) })
	t.Run("memory_leak", func(t *testing.T) { memoryGrowsAndIsGivenBack(t, o) })
	t.Run("kill", func(t *testing.T) { deadInstanceCostsCalls(t, o) })
	t.Run("deploy", func(t *testing.T) { deployIsARollout(t, o) })
	t.Run("crash", func(t *testing.T) { crashIsMended(t, o) })
}

// Half of the requests of one instance fail, none of the other's.
func shareIsKept(t *testing.T, o *open) {
	from, _ := o.breakIt(t, "[{target: pricing-1, kind: error, magnitude: 1, share: 0.5}]")
	defer o.mend(t)
	var one []span
	until(t, "enough requests reach pricing-1", func() bool {
		one = o.rec.spans(from.Add(time.Second), func(s *span) bool { return server("pricing")(s) && s.instance == "pricing-1" })
		return len(one) >= 30
	})
	bad := 0
	for i := range one {
		if one[i].failed {
			bad++
		}
	}
	if bad == 0 || bad == len(one) {
		t.Errorf("%d of %d requests to pricing-1 fail, want about half", bad, len(one))
	}
	if o.count(1, from, func(s *span) bool { return s.instance == "pricing-2" && s.failed }) {
		t.Error("pricing-2 fails too")
	}
}

func memoryGrowsAndIsGivenBack(t *testing.T, o *open) {
	const mib = 1 << 20
	before, _ := o.rec.latest("process.memory.usage", "recommendations-1", time.Time{})
	from, _ := o.breakIt(t, "[{target: recommendations, kind: memory_leak, magnitude: 96MiB, onset: ramp, duration: 6s}]")
	peak := 0.0
	until(t, "resident memory grows by most of it", func() bool {
		v, _ := o.rec.latest("process.memory.usage", "recommendations-1", from)
		peak = max(peak, v)
		return v > before+80*mib
	})
	until(t, "and is given back afterwards", func() bool {
		v, _ := o.rec.latest("process.memory.usage", "recommendations-1", from.Add(7*time.Second))
		return v > 0 && v < peak-50*mib
	})
}

func deadInstanceCostsCalls(t *testing.T, o *open) {
	pid := o.ps.PIDs()["cart-2"]
	from, _ := o.breakIt(t, "[{target: cart-2, kind: kill}]")
	until(t, "cart-2 is dead", func() bool { return dead(pid) })
	until(t, "some calls to cart meet a closed door", func() bool { return o.count(1, from, calls("cart", failed)) })
	o.mend(t)
	back := time.Now()
	until(t, "cart-2 serves again", func() bool {
		return o.count(1, back, func(s *span) bool { return s.instance == "cart-2" && s.kind == ptrace.SpanKindServer })
	})
}

func deployIsARollout(t *testing.T, o *open) {
	from, _ := o.breakIt(t, "[{target: pricing, kind: error, magnitude: 0.5, deploy: 3.2.0}]")
	until(t, "the new version fails on both instances", func() bool {
		bad := o.rec.spans(from, func(s *span) bool { return server("pricing")(s) && s.version == "3.2.0" && s.failed })
		on := func(in string) bool { return slices.ContainsFunc(bad, func(s span) bool { return s.instance == in }) }
		return on("pricing-1") && on("pricing-2")
	})
	o.mend(t)
	back := time.Now()
	until(t, "the old version is back", func() bool {
		return o.count(1, back, func(s *span) bool { return server("pricing")(s) && s.version == "3.1.0" })
	})
	o.norn.mu.Lock()
	defer o.norn.mu.Unlock()
	if len(o.norn.changes) != 2 || o.norn.changes[0]["entity"] != "service/pricing" || o.norn.changes[0]["kind"] != "deploy" {
		t.Errorf("Norn was told %v, want a roll-out and a roll-back of service/pricing", o.norn.changes)
	}
}

// A process that ends although nobody asked is started again.
func crashIsMended(t *testing.T, o *open) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go o.ps.Watch(ctx)
	pid := o.ps.PIDs()["payment-1"]
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "payment runs again as another process", func() bool { p := o.ps.PIDs()["payment-1"]; return p != 0 && p != pid })
}

// Control orders without the parent's token are refused.
func TestControlNeedsTheToken(t *testing.T) {
	o := openShop(t, 1)
	for _, p := range o.ps.running()[:1] {
		r, err := http.NewRequest(http.MethodPut, "http://"+p.ready.Control+"/effects", strings.NewReader(`[{"kind":"cpu","level":1,"share":1}]`))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("status %d, want 403", resp.StatusCode)
		}
	}
}

// dead reports whether a process has ended (a zombie counts as ended).
func dead(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "Z")
}
