package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/norn-aiops/norn/internal/demo/fault"
	"github.com/norn-aiops/norn/internal/demo/plan"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// maxRuns bounds the specs that may be active at once.
const maxRuns = 8

// stepEvery is how often effects are brought up to date.
const stepEvery = 500 * time.Millisecond

// Active is one spec under way.
type Active struct {
	ID    string     `json:"id"`
	Spec  fault.Spec `json:"spec"`
	Start time.Time  `json:"start"`
	End   time.Time  `json:"end"`
}

// run is an Active with what must be undone at its end.
type run struct {
	Active
	killed   map[int]bool
	deployed map[int]string // version before
	over     bool           // asked to end
}

// injector brings the active specs to the processes, the load and Norn's list
// of changes. Its Run goroutine is the only one that acts; the other methods
// only note what to do. Safe for concurrent use.
type injector struct {
	plan   *plan.Plan
	procs  *processes
	users  *users
	change func(context.Context, telemetry.Change) error
	log    *slog.Logger

	mu   sync.Mutex
	next int
	runs []*run
	wake chan struct{}
}

func newInjector(p *plan.Plan, ps *processes, us *users, change func(context.Context, telemetry.Change) error, log *slog.Logger) *injector {
	return &injector{plan: p, procs: ps, users: us, change: change, log: log, wake: make(chan struct{}, 1)}
}

// errTooMany is returned when too many specs are active.
var errTooMany = errors.New("too many faults at once")

// Inject begins a spec now.
func (in *injector) Inject(s fault.Spec) (Active, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.runs) >= maxRuns {
		return Active{}, fmt.Errorf("demo: cannot inject %s: %w (limit %d)", s.Name, errTooMany, maxRuns)
	}
	in.next++
	now := time.Now()
	r := &run{Active: Active{ID: strconv.Itoa(in.next), Spec: s, Start: now, End: now.Add(s.Length())},
		killed: map[int]bool{}, deployed: map[int]string{}}
	in.runs = append(in.runs, r)
	in.nudge()
	return r.Active, nil
}

// Clear ends the spec with that id, or all for "". It tells how many.
func (in *injector) Clear(id string) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := 0
	for _, r := range in.runs {
		if !r.over && (id == "" || r.ID == id) {
			r.over = true
			n++
		}
	}
	in.nudge()
	return n
}

// List tells what is active.
func (in *injector) List() []Active {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := []Active{}
	for _, r := range in.runs {
		if !r.over {
			out = append(out, r.Active)
		}
	}
	return out
}

func (in *injector) nudge() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// Run keeps effects up to date until ctx ends.
func (in *injector) Run(ctx context.Context) {
	tick := time.NewTicker(stepEvery)
	defer tick.Stop()
	for {
		in.step(ctx, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-in.wake:
		}
	}
}

// step does what is due now: kills, deploys, revives, sends effects, sets the
// surge, forgets what is over.
func (in *injector) step(ctx context.Context, now time.Time) {
	in.mu.Lock()
	runs := slices.Clone(in.runs)
	in.mu.Unlock()
	surge := 1.0
	var live []*run
	for _, r := range runs {
		t := now.Sub(r.Start)
		in.mu.Lock()
		over := r.over || t >= r.Spec.Length()
		in.mu.Unlock()
		for i := range r.Spec.Faults {
			f := &r.Spec.Faults[i]
			on := !over && f.On(t)
			in.lifecycle(ctx, r, i, on)
			if on && f.Kind == fault.Surge {
				// A ramp begins at the ordinary demand, not at none.
				surge *= 1 + (float64(f.Magnitude)-1)*f.Level(t)/float64(f.Magnitude)
			}
		}
		if !over {
			live = append(live, r)
		}
	}
	in.users.Surge(surge)
	in.effects(ctx, live, now)
	in.mu.Lock()
	in.runs = slices.DeleteFunc(in.runs, func(r *run) bool { return slices.Contains(runs, r) && !slices.Contains(live, r) })
	in.mu.Unlock()
}

// lifecycle does and undoes what happens to processes rather than in them.
func (in *injector) lifecycle(ctx context.Context, r *run, i int, on bool) {
	f := &r.Spec.Faults[i]
	tg := f.Resolved()
	if f.Deploy != "" {
		before, done := r.deployed[i]
		switch {
		case on && !done:
			r.deployed[i] = in.deploy(ctx, tg.Service, nextVersion(f.Deploy, in.procs.Version(tg.Service)), "roll-out")
		case !on && done && before != "":
			in.deploy(ctx, tg.Service, before, "roll-back")
			r.deployed[i] = ""
		}
	}
	if f.Kind != fault.Kill {
		return
	}
	switch {
	case on && !r.killed[i]:
		r.killed[i] = true
		in.procs.Kill(tg.Instance)
	case !on && r.killed[i]:
		r.killed[i] = false
		if err := in.procs.Revive(ctx, tg.Instance); err != nil && ctx.Err() == nil {
			in.log.Error("cannot start a killed instance again", "instance", tg.Instance, "error", err)
		}
	}
}

// nextVersion is the version to roll out: as given, or for "next" the running
// one with its last number raised.
func nextVersion(want, now string) string {
	if want != "next" {
		return want
	}
	i := strings.LastIndexByte(now, '.') + 1
	n, err := strconv.Atoi(now[i:])
	if err != nil {
		return now + ".1"
	}
	return now[:i] + strconv.Itoa(n+1)
}

// deploy rolls a version out and tells Norn. It returns the version before.
func (in *injector) deploy(ctx context.Context, service, version, what string) string {
	ch := telemetry.Change{Time: time.Now().UnixMilli(), Kind: telemetry.ChangeDeploy,
		Entity: telemetry.Entity{Kind: telemetry.KindService, Name: service},
		Title:  fmt.Sprintf("%s of %s %s", what, service, version), Actor: "demo"}
	if err := in.change(ctx, ch); err != nil && ctx.Err() == nil {
		in.log.Warn("cannot tell Norn of a deploy", "service", service, "error", err)
	}
	before, err := in.procs.Deploy(ctx, service, version)
	if err != nil && ctx.Err() == nil {
		in.log.Error("cannot roll out", "service", service, "version", version, "error", err)
	}
	return before
}

// effects tells every instance what is wrong with it now.
func (in *injector) effects(ctx context.Context, live []*run, now time.Time) {
	for i := range in.plan.Services {
		s := &in.plan.Services[i]
		for _, name := range s.InstanceNames() {
			var list []fault.Effect
			for _, r := range live {
				for j := range r.Spec.Faults {
					if e, ok := r.Spec.Faults[j].Touches(s.Name, name, now.Sub(r.Start)); ok {
						list = append(list, e)
					}
				}
			}
			if err := in.procs.SetEffects(ctx, name, list); err != nil && ctx.Err() == nil {
				in.log.Warn("cannot bring a fault to an instance", "instance", name, "error", err)
			}
		}
	}
}
