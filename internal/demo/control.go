package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/norn-aiops/norn/internal/demo/fault"
	"github.com/norn-aiops/norn/internal/demo/plan"
)

// control is the demo's own endpoint: POST /faults begins one (YAML or JSON),
// GET /faults lists what is active and what is prepared, DELETE /faults and
// DELETE /faults/{id} end them. It listens on loopback only.
type control struct {
	inj      *injector
	plan     *plan.Plan
	injected func(Active)
}

// listen serves until ctx ends and returns the address at once.
func (c *control) listen(ctx context.Context, addr string) (url string, done <-chan error, err error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "", nil, fmt.Errorf("demo: cannot listen on %q: %w", addr, err)
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return "", nil, fmt.Errorf("demo: cannot listen on %q: faults are taken on loopback only", addr)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("demo: cannot listen for faults: %w", err)
	}
	srv := &http.Server{Handler: c.routes(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() {
		err := srv.Serve(l)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		ended <- err
	}()
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	return "http://" + l.Addr().String(), ended, nil
}

func (c *control) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /faults", c.list)
	mux.HandleFunc("POST /faults", c.post)
	mux.HandleFunc("DELETE /faults", c.remove)
	mux.HandleFunc("DELETE /faults/{id}", c.remove)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A web page elsewhere must not break things here.
		if r.Header.Get("Origin") != "" {
			answer(w, http.StatusForbidden, map[string]string{"error": "requests from web pages are not taken"})
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (c *control) list(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"active": c.inj.List(), "prepared": Faults()})
}

func (c *control) post(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, fault.MaxBytes+1))
	if err != nil {
		answer(w, http.StatusRequestEntityTooLarge, map[string]string{"error": err.Error()})
		return
	}
	spec, err := fault.Parse(data, c.plan)
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	act, err := c.inj.Inject(*spec)
	if err != nil {
		answer(w, http.StatusTooManyRequests, map[string]string{"error": err.Error()})
		return
	}
	c.injected(act)
	answer(w, http.StatusCreated, act)
}

func (c *control) remove(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	n := c.inj.Clear(id)
	if id != "" && n == 0 {
		answer(w, http.StatusNotFound, map[string]string{"error": fmt.Sprintf("no fault with id %q is active", id)})
		return
	}
	answer(w, http.StatusOK, map[string]int{"ended": n})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a caller that went away is its own trouble
}
