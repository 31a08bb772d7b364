// Package wasm runs detectors of the user's own: WebAssembly modules that give
// each point of a series a score.
//
// It exists so that anybody can add a detector in any language without
// touching Norn, and without being able to harm it: a module sees its own
// memory and the points that it is given, no files, no network, no clock. A
// module that traps, hangs, or asks for more memory than it may have is
// switched off, with its name and the reason; it never stops the process. What
// a module must export is in docs/plugins.md. It does not choose series, judge
// scores or raise anomalies. A [Plugin] is safe for concurrent use.
package wasm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// ErrOff is returned (wrapped, with the reason) by a plugin that was switched off.
var ErrOff = errors.New("plugin is switched off")

// Options limit a module. The zero value is usable.
type Options struct {
	// MemoryPages of 64 KiB that each instance may have. 0 means 256 (16 MiB).
	MemoryPages uint32
	// CallTime is how long one call may take by the wall clock, which a busy
	// machine counts too. 0 means 250 ms.
	CallTime time.Duration
	// StartTime is how long a module may take to start. 0 means 5 s.
	StartTime time.Duration
	// Instances of the module, among which series are shared out; each has its
	// own memory, and they work side by side. 0 means 1.
	Instances int
	// MaxSeries is how many series a module is asked about. Points of further
	// ones get no opinion, and are counted. 0 means 10,000.
	MaxSeries int
}

func (o Options) withDefaults() Options {
	if o.MemoryPages == 0 {
		o.MemoryPages = 256
	}
	if o.CallTime <= 0 {
		o.CallTime = 250 * time.Millisecond
	}
	if o.StartTime <= 0 {
		o.StartTime = 5 * time.Second
	}
	if o.Instances <= 0 {
		o.Instances = 1
	}
	if o.MaxSeries <= 0 {
		o.MaxSeries = 10_000
	}
	return o
}

// State is how a plugin does.
type State struct {
	Title    string // what the module calls itself, "" when it does not
	Off      string // why it is switched off, "" while it works
	Series   int    // that the module was asked about
	Calls    uint64 // points that were scored, or of which the module had no opinion
	Unserved uint64 // points of series beyond MaxSeries
	Memory   uint64 // bytes of all instances
	TookNS   uint64 // time that all calls took
}

// Plugin is one loaded module. Make it with Load, end it with Close.
type Plugin struct {
	o         Options
	runtime   wazero.Runtime
	instances []*instance
	title     string

	off      atomic.Pointer[string]
	series   atomic.Int64
	calls    atomic.Uint64
	unserved atomic.Uint64
	took     atomic.Uint64
	memory   atomic.Uint64
	released sync.Once
}

// Load compiles a module and starts its instances. The error says what is
// wrong with the module, or that it broke a limit.
func Load(ctx context.Context, code []byte, o Options) (*Plugin, error) {
	o = o.withDefaults()
	code, err := tame(code)
	if err != nil {
		return nil, fmt.Errorf("not a usable WebAssembly module: %w", err)
	}
	p := &Plugin{o: o, runtime: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCloseOnContextDone(true))}
	if err := p.start(ctx, code); err != nil {
		return nil, errors.Join(err, p.runtime.Close(context.WithoutCancel(ctx)))
	}
	return p, nil
}

func (p *Plugin) start(ctx context.Context, code []byte) error {
	compiled, err := p.runtime.CompileModule(ctx, code)
	if err != nil {
		return fmt.Errorf("the module cannot be compiled: %w", err)
	}
	if err := check(compiled, p.o.MemoryPages); err != nil {
		return err
	}
	// System calls get empty answers: no files, no arguments, no environment,
	// a clock and random numbers that are always the same.
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, p.runtime); err != nil {
		return fmt.Errorf("cannot prepare system calls: %w", err)
	}
	for range p.o.Instances {
		in, err := newInstance(ctx, p.runtime, compiled, p.o)
		if err != nil {
			return err
		}
		p.instances = append(p.instances, in)
	}
	title, err := p.instances[0].title(ctx)
	if err != nil {
		return fmt.Errorf("name: %w", err)
	}
	p.title = title
	p.weigh()
	return nil
}

// Score gives the module's score of every point, NaN where it has no opinion;
// scores is as long as points. Points of one series must come in order. The
// error wraps ErrOff when the module was switched off, by this call or before;
// scores are all NaN then.
func (p *Plugin) Score(ctx context.Context, points []telemetry.Point, scores []float64) error {
	for i := range scores {
		scores[i] = math.NaN()
	}
	if err := p.isOff(); err != nil {
		return err
	}
	began := time.Now()
	var wg sync.WaitGroup
	for k, in := range p.instances {
		if len(p.instances) == 1 {
			p.serve(ctx, in, 0, points, scores)
			break
		}
		wg.Go(func() { p.serve(ctx, in, uint64(k), points, scores) })
	}
	wg.Wait()
	p.took.Add(uint64(time.Since(began)))
	if err := p.isOff(); err != nil {
		for i := range scores {
			scores[i] = math.NaN()
		}
		return errors.Join(err, p.release(ctx))
	}
	p.weigh()
	return ctx.Err()
}

func (p *Plugin) isOff() error {
	if why := p.off.Load(); why != nil {
		return fmt.Errorf("%w: %s", ErrOff, *why)
	}
	return nil
}

// serve scores the points that fall to one instance.
func (p *Plugin) serve(ctx context.Context, in *instance, k uint64, points []telemetry.Point, scores []float64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := uint64(len(p.instances))
	for i := range points {
		pt := &points[i]
		if pt.Series == nil || uint64(pt.Series.ID)%n != k {
			continue
		}
		if ctx.Err() != nil || p.off.Load() != nil {
			return
		}
		v, err := p.one(ctx, in, pt)
		if err != nil {
			if ctx.Err() == nil {
				p.switchOff(err)
			}
			return
		}
		if v >= 0 && !math.IsInf(v, 1) {
			scores[i] = v
		}
	}
}

func (p *Plugin) one(ctx context.Context, in *instance, pt *telemetry.Point) (float64, error) {
	if !in.known[pt.Series.ID] {
		if p.series.Load() >= int64(p.o.MaxSeries) {
			p.unserved.Add(1)
			return math.NaN(), nil
		}
		p.series.Add(1)
		in.known[pt.Series.ID] = true
		if err := in.tell(ctx, pt.Series); err != nil {
			return 0, fmt.Errorf("describe: %w", err)
		}
	}
	p.calls.Add(1)
	v, err := in.score(ctx, pt)
	if err != nil {
		return 0, fmt.Errorf("observe: %w", err)
	}
	return v, nil
}

// switchOff ends the module for good. The first reason stays.
func (p *Plugin) switchOff(err error) {
	why := err.Error()
	p.off.CompareAndSwap(nil, &why)
}

// weigh adds up the memory of all instances.
func (p *Plugin) weigh() {
	var sum uint64
	for _, in := range p.instances {
		sum += in.limiter.size.Load()
	}
	p.memory.Store(sum)
}

// State tells how the plugin does.
func (p *Plugin) State() State {
	s := State{Title: p.title, Series: int(p.series.Load()), Calls: p.calls.Load(), Unserved: p.unserved.Load(),
		Memory: p.memory.Load(), TookNS: p.took.Load()}
	if why := p.off.Load(); why != nil {
		s.Off = *why
	}
	return s
}

// Close ends the instances and frees their memory. Score gives ErrOff from
// then on.
func (p *Plugin) Close(ctx context.Context) error {
	p.switchOff(errors.New("closed"))
	return p.release(ctx)
}

// release frees what a module holds, once no call runs any more.
func (p *Plugin) release(ctx context.Context) (err error) {
	p.released.Do(func() {
		for _, in := range p.instances {
			in.mu.Lock()
			defer in.mu.Unlock()
		}
		if err = p.runtime.Close(context.WithoutCancel(ctx)); err != nil {
			err = fmt.Errorf("cannot close a plugin: %w", err)
		}
		for _, in := range p.instances { // the runtime forgets one that ran out of time and stack at once
			in.limiter.Free()
		}
		p.weigh()
	})
	return err
}
