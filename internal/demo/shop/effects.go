package shop

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/norn-aiops/norn/internal/demo/fault"
)

// effects is what is wrong with a process right now. Requests ask it; the
// background effects (burning, leaking, noise) are goroutines that run while
// the effect is on and end with the context of run. Safe for concurrent use.
type effects struct {
	mu     sync.RWMutex
	list   []fault.Effect
	rnd    *dice
	leaked [][]byte // what the memory leak holds
}

// set replaces the list.
func (e *effects) set(list []fault.Effect) {
	e.mu.Lock()
	e.list = list
	e.mu.Unlock()
}

// each visits the effects of one kind and peer that strike now, by their
// share of requests.
func (e *effects) each(kind fault.Kind, peer string, visit func(level float64)) {
	e.mu.RLock()
	list := e.list
	e.mu.RUnlock()
	for _, f := range list {
		if f.Kind == kind && f.Peer == peer && e.rnd.chance(f.Share) {
			visit(f.Level)
		}
	}
}

// sum adds up the levels of one kind, shares left aside.
func (e *effects) sum(kind fault.Kind) float64 {
	e.mu.RLock()
	defer e.mu.RUnlock()
	var v float64
	for _, f := range e.list {
		if f.Kind == kind {
			v += f.Level
		}
	}
	return v
}

// on reports whether an effect of the kind is active.
func (e *effects) on(kind fault.Kind) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, f := range e.list {
		if f.Kind == kind {
			return true
		}
	}
	return false
}

// strike makes a request suffer what ails the process itself (peer "") or the
// way to a peer: it waits, then perhaps fails.
func (e *effects) strike(ctx context.Context, peer string) error {
	var wait float64
	add := func(level float64) { wait += level * e.rnd.spread(0.15) }
	e.each(fault.Latency, peer, add)
	if peer != "" {
		e.each(fault.NetworkDelay, peer, add)
	}
	if err := sleep(ctx, wait); err != nil {
		return err
	}
	var err error
	e.each(fault.Error, peer, func(level float64) {
		if !e.rnd.chance(level) {
			return
		}
		if peer == "" {
			err = failure("unhandled exception: required field \"tariff\" is missing in rule set")
			return
		}
		err = fmt.Errorf("connection to %s was reset", peer)
	})
	return err
}

// run performs the background effects until ctx ends.
func (e *effects) run(ctx context.Context, sig *signals) {
	var wg sync.WaitGroup
	wg.Go(func() { e.burn(ctx) })
	wg.Go(func() { e.leak(ctx) })
	wg.Go(func() { e.noise(ctx, sig) })
	wg.Wait()
}

// burn uses up the asked share of one core, in slices of 50 ms.
func (e *effects) burn(ctx context.Context) {
	const slice = 50 * time.Millisecond
	for ctx.Err() == nil {
		duty := min(0.95, e.sum(fault.CPU))
		if duty <= 0 {
			if sleep(ctx, 0.2) != nil {
				return
			}
			continue
		}
		begin := time.Now()
		compute(duty * slice.Seconds())
		if sleep(ctx, (slice-time.Since(begin)).Seconds()) != nil {
			return
		}
	}
}

// leak holds as many MiB as asked, every page of them touched; when the fault
// is over it gives the memory back to the system.
func (e *effects) leak(ctx context.Context) {
	const mib = 1 << 20
	for ctx.Err() == nil {
		want := int(math.Min(512, e.sum(fault.MemoryLeak)))
		switch {
		case want == 0 && len(e.leaked) > 0:
			e.leaked = nil
			debug.FreeOSMemory()
		case want > len(e.leaked):
			for len(e.leaked) < want {
				b := make([]byte, mib)
				for i := 0; i < mib; i += 512 {
					b[i] = byte(i)
				}
				e.leaked = append(e.leaked, b)
			}
		}
		if sleep(ctx, 0.25) != nil {
			return
		}
	}
}

// noise logs nonsense at the asked rate.
func (e *effects) noise(ctx context.Context, sig *signals) {
	for ctx.Err() == nil {
		rate := min(500, e.sum(fault.LogNoise))
		if rate <= 0 {
			if sleep(ctx, 0.2) != nil {
				return
			}
			continue
		}
		sig.log.WarnContext(ctx, fmt.Sprintf("cannot reload feature table, slot %d is locked, trying again", e.rnd.intn(4096)))
		if sleep(ctx, 1/rate) != nil {
			return
		}
	}
}

// sleep waits for so many seconds, or until the context ends.
func sleep(ctx context.Context, seconds float64) error {
	if seconds <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(time.Duration(seconds * float64(time.Second)))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// compute keeps one core busy for about so many seconds.
func compute(seconds float64) float64 {
	end := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	x := 1.0
	for time.Now().Before(end) {
		for i := range 200 {
			x = math.Sqrt(x + float64(i))
		}
	}
	return x
}

// dice is a seeded source of chance, safe for concurrent use.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newDice(seed uint64, name string) *dice {
	h := seed
	for _, c := range name {
		h = h*1099511628211 + uint64(c)
	}
	return &dice{r: rand.New(rand.NewPCG(seed, h))}
}

func (d *dice) chance(p float64) bool {
	if p >= 1 {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.Float64() < p
}

func (d *dice) intn(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(n)
}

// spread is a log-normal factor with median 1.
func (d *dice) spread(sigma float64) float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return math.Exp(sigma * d.r.NormFloat64())
}
