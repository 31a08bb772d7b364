package shop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// callTimeout bounds one call to another service.
const callTimeout = 5 * time.Second

// ejection is how long the balancer leaves out an address that refused.
const ejection = 2 * time.Second

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// clients makes the calls to other services: one traced HTTP client for each
// callee over one balancer. Safe for concurrent use.
type clients struct {
	n     *node
	plain *http.Client // cache and broker: their spans are made by hand
	bal   *balancer

	mu     sync.Mutex
	traced map[string]*http.Client
}

func newClients(n *node) *clients {
	bal := &balancer{down: map[string]time.Time{}, next: map[string]int{}}
	bal.base = &http.Transport{
		MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second,
		DialContext: (&net.Dialer{Timeout: time.Second}).DialContext,
	}
	return &clients{n: n, bal: bal, traced: map[string]*http.Client{},
		plain: &http.Client{Transport: bal, Timeout: callTimeout}}
}

// setPeers replaces the addresses of all services.
func (c *clients) setPeers(peers map[string][]string) {
	c.bal.mu.Lock()
	defer c.bal.mu.Unlock()
	c.bal.peers = peers
}

// knows reports whether any address of the service is known yet.
func (c *clients) knows(service string) bool {
	c.bal.mu.Lock()
	defer c.bal.mu.Unlock()
	return len(c.bal.peers[service]) > 0
}

func (c *clients) client(service string) *http.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h, ok := c.traced[service]; ok {
		return h
	}
	h := &http.Client{Timeout: callTimeout, Transport: otelhttp.NewTransport(&slowWay{c.n, service, c.bal},
		otelhttp.WithTracerProvider(c.n.sig.traces), otelhttp.WithMeterProvider(c.n.sig.metrics),
		otelhttp.WithPropagators(c.n.sig.prop),
		otelhttp.WithSpanOptions(trace.WithAttributes(attribute.String("peer.service", service))),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method + " " + service }))}
	c.traced[service] = h
	return h
}

// call asks another service and returns the data of its answer.
func (c *clients) call(ctx context.Context, service, route string, req request) (json.RawMessage, error) {
	method, target := path(route, req)
	r, err := http.NewRequestWithContext(ctx, method, "http://"+service+target, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot make the request: %w", err)
	}
	resp, err := c.client(service).Do(r)
	if err != nil {
		return nil, reason(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, reason(err)
	}
	if resp.StatusCode >= 400 {
		return nil, fmt.Errorf("it answered status %d", resp.StatusCode)
	}
	var got struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return nil, fmt.Errorf("cannot read its answer: %w", err)
	}
	return got.Data, nil
}

// reason words a transport error without addresses, so that logs group well.
func reason(err error) error {
	var ne net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("connection refused")
	case errors.As(err, &ne) && ne.Timeout():
		return errors.New("no answer in time")
	}
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// slowWay is the network between two services: it delays and cuts as the
// effects ask, inside the client's span and outside the server's.
type slowWay struct {
	n    *node
	peer string
	next http.RoundTripper
}

// RoundTrip delays, then sends.
func (s *slowWay) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := s.n.eff.strike(r.Context(), s.peer); err != nil {
		return nil, err
	}
	return s.next.RoundTrip(r)
}

// balancer picks an instance of the service that is named as the URL's host:
// in turn, leaving out for [ejection] those that refused. It does not retry: a
// dead instance costs the requests that meet it. Safe for concurrent use.
type balancer struct {
	base  http.RoundTripper
	mu    sync.Mutex
	peers map[string][]string
	next  map[string]int
	down  map[string]time.Time // until when an address is left out
}

// RoundTrip sends the request to one instance.
func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	addr, err := b.pick(r.URL.Host)
	if err != nil {
		return nil, err
	}
	host := r.URL.Host
	r = r.Clone(r.Context())
	r.URL.Host = addr
	r.Host = host
	resp, err := b.base.RoundTrip(r)
	if err != nil && r.Context().Err() == nil {
		b.mu.Lock()
		b.down[addr] = time.Now().Add(ejection)
		b.mu.Unlock()
	}
	return resp, err
}

func (b *balancer) pick(service string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	addrs := b.peers[service]
	if len(addrs) == 0 {
		return "", fmt.Errorf("no address of %s is known", service)
	}
	now := time.Now()
	for range addrs {
		i := b.next[service] % len(addrs)
		b.next[service] = i + 1
		if now.After(b.down[addrs[i]]) {
			return addrs[i], nil
		}
	}
	return addrs[b.next[service]%len(addrs)], nil
}
