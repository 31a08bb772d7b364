package shop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/norn-aiops/norn/internal/demo/fault"
	"github.com/norn-aiops/norn/internal/demo/plan"
)

// maxEntries bounds the cache; beyond it the oldest half is dropped.
const maxEntries = 5000

// cacheServer is the cache's process: GET and PUT /entries/{key}. It is not
// traced, as a cache server is not; its callers' spans show it. Safe for
// concurrent use.
type cacheServer struct {
	n            *node
	mu           sync.Mutex
	entries      map[string]cached
	hits, misses int64 // since the last report of the ratio
	total        metric.Int64Counter
}

type cached struct {
	data []byte
	till time.Time
}

func newCacheServer(n *node) (http.Handler, error) {
	c := &cacheServer{n: n, entries: map[string]cached{}}
	if err := c.watch(); err != nil {
		return nil, fmt.Errorf("cannot watch the cache: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /entries/{key}", c.get)
	mux.HandleFunc("PUT /entries/{key}", c.put)
	return mux, nil
}

func (c *cacheServer) watch() error {
	m := c.n.sig.meter
	var err error
	if c.total, err = m.Int64Counter("cache.commands", metric.WithUnit("{command}"), metric.WithDescription("Commands served.")); err != nil {
		return err
	}
	ratio, err := m.Float64ObservableGauge("cache.hit.ratio", metric.WithUnit("1"), metric.WithDescription("Share of reads that found an entry since the last report."))
	if err != nil {
		return err
	}
	_, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if n := c.hits + c.misses; n > 0 {
			o.ObserveFloat64(ratio, float64(c.hits)/float64(n))
		}
		c.hits, c.misses = 0, 0
		return nil
	}, ratio)
	return err
}

func (c *cacheServer) get(w http.ResponseWriter, r *http.Request) {
	if c.struck(w, r) {
		return
	}
	key := r.PathValue("key")
	lost := false
	c.n.eff.each(fault.CacheBad, "", func(level float64) { lost = lost || c.n.rnd.chance(level) })
	c.mu.Lock()
	e, ok := c.entries[key]
	if ok && (lost || time.Now().After(e.till)) {
		delete(c.entries, key)
		ok = false
	}
	if ok {
		c.hits++
	} else {
		c.misses++
	}
	c.mu.Unlock()
	if !ok {
		http.Error(w, "no such entry", http.StatusNotFound)
		return
	}
	_, _ = w.Write(e.data) // a caller that went away is its own trouble
}

func (c *cacheServer) put(w http.ResponseWriter, r *http.Request) {
	if c.struck(w, r) {
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAnswer))
	if err != nil {
		http.Error(w, "cannot read the entry: "+err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= maxEntries {
		n := 0
		for k := range c.entries {
			if n++; n > maxEntries/2 {
				break
			}
			delete(c.entries, k)
		}
	}
	life := time.Duration(45+c.n.rnd.intn(30)) * time.Second
	c.entries[r.PathValue("key")] = cached{data, time.Now().Add(life)}
	w.WriteHeader(http.StatusNoContent)
}

// struck counts the command and lets the process's own effects act.
func (c *cacheServer) struck(w http.ResponseWriter, r *http.Request) bool {
	c.total.Add(r.Context(), 1)
	if err := c.n.eff.strike(r.Context(), ""); err != nil {
		c.n.sig.log.ErrorContext(r.Context(), err.Error())
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return true
	}
	return false
}

// cacheCommand runs one command against the cache inside a client span.
func (n *node) cacheCommand(ctx context.Context, op, method, key string, body []byte) (status int, data []byte, err error) {
	ctx, span := n.sig.tracer.Start(ctx, op, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("db.system.name", "redis"), attribute.String("db.operation.name", op),
		attribute.String("db.namespace", plan.Cache), attribute.String("server.address", plan.Cache)))
	defer func() {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}()
	if err := n.eff.strike(ctx, plan.Cache); err != nil {
		return 0, nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+plan.Cache+"/entries/"+key, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	resp, err := n.net.plain.Do(r)
	if err != nil {
		return 0, nil, reason(err)
	}
	defer resp.Body.Close()
	data, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && resp.StatusCode >= 500 {
		err = fmt.Errorf("the cache answered status %d", resp.StatusCode)
	}
	return resp.StatusCode, data, err
}

// cacheRead gets an entry. A failing cache is logged and counts as a miss.
func (n *node) cacheRead(ctx context.Context, key string) (json.RawMessage, bool) {
	status, data, err := n.cacheCommand(ctx, "GET", http.MethodGet, key, nil)
	if err != nil {
		if ctx.Err() == nil {
			n.sig.log.WarnContext(ctx, "cannot read from the cache: "+err.Error())
		}
		return nil, false
	}
	return data, status == http.StatusOK
}

func (n *node) cacheSet(ctx context.Context, st *plan.Step, req request, data []byte) {
	if _, _, err := n.cacheCommand(ctx, "SET", http.MethodPut, cacheKey(st.Key, req), data); err != nil && ctx.Err() == nil {
		n.sig.log.WarnContext(ctx, "cannot write to the cache: "+err.Error())
	}
}
