package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/norn-aiops/norn/internal/demo/fault"
)

// pollEvery is how often Norn is asked what it found.
const pollEvery = 2 * time.Second

// direct injects faults, tells what happens, and prints the table at the end.
func (d *demo) direct(ctx context.Context, ps *processes, us *users) error {
	if d.o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.o.For)
		defer cancel()
	}
	nn := newNorn(d.o.API)
	tr := newTracker(d.o.Out)
	inj := newInjector(d.plan, ps, us, nn.Change, d.o.Log)
	ctl := &control{inj: inj, plan: d.plan, injected: func(a Active) { tr.Injected(a, true) }}
	bg, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	url, served, err := ctl.listen(bg, d.o.Listen)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(d.o.Out, "\nconsole        %s\nbreak things   curl --data-binary @fault.yaml %s/faults\n\n", d.o.Console, url)
	wg.Go(func() { inj.Run(bg) })
	wg.Go(func() { d.poll(bg, nn, tr) })
	err = d.inject(bg, inj, tr, served)
	d.lastLook(ctx, nn, tr)
	tr.Table()
	return err
}

// inject does the director's work until ctx ends.
func (d *demo) inject(ctx context.Context, inj *injector, tr *tracker, served <-chan error) error {
	queue := d.programme()
	next := time.Now().Add(d.o.Quiet)
	seen := map[string]Active{}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("demo: the endpoint for faults ended: %w", err)
			}
			return nil
		case <-tick.C:
		}
		now := time.Now()
		active := inj.List()
		if d.ended(seen, active, tr, now) {
			next = now.Add(d.o.Pause)
		}
		if len(active) > 0 || now.Before(next) {
			continue
		}
		spec, ok := queue()
		if !ok {
			next = now.Add(time.Hour) // nothing left; what people post goes on
			continue
		}
		a, err := inj.Inject(spec)
		if err != nil {
			return err
		}
		tr.Injected(a, false)
		seen[a.ID] = a
	}
}

// ended tells of specs that were active and are not any more.
func (d *demo) ended(seen map[string]Active, active []Active, tr *tracker, now time.Time) bool {
	some := false
	for _, a := range active {
		seen[a.ID] = a
	}
	for id, a := range seen {
		if !slices.ContainsFunc(active, func(x Active) bool { return x.ID == id }) {
			tr.Ended(a, now)
			delete(seen, id)
			some = true
		}
	}
	return some
}

// programme gives one spec after the other: the one that was asked for, or
// all prepared ones in an order that the seed decides, again and again. The
// first round begins with a fault, not with the surge.
func (d *demo) programme() func() (fault.Spec, bool) {
	if d.o.Spec != nil {
		done := false
		return func() (fault.Spec, bool) {
			ok := !done
			done = true
			return *d.o.Spec, ok
		}
	}
	rnd := rand.New(rand.NewPCG(d.o.Seed, 0x6661756c7473))
	var left []fault.Spec
	return func() (fault.Spec, bool) {
		if len(left) == 0 {
			left = fault.Prepared()
			rnd.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
			if !left[0].IsFault() {
				left[0], left[1] = left[1], left[0]
			}
		}
		s := left[0]
		left = left[1:]
		return s, true
	}
}

// poll asks Norn what it found until ctx ends. Norn not answering is told
// once until it answers again.
func (d *demo) poll(ctx context.Context, nn *norn, tr *tracker) {
	first, silent := true, false
	for {
		list, err := nn.Incidents(ctx)
		switch {
		case err != nil && ctx.Err() == nil && !silent:
			silent = true
			d.o.Log.Warn("Norn does not answer", "error", err)
		case err == nil && first:
			tr.Baseline(list)
			first, silent = false, false
		case err == nil:
			silent = false
			tr.Saw(list, time.Now())
		}
		if !pause(ctx, pollEvery) {
			return
		}
	}
}

// lastLook reads Norn's last word although the demo's time may be over.
func (d *demo) lastLook(ctx context.Context, nn *norn, tr *tracker) {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if list, err := nn.Incidents(end); err == nil {
		tr.Saw(list, time.Now())
	}
}
