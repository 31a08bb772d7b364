// Package demo shows Norn at work: it runs a small shop of real processes with
// load, gives Norn two weeks of its past, breaks something every few minutes,
// and prints beside each injection what Norn found.
//
// It exists so that a newcomer sees one incident with its cause within
// minutes, and can break things that nobody prepared. It talks to Norn as
// outsiders do (OTLP and HTTP); only the past goes in through a function, as
// no protocol takes in two weeks at once. It does not start Norn. [Run] owns
// every goroutine and process that it starts; when it returns, none is left.
// The plan of the shop is in package plan, its processes in package shop, the
// language of faults in package fault, the past in package model.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/norn-aiops/norn/internal/demo/fault"
	"github.com/norn-aiops/norn/internal/demo/model"
	"github.com/norn-aiops/norn/internal/demo/plan"
	"github.com/norn-aiops/norn/internal/demo/shop"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Sample is one value of the past that [Options.Append] takes in.
type Sample = model.Sample

// Spec is a fault, prepared or composed.
type Spec = fault.Spec

// Options says what to run. Only OTLP and API are needed.
type Options struct {
	OTLP    string   // host:port where Norn takes OTLP over gRPC
	API     string   // base URL of Norn's HTTP server, "http://127.0.0.1:8080"
	Console string   // what is printed as the console's address; API unless given
	Command []string // runs one process of the shop; this binary with "demo-service" unless given

	// Calibrate runs the given function against a throw-away Norn that it
	// starts and ends: the shop is measured there before the past is made, so
	// that no live sample is in the real Norn before its past. The shop's
	// processes are the same all along. Append takes
	// the past in, in time order; it must not keep the slice. Without both
	// there is no past.
	Calibrate func(ctx context.Context, run func(ctx context.Context, otlp, api string) error) error
	Append    func(ctx context.Context, samples []Sample) error
	// Progress is told what is being prepared and how much of it is done.
	Progress func(phase string, fraction float64)

	Fault  string        // inject only this prepared fault, once
	Spec   *Spec         // inject only this one, once
	For    time.Duration // end after so long, counted from the first live second; 0 runs on
	Seed   uint64        // order of faults, load, past
	Listen string        // address of the demo's own endpoint, "127.0.0.1:0" unless given

	Rate           float64       // mean requests a second over the day, 14 unless given
	History        time.Duration // length of the past, 14 days unless given
	Rehearsal      time.Duration // how long the shop is open before anybody looks, 8 s unless given
	MeasureFor     time.Duration // length of the measurement, 50 s unless given
	Window         time.Duration // width of Norn's windows, 10 s unless given
	Quiet          time.Duration // before the first fault, 1 min unless given
	Pause          time.Duration // between faults, 2 min unless given
	MetricInterval time.Duration // between metric exports, 10 s unless given

	Out io.Writer    // what the person reads; discarded unless given
	Log *slog.Logger // what went wrong; discarded unless given
}

func (o Options) withDefaults() (Options, error) {
	if o.OTLP == "" || o.API == "" {
		return o, errors.New("demo: needs Norn's OTLP and HTTP addresses")
	}
	if len(o.Command) == 0 {
		self, err := selfCommand()
		if err != nil {
			return o, err
		}
		o.Command = self
	}
	if o.Fault != "" && o.Spec == nil {
		s, ok := fault.Find(o.Fault)
		if !ok {
			return o, fmt.Errorf("demo: there is no fault %q; see the list of faults", o.Fault)
		}
		o.Spec = &s
	}
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.History, 14*24*time.Hour)
	def(&o.Rehearsal, 8*time.Second)
	def(&o.MeasureFor, 50*time.Second)
	def(&o.Window, 10*time.Second)
	def(&o.Quiet, time.Minute)
	def(&o.Pause, 2*time.Minute)
	def(&o.MetricInterval, 10*time.Second)
	if o.Rate <= 0 {
		o.Rate = 14
	}
	if o.Console == "" {
		o.Console = o.API
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(string, float64) {}
	}
	return o, nil
}

// FaultInfo describes a prepared fault.
type FaultInfo struct {
	Name        string             `json:"name"`
	Description string             `json:"description"`
	IsFault     bool               `json:"is_fault"` // false when Norn should stay silent
	Truth       []telemetry.Entity `json:"truth"`    // what a right answer names
}

// Faults lists the prepared faults.
func Faults() []FaultInfo {
	var out []FaultInfo
	for _, s := range fault.Prepared() {
		out = append(out, FaultInfo{Name: s.Name, Description: s.Description, IsFault: s.IsFault(), Truth: append([]telemetry.Entity{}, s.Truths()...)})
	}
	return out
}

// ParseSpec reads a fault from YAML or JSON. Errors name the field.
func ParseSpec(data []byte) (*Spec, error) { return fault.Parse(data, plan.Shop()) }

// RunService is the main function of one process of the shop, for the hidden
// command that [Options.Command] names. It reads its configuration from
// standard input and ends with it, on SIGTERM, or with ctx. An interrupt from
// the terminal is left to the parent.
func RunService(ctx context.Context) error {
	signal.Ignore(os.Interrupt)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	return shop.Run(ctx, os.Stdin, os.Stdout)
}

// Run runs the demo until ctx ends or [Options.For] is over. Norn must be
// running. The end of ctx is not an error; the table is printed either way.
func Run(ctx context.Context, o Options) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "norn-demo-")
	if err != nil {
		return fmt.Errorf("demo: cannot make a directory for the shop's databases: %w", err)
	}
	defer os.RemoveAll(dir)
	d := &demo{o: o, dir: dir, plan: plan.Shop()}
	err = d.run(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// demo is one run.
type demo struct {
	o    Options
	dir  string
	plan *plan.Plan
}

func (d *demo) run(ctx context.Context) error {
	return d.withShop(ctx, func(ctx context.Context, ps *processes, us *users) error {
		if !pause(ctx, d.o.Rehearsal) {
			return ctx.Err()
		}
		gen, err := d.past(ctx, ps, us)
		if err != nil {
			return err
		}
		if err := d.connect(ctx, ps, gen); err != nil {
			return err
		}
		return d.direct(ctx, ps, us)
	})
}

// connect brings Norn and the shop together at the begin of one of Norn's
// windows, so that the first one is whole and the past ends where it begins.
func (d *demo) connect(ctx context.Context, ps *processes, gen *model.Generator) error {
	at := time.Now().Add(time.Second).Truncate(d.o.Window).Add(d.o.Window)
	if gen != nil {
		if err := gen.Until(ctx, at, d.o.Append, func(float64) {}); err != nil {
			return err
		}
	}
	if !pause(ctx, time.Until(at)) {
		return ctx.Err()
	}
	return ps.Connect(ctx, d.o.OTLP, at)
}

// withShop runs f while the shop is open and visited, and closes the shop. Its
// telemetry goes nowhere until it is connected.
func (d *demo) withShop(ctx context.Context, f func(context.Context, *processes, *users) error) error {
	conf := shop.Config{Dir: d.dir, Seed: d.o.Seed, MetricMS: int(d.o.MetricInterval.Milliseconds())}
	ps, err := newProcesses(d.o.Command, conf, d.plan, d.o.Log)
	if err != nil {
		return err
	}
	// The starter thread must outlive the shop's orderly end.
	hold, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	defer ps.Down()
	if err := ps.Up(ctx, hold, func(x float64) { d.o.Progress("opening the shop", x) }); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	us := newUsers(d.plan, d.o.Rate, d.o.Seed, ps.peers)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { us.Run(ctx) })
	wg.Go(func() { ps.Watch(ctx) })
	return f(ctx, ps, us)
}
