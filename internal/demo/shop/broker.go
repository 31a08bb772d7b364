package shop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/norn-aiops/norn/internal/demo/fault"
	"github.com/norn-aiops/norn/internal/demo/plan"
)

// message is one entry of the queue.
type message struct {
	Headers map[string]string `json:"headers"` // trace context of the producer
	ID      string            `json:"id"`
	User    string            `json:"user"`
	Junk    bool              `json:"junk,omitempty"`
	at      time.Time
}

// broker is the queue's process: POST /messages puts one in (503 when the
// queue is full), GET /messages takes one out, waiting up to a second for it.
// Safe for concurrent use.
type broker struct {
	n      *node
	places int
	mu     sync.Mutex
	queue  []message
	came   chan struct{} // holds a token while somebody should look
	in     metric.Int64Counter
	out    metric.Int64Counter
	refuse metric.Int64Counter
}

func newBroker(n *node) (http.Handler, error) {
	b := &broker{n: n, places: n.plan.Queue, came: make(chan struct{}, 1)}
	if err := b.watch(); err != nil {
		return nil, fmt.Errorf("cannot watch the queue: %w", err)
	}
	n.tasks = append(n.tasks, b.fill)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /messages", b.put)
	mux.HandleFunc("GET /messages", b.take)
	return mux, nil
}

func (b *broker) watch() error {
	m := b.n.sig.meter
	name := metric.WithAttributes(queueAttr())
	counter := func(c *metric.Int64Counter, name, text string) (err error) {
		*c, err = m.Int64Counter(name, metric.WithUnit("{message}"), metric.WithDescription(text))
		return err
	}
	if err := counter(&b.in, "messaging.queue.published", "Messages put in."); err != nil {
		return err
	}
	if err := counter(&b.out, "messaging.queue.delivered", "Messages taken out."); err != nil {
		return err
	}
	if err := counter(&b.refuse, "messaging.queue.refused", "Messages refused because the queue was full."); err != nil {
		return err
	}
	length, err := m.Int64ObservableGauge("messaging.queue.length", metric.WithUnit("{message}"), metric.WithDescription("Messages waiting."))
	if err != nil {
		return err
	}
	age, err := m.Float64ObservableGauge("messaging.queue.age", metric.WithUnit("s"), metric.WithDescription("Age of the oldest message."))
	if err != nil {
		return err
	}
	_, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		o.ObserveInt64(length, int64(len(b.queue)), name)
		var old float64
		if len(b.queue) > 0 {
			old = time.Since(b.queue[0].at).Seconds()
		}
		o.ObserveFloat64(age, old, name)
		return nil
	}, length, age)
	return err
}

func (b *broker) put(w http.ResponseWriter, r *http.Request) {
	var m message
	if !readJSON(w, r, &m) {
		return
	}
	name := metric.WithAttributes(queueAttr())
	if !b.push(m) {
		b.refuse.Add(r.Context(), 1, name)
		b.n.sig.log.WarnContext(r.Context(), fmt.Sprintf("queue %s is full, %d messages, publish refused", plan.QueueName, b.places))
		http.Error(w, "the queue is full", http.StatusServiceUnavailable)
		return
	}
	b.in.Add(r.Context(), 1, name)
	w.WriteHeader(http.StatusAccepted)
}

func (b *broker) push(m message) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) >= b.places {
		return false
	}
	m.at = time.Now()
	b.queue = append(b.queue, m)
	select {
	case b.came <- struct{}{}:
	default:
	}
	return true
}

func (b *broker) pop() (message, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return message{}, false
	}
	m := b.queue[0]
	b.queue = b.queue[1:]
	return m, true
}

func (b *broker) take(w http.ResponseWriter, r *http.Request) {
	wait := time.NewTimer(time.Second)
	defer wait.Stop()
	for {
		if m, ok := b.pop(); ok {
			b.out.Add(r.Context(), 1, metric.WithAttributes(queueAttr()))
			_ = json.NewEncoder(w).Encode(m) // a worker that went away loses one message
			return
		}
		select {
		case <-b.came:
		case <-wait.C:
			w.WriteHeader(http.StatusNoContent)
			return
		case <-r.Context().Done():
			return
		}
	}
}

// fill keeps the asked share of the places taken by junk while the fault is
// on. The worker throws junk away, so it is filled again at once.
func (b *broker) fill(ctx context.Context) {
	for ctx.Err() == nil {
		if share := min(1, b.n.eff.sum(fault.QueueFull)); share > 0 {
			want := int(share * float64(b.places))
			for b.length() < want && b.push(message{ID: "junk", Junk: true}) {
			}
		}
		if sleep(ctx, 0.01) != nil {
			return
		}
	}
}

func (b *broker) length() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue)
}

// publish puts an order's event into the queue inside a producer span.
func (n *node) publish(ctx context.Context, queue string, req request) (err error) {
	ctx, span := n.sig.tracer.Start(ctx, "publish "+queue, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(messaging(queue, "publish")...))
	defer func() {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}()
	if err := n.eff.strike(ctx, queue); err != nil {
		return err
	}
	m := message{Headers: map[string]string{}, ID: req.id, User: req.user}
	n.sig.prop.Inject(ctx, propagation.MapCarrier(m.Headers))
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+plan.Broker+"/messages", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := n.net.plain.Do(r)
	if err != nil {
		return reason(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the broker refused the message: status %d", resp.StatusCode)
	}
	return nil
}

func messaging(queue, op string) []attribute.KeyValue {
	kind := op
	if op == "publish" {
		kind = "send"
	}
	return []attribute.KeyValue{
		attribute.String("messaging.system", "rabbitmq"), attribute.String("messaging.destination.name", queue),
		attribute.String("messaging.operation.name", op), attribute.String("messaging.operation.type", kind),
		attribute.String("server.address", plan.Broker),
	}
}

// consume is the worker: it takes messages and processes each inside a
// consumer span that continues the producer's trace.
func (n *node) consume(ctx context.Context) {
	for ctx.Err() == nil {
		if n.stalled() || !n.net.knows(plan.Broker) {
			if sleep(ctx, 0.1) != nil {
				return
			}
			continue
		}
		m, ok, err := n.fetch(ctx)
		if err != nil {
			if ctx.Err() == nil {
				n.sig.log.WarnContext(ctx, "cannot take from the queue: "+err.Error())
			}
			if sleep(ctx, 0.5) != nil {
				return
			}
			continue
		}
		if ok {
			n.process(ctx, m)
		}
	}
}

func (n *node) fetch(ctx context.Context) (m message, ok bool, err error) {
	if err := n.eff.strike(ctx, plan.QueueName); err != nil {
		return m, false, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+plan.Broker+"/messages", nil)
	if err != nil {
		return m, false, err
	}
	resp, err := n.net.plain.Do(r)
	if err != nil {
		return m, false, reason(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return m, false, nil
	}
	err = json.NewDecoder(resp.Body).Decode(&m)
	return m, err == nil, err
}

func (n *node) process(ctx context.Context, m message) {
	if m.Junk {
		_ = sleep(ctx, 0.02) // looking at it costs time, too
		return
	}
	op := &n.svc.Ops[0]
	parent := n.sig.prop.Extract(ctx, propagation.MapCarrier(m.Headers))
	link := trace.LinkFromContext(parent)
	ctx, span := n.sig.tracer.Start(parent, "process "+op.Path, trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithLinks(link), trace.WithAttributes(messaging(op.Path, "process")...))
	defer span.End()
	req := request{id: m.ID, user: m.User}
	if _, err := n.perform(ctx, op, req); err != nil {
		span.SetStatus(codes.Error, err.Error())
		n.sig.log.ErrorContext(ctx, err.Error())
		return
	}
	n.logDone(ctx, op, req)
}
