// Package shop is one process of the demo's shop: a service, the worker, the
// cache or the broker, really serving over HTTP on loopback, really using
// SQLite, and instrumented with the OpenTelemetry SDK.
//
// It exists so that Norn is shown on telemetry of real programs. It performs
// what package plan describes and suffers what package fault asks for: a slow
// statement is a slow statement, a leak holds memory, an error is logged and
// answered with 500. It starts no processes (package demo does) and decides
// nothing. [Run] is the main function of such a process; it owns all
// goroutines it starts and ends them with its context.
package shop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/norn-aiops/norn/internal/demo/fault"
	"github.com/norn-aiops/norn/internal/demo/plan"
)

// Config is what a process is told at start, as one JSON line on its standard
// input. When standard input ends, the parent is gone and the process ends.
type Config struct {
	Service  string              `json:"service"`
	Instance string              `json:"instance"`
	Version  string              `json:"version"`
	Host     string              `json:"host,omitempty"` // host.name, the machine's own unless given
	OTLP     string              `json:"otlp,omitempty"` // host:port of the OTLP gRPC receiver; none until PUT /connect unless given
	Dir      string              `json:"dir"`            // where databases live
	Token    string              `json:"token"`          // that control requests must carry
	Seed     uint64              `json:"seed"`
	MetricMS int                 `json:"metric_ms,omitempty"` // between metric exports, 10,000 unless given
	FlushMS  int                 `json:"flush_ms,omitempty"`  // between exports of spans and logs, 2,000 unless given
	Peers    map[string][]string `json:"peers,omitempty"`
}

// Ready is the one JSON line that a process writes when it listens.
type Ready struct {
	Addr    string `json:"addr"`    // serves requests
	Control string `json:"control"` // takes orders from the parent
}

// TokenHeader carries Config.Token in control requests.
const TokenHeader = "X-Norn-Demo-Token"

// Run is one process of the shop. It reads its [Config] from in, writes
// [Ready] to out, and serves until ctx ends or in does.
func Run(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := bufio.NewReaderSize(in, 1<<16)
	line, err := r.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("demo service: cannot read its configuration: %w", err)
	}
	var c Config
	if err := json.Unmarshal(line, &c); err != nil {
		return fmt.Errorf("demo service: cannot understand its configuration: %w", err)
	}
	// Orphan watch: ends with the process, because only the parent's end of
	// the pipe unblocks it.
	go func() {
		_, _ = io.Copy(io.Discard, r)
		cancel()
	}()
	return serve(ctx, &c, out)
}

func serve(ctx context.Context, c *Config, out io.Writer) (err error) {
	p := plan.Shop()
	svc, ok := p.Service(c.Service)
	if !ok {
		return fmt.Errorf("demo service: there is no service %q in the shop", c.Service)
	}
	if svc.Role != plan.RoleDB {
		// One core each, as with a container's limit: a process that burns
		// its core slows its own requests and not the whole machine.
		runtime.GOMAXPROCS(1)
	}
	sig, err := startTelemetry(ctx, c, svc)
	if err != nil {
		return fmt.Errorf("demo service %s: %w", c.Instance, err)
	}
	defer func() {
		end, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
		defer cancel()
		_ = sig.stop(end) // nobody is left to tell
	}()
	n := &node{plan: p, svc: svc, conf: c, sig: sig, rnd: newDice(c.Seed, c.Instance), close: func() {}}
	n.eff = &effects{rnd: newDice(c.Seed+1, c.Instance)}
	n.net = newClients(n)
	n.net.setPeers(c.Peers)
	handler, err := n.build(ctx)
	if err != nil {
		return fmt.Errorf("demo service %s: %w", c.Instance, err)
	}
	defer func() { n.close() }()
	var mark []attribute.KeyValue
	if svc.Role == plan.RoleQueue {
		mark = append(mark, queueAttr())
	}
	if err := watchProcess(sig.meter, mark...); err != nil {
		return fmt.Errorf("demo service %s: cannot watch itself: %w", c.Instance, err)
	}
	return n.listen(ctx, handler, out)
}

// node is a running process of the shop.
type node struct {
	plan  *plan.Plan
	svc   *plan.Service
	conf  *Config
	sig   *signals
	rnd   *dice
	eff   *effects
	net   *clients
	tasks []func(context.Context) // background work, ends with its context
	close func()                  // what its role must give back at the end
}

// build makes the handler that the node's role needs.
func (n *node) build(ctx context.Context) (http.Handler, error) {
	switch n.svc.Role {
	case plan.RoleCache:
		return newCacheServer(n)
	case plan.RoleQueue:
		return newBroker(n)
	case plan.RoleDB:
		return newDatabase(ctx, n)
	case plan.RoleWorker:
		n.tasks = append(n.tasks, n.consume)
	}
	return n.routes(), nil
}

// listen serves requests and control until ctx ends.
func (n *node) listen(ctx context.Context, h http.Handler, out io.Writer) error {
	var lc net.ListenConfig
	data, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("demo service %s: cannot listen: %w", n.conf.Instance, err)
	}
	ctl, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("demo service %s: cannot listen for control: %w", n.conf.Instance, errors.Join(err, data.Close()))
	}
	servers := []*http.Server{
		{Handler: h, ReadHeaderTimeout: 5 * time.Second},
		{Handler: n.control(), ReadHeaderTimeout: 5 * time.Second},
	}
	var wg sync.WaitGroup
	fail := make(chan error, len(servers))
	for i, l := range []net.Listener{data, ctl} {
		wg.Go(func() {
			if err := servers[i].Serve(l); !errors.Is(err, http.ErrServerClosed) {
				fail <- err
			}
		})
	}
	bg, stop := context.WithCancel(ctx)
	wg.Go(func() { n.eff.run(bg, n.sig) })
	for _, task := range n.tasks {
		wg.Go(func() { task(bg) })
	}
	ready, err := json.Marshal(Ready{Addr: data.Addr().String(), Control: ctl.Addr().String()})
	if err == nil {
		_, err = fmt.Fprintf(out, "%s\n", ready)
	}
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-fail:
		}
	}
	stop()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	for _, s := range servers {
		if s.Shutdown(end) != nil {
			_ = s.Close() // what did not end in time is cut off
		}
	}
	wg.Wait()
	return err
}

// control takes orders: PUT /peers and PUT /effects replace what is known, PUT
// /connect says where telemetry goes.
func (n *node) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /peers", func(w http.ResponseWriter, r *http.Request) {
		var peers map[string][]string
		if readJSON(w, r, &peers) {
			n.net.setPeers(peers)
			w.WriteHeader(http.StatusNoContent)
		}
	})
	mux.HandleFunc("PUT /effects", func(w http.ResponseWriter, r *http.Request) {
		var list []fault.Effect
		if readJSON(w, r, &list) {
			n.eff.set(list)
			w.WriteHeader(http.StatusNoContent)
		}
	})
	mux.HandleFunc("PUT /connect", func(w http.ResponseWriter, r *http.Request) {
		var c Connection
		if !readJSON(w, r, &c) {
			return
		}
		// The exporters outlive the request.
		if err := n.sig.gate.connect(context.WithoutCancel(r.Context()), c); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(TokenHeader) != n.conf.Token {
			http.Error(w, "wrong token", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	if err := dec.Decode(into); err != nil {
		http.Error(w, "cannot understand the body: "+err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}
