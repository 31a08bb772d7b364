package shop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/norn-aiops/norn/internal/demo/fault"
	"github.com/norn-aiops/norn/internal/demo/plan"
)

// failure is an error of this service itself, not of something it called.
type failure string

func (f failure) Error() string { return string(f) }

// request is what a visitor's request is about as it travels on.
type request struct {
	id   string // product, "1" to "60"
	user string
}

// routes makes the traced handler of a service's ops.
func (n *node) routes() http.Handler {
	mux := http.NewServeMux()
	for i := range n.svc.Ops {
		op := &n.svc.Ops[i]
		if op.Method == "process" {
			continue
		}
		mux.HandleFunc(op.Route(), func(w http.ResponseWriter, r *http.Request) { n.answer(w, r, op) })
	}
	return otelhttp.NewHandler(mux, n.svc.Name, otelhttp.WithTracerProvider(n.sig.traces),
		otelhttp.WithMeterProvider(n.sig.metrics), otelhttp.WithPropagators(n.sig.prop),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
			if r.Pattern != "" {
				return r.Pattern
			}
			return r.Method
		}))
}

func (n *node) answer(w http.ResponseWriter, r *http.Request, op *plan.Op) {
	req := request{id: r.PathValue("id"), user: r.URL.Query().Get("user")}
	if req.id == "" {
		req.id = "1"
	}
	ctx := r.Context()
	got, err := n.perform(ctx, op, req)
	if ctx.Err() != nil {
		return // the caller is gone: nobody to answer, no fault of ours
	}
	if err != nil {
		var own failure
		status := http.StatusBadGateway
		if errors.As(err, &own) {
			status = http.StatusInternalServerError
		}
		n.sig.log.ErrorContext(ctx, err.Error(), "route", op.Route(), "status", status)
		http.Error(w, err.Error(), status)
		return
	}
	n.logDone(ctx, op, req)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // a caller that went away is its own trouble
		"service": n.svc.Name, "instance": n.conf.Instance, "id": req.id, "data": got,
	})
}

func (n *node) logDone(ctx context.Context, op *plan.Op, req request) {
	if op.Log == "" {
		return
	}
	n.sig.log.InfoContext(ctx, fmt.Sprintf("%s for customer %s, product %s", op.Log, req.user, req.id), "route", op.Route())
}

// perform does the op's own work and then its steps in order. The result is
// what was read on the way.
func (n *node) perform(ctx context.Context, op *plan.Op, req request) (map[string]json.RawMessage, error) {
	if err := n.eff.strike(ctx, ""); err != nil {
		return nil, err
	}
	if err := sleep(ctx, op.Wait*n.rnd.spread(0.3)); err != nil {
		return nil, err
	}
	compute(op.CPU * n.rnd.spread(0.2))
	if op.Fail > 0 && n.rnd.chance(op.Fail) {
		return nil, failure("the bank did not answer in time, payment not captured")
	}
	got := map[string]json.RawMessage{}
	return got, n.steps(ctx, op.Steps, req, got)
}

func (n *node) steps(ctx context.Context, steps []plan.Step, req request, got map[string]json.RawMessage) error {
	for i := range steps {
		st := &steps[i]
		if st.Share < 1 && !n.rnd.chance(st.Share) {
			continue
		}
		if err := n.step(ctx, st, req, got); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) step(ctx context.Context, st *plan.Step, req request, got map[string]json.RawMessage) (err error) {
	var data json.RawMessage
	switch st.Kind {
	case plan.StepCall:
		data, err = n.net.call(ctx, st.To, st.Route, req)
	case plan.StepGet:
		return n.cacheGet(ctx, st, req, got)
	case plan.StepSet:
		n.cacheSet(ctx, st, req, fmt.Appendf(nil, `[%q]`, req.id))
	case plan.StepQuery:
		data, err = n.query(ctx, st.To, st.Key, req)
	case plan.StepPublish:
		err = n.publish(ctx, st.To, req)
	}
	if err != nil {
		return fmt.Errorf("cannot %s %s: %w", verb(st.Kind), st.To, err)
	}
	if data != nil {
		got[st.To] = data
	}
	return nil
}

func verb(k plan.StepKind) string {
	switch k {
	case plan.StepQuery:
		return "query"
	case plan.StepPublish:
		return "publish to"
	}
	return "call"
}

// cacheGet reads through the cache: on a miss it does the step's Miss and
// stores what that read. A cache that fails counts as a miss.
func (n *node) cacheGet(ctx context.Context, st *plan.Step, req request, got map[string]json.RawMessage) error {
	key := cacheKey(st.Key, req)
	if data, ok := n.cacheRead(ctx, key); ok {
		got[st.To] = data
		return nil
	}
	if len(st.Miss) == 0 {
		return nil
	}
	if err := n.steps(ctx, st.Miss, req, got); err != nil {
		return err
	}
	for _, m := range st.Miss {
		if data, ok := got[m.To]; ok {
			n.cacheSet(ctx, st, req, data)
		}
	}
	return nil
}

func cacheKey(prefix string, req request) string {
	switch prefix {
	case "list":
		return prefix
	case "cart":
		return prefix + ":" + req.user
	}
	return prefix + ":" + req.id
}

// path fills a route's pattern in.
func path(route string, req request) (method, target string) {
	method, pattern, _ := strings.Cut(route, " ")
	return method, strings.ReplaceAll(pattern, "{id}", req.id) + "?user=" + req.user
}

// stalled reports whether the worker must not consume now.
func (n *node) stalled() bool { return n.eff.on(fault.Stall) }
