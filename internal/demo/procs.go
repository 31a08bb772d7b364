package demo

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/norn-aiops/norn/internal/demo/fault"
	"github.com/norn-aiops/norn/internal/demo/plan"
	"github.com/norn-aiops/norn/internal/demo/shop"
)

// startTimeout is how long one process of the shop may take until it listens.
const startTimeout = 20 * time.Second

// process is one running instance.
type process struct {
	service, instance, version string
	cmd                        *exec.Cmd
	stdin                      io.Closer
	ready                      shop.Ready
	done                       chan struct{} // closed when it has ended
	tail                       *tail
}

// processes starts, watches, kills and restarts the shop's processes. They
// belong to the parent's process group, die when its starter thread dies
// (Linux), and end by themselves when their standard input closes. Safe for
// concurrent use.
type processes struct {
	conf  shop.Config // what all have in common
	argv  []string
	plan  *plan.Plan
	log   *slog.Logger
	start chan func() // work for the starter thread

	mu       sync.Mutex
	procs    map[string]*process // by instance
	addrs    map[string]string   // last known address, also of a dead one
	versions map[string]string   // by service
	dead     map[string]bool     // killed on purpose
	effects  map[string][]fault.Effect
	untold   map[string]bool // instances that did not take their effects
	otlp     string          // where telemetry goes now
	opened   time.Time       // when the last process of the first start listened
}

func newProcesses(argv []string, conf shop.Config, p *plan.Plan, log *slog.Logger) (*processes, error) {
	token := make([]byte, 16)
	if _, err := rand.Read(token); err != nil {
		return nil, fmt.Errorf("demo: cannot make a token: %w", err)
	}
	conf.Token = hex.EncodeToString(token)
	ps := &processes{conf: conf, argv: argv, plan: p, log: log, start: make(chan func()),
		procs: map[string]*process{}, addrs: map[string]string{}, versions: map[string]string{},
		dead: map[string]bool{}, effects: map[string][]fault.Effect{}, untold: map[string]bool{}, otlp: conf.OTLP}
	for i := range p.Services {
		ps.versions[p.Services[i].Name] = p.Services[i].Version
	}
	return ps, nil
}

// Up starts every instance of the shop and tells all where the others are.
// The starter goroutine, and so the processes, live at most until hold ends.
func (ps *processes) Up(ctx, hold context.Context, progress func(float64)) error {
	go func() {
		// A child's parent-death signal is bound to the thread that started
		// it, so one thread starts all and stays.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for {
			select {
			case f := <-ps.start:
				f()
			case <-hold.Done():
				return
			}
		}
	}()
	var names []string
	for i := len(ps.plan.Services) - 1; i >= 0; i-- { // stores first, the frontend last
		names = append(names, ps.plan.Services[i].InstanceNames()...)
	}
	for i, name := range names {
		if err := ps.launch(ctx, name); err != nil {
			return err
		}
		progress(float64(i+1) / float64(len(names)))
	}
	ps.mu.Lock()
	ps.opened = time.Now()
	ps.mu.Unlock()
	return ps.tellPeers(ctx)
}

// Opened is when the shop was complete for the first time.
func (ps *processes) Opened() time.Time {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.opened
}

// launch starts one instance and waits until it listens.
func (ps *processes) launch(ctx context.Context, instance string) error {
	svc, ok := ps.plan.InstanceOf(instance)
	if !ok {
		return fmt.Errorf("demo: there is no instance %q in the shop", instance)
	}
	p := &process{service: svc.Name, instance: instance, done: make(chan struct{}), tail: &tail{}}
	ps.mu.Lock()
	p.version = ps.versions[svc.Name]
	ps.mu.Unlock()
	if err := ps.exec(ctx, p); err != nil {
		return fmt.Errorf("demo: cannot start %s: %w", instance, err)
	}
	ps.mu.Lock()
	ps.procs[instance] = p
	ps.addrs[instance] = p.ready.Addr
	delete(ps.dead, instance)
	effects := ps.effects[instance]
	ps.mu.Unlock()
	if len(effects) > 0 {
		return ps.put(ctx, p, "/effects", effects)
	}
	return nil
}

// exec runs the process on the starter thread and reads its ready line.
func (ps *processes) exec(ctx context.Context, p *process) error {
	conf := ps.conf
	conf.Service, conf.Instance, conf.Version = p.service, p.instance, p.version
	conf.Peers = ps.peers()
	ps.mu.Lock()
	conf.OTLP = ps.otlp
	ps.mu.Unlock()
	line, err := json.Marshal(conf)
	if err != nil {
		return err
	}
	args := append(slices.Clone(ps.argv[1:]), "--name", p.service, "--instance", p.instance)
	p.cmd = exec.Command(ps.argv[0], args...)
	p.cmd.SysProcAttr = dieWithParent()
	p.cmd.Stderr = p.tail
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.stdin = stdin
	started := make(chan error, 1)
	select {
	case ps.start <- func() { started <- p.cmd.Start() }:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := <-started; err != nil {
		return err
	}
	ready := make(chan error, 1)
	// Ends with the process: its standard output closes then.
	go func() {
		defer close(p.done)
		r := bufio.NewReader(stdout)
		text, err := r.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(text, &p.ready)
		}
		ready <- err
		_, _ = io.Copy(io.Discard, r)
		_ = p.cmd.Wait() // how it ended is seen from outside
	}()
	if _, err = stdin.Write(append(line, '\n')); err == nil {
		err = listening(ctx, ready)
	}
	if err != nil {
		_ = p.cmd.Process.Kill() // it may have ended already
		<-p.done
		return fmt.Errorf("%w; its last words: %s", err, p.tail)
	}
	return nil
}

// listening waits for a process's ready line.
func listening(ctx context.Context, ready <-chan error) error {
	late := time.NewTimer(startTimeout)
	defer late.Stop()
	select {
	case err := <-ready:
		return err
	case <-late.C:
		return fmt.Errorf("it did not listen within %s", startTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// peers lists the last known addresses by service.
func (ps *processes) peers() map[string][]string {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	out := map[string][]string{}
	for i := range ps.plan.Services {
		s := &ps.plan.Services[i]
		for _, in := range s.InstanceNames() {
			if a := ps.addrs[in]; a != "" {
				out[s.Name] = append(out[s.Name], a)
			}
		}
	}
	return out
}

// tellPeers sends all addresses to all running processes.
func (ps *processes) tellPeers(ctx context.Context) error {
	peers := ps.peers()
	var errs []error
	for _, p := range ps.running() {
		errs = append(errs, ps.put(ctx, p, "/peers", peers))
	}
	return errors.Join(errs...)
}

// Connect sends the telemetry of all processes, also of those that start
// later, to another receiver, from time t on; to "" for none.
func (ps *processes) Connect(ctx context.Context, otlp string, t time.Time) error {
	ps.mu.Lock()
	ps.otlp = otlp
	ps.mu.Unlock()
	var errs []error
	for _, p := range ps.running() {
		errs = append(errs, ps.put(ctx, p, "/connect", shop.Connection{OTLP: otlp, Since: t.UnixMilli()}))
	}
	return errors.Join(errs...)
}

// running lists the live processes in a fixed order.
func (ps *processes) running() []*process {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var out []*process
	for _, p := range ps.procs {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *process) int { return bytes.Compare([]byte(a.instance), []byte(b.instance)) })
	return out
}

// SetEffects tells an instance what is wrong with it from now on; it is told
// again when it is restarted. An unchanged list is not sent.
func (ps *processes) SetEffects(ctx context.Context, instance string, list []fault.Effect) error {
	ps.mu.Lock()
	same := slices.Equal(ps.effects[instance], list) && !ps.untold[instance]
	delete(ps.untold, instance)
	ps.effects[instance] = list
	p := ps.procs[instance]
	ps.mu.Unlock()
	if same || p == nil {
		return nil
	}
	if list == nil {
		list = []fault.Effect{}
	}
	err := ps.put(ctx, p, "/effects", list)
	if err != nil {
		ps.mu.Lock()
		ps.untold[instance] = true
		ps.mu.Unlock()
	}
	return err
}

// Kill ends an instance with SIGKILL. Its address stays known to the others.
func (ps *processes) Kill(instance string) {
	ps.mu.Lock()
	p := ps.procs[instance]
	delete(ps.procs, instance)
	ps.dead[instance] = true
	ps.mu.Unlock()
	if p == nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// Revive starts a killed instance again and tells the others.
func (ps *processes) Revive(ctx context.Context, instance string) error {
	ps.mu.Lock()
	p := ps.procs[instance]
	ps.mu.Unlock()
	if p != nil {
		return nil
	}
	if err := ps.launch(ctx, instance); err != nil {
		return err
	}
	return ps.tellPeers(ctx)
}

// Deploy rolls a version out: instance by instance, each is asked to end,
// started with the new version and made known. It returns the version that
// ran before.
func (ps *processes) Deploy(ctx context.Context, service, version string) (before string, err error) {
	svc, ok := ps.plan.Service(service)
	if !ok {
		return "", fmt.Errorf("demo: there is no service %q in the shop", service)
	}
	ps.mu.Lock()
	before = ps.versions[service]
	ps.versions[service] = version
	ps.mu.Unlock()
	for _, in := range svc.InstanceNames() {
		ps.mu.Lock()
		p, dead := ps.procs[in], ps.dead[in]
		delete(ps.procs, in)
		ps.mu.Unlock()
		if dead {
			continue // comes back with the new version when it is revived
		}
		if p != nil {
			ps.end(p)
		}
		if err := ps.Revive(ctx, in); err != nil {
			return before, err
		}
	}
	return before, nil
}

// Version is the version of a service that runs or is being rolled out.
func (ps *processes) Version(service string) string {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.versions[service]
}

// end asks a process to end and kills it if it takes more than two seconds.
func (ps *processes) end(p *process) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	_ = p.stdin.Close()
	select {
	case <-p.done:
	case <-time.After(2500 * time.Millisecond):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// Down ends all processes, at once, within about three seconds.
func (ps *processes) Down() {
	ps.mu.Lock()
	procs := ps.procs
	ps.procs = map[string]*process{}
	ps.mu.Unlock()
	var wg sync.WaitGroup
	for _, p := range procs {
		wg.Go(func() { ps.end(p) })
	}
	wg.Wait()
}

// Watch restarts processes that ended without being asked, until ctx ends.
func (ps *processes) Watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, p := range ps.running() {
			select {
			case <-p.done:
			default:
				continue
			}
			ps.mu.Lock()
			mine := ps.procs[p.instance] == p
			if mine {
				delete(ps.procs, p.instance)
			}
			ps.mu.Unlock()
			if !mine || ctx.Err() != nil {
				continue
			}
			ps.log.Warn("a process of the shop ended by itself and is started again", "instance", p.instance, "last_words", p.tail.String())
			if err := ps.Revive(ctx, p.instance); err != nil && ctx.Err() == nil {
				ps.log.Error("cannot start it again", "instance", p.instance, "error", err)
			}
		}
	}
}

// put sends a control order.
func (ps *processes) put(ctx context.Context, p *process, path string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+p.ready.Control+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	r.Header.Set(shop.TokenHeader, ps.conf.Token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		select {
		case <-p.done:
			return nil // a dead process needs no orders
		default:
		}
		return fmt.Errorf("demo: cannot tell %s: %w", p.instance, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return fmt.Errorf("demo: %s refused an order: %s", p.instance, text)
	}
	return nil
}

// PIDs lists the process ids by instance.
func (ps *processes) PIDs() map[string]int {
	out := map[string]int{}
	for _, p := range ps.running() {
		out[p.instance] = p.cmd.Process.Pid
	}
	return out
}

// tail keeps the last two kilobytes that were written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if n := len(t.buf) - 2048; n > 0 {
		t.buf = slices.Clone(t.buf[n:])
	}
	return len(p), nil
}

// String gives what is kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.buf))
}

// selfCommand is the default command for the shop's processes: this binary's
// hidden verb.
func selfCommand() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("demo: cannot find its own binary: %w", err)
	}
	return []string{self, "demo-service"}, nil
}
