package app

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/remediate"
	"github.com/norn-aiops/norn/internal/remedy"
	"github.com/norn-aiops/norn/internal/runner/command"
	"github.com/norn-aiops/norn/internal/runner/webhook"
)

// remedies wires recommendations, rules and runners.
func (a *App) remedies(seen *operators) (*remediate.Manager, error) {
	cfg := a.opts.Config.Remedy
	lib, err := remedy.Load()
	if err != nil {
		return nil, fmt.Errorf("cannot load the runbooks: %w", err)
	}
	var bound []remediate.Bound
	for i := range cfg.Actions {
		c := &cfg.Actions[i]
		b := remediate.Bound{Action: c.Action()}
		if err := b.Prepare(); err != nil {
			return nil, fmt.Errorf("action %s: %w", c.Name, err)
		}
		switch c.Runner {
		case "nftables":
			if b.Runner, err = packetFilter(); err != nil {
				return nil, fmt.Errorf("action %s: %w", c.Name, err)
			}
		case "command":
			b.Runner = command.Runner{Do: c.Argv, Back: c.Rollback}
		case "webhook":
			b.Runner = webhook.Runner{URL: c.Webhook.URL.Reveal(), Secret: c.Webhook.Secret.Reveal(), Rollback: c.Webhook.Rollback}
		}
		bound = append(bound, b)
	}
	return remediate.New(remediate.Options{
		Library: lib, Actions: bound, Store: a.stores.state, State: a.stores.state, Graph: a.pipe.GraphAt, Log: a.log,
		Policy: remedyPolicy(cfg), Guard: remedyGuard(cfg, seen, a.opts.Config.Server.Listen), Approver: approver(cfg.Approvers),
	}), nil
}

func remedyPolicy(cfg config.Remedy) remedy.Policy {
	p := remedy.Policy{PerHour: cfg.PerHour, Approval: time.Duration(cfg.Approval), Least: cfg.Confidence}
	for _, f := range cfg.Freezes {
		from, err1 := time.Parse(time.RFC3339, f.From)
		to, err2 := time.Parse(time.RFC3339, f.To)
		if err1 == nil && err2 == nil { // checked when it was read
			p.Freezes = append(p.Freezes, remedy.Freeze{Name: f.Name, From: from, To: to})
		}
	}
	return p
}

func remedyGuard(cfg config.Remedy, seen *operators, listen string) remedy.Guard {
	g := remedy.Guard{Hosts: cfg.Protected.Hosts, Own: seen.own}
	for _, r := range cfg.Protected.Ranges {
		if p, err := netip.ParsePrefix(r); err == nil { // checked when it was read
			g.Ranges = append(g.Ranges, p.Masked())
		}
	}
	for _, p := range cfg.Protected.Ports {
		g.Ports = append(g.Ports, uint16(p))
	}
	if ap, err := netip.ParseAddrPort(listen); err == nil {
		g.Ports = append(g.Ports, ap.Port())
	}
	return g
}

// approver checks the approver's own token; without configured approvers a name
// is taken as it is.
func approver(list []config.Approver) func(who, token string) error {
	return func(who, token string) error {
		got := sha256.Sum256([]byte(token))
		for _, a := range list {
			want := sha256.Sum256([]byte(a.Token.Reveal()))
			if strings.EqualFold(a.Name, strings.TrimSpace(who)) && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
				return nil
			}
		}
		if len(list) == 0 {
			return nil
		}
		return fmt.Errorf("%w: %.40q with this token is no approver", remedy.ErrRefused, who)
	}
}

// rememberFor is how long an address from which Norn was operated is protected.
const rememberFor = 7 * 24 * time.Hour

// maxOperators bounds the memory of addresses.
const maxOperators = 10_000

// operators remembers from where Norn is operated, so that nobody locks
// themselves out. It is safe for concurrent use.
type operators struct {
	mu   sync.Mutex
	from map[netip.Addr]time.Time
}

func newOperators() *operators { return &operators{from: map[netip.Addr]time.Time{}} }

// watch notes who gets an answer (not a refusal) from the API.
func (o *operators) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		operates := strings.HasPrefix(r.URL.Path, "/api/v1/remedy") || strings.HasPrefix(r.URL.Path, "/api/v1/incidents")
		ap, err := netip.ParseAddrPort(r.RemoteAddr)
		if !operates || err != nil || w.Header().Get("WWW-Authenticate") != "" {
			return
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		if len(o.from) < maxOperators {
			o.from[ap.Addr().Unmap().WithZone("")] = time.Now()
		}
	})
}

// own lists this machine's addresses, operators' of late, and that of the
// session from which Norn was started.
func (o *operators) own() []netip.Addr {
	var out []netip.Addr
	if list, err := net.InterfaceAddrs(); err == nil {
		for _, a := range list {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				out = append(out, p.Addr().Unmap())
			}
		}
	}
	if first, _, ok := strings.Cut(os.Getenv("SSH_CONNECTION"), " "); ok {
		if a, err := netip.ParseAddr(first); err == nil {
			out = append(out, a.Unmap().WithZone(""))
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for a, at := range o.from {
		if time.Since(at) > rememberFor {
			delete(o.from, a)
			continue
		}
		out = append(out, a)
	}
	return out
}
